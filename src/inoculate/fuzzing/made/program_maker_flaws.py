"""Planted flaws: the C text of each kind, its CWE, and what an input needs to reach it.

A flaw is the last step of a path (``program_maker_paths``); it sees one unit of the input: its
number ``v`` (0 to 65,535) and its tail ``p``, ``n`` bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from inoculate.fuzzing.made.program_maker_c import fill


@dataclass(frozen=True, slots=True)
class Flaw:
    """One kind of flaw with its constants drawn.

    Attributes:
        kind: name of the kind, a key of ``KINDS``.
        cwe: number in the Common Weakness Enumeration.
        code: C statements, with ``v``, ``p``, ``n`` in scope and ``return`` allowed.
        value: the number that triggers it; None: any.
        tail: how the triggering tail begins.
        length: bytes the triggering tail must have at least.
        on_first: C statements when the path's first step is passed.
        on_last: C statements when the step before the flaw is passed.
    """

    kind: str
    cwe: int
    code: str
    value: int | None = None
    tail: bytes = b""
    length: int = 0
    on_first: str = ""
    on_last: str = ""


def _stack_copy(rng: np.random.Generator, longest: int) -> Flaw:
    room = int(rng.integers(longest // 3, longest * 2 // 3))
    code = (
        "uint8_t box[@room@];\nFLAW(@id@, n > sizeof box, return);\nmemcpy(box, p, n);\n"
        "for (size_t i = 0; i < sizeof box && i < n; i++) s.acc += box[i];"
    )
    return Flaw("stack_copy", 121, fill(code, room=room), length=room + 1)


def _heap_copy(rng: np.random.Generator, longest: int) -> Flaw:
    mask = int(rng.choice([0x1F, 0x3F, 0x7F]))
    code = (
        "size_t room = v & @mask@;\nuint8_t *box = take(room);\nif (box == NULL) return;\n"
        "FLAW(@id@, n > room, return);\nmemcpy(box, p, n);\nif (n > 0) s.acc += box[n - 1];"
    )
    return Flaw("heap_copy", 122, fill(code, mask=mask), value=2, length=longest // 2)


def _index_write(rng: np.random.Generator, longest: int) -> Flaw:
    room = int(rng.integers(9, 120))
    code = (
        "uint8_t *slots = take(@room@);\nif (slots == NULL) return;\nsize_t i = v & 0x7f;\n"
        "FLAW(@id@, i >= @room@, return);\nslots[i] = (uint8_t)n;\ns.acc += slots[i];"
    )
    return Flaw("index_write", 787, fill(code, room=room), value=room)


def _off_by_one(rng: np.random.Generator, longest: int) -> Flaw:
    room = int(rng.integers(9, 100))
    code = (
        "uint8_t *slots = take(@room@);\nsize_t i = v & 0x7f;\n"
        "if (slots == NULL || i > @room@) return;\nFLAW(@id@, i == @room@, return);\n"
        "slots[i] = 1;\ns.acc += slots[i];"
    )
    return Flaw("off_by_one", 193, fill(code, room=room), value=room)


def _index_read(rng: np.random.Generator, longest: int) -> Flaw:
    room, times = int(rng.integers(6, 40)), int(rng.integers(2, 6))
    code = (
        "uint8_t *table = take(@room@);\nif (table == NULL) return;\nmemset(table, 3, @room@);\n"
        "size_t i = (v & 0x1f) * @times@;\nFLAW(@id@, i >= @room@, return);\ns.acc += table[i];"
    )
    return Flaw("index_read", 125, fill(code, room=room, times=times), value=-(-room // times))


def _null(rng: np.random.Generator, longest: int) -> Flaw:
    a, b = sorted(int(x) for x in rng.choice(np.arange(3, 200), 2, replace=False))
    code = (
        "static uint32_t low = @a@, high = @b@;\n"
        "uint32_t *found = v < @a@ ? &low : v > @b@ ? &high : NULL;\n"
        "FLAW(@id@, found == NULL, return);\ns.acc += *found + v;"
    )
    return Flaw("null_dereference", 476, fill(code, a=a, b=b), value=(a + b) // 2)


def _divide(rng: np.random.Generator, longest: int) -> Flaw:
    by, rest = int(rng.integers(7, 60)), int(rng.integers(0, 7))
    code = (
        "uint32_t unit = (v + @rest@) % @by@;\nFLAW(@id@, unit == 0, return);\n"
        "s.acc += (s.mode + 1000) / unit;"
    )
    return Flaw("divide_by_zero", 369, fill(code, by=by, rest=rest), value=by - rest)


def _short_allocation(rng: np.random.Generator, longest: int) -> Flaw:
    each = int(rng.choice([12, 24, 40, 56, 72]))
    code = (
        "uint16_t bytes = (uint16_t)(v * @each@u);\nFLAW(@id@, v * @each@u > 0xffff, return);\n"
        "uint8_t *rows = take(bytes);\nif (rows == NULL) return;\n"
        "for (size_t i = 0; i < v; i++) rows[i * @each@] = 1;\nif (v > 0) s.acc += rows[0];"
    )
    return Flaw("short_allocation", 680, fill(code, each=each), value=0x10000 // each + 1)


def _freed(kind: str, cwe: int, size: int, use: str) -> Flaw:
    """Return a flaw of an object: made by the first step, given back before the last, then used."""
    return Flaw(
        kind,
        cwe,
        f"if (s.object[@k@] == NULL) return;\nFLAW(@id@, 1, return);\n{use}",
        on_first=f"s.object[@k@] = take({size});",
        on_last="if (s.object[@k@] != NULL) give(s.object[@k@]);",
    )


def _after_free(rng: np.random.Generator, longest: int) -> Flaw:
    use = "s.object[@k@][1] ^= (uint8_t)v;\ns.acc += s.object[@k@][1];"
    return _freed("use_after_free", 416, 24, use)


def _double_free(rng: np.random.Generator, longest: int) -> Flaw:
    return _freed("double_free", 415, 40, "give(s.object[@k@]);\ns.acc += v;")


def _endless(rng: np.random.Generator, longest: int) -> Flaw:
    mask = int(rng.choice([0x0F, 0x1F, 0x3F]))
    code = (
        "size_t hop = v & @mask@;\nFLAW(@id@, hop == 0 && n > 0, return);\n"
        "for (size_t i = 0; i < n; i += hop) s.acc = s.acc * 31 + p[i];"
    )
    return Flaw("endless_loop", 835, fill(code, mask=mask), value=(mask + 1) * 3, length=2)


def _format(rng: np.random.Generator, longest: int) -> Flaw:
    code = (
        "char text[64], line[96];\nsize_t signs = 0, at = 0;\nif (n >= sizeof text) return;\n"
        "memcpy(text, p, n);\ntext[n] = 0;\n"
        "for (size_t i = 0; text[i] != 0; i++)\n    if (text[i] == '%') { signs++; at = i; }\n"
        'if (signs > 1 || (signs == 1 && strchr("dsnux", text[at + 1]) == NULL)) return;\n'
        "FLAW(@id@, signs == 1 && (text[at + 1] == 's' || text[at + 1] == 'n'), return);\n"
        "if (signs == 1 && text[at + 1] == 0) return;\n"
        "s.acc += (uint32_t)snprintf(line, sizeof line, text, (size_t)v | 1);"
    )
    return Flaw("format_string", 134, code, tail=b"%s", length=2)


def _uninitialised(rng: np.random.Generator, longest: int) -> Flaw:
    limit = int(rng.integers(40, 900))
    code = (
        "struct { const uint8_t *text; size_t n; } *entry = take(sizeof *entry);\n"
        "if (entry == NULL) return;\nif (v < @limit@) { entry->text = p; entry->n = n; }\n"
        "FLAW(@id@, v >= @limit@, return);\n"
        "if (entry->n > 0) s.acc += entry->text[0];"
    )
    return Flaw("uninitialised_read", 908, fill(code, limit=limit), value=limit + 1)


KINDS: dict[str, Callable[[np.random.Generator, int], Flaw]] = {
    "stack_copy": _stack_copy,
    "heap_copy": _heap_copy,
    "index_write": _index_write,
    "off_by_one": _off_by_one,
    "index_read": _index_read,
    "null_dereference": _null,
    "divide_by_zero": _divide,
    "short_allocation": _short_allocation,
    "use_after_free": _after_free,
    "double_free": _double_free,
    "endless_loop": _endless,
    "format_string": _format,
    "uninitialised_read": _uninitialised,
}
"""Flaw kinds by name; ``recursion`` is not here, since the grammar itself carries it."""
