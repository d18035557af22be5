"""Reads and writes artifacts: a directory with ``manifest.json`` and ``arrays.safetensors``.

Loading never runs code: JSON is validated, arrays are plain numbers, and every byte is held
against its SHA-256. Each file is opened once and without following links, so what was checked
is what is used.

References:
    The safetensors format, https://github.com/huggingface/safetensors, "Format".
"""

import errno
import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as parse_arrays
from safetensors.numpy import save as pack_arrays

from inoculate.errors import ArtifactError, InputError, NotFoundError
from inoculate.registry import LEARNERS
from inoculate.store.manifest import (
    ARRAYS_FILE,
    FORMAT_VERSION,
    HELD_OUT_FILE,
    LABELS_FILE,
    RECORDS_FILE,
    ArrayEntry,
    Manifest,
)
from inoculate.store.placing import Content, interrupted, place

Arrays = Mapping[str, npt.NDArray[Any]]

MANIFEST_FILE = "manifest.json"
MAX_MANIFEST_BYTES = 4 << 20
MAX_ARRAYS_BYTES = 1 << 30
VERSIONS_FOLDER = "versions"
_LIMITS = {
    MANIFEST_FILE: MAX_MANIFEST_BYTES,
    ARRAYS_FILE: MAX_ARRAYS_BYTES,
    HELD_OUT_FILE: 64 << 20,
    LABELS_FILE: 16 << 20,
    RECORDS_FILE: 4 << 20,
}
_RACES = 100


