"""Baselines: findings that are known already, so that only new ones are reported.

A JSON file, one kind of finding a line, sorted, so that a change to it can be reviewed. A
finding is known by its fingerprint, which survives moved lines; of findings that are alike the
baseline holds how many there were, and any more are new.
"""

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inoculate.errors import InputError, PrivilegeError
from inoculate.finding import Finding
from inoculate.reading.origins import Root, fingerprint, place_of

VERSION = 1
MOST = 1_000_000
_FORMAT = "inoculate-baseline"
_MOST_BYTES = 256 << 20
_MOST_TEXT = 300


@dataclass(frozen=True, slots=True)
class Known:
    """What a baseline file says.

    Attributes:
        path: of the file.
        detector: name of the detector that found them.
        counts: fingerprint -> how many.
    """

    path: Path
    detector: str
    counts: Counter[str]


class Baseline:
    """Keeps back what is known, and collects what is found for a baseline to come.

    Args:
        known: of a file, or None.
        target: file to write, or None; looked at now, lest a long scan end in vain.
        root: what paths are told from; that of the working folder if not given.

    Attributes:
        n_hidden: findings kept back so far.

    Raises:
        PrivilegeError, InputError: the target cannot be written.
    """

    def __init__(self, known: Known | None, target: Path | None, root: Root | None = None) -> None:
        self._known, self._target = known, target
        self._left = known.counts.copy() if known else Counter()
        self._root = root or Root.here()
        self._found: Counter[tuple[str, str, str]] = Counter()
        self.n_hidden = 0
        if target is not None:
            _check_target(target)

    def new(self, findings: Sequence[Finding]) -> list[Finding]:
        """Return the findings that are not known; all are collected.

        Raises:
            InputError: more than a million were found, too many to write.
        """
        fresh = []
        for finding in findings:
            mark = fingerprint(finding, self._root)
            if self._target is not None:
                self._collect(finding, mark)
            if self._left[mark] > 0:
                self._left[mark] -= 1
                self.n_hidden += 1
            else:
                fresh.append(finding)
        return fresh

    def _collect(self, finding: Finding, mark: str) -> None:
        path, _ = self._root.relative(place_of(finding.origin).path)
        self._found[path[:_MOST_TEXT], finding.threat[:_MOST_TEXT], mark] += 1
        if len(self._found) > MOST:
            raise InputError(
                f"{self._target}: over {MOST:,} findings are too many for a baseline; lower "
                "--false-alarms"
            )

    def notes(self, detector: str, *, whole: bool) -> Iterator[str]:
        """Yield what the baseline did, a line each.

        Args:
            detector: name of the one that scanned.
            whole: everything was read, so what was not found again is gone.
        """
        if self._known is None:
            return
        path = self._known.path
        if self._known.detector != detector:
            yield (
                f"baseline {path} was written with detector {self._known.detector[:80]}, this is "
                f"{detector}"
            )
        if self.n_hidden:
            yield f"known from baseline {path} and not shown: {_counted(self.n_hidden)}"
        if whole and (gone := self._left.total()):
            yield (
                f"in baseline {path} but not found any more: {_counted(gone)}; "
                "--write-baseline drops them"
            )

    def write(self, detector: str) -> None:
        """Write the target, if there is one: all of it or nothing.

        Raises:
            PrivilegeError, InputError: it cannot be written.
        """
        if self._target is None:
            return
        lines = [
            json.dumps({"fingerprint": mark, "n": n, "threat": threat, "path": path})
            for (path, threat, mark), n in sorted(self._found.items())
        ]
        head = json.dumps({"format": _FORMAT, "version": VERSION, "detector": detector})
        text = head.removesuffix("}") + ', "findings": [\n' + ",\n".join(lines) + "\n]}\n"
        part = self._target.with_name(f"{self._target.name}.{os.getpid()}.part")
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(self._target)
        except OSError as err:
            with contextlib.suppress(OSError):
                part.unlink()
            raise _unwritable(self._target, err) from err


def read_baseline(path: Path) -> Known:
    """Read a baseline.

    Raises:
        InputError: it cannot be read, or is no baseline of a version that is known.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError as err:
        raise InputError(f"{path}: no such baseline; --write-baseline makes one") from err
    except OSError as err:
        raise InputError(f"{path}: cannot be read: {err.strerror}") from err
    if len(content) > _MOST_BYTES:
        raise InputError(f"{path}: over {_MOST_BYTES >> 20} MiB, too large for a baseline")
    try:
        told = json.loads(content)
    except (ValueError, RecursionError) as err:
        raise InputError(f"{path}: not JSON: {str(err)[:80]}") from err
    return _known(told, path)


def _known(told: Any, path: Path) -> Known:
    if not isinstance(told, dict) or told.get("format") != _FORMAT:
        raise InputError(f"{path}: no baseline; expected a file that --write-baseline made")
    if told.get("version") != VERSION:
        version = str(told.get("version"))[:20]
        raise InputError(f"{path}: a baseline of version {version}; this reads {VERSION}")
    entries, detector = told.get("findings"), told.get("detector")
    if not isinstance(entries, list) or not isinstance(detector, str):
        raise InputError(f"{path}: a baseline without its findings or its detector")
    counts: Counter[str] = Counter()
    for i, entry in enumerate(entries, start=1):
        mark, n = (entry.get("fingerprint"), entry.get("n")) if isinstance(entry, dict) else (0, 0)
        if not isinstance(mark, str) or type(n) is not int or n < 1:
            raise InputError(f"{path}: finding {i} has no fingerprint or no count n")
        counts[mark] += n
    return Known(path, detector, counts)


def _counted(n: int) -> str:
    return f"{n:,} finding{'' if n == 1 else 's'}"


def _check_target(path: Path) -> None:
    try:
        if path.is_dir():
            raise InputError(f"{path}: cannot be written: is a folder")
        if not path.parent.is_dir():
            raise InputError(f"{path}: cannot be written: there is no folder {path.parent}")
    except OSError as err:
        raise _unwritable(path, err) from err
    if not os.access(path.parent, os.W_OK):
        raise PrivilegeError(f"{path}: no permission to write")


def _unwritable(path: Path, err: OSError) -> InputError | PrivilegeError:
    if isinstance(err, PermissionError):
        return PrivilegeError(f"{path}: no permission to write")
    return InputError(f"{path}: cannot be written: {err.strerror}")
