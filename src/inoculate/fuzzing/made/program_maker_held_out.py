"""Grammars of the meta-test family; no kind of it is used in meta-training.

Four kinds: ``chunks`` (nested containers with a check), ``brackets`` (nested text), ``coded``
(segments of letters that stand for bits) and ``offsets`` (directories that point into the data).
"""

from collections.abc import Callable, Sequence

import numpy as np

from inoculate.fuzzing.made.program_maker_c import fill
from inoculate.fuzzing.made.program_maker_grammars import (
    Grammar,
    draw_bytes,
    draw_words,
    magic_code,
    number,
    number_code,
    word_code,
)
from inoculate.fuzzing.made.program_maker_paths import Room, Unit, check_of

_CHUNKS = """
static void chunks(const uint8_t *data, size_t size, uint32_t depth) {
    uint8_t name[@frame@];
    size_t at = 0;
    @recursion@
    memset(name, 0, 8);
    while (size - at >= 5) {
        uint32_t id = @id@, length = @length@;
        at += 4;
        if (length + 1 > size - at) {
            s.mode++;
            return;
        }
        name[at & 7] = data[at];
        if (id == @group@) {
            chunks(data + at, length, depth + 1);
        } else if (length >= 2) {
            s.context = depth;
            if ((id & 4) == 0 || (check_of(data + at, length) & 15) == (data[at + length] & 15))
                handle(id, @value@, data + at + 2, length - 2);
            else
                s.acc += name[length & 7];
        }
        at += length + 1;
    }
}

static void parse(const uint8_t *data, size_t size) {
@magic@
    chunks(data + @header@, size - @header@, 0);
}
"""


def chunks(rng: np.random.Generator, big: bool) -> Grammar:
    """Return chunks of a name, a length, a number, a tail and a check; a group holds chunks."""
    magic = bytes(draw_bytes(rng, int(rng.integers(2, 5)), 1))
    pairs = zip(draw_bytes(rng, 7, 1), draw_bytes(rng, 7, 1), strict=True)
    group, *tags = (a << 8 | b for a, b in pairs)
    room = Room(0, 256, 1, 28, contexts=4, counted=True, exact=True)
    code = fill(
        _CHUNKS,
        header=len(magic),
        magic=f"    if (size < {len(magic)}) return;\n{magic_code(magic)}",
        group=group,
        id="(uint32_t)(data[at] << 8 | data[at + 1])",
        length=number_code(big, "at + 2"),
        value=number_code(big, "at"),
    )

    def chunk(tag: int, body: bytes) -> bytes:
        return number(tag, True) + number(len(body), big) + body + bytes([check_of(body, room)])

    def encode(units: Sequence[Unit]) -> bytes:
        parts = [magic]
        for unit in units:
            body = chunk(tags[unit.code], number(unit.value, big) + unit.tail)
            for _ in range(unit.context):
                body = chunk(group, body)
            parts.append(body)
        return b"".join(parts)

    return Grammar(code, tuple(tags), encode, room, (magic, number(group, True)), recursive=True)


_BRACKETS = """
static size_t list(const uint8_t *p, size_t n, size_t at, uint32_t depth) {
    uint8_t first[@frame@];
    @recursion@
    memset(first, 0, 8);
    size_t from = at;
    uint32_t v = 0, digits = 0;
    if (at < n) first[at & 7] = p[at];
    while (at < n && p[at] >= 'a' && p[at] <= 'z') at++;
    int code = word(p + from, at - from);
    while (at < n && p[at] == ' ') at++;
    for (; at < n && p[at] >= '0' && p[at] <= '9'; at++, digits++) {
        v = v * 10 + (p[at] - '0');
        if (v > 65535) v = 65535;
    }
    if (at < n && p[at] == '@quote@') at++;
    from = at;
    while (at < n && p[at] != '@open@' && p[at] != '@close@') at++;
    s.context = depth;
    if (code >= 0 && digits > 0) handle((uint32_t)code, v, p + from, at - from);
    else if (code >= 0) s.mode++;
    while (at < n && p[at] != '@close@') {
        if (p[at] == '@open@') at = list(p, n, at + 1, depth + 1);
        else at++;
    }
    s.acc += first[v & 7];
    return at < n ? at + 1 : n;
}

static void parse(const uint8_t *data, size_t size) {
    size_t at = 0;
    while (at < size) {
        if (data[at] == '@open@') at = list(data, size, at + 1, 0);
        else at++;
    }
}
"""


def brackets(rng: np.random.Generator, big: bool) -> Grammar:
    """Return nested lists as text: a word, a number, a text, lists."""
    opening, closing = "({<"[int(rng.integers(3))], ""
    closing = {"(": ")", "{": "}", "<": ">"}[opening]
    quote = "/" if big else "'"
    words = draw_words(rng, 6, 4)
    code = word_code("word", words, "-1")
    quoted = "\\'" if quote == "'" else quote
    code += fill(_BRACKETS, open=opening, close=closing, quote=quoted)

    def encode(units: Sequence[Unit]) -> bytes:
        start, end = opening.encode(), closing.encode()
        parts = []
        for unit in units:
            body = words[unit.code] + b" " + str(unit.value).encode() + quote.encode() + unit.tail
            parts.append(start * (unit.context + 1) + body + end * (unit.context + 1))
        return b"".join(parts)

    room = Room(ord("A"), 26, 1, 30, contexts=5, counted=True, exact=False)
    return Grammar(code, tuple(range(6)), encode, room, words, recursive=True)


