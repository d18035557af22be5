"""The events of a Windows log as objects, whichever way the log is written."""

from collections.abc import Iterator
from typing import Any

from inoculate.domain import OnBad, Source
from inoculate.errors import RecordError
from inoculate.reading.documents import writable
from inoculate.reading.evtx import MAGIC, read_evtx
from inoculate.reading.json_lines import load_object
from inoculate.reading.lines import numbered, read_blocks
from inoculate.reading.sources import HEAD_BYTES
from inoculate.reading.windows_event import event_of

_MARKS = (b'"winlog"', b'"winlog.', b'"EventID"', b'"event_id"')
_BLOCK_BYTES = 8 << 20


def sniff_events(source: Source) -> float:
    """Return 1 for EVTX and for JSON Lines whose first object is an event."""
    if source.head.startswith(MAGIC):
        return 1.0
    start = source.head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start.startswith(b"{"):
        return 0.0
    try:
        event = event_of(load_object(start.split(b"\n")[0]))
    except ValueError:
        # the first event may be longer than the head
        cut = (
            len(source.head) >= HEAD_BYTES
            and b"\n" not in start
            and any(mark in start for mark in _MARKS)
        )
        return 0.6 if cut else 0.0
    return 1.0 if event.channel or event.provider else 0.5


def event_objects(source: Source, *, on_bad: OnBad) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the origin of each event and its JSON object; bad lines go to ``on_bad``.

    Raises:
        RecordError: EVTX without its header, or that grows beyond bounds.
    """
    is_evtx = source.head.startswith(MAGIC)
    lines = read_evtx(source, on_bad=on_bad) if is_evtx else _lines(source, on_bad)
    for origin, line in lines:
        try:
            record = writable(load_object(line), line)
        except ValueError as err:
            on_bad(RecordError(str(err), origin=origin))
        else:
            yield origin, record


def _lines(source: Source, on_bad: OnBad) -> Iterator[tuple[str, bytes]]:
    """Yield the origin and the bytes of each line."""
    for block in read_blocks(source, on_bad=on_bad, block_bytes=_BLOCK_BYTES):
        for number, line in numbered(block):
            yield f"{source.name}:{number}", line
