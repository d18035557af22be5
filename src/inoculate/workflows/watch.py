"""Use case: follow logs or an interface, and hand over findings as they come.

Delivery is at-least-once: the position in a followed log is saved only after the findings of
everything before it were handed over, so a crash repeats some findings and loses none.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from inoculate.domain import Source
from inoculate.errors import InoculateError, InputError
from inoculate.finding import Finding, Report
from inoculate.reading.follow import FollowedFile
from inoculate.reading.interface import open_interface
from inoculate.store.detector import load_detector
from inoculate.workflows.intake import Intake
from inoculate.workflows.scan import Sink, check_request, detector_scanner, open_exceptions, report
from inoculate.workflows.scanner import Scanner

_MOST_KEPT = 1_000
_PCAP_HEADER_BYTES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRequest:
    """What to watch and how.

    Attributes:
        logs: files to follow through rotation and truncation; may not exist yet.
        interface: network interface to read instead of files.
        detector: artifact to scan with.
        false_alarms: rate of benign records that may alarm, in (0, 1).
        format: name of a domain; None tells it from the first bytes.
        skip_bad_records: count bad records and go on; else the first one ends the watch.
        positions: folder where the position in each log is kept; None starts at the beginning
            of each log at every start.
        drop_to: user to become after opening the interface, when started as root.
        exceptions: file of what shall not be reported, read once at the start.
    """

    logs: tuple[str, ...] = ()
    interface: str | None = None
    detector: Path
    false_alarms: float
    format: str | None = None
    skip_bad_records: bool = True
    positions: Path | None = None
    drop_to: str | None = None
    exceptions: Path | None = None


@dataclass(frozen=True, slots=True)
class Watched:
    """How a watch ended: what was counted, and what went wrong."""

    report: Report
    errors: tuple[InoculateError, ...]
    lost: dict[str, int]


def watch(
    request: WatchRequest,
    *,
    sink: Sink,
    stop: Callable[[], bool],
    status: Callable[[str], None] = lambda _: None,
) -> Watched:
    """Follow every source until ``stop()`` is true; each source has a thread of its own.

    Args:
        request: what to watch.
        sink: takes findings, one batch after another, never two at once.
        stop: asked several times a second.
        status: takes lines about what was lost or skipped while it runs.

    Raises:
        InputError: nothing to watch, both logs and an interface, or a rate outside (0, 1).
        PrivilegeError: the interface may not be opened.
    """
    if request.interface and request.logs:
        raise InputError("watch either log files or an --interface, not both at once")
    names = (request.interface,) if request.interface else request.logs
    check_request(names, request.false_alarms)
    start = time.perf_counter()
    stored = load_detector(request.detector)
    scanner = detector_scanner(stored, request.false_alarms)
    scanner.exceptions = open_exceptions(request.exceptions)
    intake = Intake(request.format, request.skip_bad_records)
    state = _State(scanner, intake, stored.manifest.kind, sink, stop, status)
    follow = state.interface if request.interface else state.log
    threads = [
        threading.Thread(target=state.guard, args=(follow, name, request), name=f"watch {name}")
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    result = report(scanner, intake, state.kept, unit=stored.manifest.unit, seconds=seconds)
    return Watched(result, tuple(state.errors), state.lost)


@dataclass(eq=False)
class _State:
    """What the threads of one watch share; the lock lets one of them scan at a time."""

    scanner: Scanner
    intake: Intake
    kind: str
    sink: Sink
    stop: Callable[[], bool]
    status: Callable[[str], None]
    kept: list[Finding] = field(default_factory=list)
    errors: list[InoculateError] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def guard(
        self, follow: Callable[[str, WatchRequest], None], name: str, request: WatchRequest
    ) -> None:
        """Follow one source; its error ends it and not the others."""
        try:
            follow(name, request)
        except InoculateError as err:
            self.errors.append(err)
            self.status(f"{err}; no longer watched")

    def log(self, name: str, request: WatchRequest) -> None:
        """Follow one log file."""
        place = _position_file(request.positions, name)
        if not Path(name).exists():
            self.status(f"{name}: not there yet; waiting for it")
        with closing(FollowedFile(Path(name), position_file=place, stop=self.stop)) as followed:
            head = followed.peek()
            if head:
                stream = _Committing(followed, self.status)
                self._scan(Source(name, None, head, cast(BinaryIO, stream)))
                followed.save()
            if followed.n_dropped_lines:
                self.intake.skipped["line longer than 1 MiB"] += followed.n_dropped_lines

    def interface(self, name: str, request: WatchRequest) -> None:
        """Read one interface."""
        with closing(open_interface(name, stop=self.stop, drop_to=request.drop_to)) as packets:
            head = packets.read(_PCAP_HEADER_BYTES)
            try:
                if head:
                    stream = cast(BinaryIO, _Replayed(head, packets))
                    self._scan(Source(name, None, head, stream))
            finally:
                self.lost[name] = packets.drops()

    def _scan(self, source: Source) -> None:
        domain = self.intake.domain(source)
        if domain.kind != self.kind:
            raise InputError(
                f"{source.name}: holds kind {domain.kind!r}, the detector works on {self.kind!r}"
            )
        for batch in domain.read(source, on_bad=self.intake.on_bad):
            with self.lock:
                counts = self.intake.counts
                counts[source.name] = counts.get(source.name, 0) + len(batch)
                findings = self.scanner.scan(domain, batch)
                self.kept += findings[: _MOST_KEPT - len(self.kept)]
                if findings:
                    self.sink(findings)
                drift = self.scanner.drift
                if drift and (note := drift.turn(time.monotonic(), domain.unit)):
                    self.status(note)


class _Readable(Protocol):
    def read1(self, size: int = -1, /) -> bytes: ...


class _Replayed:
    """A stream whose first bytes were read already, to tell its format."""

    def __init__(self, head: bytes, rest: _Readable) -> None:
        self._head, self._rest = head, rest

    def read1(self, size: int = -1, /) -> bytes:
        """Return the head first, then what the stream has."""
        if self._head:
            piece, self._head = (
                (self._head, b"") if size < 0 else (self._head[:size], self._head[size:])
            )
            return piece
        return self._rest.read1(size)

    read = read1


class _Committing:
    """A followed log whose position is saved once everything returned was dealt with.

    A reader that asks for more has yielded all records of what it was given, and the watch
    has handed over their findings: so each read saves the position of the one before.
    """

    def __init__(self, followed: FollowedFile, status: Callable[[str], None]) -> None:
        self._followed, self._status = followed, status
        self._dealt_with = False

    def read(self, size: int = -1, /) -> bytes:
        """Save how far everything before this call reached, then return whole new lines."""
        if self._dealt_with:
            self._followed.save()
        self._dealt_with = True
        lines = self._followed.read(size)
        for note in self._followed.take_notes():
            self._status(note)
        return lines

    read1 = read


def _position_file(folder: Path | None, name: str) -> Path | None:
    """Return where the position in a log is kept: named after the log and its whole path."""
    if folder is None:
        return None
    digest = hashlib.sha256(str(Path(name).absolute()).encode()).hexdigest()[:12]
    return folder / f"{Path(name).name}-{digest}.position.json"
