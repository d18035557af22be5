"""Paths to a planted flaw: steps that units of an input pass one after the other.

A *unit* is what every grammar can say: a code, a number, a tail of bytes, in a context (a section,
a state, a depth). A *gate* is one condition on a unit. A *step* is a code with its gates, nested in
the program so that each passed gate is new coverage; the last step holds the flaw.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from inoculate.fuzzing.made.program_maker_c import byte_text, fill
from inoculate.fuzzing.made.program_maker_flaws import Flaw


@dataclass(frozen=True, slots=True)
class Unit:
    """One record, line, instruction or node: what a handler of the program sees.

    Attributes:
        code: which handler, 0 to the grammar's ``n_codes`` - 1.
        value: its number, 0 to 65,535.
        tail: the bytes after it.
        context: where it stands, 0 to the grammar's ``contexts``.
    """

    code: int
    value: int
    tail: bytes = b""
    context: int = 0


@dataclass(frozen=True, slots=True)
class Room:
    """What constants may be drawn for a program, by its grammar and family.

    Attributes:
        low, span: bytes that a tail may hold: ``low`` to ``low + span - 1``.
        parity: 0 or 1: constants (bytes and numbers) are even or odd.
        longest: longest tail, in bytes.
        contexts: greatest context; 0: the grammar has none.
        counted: contexts are depths (reached from a number on), not names (equal).
        exact: numbers may be compared for equality (binary grammars, where a token fits).
    """

    low: int
    span: int
    parity: int
    longest: int
    contexts: int
    counted: bool
    exact: bool

    def byte(self, rng: np.random.Generator) -> int:
        """Return a constant for a byte of a tail."""
        found = self.low + int(rng.integers(self.span))
        if found % 2 != self.parity:
            found += 1 if found + 1 < self.low + self.span else -1
        return found + 2 if found == ord("%") else found

    def number(self, rng: np.random.Generator, low: int, high: int) -> int:
        """Return a constant number from ``low`` to ``high`` of the family's parity."""
        found = int(rng.integers(low, high))
        return found if found % 2 == self.parity else found + 1


@dataclass(slots=True)
class Gate:
    """One condition: its C text, what makes a unit fulfil it, and whether one does.

    ``holds`` takes the unit and the number that the step before kept.
    """

    test: str
    holds: Callable[[Unit, int], bool] = lambda unit, kept: True
    value: int | None = None
    at: int = -1
    byte: int = 0
    length: int = 0
    checked: bool = False
    in_context: int = 0


@dataclass(slots=True)
class Path:
    """The way to one flaw.

    Attributes:
        steps: (code, gates) in the order in which they must be passed.
        units: an input that passes them all.
    """

    flaw: Flaw
    steps: list[tuple[int, list[Gate]]]
    units: list[Unit] = field(default_factory=list)


def _value_gate(rng: np.random.Generator, room: Room, kept: int | None, k: int) -> Gate:
    kinds = ["above", "range", "rest"] + ["exact"] * room.exact + ["relation"] * (kept is not None)
    kind = str(rng.choice(kinds))
    c = room.number(rng, 40, 20_000)
    if kind == "above":
        c = room.number(rng, 300, 30_000)
        return Gate(f"v > {c}", lambda u, _: u.value > c, value=c + 1 + int(rng.integers(400)))
    if kind == "range":
        width = int(rng.integers(100, 2000))
        test = f"v >= {c} && v < {c + width}"
        return Gate(test, lambda u, _: c <= u.value < c + width, value=c + int(rng.integers(width)))
    if kind == "rest":
        by = room.number(rng, 5, 30)
        rest = int(rng.integers(by))
        test = f"v % {by} == {rest}"
        return Gate(
            test, lambda u, _: u.value % by == rest, value=by * int(rng.integers(1, 900)) + rest
        )
    if kind == "exact":
        return Gate(f"v == {c}", lambda u, _: u.value == c, value=c)
    assert kept is not None  # noqa: S101 - "relation" is offered only then
    low = room.number(rng, 30, 300)
    test = f"v > s.kept[{k}] && v - s.kept[{k}] < {low + 2}"
    return Gate(test, lambda u, before: 0 < u.value - before < low + 2, value=kept + low)


