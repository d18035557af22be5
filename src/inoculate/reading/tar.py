"""The members of a tar archive, read forward once, in bounded memory; see ``reading.archives``."""

from collections.abc import Callable, Iterator

from inoculate.domain import Source
from inoculate.errors import RecordError, TruncatedError

_BLOCK = 512
_PIECE_BYTES = 1 << 20
_LONGEST_HEADER = 1 << 20
_MOST_EXTRA = 100
_SKIPPED = {
    b"1": "a link in an archive", b"2": "a link in an archive", b"3": "a device in an archive",
    b"4": "a device in an archive", b"6": "a pipe in an archive", b"S": "a sparse file in a tar",
}  # fmt: skip

Member = tuple[str, str, Callable[[int], bytes]]
"""Name, problem ("" for a plain file) and how to read it."""


def read_tar(source: Source) -> Iterator[Member]:
    """Yield members; one may be read until the next is asked for.

    Raises:
        RecordError: the structure is damaged or cut off; nothing after it can be read.
    """
    reader = _Reader(source)
    pending: dict[str, str] = {}
    n_extra = 0
    while header := reader.header():
        kind, size = header[156:157], reader.number(header[124:136])
        if kind in b"xLgK" and kind:
            n_extra += 1
            if n_extra > _MOST_EXTRA:
                raise RecordError("too many headers for one member of a tar", origin=source.name)
            pending |= _extra(kind, reader.text(size))
            continue
        n_extra = 0
        name = pending.get("path") or _name(header)
        size = _size(pending.get("size"), size, source.name)
        pending = {}
        if kind == b"5":
            reader.skip(size)
            continue
        # links carry a size in some archives, but no data
        reader.left = 0 if kind in (b"1", b"2") else size
        reader.padding = -reader.left % _BLOCK
        plain = kind in (b"0", b"\0", b"7")
        yield name, "" if plain else _SKIPPED.get(kind, "a special file in an archive"), reader.more
        reader.skip(reader.left)


class _Reader:
    """A stream with the rest of the member that is being read."""

    def __init__(self, source: Source) -> None:
        self._stream, self._name = source.stream, source.name
        self.left = 0
        self.padding = 0

    def header(self) -> bytes:
        """Return the next header block, b"" at the end of the archive."""
        block = self._stream.read(_BLOCK)
        while block and len(block) < _BLOCK:
            piece = self._stream.read(_BLOCK - len(block))
            if not piece:
                raise TruncatedError("the tar is cut off", origin=self._name)
            block += piece
        if not block.strip(b"\0"):
            return b""
        total = sum(block[:148]) + sum(block[156:]) + 8 * 32
        if total != self.number(block[148:156]):
            raise RecordError("damaged tar: a header's checksum is wrong", origin=self._name)
        return block

    def number(self, digits: bytes) -> int:
        """Return a number written in octal, or in base 256."""
        if digits[:1] == b"\x80":
            return int.from_bytes(digits[1:], "big")
        try:
            return int(digits.split(b"\0")[0].strip() or b"0", 8)
        except ValueError as err:
            raise RecordError("damaged tar: a number is none", origin=self._name) from err

    def text(self, size: int) -> bytes:
        """Return the data of an extra header."""
        if size > _LONGEST_HEADER:
            raise RecordError(f"damaged tar: a header of {size} bytes", origin=self._name)
        self.left, self.padding = size, -size % _BLOCK
        pieces = []
        while self.left:
            pieces.append(self.more(self.left))
        self.skip(0)
        return b"".join(pieces)

    def more(self, size: int) -> bytes:
        """Return some bytes of the member, b"" at its end."""
        if not self.left or not size:
            return b""
        data = self._stream.read(min(size, self.left))
        if not data:
            self.left = self.padding = 0
            raise TruncatedError("the tar is cut off", origin=self._name)
        self.left -= len(data)
        return data

    def skip(self, size: int) -> None:
        """Go on to the next header, over so many bytes of data."""
        self.left = size + (self.padding if size == self.left else -size % _BLOCK)
        self.padding = 0
        while self.left:
            self.more(_PIECE_BYTES)


def _name(header: bytes) -> str:
    name, prefix = (header[a:b].split(b"\0")[0] for a, b in ((0, 100), (345, 500)))
    if header[257:263] == b"ustar\0" and prefix:
        name = prefix + b"/" + name
    return name.decode("utf-8", "replace")


def _extra(kind: bytes, data: bytes) -> dict[str, str]:
    """Return what an extra header says of the next member: path and size."""
    if kind == b"L":
        return {"path": data.split(b"\0")[0].decode("utf-8", "replace")}
    found = {}
    while kind == b"x" and data:
        length, _, rest = data.partition(b" ")
        if not length.isdigit() or len(length) > 7 or not 0 < int(length) <= len(data):
            break
        key, _, value = rest[: int(length) - len(length) - 1].rstrip(b"\n").partition(b"=")
        if key in (b"path", b"size"):
            found[key.decode()] = value.decode("utf-8", "replace")
        if key.startswith(b"GNU.sparse"):
            found["sparse"] = "1"
        data = data[int(length) :]
    return found


def _size(told: str | None, size: int, origin: str) -> int:
    if told is None:
        return size
    if not told.isascii() or not told.isdigit() or len(told) > 15:
        raise RecordError("damaged tar: a size is no number", origin=origin)
    return int(told)
