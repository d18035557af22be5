"""More grammars of the meta-training family, of text.

Six kinds: ``commands`` (verbs of a session), ``fields`` (rows of fields), ``indents`` (lines that
nest by their indentation), ``sized`` (items that say their length in digits), ``macros`` (calls
within running text) and ``sums`` (lines with a check digit).
"""

from collections.abc import Callable, Sequence

import numpy as np

from inoculate.fuzzing.made.program_maker_c import fill
from inoculate.fuzzing.made.program_maker_grammars import Grammar, draw_words, word_code
from inoculate.fuzzing.made.program_maker_paths import Room, Unit, check_of

_LETTERS, _N_LETTERS = ord("A"), 26
DIGITS = """
static int started;

static size_t digits(const uint8_t *p, size_t n, size_t at, uint32_t *v) {
    for (*v = 0; at < n && p[at] >= '0' && p[at] <= '9'; at++) {
        *v = *v * 10 + (p[at] - '0');
        if (*v > 65535) *v = 65535;
    }
    return at;
}
"""
LINES = """
static void parse(const uint8_t *data, size_t size) {
    size_t from = 0;
    started = 0;
    for (size_t at = 0; at <= size; at++)
        if (at == size || data[at] == @end@) {
            line(data + from, at - from);
            from = at + 1;
        }
}
"""


def _room(contexts: int, *, counted: bool) -> Room:
    return Room(_LETTERS, _N_LETTERS, 0, 30, contexts=contexts, counted=counted, exact=False)


_COMMANDS = """
static void line(const uint8_t *p, size_t n) {
    size_t at = 0;
    uint32_t v;
    while (at < n && p[at] != ' ') at++;
    int code = verb(p, at);
    if (code == 7) started = 1;
    if (code < 0 || !started) {
        s.acc++;
        return;
    }
    if (code == 6) s.context = at < n ? (uint32_t)place(p + at + 1, n - at - 1) : 0;
    if (code > 5 || at == n) return;
    size_t from = at + 1;
    at = digits(p, n, from, &v);
    if (at == from) return;
    if (at < n && p[at] == ' ') at++;
    handle((uint32_t)code, v, p + at, n - at);
}
"""


def commands(rng: np.random.Generator, big: bool) -> Grammar:
    """Return a session: a greeting, then verbs with a number and a text; one moves to a place."""
    end = b";" if big else b"\n"
    words, places = draw_words(rng, 8, 5), draw_words(rng, 4, 4)
    code = word_code("verb", words, "-1") + word_code("place", (b"*", *places), "0")
    code += DIGITS + _COMMANDS + fill(LINES, end="';'" if big else "'\\n'")

    def encode(units: Sequence[Unit]) -> bytes:
        lines, context = [words[7]], 0
        for unit in units:
            if unit.context != context:
                context = unit.context
                lines.append(words[6] + b" " + (places[context - 1] if context else b"*"))
            lines.append(b"%b %d %b" % (words[unit.code], unit.value, unit.tail))
        return end.join(lines) + end

    return Grammar(code, tuple(range(6)), encode, _room(4, counted=False), (*words, *places))


_FIELDS = """
static size_t field(const uint8_t *p, size_t n, size_t at) {
    while (at < n && p[at] != '@split@') at++;
    return at;
}

static void line(const uint8_t *p, size_t n) {
    uint32_t v;
    if (n == 0) {
        s.context++;
        return;
    }
    size_t one = field(p, n, 0);
    if (one == n) return;
    size_t two = field(p, n, one + 1);
    if (two == n) {
        s.mode++;
        return;
    }
    int code = word(p + @word@);
    if (code < 0) return;
    if (digits(p, @digits@, &v) != @after@) return;
    handle((uint32_t)code, v, p + two + 1, n - two - 1);
}
"""


