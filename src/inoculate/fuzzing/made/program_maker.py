"""Small C programs with planted, known bugs: what a fuzzing policy is trained and measured on.

A program reads a random format (``program_maker_grammars``, ``program_maker_text``,
``program_maker_binary``; in test ``program_maker_held_out``, and where agents were chosen by those,
``program_maker_unseen``), hands each unit of it to one of a few handlers with ordinary branches,
and holds one to three planted flaws (``program_maker_flaws``), each behind a path of steps over
several units (``program_maker_paths``). Everything follows from the settings and a seed.

What keeps meta-test apart from meta-training: no kind of grammar is in both; constants (tags,
magic, compared bytes and numbers) are even in training and odd in test; the check over a region is
a sum in training and a rotating exclusive or in test; paths are one step longer at most in test;
``double_free``, ``format_string``, ``short_allocation`` and ``recursion`` are planted in test only,
``off_by_one`` in training only. What they share: the handlers' ordinary branches, the kinds of
gates, and the other nine kinds of flaw.
"""

from dataclasses import dataclass

import numpy as np

from inoculate.fuzzing.made import (
    program_maker_binary,
    program_maker_grammars,
    program_maker_held_out,
    program_maker_text,
    program_maker_unseen,
)
from inoculate.fuzzing.made.program_maker_c import ENTRY, PROLOGUE, STATE, byte_text, fill
from inoculate.fuzzing.made.program_maker_flaws import KINDS, Flaw
from inoculate.fuzzing.made.program_maker_grammars import Grammar
from inoculate.fuzzing.made.program_maker_paths import (
    SUMS,
    Path,
    Room,
    Unit,
    draw_path,
    reaches,
    step_code,
)

_N_CODES = 6
_TRAIN_FLAWS = (
    *("stack_copy", "heap_copy", "index_write", "off_by_one", "index_read"),
    *("null_dereference", "divide_by_zero", "use_after_free", "endless_loop"),
    "uninitialised_read",
)
_TEST_FLAWS = (
    *("stack_copy", "heap_copy", "index_write", "index_read", "null_dereference"),
    *("divide_by_zero", "use_after_free", "endless_loop", "uninitialised_read"),
    *("double_free", "format_string", "short_allocation", "recursion"),
)
_RECURSION_DEPTH = 40  # of the trigger: more than LEVELS
TRAIN_GRAMMARS = (
    program_maker_grammars.GRAMMARS | program_maker_text.GRAMMARS | program_maker_binary.GRAMMARS
)
"""Kinds of grammar of the meta-training family, by name."""
_GRAMMARS = TRAIN_GRAMMARS | program_maker_held_out.GRAMMARS | program_maker_unseen.GRAMMARS


@dataclass(frozen=True, slots=True)
class ProgramSettings:
    """What programs are drawn from.

    Attributes:
        kind: kind of grammar.
        flaws: kinds of flaw that may be planted.
        steps: fewest and most units on the way to a flaw.
        gates: fewest and most conditions on each of them.
        bugs: fewest and most flaws in a program.
        big: numbers are written with the high byte first (text: another punctuation).
    """

    kind: str
    flaws: tuple[str, ...] = _TRAIN_FLAWS
    steps: tuple[int, int] = (1, 3)
    gates: tuple[int, int] = (1, 2)
    bugs: tuple[int, int] = (1, 3)
    big: bool = False


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """One planted flaw.

    Attributes:
        id: what the program says to ``planted_bug``, from 1.
        kind: kind of flaw.
        cwe: its number in the Common Weakness Enumeration.
        trigger: an input that reaches it.
    """

    id: int
    kind: str
    cwe: int
    trigger: bytes


@dataclass(frozen=True, slots=True)
class Program:
    """One generated program.

    Attributes:
        name: kind of grammar, byte order and seed.
        source: one C file, complete; builds are told apart by its first comment.
        seeds: valid inputs that reach no flaw.
        dictionary: tokens of its format; may be empty.
        bugs: what is planted.
    """

    name: str
    source: str
    seeds: tuple[bytes, ...]
    dictionary: tuple[bytes, ...]
    bugs: tuple[PlantedBug, ...]


