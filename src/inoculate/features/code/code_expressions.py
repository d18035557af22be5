"""Expressions run on what is known of values; see ``code_reach`` for statements."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

from inoculate.features.code.code_flow import source_named
from inoculate.features.code.code_roles import OPERATORS, role
from inoculate.features.code.code_shapes import arguments, called, operator
from inoculate.features.code.code_sinks import (
    acts,
    acts_on_object,
    holds,
    measures,
    replaces,
    treats,
)
from inoculate.features.code.code_tree import Nodes
from inoculate.features.code.code_values import (
    CLEAN,
    FRESH,
    FROM_OUTSIDE,
    NOTHING,
    TREATED,
    UNKNOWN,
    Value,
    a_list,
    a_map,
    at_index,
    called_on,
    combined,
    is_plain,
    joined,
    of_level,
    truth,
    with_index,
)
from inoculate.features.code.code_words import tail

MOST_DEPTH = 60
"""Of statements and expressions inside each other; further down they are not looked at closely."""

_MOST_PARTS = 40
_MOST_TEXT = 1_000

(
    _NAME, _CALL, _NEW, _ASSIGN, _AUGMENT, _TERNARY, _INDEX, _MEMBER, _BINARY, _UNARY, _STRING,
    _NUMBER, _CHAR, _BOOL, _NULL, _LIST, _MAP, _PAIR, _KEYWORD, _SLICE, _TYPE, _LAMBDA, _FUNC,
    _CLASS, _UPDATE, _FIELD, _AS, _RESOURCE, _ARRAY_NEW, _CAST, _AWAIT, _POINTER,
) = map(role, (
    "name", "call", "new", "assign", "augment", "ternary", "index", "member", "binary", "unary",
    "string", "number", "char", "bool", "null", "list", "map", "pair", "keyword", "slice", "type",
    "lambda", "func", "class", "update", "field", "as_pattern", "resource", "array_new", "cast",
    "await", "pointer",
))  # fmt: skip
_NOTHING = frozenset((_TYPE, _LAMBDA, _FUNC, _CLASS, _FIELD)) | OPERATORS
_SPECIAL = frozenset("'\"<>&;|`$\\/.")
_STATEMENTS = frozenset(
    (b"echo", b"print", b"include", b"include_once", b"require", b"require_once")
)
_LEVELS = ("fixed", "treated", "reached")


class Spent(Exception):
    """There were too many steps."""


class Expressions(ABC):
    """What is known of the values of a text while it runs.

    Args:
        nodes: of the text.
        most: steps that it may take.

    Attributes:
        variables: what is known of each.
        made_of: variables that the value of one was made of.
        told: facts found, in order.
    """

    def __init__(self, nodes: Nodes, most: int) -> None:
        self.nodes = nodes
        self.variables: dict[bytes, Value] = {}
        self.made_of: dict[bytes, list[bytes]] = {}
        self.told: dict[tuple[str, str, int], None] = {}
        self._left = most
        self._depth = 0

    def step(self, n: int) -> None:
        """Count steps.

        Raises:
            Spent: there were too many.
        """
        self._left -= n
        if self._left < 0:
            raise Spent

    def is_expression(self, code: int) -> bool:
        """Return whether a role is one of expressions."""
        return code in _KNOWN

    @abstractmethod
    def into(self, name: bytes, given: list[Value]) -> Value | None:
        """Return what a function of this text gives, None where it is not gone into."""

    def tell(self, name: bytes, level: int, i: int) -> None:
        """Tell of data that something acts on."""
        self.told[(_LEVELS[level], tail(name), i)] = None

    def value(self, i: int) -> Value:
        """Return what is known of an expression."""
        self.step(1)
        code = self.nodes.role[i]
        if code == _NAME:
            return self._named(self.nodes.leaf[i])
        if code in _NOTHING:
            return NOTHING
        known = _KNOWN.get(code)
        if known is None and self.nodes.stop[i] == i + 1:
            return NOTHING
        if self._depth >= MOST_DEPTH:
            return self._flat(i)
        self._depth += 1
        value = known(self, i) if known else self.all_of(self.nodes.children(i))
        self._depth -= 1
        return value

    def _flat(self, i: int) -> Value:
        """Return an expression's level where it is too deep to be looked at closely."""
        nodes = self.nodes
        its = range(i, min(nodes.stop[i], i + 1_000))
        self.step(len(its))
        names = (self._named(nodes.leaf[j]) for j in its if nodes.role[j] == _NAME)
        return of_level(max((v.level for v in names), default=CLEAN))

    def _named(self, name: bytes) -> Value:
        value = self.variables.get(name)
        if value is not None:
            return value
        return FROM_OUTSIDE if source_named(name) else NOTHING

    def all_of(self, some: Iterable[int]) -> Value:
        """Return what is known of one of several expressions, or of the only one."""
        values = [self.value(j) for j in some]
        if len(values) == 1:
            return values[0]
        return of_level(max([v.level for v in values], default=CLEAN))

    def _string(self, i: int) -> Value:
        if self.nodes.stop[i] > i + 1:
            return of_level(self.all_of(self.nodes.children(i)).level)
        return Value(_text_of(self.nodes.text(i)), CLEAN)

    def _number(self, i: int) -> Value:
        try:
            return Value(int(self.nodes.text(i)[:24].rstrip(b"lLuU"), 0), CLEAN)
        except ValueError:
            return NOTHING

    def _bool(self, i: int) -> Value:
        return Value(self.nodes.text(i).lower() == b"true", CLEAN)

    def _null(self, i: int) -> Value:
        return Value(None, CLEAN)

    def _binary(self, i: int) -> Value:
        sides = [j for j in self.nodes.children(i) if self.nodes.role[j] not in OPERATORS]
        op = operator(self.nodes, i)
        if len(sides) != 2:
            return self.all_of(sides)
        left = self.value(sides[0])
        if op in ("&&", "||", "and", "or"):
            way, stops = truth(left), op in ("||", "or")
            right = self.value(sides[1])
            if way is None:
                decided = truth(right)
                known = decided if decided is stops else UNKNOWN
                return Value(known, max(left.level, right.level))
            return left if way is stops else right
        return combined(op, left, self.value(sides[1]))

    def _unary(self, i: int) -> Value:
        op = operator(self.nodes, i)
        children = [j for j in self.nodes.children(i) if self.nodes.role[j] not in OPERATORS]
        value = self.all_of(children)
        if op in ("!", "not"):
            way = truth(value)
            return of_level(value.level) if way is None else Value(not way, value.level)
        if op == "-" and isinstance(value.known, int):
            return Value(-value.known, value.level)
        return of_level(value.level)

    def _ternary(self, i: int) -> Value:
        nodes = self.nodes
        sides = nodes.children(i)
        if len(sides) != 3:
            return self.all_of(sides)
        middle = nodes.part[sides[0]] != "condition"
        test, then, other = (sides[1], sides[0], sides[2]) if middle else sides
        way = truth(self.value(test))
        if way is None:
            return joined(self.value(then), self.value(other))
        self.told[("decided", f"ternary {str(way).lower()}", i)] = None
        return self.value(then if way else other)

    def _index(self, i: int) -> Value:
        children = self.nodes.children(i)
        if len(children) < 2:
            return self.all_of(children)
        whole, place = self.value(children[0]), self.value(children[-1])
        return at_index(whole, place)

    def _member(self, i: int) -> Value:
        children = [j for j in self.nodes.children(i) if self.nodes.role[j] not in OPERATORS]
        whole = self.value(children[0]) if children else NOTHING
        name = self.nodes.text(children[-1]) if children else b""
        if name in (b"length", b"size") and isinstance(whole.known, (str, tuple)):
            return Value(len(whole.known), CLEAN)
        return FROM_OUTSIDE if source_named(name) else of_level(whole.level)

    def _list(self, i: int) -> Value:
        return a_list([self.value(j) for j in self.nodes.children(i)])

    def _map(self, i: int) -> Value:
        pairs = [self.nodes.children(j) for j in self.nodes.children(i)]
        if any(len(p) != 2 for p in pairs):
            return self.all_of(j for p in pairs for j in p)
        items = [(self.value(key).known, self.value(value)) for key, value in pairs]
        if all(is_plain(key) for key, _ in items):
            return a_map(dict(items))
        return of_level(max([value.level for _, value in items], default=CLEAN))

    def _last(self, i: int) -> Value:
        children = self.nodes.children(i)
        return self.value(children[-1]) if children else NOTHING

    def _assigned(self, i: int) -> Value:
        nodes = self.nodes
        children = [
            j
            for j in nodes.children(i)
            if nodes.role[j] not in OPERATORS and nodes.part[j] not in ("type", "dimensions")
        ]
        rights = [j for j in children if nodes.part[j] in ("right", "value")]
        if not rights or rights[0] == children[0]:
            rights = children[1:][-1:]
        targets = [j for j in children if j not in rights]
        values = [self.value(j) for j in rights]
        if not values:
            return NOTHING
        whole = values[0] if len(values) == 1 else a_list(values)
        if nodes.role[i] == _AUGMENT and targets:
            whole = combined(operator(nodes, i).removesuffix("="), self.value(targets[0]), whole)
        for j in targets:
            self.assign(j, whole)
        if len(targets) == 1 and nodes.role[targets[0]] == _NAME and whole.level:
            its = range(rights[0], min(nodes.stop[rights[-1]], rights[0] + _MOST_PARTS))
            names = [nodes.text(j) for j in its if nodes.role[j] == _NAME]
            self.made_of[nodes.text(targets[0])] = [n for n in names if n in self.variables]
        return whole

    def assign(self, i: int, value: Value) -> None:
        """Give a value to what stands on the left."""
        nodes = self.nodes
        code = nodes.role[i]
        if code == _NAME:
            self.variables[nodes.text(i)] = value
            return
        names = [j for j in range(i, min(nodes.stop[i], i + 40)) if nodes.role[j] == _NAME]
        if not names:
            return
        name = nodes.text(names[0])
        if code not in (_MEMBER, _INDEX):
            for at, j in enumerate(names):
                its = at_index(value, Value(at, CLEAN)) if len(names) > 1 else value
                self.variables[nodes.text(j)] = its
            return
        last = nodes.text(nodes.stop[i] - 1)
        children = nodes.children(i)
        place = self.value(children[-1]) if code == _INDEX else NOTHING
        if holds(name) or holds(last):
            self.tell(name if holds(name) else last, max(value.level, place.level), i)
        old = self._named(name)
        direct = code == _INDEX and len(children) == 2 and children[0] == names[0]
        if direct:
            self.variables[name] = with_index(old, place, value)
        else:
            self.variables[name] = of_level(max(old.level, value.level))

    def _as(self, i: int) -> Value:
        children = self.nodes.children(i)
        value = self.value(children[0]) if children else NOTHING
        for j in children[1:]:
            self.assign(j, value)
        return value

    def _update(self, i: int) -> Value:
        for j in self.nodes.children(i):
            if self.nodes.role[j] == _NAME:
                name = self.nodes.text(j)
                self.variables[name] = of_level(self._named(name).level)
        return NOTHING

    def _object(self, i: int) -> int:
        """Return what a method is called on, -1 for nothing."""
        nodes = self.nodes
        first = i + 1
        if nodes.stop[i] <= first or nodes.role[i] == _NEW:
            return -1
        if nodes.role[first] == _MEMBER:
            return first + 1 if nodes.stop[first] > first + 1 else -1
        return first if nodes.part[first] == "object" else -1

    def _call(self, i: int) -> Value:
        nodes = self.nodes
        _, at, name = called(nodes, i)
        on = self._object(i)
        whole = self.value(on) if on >= 0 else NOTHING
        given = [self.value(j) for j in (arguments(nodes, i) if at >= 0 or on < 0 else ())]
        level = max([v.level for v in given], default=CLEAN)
        formats = name == b"format" and nodes.language == "java" and nodes.text(on) != b"String"
        if given and (acts(name) or formats or (at < 0 and name in _STATEMENTS)):
            self.tell(name, level, i)
        if on >= 0 and acts_on_object(name):
            self.tell(name, max(whole.level, level), i)
        result = self.into(name, given)
        if result is not None:
            return result
        return self._unknown(i, name, on, whole, given)

    def _unknown(self, i: int, name: bytes, on: int, whole: Value, given: Sequence[Value]) -> Value:
        """Return what a call gives that is not gone into; note what it does to its object."""
        nodes = self.nodes
        level = max([v.level for v in given], default=CLEAN)
        is_made = nodes.role[i] == _NEW or name[:1].isupper()
        if is_made and not given and nodes.language not in ("c", "go"):
            return Value(FRESH, CLEAN)
        its = called_on(whole, name.lower().decode("utf-8", "replace"), given) if on >= 0 else None
        variable = nodes.text(on) if on >= 0 and nodes.role[on] == _NAME else b""
        if its is not None:
            if variable in self.variables:
                self.variables[variable] = its[1]
            return its[0]
        if variable in self.variables and not is_plain(whole.known) and given:
            after = max(level, whole.level)
            if whole.known is not UNKNOWN or after != whole.level:
                self.variables[variable] = of_level(after)
        if measures(name):
            return of_level(CLEAN)
        level = max(level, whole.level)
        harmless = treats(name) or (replaces(name) and _replaced(given))
        return of_level(min(level, TREATED) if harmless else level)


