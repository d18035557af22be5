"""JSON Lines: one finding a line, as it comes."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, ClassVar

from inoculate.finding import SCHEMA_VERSION, Finding, Renderer, Report
from inoculate.render._text import plain
from inoculate.render._verdicts import as_json


class Jsonl(Renderer):
    r"""One JSON object a line, ASCII only (everything else as ``\u....``).

    Keys are ``schema_version`` and those of ``finding.Finding``; a value that is not a finite
    number is null. Lines with ``finding_id`` are the findings. Where records are windows of
    something longer, those with ``verdict_on`` come last, one for each of these that alarms.

    References:
        JSON Lines, https://jsonlines.org.
    """

    streams: ClassVar[bool] = True
    suffix: ClassVar[str] = ".jsonl"

    def rows(self, findings: Sequence[Finding]) -> str:
        """Return a line for each finding."""
        return "".join(json.dumps(_line(f), allow_nan=False) + "\n" for f in findings)

    def end(self, report: Report) -> str:
        """Return the verdicts, if any: every finding was written."""
        return "".join(json.dumps(as_json(v), allow_nan=False) + "\n" for v in report.verdicts)


def _line(finding: Finding) -> dict[str, Any]:
    reasons = [{k: plain(v) for k, v in asdict(r).items()} for r in finding.reasons]
    return {
        "schema_version": SCHEMA_VERSION,
        "finding_id": finding.finding_id,
        "ts": plain(finding.ts),
        "threat": finding.threat,
        "score": plain(finding.score),
        "p_value": plain(finding.p_value),
        "origin": finding.origin,
        "record": {str(k): plain(v) for k, v in finding.record.items()},
        "reasons": reasons,
    }
