"""Use case: from a handful of examples and the user's background to a detector on disk."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from inoculate import __version__
from inoculate.domain import Batch, View
from inoculate.errors import ArtifactError, InputError
from inoculate.learner import Learner
from inoculate.registry import LEARNERS
from inoculate.store.detector import MAXIMA, StoredPrior, load_prior, save_detector
from inoculate.store.manifest import (
    LearnerEntry,
    Manifest,
    MeasuredEntry,
    PriorEntry,
    describe_views,
)
from inoculate.store.versions import labelled
from inoculate.workflows.adapt_request import AdaptRequest as AdaptRequest
from inoculate.workflows.fitting import LEFT_OUT, Fitted, fit
from inoculate.workflows.intake import Intake, Sample
from inoculate.workflows.keeping import keep_records
from inoculate.workflows.material import Material, read_material
from inoculate.workflows.promises import Promises, make_promises
from inoculate.workflows.usual import usual
from inoculate.workflows.verdicts import wholes_of


@dataclass(frozen=True, slots=True, eq=False)
class AdaptReport:
    """What was made, and what it promises.

    Attributes:
        manifest: of the detector on disk.
        promises: what the user may expect.
        shots: examples used of each class.
        n_background: background records used, and how many were read.
        notes: lines the user must read.
        skipped: problem -> count of records that were skipped.
        left_out: problem -> count of files of folders and archives that were left out.
        seconds_read, seconds_adapt: time for reading, and for adapting with calibration.
        n_pairs: examples with a twin.
    """

    manifest: Manifest
    promises: Promises
    shots: dict[str, int]
    n_background: tuple[int, int]
    notes: tuple[str, ...]
    skipped: dict[str, int]
    seconds_read: float
    seconds_adapt: float
    left_out: dict[str, int] = field(default_factory=dict)
    n_pairs: int = 0


def adapt(request: AdaptRequest) -> AdaptReport:
    """Adapt, check by leaving examples out, and write the detector.

    Raises:
        InputError: nothing to learn from, or arguments that do not fit together.
        RecordError: a bad record, when they are not skipped.
        NotFoundError: no such learner, prior or format.
    """
    _check(request)
    start = time.perf_counter()
    intake = Intake(request.format, request.skip_bad_records)
    material = read_material(request, intake)
    opened = _open_learner(request, material.background, twins=material.pairs is not None)
    material = material.told_apart(opened.views)
    background, examples = material.background, material.examples
    support = material.support(opened.views)
    adapting = time.perf_counter()
    fitted = fit(
        opened.learner,
        opened.views,
        support,
        rate=request.false_alarms,
        seed=request.seed,
        # a labelled source holds more than examples, so it knows what else their hosts did
        context="yes" if request.label and request.context == "auto" else request.context,
        wholes=wholes_of(background.domain, Batch(background.frame)),
    )
    promises = make_promises(
        fitted,
        examples,
        rate=request.false_alarms,
        records_a_day=background.n_seen / background.days if background.days else None,
        out=request.out,
    )
    seconds_adapt = time.perf_counter() - adapting
    records, said = keep_records(material, seed=request.seed) if request.keep_records else (b"", ())
    report = AdaptReport(
        manifest=_manifest(request, material, opened, fitted, promises),
        promises=promises,
        shots=examples.shots(),
        n_background=(background.frame.height, background.n_seen),
        notes=(
            *fitted.notes,
            *material.notes,
            *examples.notes,
            *intake.notes,
            *said,
            *_replaced(request.out),
        ),
        skipped=dict(intake.skipped),
        left_out=dict(intake.left_out),
        seconds_read=adapting - start,
        seconds_adapt=seconds_adapt,
        n_pairs=fitted.support.n_twins if material.pairs is not None else 0,
    )
    # every alarm score was float32 before calibration: nothing is lost
    scores = fitted.calibration.scores.astype(np.float32)
    state = opened.learner.state()
    save_detector(
        request.out,
        report.manifest,
        fitted.support,
        scores,
        state=state,
        extra=_extra(fitted, whole=background.frame.height == background.n_seen),
        held_out=fitted.held_out,
        records=records,
    )
    return report


def _extra(fitted: Fitted, *, whole: bool) -> dict[str, np.ndarray]:
    """Return the arrays kept beside; ``whole`` where the background was no sample of windows."""
    left_out = (np.array(fitted.left_out, np.int64), fitted.p_values)
    extra: dict[str, np.ndarray] = dict(zip(LEFT_OUT, left_out, strict=True))
    if whole and len(fitted.calibration.maxima):
        extra[MAXIMA] = fitted.calibration.maxima.astype(np.float32)
    return extra


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """A learner ready to adapt, with its columns and the prior it came from."""

    learner: Learner
    name: str
    views: tuple[View, ...]
    prior: PriorEntry | None = None
    measured: tuple[MeasuredEntry, ...] = ()


def _check(request: AdaptRequest) -> None:
    _check_sources(request)
    if not 0 < request.false_alarms < 1:
        raise InputError(f"--false-alarms is {request.false_alarms}; expected between 0 and 1")
    if request.shots is not None and request.shots < 1:
        raise InputError(f"--shots is {request.shots}; expected at least 1")
    if request.label is None and len(request.threats) > 1:
        raise InputError("several --threat need --label COLUMN to tell their examples apart")


def _check_sources(request: AdaptRequest) -> None:
    paired = bool(request.pairs) or request.git is not None
    if not request.background and not (paired or request.crashes or request.marked):
        raise InputError("no background: give --background a file of mostly benign records")
    n_kinds = bool(request.examples) + bool(request.pairs) + (request.git is not None)
    n_kinds += bool(request.crashes) + bool(request.marked)
    if request.safe and not request.marked:
        raise InputError("--safe PATH:LINE goes with --marked PATH:LINE")
    if not n_kinds:
        raise InputError(
            "no examples: give --examples a file of records of the threat, or --pairs a folder of "
            "NAME.vuln.EXT and NAME.fixed.EXT, or --git a repository with --commits"
        )
    if n_kinds > 1:
        raise InputError(
            "--examples, --pairs, --git, --marked and --crash do not go together: give one of them"
        )
    if (request.git is None) == bool(request.commits):
        raise InputError("--git REPOSITORY and --commits REVISION need each other")
    if request.crashes and (request.label is not None or len(request.threats) > 1):
        raise InputError("--crash is of one --threat, or of its weakness; --label is for examples")
    if request.marked and (request.label is not None or len(request.threats) > 1):
        raise InputError("--marked is of one --threat; --label is for examples")
    if paired and (request.label is not None or len(request.threats) > 1):
        raise InputError("pairs are of one --threat, or JSON tells each; --label is for examples")


def _open_learner(request: AdaptRequest, background: Sample, *, twins: bool) -> _Opened:
    name, prior = request.learner, request.prior
    own = _without(background.domain.views(Batch(background.frame)), request.label)
    if name is None and prior is None:
        name, prior = usual(background.domain.kind, own, examples=True, twins=twins)
    if prior is None and name is not None:
        cls = LEARNERS.load(name)
        if cls.meta_trained:
            raise InputError(f"{name} is meta-trained: give --prior NAME or a path")
        return _Opened(cls(), name, own)
    stored = load_prior(prior or "")
    learner, manifest = stored.learner, stored.manifest
    if name is not None and name != manifest.learner.name:
        learner = _with_weights_of(stored, name)
    if not learner.schema_free and manifest.kind != background.domain.kind:
        raise InputError(
            f"prior {prior} is for kind {manifest.kind!r}, "
            f"the background is {background.domain.kind!r}"
        )
    entry = PriorEntry(name=manifest.name, sha256=manifest.files.get("arrays.safetensors"))
    views = own if learner.schema_free else stored.views
    return _Opened(learner, name or manifest.learner.name, views, entry, manifest.measured)


def _with_weights_of(stored: StoredPrior, name: str) -> Learner:
    """Return another learner with a prior's weights, where both are made of the same network."""
    try:
        return LEARNERS.load(name)().load_state(stored.learner.state())
    except (ArtifactError, KeyError) as err:
        made_for = stored.manifest.learner.name
        raise InputError(
            f"prior {stored.manifest.name} is for {made_for}; its weights do not fit {name}"
        ) from err


