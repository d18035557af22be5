"""What the functions do that a function calls in its own file, followed one step.

A function that hands a parameter to ``run``, which hands it to ``system``, is told of as if it
reached ``system`` itself, unless one of the two looked at the data. The arguments, conditions and
dropped results of the functions called are told as facts of kind ``callee``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inoculate.features.code.code_facts import Facts
from inoculate.features.code.code_tree import Nodes
from inoculate.features.code.code_words import tail

MOST_TOLD = 64
"""Facts of callees told of one function."""

_MOST_ALIKE = 3
_MOST_OF_ONE = 24
_MOST_WAYS = 64
_TOLD = frozenset(("args", "guard", "exit", "unchecked", "untested", "swallowed", "reached"))
_LOOKED_AT = frozenset(("guarded", "unguarded"))
_FROM_OUTSIDE = "param->"
_Ways = dict[str, bool]
_Into = dict[str, list[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class _Callee:
    """What a function does with its parameters.

    Attributes:
        told: its own facts of kind ``callee``.
        ways: what its parameters reach, and whether a condition looked at them all.
    """

    told: tuple[str, ...]
    ways: _Ways


def callees(functions: Sequence[tuple[str, Nodes, Facts]]) -> list[list[str]]:
    """Return for each function of a file what those of the file do that it calls.

    A name that more than three functions of the file have is not followed.

    Args:
        functions: name, nodes and facts of each.

    Returns:
        facts as ``kind:value``, at most ``MOST_TOLD`` of each function, without repeats.
    """
    named: dict[bytes, list[int]] = {}
    for i, (name, _, _) in enumerate(functions):
        named.setdefault(_simple(name), []).append(i)
    known: dict[int, _Callee] = {}
    out: list[list[str]] = []
    for i, (_, nodes, facts) in enumerate(functions):
        told: dict[str, None] = {}
        into: _Into | None = None
        for called in dict.fromkeys(called for _, _, called in nodes.calls.values()):
            its = [j for j in named.get(called, ()) if j != i]
            for j in its if len(its) <= _MOST_ALIKE else ():
                if j not in known:
                    known[j] = _callee(functions[j][2])
                into = _into(facts) if into is None else into
                for fact in _followed(known[j], into.get(tail(called), ())):
                    told[fact] = None
                    if len(told) >= MOST_TOLD:
                        break
            if len(told) >= MOST_TOLD:
                break
        out.append(list(told)[:MOST_TOLD])
    return out


def _simple(name: str) -> bytes:
    return name.replace("::", ".").rpartition(".")[2].encode("utf-8", "replace")


def _callee(facts: Facts) -> _Callee:
    told: dict[str, None] = {}
    ways: _Ways = {}
    for kind, value, _ in facts:
        if kind in _TOLD and len(told) < _MOST_OF_ONE:
            told[f"callee:{kind} {value}"] = None
        elif kind in _LOOKED_AT and value.startswith(_FROM_OUTSIDE):
            sink = value.removeprefix(_FROM_OUTSIDE)
            if sink in ways or len(ways) < _MOST_WAYS:
                ways[sink] = ways.get(sink, True) and kind == "guarded"
    return _Callee(tuple(told), ways)


def _into(facts: Facts) -> _Into:
    """Return by what data reaches it where that comes from, and how."""
    found: _Into = {}
    for kind, value, _ in facts:
        if kind in _LOOKED_AT:
            origin, _, sink = value.rpartition("->")
            found.setdefault(sink, []).append((kind, origin))
    return found


def _followed(callee: _Callee, into: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield what data of a function reaches through a callee, then what that does."""
    for kind, origin in into[:_MOST_WAYS]:
        for sink, is_guarded in callee.ways.items():
            way = f"{origin}->{sink}"
            yield f"direct:{way}"
            yield f"{'guarded' if is_guarded else kind}:{way}"
    yield from callee.told
