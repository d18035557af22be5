"""Detectors and priors on disk: what ``adapt`` was given is kept, and it is adapted again at load.

So no tree and no object is ever stored. The arrays of a detector are

* ``prior/<name>``        state of the learner
* ``examples/<view>``     (k, d) float32, and ``examples_y`` (k,) int64
* ``background/<view>``   (m, d) float32, twins of examples first
* ``n_twins``             (), number of these; where there are some
* ``calibration``         (c,) float32 alarm scores of background, in order

and what else a caller keeps under ``extra/<name>``. A prior has the first only. Beside them may
lie ``held_out.safetensors``, the background that calibrated, by view, ``labels.jsonl``, what
users said of findings, and ``records.jsonl``, what rules are made of; scanning needs none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as pack_arrays

from inoculate.calibration import Calibration
from inoculate.domain import View
from inoculate.errors import ArtifactError, NotFoundError, TaskError
from inoculate.learner import Detector, Learner, State
from inoculate.registry import LEARNERS
from inoculate.store.artifact import Arrays, Artifact, load, open_prior, save, unpack
from inoculate.store.labels import Label, read_labels, write_labels
from inoculate.store.manifest import HELD_OUT_FILE, LABELS_FILE, RECORDS_FILE, Manifest
from inoculate.store.versions import history, labelled, next_number
from inoculate.task import Encoded, FloatArray, Labelled, Support

LARGEST_HYPERPARAMETER = 10_000
N_TWINS = "n_twins"
N_OWN = "n_own"
"""Extra array, (): background records after twins that are the user's own, not marked ones."""
PLAIN = "plain"
"""Extra array, (c,) float32: scores of the background where ``calibration`` holds higher ones."""

