"""Detectors and priors on disk: what ``adapt`` was given is kept, and it is adapted again at load.

So no tree and no object is ever stored. The arrays of a detector are

* ``prior/<name>``        state of the learner
* ``examples/<view>``     (k, d) float32, and ``examples_y`` (k,) int64
* ``background/<view>``   (m, d) float32
* ``calibration``         (c,) float32 alarm scores of background, in order

and what else a caller keeps under ``extra/<name>``. A prior has the first only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inoculate.calibration import Calibration
from inoculate.domain import View
from inoculate.errors import ArtifactError, NotFoundError, TaskError
from inoculate.learner import Detector, Learner, State
from inoculate.registry import LEARNERS
from inoculate.store.artifact import Arrays, Artifact, load, open_prior, save
from inoculate.store.manifest import Manifest
from inoculate.task import Encoded, FloatArray, Labelled, Support

LARGEST_HYPERPARAMETER = 10_000

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
    """

    path: Path
    manifest: Manifest
    detector: Detector
    support: Support
    scores: FloatArray
    extra: Arrays

    @property
    def calibration(self) -> Calibration:
        """The scores as thresholds and p-values are made from them."""
        return Calibration.of(self.scores)

    @property
    def views(self) -> tuple[View, ...]:
        """The schema to encode records by."""
        return self.manifest.domain_views()


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
    overwrite: bool = True,
) -> None:
    """Write a detector: all that ``load_detector`` needs to adapt again to the same.

    Args:
        path: the directory to be.
        manifest: names the learner, its hyperparameters and the seed that ``adapt`` was given.
        support: what it was adapted on.
        scores: (c,) finite calibration scores in any order, at least one.
        state: the learner's state before ``adapt``.
        extra: more arrays to keep.
        overwrite: replace an artifact that is there.

    Raises:
        InputError: see ``save``.
        TaskError: manifest and support name different classes or columns, or scores are missing.
    """
    _check_support(manifest, support)
    if manifest.artifact != "detector":
        raise TaskError(f"the manifest is of a {manifest.artifact}, expected a detector")
    known = Calibration.of(scores)
    arrays: dict[str, Any] = {f"prior/{k}": v for k, v in state.items()}
    arrays |= {f"examples/{k}": v for k, v in support.examples.x.items()}
    arrays |= {f"background/{k}": v for k, v in support.background.items()}
    arrays |= {f"extra/{k}": v for k, v in extra.items()}
    arrays["examples_y"] = support.examples.y.astype(np.int64)
    arrays["calibration"] = known.scores.astype(np.float32)
    save(path, manifest, arrays, overwrite=overwrite)


def load_detector(path: Path) -> StoredDetector:
    """Read a detector and adapt it again.

    Raises:
        ArtifactError: damaged, a prior, or its parts do not fit together.
        NotFoundError: there is nothing at this path.
        MissingExtraError: its learner needs a package that is not installed.
    """
    artifact = load(path)
    manifest = artifact.manifest
    if manifest.artifact != "detector":
        raise ArtifactError(f"{path}: a {manifest.artifact}, expected a detector")
    try:
        support = _support(artifact)
        scores = artifact.arrays["calibration"]
        if scores.dtype != np.float32:
            raise TaskError(f"calibration is {scores.dtype}, expected float32")
        Calibration(scores.astype(np.float64))
        detector = _learner(artifact).adapt(support, seed=manifest.learner.seed)
    except KeyError as err:
        raise ArtifactError(f"{path}: array {err} is missing") from err
    except TaskError as err:
        raise ArtifactError(f"{path}: {err}") from err
    return StoredDetector(path, manifest, detector, support, scores, artifact.group("extra"))


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
        _check_hyperparameters(usual, entry.hyperparameters, cls.meta_fit_only)
        return cls(**entry.hyperparameters).load_state(artifact.group("prior"))
    except NotFoundError as err:
        raise ArtifactError(f"{artifact.path}: {err}") from err
    except ArtifactError as err:
        raise ArtifactError(f"{artifact.path}: {entry.name}: {err}") from err
    except (TypeError, ValueError) as err:
        raise ArtifactError(
            f"{artifact.path}: learner {entry.name} refuses its hyperparameters: {str(err)[:200]}"
        ) from err


def _check_hyperparameters(
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


def _support(artifact: Artifact) -> Support:
    y = artifact.arrays["examples_y"]
    if y.dtype != np.int64 or y.ndim != 1:
        raise TaskError(f"examples_y is {y.dtype} {y.shape}, expected int64 (k,)")
    examples = Labelled(Encoded(artifact.group("examples")), y)
    background = Encoded(artifact.group("background"))
    support = Support(examples, background, artifact.manifest.classes)
    _check_support(artifact.manifest, support)
    return support


def _check_support(manifest: Manifest, support: Support) -> None:
    if manifest.classes != support.classes:
        raise TaskError(f"manifest has classes {manifest.classes}, support {support.classes}")
    told = {v.name: len(v.columns) for v in manifest.views}
    found = {k: x.shape[1] for k, x in support.background.items()}
    if told != found:
        raise TaskError(f"manifest has views {told}, support {found}")
