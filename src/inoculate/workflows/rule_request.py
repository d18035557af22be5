"""What to make a rule of, and how the finished rule tells where it comes from."""

import hashlib
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from inoculate import __version__
from inoculate.store.manifest import Manifest

_MOST_FILES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRequest:
    """What to make a rule of.

    Attributes:
        detector: artifact that was adapted on the examples.
        format: name of the rule language.
        examples: sources of the examples, as for adapt; none takes those that the detector kept.
        background: sources of mostly benign records; none takes what the detector kept.
        contrary: sources of records that the rule must not match, such as fixed code.
        pairs: in place of examples and contrary ones, code before and after its fix, as for adapt.
        threat: which of the detector's classes; None for its only one.
        label: column that names each example's class.
        shots: examples drawn; None takes all, at most 200.
        seed: draws examples and background.
        false_alarms: largest share of the background that the rule may match, in [0, 1).
        seconds: wall time of the search.
        input_format: name of a domain; None tells it from the bytes.
        skip_bad_records: count bad records and go on.
    """

    detector: Path
    format: str
    examples: tuple[str, ...] = ()
    background: tuple[str, ...] = ()
    contrary: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    threat: str | None = None
    label: str | None = None
    shots: int | None = None
    seed: int = 0
    false_alarms: float = 0.001
    seconds: float = 10.0
    input_format: str | None = None
    skip_bad_records: bool = False


def replayed(tool: str) -> str:
    """Return what checked a rule, in words."""
    if not tool:
        return "NOT replayed: the tool is not installed; checked by inoculate's own reading only"
    return f"validated and replayed on examples and background with {tool}"


def provenance(request: RuleRequest, manifest: Manifest, n_examples: int) -> tuple[str, ...]:
    """Return who made a rule of what, without folders of this machine."""
    made = f"made by inoculate {__version__} from the detector {manifest.name}"
    named = _told((*request.examples, *request.pairs)) or _kept(manifest, "examples", "pairs")
    background = _told(request.background) or _kept(manifest, "background")
    return (
        f"{made} version {manifest.version} ({manifest.learner.name})",
        f"matches all {n_examples} examples: {named}",
        f"background: {background}",
        *((f"matches none of: {_told(request.contrary)}",) if request.contrary else ()),
        f"command: {_command(request)}",
    )


def _told(names: Sequence[str]) -> str:
    return ", ".join(f"{_plain(Path(name).name)}{_digest(Path(name))}" for name in names)


def _kept(manifest: Manifest, *roles: str) -> str:
    """Return where the records that a detector kept are from."""
    told = [
        _plain(Path(entry.name).name) + (f" (sha256 {entry.sha256})" if entry.sha256 else "")
        for entry in manifest.data
        if entry.role in roles
    ]
    return f"kept with the detector, of {', '.join(told) or 'unknown sources'}"


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def _digest(path: Path) -> str:
    """Return a file's SHA-256, of a folder that of its files' names and hashes, in words."""
    if path.is_file():
        return f" (sha256 {_sha256(path)})"
    if not path.is_dir():
        return ""
    files = sorted(p for p in islice(path.rglob("*"), _MOST_FILES) if p.is_file())
    whole = hashlib.sha256()
    for file in files:
        whole.update(
            f"{file.relative_to(path).as_posix()}\0{_sha256(file)}\n".encode("utf-8", "replace")
        )
    return f" ({len(files):,} files, sha256 {whole.hexdigest()} of their names and hashes)"


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "unreadable"


def _command(request: RuleRequest) -> str:
    """Return the command that makes the rule again, with files' names but not their folders."""
    words = ["inoculate", "rule", request.detector.name, "--format", request.format]
    for option, names in (
        ("--examples", request.examples),
        ("--background", request.background),
        ("--contrary", request.contrary),
        ("--pairs", request.pairs),
    ):
        words += [word for name in names for word in (option, Path(name).name)]
    usual = RuleRequest(detector=request.detector, format="")
    for option in ("threat", "label", "shots", "seed", "false_alarms"):
        value = getattr(request, option)
        if value != getattr(usual, option):
            words += [f"--{option.replace('_', '-')}", str(value)]
    return _plain(shlex.join(words))


def rule_name(text: str) -> str:
    """Return a detector's name in letters, digits and underscores, as rules are called."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")[:100]
    return name if name[:1].isalpha() else f"rule_{name}"
