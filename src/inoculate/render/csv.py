"""CSV for spreadsheets: one finding a row, as it comes."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from inoculate.finding import Finding, Renderer, Report
from inoculate.render._text import clean, plain, when

_HOSTS = ("orig_h", "orig_p", "resp_h", "resp_p", "proto")
_HEADER = (
    "time_utc", "threat", "score", "p_value", *_HOSTS, "record", "reasons", "origin",
    "ts", "finding_id",
)  # fmt: skip
# what spreadsheets take for the beginning of a formula, full-width forms included
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


class Csv(Renderer):
    """RFC 4180 with a header and line feeds; always the same columns.

    Hosts and ports have columns of their own; other identity columns are in ``record`` as
    JSON; reasons are joined by ``; ``. Text that a spreadsheet would run as a formula gets an
    apostrophe before it; control characters are removed.

    References:
        RFC 4180, section 2. OWASP, "CSV Injection".
    """

    streams: ClassVar[bool] = True
    suffix: ClassVar[str] = ".csv"

    def begin(self) -> str:
        """Return the header."""
        return _csv([_HEADER])

    def rows(self, findings: Sequence[Finding]) -> str:
        """Return a row for each finding."""
        return _csv(_row(f) for f in findings)

    def end(self, report: Report) -> str:
        """Return nothing: every finding was written."""
        return ""


def _row(finding: Finding) -> list[Any]:
    record = {str(k): plain(v) for k, v in finding.record.items()}
    hosts = [record.pop(name, None) for name in _HOSTS]
    cells = [
        when(finding.ts),
        finding.threat,
        finding.score,
        finding.p_value,
        *hosts,
        json.dumps(record, ensure_ascii=False) if record else "",
        "; ".join(r.text for r in finding.reasons),
        finding.origin,
        finding.ts,
        finding.finding_id,
    ]
    return [_cell(c) for c in cells]


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        text = clean(value, 2000)
        return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
    return "" if plain(value) is None else plain(value)


def _csv(rows: Iterable[Iterable[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
