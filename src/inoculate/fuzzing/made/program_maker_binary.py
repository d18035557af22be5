"""More grammars of the meta-training family, of bytes.

Six kinds: ``runs`` (records within run lengths), ``bits`` (fields packed into bits), ``varints``
(numbers of any length), ``frames`` (a stream that finds its beat again), ``table`` (all lengths
first, then all bodies) and ``stuffed`` (delimited frames with escapes).
"""

from collections.abc import Callable, Sequence

import numpy as np

from inoculate.fuzzing.made.program_maker_c import fill
from inoculate.fuzzing.made.program_maker_grammars import (
    Grammar,
    draw_bytes,
    magic_code,
    number,
    number_code,
)
from inoculate.fuzzing.made.program_maker_paths import Room, Unit, check_of


def _room(longest: int, contexts: int, *, counted: bool = False) -> Room:
    return Room(0, 256, 0, longest, contexts=contexts, counted=counted, exact=True)


def _context(units: Sequence[Unit]) -> int:
    return max((u.context for u in units), default=0)


_RUNS = """
static void records(const uint8_t *data, size_t size) {
    size_t at = 0;
    while (size - at >= 4) {
        uint32_t tag = data[at], v = @value@, n = data[at + 3];
        at += 4;
        if (n > size - at) {
            s.mode++;
            return;
        }
        handle(tag, v, data + at, n);
        at += n;
    }
}

static void parse(const uint8_t *data, size_t size) {
    uint8_t plain[512];
    size_t n = 0, at = 1;
    if (size == 0) return;
    s.context = data[0] & 7;
    while (at < size) {
        uint32_t count = (data[at] & 0x7f) + 1u, again = data[at] >> 7;
        at++;
        if (count > sizeof plain - n) return;
        if (again) {
            if (at == size) return;
            memset(plain + n, data[at++], count);
        } else {
            if (count > size - at) {
                s.acc++;
                break;
            }
            memcpy(plain + n, data + at, count);
            at += count;
        }
        n += count;
    }
    records(plain, n);
}
"""


def runs(rng: np.random.Generator, big: bool) -> Grammar:
    """Return run lengths that hold records: a tag, a number, a length, a tail."""
    tags = draw_bytes(rng, 6, 0)
    code = fill(_RUNS, value=number_code(big, "at + 1"))

    def packed(plain: bytes) -> bytes:
        parts, at = [], 0
        while at < len(plain):
            same = at
            while same < len(plain) and plain[same] == plain[at] and same - at < 128:
                same += 1
            if same - at >= 3:
                parts.append(bytes([0x7F + same - at, plain[at]]))
            else:
                same = min(at + 12, len(plain))
                parts.append(bytes([same - at - 1]) + plain[at:same])
            at = same
        return b"".join(parts)

    def encode(units: Sequence[Unit]) -> bytes:
        plain = b"".join(
            bytes([tags[u.code]]) + number(u.value, big) + bytes([len(u.tail)]) + u.tail
            for u in units
        )
        return bytes([_context(units)]) + packed(plain)

    return Grammar(code, tags, encode, _room(24, 6))


_BITS = """
static uint32_t bits(const uint8_t *data, size_t *at, uint32_t n) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < n; i++, ++*at) {
        uint32_t bit = data[*at / 8] >> (@first@) & 1;
        found |= bit << (@place@);
    }
    return found;
}

static void parse(const uint8_t *data, size_t size) {
    uint8_t tail[32];
    size_t at = 0, end = size * 8;
    if (size == 0) return;
    s.context = bits(data, &at, 3);
    while (end - at >= 25) {
        uint32_t code = bits(data, &at, 4), v = bits(data, &at, 16), n = bits(data, &at, 5);
        if (n * 8 > end - at) {
            s.mode++;
            return;
        }
        for (uint32_t i = 0; i < n; i++) tail[i] = (uint8_t)bits(data, &at, 8);
        handle(code, v, tail, n);
    }
}
"""


