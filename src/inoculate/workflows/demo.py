"""Use case: the main job on the bundled captures, judged by their ground truth."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl

from inoculate.errors import NotFoundError
from inoculate.finding import Report
from inoculate.registry import RENDERERS
from inoculate.workflows.adapt import AdaptReport, AdaptRequest, adapt
from inoculate.workflows.intake import Intake
from inoculate.workflows.scan import ScanRequest, scan

BENIGN = "benign"
DEFAULT_ATTACK = "slow_http"
_CAPTURES = Path(str(files("inoculate.workflows") / "captures"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRequest:
    """What to demonstrate.

    Attributes:
        attack: one of ``attacks()``.
        shots: examples to adapt with.
        seed: draws them.
        false_alarms: the promise, in (0, 1).
        out: folder for the detector, ``report.html`` and ``findings.jsonl``.
    """

    attack: str = DEFAULT_ATTACK
    shots: int = 5
    seed: int = 0
    false_alarms: float = 0.01
    out: Path = Path()


@dataclass(frozen=True, slots=True, eq=False)
class DemoResult:
    """What the demonstration showed: ``scan.truth`` holds recall and realised false alarms."""

    adapted: AdaptReport
    scan: Report
    written: tuple[Path, ...]


def attacks() -> list[str]:
    """Return the names of the bundled attacks."""
    return sorted({entry["attack"] for entry in _truth()})


def demo(request: DemoRequest, *, progress: Callable[[int], None] = lambda _: None) -> DemoResult:
    """Adapt with a few flows of one attack, scan the office capture, and compare with the truth.

    Raises:
        NotFoundError: no such attack is bundled.
        InputError: the folder cannot be written.
    """
    if request.attack not in attacks():
        raise NotFoundError(f"no attack {request.attack!r}; have {', '.join(attacks())}")
    detector = request.out / f"{request.attack}.detector"
    adapted = adapt(
        AdaptRequest(
            examples=(str(_CAPTURES / f"{request.attack}.pcap.gz"),),
            background=(str(_CAPTURES / "background.pcap.gz"),),
            threats=(request.attack,),
            shots=request.shots,
            seed=request.seed,
            false_alarms=request.false_alarms,
            out=detector,
        )
    )
    office = str(_CAPTURES / "office.pcap.gz")
    outcome = scan(
        ScanRequest(sources=(office,), detector=detector, false_alarms=request.false_alarms),
        progress=progress,
    )
    report = replace(outcome.report, truth=_judged(outcome.report, request.attack, office))
    return DemoResult(adapted, report, (detector, *_write(report, request.out)))


def _write(report: Report, folder: Path) -> tuple[Path, Path]:
    written = (folder / "report.html", folder / "findings.jsonl")
    for path, name in zip(written, ("html", "jsonl"), strict=True):
        renderer = RENDERERS.load(name)()
        text = renderer.begin() + renderer.rows(report.findings) + renderer.end(report)
        path.write_text(text, encoding="utf-8")
    return written


def _truth() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((_CAPTURES / "truth.json").read_text())
    return entries


def _judged(report: Report, attack: str, capture: str) -> dict[str, float]:
    """Return recall and realised false alarms by the ground truth."""
    labels = label_flows(capture)
    counts = dict(labels["truth"].value_counts().iter_rows())
    found = pl.DataFrame(
        {"origin": [f.origin for f in report.findings]}, schema={"origin": pl.String}
    )
    hit = dict(labels.join(found, on="origin", how="semi")["truth"].value_counts().iter_rows())
    n_attack, n_benign = counts.get(attack, 0), counts.get(BENIGN, 0)
    others = sum(n for name, n in hit.items() if name not in (attack, BENIGN))
    n_records = max(report.n_records, 1)
    return {
        "attack flows": n_attack,
        "attack flows found": hit.get(attack, 0),
        "recall": hit.get(attack, 0) / max(n_attack, 1),
        "benign flows": n_benign,
        "false alarms": hit.get(BENIGN, 0),
        "false-alarm rate": hit.get(BENIGN, 0) / max(n_benign, 1),
        "flows of other attacks found": others,
        "flows a second": n_records / max(report.seconds, 1e-9),
    }


def label_flows(capture: str) -> pl.DataFrame:
    """Return ``origin`` and ``truth`` of every flow of a bundled capture.

    A flow belongs to an attack when hosts, port, protocol and time are those of an entry;
    null in an entry means any, a pair of numbers a range.
    """
    frames = [batch.frame for _, batch in Intake().read([capture])]
    flows = pl.concat(frames)
    truth = pl.lit(BENIGN)
    for entry in _truth():
        if entry.get("capture", Path(capture).name) != Path(capture).name:
            continue
        match = pl.col("ts").is_between(entry["first_ts"] - 1e-3, entry["last_ts"] + 1e-3)
        for name in ("orig_h", "resp_h", "orig_p", "resp_p", "proto"):
            wanted = entry.get(name)
            if isinstance(wanted, list):
                match &= pl.col(name).is_between(*wanted)
            elif wanted is not None:
                match &= pl.col(name) == wanted
        truth = pl.when(match).then(pl.lit(entry["attack"])).otherwise(truth)
    return flows.select("origin", truth.alias("truth"))