def fields(rng: np.random.Generator, big: bool) -> Grammar:
    """Return rows of three fields, word and number in either order; an empty row is a context."""
    split = ",|\t"[int(rng.integers(3))]
    words = draw_words(rng, 6, 4)
    first, second = ("0, one", "one, 0", "one"), ("one + 1, two - one - 1", "two, one + 1", "two")
    named, numbered = (second, first) if big else (first, second)
    code = word_code("word", words, "-1") + DIGITS
    code += fill(_FIELDS, split=split.replace("\t", "\\t"), word=named[0])
    code = fill(code, digits=numbered[1], after=numbered[2]) + fill(LINES, end="'\\n'")

    def encode(units: Sequence[Unit]) -> bytes:
        rows, context = [], 0
        for unit in units:
            while context < unit.context:
                rows.append(b"")
                context += 1
            two = [words[unit.code], b"%d" % unit.value]
            rows.append(split.encode().join([*(two[::-1] if big else two), unit.tail]))
        return b"\n".join(rows)

    return Grammar(code, tuple(range(6)), encode, _room(4, counted=True), words)


_INDENTS = """
static void line(const uint8_t *p, size_t n) {
    size_t depth = 0, at;
    uint32_t v;
    while (depth < n && p[depth] == '@blank@') depth++;
    if (depth == n) return;
    if (depth > s.context + 1) {
        s.mode++;
        return;
    }
    s.context = (uint32_t)depth;
    for (at = depth; at < n && p[at] >= 'a' && p[at] <= 'z';) at++;
    int code = word(p + depth, at - depth);
    if (code < 0 || at == n) return;
    size_t from = ++at;
    at = digits(p, n, from, &v);
    if (at == from) return;
    if (at < n && p[at] == '@colon@') at++;
    handle((uint32_t)code, v, p + at, n - at);
}
"""


def indents(rng: np.random.Generator, big: bool) -> Grammar:
    """Return lines that stand one deeper than the line before at most: word, number, text."""
    blank, colon = b" \t"[int(big)], b":="[int(rng.integers(2))]
    words = draw_words(rng, 6, 5)
    code = word_code("word", words, "-1") + DIGITS
    code += fill(_INDENTS, blank="\\t" if big else " ", colon=chr(colon))
    code += fill(LINES, end="'\\n'")

    def encode(units: Sequence[Unit]) -> bytes:
        lines, depth = [], 0
        for unit in units:
            for above in range(depth, unit.context):
                lines.append(bytes([blank]) * above + words[above % 6])
            depth = unit.context
            body = b"%b %d%c%b" % (words[unit.code], unit.value, colon, unit.tail)
            lines.append(bytes([blank]) * depth + body)
        return b"\n".join(lines)

    return Grammar(code, tuple(range(6)), encode, _room(5, counted=True), words)


_SIZED = """
static void parse(const uint8_t *data, size_t size) {
    size_t at = 1;
    uint32_t length, v;
    if (size == 0) return;
    s.context = data[0] >= '0' ? data[0] - '0' : 0;
    while (at < size) {
        size_t from = at;
        at = digits(data, size, from, &length);
        if (at == from || at == size || data[at] != '@colon@') return;
        const uint8_t *p = data + at + 1;
        if (length >= size - at - 1 || p[length] != '@comma@') {
            s.mode++;
            return;
        }
        size_t i = 0;
        while (i < length && p[i] >= 'a' && p[i] <= 'z') i++;
        int code = word(p, i);
        size_t start = i;
        i = digits(p, length, i, &v);
        if (code >= 0 && i > start) handle((uint32_t)code, v, p + i, length - i);
        at += length + 2;
    }
}
"""


def sized(rng: np.random.Generator, big: bool) -> Grammar:
    """Return items with a length in decimal digits before them and a sign after them."""
    colon, comma = b":#"[int(big)], b",;"[int(rng.integers(2))]
    words = draw_words(rng, 6, 3)
    code = word_code("word", words, "-1") + DIGITS
    code += fill(_SIZED, colon=chr(colon), comma=chr(comma))

    def encode(units: Sequence[Unit]) -> bytes:
        parts = [b"%d" % max((u.context for u in units), default=0)]
        for unit in units:
            body = b"%b%d%b" % (words[unit.code], unit.value, unit.tail)
            parts.append(b"%d%c%b%c" % (len(body), colon, body, comma))
        return b"".join(parts)

    return Grammar(code, tuple(range(6)), encode, _room(6, counted=False), words)


