"""Grammars of the meta-training family: how units are written, in C to read and in Python to write.

Five kinds: ``records`` (tag, length, value), ``pairs`` (lines of text), ``machine`` (opcodes and a
stack), ``states`` (symbols that move a state), ``packet`` (a header with a count of fixed rows).
More of it are in ``program_maker_text`` and ``program_maker_binary``; those of the meta-test family
are in ``program_maker_held_out`` and ``program_maker_unseen``, and no kind is in two families.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from inoculate.fuzzing.made.program_maker_c import byte_text, fill
from inoculate.fuzzing.made.program_maker_paths import Room, Unit


@dataclass(frozen=True, slots=True)
class Grammar:
    """One drawn grammar.

    Attributes:
        code: C text that defines ``parse`` and calls ``handle(code, v, p, n)``.
        labels: C constant of each handler's code.
        encode: writes units as an input.
        room: what constants a program over it may compare with.
        words: tokens of the format.
        recursive: ``code`` has room for a flaw by recursion.
    """

    code: str
    labels: tuple[int, ...]
    encode: Callable[[Sequence[Unit]], bytes]
    room: Room
    words: tuple[bytes, ...] = ()
    recursive: bool = False


def draw_bytes(rng: np.random.Generator, n: int, parity: int, *, low: int = 1) -> tuple[int, ...]:
    """Return n different bytes of one parity, from ``low`` to 255."""
    pool = [b for b in range(low, 256) if b % 2 == parity]
    return tuple(int(b) for b in rng.choice(pool, n, replace=False))


def draw_words(rng: np.random.Generator, n: int, longest: int) -> tuple[bytes, ...]:
    """Return n different words of 2 to ``longest`` small letters."""
    found: dict[bytes, None] = {}
    while len(found) < n:
        letters = rng.integers(ord("a"), ord("z") + 1, size=rng.integers(2, longest + 1))
        found[bytes(letters.astype(np.uint8))] = None
    return tuple(found)


def magic_code(magic: bytes) -> str:
    """Return C statements that leave ``parse`` where the magic is wrong, a byte at a time."""
    lines = [f"    if (data[{i}] != {byte_text(b)}) return;" for i, b in enumerate(magic)]
    return "\n".join(lines)


def word_code(name: str, words: Sequence[bytes], missing: str) -> str:
    """Return a C function that gives the index of a word, a letter at a time."""
    tests = [
        f"    if (n == {len(w)}"
        + "".join(f" && p[{i}] == {byte_text(b)}" for i, b in enumerate(w))
        + f") return {k};"
        for k, w in enumerate(words)
    ]
    body = "\n".join(tests)
    return f"static int {name}(const uint8_t *p, size_t n) {{\n{body}\n    return {missing};\n}}\n"


def number(value: int, big: bool) -> bytes:
    """Return a number as two bytes."""
    return value.to_bytes(2, "big" if big else "little")


def number_code(big: bool, at: str) -> str:
    """Return the C expression of a number of two bytes."""
    high, low = (f"data[{at}]", f"data[{at} + 1]") if big else (f"data[{at} + 1]", f"data[{at}]")
    return f"(uint32_t)({high} << 8 | {low})"


_RECORDS = """
static void parse(const uint8_t *data, size_t size) {
    size_t at = @header@;
    if (size < at + 1) return;
@magic@
    s.context = data[at++] & 0x0f;
    while (size - at >= @head@) {
        uint32_t tag = data[at], length = @length@;
        at += @head@;
        if (length > size - at) {
            s.acc++;
            break;
        }
        if (length >= 2)
            handle(tag, @value@, data + at + 2, length - 2);
        else
            s.mode ^= tag;
        at += length;
    }
}
"""


def records(rng: np.random.Generator, big: bool) -> Grammar:
    """Return tagged records: a tag, a length of one or two bytes, a number, a tail."""
    magic, tags = bytes(draw_bytes(rng, int(rng.integers(0, 4)), 0)), draw_bytes(rng, 6, 0)
    wide = bool(rng.integers(2))
    code = fill(
        _RECORDS,
        header=len(magic),
        magic=magic_code(magic),
        head=3 if wide else 2,
        length=number_code(big, "at + 1") if wide else "data[at + 1]",
        value=number_code(big, "at"),
    )

    def encode(units: Sequence[Unit]) -> bytes:
        parts = [magic, bytes([max((u.context for u in units), default=0)])]
        for unit in units:
            body = number(unit.value, big) + unit.tail
            size = number(len(body), big) if wide else bytes([len(body)])
            parts.append(bytes([tags[unit.code]]) + size + body)
        return b"".join(parts)

    room = Room(0, 256, 0, 30, contexts=9, counted=False, exact=True)
    return Grammar(code, tags, encode, room, (magic,) if magic else ())


_PAIRS = """
static void line(const uint8_t *p, size_t n) {
    size_t i = 0;
    if (n == 0 || p[0] == '@comment@') return;
    if (p[0] == '[') {
        if (p[n - 1] == ']' && n > 2) s.context = (uint32_t)section(p + 1, n - 2);
        return;
    }
    while (i < n && p[i] != '@equals@') i++;
    if (i == n) return;
    int code = word(p, i);
    if (code < 0) return;
    uint32_t v = 0;
    size_t from = ++i;
    for (; i < n && p[i] >= '0' && p[i] <= '9'; i++) {
        v = v * 10 + (p[i] - '0');
        if (v > 65535) v = 65535;
    }
    if (i == from) return;
    if (i < n && p[i] == '@comma@') i++;
    handle((uint32_t)code, v, p + i, n - i);
}

