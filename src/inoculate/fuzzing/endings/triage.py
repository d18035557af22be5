"""From an input that ended badly to a finding: replayed, told from others, minimised, kept.

A folder a finding, ``findings/1``: the shortest ``input``, ``finding.json`` and ``trace.txt``. It
is put in its place whole, so that a killed run leaves no half of one.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from inoculate.errors import ArtifactError
from inoculate.fuzzing.endings.crashes import Ending, minimised
from inoculate.fuzzing.running.journal import write_whole

REPLAYS = 3
SCHEMA_VERSION = 1
_MOST_FINDINGS = 1000
_MOST_UNREPLAYED = 100
_MOST_FRAMES = 40
_MOST_JSON = 4 << 20

Verdict = Literal["new", "known", "unreplayed", "full"]


@dataclass(slots=True, eq=False)
class Triage:
    """The findings of a run.

    Args:
        out: folder of the run.
        replay: runs an input under the limits.
        seconds: most time for making one input shorter.
    """

    out: Path
    replay: Callable[[bytes], Ending | None]
    seconds: float = 10.0
    _known: dict[str, Path] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for place in folders(self.out / "findings"):
            self._known[str(read_finding(place)["key"])] = place

    def look(self, data: bytes, name: str, **told: Any) -> Verdict:
        """Replay an input and keep what it finds.

        Args:
            data: the input.
            name: where it came from.
            told: more for ``finding.json``.
        """
        ending = self.replay(data)
        if ending is not None and ending.key in self._known:
            self._again(self._known[ending.key])
            return "known"
        endings = [ending, *(self.replay(data) for _ in range(REPLAYS - 1))]
        keys = {one.key if one else None for one in endings}
        if ending is None or len(keys) > 1:
            return self._unreplayed(data, name, endings)
        if len(self._known) >= _MOST_FINDINGS:
            return "full"
        short, shown = self._shortest(data, ending)
        about = describe(short, shown) | {
            "replayed": REPLAYS, "seen": 1, "found_as": name, "found_size": len(data), **told
        }  # fmt: skip
        place = _next(self.out / "findings")
        _put(place, {"input": short, "finding.json": _json(about), "trace.txt": _text(shown.trace)})
        self._known[ending.key] = place
        return "new"

    def _shortest(self, data: bytes, ending: Ending) -> tuple[bytes, Ending]:
        """Return an input as short as was found in time, that ends the same three times."""
        key = ending.key

        def same(candidate: bytes) -> bool:
            ended = self.replay(candidate)
            return ended is not None and ended.key == key

        short = minimised(data, same, seconds=self.seconds)
        again = [self.replay(short) for _ in range(REPLAYS)] if short != data else []
        if again and all(one is not None and one.key == key for one in again):
            return short, again[0] or ending
        return data, ending

    def _again(self, place: Path) -> None:
        about = read_finding(place)
        about["seen"] = int(about["seen"]) + 1
        write_whole(place / "finding.json", _json(about))

    def _unreplayed(self, data: bytes, name: str, endings: list[Ending | None]) -> Verdict:
        folder = self.out / "unreplayed"
        if sum(1 for _ in folders(folder)) >= _MOST_UNREPLAYED:
            return "full"
        bad = [one for one in endings if one is not None]
        about = {
            "schema_version": SCHEMA_VERSION,
            "found_as": name,
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "ended_badly": len(bad),
            "of": len(endings),
            "kinds": sorted({one.kind for one in bad}),
        }
        _put(_next(folder), {"input": data, "finding.json": _json(about)})
        return "unreplayed"


def describe(data: bytes, ending: Ending) -> dict[str, Any]:
    """Return what ``finding.json`` says of an input and how it ends."""
    place = ending.place
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": ending.kind,
        "detail": ending.detail,
        "cwe": ending.cwe,
        "function": place.function if place else None,
        "file": place.file if place and place.file else None,
        "line": place.line if place and place.line else None,
        "stack": [asdict(frame) for frame in ending.own[:_MOST_FRAMES]],
        "key": ending.key,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def folders(folder: Path) -> Iterator[Path]:
    """Yield the folders of findings, by number."""
    if folder.is_dir():
        named = [p for p in folder.iterdir() if p.name.isdigit() and p.is_dir()]
        yield from sorted(named, key=lambda p: int(p.name))


def read_finding(place: Path) -> dict[str, Any]:
    """Return what a finding's ``finding.json`` says.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    file = place / "finding.json"
    try:
        with file.open("rb") as stream:
            about = json.loads(stream.read(_MOST_JSON))
    except FileNotFoundError as err:
        raise ArtifactError(f"{place}: no finding of fuzz: finding.json is missing") from err
    except (OSError, ValueError) as err:
        raise ArtifactError(f"{file}: cannot be read: {err}") from err
    if not isinstance(about, dict) or about.get("schema_version") != SCHEMA_VERSION:
        raise ArtifactError(f"{file}: no finding of version {SCHEMA_VERSION}")
    return about


def _next(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    last = max((int(p.name) for p in folders(folder)), default=0)
    return folder / str(last + 1)


def _put(place: Path, files: dict[str, bytes]) -> None:
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=place.parent))
    try:
        for name, data in files.items():
            (fresh / name).write_bytes(data)
        os.chmod(fresh, 0o755)  # noqa: S103, PTH101 - as any folder that is made here
        fresh.rename(place)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _json(about: dict[str, Any]) -> bytes:
    return json.dumps(about, indent=1).encode()


def _text(text: str) -> bytes:
    return text.encode("utf-8", "replace")
