"""What a function looks like to a reviewer who knows weaknesses and not this code.

Two kinds of hits, none of them learned. Data from outside reaches a call that acts on it, which
``code_reach`` says, and ``code_weaknesses`` which weakness that would be; or something is weak
whatever reaches it, a hash say. Each hit has points: those of its weakness, more the surer its
data is from outside, more where a text is put together of it. Points order a list; they are no
probability, and nothing was calibrated.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from inoculate.features.code.code_origins import (
    CLEAN,
    NAMED,
    OPEN,
    PARAMETER,
    ROUTED,
    Origin,
    Origins,
)
from inoculate.features.code.code_reach import reach
from inoculate.features.code.code_roles import role
from inoculate.features.code.code_shapes import arguments, called
from inoculate.features.code.code_sinks import acts, acts_on_object
from inoculate.features.code.code_tree import Nodes
from inoculate.features.code.code_weaknesses import NAMES, Anyway, Sink, anyway, sinks
from inoculate.features.code.code_words import string_shape

MOST_HITS = 50
"""Of one function."""

_SQL, _SQL_TEXT_POINTS = 89, 0.5
_TEXT_POINTS = 1.5
_WITHOUT_TEXT = -1.5
_MOST_CALLEE = 100
_SHOWN = 48
_UNFOLLOWED = ("c", "cpp")

(
    _CALL, _NEW, _STRING, _KEYWORD, _LIST, _ASSIGN, _PAIR, _LAMBDA, _FUNC, _RETURN, _ANNOTATION,
    _DECLARE, _SETTING,
) = map(role, (
    "call", "new", "string", "keyword", "list", "assign", "pair", "lambda", "func", "return",
    "annotation", "declare", "setting",
))  # fmt: skip
_CALLS = frozenset((_CALL, _NEW))
_PUT_TOGETHER = frozenset((_CALL, _STRING, role("binary")))
_BEGINNINGS = frozenset((_CALL, _NEW, _KEYWORD, _ASSIGN, _PAIR, _ANNOTATION))
_LOOSE = frozenset((78, 89, 90, 94, 95, 502, 643))
_TEXTUAL = frozenset((78, 79, 89, 90, 94, 95, 643))


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that looks like a weakness.

    Attributes:
        cwe: its number.
        line: of the text, from 1.
        points: how much it counts.
        what: what is there, in words.
        source: line of what is from outside, 0 where nothing is told of that.
    """

    cwe: int
    line: int
    points: float
    what: str
    source: int = 0

    def said(self, first: int) -> str:
        """Return the reason in words, with lines of the file.

        Args:
            first: line of the file that the text begins in.
        """
        source = self.source if self.source <= self.line else 0
        lines = [n + first - 1 for n in (source, self.line) if n]
        where = " to ".join(f"line {n}" for n in lines)
        return f"{self.what} ({NAMES.get(self.cwe, 'a weakness')}): {where}"


def hits(nodes: Nodes) -> list[Hit]:
    """Return what looks like a weakness in a text, the most points first."""
    found: dict[tuple[int, int], Hit] = {}
    reached = list(_reached(nodes))
    if not any(hit.cwe == _SQL for hit in reached):
        reached += _sql_texts(nodes)
    for hit in (*reached, *_anyway(nodes)):
        old = found.get((hit.cwe, hit.line))
        if old is None or old.points < hit.points:
            found[hit.cwe, hit.line] = hit
    return sorted(found.values(), key=lambda h: (-h.points, h.line, h.cwe))[:MOST_HITS]


def _language(nodes: Nodes) -> str:
    return nodes.language.removesuffix("_tagged")


def _line(nodes: Nodes, i: int) -> int:
    return 1 + nodes.data.count(b"\n", 0, nodes.start[i])