_MACROS = """
static void parse(const uint8_t *data, size_t size) {
    size_t at = 0;
    while (at < size) {
        if (data[at++] != '@sign@') continue;
        if (at < size && data[at] == '@sign@') {
            s.context++;
            at++;
            continue;
        }
        size_t from = at;
        uint32_t v;
        while (at < size && data[at] >= 'a' && data[at] <= 'z') at++;
        int code = word(data + from, at - from);
        if (code < 0 || at == size || data[at] != '@open@') continue;
        from = ++at;
        at = digits(data, size, from, &v);
        if (at == from) continue;
        if (at < size && data[at] == ',') at++;
        from = at;
        while (at < size && data[at] != '@close@') at++;
        if (at == size) {
            s.mode++;
            return;
        }
        handle((uint32_t)code, v, data + from, at - from);
    }
}
"""


def macros(rng: np.random.Generator, big: bool) -> Grammar:
    """Return running text with calls in it: a sign, a word, a number and a text in brackets."""
    sign = b"$&"[int(rng.integers(2))]
    opening, closing = b"[]" if big else b"()"
    words = draw_words(rng, 6, 5)
    filler = draw_words(rng, 5, 7)
    code = word_code("word", words, "-1") + DIGITS
    code += fill(_MACROS, sign=chr(sign), open=chr(opening), close=chr(closing))

    def encode(units: Sequence[Unit]) -> bytes:
        parts, context = [filler[0]], 0
        for i, unit in enumerate(units):
            parts.append(bytes([sign]) * (2 * max(unit.context - context, 0)))
            context = max(context, unit.context)
            named = (sign, words[unit.code], opening, unit.value, unit.tail, closing)
            parts.append(b" %c%b%c%d,%b%c " % named + filler[i % 5])
        return b"".join(parts)

    return Grammar(code, tuple(range(6)), encode, _room(4, counted=True), words)


_SUMS = """
static void line(const uint8_t *p, size_t n) {
    uint32_t v;
    size_t at = 0;
    if (n < 4 || p[n - 2] != '@star@') return;
    uint32_t digit = p[n - 1] <= '9' ? p[n - 1] - '0' : p[n - 1] - 'a' + 10u;
    n -= 2;
    if ((check_of(p, n) & 15) != digit) {
        s.mode++;
        return;
    }
    if (p[0] == '@at@') {
        s.context = p[1] >= '0' ? p[1] - '0' : 0;
        return;
    }
    while (at < n && p[at] >= 'a' && p[at] <= 'z') at++;
    int code = word(p, at);
    if (code < 0) return;
    size_t from = at;
    at = digits(p, n, from, &v);
    if (at > from) handle((uint32_t)code, v, p + at, n - at);
}
"""


def sums(rng: np.random.Generator, big: bool) -> Grammar:
    """Return lines that end in a hexadecimal digit of the check over what stands before it."""
    star, sign = b"*/"[int(rng.integers(2))], b"@>"[int(big)]
    words, room = draw_words(rng, 6, 4), _room(5, counted=False)
    code = word_code("word", words, "-1") + DIGITS + fill(_SUMS, star=chr(star), at=chr(sign))
    code += fill(LINES, end="'\\n'")

    def line(body: bytes) -> bytes:
        return b"%b%c%x" % (body, star, check_of(body, room) & 15)

    def encode(units: Sequence[Unit]) -> bytes:
        lines, context = [], 0
        for unit in units:
            if unit.context != context:
                context = unit.context
                lines.append(line(b"%c%d" % (sign, context)))
            lines.append(line(b"%b%d%b" % (words[unit.code], unit.value, unit.tail)))
        return b"\n".join(lines)

    return Grammar(code, tuple(range(6)), encode, room, words)


GRAMMARS: dict[str, Callable[[np.random.Generator, bool], Grammar]] = {
    "commands": commands,
    "fields": fields,
    "indents": indents,
    "sized": sized,
    "macros": macros,
    "sums": sums,
}
"""Kinds of text by name."""
