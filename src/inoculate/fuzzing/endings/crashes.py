"""A bad end of an execution: what it is, where, and whether it is the same as another."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

_TOP = 4
_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Frame:
    """One call on a stack.

    Attributes:
        function: its name.
        file: of the source, empty where that is not known.
        line: 0 where that is not known.
        own: whether it is the target's own code, not a library's or a sanitizer's.
    """

    function: str
    file: str = ""
    line: int = 0
    own: bool = True


@dataclass(frozen=True, slots=True)
class Ending:
    """How an execution went wrong.

    Attributes:
        kind: ``heap-buffer-overflow``, ``IndexError``, ``hang``.
        detail: more of it, ``WRITE of size 4``.
        frames: the stack, the innermost call first.
        trace: what the sanitizer or Python said, as text.
        cwe: number of the weakness, None where none fits.
    """

    kind: str
    detail: str = ""
    frames: tuple[Frame, ...] = ()
    trace: str = ""
    cwe: int | None = None

    @property
    def own(self) -> tuple[Frame, ...]:
        """The calls within the target's own code; all where none is known to be."""
        return tuple(f for f in self.frames if f.own) or self.frames

    @property
    def place(self) -> Frame | None:
        """Where it happened: the innermost call within the target's own code."""
        repeated = _repeated(self.own) if self.kind in ENDLESS_STACKS else ()
        return next((f for f in self.own if f.function in repeated or not repeated), None)

    @property
    def key(self) -> str:
        """Hash by which two endings are held to be of one bug.

        Its kind and the innermost calls in the target's own code. Of a recursion without end,
        the functions that recur; of a hang, the outermost calls, since it is interrupted anywhere.
        """
        own = self.own
        if self.kind in ENDLESS_STACKS:
            calls = sorted(_repeated(own)) or [f.function for f in own[:_TOP]]
        elif self.kind in ENDLESS:
            calls = [f.function for f in own[-_TOP:]]
        else:
            calls = [f.function for f in own[:_TOP]]
            calls += [f"{own[0].file}:{own[0].line}"] if own else []
        text = "\n".join([self.kind, *calls])
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


ENDLESS = ("hang",)
ENDLESS_STACKS = ("stack-overflow", "RecursionError")


def _repeated(frames: tuple[Frame, ...]) -> frozenset[str]:
    counted = Counter(f.function for f in frames)
    return frozenset(name for name, n in counted.items() if n >= _REPEATS)


def minimised(
    data: bytes, same: Callable[[bytes], bool], *, executions: int = 400, seconds: float = 10.0
) -> bytes:
    """Return a shorter input with the same end: by blocks left out, then bytes made plain.

    Args:
        data: an input known to have that end.
        same: runs an input and says whether it ends the same.
        executions: most calls of ``same``.
        seconds: after that, what was found so far is returned.

    References:
        Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 2002,
        section 3 (ddmin), with complements only, as blocks are halved; then AFL's afl-tmin, stage
        3, which makes bytes ``0``.
    """
    deadline, left = time.monotonic() + seconds, executions

    def tried(candidate: bytes) -> bool:
        nonlocal left
        left -= 1
        return same(candidate)

    block = len(data) // 2
    while block and left > 0:
        at, shorter = 0, False
        while at < len(data) and left > 0 and time.monotonic() < deadline:
            candidate = data[:at] + data[at + block :]
            if tried(candidate):
                data, shorter = candidate, True
            else:
                at += block
        if not shorter or block > len(data) // 2:
            block //= 2
    for at in range(len(data)):
        if left <= 0 or time.monotonic() > deadline:
            break
        plain = data[:at] + b"0" + data[at + 1 :]
        if data[at : at + 1] != b"0" and tried(plain):
            data = plain
    return data
