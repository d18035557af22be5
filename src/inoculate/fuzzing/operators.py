"""Mutates inputs: families of operators, how often they strike, and where.

The set is AFL's havoc set (M. Zalewski, afl-fuzz, technical details), sorted into families so
that a policy can prefer one, with three more: tokens of text, fields that hold a length, and
changes that keep a sum or an exclusive-or as it was. The standard library only: the same code
runs beside AFL++, inside atheris and in training.
"""

import random
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

FAMILIES = (
    "mixed",
    "bits",
    "bytes",
    "arithmetic",
    "interesting",
    "delete",
    "insert",
    "overwrite",
    "duplicate",
    "splice",
    "dictionary",
    "tokens",
    "lengths",
    "balanced",
)
INTENSITIES = (1, 2, 4, 8, 16)
REGIONS = ("anywhere", "hot", "near")
MAX_INPUT = 1 << 20

_INTERESTING = {
    1: (-128, -1, 0, 1, 16, 32, 64, 100, 127),
    2: (-32768, -129, 128, 255, 256, 512, 1000, 1024, 4096, 32767),
    4: (-2147483648, -100663046, -32769, 32768, 65535, 65536, 100663045, 2147483647),
}
_NUMBERS = (b"0", b"1", b"-1", b"127", b"255", b"256", b"65536", b"2147483648", b"1e9", b"00")
_PAIRS = (b"()", b"[]", b"{}", b"<>", b'""', b"''")
_TOKEN = re.compile(rb"[0-9]{1,64}|[A-Za-z_]{1,64}|[^\sA-Za-z0-9_]")
_READ = {
    (width, order): struct.Struct(("<" if order == "little" else ">") + letter)
    for width, letter in ((1, "B"), (2, "H"), (4, "I"))
    for order in ("little", "big")
}
_ARITH_MAX = 35
_NEAR = 8
_SCAN = 24


@dataclass(slots=True)
class Material:
    """What a mutation may draw on.

    Attributes:
        data: the seed.
        other: another seed, to splice with.
        hot: places of the seed whose change has changed what the program did.
        near: the place whose change made this seed new, -1 where that is not known.
    """

    data: bytes
    other: bytes = b""
    hot: Sequence[int] = ()
    near: int = -1


@dataclass(slots=True)
class Mutator:
    """Makes mutants of one program's seeds.

    Args:
        rng: the only source of chance.
        dictionary: tokens worth inserting.
        max_size: no mutant is longer, in bytes.

    Attributes:
        struck: places changed in the last mutant.
    """

    rng: random.Random
    dictionary: list[bytes] = field(default_factory=list)
    max_size: int = 4096
    struck: list[int] = field(default_factory=list)
    _from: Material = field(default_factory=lambda: Material(b""))
    _region: int = 0

    def mutate(self, of: Material, *, operator: int, intensity: int, region: int) -> bytes:
        """Return one mutant, at most ``max_size`` bytes; it may equal its seed.

        Args:
            of: the seed and what goes with it.
            operator: index into ``FAMILIES``.
            intensity: index into ``INTENSITIES``.
            region: index into ``REGIONS``; ``anywhere`` where the region is not known.
        """
        known = (True, bool(of.hot), of.near >= 0)[region]
        self._from, self._region = of, region if known else 0
        self.struck = []
        buf = bytearray(of.data[: self.max_size])
        for _ in range(INTENSITIES[intensity]):
            one = operator or 1 + int(self.rng.random() * (len(_OPERATORS) - 1))
            if not buf:
                one = _INSERT
            _OPERATORS[one](self, buf)
            del buf[self.max_size :]
        return bytes(buf)

    def place(self, size: int) -> int:
        """Return a place in 0 .. size - 1 within the region asked for, and note it."""
        draw = self.rng.random
        if self._region == 1:
            hot = self._from.hot
            at = hot[int(draw() * len(hot))]
        elif self._region == 2:
            at = self._from.near + int(draw() * (2 * _NEAR + 1)) - _NEAR // 2
        else:
            at = int(draw() * size)
        if not 0 <= at < size:
            at = int(draw() * size)
        self.struck.append(at)
        return at

    def length(self, most: int) -> int:
        """Return a block's length, 1 to ``most``, short ones mostly."""
        draw = self.rng.random
        top = (4, 16, 64, most)[int(draw() * 4)]
        return 1 + int(draw() * min(top, most))


def _bits(self: Mutator, buf: bytearray) -> None:
    buf[self.place(len(buf))] ^= 1 << int(self.rng.random() * 8)


def _bytes(self: Mutator, buf: bytearray) -> None:
    buf[self.place(len(buf))] = int(self.rng.random() * 256)


def _width(self: Mutator, size: int) -> int:
    width = (1, 2, 4)[int(self.rng.random() * 3)]
    return width if width <= size else 1


def _number(buf: bytearray, at: int, width: int, order: str) -> int:
    return int.from_bytes(buf[at : at + width], order)  # type: ignore[arg-type]


def _write(buf: bytearray, at: int, width: int, order: str, value: int) -> None:
    buf[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, order)  # type: ignore[arg-type]


