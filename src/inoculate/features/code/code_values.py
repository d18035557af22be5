"""Values as far as a text tells them: constants, lists, maps, and how far from outside they are.

A value is what is known of it and its level: ``RAW`` where it may hold what somebody outside
chose, ``TREATED`` where that went through an escape, a check or a conversion, ``CLEAN`` otherwise.
What is put into a list or a map keeps its own level, so that what was put under one constant key
and what is read under another are told apart.

References:
    Cousot and Cousot, "Abstract interpretation: a unified lattice model for static analysis of
    programs", POPL 1977, section 5, for values that join where ways meet; Kildall, "A unified
    approach to global program optimization", POPL 1973, for constants. Departures: ``code_reach``.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

CLEAN, TREATED, RAW = 0, 1, 2

UNKNOWN: Any = type("Unknown", (), {"__repr__": lambda self: "UNKNOWN"})()
FRESH: Any = type("Fresh", (), {"__repr__": lambda self: "FRESH"})()
"""An object that was just made of nothing: it may become a list or a map."""

_MOST_HELD = 64
_MOST_TEXT = 1_000
_MOST_NUMBER = 1 << 40


class Value(NamedTuple):
    """What is known of a value.

    Attributes:
        known: a number, a text, a bool or None; a tuple of values for a list, a dict of values
            by key for a map; ``FRESH``; ``UNKNOWN``.
        level: ``CLEAN``, ``TREATED`` or ``RAW``, of all it holds.
    """

    known: Any
    level: int


NOTHING = Value(UNKNOWN, CLEAN)
FROM_OUTSIDE = Value(UNKNOWN, RAW)


def of_level(level: int) -> Value:
    """Return a value of which nothing but its level is known."""
    return _OF_LEVEL[level]


_OF_LEVEL = (NOTHING, Value(UNKNOWN, TREATED), FROM_OUTSIDE)


def joined(one: Value, other: Value) -> Value:
    """Return what is known of a value that is one of two."""
    if one is other or one == other:
        return one
    return of_level(max(one.level, other.level))


def is_plain(known: Any) -> bool:
    """Return whether a number, a text or a bool is known."""
    return isinstance(known, (int, str, float))


def held(value: Value) -> Value:
    """Return a value as it is held in a list or a map, which hold no lists and maps."""
    return value if is_plain(value.known) or value.known is None else of_level(value.level)


def a_list(items: Sequence[Value]) -> Value:
    """Return a list."""
    level = max([v.level for v in items], default=CLEAN)
    return Value(tuple(map(held, items)), level) if len(items) <= _MOST_HELD else of_level(level)


def a_map(items: dict[Any, Value]) -> Value:
    """Return a map."""
    level = max([v.level for v in items.values()], default=CLEAN)
    few = len(items) <= _MOST_HELD
    return Value({k: held(v) for k, v in items.items()}, level) if few else of_level(level)


def truth(value: Value) -> bool | None:
    """Return whether a condition holds, None where that is not known."""
    known = value.known
    return bool(known) if known is None or isinstance(known, (bool, int)) else None


def combined(op: str, left: Value, right: Value) -> Value:
    """Return the value of a binary operator."""
    a, b, level = left.known, right.known, max(left.level, right.level)
    if op in _CONTAINS:
        found = _contains(a, b)
        return Value(found != ("not" in op), level) if found is not None else of_level(level)
    if op in _EQUAL or op in _UNEQUAL:
        same = _same(a, b)
        return of_level(level) if same is None else Value(same == (op in _EQUAL), level)
    if isinstance(a, str) and isinstance(b, str):
        if op in ("+", ".") and len(a) + len(b) <= _MOST_TEXT:
            return Value(a + b, level)
        return of_level(level)
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return Value(_counted(op, a, b), level)
    return of_level(level)


_CONTAINS = ("in", "not in")
_EQUAL = ("==", "===", "is")
_UNEQUAL = ("!=", "!==", "<>", "is not")


def _contains(part: Any, whole: Any) -> bool | None:
    if isinstance(part, str) and isinstance(whole, str):
        return part in whole
    if isinstance(whole, tuple) and is_plain(part) and all(is_plain(v.known) for v in whole):
        return any(v.known == part for v in whole)
    return None


def _same(a: Any, b: Any) -> bool | None:
    if (a is None or is_plain(a)) and (b is None or is_plain(b)):
        return bool(a == b)
    return None


def _counted(op: str, a: float, b: float) -> Any:
    """Return what an operator makes of two numbers; ``UNKNOWN`` where languages differ in it."""
    if op in ("<", ">", "<=", ">="):
        return {"<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b}[op]
    if max(abs(a), abs(b)) > _MOST_NUMBER:
        return UNKNOWN
    if op in ("+", "-", "*"):
        return {"+": a + b, "-": a - b, "*": a * b}[op]
    if op in ("/", "//", "%") and isinstance(a, int) and isinstance(b, int) and a >= 0 < b:
        return a % b if op == "%" else UNKNOWN if op == "/" and a % b else a // b
    return UNKNOWN


def at_index(whole: Value, place: Value) -> Value:
    """Return an element of a list or a text, or the value under a key."""
    known, key = whole.known, place.known
    if isinstance(known, (tuple, str)) and isinstance(key, int) and -len(known) <= key < len(known):
        return known[key] if isinstance(known, tuple) else Value(known[key], whole.level)
    if isinstance(known, dict) and is_plain(key) and key in known:
        found: Value = known[key]
        return found
    return of_level(whole.level)


def with_index(whole: Value, place: Value, value: Value) -> Value:
    """Return a list or a map after an element was set."""
    known, key = whole.known, place.known
    if isinstance(known, tuple) and isinstance(key, int) and 0 <= key < len(known):
        return a_list((*known[:key], value, *known[key + 1 :]))
    if (isinstance(known, dict) or known is FRESH) and is_plain(key):
        return a_map({**(known if known is not FRESH else {}), key: value})
    return of_level(max(whole.level, value.level))


def called_on(whole: Value, word: str, args: Sequence[Value]) -> tuple[Value, Value] | None:
    """Return what a method gives and what its object is then; None for one not known.

    Args:
        whole: the object.
        word: the method's name in small letters.
        args: what it is given.
    """
    known = whole.known
    if isinstance(known, str):
        given = _of_text(whole, word, args)
        return None if given is None else (given, whole)
    if isinstance(known, tuple) or (known is FRESH and word in _ADD):
        return _of_list(whole, word, args)
    if isinstance(known, dict) or known is FRESH:
        return _of_map(whole, word, args)
    return None


def _of_text(text: Value, word: str, args: Sequence[Value]) -> Value | None:
    known: str = text.known
    given = [a.known for a in args]
    if word in ("length", "size", "len") and not given:
        return Value(len(known), CLEAN)
    if word == "charat" and len(given) == 1:
        return at_index(text, args[0])
    if word in ("equals", "contains", "startswith", "endswith") and _texts(given, 1):
        checks = {
            "equals": known.__eq__,
            "contains": known.__contains__,
            "startswith": known.startswith,
            "endswith": known.endswith,
        }
        return Value(bool(checks[word](given[0])), text.level)
    return None


def _texts(given: Sequence[Any], n: int) -> bool:
    return len(given) == n and all(isinstance(g, str) for g in given)


_ADD = frozenset(("add", "append", "push", "push_back", "addlast"))
_TAKE = frozenset(("remove", "pop", "removeat"))
_GET = frozenset(("get", "at", "getordefault", "getproperty", "getattribute", "elementat"))
_PUT = frozenset(("put", "set", "setproperty", "setdefault", "insert", "add"))


def _of_list(whole: Value, word: str, args: Sequence[Value]) -> tuple[Value, Value] | None:
    items: tuple[Value, ...] = () if whole.known is FRESH else whole.known
    if word in _ADD and len(args) == 1:
        return NOTHING, a_list((*items, args[0]))
    place = args[0].known if args else -1
    is_place = isinstance(place, int) and -len(items) <= place < len(items)
    if word in _PUT and len(args) == 2 and is_place:
        return NOTHING, a_list((*items[:place], args[1], *items[place + (word == "set") :]))
    if len(args) > 1 or not is_place:
        return None
    if word in _TAKE:
        rest = list(items)
        return rest.pop(place), a_list(rest)
    return (items[place], whole) if word in _GET and args else None


def _of_map(whole: Value, word: str, args: Sequence[Value]) -> tuple[Value, Value] | None:
    items: dict[Any, Value] = {} if whole.known is FRESH else whole.known
    keys = [a.known for a in args]
    if word in _PUT and len(args) >= 2 and all(map(is_plain, keys[:-1])):
        key = keys[0] if len(args) == 2 else tuple(keys[:-1])
        return NOTHING, a_map({**items, key: args[-1]})
    if word in _GET and args and all(map(is_plain, keys)):
        for n in (len(keys), len(keys) - 1):
            key = keys[0] if n == 1 else tuple(keys[:n])
            if n and key in items:
                return items[key], whole
    if all(a.level == CLEAN for a in args):
        return of_level(whole.level), whole
    return None