static void parse(const uint8_t *data, size_t size) {
    size_t from = 0;
    for (size_t at = 0; at <= size; at++)
        if (at == size || data[at] == '\\n') {
            line(data + from, at - from);
            from = at + 1;
        }
}
"""


def pairs(rng: np.random.Generator, big: bool) -> Grammar:
    """Return lines of text: name, sign, decimal number, comma, text; sections in brackets."""
    equals, comma, comment = "=:"[int(big)], ",|"[int(rng.integers(2))], "#;"[int(rng.integers(2))]
    words = draw_words(rng, 6, 5)
    sections = draw_words(rng, 4, 4)
    code = word_code("word", words, "-1")
    code += word_code("section", (b"*", *sections), "0")
    code += fill(_PAIRS, equals=equals, comma=comma, comment=comment)

    def encode(units: Sequence[Unit]) -> bytes:
        lines, context = [], 0
        for unit in units:
            if unit.context != context:
                context = unit.context
                lines.append(b"[" + (sections[context - 1] if context else b"*") + b"]")
            sign = equals.encode()
            line = words[unit.code] + sign + str(unit.value).encode()
            lines.append(line + comma.encode() + unit.tail)
        return b"\n".join(lines) + b"\n"

    room = Room(ord("A"), 26, 0, 30, contexts=4, counted=False, exact=False)
    return Grammar(code, tuple(range(6)), encode, room, (*words, *sections))


_MACHINE = """
static void parse(const uint8_t *data, size_t size) {
    uint32_t stack[16];
    size_t at = 0;
    while (size - at >= 3) {
        uint32_t op = data[at], v = @value@;
        size_t n = 0;
        at += 3;
        switch (op) {
        case @push@:
            if (s.context < 16) stack[s.context++] = v;
            break;
        case @add@:
            if (s.context >= 2) {
                s.context--;
                stack[s.context - 1] += stack[s.context];
                if (stack[s.context - 1] > @limit@) s.mode++;
            }
            break;
        case @drop@:
            if (s.context > 0) s.acc ^= stack[--s.context];
            break;
        case @skip@:
            if ((v & 15) <= size - at) at += v & 15;
            break;
        default:
            if (at < size && data[at] <= size - at - 1) n = data[at++];
            handle(op, v, data + at, n);
            at += n;
        }
    }
}
"""


def machine(rng: np.random.Generator, big: bool) -> Grammar:
    """Return a machine of opcodes, each with a number; its context is the depth of its stack."""
    ops = draw_bytes(rng, 10, 0)
    push, add, drop, skip, *tags = ops
    code = fill(
        _MACHINE, push=push, add=add, drop=drop, skip=skip, value=number_code(big, "at + 1")
    )
    code = fill(code, limit=int(rng.integers(300, 3000)) * 2)

    def encode(units: Sequence[Unit]) -> bytes:
        parts, context = [], 0
        for unit in units:
            while context < unit.context:
                parts.append(bytes([push]) + number(context * 6 + 4, big))
                context += 1
            head = bytes([tags[unit.code]]) + number(unit.value, big)
            parts.append(head + bytes([len(unit.tail)]) + unit.tail)
        return b"".join(parts)

    room = Room(0, 256, 0, 24, contexts=5, counted=True, exact=True)
    return Grammar(code, tuple(tags), encode, room)


_STATES = """
static void move(uint32_t symbol) {
    switch (s.context) {
@moves@
    }
}