@dataclass(frozen=True, slots=True, eq=False)
class Artifact:
    """A checked artifact in memory.

    Attributes:
        path: the directory it was read from.
        manifest: what it says of itself.
        arrays: every array that the manifest lists, and no other.
        beside: content of the other files that were asked for and are there.
    """

    path: Path
    manifest: Manifest
    arrays: Arrays
    beside: Mapping[str, bytes] = field(default_factory=dict)

    def group(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays named ``prefix/...``, by the rest of their name."""
        start = f"{prefix}/"
        return {k[len(start) :]: v for k, v in self.arrays.items() if k.startswith(start)}


def save(
    path: Path,
    manifest: Manifest,
    arrays: Arrays,
    *,
    overwrite: bool = True,
    beside: Content | None = None,
    replaces: Manifest | None = None,
) -> Manifest:
    """Write an artifact so that a reader sees the old one or the new one, never a part.

    ``files`` and ``arrays`` of the manifest are filled in here.

    Args:
        path: the directory to be; a link to an artifact is followed, its target replaced.
        manifest: what the artifact says of itself; has the digest of a file linked as a path.
        arrays: numbers and booleans of up to 1 GiB together.
        overwrite: replace an existing artifact. Anything else is never replaced.
        beside: more files.
        replaces: what must be at ``path`` still.

    Returns:
        The manifest as it was written.

    Raises:
        InputError: the place is taken, cannot be written, was changed meanwhile by another
            process, or the artifact is too large.
    """
    plain = {
        name: np.array(a, a.dtype.newbyteorder("="), order="C", copy=None)
        for name, a in sorted(arrays.items())
    }
    if sum(a.nbytes for a in plain.values()) > MAX_ARRAYS_BYTES - MAX_MANIFEST_BYTES:
        raise InputError(f"{path}: arrays are over the limit of 1 GiB")
    try:
        entries = {k: ArrayEntry(shape=a.shape, dtype=str(a.dtype)) for k, a in plain.items()}  # type: ignore[arg-type]
    except ValidationError as err:
        raise InputError(f"{path}: an array cannot be stored: {_first(err)}") from err
    files: dict[str, bytes | Path] = {**(beside or {}), ARRAYS_FILE: pack_arrays(plain)}
    digests = {
        name: hashlib.sha256(content).hexdigest()
        if isinstance(content, bytes)
        else manifest.files.get(name)  # type: ignore[call-overload]
        for name, content in files.items()
        if "/" not in name
    }
    filled = manifest.model_copy(update={"arrays": entries, "files": digests})
    text = filled.to_json()
    if len(text) > MAX_MANIFEST_BYTES:
        raise InputError(f"{path}: manifest of {len(text)} bytes, the limit is 4 MiB")
    put(path, {**files, MANIFEST_FILE: text}, overwrite=overwrite, replaces=replaces)
    return filled


def put(
    path: Path, files: Content, *, overwrite: bool = True, replaces: Manifest | None = None
) -> None:
    """Write an artifact's files as they are, in the way of ``save``, which see."""
    path = path.resolve() if path.is_symlink() else path.absolute()

    def check() -> None:
        _refuse_taken(path, overwrite=overwrite)
        if replaces is not None and _read_files(path, ())[0] != replaces:
            raise InputError(f"{path}: changed meanwhile by another process; run it again")

    try:
        place(path, files, check)
    except OSError as err:
        raise InputError(f"{path}: cannot be written: {err.strerror or err}") from err


def load(path: Path, *, beside: Sequence[str] = ()) -> Artifact:
    """Read an artifact and check all of it.

    Args:
        path: the directory.
        beside: more files to read, as far as the manifest lists them.

    Raises:
        ArtifactError: a file is missing, a link, too large, changed, or does not say what the
            format asks; the message names the file.
        NotFoundError: there is nothing at this path.
    """
    if not path.exists():
        old = interrupted(path)
        hint = f"; a save was interrupted, the one before is {old}" if old else ""
        raise NotFoundError(f"{path}: no such artifact{hint}")
    manifest, files = _read_files(path, (ARRAYS_FILE, *beside))
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != manifest.files.get(name):  # type: ignore[call-overload]
            raise ArtifactError(f"{path / name}: changed: its SHA-256 is not the manifest's")
    arrays = _parse_arrays(files.pop(ARRAYS_FILE), manifest, path / ARRAYS_FILE)
    return Artifact(path, manifest, arrays, files)


def shipped() -> dict[str, Path]:
    """Return the priors inside the package, by name."""
    folder = Path(str(resources.files("inoculate.store"))) / "priors"
    return {p.parent.name: p.parent for p in sorted(folder.glob(f"*/{MANIFEST_FILE}"))}


def usual_prior(kind: str, *, twins: bool = False) -> str | None:
    """Return the name of the shipped prior to take for a kind of record, or None.

    Args:
        kind: of the records.
        twins: whether examples have twins; priors of learners of pairs are taken only then.
    """
    found = {}
    for name, path in shipped().items():
        manifest = load(path).manifest
        if manifest.usual and manifest.kind == kind:
            found[LEARNERS.load(manifest.learner.name).paired] = name
    return found.get(True, found.get(False)) if twins else found.get(False)


def open_prior(name_or_path: str | Path) -> Artifact:
    """Load a shipped prior by name, or any prior by its path; a path has a slash or exists.

    Raises:
        NotFoundError: neither a shipped prior nor a directory.
        ArtifactError: it is damaged, or a detector.
    """
    have = shipped()
    path = have.get(str(name_or_path), Path(name_or_path))
    if not path.exists():
        raise NotFoundError(f"no prior {str(name_or_path)!r}; shipped: {', '.join(have) or 'none'}")
    artifact = load(path)
    if artifact.manifest.artifact != "prior":
        raise ArtifactError(f"{path}: a {artifact.manifest.artifact}, expected a prior")
    return artifact


def _first(err: ValidationError) -> str:
    """Return a validation error's first problem in one line."""
    problem = err.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(p) for p in problem["loc"]) or "content"
    more = f" (and {err.error_count() - 1} more)" if err.error_count() > 1 else ""
    line = f"{place[:200]}: {problem['msg'][:300]}{more}"
    return "".join(c if c.isprintable() else "?" for c in line)


def _parse_manifest(text: bytes, path: Path) -> Manifest:
    file = path / MANIFEST_FILE
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as err:
        if any(e["loc"] == ("format_version",) for e in err.errors()):
            raise ArtifactError(
                f"{file}: unknown format_version, this version reads {FORMAT_VERSION}"
            ) from err
        raise ArtifactError(f"{file}: {_first(err)}") from err
    except ValueError as err:
        raise ArtifactError(f"{file}: not JSON: {str(err)[:200]}") from err