_TRAIN_DEPTHS = ((False, (1, 2), (1, 2)), (True, (2, 3), (1, 1)))
_TEST_DEPTHS = ((True, (1, 3), (1, 2)), (False, (2, 4), (1, 1)))
META_TRAIN: tuple[ProgramSettings, ...] = tuple(
    ProgramSettings(kind, big=big, steps=steps, gates=gates)
    for kind in TRAIN_GRAMMARS
    for big, steps, gates in _TRAIN_DEPTHS
)
META_TEST, META_UNSEEN = (
    tuple(
        ProgramSettings(kind, flaws=_TEST_FLAWS, big=big, steps=steps, gates=gates)
        for kind in grammars
        for big, steps, gates in _TEST_DEPTHS
    )
    for grammars in (program_maker_held_out.GRAMMARS, program_maker_unseen.GRAMMARS)
)
"""Two families to measure on, of the same settings; agents were chosen by the first alone."""


def make_program(settings: ProgramSettings, seed: int) -> Program:
    """Return the program that the settings and the seed give.

    Args:
        settings: what to draw from.
        seed: any number from 0; the same program comes again.
    """
    own = (*settings.steps, *settings.gates, *settings.bugs, int(settings.big))
    rng = np.random.default_rng([seed, *own, *settings.kind.encode()])
    grammar = _GRAMMARS[settings.kind](rng, settings.big)
    paths = _draw_paths(rng, settings, grammar)
    seeds = _draw_seeds(rng, grammar, paths)
    bugs = tuple(
        PlantedBug(k + 1, path.flaw.kind, path.flaw.cwe, grammar.encode(path.units))
        for k, path in enumerate(paths)
    )
    name = f"{settings.kind}-{'big' if settings.big else 'little'}-{seed}"
    return Program(name, _source(rng, grammar, paths), seeds, grammar.words, bugs)


def _draw_paths(
    rng: np.random.Generator, settings: ProgramSettings, grammar: Grammar
) -> list[Path]:
    kinds = [k for k in settings.flaws if grammar.recursive or k != "recursion"]
    n_bugs = int(rng.integers(settings.bugs[0], settings.bugs[1] + 1))
    paths = []
    for k, kind in enumerate(rng.choice(kinds, n_bugs, replace=False)):
        flaw = _recursion() if kind == "recursion" else KINDS[kind](rng, grammar.room.longest)
        least = 2 if flaw.on_last else settings.steps[0]
        n_steps = int(rng.integers(least, max(least, settings.steps[1]) + 1))
        codes = [int(c) for c in rng.choice(_N_CODES, n_steps, replace=False)]
        low, high = settings.gates
        # one step alone is quickly found: it gets one gate more
        gates = [int(g) + (n_steps == 1) for g in rng.integers(low, high + 1, size=n_steps)]
        path = draw_path(rng, grammar.room, flaw, k=k, codes=codes, gates=gates)
        if kind == "recursion":
            path.units.append(Unit(0, 1, b"", context=_RECURSION_DEPTH))
        paths.append(path)
    return paths


def _recursion() -> Flaw:
    """Return the flaw that the grammar carries: its last step lifts the limit of depth."""
    return Flaw("recursion", 674, "s.step[@k@] = 100;")