def _order(self: Mutator) -> str:
    return "little" if self.rng.random() < 0.5 else "big"


def _arithmetic(self: Mutator, buf: bytearray) -> None:
    width, order = _width(self, len(buf)), _order(self)
    at = min(self.place(len(buf)), len(buf) - width)
    step = 1 + int(self.rng.random() * _ARITH_MAX)
    if self.rng.random() < 0.5:
        step = -step
    _write(buf, at, width, order, _number(buf, at, width, order) + step)


def _interesting(self: Mutator, buf: bytearray) -> None:
    width, order = _width(self, len(buf)), _order(self)
    at = min(self.place(len(buf)), len(buf) - width)
    values = _INTERESTING[width]
    _write(buf, at, width, order, values[int(self.rng.random() * len(values))])


def _delete(self: Mutator, buf: bytearray) -> None:
    at = self.place(len(buf))
    del buf[at : at + self.length(max(len(buf) - 1, 1))]


def _insert(self: Mutator, buf: bytearray) -> None:
    at = self.place(len(buf) + 1)
    n = self.length(128)
    draw = self.rng.random
    if draw() < 0.5:
        buf[at:at] = bytes([int(draw() * 256)]) * n
    else:
        buf[at:at] = self.rng.randbytes(n)


def _block(self: Mutator, buf: bytearray) -> bytes:
    start = int(self.rng.random() * len(buf))
    return bytes(buf[start : start + self.length(len(buf))])


def _overwrite(self: Mutator, buf: bytearray) -> None:
    block = _block(self, buf)
    at = self.place(len(buf))
    buf[at : at + len(block)] = block


def _duplicate(self: Mutator, buf: bytearray) -> None:
    block = _block(self, buf)
    at = self.place(len(buf) + 1)
    buf[at:at] = block


def _splice(self: Mutator, buf: bytearray) -> None:
    other = self._from.other
    if not other:
        _duplicate(self, buf)
        return
    at = self.place(len(buf))
    start = int(self.rng.random() * len(other))
    if self.rng.random() < 0.5:
        buf[at:] = other[start:]
    else:
        block = other[start : start + self.length(len(other))]
        buf[at : at + len(block)] = block


def _dictionary(self: Mutator, buf: bytearray) -> None:
    if not self.dictionary:
        _interesting(self, buf)
        return
    token = self.dictionary[int(self.rng.random() * len(self.dictionary))]
    at = self.place(len(buf) + 1)
    end = at + len(token) if self.rng.random() < 0.5 else at
    buf[at:end] = token


def _tokens(self: Mutator, buf: bytearray) -> None:
    draw = self.rng.random
    at = self.place(len(buf))
    found = _TOKEN.search(buf, at) or _TOKEN.search(buf)
    if found is None:
        _bytes(self, buf)
        return
    token, start, end = found.group(), found.start(), found.end()
    how = int(draw() * 4)
    if token.isdigit() and how < 2:
        buf[start:end] = _NUMBERS[int(draw() * len(_NUMBERS))]
    elif how == 0:
        buf[start:end] = token * (1 + self.length(64))
    elif how == 1:
        pair = _PAIRS[int(draw() * len(_PAIRS))]
        deep = self.length(64)
        buf[start:end] = pair[:1] * deep + token + pair[1:] * deep
    else:
        again = _TOKEN.search(buf, int(draw() * len(buf)))
        buf[start:end] = again.group() if again else b""


def _lengths(self: Mutator, buf: bytearray) -> None:
    width, order = _width(self, len(buf)), _order(self)
    draw = self.rng.random
    last = len(buf) - width
    at = min(self.place(len(buf)), last)
    if draw() < 0.5:
        size, read = len(buf), _READ[width, order].unpack_from
        for step in range(min(_SCAN, last + 1)):
            here = (at + step) % (last + 1)
            value = read(buf, here)[0]
            if value == last - here or (value == size and value):
                at = here
                break
    value = _number(buf, at, width, order)
    left = len(buf) - at - width
    choices = (left, left + 1, left - 1, len(buf), value + 1, value * 2, value - 1, 0, -1)
    _write(buf, at, width, order, choices[int(draw() * len(choices))])


def _balanced(self: Mutator, buf: bytearray) -> None:
    one, two = self.place(len(buf)), int(self.rng.random() * len(buf))
    by = 1 + int(self.rng.random() * 255)
    if one == two:
        buf[one] ^= by
    elif self.rng.random() < 0.5:
        buf[one], buf[two] = (buf[one] + by) % 256, (buf[two] - by) % 256
    else:
        buf[one] ^= by
        buf[two] ^= by


_OPERATORS: tuple[Callable[[Mutator, bytearray], None], ...] = (
    _bytes,  # never called: ``mixed`` draws from the others
    _bits,
    _bytes,
    _arithmetic,
    _interesting,
    _delete,
    _insert,
    _overwrite,
    _duplicate,
    _splice,
    _dictionary,
    _tokens,
    _lengths,
    _balanced,
)
_INSERT = FAMILIES.index("insert")