def _draw_gate(
    rng: np.random.Generator, room: Room, taken: list[Gate], kept: int | None, k: int
) -> Gate:
    """Draw a gate that does not contradict those the unit has already."""
    context = int(rng.integers(1, room.contexts + 1)) if room.contexts else 0
    kinds = []
    if room.longest:
        kinds += ["byte", "byte", "length"] + ["check"] * (not any(g.checked for g in taken))
    if all(g.value is None for g in taken):
        kinds += ["value", "value"]
    if context and not any(g.in_context for g in taken):
        kinds += ["context", "context"]
    kind = str(rng.choice(kinds)) if kinds else "none"
    if kind == "value":
        return _value_gate(rng, room, kept, k)
    if kind == "context":
        sign = ">=" if room.counted else "=="
        return Gate(f"s.context {sign} {context}", in_context=context)
    if kind == "length":
        least = int(rng.integers(2, max(3, room.longest * 2 // 3)))
        return Gate(f"n > {least}", lambda u, _: len(u.tail) > least, length=least + 1)
    if kind == "check":
        test = "n > 2 && ((check_of(p + 1, n - 1) ^ p[0]) & 15) == 0"
        return Gate(test, lambda u, _: _checks(u.tail, room), length=3, checked=True)
    return _byte_gate(rng, room, taken)


def _byte_gate(rng: np.random.Generator, room: Room, taken: list[Gate]) -> Gate:
    free = [i for i in range(1, min(6, room.longest)) if all(g.at != i for g in taken)]
    if not room.longest or not free:
        return Gate("n < 200")
    at, byte = int(rng.choice(free)), room.byte(rng)
    if room.span == 256 and rng.integers(2):
        mask = int(rng.choice([0x0F, 0x1F, 0x3F]))
        test = f"n > {at} && (p[{at}] & {mask:#x}) == {byte_text(byte & mask)}"
        return Gate(
            test,
            lambda u, _: len(u.tail) > at and (u.tail[at] & mask) == byte & mask,
            at=at,
            byte=byte,
            length=at + 1,
        )
    test = f"n > {at} && p[{at}] == {byte_text(byte)}"
    return Gate(
        test, lambda u, _: u.tail[at : at + 1] == bytes([byte]), at=at, byte=byte, length=at + 1
    )


def draw_path(
    rng: np.random.Generator,
    room: Room,
    flaw: Flaw,
    *,
    k: int,
    codes: Sequence[int],
    gates: Sequence[int],
) -> Path:
    """Draw the steps to a flaw and an input that passes them.

    Args:
        rng: draws gates and constants.
        room: what constants may be drawn.
        flaw: stands behind the last step.
        k: index of the flaw in the program.
        codes: handler of each step.
        gates: number of gates of each step.
    """
    path = Path(flaw, [])
    kept, context = None, 0
    for i, (code, wanted) in enumerate(zip(codes, gates, strict=True)):
        last = i == len(codes) - 1
        taken = [Gate("", value=flaw.value)] if last else []
        if last and flaw.tail:
            taken += [Gate("", at=j) for j in range(len(flaw.tail))] + [Gate("", checked=True)]
        drawn: list[Gate] = []
        for _ in range(wanted):
            gate = _draw_gate(rng, room, taken + drawn, kept, k)
            if gate.in_context:
                context = context or gate.in_context
                gate = replace(
                    gate, test=gate.test.rsplit(" ", 1)[0] + f" {context}", in_context=context
                )
            drawn.append(gate)
        path.steps.append((code, drawn))
        path.units.append(_unit(rng, room, code, drawn, flaw if last else None))
        kept = path.units[-1].value
    path.units = [replace(unit, context=context) for unit in path.units]
    return path


def check_of(data: bytes, room: Room) -> int:
    """Return the check byte of a tail; a family's own, as ``SUMS`` says it in C."""
    total = SUMS[room.parity][0]
    for byte in data:
        total = _MIX[room.parity](total, byte) & 0xFFFFFFFF
    return room.low + (total & 0xFF) % room.span


def _checks(tail: bytes, room: Room) -> bool:
    return len(tail) > 2 and (check_of(tail[1:], room) ^ tail[0]) & 15 == 0


def reaches(path: Path, units: Sequence[Unit], room: Room) -> bool:
    """Return whether the units pass every step of a path, so that they may set off its flaw."""
    step, kept = 0, 0
    for unit in units:
        code, gates = path.steps[step]
        if unit.code != code or not all(_holds(g, unit, kept, room) for g in gates):
            continue
        step, kept = step + 1, unit.value
        if step == len(path.steps):
            return True
    return False


def _holds(gate: Gate, unit: Unit, kept: int, room: Room) -> bool:
    """Return whether a unit passes a gate; a context is the path's own, drawn after the gate."""
    if not gate.in_context:
        return gate.holds(unit, kept)
    if room.counted:
        return unit.context >= gate.in_context
    return unit.context == gate.in_context


SUMS = ((7, "sum += p[i];"), (0x5A, "sum = ((sum << 3) | (sum >> 5 & 7)) ^ p[i];"))
_MIX = (lambda s, b: s + b, lambda s, b: ((s << 3) | (s >> 5 & 7)) ^ b)


def _unit(
    rng: np.random.Generator, room: Room, code: int, gates: list[Gate], flaw: Flaw | None
) -> Unit:
    """Return a unit that passes the gates, and sets off the flaw where one is given."""
    value = next((g.value for g in gates if g.value is not None), int(rng.integers(1, 300)))
    length = max([g.length for g in gates], default=0)
    start = b""
    if flaw is not None:
        value = value if flaw.value is None else flaw.value
        length, start = max(length, flaw.length), flaw.tail
    tail = bytearray(room.low + int(i) for i in rng.integers(room.span, size=length))
    tail = bytearray(b if b not in b"%" else room.low for b in tail)
    tail[: len(start)] = start
    for gate in gates:
        if gate.at >= 0:
            tail[gate.at] = gate.byte
    if any(g.checked for g in gates):
        tail[0] = check_of(bytes(tail[1:]), room)
    return Unit(code, value, bytes(tail))


def step_code(path: Path, k: int) -> dict[int, list[str]]:
    """Return C statements by handler that walk the path of flaw ``k``, last step first.

    The order keeps one unit from passing two steps of the same handler at once.
    """
    found: dict[int, list[str]] = {}
    last = len(path.steps) - 1
    for i in range(last, -1, -1):
        code, gates = path.steps[i]
        if i == last:
            inner = fill(path.flaw.code, id=k + 1, k=k)
        else:
            inner = f"s.step[{k}] = {i + 1};\ns.kept[{k}] = v;"
            inner += f"\n{path.flaw.on_first}" * (i == 0) + f"\n{path.flaw.on_last}" * (
                i == last - 1
            )
            inner = fill(inner, k=k)
        found.setdefault(code, []).append(_nested([f"s.step[{k}] == {i}", *_tests(gates)], inner))
    return found


def _tests(gates: list[Gate]) -> list[str]:
    return [part for gate in gates for part in gate.test.split(" && ")]


def _nested(tests: list[str], inner: str) -> str:
    """Return ifs inside ifs; a statement in each, or a compiler would fold them into one branch."""
    text = ""
    for depth, test in enumerate(tests):
        pad = "    " * depth
        text += f"{pad}if ({test}) {{\n" + f"{pad}    s.acc += {depth + 3};\n" * (depth > 0)
    pad = "    " * len(tests)
    text += "".join(f"{pad}{line}\n" for line in inner.splitlines())
    return text + "".join("    " * d + "}\n" for d in range(len(tests) - 1, -1, -1))