MAXIMA = "maxima"
"""Extra array, (m,) float32: the largest score of each background trace, where windows are."""

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, eq=False)
class StoredDetector:
    """A detector ready to score.

    Attributes:
        path: where it was read from.
        manifest: what it says of itself.
        detector: the learner adapted to ``support``.
        support: examples and background it was adapted on.
        scores: (c,) float32, alarm scores of background that it was not adapted on, in order.
        extra: arrays the workflow kept beside.
        learner: what was adapted.
        held_out: the background that calibrated, where it is not that of ``support`` and was
            asked for.
        labels: what users said of findings, where asked for.
    """

    path: Path
    manifest: Manifest
    detector: Detector
    support: Support
    scores: FloatArray
    extra: Arrays
    learner: Learner
    held_out: Encoded | None = None
    labels: tuple[Label, ...] = ()

    @property
    def calibration(self) -> Calibration:
        """The scores as thresholds and p-values are made from them."""
        maxima = np.asarray(self.extra.get(MAXIMA, ()), np.float64)
        return replace(Calibration.of(self.scores), maxima=np.sort(maxima))

    @property
    def views(self) -> tuple[View, ...]:
        """The schema to encode records by."""
        return self.manifest.domain_views()

    @property
    def own_background(self) -> Encoded:
        """The background less twins and the copies of what users marked as benign."""
        background = self.support.usual()
        n_own = self.extra.get(N_OWN, np.array(background.n_records))
        return background.take(np.arange(min(int(n_own), background.n_records)))

    @property
    def plain_scores(self) -> FloatArray:
        """What this detector says of background, (c,), in any order.

        Calibration scores are higher where users marked findings as benign.
        """
        return np.asarray(self.extra.get(PLAIN, self.scores), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class StoredPrior:
    """A prior ready to adapt."""

    path: Path
    manifest: Manifest
    learner: Learner

    @property
    def views(self) -> tuple[View, ...]:
        """The schema the prior was meta-trained on."""
        return self.manifest.domain_views()


def save_detector(
    path: Path,
    manifest: Manifest,
    support: Support,
    scores: FloatArray,
    *,
    state: State = _NOTHING,
    extra: Arrays = _NOTHING,
    held_out: Encoded | None = None,
    records: bytes = b"",
) -> None:
    """Write a detector: all that ``load_detector`` needs to adapt again to the same.

    Args:
        path: the directory to be. A detector there that has labels stays as a version.
        manifest: names the learner, its hyperparameters and the seed that ``adapt`` was given.
        support: what it was adapted on.
        scores: (c,) finite calibration scores in any order, at least one.
        state: the learner's state before ``adapt``.
        extra: more arrays to keep.
        held_out: the background that calibrated, where it is not that of ``support``.
        records: some of what it was adapted on, as ``store.records`` writes them.

    Raises:
        InputError: see ``save``.
        TaskError: manifest and support name different classes or columns, or scores are missing.
    """
    old = labelled(path)
    beside: dict[str, bytes | Path] = dict(history(path.resolve(), old)) if old else {}
    if old:
        manifest = manifest.model_copy(update={"version": next_number(path)})
    if held_out is not None:
        beside[HELD_OUT_FILE] = pack_arrays(dict(held_out))
    if records:
        beside[RECORDS_FILE] = records
    arrays = _arrays(manifest, support, scores, state, extra)
    save(path, manifest, arrays, beside=beside, replaces=old)


def save_version(
    stored: StoredDetector,
    manifest: Manifest,
    support: Support,
    scores: FloatArray,
    *,
    extra: Arrays,
    labels: Sequence[Label],
) -> None:
    """Write a detector's next version, made from the one in force by labels.

    Args:
        stored: the version in force.
        manifest: of the next; version, parent and base are filled in here.
        support: what it was adapted on.
        scores: its calibration scores.
        extra: more arrays to keep.
        labels: all of the next version.

    Raises:
        InputError: it cannot be written, or another process wrote meanwhile.
    """
    path, old = stored.path.resolve(), stored.manifest
    line = {
        "version": next_number(path),
        "parent": old.version,
        "base": old.base or old.version,
    }
    beside = dict(history(path, old)) | {LABELS_FILE: write_labels(labels)}
    for name in (HELD_OUT_FILE, RECORDS_FILE):
        if name in old.files:
            beside[name] = path / name
    filled = manifest.model_copy(update={**line, "files": old.files})
    arrays = _arrays(filled, support, scores, stored.learner.state(), extra)
    save(path, filled, arrays, beside=beside, replaces=old)


def _arrays(
    manifest: Manifest, support: Support, scores: FloatArray, state: State, extra: Arrays
) -> dict[str, Any]:
    _check_support(manifest, support)
    if manifest.artifact != "detector":
        raise TaskError(f"the manifest is of a {manifest.artifact}, expected a detector")
    known = Calibration.of(scores)
    arrays: dict[str, Any] = {f"prior/{k}": v for k, v in state.items()}
    arrays |= {f"examples/{k}": v for k, v in support.examples.x.items()}
    arrays |= {f"background/{k}": v for k, v in support.background.items()}
    arrays |= {f"extra/{k}": v for k, v in extra.items()}
    arrays["examples_y"] = support.examples.y.astype(np.int64)
    arrays |= {N_TWINS: np.array(support.n_twins)} if support.n_twins else {}
    arrays["calibration"] = known.scores.astype(np.float32)
    return arrays


def load_detector(path: Path, *, whole: bool = False) -> StoredDetector:
    """Read a detector and adapt it again.

    Args:
        path: the artifact.
        whole: also read what scanning does not need: held-out background and labels.

    Raises:
        ArtifactError: damaged, a prior, or its parts do not fit together.
        NotFoundError: there is nothing at this path.
        MissingExtraError: its learner needs a package that is not installed.
    """
    artifact = load(path, beside=(HELD_OUT_FILE, LABELS_FILE) if whole else ())
    manifest = artifact.manifest
    if manifest.artifact != "detector":
        raise ArtifactError(f"{path}: a {manifest.artifact}, expected a detector")
    try:
        support = _support(artifact)
        scores = artifact.arrays["calibration"]
        if scores.dtype != np.float32:
            raise TaskError(f"calibration is {scores.dtype}, expected float32")
        Calibration(scores.astype(np.float64))
        learner = _learner(artifact)
        detector = learner.adapt(support, seed=manifest.learner.seed)
        held_out = _held_out(artifact)
    except KeyError as err:
        raise ArtifactError(f"{path}: array {err} is missing") from err
    except TaskError as err:
        raise ArtifactError(f"{path}: {err}") from err
    return StoredDetector(
        path, manifest, detector, support, scores, _extra(artifact), learner, held_out,
        read_labels(artifact.beside.get(LABELS_FILE, b""), path / LABELS_FILE),
    )  # fmt: skip


def save_prior(path: Path, manifest: Manifest, state: State, *, overwrite: bool = True) -> None:
    """Write a prior: a learner's state by the names it gave.

    Raises:
        InputError: see ``save``.
    """
    save(path, manifest, {f"prior/{k}": v for k, v in state.items()}, overwrite=overwrite)


def load_prior(name_or_path: str | Path) -> StoredPrior:
    """Read a shipped prior by name, or any by path, and build its learner.

    Raises:
        ArtifactError: damaged, or a detector.
        NotFoundError: no such prior.
        MissingExtraError: its learner needs a package that is not installed.
    """
    artifact = open_prior(name_or_path)
    return StoredPrior(artifact.path, artifact.manifest, _learner(artifact))


def _learner(artifact: Artifact) -> Learner:
    entry = artifact.manifest.learner
    try:
        cls = LEARNERS.load(entry.name)
        usual = cls().hyperparameters()
        check_hyperparameters(usual, entry.hyperparameters, cls.meta_fit_only)
        return cls(**entry.hyperparameters).load_state(artifact.group("prior"))
    except NotFoundError as err:
        raise ArtifactError(f"{artifact.path}: {err}") from err
    except ArtifactError as err:
        raise ArtifactError(f"{artifact.path}: {entry.name}: {err}") from err
    except (TypeError, ValueError) as err:
        raise ArtifactError(
            f"{artifact.path}: learner {entry.name} refuses its hyperparameters: {str(err)[:200]}"
        ) from err


def check_hyperparameters(
    usual: Mapping[str, Any], given: Mapping[str, Any], unbounded: frozenset[str]
) -> None:
    """Hold each value against its default: a billion trees in a manifest would stall its reader.

    Raises:
        ValueError: a value of another kind, or a number out of bounds.
    """
    for name in sorted(given.keys() & usual.keys()):
        value, default = given[name], usual[name]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        is_float = type(default) is float and is_number
        if default is not None and type(value) is not type(default) and not is_float:
            raise ValueError(f"{name} is {value!r:.80}, expected a {type(default).__name__}")
        most = np.inf if name in unbounded else LARGEST_HYPERPARAMETER
        if is_number and not 0 <= value <= most:
            raise ValueError(f"{name} is {value}, must be positive, at most 10,000")
        if is_number and default and not value:
            raise ValueError(f"{name} is 0, must be positive")


def _extra(artifact: Artifact) -> Arrays:
    extra = artifact.group("extra")
    n_own = extra.get(N_OWN, np.array(1))
    if n_own.shape != () or n_own.dtype.kind not in "iu" or n_own < 1:
        raise ArtifactError(f"{artifact.path}: array extra/{N_OWN} is not a number above 0")
    for name in (PLAIN, MAXIMA):
        row = extra.get(name, np.zeros(1, np.float32))
        if row.dtype != np.float32 or row.ndim != 1 or not np.isfinite(row).all():
            raise ArtifactError(f"{artifact.path}: array extra/{name} is not a row of numbers")
    return extra


def _held_out(artifact: Artifact) -> Encoded | None:
    packed = artifact.beside.get(HELD_OUT_FILE)
    if packed is None:
        return None
    found = Encoded(unpack(packed, artifact.path / HELD_OUT_FILE))
    told = {v.name: len(v.columns) for v in artifact.manifest.views}
    if told != {k: x.shape[1] for k, x in found.items()}:
        raise TaskError(f"{HELD_OUT_FILE} has other columns than the manifest")
    return found if found.n_records else None


def _support(artifact: Artifact) -> Support:
    y = artifact.arrays["examples_y"]
    if y.dtype != np.int64 or y.ndim != 1:
        raise TaskError(f"examples_y is {y.dtype} {y.shape}, expected int64 (k,)")
    examples = Labelled(Encoded(artifact.group("examples")), y)
    background = Encoded(artifact.group("background"))
    n_twins = artifact.arrays.get(N_TWINS, np.array(0))
    if n_twins.dtype != np.int64 or n_twins.shape != ():
        raise TaskError(f"{N_TWINS} is {n_twins.dtype} {n_twins.shape}, expected int64 ()")
    support = Support(examples, background, artifact.manifest.classes, int(n_twins))
    _check_support(artifact.manifest, support)
    return support


def _check_support(manifest: Manifest, support: Support) -> None:
    if manifest.classes != support.classes:
        raise TaskError(f"manifest has classes {manifest.classes}, support {support.classes}")
    told = {v.name: len(v.columns) for v in manifest.views}
    found = {k: x.shape[1] for k, x in support.background.items()}
    if told != found:
        raise TaskError(f"manifest has views {told}, support {found}")
