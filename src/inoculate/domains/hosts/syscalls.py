"""System calls of Linux processes: strace text, sysdig or Falco JSON Lines, plain sequences.

An analyst has them from a sandbox, from Falco or sysdig on servers and containers, or from strace
on a single host. What a process asks of the kernel shows what it does, whatever it calls itself.

A record is a window of at most 200 consecutive calls of one trace; the windows of a long trace
begin 100 calls apart. A trace is one thread where the source tells them apart (the column
``trace``: ``pid 17``), else one line of a file of sequences, else the whole file. A finding
is a window; the verdict on a trace is the maximum over its windows, calibrated on the maxima of
the background's traces. A trace of up to 4,096 calls can be encoded as one record, by a frame whose
``calls`` hold the whole.

Formats: strace(1), with or without process ids, times (``-t``, ``-r``), call numbers (``-n``) and
process names (``-Y``); an unfinished call counts where it begins. Sysdig's and Falco's events
``-j``, one a line, keys ``evt.type``, ``thread.tid`` or ``proc.pid``; of an event's two directions
the entry counts. JSON Lines with a whole trace a line under ``calls`` (a list, or a text split at
blanks), beside ``trace`` and ``label`` where wanted. Plain text with a trace a line, names or
numbers; numbers are of x86_64 unless a line ``# arch: i386`` came before.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import polars as pl

from inoculate.domain import Batch, Domain, OnBad, Source, View, raise_bad
from inoculate.errors import RecordError
from inoculate.features.hashing import hashed_view, in_views, token_grams, token_grams_in
from inoculate.features.hosts.linux_calls import CATEGORIES, call_categories, same_calls
from inoculate.features.hosts.sequence import sequence_shape, sequence_view
from inoculate.features.hosts.traces import ARCH, ASIDE, BATCH, STRACE, TraceReader, listed
from inoculate.reading.documents import writable
from inoculate.reading.json_lines import load_object
from inoculate.reading.lines import numbered, read_blocks
from inoculate.task import Encoded

_ORDERS = {"call": 1, "pair": 2, "triple": 3}
_WIDTHS = {"call": 128, "pair": 256, "triple": 128}
_ABOUT = {"call": "system calls", "pair": "pairs of system calls", "triple": "runs of 3 calls"}
VIEWS = (
    sequence_view("system calls", CATEGORIES),
    *(hashed_view(name, width, _ABOUT[name]) for name, width in _WIDTHS.items()),
)

_BLOCK_BYTES = 4 << 20
_SNIFFED_LINES = 20


class Syscalls(Domain):
    """Windows of system calls."""

    kind: ClassVar[str] = "syscalls"
    unit: ClassVar[str] = "trace window"
    identity: ClassVar[tuple[str, ...]] = ("trace", "process", "first_call")
    part_of: ClassVar[str] = "trace"

    def sniff(self, source: Source) -> float:
        """Return 0.9 or more for calls by name, 0.4 for lines of nothing but small numbers."""
        text = source.head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
        lines = [line for line in text.split("\n")[:200] if line.strip()]
        lines = (lines[:-1] if len(lines) > 1 else lines)[:_SNIFFED_LINES]
        if not lines or "\0" in text:
            return 0.0
        if lines[0].lstrip().startswith("{"):
            return _sniff_json(lines[0])
        strace = [STRACE.match(line) is not None for line in lines]
        aside = sum(ASIDE.match(line) is not None for line in lines)
        if any(strace) and sum(strace) + aside >= 0.8 * len(lines):
            known = sum(bool(m) and m["call"] in _names() for m in map(STRACE.match, lines) if m)
            return 0.95 if known >= 0.8 * sum(strace) else 0.3
        return _sniff_plain(lines)

    def read(self, source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Batch]:
        """Yield batches of windows; see the base class."""
        reader = TraceReader(source.name)
        for block in read_blocks(source, on_bad=on_bad, block_bytes=_BLOCK_BYTES):
            for number, line in numbered(block):
                if not line.strip():
                    continue
                try:
                    if line.lstrip()[:1] == b"{":
                        reader.take_object(number, writable(load_object(line), line))
                    else:
                        text = line.decode("utf-8", "replace")
                        reader.take(number, text.replace("\0", "\ufffd"))
                except ValueError as err:
                    on_bad(RecordError(str(err), origin=f"{source.name}:{number}"))
                if len(reader.rows) >= BATCH:
                    yield reader.batch()
        reader.finish()
        while reader.rows:
            yield reader.batch()

    def views(self, batch: Batch) -> tuple[View, ...]:
        """Return ``VIEWS``."""
        return VIEWS

    def encode(self, batch: Batch, views: Sequence[View]) -> Encoded:
        """Return the windows as numbers, from the column ``calls`` (List(String)) alone."""
        calls = batch.frame["calls"]
        same = pl.element().replace(same_calls())
        calls = calls.cast(pl.List(pl.String)).list.eval(same)
        out = {"shape": sequence_shape(calls, call_categories(), CATEGORIES)}
        for name, order in _ORDERS.items():
            out[name] = token_grams(calls, _WIDTHS[name], orders=(order,))
        return in_views(out, VIEWS, views)

    def quote(self, record: Mapping[str, Any], column: str) -> str:
        """Return up to four of the calls, or runs of calls, that a column counted."""
        view, _, number = column.rpartition("_")
        if view not in _ORDERS or not number.isdecimal():
            return ""
        same = same_calls()
        calls = [same.get(c, c) for c in record.get("calls") or () if c is not None]
        grams = token_grams_in(calls, int(number), _WIDTHS[view], orders=(_ORDERS[view],))
        return " ".join(f"'{g[:48]}'" for g in grams[:4])


def _names() -> Mapping[str, str]:
    return call_categories() | same_calls()


def _sniff_json(line: str) -> float:
    try:
        record = load_object(line.encode("utf-8", "replace"))
    except ValueError:
        return 0.9 if '"evt.type"' in line else 0.0
    inner = record.get("output_fields")
    if "evt.type" in record or (isinstance(inner, dict) and "evt.type" in inner):
        return 1.0
    calls = listed(record.get("calls"))
    return 0.9 if calls and _known_share(calls) >= 0.5 else 0.0


def _sniff_plain(lines: Sequence[str]) -> float:
    if any(ARCH.match(line) for line in lines[:1]):
        return 0.95
    words = [w for line in lines if not line.startswith("#") for w in line[:4000].split()]
    if len(words) < 3:
        return 0.0
    if all(w.isascii() and w.isdecimal() and len(w) <= 3 for w in words):
        return 0.4 if all(len(line.split()) > 2 for line in lines[:3]) else 0.0
    return 0.9 if _known_share(words) >= 0.8 else 0.0


def _known_share(words: Sequence[str]) -> float:
    names = _names()
    return sum(w in names for w in words) / len(words)
