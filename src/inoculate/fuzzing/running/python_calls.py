"""Calls one Python function with one input, and tells how that ended.

Only what the standard library holds is imported: this runs beside the target, where every module
more is one that is not instrumented.
"""

import builtins
import contextlib
import importlib
import inspect
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from types import FrameType, TracebackType
from typing import Any, Literal, Self

from inoculate.fuzzing.endings.crashes import Ending, Frame

Form = Literal["bytes", "text"]

HANG = "hang"
"""Kind of the end of what ran into the time limit."""
# kind of exception -> weakness; all others are CWE-248, an exception that nobody caught
_CWE = {
    "AssertionError": 617,
    "RecursionError": 674,
    "MemoryError": 789,
    "ZeroDivisionError": 369,
    "IndexError": 129,
    "UnboundLocalError": 457,
    HANG: 400,
}
_UNCAUGHT, _NULL = 248, 476
_AGAIN_S = 0.05
_MOST_FRAMES = 300
_TRACE_LIMIT = 40
_DETAIL_CHARS = 300
_TRACE_CHARS = 64_000
_HASHED = (1 << 24) - 1


class _Overtime(BaseException):
    """The time limit of a call; no handler of ``Exception`` swallows it."""


class Function:
    """A function of one argument, under a time limit.

    Args:
        name: dotted, ``package.module.function`` or ``package.Class.method``.
        form: what it is called with; text is the input as UTF-8, with U+FFFD for what is none.
        timeout_s: processor time of one call.
        expected: names of exceptions that are no bad end, built-in or dotted. ``ValueError`` and
            those that the function's own package defines never are.
    """

    def __init__(
        self, name: str, *, form: Form, timeout_s: float, expected: Sequence[str] = ()
    ) -> None:
        self.top = name.replace(":", ".").split(".")[0]
        self.form = form
        self._timeout_s = timeout_s
        self._call = found(name)
        self._expected: tuple[type[BaseException], ...] = (
            ValueError,
            *(_exception(one) for one in expected),
        )
        signal.signal(signal.SIGPROF, _overtime)

    def __call__(self, data: bytes) -> Ending | None:
        """Call it; return how that ended, None where it ended well or as expected."""
        given = given_as(self.form, data)
        try:
            try:
                signal.setitimer(signal.ITIMER_PROF, self._timeout_s, _AGAIN_S)
                self._call(given)
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
        except _Overtime as err:
            return self._ending(HANG, "ran into the time limit", err)
        except self._expected:
            return None
        except KeyboardInterrupt:
            raise
        except BaseException as err:
            if type(err).__module__.split(".")[0] == self.top:
                return None
            detail = _said(err)[:_DETAIL_CHARS]
            return self._ending(type(err).__name__, detail, err)
        return None

    def _ending(self, kind: str, detail: str, err: BaseException) -> Ending:
        below = err.__traceback__.tb_next if err.__traceback__ else None  # not our own call
        frames = tuple(_frames(below, self.top))[::-1]
        # innermost is our own signal handler, of no interest
        frames = tuple(f for f in frames if f.file != __file__)[:_MOST_FRAMES]
        try:
            trace = "".join(traceback.format_exception(type(err), err, below, limit=-_TRACE_LIMIT))
        except Exception:  # an exception's own __str__ is the target's code
            trace = detail
        return Ending(kind, detail, frames, trace[-_TRACE_CHARS:], cwe_of(kind, detail))


class Lines:
    """Counts lines of a package that follow each other, while it is entered; a context manager.

    Args:
        top: the package.

    Attributes:
        passed: how often each pair of lines was passed, by 24 bits of its hash.
    """

    def __init__(self, top: str) -> None:
        self.passed: dict[int, int] = {}
        self._top = top
        self._last = 0

    def __enter__(self) -> Self:
        sys.settrace(self._enter)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        del event, arg
        module = str(frame.f_globals.get("__name__", ""))
        return self._line if module.split(".")[0] == self._top else None

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        del arg
        if event == "line":
            code = frame.f_code
            # of whole numbers, whose hash is the same in every process
            here = hash((len(code.co_filename), code.co_firstlineno, frame.f_lineno)) & _HASHED
            edge, self._last = here ^ self._last >> 1, here
            self.passed[edge] = self.passed.get(edge, 0) + 1
        return self._line


def _said(err: BaseException) -> str:
    try:
        return str(err)
    except Exception:  # an exception's own __str__ is the target's code
        return ""


def given_as(form: Form, data: bytes) -> bytes | str:
    """Return what a function is called with."""
    return data.decode("utf-8", "replace") if form == "text" else data


def cwe_of(kind: str, detail: str = "") -> int:
    """Return the weakness of a kind of exception.

    Example:
        >>> cwe_of("RecursionError"), cwe_of("TypeError", "'NoneType' object is not iterable")
        (674, 476)
    """
    if kind in ("TypeError", "AttributeError") and "NoneType" in detail:
        return _NULL
    return _CWE.get(kind, _UNCAUGHT)


def found(name: str) -> Callable[[Any], Any]:
    """Return what a dotted name stands for, from the longest part of it that is a module.

    Raises:
        LookupError: nothing has that name, or it cannot be called.
    """
    parts = name.replace(":", ".").split(".")
    for n in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:n])
        try:
            thing: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as err:
            if err.name is not None and not module_name.startswith(err.name):
                raise LookupError(f"{name}: {module_name} needs the module {err.name}") from err
            continue
        for part in parts[n:]:
            thing = getattr(thing, part, None)
        if not callable(thing):
            break
        return thing  # type: ignore[no-any-return]
    raise LookupError(f"{name}: no such function; expected MODULE.FUNCTION on the path")


def form_of(call: Callable[[Any], Any], seed: bytes) -> Form:
    """Return what a function takes, by its annotation, else by calling it with a seed's bytes."""
    with contextlib.suppress(TypeError, ValueError):
        first = next(iter(inspect.signature(call).parameters.values()), None)
        said = "" if first is None or first.annotation is first.empty else first.annotation
        words = said.__name__ if isinstance(said, type) else str(said)
        if "str" in words:
            return "text"
        if "bytes" in words or "Buffer" in words:
            return "bytes"
    try:
        call(seed)
    except (TypeError, AttributeError):
        return "text"
    except Exception:
        return "bytes"
    return "bytes"


def _exception(name: str) -> type[BaseException]:
    plain = getattr(builtins, name, None)
    if isinstance(plain, type) and issubclass(plain, BaseException):
        return plain
    with contextlib.suppress(LookupError):
        thing: Any = found(name)
        if isinstance(thing, type) and issubclass(thing, BaseException):
            return thing
    raise LookupError(f"--expect {name}: no such exception; a built-in one or MODULE.NAME")


def _overtime(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise _Overtime


def _frames(trace: TracebackType | None, top: str) -> Iterator[Frame]:
    for frame, line in traceback.walk_tb(trace):
        code = frame.f_code
        module = str(frame.f_globals.get("__name__", ""))
        name = getattr(code, "co_qualname", code.co_name)
        yield Frame(name, code.co_filename, line or 0, module.split(".")[0] == top)


def forget(top: str) -> None:
    """Drop a package that is imported already, so that it can be instrumented."""
    for name in list(sys.modules):
        if name.split(".")[0] == top and top not in sys.builtin_module_names:
            del sys.modules[name]
