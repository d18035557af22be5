"""Use case: from a detector and the records it was adapted on to a rule that runs elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inoculate.errors import ArtifactError, InputError
from inoculate.features.clauses import Bounds, Learned
from inoculate.features.rule_search import (
    Facts,
    LeftOut,
    gather,
    learn,
    leave_out,
    terms_of,
    usual_bounds,
)
from inoculate.registry import RULES
from inoculate.rule import BoolArray, Described, Replay, Rule, RuleLanguage
from inoculate.store.artifact import Artifact, load
from inoculate.store.manifest import RECORDS_FILE, Manifest
from inoculate.workflows.intake import Intake
from inoculate.workflows.rule_records import Known, read_known, threat_of
from inoculate.workflows.rule_request import RuleRequest, provenance, replayed, rule_name

MOST_LEFT_OUT = 20
_TRIES = 6
_NO_RULE = "no rule of bounded size separates the examples"


@dataclass(frozen=True, slots=True, eq=False)
class RuleReport:
    """A rule, and what was measured of it.

    Attributes:
        text: the rule as it is to be written.
        rule: its clauses.
        tool: what validated and replayed it; "" where that is not installed.
        examples: how many; all match.
        alarms: background records that match, and how many there were.
        unseen: the same of the background that the search did not see; None where it saw all.
        left_out: how rules learned from all but one example do on that one.
        notes: lines the user must read.
    """

    text: str
    rule: Rule
    tool: str
    examples: int
    alarms: tuple[int, int]
    unseen: tuple[int, int] | None
    left_out: LeftOut
    notes: tuple[str, ...]


def make_rule(request: RuleRequest) -> RuleReport:
    """Learn a rule, run it with its language's own tool, and return it if it keeps its promise.

    Raises:
        InputError: no rule separates the examples, only one host, address or hash would, the
            tool refuses or contradicts it, or arguments do not fit together.
        ArtifactError: the detector is damaged or none.
        MissingExtraError: the tool that validates the rule is not installed.
        NotFoundError: no such detector or rule language.
        RecordError: a bad record, when they are not skipped.
    """
    language = RULES.load(request.format)()
    artifact = _detector(request)
    manifest = artifact.manifest
    _check(request, language, manifest)
    intake = Intake(request.input_format, request.skip_bad_records)
    known = read_known(request, intake, artifact)
    bounds = usual_bounds(
        len(known.examples),
        alarms=int(request.false_alarms * int(known.seen.sum())),
        seconds=request.seconds,
    )
    seen = [r for r, is_seen in zip(known.background, known.seen, strict=True) if is_seen]
    facts = gather(language, known.examples, known.contrary, seen, clauses=bounds.clauses)
    draft = Rule(
        name=rule_name(manifest.name),
        threat=threat_of(request, manifest),
        kind=manifest.kind,
        clauses=(),
        languages=known.languages,
    )
    rule, replay, learned = _agreed(language, known, facts, bounds, draft, seen)
    return _report(request, manifest, known, (rule, replay, learned), facts, bounds, intake.notes)


def _detector(request: RuleRequest) -> Artifact:
    artifact = load(request.detector, beside=(RECORDS_FILE,))
    kind = artifact.manifest.artifact
    if kind != "detector":
        raise ArtifactError(f"{request.detector}: a {kind}, expected a detector")
    return artifact


def _check(request: RuleRequest, language: RuleLanguage, manifest: Manifest) -> None:
    if request.pairs and (request.examples or request.contrary or request.label):
        raise InputError("--pairs go without --examples, --contrary and --label")
    if not 0 <= request.false_alarms < 1:
        raise InputError(f"--false-alarms is {request.false_alarms}; expected 0 to below 1")
    if manifest.kind not in language.kinds:
        why = language.untellable.get(manifest.kind, "")
        fits = [n for n in RULES.names() if manifest.kind in RULES.load(n).kinds]
        hint = why or (f"try --format {' or '.join(fits)}" if fits else "no language can")
        raise InputError(f"{request.format} makes no rule of kind {manifest.kind!r}: {hint}")


def _agreed(
    language: RuleLanguage,
    known: Known,
    facts: Facts,
    bounds: Bounds,
    draft: Rule,
    seen: Sequence[Described],
) -> tuple[Rule, Replay | None, Learned]:
    """Return a rule on which the search and the language's tool agree.

    Raises:
        InputError: there is none.
    """
    tried, said = facts, ""
    records, n = [*known.examples, *known.contrary], len(known.examples)
    for _ in range(_TRIES):
        learned = learn(tried, bounds)
        if learned is None:
            break
        rule = _replaced(draft, tried, learned)
        try:
            replay = language.replay(language.write(rule), rule, records)
        except InputError as err:
            said = str(err)
        else:
            if replay is None or (replay.matched[:n].all() and not replay.matched[n:].any()):
                return rule, replay, learned
            said = f"{replay.tool} reads it otherwise than it was meant"
        tried = tried.without(rule.conditions())
    if said:
        raise InputError(f"{_NO_RULE} as the tool reads it: {said}")
    raise InputError(_why_none(language, known, facts, bounds, seen))


def _replaced(draft: Rule, facts: Facts, learned: Learned) -> Rule:
    clauses = terms_of(facts, learned)
    return Rule(draft.name, draft.threat, draft.kind, clauses, draft.notes, draft.languages)


def _why_none(
    language: RuleLanguage,
    known: Known,
    facts: Facts,
    bounds: Bounds,
    seen: Sequence[Described],
) -> str:
    """Return that there is no rule, and whether one keyed to an identity would be."""
    limits = f"{bounds.clauses} clauses of {bounds.literals} conditions"
    rate = f"{bounds.alarms} of {len(seen):,} background records"
    if not facts.conditions and not facts.left_out:
        return f"{_NO_RULE}: nothing in them can be said in this language"
    if facts.left_out:
        every = gather(
            language, known.examples, known.contrary, seen,
            clauses=bounds.clauses, identities=True,
        )  # fmt: skip
        if learn(every, bounds) is not None:
            told = ", ".join(sorted(facts.left_out))
            return f"{_NO_RULE}: only what tells {told} would, and such a rule is refused"
    return f"{_NO_RULE}: none of up to {limits} has them all and at most {rate}"


def _report(
    request: RuleRequest,
    manifest: Manifest,
    known: Known,
    found: tuple[Rule, Replay | None, Learned],
    facts: Facts,
    bounds: Bounds,
    notes: Sequence[str],
) -> RuleReport:
    """Measure a rule on all background, hold it to its promise and write it with its provenance."""
    draft, _, _ = found
    left_out = _held_up(facts, bounds)
    language = RULES.load(request.format)()
    alarms, tool = _alarms(language, draft, known)
    n, total = int(alarms.sum()), len(alarms)
    unseen = None
    if not known.seen.all():
        unseen = (int(alarms[~known.seen].sum()), int((~known.seen).sum()))
    if n > request.false_alarms * total:
        raise InputError(
            f"{_NO_RULE} at this rate: the best matches {n} of {total:,} background records, "
            f"at most {100 * request.false_alarms:.3g} % are promised"
        )
    measured = f"matches {n} of {total:,} background {manifest.unit}s"
    if unseen is not None:
        measured += f", {unseen[0]} of the {unseen[1]:,} not seen by the search"
    rule = Rule(
        draft.name, draft.threat, draft.kind, draft.clauses,
        (*provenance(request, manifest, len(known.examples)), measured, replayed(tool)),
        draft.languages,
    )  # fmt: skip
    text = language.write(rule)
    check = language.replay(text, rule, known.examples)
    if check is not None and not check.matched.all():
        raise InputError(f"{_NO_RULE}: {check.tool} does not find them all in the finished rule")
    return RuleReport(
        text, rule, tool, len(known.examples), (n, total), unseen, left_out, tuple(notes)
    )


def _held_up(facts: Facts, bounds: Bounds) -> LeftOut:
    """Return what leaving examples out tells.

    Raises:
        InputError: rules learned from the other examples fail on those left out.
    """
    left_out = leave_out(facts, bounds) if len(facts.examples) <= MOST_LEFT_OUT else LeftOut()
    if not left_out.holds_up():
        raise InputError(
            f"{_NO_RULE}: what would, holds for these alone: rules learned from the others find "
            f"{left_out.found} of {left_out.n} examples left out and match {left_out.wrong} of "
            f"{left_out.n_contrary} contrary records left out"
        )
    return left_out


def _alarms(language: RuleLanguage, rule: Rule, known: Known) -> tuple[BoolArray, str]:
    replay = language.replay(language.write(rule), rule, known.background)
    if replay is not None:
        return replay.matched, replay.tool
    conditions = rule.conditions()
    held = language.holds(conditions, known.background)
    at = {c: i for i, c in enumerate(conditions)}
    found = np.zeros(len(held), bool)
    for clause in rule.clauses:
        whole = np.ones(len(held), bool)
        for term in clause:
            whole &= held[:, at[term.condition]] == term.holds
        found |= whole
    return found, ""
