"""What to adapt on."""

from dataclasses import dataclass
from pathlib import Path

from inoculate.workflows.fitting import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptRequest:
    """What to adapt on.

    Attributes:
        examples: sources of the examples, or
        pairs: folders and JSON Lines of pairs, vulnerable and fixed, or
        git: a repository, with
        commits: its revisions that fixed something, or files that list them, or
        crashes: folders of findings of fuzz, whose functions are the examples.
        marked: places of vulnerable functions, ``PATH:LINE``, or files that list them, with
        safe: places of functions that are known to be harmless.
        background: sources of mostly benign records of the user's own; pairs and places may do
            without.
        out: artifact to write.
        threats: the name of the examples' threat; with ``label``, the labels to take (all
            when empty).
        label: column that names each example's class.
        shots: examples drawn of each class; None takes all.
        seed: draws examples, background and the learner's own randomness.
        learner: name of the learner; None takes the prior's, or what is usual.
        prior: name or path of a prior, for learners that need one.
        false_alarms: rate that the promises are made for, in (0, 1).
        context: whether columns that tell of other records count; ``auto`` takes them where
            ``label`` names the examples in a source that holds more, and otherwise only if
            the examples' own columns do not suffice.
        format: name of a domain; None tells it from the bytes.
        skip_bad_records: count bad records and go on.
        keep_records: keep examples and some background with the detector, as rules need them.
    """

    out: Path
    examples: tuple[str, ...] = ()
    background: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    git: str | None = None
    commits: tuple[str, ...] = ()
    crashes: tuple[Path, ...] = ()
    marked: tuple[str, ...] = ()
    safe: tuple[str, ...] = ()
    threats: tuple[str, ...] = ()
    label: str | None = None
    shots: int | None = None
    seed: int = 0
    learner: str | None = None
    prior: str | None = None
    false_alarms: float = 0.01
    context: Context = "auto"
    format: str | None = None
    skip_bad_records: bool = False
    keep_records: bool = True