def _reached(nodes: Nodes) -> Iterator[Hit]:
    """Yield calls that act on data from outside."""
    known = sinks(_language(nodes))
    if not known:
        return
    calls = [(i, _callee(nodes, i)) for i, code in enumerate(nodes.role) if code in _CALLS]
    wanted = [(i, name, found) for i, name in calls if (found := _matching(_language(nodes), name))]
    markup = nodes.language == "python"
    if not wanted and not markup:
        return
    told: list[tuple[str, str, int]] = []
    reach(nodes, told)
    verdict = {i: kind for kind, _, i in reversed(told)}
    origins = Origins(nodes)
    for i, name, found in wanted:
        if _is_denied(nodes, i, verdict):
            continue
        is_reached = verdict.get(i) != "fixed" or nodes.language in _UNFOLLOWED
        for sink in found:
            hit = _hit(nodes, i, name, sink, origins, is_reached=is_reached)
            if hit is not None:
                yield hit
    if markup:
        yield from _returned(nodes, verdict, origins)


def _callee(nodes: Nodes, i: int) -> bytes:
    """Return what is written before the arguments of a call, without blanks."""
    args = called(nodes, i)[1]
    end = nodes.start[args] if args >= 0 else nodes.end[i]
    start = nodes.start[i]
    text = nodes.data[max(start, end - _MOST_CALLEE) : end]
    return called(nodes, i)[2] if args < 0 else b"".join(text.split())


@lru_cache(maxsize=65_536)
def _matching(language: str, name: bytes) -> tuple[Sink, ...]:
    return tuple(s for s in sinks(language) if s.name.search(name))


def _is_denied(nodes: Nodes, i: int, verdict: dict[int, str]) -> bool:
    """Return whether what runs the text would have told of a call, and did not or says no."""
    said, name = verdict.get(i), called(nodes, i)[2]
    if said == "treated" or nodes.language in _UNFOLLOWED:  # what a call fills is not followed
        return said == "treated"
    if said is not None:
        return False
    if not (acts(name) or acts_on_object(name)):
        return False
    above = nodes.parent[i]
    while above >= 0:
        if nodes.role[above] == _LAMBDA:  # these are not run
            return False
        above = nodes.parent[above]
    return True


def _hit(
    nodes: Nodes, i: int, name: bytes, sink: Sink, origins: Origins, *, is_reached: bool
) -> Hit | None:
    given = _given(nodes, i, sink)
    if not given:
        return None
    its = origins.of(given)
    if not is_reached and its.level:
        its.level, its.name, its.place = CLEAN, "", -1
    if its.level == CLEAN and sink.cwe in _LOOSE and its.is_open:
        its.level = OPEN
    is_whole = _fits(nodes, nodes.text(i), given, sink, its)
    if its.level == CLEAN or is_whole is None or (its.is_treated and not acts(called(nodes, i)[2])):
        return None
    points = sink.points + its.level + (0 if is_whole else _WITHOUT_TEXT)
    points += _TEXT_POINTS if its.is_text and sink.cwe in _TEXTUAL else 0
    if points <= 0:
        return None
    shown = name.decode("utf-8", "replace")[-_SHOWN:]
    made = "a text made of " if its.is_text else ""
    source = _line(nodes, its.place) if its.place >= 0 else 0
    what = f"{shown} takes {made}{_said(its)}"
    return Hit(sink.cwe, _line(nodes, i), points, what, source)


def _said(its: Origin) -> str:
    if its.level == NAMED:
        return f"'{its.name}', which is from outside"
    if its.level >= ROUTED:
        return f"'{its.name}', which seems to be from outside"
    if its.level == OPEN:
        return "what is not fixed"
    return f"parameter '{its.name}'" if its.level == PARAMETER else f"inner parameter '{its.name}'"


def _given(nodes: Nodes, i: int, sink: Sink) -> list[int]:
    """Return the arguments that matter, or the object."""
    if sink.places == (-1,):
        first = next(iter(nodes.children(i)), -1)
        return [first] if first >= 0 else []
    its = [j for j in arguments(nodes, i) if not _is_plain(nodes, j)]
    if not sink.places:
        return its
    every = arguments(nodes, i)
    at = sink.places[0]
    return [every[at]] if at < len(every) and every[at] in its else []