def bits(rng: np.random.Generator, big: bool) -> Grammar:
    """Return fields of 3, 4, 5, 8 and 16 bits, one after the other."""
    tags = tuple(int(t) * 2 for t in rng.choice(8, 6, replace=False))
    code = fill(_BITS, first="7 - *at % 8" if big else "*at % 8", place="n - 1 - i" if big else "i")

    def field(value: int, width: int) -> str:
        text = f"{value:0{width}b}"
        return text if big else text[::-1]

    def encode(units: Sequence[Unit]) -> bytes:
        text = field(_context(units), 3)
        for unit in units:
            text += field(tags[unit.code], 4) + field(unit.value, 16) + field(len(unit.tail), 5)
            text += "".join(field(byte, 8) for byte in unit.tail)
        text += "0" * (-len(text) % 8)
        octets = [text[i : i + 8] for i in range(0, len(text), 8)]
        return bytes(int(o if big else o[::-1], 2) for o in octets)

    return Grammar(code, tags, encode, _room(24, 6))


_VARINTS = """
static size_t varint(const uint8_t *data, size_t size, size_t at, uint32_t *v) {
    *v = 0;
    for (uint32_t shift = 0; at < size && shift < 28; shift += 7) {
        uint8_t byte = data[at++];
        @add@
        if (byte < 0x80) return at;
    }
    s.mode++;
    return size + 1;
}

static void parse(const uint8_t *data, size_t size) {
    uint32_t tag, v, n;
    size_t at = @header@;
    if (size < at) return;
@magic@
    while (at < size) {
        at = varint(data, size, at, &tag);
        if (tag == @deeper@) {
            s.context++;
            continue;
        }
        if (at <= size) at = varint(data, size, at, &v);
        if (at <= size) at = varint(data, size, at, &n);
        if (at > size || n > size - at) return;
        handle(tag, v, data + at, n);
        at += n;
    }
}
"""


def varints(rng: np.random.Generator, big: bool) -> Grammar:
    """Return records whose numbers are seven bits a byte: a tag, a number, a length, a tail."""
    magic = bytes(draw_bytes(rng, int(rng.integers(0, 3)), 0))
    deeper, *tags = (int(t) * 2 for t in rng.choice(np.arange(1, 300), 7, replace=False))
    add = "*v = *v << 7 | (byte & 0x7f);" if big else "*v |= (byte & 0x7fu) << shift;"
    code = fill(_VARINTS, header=len(magic), magic=magic_code(magic), add=add, deeper=deeper)

    def varint(value: int) -> bytes:
        parts = [value & 0x7F]
        while value := value >> 7:
            parts.append(value & 0x7F)
        ordered = parts[::-1] if big else parts
        return bytes([*(p | 0x80 for p in ordered[:-1]), ordered[-1]])

    def encode(units: Sequence[Unit]) -> bytes:
        parts, context = [magic], 0
        for unit in units:
            parts.append(varint(deeper) * max(unit.context - context, 0))
            context = max(context, unit.context)
            head = varint(tags[unit.code]) + varint(unit.value) + varint(len(unit.tail))
            parts.append(head + unit.tail)
        return b"".join(parts)

    words = (magic,) if magic else ()
    return Grammar(code, tuple(tags), encode, _room(28, 4, counted=True), words)


_FRAMES = """
static void parse(const uint8_t *data, size_t size) {
    size_t at = 0;
    while (size - at >= 6) {
        uint32_t n = data[at + 1];
        if (data[at] != @beat@ || n + 6 > size - at) {
            at++;
            continue;
        }
        if (check_of(data + at + 1, n + 4) != data[at + n + 5]) {
            s.mode++;
            at++;
            continue;
        }
        uint32_t v = @value@;
        if (data[at + 2] == @channel@) s.context = v & 7;
        else handle(data[at + 2], v, data + at + 5, n);
        at += n + 6;
    }
}
"""