def _without(views: Sequence[View], label: str | None) -> tuple[View, ...]:
    """Return the views less the label column: a label must never be scored on."""
    return tuple(
        View(v.name, tuple(c for c in v.columns if label not in (c.name, c.source)))
        for v in views
        if label is not None
    ) or tuple(views)


def _manifest(
    request: AdaptRequest,
    material: Material,
    opened: _Opened,
    fitted: Fitted,
    promises: Promises,
) -> Manifest:
    background, examples = material.background, material.examples
    return Manifest(
        artifact="detector",
        name=request.out.name.removesuffix(".detector") or "detector",
        inoculate_version=__version__,
        kind=background.domain.kind,
        unit=background.domain.unit,
        domain=_module_name(examples.domains[0]),
        views=describe_views(fitted.views),
        learner=LearnerEntry(
            name=opened.name,
            hyperparameters=opened.learner.hyperparameters(),
            seed=request.seed,
        ),
        classes=examples.classes,
        data=material.data,
        measured=opened.measured,
        promises=promises.stored(),
        notes=(
            *fitted.notes,
            *material.notes,
            *examples.notes,
            *promises.contradictions,
            *promises.lookalikes,
        ),
        prior=opened.prior,
    )


def _replaced(out: Path) -> tuple[str, ...]:
    old = labelled(out)
    if old is None:
        return ()
    return (
        f"the detector that was here had been marked; it stays as version {old.version} (inoculate "
        f"rollback {out} --to {old.version}), its labels are not in the new one",
    )


def _module_name(plugin: object) -> str:
    return type(plugin).__module__.rpartition(".")[2]