def _is_plain(nodes: Nodes, j: int) -> bool:
    return nodes.role[j] == _STRING and nodes.stop[j] == j + 1


def _fits(nodes: Nodes, text: bytes, given: list[int], sink: Sink, its: Origin) -> bool | None:
    """Return whether a call is as its weakness needs it; False for half, None for not at all."""
    if sink.needs == "sql":
        return its.is_text or (False if its.is_sql else None)
    if sink.needs == "text":
        return its.is_text or (False if sink.cwe in (78, 94) else None)
    if sink.needs == "shell":
        if nodes.role[given[0]] == _LIST and b"True" not in text:
            return None
        return b"shell=True" in b"".join(text.split()) or (its.is_text and False)
    if sink.needs == "xml":
        return None if b"setFeature" in nodes.data or b"disallow-doctype" in nodes.data else True
    if sink.needs == "yaml":
        return None if b"Safe" in text else True
    if sink.needs == "product":
        return True if its.is_product else None
    return True


def _returned(nodes: Nodes, verdict: dict[int, str], origins: Origins) -> Iterator[Hit]:
    """Yield what a page gives back that is put together of data from outside."""
    for i, said in verdict.items():
        if said != "reached" or nodes.role[i] != _FUNC:
            continue
        for j in range(i, nodes.stop[i]):
            if nodes.role[j] != _RETURN or nodes.stop[j] == j + 1:
                continue
            its = origins.of(k for k in nodes.children(j) if nodes.role[k] not in _CALLS)
            if its.level >= ROUTED and its.is_text:
                points, what = (
                    1.0 + its.level + _TEXT_POINTS,
                    f"the page is a text made of {_said(its)}",
                )
                yield Hit(79, _line(nodes, j), points, what, _line(nodes, its.place))


def _sql_texts(nodes: Nodes) -> Iterator[Hit]:
    """Yield SQL texts that are put together of what is not fixed, wherever they go."""
    origins = None
    for i, code in enumerate(nodes.role):
        if code not in _PUT_TOGETHER or b" " not in nodes.text(i)[:_SHOWN]:
            continue
        if string_shape(_first_text(nodes, i)) != "sql":
            continue
        origins = origins or Origins(nodes)
        its = origins.of([i])
        if not its.is_text or its.is_treated or not (its.level or its.is_open):
            continue
        its.level = its.level or OPEN
        source = _line(nodes, its.place) if its.place >= 0 else 0
        what = f"an SQL text is made of {_said(its)}"
        yield Hit(_SQL, _line(nodes, i), _SQL_TEXT_POINTS + its.level, what, source)


def _first_text(nodes: Nodes, i: int) -> bytes:
    """Return the literal text that an expression begins with, b"" where it does with none."""
    for j in range(i, min(nodes.stop[i], i + 8)):
        if nodes.role[j] == _STRING:
            return nodes.text(j)
    return b""


def _anyway(nodes: Nodes) -> Iterator[Hit]:
    """Yield what is weak whatever reaches it."""
    known = anyway(_language(nodes))
    for i, code in enumerate(nodes.role):
        if code not in _BEGINNINGS:
            continue
        text = nodes.data[nodes.start[i] : min(nodes.end[i], nodes.start[i] + 200)]
        for one in _beginning(known, text):
            shown = " ".join(text.decode("utf-8", "replace").split())[:_SHOWN]
            shown = shown.split("=")[0].split(":")[0] if one.cwe == 798 else shown
            yield Hit(one.cwe, _line(nodes, i), one.points, f"'{shown}'")


def _beginning(known: tuple[Anyway, ...], text: bytes) -> Iterator[Anyway]:
    for one in known:
        if one.text.match(text):
            yield one
