"""What is fuzzed: every input format, gzip, and artifacts on disk."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inoculate.errors import InoculateError, RecordError
from inoculate.reading.sources import Limits, open_source
from inoculate.registry import DOMAINS
from inoculate.store.artifact import load
from inoculate.store.detector import load_detector, load_prior
from tests.fuzz.promise import Outcome
from tests.fuzz.seeds import gzip_seeds, seeds

_BOMB = Limits(ratio=250, free_bytes=1 << 20)
_PIECE = 50_000
_BETWEEN = b"\n\0\n"


@dataclass(frozen=True, slots=True)
class Target:
    """Something that reads bytes.

    Attributes:
        name: of the domain, or ``gzip``, ``artifact``.
        seeds: well-formed inputs to begin with, by name.
        read: takes the bytes and a scratch folder; returns plain values that tell all it read.
    """

    name: str
    seeds: Mapping[str, bytes]
    read: Callable[[bytes, Path], Outcome]


def target_names() -> list[str]:
    """Return the names of all targets; a new domain is among them by itself."""
    return [*DOMAINS.names(), "gzip", "artifact"]


def target(name: str) -> Target:
    """Return a target by name."""
    if name == "gzip":
        return Target(name, gzip_seeds(), read_gzip)
    if name == "artifact":
        return Target(name, artifact_seeds(), read_artifact)
    return Target(name, seeds(name), lambda data, scratch: read_domain(name, data, scratch))


def read_domain(name: str, data: bytes, scratch: Path) -> Outcome:
    """Sniff, read, find the views and encode; an error ends it as it would end a scan."""
    path = scratch / "input"
    path.write_bytes(data)
    domain = DOMAINS.load(name)()
    bad: list[str] = []
    parts: list[object] = []

    def on_bad(error: RecordError) -> None:
        assert error.origin.startswith(str(path)), error.origin
        bad.append(str(error))

    try:
        with open_source(path) as source:
            sure = domain.sniff(source)
            assert 0 <= sure <= 1
            views = None
            for batch in domain.read(source, on_bad=on_bad):
                assert len(batch)
                parts.append(_digest(batch.frame.write_ipc(None).getvalue()))
                _check_frame(batch.frame, path)
                views = views or domain.views(batch)
                for view, x in domain.encode(batch, views).items():
                    assert x.dtype == np.float32 and x.shape[0] == len(batch)
                    parts.append((view, x.shape, _digest(x.tobytes())))
            parts.append(sure)
    except InoculateError as err:
        parts.append((type(err).__name__, str(err)))
    return (tuple(bad), *parts)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_frame(frame: object, path: Path) -> None:
    origins = frame["origin"]  # type: ignore[index]
    assert origins.null_count() == 0 and origins.str.starts_with(str(path)).all()
    if "ts" in frame.columns:  # type: ignore[attr-defined]
        assert frame["ts"].dtype.is_float()  # type: ignore[index]


def read_gzip(data: bytes, scratch: Path) -> Outcome:
    """Read to the end in pieces, as a reader does; a bomb must end at its bound."""
    path = scratch / "input.gz"
    path.write_bytes(data)
    digest, n, errors = hashlib.sha256(), 0, []
    with open_source(path, limits=_BOMB) as source:
        while True:
            try:
                piece = source.stream.read(_PIECE)
            except InoculateError as err:
                errors.append(str(err))
                continue
            if not piece:
                break
            assert len(piece) <= _PIECE
            n += len(piece)
            digest.update(piece)
    assert len(errors) <= 1, "an error is told once"
    assert n <= max(_BOMB.free_bytes, _BOMB.ratio * len(data)) + 2 * _PIECE
    return (n, digest.hexdigest(), tuple(errors))


def pack_artifact(files: Mapping[str, bytes], *, resign: bool) -> bytes:
    """Return an artifact as one string of bytes: a flag, the manifest and the arrays."""
    return b"%d" % resign + files["manifest.json"] + _BETWEEN + files["arrays.safetensors"]


def read_artifact(data: bytes, scratch: Path) -> Outcome:
    """Load an artifact, then adapt or build what it holds.

    Where the first byte is "1" the digest is made to fit, as who forges an artifact would.
    """
    manifest, _, arrays = data[1:].partition(_BETWEEN)
    if data.startswith(b"1"):
        manifest = _resigned(manifest, arrays)
    path = scratch / "a.detector"
    path.mkdir(exist_ok=True)
    (path / "manifest.json").write_bytes(manifest)
    (path / "arrays.safetensors").write_bytes(arrays)
    out: list[object] = []
    for read in (load, load_detector, load_prior):
        try:
            loaded = read(path)
        except InoculateError as err:
            out.append((type(err).__name__, str(err)))
        else:
            out.append(_digest(loaded.manifest.to_json()))
            if read is load_detector:
                scored = loaded.detector.score(loaded.support.background)
                out.append(_digest(scored.alarm().tobytes()))
                out.append(loaded.calibration.threshold(0.01))
    return tuple(out)


def _resigned(manifest: bytes, arrays: bytes) -> bytes:
    try:
        content = json.loads(manifest)
        content["files"] = {"arrays.safetensors": hashlib.sha256(arrays).hexdigest()}
        return json.dumps(content).encode()
    except (ValueError, TypeError, RecursionError):
        return manifest


def artifact_seeds() -> dict[str, bytes]:
    """Return small detectors of the cheap learners, and a prior."""
    from tests.fuzz.small_artifacts import small_artifacts

    return {
        f"{name}{resign}": pack_artifact(files, resign=bool(resign))
        for name, files in small_artifacts().items()
        for resign in (0, 1, 1)
    }