def unpack(packed: bytes, file: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays in a safetensors file's bytes, read-only.

    Raises:
        ArtifactError: it is none.
    """
    try:
        arrays = {name: _quiet(a) for name, a in parse_arrays(packed).items()}
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise ArtifactError(f"{file}: not a safetensors file: {str(err)[:200]}") from err
    for a in arrays.values():
        a.flags.writeable = False
    return arrays


def _parse_arrays(packed: bytes, manifest: Manifest, file: Path) -> Arrays:
    arrays = unpack(packed, file)
    if set(arrays) != set(manifest.arrays):
        name = min(set(arrays) ^ set(manifest.arrays))
        problem = "is not in the manifest" if name in arrays else "is missing"
        raise ArtifactError(f"{file}: array {name[:200]!r} {problem}")
    for name, entry in manifest.arrays.items():
        a = arrays[name]
        if a.shape != entry.shape or str(a.dtype) != entry.dtype:
            raise ArtifactError(
                f"{file}: array {name[:200]!r} is {a.dtype} {a.shape}, "
                f"the manifest says {entry.dtype} {entry.shape}"
            )
    return arrays


def _quiet(a: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the same numbers without signalling NaNs, which warn when computed with."""
    if a.dtype.kind != "f" or not np.isnan(a).any():
        return a
    with np.errstate(invalid="ignore"):
        return np.asarray(a * a.dtype.type(1))


def _read_files(path: Path, names: Sequence[str]) -> tuple[Manifest, dict[str, bytes]]:
    """Read files of one state of the artifact, also while another process replaces it.

    Beside the manifest and the arrays only those that the manifest lists.
    """
    for _ in range(_RACES):
        try:
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as err:
            raise ArtifactError(f"{path}: not an artifact directory: {err.strerror}") from err
        try:
            text = _read(path, folder, MANIFEST_FILE)
            # arrays before the manifest's checks: what is missing is said first
            arrays = {n: _read(path, folder, n) for n in names if n == ARRAYS_FILE}
            manifest = _parse_manifest(text, path)
            more = [n for n in names if n != ARRAYS_FILE and n in manifest.files]
            return manifest, arrays | {n: _read(path, folder, n) for n in more}
        except ArtifactError:
            if not _replaced(path, folder):
                raise
        finally:
            os.close(folder)
    raise ArtifactError(f"{path}: other processes keep writing here")


def _replaced(path: Path, folder: int) -> bool:
    """Tell whether the open directory is no longer the one at ``path``."""
    try:
        return not os.path.samestat(path.stat(), os.fstat(folder))
    except FileNotFoundError:
        return True


def _read(path: Path, folder: int, name: str) -> bytes:
    """Read one regular file of an open directory, whole, up to its limit."""
    file, limit = path / name, _LIMITS[name]
    try:
        # O_NONBLOCK: a named pipe in place of the file must not stop us for ever
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as err:
        link = err.errno in (errno.ELOOP, errno.EMLINK)
        problem = "a link, which artifacts may not hold" if link else err.strerror
        raise ArtifactError(f"{file}: {problem}") from err
    with os.fdopen(fd, "rb") as stream:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise ArtifactError(f"{file}: not a regular file")
        if info.st_size > limit:
            raise ArtifactError(f"{file}: {info.st_size} bytes, the limit is {limit}")
        return stream.read(limit)


def _refuse_taken(path: Path, *, overwrite: bool) -> None:
    """Allow a free place, an empty directory, or an artifact to be replaced."""
    if not os.path.lexists(path):
        return
    if not path.is_dir():
        raise InputError(f"{path}: is a file; an artifact is a directory")
    names = {p.name for p in path.iterdir()}
    if names - {*_LIMITS, VERSIONS_FOLDER} or (names and MANIFEST_FILE not in names):
        raise InputError(f"{path}: exists and is no artifact; it is left as it is")
    if names and not overwrite:
        raise InputError(f"{path}: exists")