def _text_of(literal: bytes) -> str:
    """Return the text of a literal as it stands there, without the quotes around it."""
    text = literal[:_MOST_TEXT].decode("utf-8", "replace").lstrip("rRbBuUfFLn")
    for quote in ('"""', "'''", text[:1]):
        if (
            quote
            and len(text) >= 2 * len(quote)
            and text.startswith(quote)
            and text.endswith(quote)
        ):
            return text[len(quote) : -len(quote)]
    return text


def _replaced(given: Sequence[Value]) -> bool:
    """Return whether it is a character that means something to a parser that is replaced."""
    known = given[0].known if given else None
    return isinstance(known, str) and not _SPECIAL.isdisjoint(known)


_KNOWN: dict[int, Callable[[Expressions, int], Value]] = {
    **dict.fromkeys((_CALL, _NEW), Expressions._call),
    **dict.fromkeys((_ASSIGN, _AUGMENT, _RESOURCE), Expressions._assigned),
    **dict.fromkeys((_STRING, _CHAR), Expressions._string),
    **dict.fromkeys((_CAST, _KEYWORD, _ARRAY_NEW), Expressions._last),
    _NUMBER: Expressions._number,
    _BOOL: Expressions._bool,
    _NULL: Expressions._null,
    _BINARY: Expressions._binary,
    _UNARY: Expressions._unary,
    _TERNARY: Expressions._ternary,
    _INDEX: Expressions._index,
    _MEMBER: Expressions._member,
    _LIST: Expressions._list,
    _MAP: Expressions._map,
    _AS: Expressions._as,
    _UPDATE: Expressions._update,
}
