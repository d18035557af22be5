"""Reads an EVTX file chunk by chunk; workers parse them with Rust's ``evtx`` package.

Each chunk of 64 KiB stands on its own. Reading them one by one bounds memory, works on pipes,
and keeps damage where it is: a chunk that crashes or hangs its worker is one bad record.

Reference:
    Metz, "Windows XML Event Log (EVTX) format", libevtx documentation, sections 2 and 3.
"""

import importlib.util
from collections.abc import Iterator

from inoculate.domain import OnBad, Source
from inoculate.errors import MissingExtraError, RecordError, TruncatedError
from inoculate.reading.workers import WorkerError, WorkerLimits, shared_workers

MAGIC = b"ElfFile\0"
HEADER_BYTES = 4_096
CHUNK_BYTES = 65_536
_AT_ONCE = 16
_MOST_FAILURES = 3
_LIMITS = WorkerLimits(wall_s=20.0, cpu_s=2, memory_bytes=1 << 30, answer_bytes=32 << 20)
_ANSWER = "inoculate.reading.evtx_answer:answer"


def read_evtx(source: Source, *, on_bad: OnBad) -> Iterator[tuple[str, bytes]]:
    """Yield the origin, ``name#number``, and the JSON of each event, in order.

    What cannot be parsed, an event or a whole chunk, goes to ``on_bad`` at ``name@offset``.

    Raises:
        RecordError: the file does not begin as EVTX does; a third chunk has stopped its worker.
        MissingExtraError: the ``evtx`` package is not installed.
    """
    if importlib.util.find_spec("evtx") is None:
        raise MissingExtraError("EVTX needs the package evtx")
    header = _read(source, HEADER_BYTES)
    if not header.startswith(MAGIC):
        raise RecordError("the file does not begin as EVTX does", origin=f"{source.name}@0")
    offset, n_failed = len(header), 0
    while data := _read(source, _AT_ONCE * CHUNK_BYTES):
        for answer in _answers(data):
            place = f"{source.name}@{offset}"
            offset += CHUNK_BYTES
            if isinstance(answer, bytes):
                yield from _events(answer, source.name, place, on_bad)
                continue
            n_failed += 1
            problem = f"a chunk of events that cannot be parsed: {answer}"
            error = RecordError(problem, origin=place)
            if n_failed >= _MOST_FAILURES:
                raise error
            on_bad(error)
        if len(data) % CHUNK_BYTES:
            place = f"{source.name}@{offset - CHUNK_BYTES + len(data) % CHUNK_BYTES}"
            on_bad(TruncatedError("the file ends inside a chunk of events", origin=place))


def _read(source: Source, size: int) -> bytes:
    parts: list[bytes] = []
    while size and (piece := source.stream.read(size)):
        parts.append(piece)
        size -= len(piece)
    return b"".join(parts)


def _answers(data: bytes) -> Iterator[bytes | WorkerError]:
    """Yield what the workers say of each chunk, or why they say nothing."""
    workers = shared_workers(_ANSWER, _LIMITS)
    n = -(-len(data) // CHUNK_BYTES)
    try:
        parts = workers.ask(0, data)
        if len(parts) == n:
            yield from parts
            return
        failure = WorkerError(f"{len(parts)} answers for {n} chunks")
    except WorkerError as err:
        failure = err
    if n == 1:
        yield failure
        return
    for start in range(0, len(data), CHUNK_BYTES):
        yield from _answers(data[start : start + CHUNK_BYTES])


def _events(answer: bytes, name: str, place: str, on_bad: OnBad) -> Iterator[tuple[str, bytes]]:
    for line in answer.split(b"\n") if answer else ():
        if line.startswith(b"P"):
            on_bad(RecordError(line[1:].decode("utf-8", "replace"), origin=place))
            continue
        number, _, text = line[1:].partition(b" ")
        yield f"{name}#{number.decode('ascii', 'replace')}", text
