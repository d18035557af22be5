"""What an origin says: file, place in an archive, line or number; and a finding's fingerprint.

Every format writes origins of the same few forms: ``conn.log:17`` (a line), ``src/a.py:10-25``
(lines), ``src/a.js:10:31`` (a line and a column), ``traffic.pcap#1234`` (a record by its
number), ``trace.txt:3@100`` (a line and a number in it), ``b.exe`` (a whole file), each of them
also in an archive, ``dir/a.zip!inner/b.exe``.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from inoculate.finding import Finding

STDIN = "stdin"
_LINES = re.compile(r":(\d{1,10})(?:-(\d{1,10})|:(\d{1,10}))?\Z")
_WINDOW = re.compile(r":(\d{1,10})@(\d{1,15})\Z")
_NUMBER = re.compile(r"[#@](\d{1,15})\Z")
# only what ends as an archive does: "!" is legal in any file's name
_ARCHIVE = re.compile(
    r"\.(?:zip|[jwe]ar|apk|aar|ipa|whl|egg|nupkg|vsix|xpi|(?:doc|xls|ppt)[xm]|od[tsp]|epub|7z|tar"
    r"|t[gbx]z2?|gz|bz2|xz)!(?=.)",
    re.IGNORECASE,
)
_MOST = 2**31 - 1
_PLACES = frozenset(
    [
        "line",
        "lines",
        "first_line",
        "start_line",
        "last_line",
        "end_line",
        "row",
        "number",
        "origin",
        "place",
    ]
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record came from.

    Attributes:
        path: of the file, or of the archive, as the user or the folder named it.
        inside: path within the archive; empty where there is none.
        line, last_line: of the record, from 1; None where the origin says none.
        column: where the record begins in its line, from 1, or None.
        number: of the record in a file that has no lines, or None.
    """

    path: str
    inside: str = ""
    line: int | None = None
    last_line: int | None = None
    column: int | None = None
    number: int | None = None


def place_of(origin: str) -> Place:
    """Return what an origin says.

    Example:
        >>> place = place_of("dir/a.zip!inner/b.log:17")
        >>> place.path, place.inside, place.line
        ('dir/a.zip', 'inner/b.log', 17)
        >>> place_of("traffic.pcap#1234").number, place_of("src/a.py:10-25").last_line
        (1234, 25)
    """
    line = last = column = number = None
    if found := _LINES.search(origin):
        line, last, column = (int(found[i] or 0) for i in (1, 2, 3))
        origin = origin[: found.start()]
        line = line if 1 <= line <= _MOST else None
        last = last if line and line <= last <= _MOST else None
        column = column if line and 1 <= column <= _MOST else None
    elif found := _WINDOW.search(origin):
        line, number, origin = int(found[1]), int(found[2]), origin[: found.start()]
        line = line if 1 <= line <= _MOST else None
    elif found := _NUMBER.search(origin):
        number, origin = int(found[1]), origin[: found.start()]
    inside = ""
    if found := _ARCHIVE.search(origin):
        origin, inside = origin[: found.end() - 1], origin[found.end() :]
    return Place(origin, inside, line, last, column, number)


@dataclass(frozen=True, slots=True)
class Root:
    """The folder that paths are told from, so that they are the same on every machine.

    Attributes:
        folder: the repository that the working folder lies in, or the working folder.
        working: what relative paths are relative to.
    """

    folder: Path
    working: Path

    @classmethod
    def here(cls) -> "Root":
        """Return that of the process's working folder."""
        working = Path.cwd()
        return cls(next(_repositories(working), working), working)

    def relative(self, path: str) -> tuple[str, bool]:
        """Return a path from the root, with ``/``, and whether it lies below the root.

        It never begins with ``/`` and holds no ``..``: of what lies elsewhere it is the whole
        path without the first ``/``.

        Example:
            >>> root = Root(Path("/srv/shop"), Path("/srv/shop/src"))
            >>> root.relative("../app/a.py"), root.relative("/var/log/conn.log")
            (('app/a.py', True), ('var/log/conn.log', False))
        """
        if path in ("-", ""):
            return STDIN, False
        whole = Path(os.path.normpath(self.working / path))
        try:
            return whole.relative_to(self.folder).as_posix(), True
        except ValueError:
            return whole.as_posix().replace(":", "").lstrip("/") or ".", False


def _repositories(folder: Path) -> Iterator[Path]:
    for above in (folder, *folder.parents):
        with contextlib.suppress(OSError):
            if (above / ".git").exists():
                yield above


def uri(path: str) -> str:
    """Return a relative path as a relative URI reference (RFC 3986, section 4.2).

    Example:
        >>> uri("logs/a b:c.log")
        'logs/a%20b%3Ac.log'
    """
    try:
        return quote(os.fsencode(path))
    except UnicodeEncodeError:
        return quote(path.encode("utf-8", "replace"))


def fingerprint(finding: Finding, root: Root) -> str:
    """Return what stays the same when the lines around a record move: 16 hexadecimal digits.

    It is made of the threat, the file from the root, the record's time and its identity columns
    but lines and the path itself, white space in text taken as one blank. A record without any
    identity, a row of a table say, is known by the values its reasons name, and without reasons
    by its score; such fingerprints hold for one detector. Records that are alike share one:
    count them.
    """
    place = place_of(finding.origin)
    path, _ = root.relative(place.path)
    key = [finding.threat, path, place.inside, finding.ts, _identity(finding, place)]
    return hashlib.sha256(json.dumps(key, default=str).encode()).hexdigest()[:16]


def without_place(finding: Finding, place: Place) -> dict[str, Any]:
    """Return the known identity columns that do not merely say where the record lies."""
    whole = f"{place.path}!{place.inside}" if place.inside else place.path
    return {
        name: value
        for name, value in finding.record.items()
        if value is not None and name not in _PLACES and value != whole
    }


def _identity(finding: Finding, place: Place) -> Any:
    known = {
        name: " ".join(value.split()) if isinstance(value, str) else value
        for name, value in sorted(without_place(finding, place).items())
    }
    if known:
        return known
    values = [(r.column, r.value) for r in finding.reasons if r.value is not None]
    return sorted((column, f"{value:.6g}") for column, value in values) or f"{finding.score:.3g}"
