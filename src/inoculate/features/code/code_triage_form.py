"""How texts are handed to workers that look for what ``code_triage`` tells, and what comes back.

A request is that of ``code_form``. An answer is JSON, for each text its hits.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from inoculate.features.code.code_form import TEXTS, request
from inoculate.features.code.code_languages import language_named
from inoculate.features.code.code_reading import Ask
from inoculate.features.code.code_triage import MOST_HITS, Hit
from inoculate.features.code.code_weaknesses import NAMES

_ASKED_BYTES = 1 << 18
_MOST_TEXT = 200
_MOST_POINTS = 100.0


def hits_in(frame: pl.DataFrame, ask: Ask) -> list[list[Hit] | None]:
    """Return what looks like a weakness in each record; None for one that no worker survives.

    Args:
        frame: with ``text`` and ``language``.
        ask: asks workers of ``code_triage_answer``.
    """
    texts = [(t or "").encode("utf-8", "replace") for t in frame["text"]]
    languages = [language_named(name) or "" for name in frame["language"]]
    found: list[list[Hit] | None] = [None] * len(texts)
    again: list[int] = []
    for rows, told in _asked(_grouped(texts), texts, languages, ask):
        if told is None:
            again += rows
        for row, hits in zip(rows, told or (), strict=False):
            found[row] = hits
    for rows, told in _asked([[row] for row in again], texts, languages, ask):
        found[rows[0]] = told[0] if told else None
    return found


def _grouped(texts: Sequence[bytes]) -> list[list[int]]:
    groups: list[list[int]] = [[]]
    size = 0
    for row, text in enumerate(texts):
        if size + len(text) > _ASKED_BYTES and groups[-1]:
            groups.append([])
            size = 0
        groups[-1].append(row)
        size += len(text)
    return [group for group in groups if group]


def _asked(
    groups: Sequence[list[int]], texts: Sequence[bytes], languages: Sequence[str], ask: Ask
) -> Iterable[tuple[list[int], list[list[Hit]] | None]]:
    requests = (
        (TEXTS, request([texts[i] for i in group], [[languages[i]] for i in group]))
        for group in groups
    )
    for group, (answer, _) in zip(groups, ask(requests), strict=False):
        yield group, believed(answer[0], [texts[i] for i in group]) if answer else None


def believed(part: bytes, texts: Sequence[bytes]) -> list[list[Hit]] | None:
    """Return what an answer tells of some texts; None if it makes no sense.

    Whoever answers has looked at hostile bytes, so nothing of its form is taken for granted.
    """
    try:
        told = json.loads(part)
        if len(told) != len(texts):
            return None
        return [
            [_hit(its, text.count(b"\n") + 1) for its in hits[:MOST_HITS]]
            for hits, text in zip(told, texts, strict=True)
        ]
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return None


def _hit(told: Any, last: int) -> Hit:
    cwe, line, points, what, source = told
    hit = Hit(int(cwe), int(line), float(points), str(what)[:_MOST_TEXT], int(source))
    if hit.cwe not in NAMES or not (1 <= hit.line <= last and 0 <= hit.source <= last):
        raise ValueError("no such weakness, or a place outside of the text")
    if not 0 < hit.points < _MOST_POINTS:
        raise ValueError("points out of bounds")
    return hit
