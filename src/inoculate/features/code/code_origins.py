"""Where the data in an expression may come from, and what it is put together of.

``code_reach`` runs a text and says whether data from outside reaches a call. Here the order of
things and their conditions do not count: a name holds all that is ever assigned to it. So this
says from which source, over which texts, and at which line, of a call that ``code_reach`` told.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from inoculate.features.code.code_flow import source_named
from inoculate.features.code.code_roles import OPERATORS, role
from inoculate.features.code.code_shapes import called, name_of, parameters_of, shape
from inoculate.features.code.code_sinks import routes, treats
from inoculate.features.code.code_tree import Nodes
from inoculate.features.code.code_words import string_shape

CLEAN, OPEN, INNER, PARAMETER, ROUTED, NAMED = 0.0, 0.25, 0.5, 1.0, 2.0, 3.0
"""How surely data is from outside: not; no constant, but not from outside as far as a function
says; a parameter of a function that calls itself inner; any function's; of one that a route leads
to; a source by its name, ``request`` say."""

_MOST_NAMES = 64
_MOST_SEEN = 400
_MOST_FUNCTIONS = 200
_STRONG = frozenset(b"request req argv environ stdin cookies headers".split())
_GIVING = frozenset(
    b"getenv Getenv getParameter getQueryString getHeader raw_input input FormValue PostFormValue "
    b"getCookies getInputStream readline recv recvfrom fgets scanf fscanf getline".split()
)
_FILLS = frozenset(b"recv recvfrom read fgets gets scanf fscanf sscanf getline fread".split())
_TYPED = (
    re.compile(rb"(?:Http\w*|Servlet|Web|Portlet)Request\s+(\w+)"),
    re.compile(rb"(\w+)\s*\*?\s*\*http\.Request"),
)
_TOLD = re.compile(rb"@(?:Request\w+|PathVariable|\w*Param|QueryParam|FormParam|ModelAttribute)\b")
(
    _NAME, _CALL, _NEW, _ASSIGN, _AUGMENT, _LOOP, _MEMBER, _KEYWORD, _FUNC, _PARAMS, _STRING,
    _BINARY, _ANNOTATION, _AS, _LAMBDA,
) = map(role, (
    "name", "call", "new", "assign", "augment", "loop", "member", "keyword", "func", "params",
    "string", "binary", "annotation", "as_pattern", "lambda",
))  # fmt: skip
_CALLS = frozenset((_CALL, _NEW))
_OF_NAMED = frozenset((_CALL, _NEW, _MEMBER, _KEYWORD, _FUNC))
_NO_VARIABLE = frozenset(("attribute", "field", "property", "name"))
_PUT_TOGETHER = ("concat", "formatted", "template")
_JOINING = frozenset(b"format sprintf join concat append fmt.Sprintf Sprintf strcat".split())


@dataclass(slots=True, eq=False)
class Origin:
    """What there is to say of some data.

    Attributes:
        level: see ``CLEAN`` and so on.
        name: of the source.
        place: node of the source, -1 where there is none.
        is_text: whether it is put together of texts.
        is_sql: whether an SQL text is among what it is made of.
        is_product: whether something is multiplied or added in it.
        is_open: whether some of it is no constant.
        is_treated: whether something on the way escapes or checks it.
    """

    level: float = CLEAN
    name: str = ""
    place: int = -1
    is_text: bool = False
    is_sql: bool = False
    is_product: bool = False
    is_open: bool = False
    is_treated: bool = False


@dataclass(slots=True, eq=False)
class Origins:
    """The names of a text and what is assigned to them.

    Args:
        nodes: of the text.
    """

    nodes: Nodes
    made: dict[bytes, list[int]] = field(default_factory=dict)
    parameters: dict[bytes, tuple[float, int]] = field(default_factory=dict)
    filled: dict[bytes, int] = field(default_factory=dict)
    n_functions: int = 0

    def __post_init__(self) -> None:
        """Read what is assigned and what the functions take."""
        for i, code in enumerate(self.nodes.role):
            if code in (_ASSIGN, _AUGMENT, _LOOP, _AS):
                self._assigned(i)
            elif code == _FUNC and self.n_functions < _MOST_FUNCTIONS:
                self.n_functions += 1
                self._function(i)
            elif code == _CALL and called(self.nodes, i)[2] in _FILLS:
                for name in self._names(i):
                    self.filled.setdefault(name, i)

    def _assigned(self, i: int) -> None:
        nodes = self.nodes
        children = [j for j in nodes.children(i) if nodes.role[j] not in OPERATORS]
        if nodes.role[i] == _LOOP:
            left = [j for j in children if nodes.part[j] in ("left", "name")]
            right = [j for j in children if nodes.part[j] in ("right", "value")]
        elif nodes.role[i] == _AS:
            left, right = children[1:], children[:1]
        else:
            right = [j for j in children[1:] if nodes.part[j] in ("right", "value")]
            right = right or children[1:][-1:]
            left = [j for j in children if j not in right and nodes.part[j] != "type"]
        for j in left:
            for name in self._names(j)[:8]:
                self.made.setdefault(name, []).extend(right)

    def _function(self, i: int) -> None:
        nodes = self.nodes
        head = next(
            (j for j in range(i, min(nodes.stop[i], i + 60)) if nodes.role[j] == _PARAMS), i
        )
        text = nodes.text(head)[:2_000]
        around = [*nodes.children(i), *nodes.children(max(nodes.parent[i], 0))]
        its = [j for j in around if nodes.role[j] == _ANNOTATION and j < i + 12]
        routed = any(routes(nodes.text(k)) for j in its for k in range(j, nodes.stop[j]))
        typed = {name for pattern in _TYPED for name in pattern.findall(text)}
        names = parameters_of(nodes, i)
        routed = routed or names[:1] in ([b"request"], [b"req"])
        inner = name_of(nodes, i).startswith(b"_")
        for name in names:
            level = INNER if inner else PARAMETER
            level = ROUTED if routed or _TOLD.search(text) else level
            level = NAMED if name in typed or name in _STRONG else level
            self.parameters.setdefault(name, (level, head))

    def _names(self, i: int) -> list[bytes]:
        """Return the variables in an expression."""
        nodes = self.nodes
        found = []
        for j in range(i, min(nodes.stop[i], i + _MOST_SEEN)):
            if nodes.role[j] == _NAME:
                part = nodes.part[j]
                named = nodes.parent[j] >= 0 and nodes.role[nodes.parent[j]] in _OF_NAMED
                if not (part in ("function", "type") or (part in _NO_VARIABLE and named)):
                    found.append(nodes.text(j))
        return list(dict.fromkeys(found))

    def of(self, expressions: Iterable[int]) -> Origin:
        """Return what there is to say of the data in some expressions."""
        told = Origin()
        waiting = list(expressions)
        seen: set[bytes] = set()
        looked: set[int] = set()
        while waiting and len(looked) < _MOST_NAMES:
            i = waiting.pop()
            if i in looked:
                continue
            looked.add(i)
            self._look(i, told)
            for name in self._names(i):
                if name in seen:
                    continue
                seen.add(name)
                told.is_open |= name not in self.made and not name.isupper()
                self._source(name, i, told)
                waiting += self.made.get(name, ())
        return told

    def _source(self, name: bytes, i: int, told: Origin) -> None:
        level, place = self.parameters.get(name, (CLEAN, i))
        if name in self.filled:
            level, place = ROUTED, self.filled[name]
        elif level < NAMED and name not in self.made:
            if name in _STRONG or name[:2] == b"$_":
                level, place = NAMED, i
            elif level == CLEAN and source_named(name):
                level, place = ROUTED, i
        if level > told.level:
            told.level, told.place = level, place
            told.name = name.decode("utf-8", "replace")[:40]

    def _look(self, i: int, told: Origin) -> None:
        """Note what an expression itself is made of."""
        nodes = self.nodes
        for j in range(i, min(nodes.stop[i], i + _MOST_SEEN)):
            code = nodes.role[j]
            if code == _STRING:
                its = string_shape(nodes.text(j))
                told.is_sql |= its == "sql"
                told.is_text |= nodes.stop[j] > j + 1
            elif code == _BINARY:
                its = shape(nodes, j)
                told.is_text |= its in _PUT_TOGETHER
                told.is_product |= its not in _PUT_TOGETHER and any(s in its for s in "*+")
            elif code in _CALLS:
                name = called(nodes, j)[2]
                told.is_open = True
                told.is_text |= name in _JOINING
                told.is_treated |= treats(name)
                if name in _GIVING and told.level < NAMED:
                    told.level, told.place = NAMED, j
                    told.name = name.decode("utf-8", "replace")
            elif code == _MEMBER and told.level < NAMED:
                last = nodes.text(nodes.stop[j] - 1)
                if last in _STRONG:
                    told.level, told.place = NAMED, j
                    told.name = last.decode("utf-8", "replace")[:40]
