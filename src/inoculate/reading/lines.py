"""Cuts a stream of text into blocks of whole lines with exact line numbers, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from inoculate.domain import OnBad, Source, raise_bad
from inoculate.errors import RecordError, TruncatedError

BLOCK_BYTES = 16 * 1024 * 1024
LONGEST_LINE = 1024 * 1024
"""Longest line in bytes; a longer one is a bad record and is dropped."""

_BOM = b"\xef\xbb\xbf"
_PACKED = (
    b"\x1f\x8b",
    b"x\x01",
    b"x\x5e",
    b"x\x9c",
    b"x\xda",
    b"\x28\xb5\x2f\xfd",
    b"BZh",
    b"\xfd7z",
)


@dataclass(frozen=True, slots=True)
class Block:
    """Some consecutive lines.

    Attributes:
        data: the lines, each ended by a newline (also the last of a file that has none);
            a carriage return before the newline is removed.
        first_line: number of the first line, from 1.
    """

    data: bytes
    first_line: int

    @property
    def n_lines(self) -> int:
        """Number of lines."""
        return count(self.data, b"\n")

    def lines(self) -> list[bytes]:
        """Return the lines without their newlines."""
        return self.data.split(b"\n")[:-1]


def read_blocks(
    source: Source, *, on_bad: OnBad = raise_bad, block_bytes: int = BLOCK_BYTES
) -> Iterator[Block]:
    """Yield the lines of a source in blocks of about ``block_bytes``, short reads at once.

    A line longer than ``LONGEST_LINE`` goes to ``on_bad`` and is dropped without being held in
    memory. Where the stream ends in an error (cut or damaged gzip) the whole lines before it
    are yielded first, then the error goes to ``on_bad``.
    """
    cutter = _Cutter(source.name)
    failure: RecordError | None = None
    while True:
        try:
            data = source.stream.read(block_bytes)
        except RecordError as err:
            failure = err
            break
        if not data:
            break
        yield from cutter.feed(data, on_bad)
    yield from cutter.finish(on_bad, whole=failure is None)
    if failure is not None:
        on_bad(_with_line(failure, cutter.line))


def _with_line(failure: RecordError, line: int) -> RecordError:
    kind = TruncatedError if isinstance(failure, TruncatedError) else RecordError
    return kind(f"{failure.problem}; {line - 1} whole lines before it", origin=failure.origin)


class _Cutter:
    """Whole lines out of pieces of any size."""

    def __init__(self, name: str) -> None:
        self.line = 1  # number of the next line that has not begun to be yielded
        self._name = name
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._dropping = False
        self._at_start = True

    def feed(self, data: bytes, on_bad: OnBad) -> Iterator[Block]:
        end = data.rfind(b"\n") + 1
        if self._dropping:
            begin = data.find(b"\n") + 1
            if not begin:
                return
            self._end_dropped(on_bad)
            yield from self.feed(data[begin:], on_bad)
        elif end:
            whole = b"".join([*self._rest, data[:end]])
            self._rest, self._rest_bytes = [], 0
            yield from self._blocks(whole, on_bad)
            self._hold(data[end:])
        else:
            self._hold(data)

    def finish(self, on_bad: OnBad, *, whole: bool) -> Iterator[Block]:
        """Yield the last line, which may lack its newline unless the stream was cut."""
        if self._dropping:
            self._end_dropped(on_bad)
        elif self._rest and whole:
            last, self._rest = b"".join(self._rest), []
            yield from self._blocks(last + b"\n", on_bad)

    def _hold(self, data: bytes) -> None:
        if data:
            self._rest.append(data)
            self._rest_bytes += len(data)
        if len(self._rest) > 1000:
            self._rest = [b"".join(self._rest)]
        if self._rest_bytes > LONGEST_LINE + 1:
            self._rest, self._rest_bytes, self._dropping = [], 0, True

    def _end_dropped(self, on_bad: OnBad) -> None:
        self._dropping = self._at_start = False
        self._too_long(on_bad)

    def _too_long(self, on_bad: OnBad) -> None:
        problem = f"the line is longer than {LONGEST_LINE // 1024} KiB"
        self.line += 1
        on_bad(RecordError(problem, origin=f"{self._name}:{self.line - 1}"))

    def _blocks(self, data: bytes, on_bad: OnBad) -> Iterator[Block]:
        """Yield whole lines, without those that are too long."""
        if self._at_start:
            data = data.removeprefix(_BOM)
            self._at_start = False
        begin = at = 0
        while at < len(data):
            # the last newline in reach: one search for a megabyte of usual lines
            newline = data.rfind(b"\n", at, at + LONGEST_LINE + 1)
            if newline >= 0:
                at = newline + 1
                continue
            yield from self._block(data[begin:at])
            begin = at = data.find(b"\n", at) + 1
            self._too_long(on_bad)
        yield from self._block(data[begin:])

    def _block(self, data: bytes) -> Iterator[Block]:
        if data:
            first = self.line
            self.line += count(data, b"\n")
            yield Block(data.replace(b"\r\n", b"\n") if b"\r" in data else data, first)


def numbered(block: Block, comment: bytes = b"") -> Iterator[tuple[int, bytes]]:
    """Yield the number and the bytes of each line that is neither blank nor a comment.

    Args:
        block: any lines.
        comment: what begins a comment; with a newline at its end, the whole of one; b"" none.
    """
    for number, line in enumerate(block.lines(), start=block.first_line):
        if line.strip(b" ") and not (comment and (line + b"\n").startswith(comment)):
            yield number, line


def count(data: bytes, character: bytes) -> int:
    """Return how often one character is in data (faster than ``bytes.count`` where it is often)."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == character[0]))


def has_gaps(block: Block, comment: bytes = b"") -> bool:
    """Return True when some line is empty or a comment, so that rows are not lines."""
    if block.data.startswith((b"\n", comment) if comment else b"\n"):
        return True
    octets = np.frombuffer(block.data, np.uint8)
    after = octets[1:][octets[:-1] == ord("\n")]
    if (after == ord("\n")).any():
        return True
    return bool(comment) and bool((after == comment[0]).any()) and b"\n" + comment in block.data


def looks_packed(data: bytes) -> bool:
    """Return True for bytes that a parser may take for compressed, and unpack without bound."""
    return data.startswith(_PACKED)