static void parse(const uint8_t *data, size_t size) {
    size_t at = 0;
    while (at < size) {
        uint32_t symbol = data[at++];
        if (symbol == @reset@) {
            s.context = 0;
        } else if (symbol & 1) {
            if (size - at < 3 || data[at + 2] > size - at - 3) return;
            uint32_t v = @value@, n = data[at + 2];
            handle(symbol, v, data + at + 3, n);
            at += 3 + n;
        } else {
            move(symbol);
        }
    }
}
"""


def states(rng: np.random.Generator, big: bool) -> Grammar:
    """Return a protocol: even symbols move its state, odd ones carry a number and a tail."""
    symbols = draw_bytes(rng, 8, 0, low=2)
    reset, path, more = symbols[0], symbols[1:6], symbols[6:]
    tags = draw_bytes(rng, 6, 1)
    moves = []
    for i, symbol in enumerate(path):
        back = int(rng.integers(0, 6))
        moves.append(f"    case {i}:\n        if (symbol == {symbol}) s.context = {i + 1};")
        moves.append(
            f"        else if (symbol == {more[i % 2]}) s.context = {back};\n        break;"
        )
    moves.append("    default: s.acc++;")
    code = fill(_STATES, moves="\n".join(moves), reset=reset, value=number_code(big, "at"))

    def encode(units: Sequence[Unit]) -> bytes:
        parts, context = [], 0
        for unit in units:
            if unit.context != context:
                context = unit.context
                parts.append(bytes([reset, *path[:context]]))
            head = bytes([tags[unit.code]]) + number(unit.value, big)
            parts.append(head + bytes([len(unit.tail)]) + unit.tail)
        return b"".join(parts)

    room = Room(0, 256, 0, 24, contexts=5, counted=False, exact=True)
    return Grammar(code, tags, encode, room)


_PACKET = """
static void parse(const uint8_t *data, size_t size) {
    size_t at = @header@ + 2;
    if (size < at) return;
@magic@
    uint32_t count = data[at - 1];
    s.context = data[at - 2] >> 4;
    if (data[at - 2] & 1) s.mode = 1;
    if (data[at - 2] & 2) {
        if (size - at < 4) return;
        at += 4;
    }
    if (count * @row@ > size - at) count = (uint32_t)((size - at) / @row@);
    for (uint32_t i = 0; i < count; i++, at += @row@) {
        uint32_t v = @value@, n = data[at + 3];
        if (n > @row@ - 4) {
            s.acc += n;
            continue;
        }
        handle(data[at], v, data + at + 4, n);
    }
}
"""


def packet(rng: np.random.Generator, big: bool) -> Grammar:
    """Return a header with flags and a count, then rows of one size."""
    magic, tags = bytes(draw_bytes(rng, int(rng.integers(1, 3)), 0)), draw_bytes(rng, 6, 0)
    row = int(rng.integers(12, 20)) * 2
    code = fill(_PACKET, header=len(magic), magic=magic_code(magic), row=row)
    code = fill(code, value=number_code(big, "at + 1"))

    def encode(units: Sequence[Unit]) -> bytes:
        context = max((u.context for u in units), default=0)
        parts = [magic, bytes([context << 4, len(units)])]
        for unit in units:
            head = bytes([tags[unit.code]]) + number(unit.value, big) + bytes([len(unit.tail)])
            parts.append((head + unit.tail).ljust(row, b"\0"))
        return b"".join(parts)

    room = Room(0, 256, 0, row - 4, contexts=8, counted=False, exact=True)
    return Grammar(code, tags, encode, room, (magic,))


GRAMMARS: dict[str, Callable[[np.random.Generator, bool], Grammar]] = {
    "records": records,
    "pairs": pairs,
    "machine": machine,
    "states": states,
    "packet": packet,
}
"""Kinds by name."""