def frames(rng: np.random.Generator, big: bool) -> Grammar:
    """Return a stream of frames with a first byte of their own and a check; noise is passed."""
    beat, channel, *tags = draw_bytes(rng, 8, 0)
    room = _room(26, 7)
    code = fill(_FRAMES, beat=beat, channel=channel, value=number_code(big, "at + 3"))

    def frame(tag: int, value: int, tail: bytes) -> bytes:
        body = bytes([len(tail), tag]) + number(value, big) + tail
        return bytes([beat]) + body + bytes([check_of(body, room)])

    def encode(units: Sequence[Unit]) -> bytes:
        parts, context = [], 0
        for unit in units:
            if unit.context != context:
                context = unit.context
                parts.append(frame(channel, context, b""))
            parts.append(frame(tags[unit.code], unit.value, unit.tail))
        return b"".join(parts)

    return Grammar(code, tuple(tags), encode, room, (bytes([beat]),))


_TABLE = """
static void parse(const uint8_t *data, size_t size) {
    if (size < @header@ + 2) return;
@magic@
    uint32_t count = data[@header@], n;
    s.context = data[@header@ + 1] & 7;
    size_t entry = @header@ + 2, at = entry + count * 2;
    if (at > size) {
        s.mode++;
        return;
    }
    for (; count > 0; count--, entry += 2, at += n) {
        n = data[entry + 1];
        if (n > size - at) return;
        if (n < 2) s.acc += n;
        else handle(data[entry], @value@, data + at + 2, n - 2);
    }
}
"""


def table(rng: np.random.Generator, big: bool) -> Grammar:
    """Return a table of tags and lengths, then what they are the lengths of."""
    magic, tags = bytes(draw_bytes(rng, int(rng.integers(1, 4)), 0)), draw_bytes(rng, 6, 0)
    code = fill(_TABLE, magic=magic_code(magic), header=len(magic), value=number_code(big, "at"))

    def encode(units: Sequence[Unit]) -> bytes:
        entries = b"".join(bytes([tags[u.code], len(u.tail) + 2]) for u in units)
        bodies = b"".join(number(u.value, big) + u.tail for u in units)
        return magic + bytes([len(units), _context(units)]) + entries + bodies

    return Grammar(code, tags, encode, _room(28, 6), (magic,))


_STUFFED = """
static void parse(const uint8_t *data, size_t size) {
    uint8_t plain[256];
    size_t n = 0;
    for (size_t at = 0; at <= size; at++) {
        if (at == size || data[at] == @end@) {
            if (n == 0) s.context++;
            else if (n < 3) s.mode++;
            else handle(plain[0], @value@, plain + 3, n - 3);
            n = 0;
            continue;
        }
        uint8_t byte = data[at];
        if (byte == @escape@ && at + 1 < size) byte = data[++at] ^ 0x20;
        if (n == sizeof plain) return;
        plain[n++] = byte;
    }
}
"""


def stuffed(rng: np.random.Generator, big: bool) -> Grammar:
    """Return frames without lengths: a byte ends them, another one escapes what follows it."""
    end, escape, *tags = draw_bytes(rng, 8, 0)
    value = number_code(big, "1").replace("data", "plain")
    code = fill(_STUFFED, end=end, escape=escape, value=value)

    def frame(body: bytes) -> bytes:
        parts = [bytes([escape, b ^ 0x20]) if b in (end, escape) else bytes([b]) for b in body]
        return b"".join(parts) + bytes([end])

    def encode(units: Sequence[Unit]) -> bytes:
        parts, context = [], 0
        for unit in units:
            parts.append(bytes([end]) * max(unit.context - context, 0))
            context = max(context, unit.context)
            parts.append(frame(bytes([tags[unit.code]]) + number(unit.value, big) + unit.tail))
        return b"".join(parts)

    return Grammar(code, tuple(tags), encode, _room(26, 4, counted=True))


GRAMMARS: dict[str, Callable[[np.random.Generator, bool], Grammar]] = {
    "runs": runs,
    "bits": bits,
    "varints": varints,
    "frames": frames,
    "table": table,
    "stuffed": stuffed,
}
"""Kinds of bytes by name."""
