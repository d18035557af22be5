"""Zero-day: what is new in some traffic, with no example and no detector.

The background is a sample of the traffic itself, so it may hold the very thing looked for.
No record is therefore judged by a background that holds it: records are dealt to folds in
turn, and a record of fold f is scored by the detector adapted on the sample's other folds.

References:
    Vovk, "Cross-conformal predictors", Annals of Mathematics and AI 74, 2015, section 3.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from inoculate.calibration import Calibration
from inoculate.domain import Batch
from inoculate.errors import InputError
from inoculate.finding import Finding
from inoculate.learner import Detector, Learner, Scores
from inoculate.registry import LEARNERS
from inoculate.store.detector import load_prior
from inoculate.task import Encoded, FloatArray, IntArray, Labelled, Support
from inoculate.workflows.intake import Intake, sample_records
from inoculate.workflows.scanner import Scanner
from inoculate.workflows.usual import usual

_FOLDS = 5
_MOST_BACKGROUND = 5_000


class NoveltyScan:
    """Reads the sources twice: once to sample the background, once to score every record.

    Args:
        intake: reads the sources.
        sources: paths; standard input cannot be read twice.
        rate: share of records that may be found, in (0, 1).
        seed: draws the sample.

    Raises:
        InputError: standard input, too few records, or a source that cannot be read.
    """

    def __init__(self, intake: Intake, sources: Sequence[str], rate: float, *, seed: int) -> None:
        for name in sources:
            if name == "-" or _is_pipe(Path(name)):
                raise InputError(
                    f"{name}: a scan without a detector reads twice; name a file instead"
                )
        self._intake, self._seen = intake, 0
        # what cannot be read fails again, and is told then, when the sources are scanned
        sample = sample_records(intake, sources, most=_MOST_BACKGROUND, seed=seed, failures=[])
        if sample.frame.height < 2 * _FOLDS:
            raise InputError(
                f"{', '.join(sources)}: {sample.n_seen} records are too few to tell what is "
                f"usual; at least {2 * _FOLDS} are needed"
            )
        self.unit, self._kind = sample.domain.unit, sample.domain.kind
        batch = Batch(sample.frame)
        self._views = sample.domain.views(batch)
        background = sample.domain.encode(batch, self._views)
        chosen, prior = usual(self._kind, self._views, examples=False)
        learner = load_prior(prior).learner if prior else LEARNERS.load(chosen or "")()
        self._detectors, known = _cross_fit(learner, background, sample.rows % _FOLDS, seed)
        self.scanner = Scanner(
            f"novelty ({f'prior {prior}' if prior else chosen})",
            self._detectors[0],
            Calibration.of(known),
            self._views,
            classes=(),
            background=background,
            rate=rate,
        )
        intake.forget()

    def findings(self, name: str) -> Iterator[list[Finding]]:
        """Yield the findings of each batch of one source; call in the order of the sources."""
        for domain, batch in self._intake.read([name], kind=self._kind):
            x = domain.encode(batch, self._views)
            folds = np.arange(self._seen, self._seen + len(batch)) % _FOLDS
            self._seen += len(batch)
            novelty = np.empty(len(batch), np.float32)
            for fold, detector in enumerate(self._detectors):
                mine = np.flatnonzero(folds == fold)
                if len(mine):
                    novelty[mine] = detector.score(x.take(mine)).novelty
            scores = Scores(np.empty((len(batch), 0), np.float32), novelty)
            yield self.scanner.scan_scored(domain, batch, x, scores)


def _is_pipe(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _cross_fit(
    learner: Learner, background: Encoded, folds: IntArray, seed: int
) -> tuple[list[Detector], FloatArray]:
    """Return a detector a fold that never saw it, and every record's score by its own."""
    detectors: list[Detector] = []
    known = np.empty(background.n_records, np.float32)
    nothing = Labelled(background.take(np.empty(0, np.int64)), np.empty(0, np.int64))
    for fold in range(_FOLDS):
        mine = folds == fold
        support = Support(nothing, background.take(~mine), ())
        detectors.append(learner.adapt(support, seed=seed))
        if mine.any():
            known[mine] = detectors[-1].score(background.take(mine)).novelty
    return detectors, known
