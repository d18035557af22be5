"""Counts findings by threat, and the files they were found in."""

import re
from collections import Counter
from collections.abc import Sequence

from inoculate.finding import Family, Finding

_PLACE = re.compile(r"(?::\d+(?:@\d+)?|[#@]\d+)$")


class Families:
    """The findings of a scan by threat, in memory that does not grow with them.

    Files are read one after another, so a file is counted where a threat's findings change to it.
    """

    def __init__(self) -> None:
        self._findings: Counter[str] = Counter()
        self._files: Counter[str] = Counter()
        self._latest: dict[str, str] = {}

    def add(self, findings: Sequence[Finding], *, whole_files: bool) -> None:
        """Count findings, in the order of reading.

        Args:
            findings: some, of one format.
            whole_files: True where an origin is a file, not a place in one.
        """
        for finding in findings:
            file = finding.origin if whole_files else _PLACE.sub("", finding.origin)
            self._findings[finding.threat] += 1
            if self._latest.get(finding.threat) != file:
                self._latest[finding.threat] = file
                self._files[finding.threat] += 1

    def ranked(self) -> tuple[Family, ...]:
        """Return each threat that was found, the most findings first."""
        ranked = sorted(self._findings.items(), key=lambda item: (-item[1], item[0]))
        return tuple(Family(threat, n, self._files[threat]) for threat, n in ranked)