def _draw_seeds(rng: np.random.Generator, grammar: Grammar, paths: list[Path]) -> tuple[bytes, ...]:
    """Return two or three inputs that pass some first steps, and no last one.

    As a real corpus does, they know a little of the program: of a path of several steps, the unit
    that passes the first one is in every other seed, and so is a context that a gate asks for.
    Other numbers, 1 to 39, are below what gates ask for, and other tails avoid the constants.
    """
    room = grammar.room
    found = []
    for _ in range(int(rng.integers(2, 4))):
        known = [path.units[0] for path in paths if len(path.steps) > 1 and rng.integers(2)]
        context = int(rng.choice([0, *(path.units[0].context for path in paths)]))
        units = [Unit(u.code, u.value, u.tail, context) for u in known]
        for code in rng.permutation(_N_CODES)[: int(rng.integers(4, _N_CODES + 1))]:
            tail = _plain_tail(rng, room, int(rng.integers(1, max(2, room.longest // 3))))
            units.append(Unit(int(code), int(rng.integers(1, 40)), tail, context))
        kept: list[Unit] = []
        for unit in units:
            if not any(reaches(path, [*kept, unit], room) for path in paths):
                kept.append(unit)
        found.append(grammar.encode(kept))
    return tuple(found)


def _plain_tail(rng: np.random.Generator, room: Room, length: int) -> bytes:
    tail = room.low + rng.integers(room.span, size=length)
    return bytes(int(b) ^ 1 if int(b) % 2 == room.parity else int(b) for b in tail)


def _source(rng: np.random.Generator, grammar: Grammar, paths: list[Path]) -> str:
    room = grammar.room
    start, step = SUMS[room.parity]
    state = fill(STATE, n_bugs=len(paths), sum_start=start, sum_step=step)
    state = fill(state, low=room.low, span=room.span)
    walks = [step_code(path, k) for k, path in enumerate(paths)]
    handlers = "".join(
        _handler(rng, room, code, [text for walk in walks for text in walk.get(code, [])])
        for code in range(_N_CODES)
    )
    cast = "(uint16_t)" * room.exact
    cases = "".join(
        f"    case {label}: on_{code}({cast}v, p, n); break;\n"
        for code, label in enumerate(grammar.labels)
    )
    handle = (
        "\nstatic void handle(uint32_t code, uint32_t v, const uint8_t *p, size_t n) {\n"
        f"    switch (code) {{\n{cases}    default: s.acc += code;\n    }}\n}}\n"
    )
    return PROLOGUE + state + handlers + handle + _frame(grammar, paths) + ENTRY


def _frame(grammar: Grammar, paths: list[Path]) -> str:
    """Return the code of the grammar with its limit of depth, or with the flaw of having none."""
    away = "at" if "static size_t list" in grammar.code else ""
    for k, path in enumerate(paths):
        if path.flaw.kind == "recursion":
            limit = f"if (depth > 12 && s.step[{k}] != 100) return {away};\n"
            limit += f"    FLAW({k + 1}, depth > LEVELS, return {away});"
            return fill(grammar.code, recursion=limit, frame="FRAME")
    return fill(grammar.code, recursion=f"if (depth > 12) return {away};", frame=64)


def _handler(rng: np.random.Generator, room: Room, code: int, walks: list[str]) -> str:
    """Return one handler: ordinary branches around the steps of the paths."""
    blocks = [_ordinary(rng, room) for _ in range(int(rng.integers(1, 4)))]
    blocks[1:1] = walks
    body = "".join(f"    {line}\n" for block in blocks for line in block.splitlines())
    number = "uint16_t" if room.exact else "uint32_t"  # tokens of the width that the format has
    head = f"\nstatic void on_{code}({number} v, const uint8_t *p, size_t n) {{\n"
    return head + body + "}\n"


def _ordinary(rng: np.random.Generator, room: Room) -> str:
    """Return one of six ordinary statements; they change ``acc`` and ``mode`` only."""
    v, w = sorted(room.number(rng, 2, 30_000) for _ in range(2))
    a, b = byte_text(room.byte(rng)), byte_text(room.byte(rng))
    at, mode = int(rng.integers(1, 6)), int(rng.integers(1, 8))
    texts = (
        f"if (v > {w}) s.acc += {mode};\nelse if (v > {v}) s.acc ^= v;",
        f"if (n > {at} && p[{at}] < {a}) s.mode = {mode};",
        f"if (s.mode == {mode} && v % {at + 3} == 0) s.acc += n;\nelse s.acc -= v;",
        f"for (size_t i = 0; i < n; i++)\n    if (p[i] == {a} || p[i] == {b}) s.acc += i;",
        f"if (n == 0) s.mode++;\nelse if (p[0] == {a}) s.mode = {mode};"
        f"\nelse if (n > {at + 6} && p[{at}] == p[{at + 1}]) s.acc += 5;",
        f"if (check_of(p, n) == {a}) s.acc ^= {v};\nif (s.acc % {at + 2} == 1) s.mode = 0;",
    )
    return str(texts[int(rng.integers(len(texts)))])
