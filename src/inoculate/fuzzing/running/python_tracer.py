"""What inputs of a Python function pass, by calling it once more with its lines counted."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from inoculate.fuzzing.running.limits import end_all
from inoculate.fuzzing.running.passed import Tracer
from inoculate.fuzzing.running.python_run import Caller, PythonTarget


class PythonTracer(Tracer):
    """Calls a function under ``sys.settrace``, each time in a process of its own.

    An edge is a pair of lines of the function's own package, one after the other. A line takes
    tens of times as long as without; what runs into the time limit so is not known.

    Args:
        target: the function; its form is known.
        folder: temporary, of its own.
        mark: of the fuzzer.
    """

    def __init__(self, target: PythonTarget, folder: Path, mark: str) -> None:
        self._target, self._folder, self._mark = target, folder, mark
        self._caller: Caller | None = None
        self._interrupted = False

    def start(self) -> None:
        """Start what calls the function, which imports its module.

        Raises:
            InputError: it cannot be imported once more.
        """
        self._caller = Caller(self._target, self._folder, self._mark, first=b"", trace=True)

    def __call__(self, inputs: Sequence[bytes]) -> list[Mapping[int, int] | None]:
        """Return for each input its edges and how often it passed them, None where not known.

        Raises:
            InputError: the function cannot be imported once more.
            OSError: it was interrupted.
        """
        return [self._passed(data) for data in inputs]

    def _passed(self, data: bytes) -> Mapping[int, int] | None:
        if self._caller is None:
            self.start()
        assert self._caller is not None  # noqa: S101 - started
        try:
            told = self._caller.ask(data).get("passed")
        except OSError:  # the target ended what called it, too
            self.close()
            if self._interrupted:
                raise
            return None
        return {int(edge): int(n) for edge, n in told.items()} if told else None

    def interrupt(self) -> None:
        """End what is running."""
        self._interrupted = True
        end_all(self._mark)

    def close(self) -> None:
        """Leave nothing behind."""
        caller, self._caller = self._caller, None
        if caller is not None:
            caller.close()
