"""Suricata: rules for HTTP requests on the wire.

Format: https://docs.suricata.io, version 7. Validated by ``suricata -T``, and replayed with
``suricata -r`` on a capture made of the requests. What ``http.uri`` holds is decoded once and
normalised by Suricata; ``http.uri.raw`` and ``http.request_body`` are as sent.

For flows no rule is made: of Suricata 7 only ``flow.age`` and ``stream_size`` tell anything of a
flow as a whole, both are asked at each packet and only grow, so that they cannot say that a flow
is short or small, and each packet beyond would alarm.
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from inoculate.domain import Fact
from inoculate.errors import MissingExtraError
from inoculate.features.spans import spans
from inoculate.rule import BoolArray, Described, Replay, Rule, RuleLanguage, Term
from inoculate.rules._fields import fields_hold
from inoculate.rules._http_capture import capture_of, client, request_of
from inoculate.rules._tool import found, run

_BUFFERS = {
    "method": "http.method",
    "uri": "http.uri",
    "target": "http.uri.raw",
    "agent": "http.user_agent",
    "body": "http.request_body",
}
_ALWAYS = ("method", "uri", "target")
_SPECIAL = frozenset('";:\\|')
_LOCAL_SIDS = 1_000_000
_TEST_S, _REPLAY_S = 60.0, 300.0
_FLOWS = (
    "Suricata 7 tells nothing of a whole flow but its age and stream size, which only grow; they "
    "cannot say that a flow is short or small"
)
_CONFIG = """%YAML 1.1
---
outputs:
- eve-log:
    enabled: yes
    filetype: regular
    filename: eve.json
    types:
    - alert
app-layer:
  protocols:
    http:
      enabled: yes
      libhtp:
        default-config:
          personality: IDS
          request-body-limit: 100kb
          request-body-minimal-inspect-size: 32kb
          request-body-inspect-window: 4kb
          response-body-limit: 1kb
stream:
  checksum-validation: no
  reassembly:
    depth: 2mb
"""


class Suricata(RuleLanguage):
    """Suricata rules for HTTP requests."""

    kinds: ClassVar[frozenset[str]] = frozenset(("http_request",))
    suffix: ClassVar[str] = ".rules"
    untellable: ClassVar[Mapping[str, str]] = {"flow": _FLOWS}

    def conditions(self, record: Described) -> Sequence[Fact]:
        """Return the method, and what target, body and agent contain."""
        found: dict[Fact, None] = {}
        for fact in record.facts:
            if fact.kind == "method" and fact.value.isalpha():
                found[Fact("is:method", fact.value.lower())] = None
            elif fact.kind in _BUFFERS:
                pieces = (Fact(f"has:{fact.kind}", piece) for piece in spans(fact.value))
                found |= dict.fromkeys(pieces)
        return list(found)

    def negates(self, condition: Fact) -> bool:
        """Return whether the buffer is always there: in one that is not, nothing is absent."""
        return condition.kind.partition(":")[2] in _ALWAYS

    def holds(self, conditions: Sequence[Fact], records: Sequence[Described]) -> BoolArray:
        """Return whether buffers contain the texts, without regard to case."""
        return fields_hold(conditions, records, start="")

    def write(self, rule: Rule) -> str:
        """Return a line for each clause, and provenance as comments."""
        lines = [f"# {note}" for note in (*rule.notes, "status: experimental")]
        return "\n".join([*lines, *(_line(rule, clause) for clause in rule.clauses)]) + "\n"

    def replay(self, text: str, rule: Rule, records: Sequence[Described]) -> Replay:
        """Validate the rule, then read a capture of the requests with it.

        Raises:
            InputError: Suricata refuses the rule.
            MissingExtraError: Suricata is not installed.
        """
        program = found("suricata")
        if program is None:
            raise MissingExtraError("suricata is not on the PATH; it validates its rules")
        with tempfile.TemporaryDirectory(prefix="inoculate-") as name:
            folder = Path(name)
            (folder / "suricata.yaml").write_text(_CONFIG)
            (folder / "made.rules").write_text(text)
            (folder / "requests.pcap").write_bytes(capture_of([_request(r) for r in records]))
            usual = [program, "-c", "suricata.yaml", "-S", "made.rules", "-l", "."]
            run([*usual, "-T"], folder, seconds=_TEST_S)
            options = ["-r", "requests.pcap", "--runmode", "single", "-k", "none"]
            run([*usual, *options], folder, seconds=_REPLAY_S)
            alarmed = _alarmed(folder / "eve.json")
            version = run([program, "-V"], folder, seconds=_TEST_S).split()
        matched = np.array([client(i) in alarmed for i in range(len(records))], bool)
        return Replay(matched, f"Suricata {next((w for w in version if w[0].isdigit()), '')}")


def _request(record: Described) -> bytes:
    parts = {f.kind: f.value for f in record.facts}
    return request_of(
        parts.get("method", "GET"),
        parts.get("target", "/"),
        parts.get("body", ""),
        parts.get("agent", ""),
    )


def _alarmed(log: Path) -> set[str]:
    """Return the addresses that alerts are about."""
    if not log.exists():
        return set()
    with log.open(encoding="utf-8", errors="replace") as lines:
        events = (json.loads(line) for line in lines)
        return {e["src_ip"] for e in events if e.get("event_type") == "alert"}


def _line(rule: Rule, clause: Sequence[Term]) -> str:
    by_buffer: dict[str, list[str]] = {}
    for term in clause:
        part = term.condition.kind.partition(":")[2]
        content = f'content:{"" if term.holds else "!"}"{_content(part, term.condition.value)}"'
        by_buffer.setdefault(part, []).append(
            f"{content};" if part == "method" else f"{content}; nocase;"
        )
    order = [part for part in _BUFFERS if part in by_buffer]
    tests = " ".join(f"{_BUFFERS[part]}; {' '.join(by_buffer[part])}" for part in order)
    sid = int(hashlib.sha256(tests.encode()).hexdigest()[:8], 16) % 1_000_000
    message = "".join(c if c.isalnum() and c.isascii() else " " for c in rule.threat)
    return (
        f'alert http any any -> any any (msg:"inoculate {message.strip()}"; '
        f"flow:established,to_server; {tests} "
        f"metadata:status experimental, made_by inoculate; sid:{_LOCAL_SIDS + sid}; rev:1;)"
    )


def _content(part: str, value: str) -> str:
    """Return a text for ``content``, what has a meaning there as bytes."""
    text = value.upper() if part == "method" else value
    return "".join(f"|{ord(c):02X}|" if c in _SPECIAL else c for c in text)
