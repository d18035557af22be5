"""Functions that the user points at, ``src/app.py:120``, as what ``adapt`` learns from.

Those that are marked are the examples; those that are known to be safe are told beside them, and
never calibrate as far as there are as many marked ones. Where no background is named, it is the
repository, or else the folder, that holds the marked functions.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from inoculate.errors import InputError, RecordError
from inoculate.render._text import counted
from inoculate.workflows.examples import Examples
from inoculate.workflows.intake import Intake, Sample, sample_records

KIND = "code"
MOST_AROUND = 20_000
MOST_PLACES = 1_000
_LEAST_AROUND = 2
_MOST_LIST_BYTES = 1 << 20
_PLACE = re.compile(r"(?P<path>.+):(?P<line>\d{1,9})")


@dataclass(frozen=True, slots=True, eq=False)
class Pointed:
    """Functions that were pointed at, and the code around them.

    Attributes:
        examples: the marked ones.
        safe: (k rows) those known to be safe.
        background: the other functions.
        files: that hold marked or safe functions, with how many.
        around: sources of the background.
        notes: lines the user must read.
    """

    examples: Examples
    safe: pl.DataFrame
    background: Sample
    files: dict[str, int]
    around: tuple[str, ...]
    notes: tuple[str, ...]


def read_places(
    intake: Intake,
    marked: Sequence[str],
    safe: Sequence[str],
    *,
    background: Sequence[str],
    threat: str,
    seed: int,
) -> Pointed:
    """Find the functions at some places, and read what is around them.

    Args:
        intake: reads the code.
        marked: ``PATH:LINE``, any line of the function, or files that hold one such place a line.
        safe: the same, of functions known to be harmless; may be empty.
        background: sources of code; empty for what lies around.
        threat: name of the class.
        seed: draws the background, where there are more than 20,000 functions of it.

    Raises:
        InputError: a file that is not there or cannot be read, too little around, no place, a line
            beyond the end or outside of functions, or one function both marked and safe.
    """
    finder = _Finder(intake)
    bad = finder.functions(marked)
    good = finder.functions(safe) if safe else bad[:0]
    both = set(bad["text"]) & set(good["text"])
    if both:
        (origin, *_) = good.filter(pl.col("text").is_in(list(both)))["origin"]
        raise InputError(f"{origin}: the same function is marked and safe")
    files = list(finder.files)
    names = tuple(background) or tuple(dict.fromkeys(str(_around(Path(f))) for f in files))
    sample = sample_records(intake, names, most=MOST_AROUND, seed=seed, kind=KIND)
    told = [*bad["text"], *good["text"]]
    frame = sample.frame.filter(~pl.col("text").is_in(told))
    n_same = sample.frame.height - frame.height
    if frame.height < _LEAST_AROUND:
        raise InputError(
            f"{', '.join(names)}: {frame.height} other functions, at least {_LEAST_AROUND} are "
            "needed, and 100 for a promise of 1 %: give --background"
        )
    rows = np.arange(frame.height)
    usual = Sample(frame, rows, sample.domain, sample.n_seen - n_same, None, None)
    notes = [f"marked: {_list(bad)}"] + ([f"safe: {_list(good)}"] if good.height else [])
    notes += [] if background else [f"no --background: the code around it, {', '.join(names)}"]
    if n_same:
        notes.append(f"{counted(n_same, 'background function')} marked or safe, left out")
    examples = Examples(
        frames=(bad,),
        domains=(sample.domain,),
        labels=(threat,) * bad.height,
        origins=tuple(map(str, bad["origin"])),
        classes=(threat,),
        notes=(),
    )
    return Pointed(examples, good, usual, finder.files, names, tuple(notes))


def _list(frame: pl.DataFrame) -> str:
    shown = [f"{name} in {path}" for name, path in frame.select("name", "path").iter_rows()][:3]
    more = frame.height - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


@dataclass(eq=False)
class _Finder:
    """Finds functions by their places, reading each file once."""

    intake: Intake
    files: dict[str, int] = field(default_factory=dict)
    read: dict[str, tuple[pl.DataFrame, int]] = field(default_factory=dict)

    def functions(self, places: Sequence[str]) -> pl.DataFrame:
        """Return the functions at some places, each once."""
        frames = [self._at(path, line, said) for path, line, said in _told(places)]
        return pl.concat(frames).unique("text", keep="first", maintain_order=True)

    def _at(self, path: str, line: int, said: str) -> pl.DataFrame:
        if path not in self.read:
            self.read[path] = self._records(path, said)
        frame, n_lines = self.read[path]
        if not 1 <= line <= n_lines:
            raise RecordError(f"the file has {counted(n_lines, 'line')}", origin=said)
        here = frame.filter(pl.col("start_line").le(line) & pl.col("end_line").ge(line))
        here = here.sort(pl.col("end_line") - pl.col("start_line")).head(1)
        if not here.height:
            nearest = frame.sort((pl.col("start_line") - line).abs())["start_line"].to_list()
            near = f"; the nearest begins in line {nearest[0]}" if nearest else ""
            raise RecordError(f"no function there{near}", origin=said)
        self.files[path] = self.files.get(path, 0) + 1
        return here

    def _records(self, path: str, said: str) -> tuple[pl.DataFrame, int]:
        if not Path(path).is_file():
            raise RecordError("no such file", origin=said)
        try:
            read = list(self.intake.read([path], kind=KIND))
        except InputError as err:
            problem = err.problem if isinstance(err, RecordError) else str(err)
            raise RecordError(f"cannot be read as code: {problem}", origin=said) from err
        if not read:
            raise RecordError("no function there", origin=said)
        return pl.concat([batch.frame for _, batch in read]), _lines(Path(path))


def _lines(path: Path) -> int:
    data = path.read_bytes()
    return data.count(b"\n") + (not data.endswith(b"\n"))


def _told(places: Sequence[str]) -> Iterator[tuple[str, int, str]]:
    """Yield path, line and what to call each place.

    Raises:
        InputError: one that is neither a place nor a file of places, or too many of them.
    """
    n = 0
    for told in places:
        found = _PLACE.fullmatch(told)
        some = [(told, found)] if found else list(_listed(Path(told)))
        for said, place in some:
            n += 1
            if n > MOST_PLACES:
                raise InputError(f"{said}: more than {MOST_PLACES:,} places")
            yield place["path"], int(place["line"]), said


def _listed(path: Path) -> Iterator[tuple[str, re.Match[str]]]:
    """Yield the places that a file names, one a line; what follows a place is ignored."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_LIST_BYTES + 1)
    except OSError as err:
        problem = "expected PATH:LINE, or a file of such places"
        raise RecordError(f"{problem}: {err.strerror}", origin=str(path)) from err
    if len(data) > _MOST_LIST_BYTES:
        raise RecordError("more than 1 MB of places", origin=str(path))
    n = 0
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
        word = line.split("#")[0].split()[:1]
        if not word:
            continue
        found = _PLACE.fullmatch(word[0])
        if found is None:
            problem = f"{word[0][:80]!r} is no place: expected PATH:LINE"
            raise RecordError(problem, origin=f"{path}:{number}")
        n += 1
        yield f"{path}:{number}: {word[0]}", found
    if not n:
        raise RecordError("names no place; expected one PATH:LINE a line", origin=str(path))


def _around(file: Path) -> Path:
    """Return the repository that a file lies in, else its folder."""
    file = file.absolute()
    return next((p for p in file.parents if (p / ".git").exists()), file.parent)
