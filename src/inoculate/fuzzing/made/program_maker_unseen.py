"""Grammars of the last family: no agent is trained on them, and none was chosen by them.

Four kinds: ``parents`` (a tree whose nodes name their parent), ``journal`` (entries that count once
their transaction is committed), ``postfix`` (words that take their operands off a stack) and
``columns`` (rows whose meaning a header row gives).
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
from inoculate.fuzzing.made.program_maker_paths import Room, Unit
from inoculate.fuzzing.made.program_maker_text import DIGITS, LINES


def _octets(longest: int) -> Room:
    return Room(0, 256, 1, longest, contexts=4, counted=True, exact=True)


def _letters(contexts: int, *, counted: bool) -> Room:
    return Room(ord("A"), 26, 1, 30, contexts=contexts, counted=counted, exact=False)


_PARENTS = """
static struct {
    const uint8_t *data;
    uint32_t count, body[256], up[256];
} tree;

static void walk(uint32_t node, uint32_t depth) {
    uint8_t first[@frame@];
    @recursion@
    memset(first, 0, 8);
    const uint8_t *data = tree.data;
    uint32_t at = tree.body[node];
    first[node & 7] = data[at];
    s.context = depth;
    if (data[at] != @inner@) handle(data[at], @value@, data + at + 4, data[at + 3]);
    for (uint32_t i = node + 1; i < tree.count; i++)
        if (tree.up[i] == node + 1) walk(i, depth + 1);
    s.acc += first[at & 7];
}

static void parse(const uint8_t *data, size_t size) {
    if (size < @header@ + 1) return;
@magic@
    uint32_t i, count = data[@header@];
    size_t at = @header@ + 1 + count;
    if (at > size) {
        s.mode++;
        return;
    }
    for (i = 0; i < count && at < size; i++) {
        uint32_t up = data[@header@ + 1 + i];
        if (up > i) s.acc++;
        tree.up[i] = up > i ? 256 : @up@;
        tree.body[i] = (uint32_t)at;
        if (data[at] == @inner@) {
            at++;
        } else {
            if (size - at < 4 || data[at + 3] > size - at - 4) break;
            at += 4 + data[at + 3];
        }
    }
    tree.data = data;
    tree.count = i;
    for (i = 0; i < tree.count; i++)
        if (tree.up[i] == 0) walk(i, 0);
}
"""


def parents(rng: np.random.Generator, big: bool) -> Grammar:
    """Return a tree: the parent of every node, then all nodes; it is walked from its roots.

    A parent is said from 1, or as the distance back to it; 0 is that of a root.
    """
    magic, tags = bytes(draw_bytes(rng, int(rng.integers(1, 4)), 1)), draw_bytes(rng, 7, 1)
    inner, back = tags[6], bool(rng.integers(2))
    code = fill(_PARENTS, header=len(magic), magic=magic_code(magic), inner=inner)
    code = fill(code, value=number_code(big, "at + 1"), up="up ? i - up + 1 : 0" if back else "up")

    def encode(units: Sequence[Unit]) -> bytes:
        above, branch = b"", [0]
        bodies: list[bytes] = []
        for unit in units:
            del branch[unit.context + 1 :]
            head = bytes([tags[unit.code]]) + number(unit.value, big) + bytes([len(unit.tail)])
            for body in [bytes([inner])] * (unit.context + 1 - len(branch)) + [head + unit.tail]:
                up = branch[-1]
                above += bytes([len(bodies) - up + 1 if back and up else up])
                bodies.append(body)
                branch.append(len(bodies))
            branch.pop()
        return magic + bytes([len(bodies)]) + above + b"".join(bodies)

    return Grammar(code, tags[:6], encode, _octets(28), (magic,), recursive=True)


_JOURNAL = """
static void parse(const uint8_t *data, size_t size) {
    size_t entries[48], at = @header@;
    uint32_t within[48], marks[8], n = 0, depth = 0;
    if (size < at) return;
@magic@
    while (at < size) {
        switch (data[at]) {
        case @begin@:
            if (depth == 8) return;
            marks[depth++] = n;
            at++;
            break;
        case @undo@:
            if (depth > 0) n = marks[--depth];
            at++;
            break;
        case @commit@:
            at++;
            if (depth == 0 || --depth > 0) break;
            for (uint32_t i = 0; i < n; i++) {
                size_t from = entries[i];
                s.context = within[i];
                handle(data[from], @value@, data + from + 4, data[from + 3]);
            }
            n = 0;
            break;
        default:
            if (size - at < 4 || data[at + 3] > size - at - 4) return;
            if (depth == 0 || n == 48) {
                s.mode++;
            } else {
                within[n] = depth - 1;
                entries[n++] = at;
            }
            at += 4 + data[at + 3];
        }
    }
}
"""


def journal(rng: np.random.Generator, big: bool) -> Grammar:
    """Return nested transactions of entries, which count when the outermost one is committed."""
    magic = bytes(draw_bytes(rng, int(rng.integers(0, 3)), 1))
    begin, undo, commit, *tags = draw_bytes(rng, 9, 1)
    code = fill(_JOURNAL, header=len(magic), magic=magic_code(magic), begin=begin, undo=undo)
    code = fill(code, commit=commit, value=number_code(big, "from + 1"))

    def encode(units: Sequence[Unit]) -> bytes:
        parts, depth = [magic, bytes([begin, undo])], 0
        for unit in units:
            deeper = unit.context + 1 - depth
            depth += deeper
            parts.append(bytes([begin]) * deeper + bytes([commit]) * -deeper)
            head = bytes([tags[unit.code]]) + number(unit.value, big)
            parts.append(head + bytes([len(unit.tail)]) + unit.tail)
        return b"".join(parts) + bytes([commit]) * depth

    words = (magic,) if magic else ()
    return Grammar(code, tuple(tags), encode, _octets(26), words)


_POSTFIX = """
static struct {
    uint32_t v;
    const uint8_t *text;
    size_t n;
} stack[16];
static uint32_t depth;

