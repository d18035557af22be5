"""What is promised of every reader, whatever the bytes; ``broken_promise`` says which one fell.

An input ends in a normal return or an ``InoculateError``, twice in the same way, within five
seconds and 400 MiB, without a warning and without a byte printed.
"""

import os
import re
import resource
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from inoculate.errors import InoculateError

LIMIT_S = 5.0
LIMIT_BYTES = 400 << 20

Outcome = tuple[object, ...]
"""What a reading gave: compared between two readings, and never anything but plain values."""


class TooSlowError(BaseException):
    """Raised by the alarm; no ``except Exception`` may swallow it."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that did not hold.

    Attributes:
        key: the same for the same fault, as far as that can be told.
        story: what happened, with the traceback.
    """

    key: str
    story: str


def broken_promise(read: Callable[[bytes], Outcome], data: bytes) -> tuple[Broken | None, Outcome]:
    """Read the bytes twice; return what was broken, and the first outcome."""
    before = _peak_bytes()
    outcome: Outcome = ()
    with _printing() as printed:
        try:
            outcome = _guarded(read, data)
            again = _guarded(read, data)
        except (Exception, TooSlowError) as err:  # whatever it is, it is a finding
            return _crash(err), ()
        except BaseException as err:
            if type(err).__name__ != "PanicException":  # Polars panics are no Exception
                raise
            return _crash(err), ()
    if outcome != again:
        return Broken("differs", f"first {outcome!r:.800}\nthen {again!r:.800}"), outcome
    if printed[0]:
        return Broken("prints", printed[0].decode("utf-8", "replace")[:800]), outcome
    grown = _peak_bytes() - before
    if grown > LIMIT_BYTES:
        return Broken("memory", f"{grown >> 20} MiB for {len(data)} bytes"), outcome
    return None, outcome


def shape(outcome: Outcome) -> str:
    """Return the outcome without its numbers and names: new shapes are worth keeping."""
    text = re.sub(r"[0-9a-f]{64}|\d+", "0", repr(outcome))
    return re.sub(r"'[^']{0,60}'", "''", text)[:300]


def _guarded(read: Callable[[bytes], Outcome], data: bytes) -> Outcome:
    with _alarm(), warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return read(data)
        except InoculateError as err:
            return (type(err).__name__, str(err))


def _crash(err: BaseException) -> Broken:
    frames = traceback.extract_tb(err.__traceback__)
    ours = [f for f in frames if "/inoculate/" in f.filename] or list(frames)
    place = f"{ours[-1].filename.rpartition('/')[2]}:{ours[-1].name}:{ours[-1].lineno}"
    story = "".join(traceback.format_exception(err))
    return Broken(f"{type(err).__name__} {place}", story[-4000:])


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TooSlowError(f"over {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _printing() -> Iterator[list[bytes]]:
    """Catch what is written to the descriptors 1 and 2, by Python or by native code."""
    found = [b""]
    with tempfile.TemporaryFile(buffering=0) as file:
        kept = os.dup(1), os.dup(2)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield found
        finally:
            for fd, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, fd)
                os.close(copy)
            file.seek(0)
            found[0] = file.read(4000)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
