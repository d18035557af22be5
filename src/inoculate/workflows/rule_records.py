"""Reads what a rule is made of: what the user names, and else what the detector kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from inoculate.domain import Domain
from inoculate.errors import InputError
from inoculate.render._text import counted
from inoculate.rule import BoolArray, Described
from inoculate.store.artifact import Artifact
from inoculate.store.manifest import Manifest
from inoculate.store.records import KeptRecord
from inoculate.workflows.examples import Examples, read_examples
from inoculate.workflows.intake import Intake, sample_records
from inoculate.workflows.keeping import MOST_BACKGROUND, MOST_EXAMPLES, described, kept_records
from inoculate.workflows.pairs import read_pairs
from inoculate.workflows.rule_request import RuleRequest

LEAST_HALVED = 100
_FILES = frozenset(("pe", "elf"))


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """The records of a request, described; ``seen`` background rows the search may look at."""

    examples: list[Described]
    contrary: list[Described]
    background: list[Described]
    seen: BoolArray
    languages: tuple[str, ...]


def read_known(request: RuleRequest, intake: Intake, artifact: Artifact) -> Known:
    """Return the records to make a rule of, examples not among the background.

    Raises:
        InputError: nothing is named and nothing was kept, or it does not fit together.
        ArtifactError: what was kept is damaged.
        RecordError: a bad record, when they are not skipped.
    """
    manifest = artifact.manifest
    kept = kept_records(artifact)
    named = bool(request.examples or request.pairs)
    has = {record.role for record in kept}
    lacking = [] if named or "example" in has else ["--examples or --pairs"]
    lacking += [] if request.background or "background" in has else ["--background"]
    if lacking:
        raise InputError(
            "this detector keeps numbers, not the records that a rule needs: give "
            f"{' and '.join(lacking)} again, as for adapt"
        )
    examples, contrary, origins = _sides(request, intake, manifest, kept)
    background = _background(request, intake, manifest, origins)
    background = described(kept, "background") if background is None else background
    if not named:
        background = _less_examples(background, examples, intake)
    if not background:
        raise InputError("the background holds nothing but the examples")
    return Known(
        examples, contrary, background, _seen(len(background), request.seed), _languages(examples)
    )


def threat_of(request: RuleRequest, manifest: Manifest) -> str:
    """Return the class that the rule is for.

    Raises:
        InputError: the detector has several or none, or not the one asked for.
    """
    classes = manifest.classes
    if request.threat is None and len(classes) == 1:
        return classes[0]
    if request.threat not in classes:
        have = ", ".join(classes) or "none: it was adapted without examples"
        raise InputError(f"--threat names one class of the detector; it has {have}")
    return request.threat


def _seen(n: int, seed: int) -> BoolArray:
    """Return which background the search sees: of much, half."""
    seen = np.ones(n, bool)
    if n >= LEAST_HALVED:
        seen[np.random.default_rng(seed).permutation(n)[: n // 2]] = False
    return seen


def _background(
    request: RuleRequest, intake: Intake, manifest: Manifest, origins: Sequence[str]
) -> list[Described] | None:
    """Return the background that is named, less the examples; None where none is."""
    if not request.background:
        return None
    found = sample_records(intake, request.background, most=MOST_BACKGROUND, seed=request.seed)
    if found.domain.kind != manifest.kind:
        raise InputError(
            f"the background is of kind {found.domain.kind!r}, the detector of {manifest.kind!r}"
        )
    frame = found.frame.filter(~pl.col("origin").is_in(list(origins)))
    return list(_rows(found.domain, frame, with_data=False))


def _less_examples(
    background: list[Described], examples: list[Described], intake: Intake
) -> list[Described]:
    """Return the background without what reads as a kept example, whose origin is not known."""
    texts = {e.record["text"] for e in examples if e.record.get("text")}
    rest = [r for r in background if r.record.get("text") not in texts]
    if len(rest) < len(background):
        n = counted(len(background) - len(rest), "background record")
        intake.note(f"{n} the same as an example, left out")
    return rest


def _sides(
    request: RuleRequest, intake: Intake, manifest: Manifest, kept: Sequence[KeptRecord]
) -> tuple[list[Described], list[Described], tuple[str, ...]]:
    """Return examples, what the rule must not match, and where the examples came from."""
    threat, kind = threat_of(request, manifest), manifest.kind
    contrary = _contrary(request, intake, kind)
    shots = min(request.shots or MOST_EXAMPLES, MOST_EXAMPLES)
    if request.pairs:
        pairs = read_pairs(intake, request.pairs, threat=threat, shots=shots, seed=request.seed)
        if pairs.domain.kind != kind:
            raise InputError(f"the pairs are of kind {pairs.domain.kind!r}, not {kind!r}")
        twins = list(_rows(pairs.domain, pairs.after, with_data=False))
        found = pairs.examples()
        return list(_described(found)), twins, found.origins
    if not request.examples:
        examples = described(kept, "example", threat)[:shots]
        return examples, [*described(kept, "twin", threat)[:shots], *contrary], ()
    found = read_examples(
        intake, request.examples, kind=kind, threats=(threat,), label=request.label,
        shots=shots, seed=request.seed,
    )  # fmt: skip
    return list(_described(found)), contrary, found.origins


def _contrary(request: RuleRequest, intake: Intake, kind: str) -> list[Described]:
    if not request.contrary:
        return []
    found = read_examples(
        intake, request.contrary, kind=kind, threats=(), label=None, shots=None, seed=request.seed
    )
    return list(_described(found))


def _described(examples: Examples) -> Iterator[Described]:
    for domain, frame in zip(examples.domains, examples.frames, strict=True):
        yield from _rows(domain, frame, with_data=True)


def _rows(domain: Domain, frame: pl.DataFrame, *, with_data: bool) -> Iterator[Described]:
    """Yield records with their facts; of whole files the bytes are read, and not kept."""
    for row in frame.iter_rows(named=True):
        record: dict[str, Any] = dict(row)
        if domain.kind in _FILES:
            path = Path(str(row["origin"]))
            if not path.is_file():
                raise InputError(f"{path}: unpack it first; a rule is tried on whole files")
            record["path"] = str(path)
        data = Described(record, ()).data() if with_data else b""
        facts = domain.facts({**record, "data": data} if data else record)
        yield Described(record, facts)


def _languages(examples: Sequence[Described]) -> tuple[str, ...]:
    return tuple(sorted({str(e.record["language"]) for e in examples if e.record.get("language")}))