static void push(uint32_t v, const uint8_t *text, size_t n) {
    if (depth == 16) depth = 0;
    stack[depth].v = v;
    stack[depth].text = text;
    stack[depth++].n = n;
}

static void apply(int code) {
    static const uint8_t takes[] = {@takes@};
    if (code < 0 || depth < takes[code]) {
        s.mode++;
        depth = 0;
        return;
    }
    uint32_t top = depth - 1;
    depth -= takes[code];
    if (code == @twice@) {
        for (int i = 0; i < 2; i++) push(stack[top].v, stack[top].text, stack[top].n);
    } else if (code != @drop@) {
        uint32_t text = top - @under@, amount = top - 1 + @under@;
        s.context = depth;
        if (takes[code] == 3) s.acc ^= stack[depth].v;
        if (stack[text].text == NULL || stack[amount].text != NULL) s.mode++;
        else handle((uint32_t)code, stack[amount].v, stack[text].text, stack[text].n);
    }
}

static void parse(const uint8_t *data, size_t size) {
    uint32_t v;
    depth = 0;
    for (size_t from = 0, at = 0; at <= size; at++) {
        if (at < size && data[at] != ' ' && data[at] != '\\n') continue;
        const uint8_t *p = data + from;
        size_t n = at - from;
        from = at + 1;
        if (n == 0) continue;
        if (p[0] == '@quote@') push(0, p + 1, n - 1);
        else if (digits(p, n, 0, &v) == n) push(v, NULL, 0);
        else apply(word(p, n));
    }
}
"""


def postfix(rng: np.random.Generator, big: bool) -> Grammar:
    """Return words after their operands: a text, a number and for some words one number more.

    A context is what is left on the stack below the operands.
    """
    quote = '"' if big else "\\'"
    words = draw_words(rng, 8, 4)
    takes = [*(int(n) for n in rng.integers(2, 4, size=6)), 1, 1]
    code = word_code("word", words, "-1") + DIGITS + fill(_POSTFIX, quote=quote, under=int(big))
    code = fill(code, takes=", ".join(map(str, takes)), drop=6, twice=7)

    def encode(units: Sequence[Unit]) -> bytes:
        parts, depth = [], 0
        for unit in units:
            parts += [b"%d" % (i + 2) for i in range(depth, unit.context)]
            parts += [words[6]] * (depth - unit.context)
            depth = unit.context
            operands = [b"%d" % unit.value, quote[-1:].encode() + unit.tail]
            parts += [b"1"] * (takes[unit.code] - 2) + (operands[::-1] if big else operands)
            parts.append(words[unit.code])
        return b" ".join(parts)

    return Grammar(code, tuple(range(6)), encode, _letters(4, counted=True), words)


_COLUMNS = """
static struct {
    uint8_t type[8];
    size_t n;
} columns;