_CODED = """
static void segment(const uint8_t *data, size_t size) {
    size_t at = 0;
    while (size - at >= 4) {
        uint32_t code = data[at], n = data[at + 1], v = @value@;
        at += 4;
        if (n > size - at) {
            s.mode++;
            return;
        }
        handle(code, v, data + at, n);
        at += n;
    }
}

static void parse(const uint8_t *data, size_t size) {
    uint8_t plain[512];
    size_t n = 0;
    uint32_t bits = 0, held = 0;
    for (size_t at = 0; at <= size; at++) {
        if (at == size || data[at] == '@dot@') {
            segment(plain, n);
            s.context++;
            n = bits = held = 0;
            continue;
        }
        uint32_t digit = (uint32_t)data[at] - '@first@';
        if (digit >= @base@) {
            if (data[at] != '@pad@') s.acc++;
            continue;
        }
        held = held << @width@ | digit;
        bits += @width@;
        if (bits >= 8) {
            bits -= 8;
            if (n < sizeof plain) plain[n++] = (uint8_t)(held >> bits);
            held &= (1u << bits) - 1;
        }
    }
}
"""


def coded(rng: np.random.Generator, big: bool) -> Grammar:
    """Return segments of letters that stand for 4 or 5 bits each, and code records when decoded."""
    width = int(rng.integers(4, 6))
    first, dot, pad = "@A"[int(big)], ".:"[int(rng.integers(2))], "=-"[int(rng.integers(2))]
    tags = draw_bytes(rng, 6, 1)
    code = fill(_CODED, value=number_code(big, "at + 2"), dot=dot, first=first, pad=pad)
    code = fill(code, base=1 << width, width=width)

    def letters(plain: bytes) -> bytes:
        bits = "".join(f"{b:08b}" for b in plain)
        bits += "0" * (-len(bits) % width)
        found = [int(bits[i : i + width], 2) for i in range(0, len(bits), width)]
        return bytes(ord(first) + digit for digit in found)

    def encode(units: Sequence[Unit]) -> bytes:
        segments: list[bytes] = []
        for unit in sorted(units, key=lambda u: u.context):
            while len(segments) <= unit.context:
                segments.append(b"")
            head = bytes([tags[unit.code], len(unit.tail)]) + number(unit.value, big)
            segments[unit.context] += head + unit.tail
        return dot.encode().join(letters(s) for s in segments)

    room = Room(0, 256, 1, 24, contexts=3, counted=False, exact=True)
    return Grammar(code, tags, encode, room)


_OFFSETS = """
static void parse(const uint8_t *data, size_t size) {
    if (size < @header@ + 2) return;
@magic@
    size_t at = @start@;
    while (at >= 2 && at < size && s.context < 8) {
        uint32_t count = data[at++];
        for (uint32_t i = 0; i < count; i++, at += 6) {
            if (size - at < 6) return;
            size_t where = @where@, n = data[at + 5];
            if (where > size || n > size - where) {
                s.acc += i;
                continue;
            }
            handle(data[at], @value@, data + where, n);
        }
        if (size - at < 2) return;
        at = @next@;
        s.context++;
    }
}
"""


def offsets(rng: np.random.Generator, big: bool) -> Grammar:
    """Return directories of entries that point at their tails, each pointing at the next."""
    magic, tags = bytes(draw_bytes(rng, int(rng.integers(2, 4)), 1)), draw_bytes(rng, 6, 1)
    code = fill(
        _OFFSETS,
        header=len(magic),
        magic=magic_code(magic),
        start=number_code(big, str(len(magic))),
        where=number_code(big, "at + 3"),
        value=number_code(big, "at + 1"),
        next=number_code(big, "at"),
    )

    def encode(units: Sequence[Unit]) -> bytes:
        tails, context = b"", max((u.context for u in units), default=0)
        first = len(magic) + 2 + sum(len(u.tail) for u in units)
        entries, at = b"", len(magic) + 2
        for unit in units:
            head = bytes([tags[unit.code]]) + number(unit.value, big)
            entries += head + number(at, big) + bytes([len(unit.tail)])
            tails += unit.tail
            at += len(unit.tail)
        empty = b"".join(b"\0" + number(first + 3 * (i + 1), big) for i in range(context))
        directory = bytes([len(units)]) + entries + number(0, big)
        return magic + number(first, big) + tails + empty + directory

    room = Room(0, 256, 1, 28, contexts=4, counted=True, exact=True)
    return Grammar(code, tags, encode, room, (magic,))


GRAMMARS: dict[str, Callable[[np.random.Generator, bool], Grammar]] = {
    "chunks": chunks,
    "brackets": brackets,
    "coded": coded,
    "offsets": offsets,
}
"""Kinds of the meta-test family by name."""
