"""What inputs of a native program pass, by AFL++'s ``afl-showmap`` on the same program.

References:
    AFL++ 4.04c, src/afl-showmap.c.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from inoculate.errors import MissingExtraError
from inoculate.fuzzing.running.limits import Limits, end_all, environment, fenced, run
from inoculate.fuzzing.running.native import PLACEHOLDER, Program, afl_limits, asan_options
from inoculate.fuzzing.running.passed import Tracer

_SHOWMAP = "afl-showmap"
_START_S = 10.0
_MOST_S = 60.0
_MOST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class NativeTracer(Tracer):
    """Runs a folder of inputs by one fork server, with AFL++'s limits for each.

    An edge is a place of AFL++'s map. It counts to 255 and goes on from 1, so what passes one
    edge more often costs more than its sum says.

    Attributes:
        program: instrumented.
        limits: of each execution.
        folder: temporary, where it runs.
        mark: of the fuzzer, which holds the memory of a sanitizer's build.
    """

    fewest: ClassVar[int] = 8

    program: Program
    limits: Limits
    folder: Path
    mark: str

    def start(self) -> None:
        """Look for the tool.

        Raises:
            MissingExtraError: ``afl-showmap`` is not installed.
        """
        if shutil.which(_SHOWMAP) is None:
            raise MissingExtraError(f"{_SHOWMAP}, of AFL++, is not on the PATH")

    def __call__(self, inputs: Sequence[bytes]) -> list[Mapping[int, int] | None]:
        """Return for each input its edges and how often it passed them, None where not known."""
        with tempfile.TemporaryDirectory(dir=self.folder) as made:
            place = Path(made)
            (place / "in").mkdir()
            for n, data in enumerate(inputs):
                (place / "in" / str(n)).write_bytes(data)
            command = [_SHOWMAP, "-q", "-r", "-i", str(place / "in"), "-o", str(place / "out")]
            command += [*afl_limits(self.program, self.limits), "--"]
            run(
                fenced([*command, *self.program.command(PLACEHOLDER)]),
                stdin=None,
                cwd=place,
                env=environment(place, self.mark, {"ASAN_OPTIONS": asan_options(self.limits)}),
                timeout_s=min(_START_S + len(inputs) * self.limits.timeout_s, _MOST_S),
            )
            return [_edges(place / "out" / str(n)) for n in range(len(inputs))]

    def interrupt(self) -> None:
        """End what is running."""
        end_all(self.mark)

    def close(self) -> None:
        """Leave nothing behind."""
        end_all(self.mark)


def _edges(file: Path) -> dict[int, int] | None:
    """Read lines of the form ``000017:3``; None where there are none."""
    found = {}
    try:
        with file.open("rb") as stream:
            for line in stream.read(_MOST_BYTES).splitlines():
                edge, _, n = line.partition(b":")
                found[int(edge)] = int(n)
    except (OSError, ValueError):
        return None
    return found or None
