"""Where data goes inside one function: from parameters and calls to calls, indices, pointers.

The text is read once, top to bottom; branches are not told apart and loops are not repeated.
That is enough to see that a parameter reaches ``execute`` without ``escape`` on the way, or an
index that nobody compared.

======================  ==========================================================
``direct``              where data comes from and what it reaches: ``param->exec``
``through``             the same with a call on the way: ``param>escape>query``
``unguarded``           either of them, where no condition looked at the variable before
``guarded``             the same where one did
``then``                two calls on one variable, one after the other: ``free>free``
``untested``            a call whose result was kept and that no condition looked at
======================  ==========================================================
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from inoculate.features.code.code_roles import OPERATORS, role
from inoculate.features.code.code_shapes import called, operator
from inoculate.features.code.code_tree import Nodes
from inoculate.features.code.code_words import parts

_MOST_ORIGINS = 4
_MOST_SEEN = 160
_SOURCE_WORDS = """
argv args request req environ env input stdin params query cookies headers session form files
body get post cookie server
"""

(
    _NAME, _CALL, _NEW, _ASSIGN, _AUGMENT, _IF, _LOOP, _TERNARY, _INDEX, _MEMBER, _POINTER,
    _PARAMS, _RETURN, _BINARY, _TYPE, _DECLARE, _ASSERT, _SWITCH, _BODY, _LAMBDA, _FUNC,
) = map(role, (
    "name", "call", "new", "assign", "augment", "if", "loop", "ternary", "index", "member",
    "pointer", "params", "return", "binary", "type", "declare", "assert", "switch", "body",
    "lambda", "func",
))  # fmt: skip
_ARROW = role("op ->")
_CALLS = frozenset((_CALL, _NEW))
_NO_READ = frozenset(("function", "type"))
_NO_VARIABLE = frozenset(("attribute", "field", "property", "name"))
_NO_NAMES = _NO_READ | _NO_VARIABLE
_NAMED = frozenset((_CALL, _NEW, _MEMBER, role("keyword"), _FUNC))

Origin = tuple[str, str]
Found = list[tuple[str, str, int]]


@dataclass(slots=True, eq=False)
class _State:
    """What is known at one place.

    Attributes:
        origins: where each variable's value comes from, with the last call on the way or "".
        guarded: variables a condition looked at.
        last: the last call each variable was given to.
        kept: for a variable that holds a call's result, which nobody tested yet, that call.
    """

    origins: dict[bytes, tuple[Origin, ...]] = field(default_factory=dict)
    guarded: set[bytes] = field(default_factory=set)
    last: dict[bytes, str] = field(default_factory=dict)
    kept: dict[bytes, tuple[str, int]] = field(default_factory=dict)


def follow(nodes: Nodes, found: Found) -> None:
    """Add the facts of where data goes to ``found``."""
    state = _State()
    pending: list[tuple[int, int]] = []  # assignments, done when their right side was read
    steps, roles = _STEPS, nodes.role
    for i in [i for i, code in enumerate(roles) if code in steps]:
        while pending and pending[-1][0] <= i:
            _assigned(nodes, pending.pop()[1], state)
        step = steps[roles[i]]
        if step is None:
            pending.append((nodes.stop[i], i))
        else:
            step(nodes, i, state, found)
    while pending:
        _assigned(nodes, pending.pop()[1], state)
    for word, i in dict.fromkeys(state.kept.values()):
        found.append(("untested", word, i))


def _variables(nodes: Nodes, i: int) -> list[bytes]:
    """Return the variables read in an expression."""
    roles, stop = nodes.role, nodes.stop[i]
    if stop == i + 1:  # most often by far
        return [nodes.leaf[i]] if roles[i] == _NAME and _is_variable(nodes, i) else []
    its = enumerate(roles[i : min(stop, i + _MOST_SEEN)], i)
    leaf = nodes.leaf
    return [leaf[j] for j, code in its if code == _NAME and _is_variable(nodes, j)]


def _is_variable(nodes: Nodes, j: int) -> bool:
    part = nodes.part[j]
    if not part or part not in _NO_NAMES:
        return True
    return part in _NO_VARIABLE and nodes.role[nodes.parent[j]] not in _NAMED


def _origins(nodes: Nodes, i: int, state: _State) -> tuple[Origin, ...]:
    """Return where an expression's value comes from."""
    roles, stop, known, leaf = nodes.role, nodes.stop[i], state.origins, nodes.leaf
    if stop == i + 1:  # most often by far
        if roles[i] != _NAME:
            return ((called(nodes, i)[0], ""),) if roles[i] in _CALLS else ()
        text = leaf[i]
        its, source = known.get(text, ()), source_named(text)
        if source or len(its) > 1:
            its = tuple(dict.fromkeys((*its, (source, "")) if source else its))
        return its[:_MOST_ORIGINS]
    found: dict[Origin, None] = {}
    word, until = "", i
    for j, code in enumerate(roles[i : min(stop, i + _MOST_SEEN)], i):
        if code == _NAME:
            via = word if j < until else ""
            text = leaf[j]
            if text in known:
                for origin, before in known[text]:
                    found[(origin, via or before)] = None
            if source := source_named(text):
                found[(source, via)] = None
        elif code in _CALLS and j >= until:
            word, until = called(nodes, j)[0], nodes.stop[j]
            found[(word, "")] = None
    return tuple(found)[:_MOST_ORIGINS]


