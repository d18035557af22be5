"""Trees of processes from their starts, as they come, in bounded memory.

Each process is the root of a tree: what it started, and what that started, until ``WINDOW_S``
after its own start. Who started it is known by name, up to ``MOST_ANCESTORS`` levels up. A
process is known by host and number, and a number that is used again is a new process.

What bounds memory: so many processes a tree, so many trees open, so many processes remembered;
of those whose tree was told only the names stay. A host whose clock goes back an hour has begun
another recording.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from inoculate.reading.windows_event import Started

WINDOW_S = 300.0
"""A tree holds what was started so many seconds after its root."""
MOST_MEMBERS = 256
MOST_ANCESTORS = 8
MOST_DEPTH = 32
MOST_OPEN = 10_000
MOST_KNOWN = 20_000
"""So many processes can be found again as a parent, those that started a process last."""
MOST_COMMAND = 2_048
_MOST_IMAGE = 500
_LATE_S = 5.0
_ANOTHER_RECORDING_S = 3_600.0

_Key = tuple[str, int]


@dataclass(slots=True, eq=False)
class Process:
    """A process, and what was started below it while its tree is open.

    Attributes:
        origin: of the event that told its start.
        host: whose number it has.
        time: of its start, in seconds since 1970; None where unknown.
        image: its file; None where unknown.
        command_line: None where unknown.
        label: as the event carries it.
        ancestors: files of its parent, of that one's parent ...; "" where one is unknown.
        members: processes below it, in the order of their starts.
        is_cut: True when there were more.
        parent: the one that started it, while its own tree is open.
        is_told: True when its tree is closed.
    """

    origin: str
    host: str
    time: float | None
    image: str | None
    command_line: str | None
    label: str | None = None
    ancestors: tuple[str, ...] = ()
    members: list["Process"] = field(default_factory=list)
    is_cut: bool = False
    parent: "Process | None" = None
    is_told: bool = False

    def parents(self) -> list[int]:
        """Return for root and members the place of each one's parent among them, -1 for the root.

        A member whose parent was left out of the tree hangs below the root.
        """
        place = {id(self): 0} | {id(m): i for i, m in enumerate(self.members, start=1)}
        return [-1, *(place.get(id(m.parent), 0) for m in self.members)]


@dataclass(slots=True, eq=False)
class _Host:
    now: float = -float("inf")
    open: deque[Process] = field(default_factory=deque)


class Trees:
    """Makes trees of the starts of processes on any number of hosts.

    Args:
        window_s: see ``WINDOW_S``.
        most_open: trees open at once; beyond, the oldest of the host silent longest is closed.
        most_known: see ``MOST_KNOWN``.
    """

    def __init__(
        self,
        *,
        window_s: float = WINDOW_S,
        most_open: int = MOST_OPEN,
        most_known: int = MOST_KNOWN,
    ) -> None:
        self.window_s = window_s
        self.most_open = most_open
        self.most_known = most_known
        self._known: OrderedDict[_Key, Process] = OrderedDict()
        self._hosts: OrderedDict[str, _Host] = OrderedDict()
        self._n_open = 0

    def add(self, started: Started, origin: str) -> Iterator[Process]:
        """Take the start of a process; yield the roots of trees that are closed by now.

        A yielded process has to be looked at before the next one is asked for.
        """
        host = (started.computer or "").lower()
        process = Process(
            origin,
            host,
            start_time(started.time),
            started.image[:_MOST_IMAGE] if started.image else None,
            None if started.command_line is None else started.command_line[:MOST_COMMAND],
            started.label,
        )
        if self._is_told_again(process, started.pid):
            return
        yield from self._advance(host, process.time)
        self._link(process, started)
        if started.pid is not None:
            self._remember((host, started.pid), process)
        self._hosts[host].open.append(process)
        self._n_open += 1
        while self._n_open > self.most_open:
            yield from self._close_oldest()

    def finish(self) -> Iterator[Process]:
        """Yield the trees that are still open."""
        while self._n_open:
            yield from self._close_oldest()

    def _is_told_again(self, process: Process, pid: int | None) -> bool:
        """Return whether Sysmon and Security tell of one start; what one lacks is filled in."""
        known = None if pid is None else self._known.get((process.host, pid))
        if known is None or known.is_told or base_name(known.image) != base_name(process.image):
            return False
        if known.origin == "" or abs(gap(known, process) or 0.0) > _LATE_S:
            return False
        if known.command_line is None:
            known.command_line = process.command_line
        if known.label is None:
            known.label = process.label
        return True

    def _advance(self, name: str, time: float | None) -> Iterator[Process]:
        """Let a host's clock go on, and yield what is closed thereby."""
        host = self._hosts.setdefault(name, _Host())
        self._hosts.move_to_end(name)
        if time is None:
            return
        if time < host.now - _ANOTHER_RECORDING_S:
            while host.open:
                yield from self._tell(host)
            host.now = time
        host.now = max(host.now, time)
        while host.open and self._is_over(host.open[0], host.now):
            yield from self._tell(host)

    def _is_over(self, root: Process, now: float) -> bool:
        return root.time is None or now > root.time + self.window_s + _LATE_S

    def _tell(self, host: _Host) -> Iterator[Process]:
        root = host.open.popleft()
        self._n_open -= 1
        root.is_told = True
        yield root
        root.members, root.parent, root.command_line = [], None, None

    def _close_oldest(self) -> Iterator[Process]:
        name, host = next(iter(self._hosts.items()))
        if host.open:
            yield from self._tell(host)
        if not host.open:
            del self._hosts[name]

    def _link(self, process: Process, started: Started) -> None:
        """Find the parent, and enter the process into the trees it belongs to."""
        parent = self._parent(process, started)
        if parent is None:
            return
        process.parent = None if parent.is_told else parent
        process.ancestors = (parent.image or "", *parent.ancestors)[:MOST_ANCESTORS]
        above: Process | None = process.parent
        for _ in range(MOST_DEPTH):
            if above is None or above.is_told:
                return
            if (gap(above, process) or 0.0) <= self.window_s:
                if len(above.members) < MOST_MEMBERS:
                    above.members.append(process)
                else:
                    above.is_cut = True
            above = above.parent

    def _parent(self, process: Process, started: Started) -> Process | None:
        pid, image = started.parent_pid, started.parent_image
        key = None if pid is None else (process.host, pid)
        known = None if key is None else self._known.get(key)
        if known is not None and key is not None:
            same = not image or not known.image or base_name(known.image) == base_name(image)
            if same and (gap(known, process) or 0.0) >= -_LATE_S:
                self._known.move_to_end(key)
                return known
        if not image:
            return None
        stub = Process("", process.host, None, image[:_MOST_IMAGE], None, is_told=True)
        if key is not None and known is None:
            self._remember(key, stub)
        return stub

    def _remember(self, key: _Key, process: Process) -> None:
        self._known[key] = process
        self._known.move_to_end(key)
        while len(self._known) > self.most_known:
            self._known.popitem(last=False)


def gap(earlier: Process, later: Process) -> float | None:
    """Return the seconds between two starts, None where one is unknown."""
    if earlier.time is None or later.time is None:
        return None
    return later.time - earlier.time


def start_time(text: str | None) -> float | None:
    """Return seconds since 1970 of a time as events have it, in UTC unless it says otherwise.

    Example:
        >>> start_time("2020-09-20 16:16:43.5"), start_time("2020-09-20T16:16:43Z")
        (1600618603.5, 1600618603.0)
    """
    try:
        found = datetime.fromisoformat((text or "").strip().replace(" UTC", "Z"))
    except ValueError:
        return None
    try:
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError):
        return None


def base_name(image: str | None) -> str:
    r"""Return the last part of a file's path in lower case.

    Example:
        >>> base_name(r"C:\Windows\Cmd.exe"), base_name(None)
        ('cmd.exe', '')
    """
    return (image or "").replace("/", "\\").rpartition("\\")[2].strip('" ').lower()
