"""Lines of strace, sysdig, Falco and plain sequences, made into windows of calls."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from inoculate.domain import Batch
from inoculate.features.hosts.linux_calls import ARCHITECTURES, call_name
from inoculate.features.hosts.sequence import WINDOW, Window, Windows, window_starts

BATCH = 10_000
"""Windows in a batch."""

STRACE = re.compile(
    r"\s*(?:\[pid\s+(?P<p>\d+(?:<[^>]{0,64}>)?)\]\s+|(?P<q>\d+(?:<[^>]{0,64}>)?)\s+(?![\d.]+\())?"
    r"(?:[\d:.+]+\s+)?(?:\([+\d. ]+\)\s+)?(?:\[\s*[0-9a-f?]+\]\s+){0,2}"
    r"(?P<call>[a-z_]\w{0,63})\("
)
ASIDE = re.compile(
    r"\s*(?:\[pid\s+[^\]]*\]\s+|[\d<][^ ]*\s+)?(?:[\d:.+]+\s+)?(?:\[\s*[0-9a-f?]+\]\s+){0,2}"
    r"(?:---|\+\+\+|<\.\.\. |<detached|<unfinished|, |>|strace: |\?{3})"
)
ARCH = re.compile(r"#\s*arch(?:itecture)?\s*[:=]\s*(\S+)", re.IGNORECASE)
_NO_CALLS = frozenset(
    (
        *("switch", "procexit", "signaldeliver", "drop", "container", "notification", "infra"),
        *("asyncevent", "pluginevent", "page_fault", "procinfo", "cpu_hotplug", "NA", "unknown"),
    )
)
_LONGEST_NAME = 64
_MOST_LABELS = 100_000

_Row = tuple[str, str, str | None, int, list[str], str | None]
_Place = tuple[int, str | None]  # line number and name of the process


@dataclass(slots=True)
class TraceReader:
    """Turns lines of any of the formats into rows of a frame.

    Args:
        name: of the source; begins every origin.

    Attributes:
        rows: windows that wait for ``batch``.
    """

    name: str
    rows: list[_Row] = field(default_factory=list)
    architecture: str = "x86_64"
    windows: Windows[_Place] = field(default_factory=Windows)
    labels: dict[str, str] = field(default_factory=dict)
    has_label: bool = False
    is_strace: bool = False

    def take(self, number: int, text: str) -> None:
        """Take one line that is no JSON.

        Raises:
            ValueError: it is none of these formats, with the reason in plain words.
        """
        if text.lstrip()[:1] == "#":
            self._comment(text)
        elif (found := STRACE.match(text)) is not None:
            self.is_strace = True
            pid, _, process = (found["p"] or found["q"] or "").partition("<")
            self._call(_thread(pid or None), found["call"], (number, process[:-1] or None))
        elif not ASIDE.match(text):
            self._plain(number, text)

    def take_object(self, number: int, record: Mapping[str, Any]) -> None:
        """Take one JSON object, a call or a whole trace.

        Raises:
            ValueError: it is neither, with the reason in plain words.
        """
        label = record.get("label")
        label = label if isinstance(label, str) else None
        if "calls" in record:
            calls = listed(record["calls"])
            if not calls:
                raise ValueError("'calls' is no list of calls")
            trace = record.get("trace")
            known = isinstance(trace, str | int) and not isinstance(trace, bool)
            self._sequence(number, calls, str(trace) if known else f"line {number}", label)
            return
        inner = record.get("output_fields")
        event = record if "evt.type" in record or not isinstance(inner, dict) else inner
        call = event.get("evt.type")
        if not isinstance(call, str):
            raise ValueError("neither 'evt.type' nor 'calls'")
        if call in _NO_CALLS or event.get("evt.dir") == "<":
            return
        trace = _thread(event.get("thread.tid", event.get("proc.pid")))
        if label is not None and len(self.labels) < _MOST_LABELS:
            self.labels[trace] = label
        process = event.get("proc.name")
        process = process[:_LONGEST_NAME] if isinstance(process, str) else None
        self._call(trace, call[:_LONGEST_NAME], (number, process))

    def finish(self) -> None:
        """End all traces."""
        for window in self.windows.finish():
            self._row(window)

    def batch(self) -> Batch:
        """Return the oldest rows, and forget them."""
        rows, self.rows = self.rows[:BATCH], self.rows[BATCH:]
        schema: dict[str, Any] = {
            "origin": pl.String,
            "trace": pl.String,
            "process": pl.String,
            "first_call": pl.Int64,
            "calls": pl.List(pl.String),
            "label": pl.String,
        }
        frame = pl.DataFrame(rows, schema=schema, orient="row")
        return Batch(frame if self.has_label else frame.drop("label"))

    def _comment(self, text: str) -> None:
        found = ARCH.match(text.lstrip())
        if found is None:
            return
        name = {"amd64": "x86_64", "x86": "i386", "i686": "i386"}.get(found[1], found[1])
        if name not in ARCHITECTURES:
            have = " or ".join(ARCHITECTURES)
            raise ValueError(f"calls of {name[:20]!r} are not known by number, expected {have}")
        self.architecture = name

    def _plain(self, number: int, text: str) -> None:
        words = text.split()
        if self.is_strace or max(map(len, words), default=0) > _LONGEST_NAME:
            raise ValueError("neither a call of strace nor a sequence of calls")
        self._sequence(number, words, f"line {number}", None)

    def _call(self, trace: str, call: str, place: _Place) -> None:
        for window in self.windows.add(trace, call, place):
            self._row(window)

    def _sequence(self, number: int, words: list[str], trace: str, label: str | None) -> None:
        calls = [
            call_name(int(w), self.architecture) if w.isascii() and w.isdecimal() else w
            for w in (word[:_LONGEST_NAME] for word in words)
        ]
        self.has_label |= label is not None
        for first in window_starts(len(calls)):
            origin = f"{self.name}:{number}" + (f"@{first}" if first else "")
            part = calls[first : first + WINDOW]
            self.rows.append((origin, trace[:200], None, first, part, label))

    def _row(self, window: Window[_Place]) -> None:
        number, process = window.place
        label = self.labels.get(window.trace)
        self.has_label |= label is not None
        origin = f"{self.name}:{number}"
        self.rows.append((origin, window.trace, process, window.first, window.calls, label))


def _thread(number: object) -> str:
    """Return the name of a trace."""
    return "first process" if number is None else f"pid {str(number)[:20]}"


def listed(value: object) -> list[str]:
    """Return calls given as a list, or as a text split at blanks."""
    if isinstance(value, str):
        return value.split()
    some = value if isinstance(value, list) else []
    return [str(v) for v in some if isinstance(v, str | int) and not isinstance(v, bool)]