@lru_cache(maxsize=65_536)
def source_named(name: bytes) -> str:
    """Return what a variable that data comes in by is called, "" for any other."""
    return "-".join(parts(name)) if name[:2] == b"$_" or name.lower() in _SOURCES else ""


_SOURCES = frozenset(s.encode() for s in _SOURCE_WORDS.split())


def _assigned(nodes: Nodes, i: int, state: _State) -> None:
    roles, parts_ = nodes.role, nodes.part
    children = [j for j in nodes.children(i) if roles[j] not in OPERATORS]
    if len(children) < 2:
        return
    right = children.pop()
    origins = _origins(nodes, right, state)
    for target in [j for j in children if parts_[j] != "type"]:
        names = _variables(nodes, target)
        if not names:
            continue
        name = names[0]
        if nodes.role[target] in (_MEMBER, _INDEX):
            state.origins[name] = (*state.origins.get(name, ()), *origins)[:_MOST_ORIGINS]
            continue
        old = state.origins.get(name, ()) if nodes.role[i] == _AUGMENT else ()
        state.origins[name] = (*old, *origins)[:_MOST_ORIGINS]
        _kept(nodes, names, right, state)


def _kept(nodes: Nodes, names: list[bytes], right: int, state: _State) -> None:
    """Note that variables hold the result of a call from now on, or of none."""
    is_call = nodes.role[right] in (_CALL, _NEW)
    word = called(nodes, right)[0] if is_call else ""
    for name in names:
        state.guarded.discard(name)
        state.last.pop(name, None)
        state.kept.pop(name, None)
        if is_call:
            state.kept[name] = (word, right)
            state.last[name] = word


def _condition(nodes: Nodes, i: int, state: _State, found: Found) -> None:
    for j in nodes.children(i):
        if nodes.part[j] in ("condition", "value", "right"):
            for name in _variables(nodes, j):
                state.guarded.add(name)
                tested = state.kept.pop(name, None)
                if tested is not None:
                    state.kept = {n: k for n, k in state.kept.items() if k != tested}


def _call(nodes: Nodes, i: int, state: _State, found: Found) -> None:
    word, args, _ = called(nodes, i)
    if args >= 0:
        last = state.last
        for j in nodes.children(args):
            for name in _reaches(nodes, j, word, state, found):
                if name in last:
                    found.append(("then", f"{last[name]}>{word}", i))
                last[name] = word
    elif nodes.role[i] == _CALL:
        for j in nodes.children(i):
            _reaches(nodes, j, word, state, found)


def _reaches(nodes: Nodes, i: int, word: str, state: _State, found: Found) -> list[bytes]:
    """Tell of the data in an expression that it reaches something; return its variables."""
    if nodes.stop[i] == i + 1 and nodes.role[i] != _NAME:
        return []
    names = _variables(nodes, i)
    origins = _origins(nodes, i, state)
    if origins:
        guarded = "guarded" if names and state.guarded.issuperset(names) else "unguarded"
        for origin, via in origins:
            way = f"{origin}->{word}"
            found.append(("through", f"{origin}>{via}>{word}", i) if via else ("direct", way, i))
            found.append((guarded, way, i))
    return names


def _index(nodes: Nodes, i: int, state: _State, found: Found) -> None:
    children = nodes.children(i)
    if len(children) > 1:
        _reaches(nodes, children[-1], "index", state, found)


def _member(nodes: Nodes, i: int, state: _State, found: Found) -> None:
    if nodes.stop[i] == i + 1 or nodes.role[i + 1] != _NAME:
        return
    if nodes.role[i] == _POINTER or any(nodes.role[j] == _ARROW for j in nodes.children(i)):
        _reaches(nodes, i + 1, "pointer", state, found)


def _binary(nodes: Nodes, i: int, state: _State, found: Found) -> None:
    if operator(nodes, i) in ("/", "%", "<<", ">>"):
        last = [j for j in nodes.children(i) if nodes.role[j] not in OPERATORS][-1:]
        for j in last:
            _reaches(nodes, j, "divide", state, found)


def _params(nodes: Nodes, i: int, state: _State, found: Found) -> None:
    for j in range(i, min(nodes.stop[i], i + 400)):
        if nodes.role[j] == _NAME and nodes.part[j] != "type":
            state.origins.setdefault(nodes.leaf[j], (("param", ""),))


Step = Callable[[Nodes, int, _State, Found], object]
_STEPS: dict[int, Step | None] = {
    **dict.fromkeys((_ASSIGN, _AUGMENT), None),
    **dict.fromkeys((_IF, _LOOP, _TERNARY, _ASSERT, _SWITCH), _condition),
    **dict.fromkeys((_CALL, _NEW), _call),
    **dict.fromkeys((_MEMBER, _POINTER), _member),
    _INDEX: _index,
    _BINARY: _binary,
    _PARAMS: _params,
}
