"""Where fixes are told: pairs of files, lines of JSON, commits. Each is a file before and after.

* A folder: ``NAME.vuln.EXT`` beside ``NAME.fixed.EXT``.
* JSON Lines: ``vulnerable`` and ``fixed``, two texts; ``language`` or ``path``, which tell what
  they are written in; and, if wanted, ``threat`` or ``cwe``, what the bug is called.
* A git repository, and the commits that fixed something in it.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inoculate.domain import OnBad
from inoculate.errors import InputError, RecordError
from inoculate.features.code.code_languages import SUFFIXES, language_named
from inoculate.reading.folders import walk
from inoculate.reading.git_history import GitHistory
from inoculate.reading.json_lines import load_object
from inoculate.reading.lines import numbered, read_blocks
from inoculate.reading.sources import open_source

MOST_COMMITS = 1_000
_MOST_FILE_BYTES = 32 << 20
_MOST_LIST_BYTES = 1 << 20
_MOST_NAME_CHARS = 200
_SIDES = re.compile(r"(?P<name>.+)\.(?P<side>vuln|fixed)(?P<ending>\.[^./\\]+)?")
_TESTS = re.compile(
    r"(?i)(?:^|/)(?:tests?|testing|__tests__|specs?|fixtures)/"
    r"|(?:^|/)(?:test_[^/]*|conftest)\.py$|[._-](?:test|tests|spec)\.\w+$|Tests?\.java$"
)
_THREAT = ("threat", "cwe")


@dataclass(frozen=True, slots=True)
class Change:
    """A file, or a part of one, before and after its fix.

    Attributes:
        before_name, after_name: begin the origins of records; their endings tell the language.
        before, after: the bytes.
        threat: what was fixed, where that is told.
        unit: changes of one unit are one fix: the commit, the pair of files, the line.
        language: where it is told.
    """

    before_name: str
    after_name: str
    before: bytes
    after: bytes
    unit: str
    threat: str | None = None
    language: str | None = None


@dataclass(eq=False)
class Told:
    """What a source of changes did not tell, counted for the user.

    Attributes:
        left_out: problem -> count of files.
        units: the fixes that were named, whether or not they hold a change.
    """

    left_out: Counter[str] = field(default_factory=Counter)
    units: list[str] = field(default_factory=list)


def in_folder(folder: str, told: Told) -> Iterator[Change]:
    """Yield the pairs of files in a folder and the folders below it, by name.

    Raises:
        InputError: a file that cannot be read, or is larger than 32 MiB.
    """
    sides: dict[tuple[str, str], dict[str, str]] = {}

    def skip(error: RecordError) -> None:
        told.left_out[error.problem] += 1

    for path in walk(folder, skip):
        found = _SIDES.fullmatch(path)
        if found is None:
            told.left_out["not named NAME.vuln.EXT or NAME.fixed.EXT"] += 1
            continue
        key = (found["name"], found["ending"] or "")
        sides.setdefault(key, {})[found["side"]] = path
    for both in sides.values():
        if len(both) < 2:
            (side,) = both
            other = "fixed" if side == "vuln" else "vuln"
            told.left_out[f"no .{other} file beside the .{side} one"] += 1
            continue
        vulnerable, fixed = both["vuln"], both["fixed"]
        unit = _shown(vulnerable)
        told.units.append(unit)
        yield Change(unit, _shown(fixed), _bytes_of(vulnerable), _bytes_of(fixed), unit)


def in_lines(path: str, told: Told, *, on_bad: OnBad) -> Iterator[Change]:
    """Yield the changes in a file of JSON Lines, in order.

    Raises:
        RecordError: through ``on_bad``, a line that is no object, lacks a text, or tells no
            language.
    """
    with open_source(path) as source:
        for block in read_blocks(source, on_bad=on_bad):
            for number, line in numbered(block):
                place = f"{source.name}:{number}"
                try:
                    change = _of_object(load_object(line), place)
                except ValueError as err:
                    on_bad(RecordError(str(err), origin=place))
                else:
                    told.units.append(place)
                    yield change


def commits_named(history: GitHistory, revisions: Sequence[str]) -> list[str]:
    """Return the ids of commits, each once.

    Args:
        history: of the repository.
        revisions: of the commits; a file's name stands for the revisions in it, one a line.

    Raises:
        InputError: no such commit, no repository, or too many.
        MissingExtraError: git is not installed.
    """
    wanted = dict.fromkeys(_revisions(revisions))
    return list(dict.fromkeys(history.commit(revision) for revision in wanted))


def in_commit(history: GitHistory, commit: str, told: Told) -> Iterator[Change]:
    """Yield the files that a commit changed, less tests: a test of a bug is not the bug.

    Raises:
        InputError: there is nothing before the commit, or it cannot be read.
    """
    repository = _shown(Path(history.folder).absolute().name)
    unit = f"{repository}@{commit[:12]}"
    told.units.append(unit)
    left_out: list[str] = []
    for change in history.changes(commit, left_out):
        if _TESTS.search(change.path):
            left_out.append("a test")
            continue
        names = (f"{repository}@{commit[:12]}^!{change.path}", f"{unit}!{change.path}")
        yield Change(*names, change.before, change.after, unit)
    told.left_out.update(left_out)


def _revisions(names: Sequence[str]) -> list[str]:
    """Return the revisions that are named, those in files too.

    Raises:
        InputError: a file without any, or more than 1,000 in all.
    """
    found: list[str] = []
    for name in names:
        if name.startswith("-") or not Path(name).is_file():
            found.append(name)
            continue
        text = _bytes_of(name, _MOST_LIST_BYTES).decode("utf-8", "replace")
        lines = [line.split("#")[0].split() for line in text.splitlines()]
        inside = [words[0] for words in lines if words]
        if not inside:
            raise InputError(f"{name}: no commit in it; expected one a line")
        found += inside
    if len(found) > MOST_COMMITS:
        raise InputError(f"{len(found):,} commits; at most {MOST_COMMITS:,} are read at once")
    return found


def _of_object(told: Mapping[str, Any], place: str) -> Change:
    """Return the change that a JSON object tells.

    Raises:
        ValueError: it lacks something.
    """
    texts = [told.get(key) for key in ("vulnerable", "fixed")]
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise ValueError("expected two texts, 'vulnerable' and 'fixed'")
    before, after = (str(text).encode("utf-8", "replace") for text in texts)
    threats = [_text(told.get(key)) for key in _THREAT]
    language, path = language_named(told.get("language")), _text(told.get("path"))
    if not path:
        if language is None:
            raise ValueError(f"expected 'language' or 'path', found {told.get('language')!r:.60}")
        path = f"code{next((e for e, name in SUFFIXES.items() if name == language), '')}"
    name = f"{place}!{path}"
    threat = next((t for t in threats if t), None)
    return Change(name, name, before, after, place, threat, language)


def _text(value: object) -> str:
    """Return a name that JSON tells, without what is no text; a path keeps its end."""
    if not isinstance(value, str):
        return ""
    return value.encode("utf-8", "replace").decode().strip()[-_MOST_NAME_CHARS:]


def _shown(path: str) -> str:
    """Return a path as text; a name may be any bytes, and tables hold none but UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def _bytes_of(path: str, most: int = _MOST_FILE_BYTES) -> bytes:
    """Return a file's bytes.

    Raises:
        InputError: it cannot be read, or is too large.
    """
    data = bytearray()
    with open_source(path) as source:
        while len(data) <= most and (piece := source.stream.read(1 << 20)):
            data += piece
    if len(data) > most:
        raise InputError(f"{path}: larger than {most >> 20} MiB")
    return bytes(data)