static size_t hexadecimal(const uint8_t *p, size_t n, size_t at, uint32_t *v) {
    for (*v = 0; at < n; at++) {
        if (p[at] >= '0' && p[at] <= '9') *v = (*v << 4 | (p[at] - '0')) & 0xffff;
        else if (p[at] >= 'a' && p[at] <= 'f') *v = (*v << 4 | (p[at] - 'a' + 10)) & 0xffff;
        else break;
    }
    return at;
}

static void header(const uint8_t *p, size_t n) {
    columns.n = 0;
    for (size_t at = 1; at < n && columns.n < 8; at++)
        if (p[at - 1] == '@colon@') columns.type[columns.n++] = p[at];
}

static void line(const uint8_t *p, size_t n) {
    uint32_t v = 0, numbers = 0;
    size_t at = 0, text = 0, length = 0, end;
    int code = -1;
    if (n == 0 || !started) {
        started = n > 0;
        header(p, n);
        return;
    }
    s.context = 0;
    for (size_t i = 0; i < columns.n; i++, at++) {
        size_t from = at;
        if (at > n) {
            s.mode++;
            return;
        }
        while (at < n && p[at] != '@split@') at++;
        switch (columns.type[i]) {
        case '@key@':
            code = word(p + from, at - from);
            break;
        case '@decimal@':
        case '@hex@':
            if (columns.type[i] == '@hex@') end = hexadecimal(p, at, from, &v);
            else end = digits(p, at, from, &v);
            if (end != at || at == from) return;
            numbers++;
            break;
        case '@letters@':
            text = from;
            length = at - from;
            break;
        case '@level@':
            s.context = at > from && p[from] >= '0' ? p[from] - '0' : 0;
            break;
        default:
            s.acc++;
        }
    }
    if (code >= 0 && numbers > 0) handle((uint32_t)code, v, p + text, length);
}
"""


def columns(rng: np.random.Generator, big: bool) -> Grammar:
    """Return rows under a header that says what each column is; an empty row ends its reach."""
    colon, split = b":/"[int(big)], b",;|"[int(rng.integers(3))]
    words, names = draw_words(rng, 6, 4), draw_words(rng, 5, 3)
    types = [int(c) for c in rng.choice(np.frombuffer(b"cdhiklnstvxz", np.uint8), 6, replace=False)]
    order = [int(i) for i in rng.permutation(5)]
    if not rng.integers(3):
        order.remove(4)
    hexes = bool(rng.integers(2))
    kinds = ("key", "decimal", "letters", "level", "note", "hex")
    code = word_code("word", words, "-1") + DIGITS + _COLUMNS + fill(LINES, end="'\\n'")
    code = fill(code, colon=chr(colon), split=chr(split))
    code = fill(code, **{kind: chr(letter) for kind, letter in zip(kinds, types, strict=True)})
    shown = [types[5] if hexes and i == 1 else types[i] for i in range(5)]

    def encode(units: Sequence[Unit]) -> bytes:
        rows = [[b"%b%c%c" % (names[i], colon, shown[i]) for i in range(5)]]
        for unit in units:
            value = b"%x" % unit.value if hexes else b"%d" % unit.value
            level = b"%d" % unit.context
            rows.append([words[unit.code], value, unit.tail, level, names[unit.code % 5]])
        return b"\n".join(bytes([split]).join(row[i] for i in order) for row in rows)

    return Grammar(code, tuple(range(6)), encode, _letters(5, counted=False), words)


GRAMMARS: dict[str, Callable[[np.random.Generator, bool], Grammar]] = {
    "parents": parents,
    "journal": journal,
    "postfix": postfix,
    "columns": columns,
}
"""Kinds of this family by name."""
