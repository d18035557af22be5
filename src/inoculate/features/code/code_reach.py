"""What data from outside really reaches: a text run on what is known of its values.

``code_flow`` reads top to bottom and tells no branch from another. Here conditions that constants
decide are decided, what is put under one key is not what is read under another, and functions of
the same text are gone into. So a parameter that is dropped on the way does not reach ``exec``.

======================  ==========================================================
``reached``             a call that acts on raw data from outside: ``execute query``
``treated``             one that acts on such data, but escaped, checked or converted
``fixed``               one that acts on nothing from outside
``exposed``             told once of a text in which one is reached: ``raw``
``decided``             a condition that constants decide: ``if true``
======================  ==========================================================

References:
    Denning and Denning, "Certification of programs for secure information flow", CACM 20(7),
    1977, section 4, for levels of data. Departures: flows through conditions are not followed; a
    loop is gone through once, after all that it assigns is forgotten; what an unknown function
    gives is as far from outside as what it is given.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress

from inoculate.features.code.code_expressions import MOST_DEPTH, Expressions, Spent
from inoculate.features.code.code_flow import source_named
from inoculate.features.code.code_roles import OPERATORS, role
from inoculate.features.code.code_shapes import called, name_of, names_in, operator, parameters_of
from inoculate.features.code.code_sinks import acts, acts_on_object, routes, tests
from inoculate.features.code.code_tree import Nodes
from inoculate.features.code.code_values import (
    FROM_OUTSIDE,
    NOTHING,
    RAW,
    TREATED,
    UNKNOWN,
    Value,
    is_plain,
    joined,
    of_level,
    truth,
)

MOST_STEPS = 60_000
"""Nodes that are looked at, and variables that are copied."""

_MOST_ROOTS = 200
_MOST_INSIDE = 3

Found = list[tuple[str, str, int]]
Variables = dict[bytes, Value]

(
    _NAME, _CALL, _NEW, _ASSIGN, _AUGMENT, _IF, _LOOP, _PARAMS, _RETURN, _SWITCH, _CASE, _BODY,
    _LAMBDA, _FUNC, _CLASS, _TRY, _CATCH, _FINALLY, _THROW, _BREAK, _CONTINUE, _ELSE, _BINARY,
    _ANNOTATION, _PATTERN, _UPDATE,
) = map(role, (
    "name", "call", "new", "assign", "augment", "if", "loop", "params", "return", "switch", "case",
    "body", "lambda", "func", "class", "try", "catch", "finally", "throw", "break", "continue",
    "else", "binary", "annotation", "case_pattern", "update",
))  # fmt: skip
_ASIDE = frozenset((_FUNC, _CLASS, _LAMBDA, _ANNOTATION, _PARAMS))
_LEFT, _NEXT, _BROKEN = "left", "next", "broken"


def reach(nodes: Nodes, found: Found) -> None:
    """Add the facts of what data from outside really reaches to ``found``; calls are known."""
    names = {name for _, _, name in nodes.calls.values()}
    is_told = any(map(acts, names)) or any(map(acts_on_object, names))
    if not is_told and _ANNOTATION not in nodes.role:
        return
    run = _Run(nodes, MOST_STEPS)
    with suppress(Spent):
        run.all()
    told = list(run.told)
    found += told
    if any(kind == "reached" for kind, _, _ in told):
        found.append(("exposed", "raw", 0))


class _Run(Expressions):
    """A text as it runs."""

    def __init__(self, nodes: Nodes, most: int) -> None:
        super().__init__(nodes, most)
        self.functions: dict[bytes, int] = {}
        self._twice: set[bytes] = set()
        self._inside: list[int] = []
        self._seen: set[int] = set()
        self._returned: list[Value] = []
        self._broken: list[list[Variables]] = []
        self._next: list[list[Variables]] = []

    def all(self) -> None:
        """Run what stands outside of functions, then every function that nothing here calls."""
        roles = self.nodes.role
        functions = [i for i, code in enumerate(roles) if code == _FUNC][:_MOST_ROOTS]
        for i in functions:
            name = name_of(self.nodes, i)
            if name in self.functions:
                self._twice.add(name)
            self.functions[name] = i
        inside = {name for _, _, name in self.nodes.calls.values()}
        if roles[0] != _FUNC:
            self.do(0)
        later = []
        for i in functions:
            if name_of(self.nodes, i) in inside:
                later.append(i)
            else:
                self._root(i)
        for i in later:
            if i not in self._seen:
                self._root(i)

    def _root(self, i: int) -> None:
        self.variables = dict.fromkeys(parameters_of(self.nodes, i), FROM_OUTSIDE)
        value = self._ran(i)
        nodes = self.nodes
        around = [*nodes.children(i), *nodes.children(max(nodes.parent[i], 0))]
        its = [j for j in around if nodes.role[j] == _ANNOTATION and j < i + 12]
        if any(routes(nodes.text(k)) for j in its for k in names_in(nodes, j)):
            self.tell(b"return", value.level, i)

    def _ran(self, i: int) -> Value:
        """Return what a function gives, run on the variables there are."""
        self._seen.add(i)
        before, self._returned = self._returned, []
        self._inside.append(i)
        broken, self._broken, upcoming, self._next = self._broken, [], self._next, []
        bodies = [j for j in self.nodes.children(i) if self.nodes.role[j] == _BODY]
        self.some(bodies or self.nodes.children(i)[-1:])
        self._broken, self._next = broken, upcoming
        self._inside.pop()
        values, self._returned = self._returned, before
        result = values[0] if values else NOTHING
        for value in values[1:]:
            result = joined(result, value)
        return result

    def into(self, name: bytes, given: list[Value]) -> Value | None:
        """Return what a function of this text gives, None where it is not gone into."""
        i = self.functions.get(name)
        if i is None or name in self._twice or i in self._inside:
            return None
        if len(self._inside) >= _MOST_INSIDE:
            return None
        mine = self.variables
        parameters = parameters_of(self.nodes, i)
        self.variables = dict.fromkeys(parameters, NOTHING)
        self.variables.update(zip(parameters, given, strict=False))
        value = self._ran(i)
        self.variables = mine
        return value

    # statements: each returns how the way goes on, "" for to the next one

    def do(self, i: int) -> str:
        """Run a statement."""
        self.step(1)
        code = self.nodes.role[i]
        step = _STEPS.get(code)
        if step is not None:
            return self._deeper(step, i)
        if code in _ASIDE:
            return ""
        if self.is_expression(code):
            self.value(i)
            return ""
        return self._deeper(_Run._below, i)

    def _deeper(self, run: "Callable[[_Run, int], str]", i: int) -> str:
        """Run something one level further down, or nothing where that is too far."""
        if self._depth >= MOST_DEPTH:
            return ""
        self._depth += 1
        how = run(self, i)
        self._depth -= 1
        return how

    def _below(self, i: int) -> str:
        return self.some(self.nodes.children(i))

    def some(self, statements: Iterable[int]) -> str:
        """Run statements until one leaves."""
        for j in statements:
            how = self.do(j)
            if how:
                return how
        return ""

    def _copied(self) -> Variables:
        self.step(1 + len(self.variables) // 8)
        return dict(self.variables)

    def _merged(self, ways: list[Variables]) -> None:
        """Go on where several ways meet."""
        out = ways[0]
        for other in ways[1:]:
            self.step(1 + len(other) // 4)
            for name, value in other.items():
                mine = out.get(name)
                if mine is not value:
                    out[name] = value if mine is None else joined(mine, value)
        self.variables = out

    def _if(self, i: int) -> str:
        children = [j for j in self.nodes.children(i) if self.nodes.role[j] not in OPERATORS]
        return self._choice(i, children, [])

    def _choice(self, i: int, children: list[int], more: list[int]) -> str:
        nodes = self.nodes
        tests_ = [j for j in children if nodes.part[j] == "condition"]
        if not tests_:
            return self.some(children)
        test = tests_[0]
        others = [j for j in children if nodes.part[j] == "alternative"] + more
        then = [j for j in children if j > test and nodes.part[j] != "alternative"]
        self.some([j for j in children if j < test])
        value = self.value(test)
        way = truth(value)
        if way is not None:
            self.told[("decided", f"if {str(way).lower()}", i)] = None
            return self.some(then) if way else self._otherwise(others)
        before = self._copied()
        how = self.some(then)
        after, self.variables = self.variables, before
        if how == _LEFT:
            self._checked(test)
        how_else = self._otherwise(others)
        if how and how_else:
            return how if how == how_else else _LEFT
        if how_else:
            self.variables = after
        elif not how:
            self._merged([after, self.variables])
        return ""

    def _otherwise(self, others: list[int]) -> str:
        if not others:
            return ""
        nodes, first, rest = self.nodes, others[0], others[1:]
        if nodes.role[first] == _IF:
            return self._deeper(lambda run, i: run._choice(i, nodes.children(i), rest), first)
        return self.do(first)

    def _checked(self, test: int) -> None:
        """Note that who goes on after a test that leaves has passed it."""
        nodes, its = self.nodes, range(test, min(self.nodes.stop[test], test + 100))
        calls = [called(nodes, j)[2] for j in its if nodes.role[j] == _CALL]
        signs = [operator(nodes, j) for j in its if nodes.role[j] == _BINARY]
        if any(map(tests, calls)) or "in" in signs or "not in" in signs:
            tested = [nodes.text(j) for j in names_in(nodes, test)]
            for name in [*tested, *(n for t in tested for n in self.made_of.get(t, ()))]:
                value = self.variables.get(name)
                if value and value.level == RAW and not source_named(name):
                    self.variables[name] = of_level(TREATED)

    def _loop(self, i: int) -> str:
        nodes = self.nodes
        children = [j for j in nodes.children(i) if nodes.role[j] not in OPERATORS]
        first = [j for j in children if nodes.part[j] in ("init", "initializer")]
        self.some(first)
        each = [j for j in children if nodes.part[j] in ("right", "value")]
        left = [j for j in children if nodes.part[j] in ("left", "name")]
        whole = self.value(each[0]) if each else NOTHING
        self._forget(i)
        for j in left if each else ():
            self.assign(j, of_level(whole.level))
        before = self._copied()
        self._broken.append([])
        self._next.append([])
        how = self.some(j for j in children if j not in {*first, *each[:1], *left})
        ways = [before, *self._broken.pop(), *self._next.pop()]
        self._merged(ways if how else [*ways, self.variables])
        return ""

    def _forget(self, i: int) -> None:
        """Forget what is known of all that a loop may change, but not where it is from."""
        nodes = self.nodes
        self.step((nodes.stop[i] - i) // 4)
        for j in range(i, nodes.stop[i]):
            if nodes.role[j] == _NAME:
                value = self.variables.get(nodes.text(j))
                if value is not None and value.known is not UNKNOWN:
                    self.variables[nodes.text(j)] = of_level(value.level)

    def _break(self, i: int) -> str:
        if self._broken:
            self._broken[-1].append(self._copied())
        return _BROKEN

    def _continue(self, i: int) -> str:
        if self._next:
            self._next[-1].append(self._copied())
        return _NEXT

    def _return(self, i: int) -> str:
        value = self.all_of(self.nodes.children(i))
        if self.nodes.role[i] == _RETURN:
            self._returned.append(value)
        return _LEFT

    def _try(self, i: int) -> str:
        nodes, before = self.nodes, self._copied()
        children = nodes.children(i)
        how = self.some(j for j in children if nodes.role[j] not in (_CATCH, _FINALLY))
        at_end = self._copied()
        ways = [] if how else [at_end]
        hows = [how]
        for j in children:
            if nodes.role[j] == _CATCH:
                self._merged([dict(before), at_end])
                hows.append(self.some(nodes.children(j)))
                ways += [] if hows[-1] else [self.variables]
        self._merged(ways or [before])
        last = self.some(j for j in children if nodes.role[j] == _FINALLY)
        return last or (_LEFT if all(hows) else "")

    def _switch(self, i: int) -> str:
        nodes = self.nodes
        children = nodes.children(i)
        subjects = [j for j in children if nodes.part[j] in ("condition", "subject", "value")]
        value = self.all_of(subjects[:1])
        arms = [a for j in children if j not in subjects[:1] for a in self._arms(j)]
        self._broken.append([])
        start = _chosen(value, arms)
        if start is not None:
            self.told[("decided", "switch", i)] = None
            how = self._from(arms[start:])
            ways = [] if how else [self.variables]
        else:
            before = self._copied()
            ways = [before] if all(labels for labels, _ in arms) else []
            for at in range(len(arms)):
                self.variables = dict(before)
                ways += [] if self._from(arms[at:]) else [self.variables]
        ways += self._broken.pop()
        if not ways:
            return _LEFT
        self._merged(ways)
        return ""

    def _from(self, arms: list[tuple[list[Value], list[int]]]) -> str:
        """Run an arm, and where it does not end there what follows."""
        for _, body in arms:
            how = self.some(body)
            if how:
                return how
            if self.nodes.language in ("python", "go") or len(arms) > _MOST_ROOTS:
                break
        return ""

    def _arms(self, i: int) -> list[tuple[list[Value], list[int]]]:
        """Return labels and statements of the arms below a node; no label for any value."""
        nodes = self.nodes
        children = nodes.children(i)
        if nodes.role[i] == _CASE:
            of_arm = [j for j in children if nodes.part[j] == "value" or nodes.role[j] == _PATTERN]
            return [(self._labels(of_arm), [j for j in children if j not in of_arm])]
        cases = [j for j in children if nodes.role[j] == _CASE]
        if cases and nodes.role[i] != _BODY:
            of_arm = [k for j in cases for k in nodes.children(j)]
            return [(self._labels(of_arm), [j for j in children if j not in cases])]
        return [arm for j in children for arm in self._arms(j)] if nodes.role[i] == _BODY else []

    def _labels(self, of_arm: list[int]) -> list[Value]:
        found: list[Value] = []
        for j in of_arm:
            if self.nodes.role[j] != _PATTERN:
                found.append(self.value(j))
                continue
            inside = range(j + 1, min(self.nodes.stop[j], j + 40))
            plain = [self.value(k) for k in inside if self.nodes.stop[k] == k + 1]
            found += [v for v in plain if is_plain(v.known)]
        return found


def _chosen(value: Value, arms: list[tuple[list[Value], list[int]]]) -> int | None:
    """Return the arm that a known value takes, None where that is not known."""
    labels = [label.known for its, _ in arms for label in its]
    if not is_plain(value.known) or not all(map(is_plain, labels)):
        return None
    for at, (its, _) in enumerate(arms):
        if any(label.known == value.known for label in its):
            return at
    return next((at for at, (its, _) in enumerate(arms) if not its), None)


_STEPS: dict[int, Callable[[_Run, int], str]] = {
    _IF: _Run._if,
    _LOOP: _Run._loop,
    _SWITCH: _Run._switch,
    _TRY: _Run._try,
    _RETURN: _Run._return,
    _THROW: _Run._return,
    _BREAK: _Run._break,
    _CONTINUE: _Run._continue,
}
