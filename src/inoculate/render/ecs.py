"""Elastic Common Schema: one alert document a line, for a SIEM's intake."""

import contextlib
import ipaddress
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from inoculate import __version__
from inoculate.finding import NOVELTY, SCHEMA_VERSION, Finding, Renderer, Report
from inoculate.render._text import clean, moment, plain, who

ECS_VERSION = "8.11.0"
_TRANSPORTS = {"icmp6": "ipv6-icmp", "icmpv6": "ipv6-icmp"}


def _now() -> datetime:
    return datetime.now(UTC)


class Ecs(Renderer):
    """One ECS document a line (NDJSON, ASCII only).

    ``rule.name`` is the threat, ``event.risk_score_norm`` is 100 (1 - p), ``event.reason``
    holds the reasons. Fields of type ip and port are left out where the value is neither,
    since one bad value would make the intake refuse the document; ``address`` keeps it. What
    ECS has no field for is under ``inoculate``. A finding without a time gets that of writing.

    Args:
        now: gives the time of writing.

    References:
        Elastic Common Schema 8.11: "Event", "Rule", "Threat", "Source", "Network" fields and
        "Categorization fields" (an intrusion_detection event is of type info).
    """

    streams: ClassVar[bool] = True
    suffix: ClassVar[str] = ".ndjson"

    def __init__(self, *, now: Callable[[], datetime] = _now) -> None:
        self.now = now

    def rows(self, findings: Sequence[Finding]) -> str:
        """Return a document for each finding."""
        lines = (json.dumps(self._document(f), allow_nan=False) for f in findings)
        return "".join(line + "\n" for line in lines)

    def end(self, report: Report) -> str:
        """Return nothing: every finding was written."""
        return ""

    def _document(self, finding: Finding) -> dict[str, Any]:
        record = {str(k): plain(v) for k, v in finding.record.items()}
        source = _endpoint(record.pop("orig_h", None), record.pop("orig_p", None))
        destination = _endpoint(record.pop("resp_h", None), record.pop("resp_p", None))
        network = _network(record.pop("proto", None), source, destination)
        document = {
            "@timestamp": _iso(moment(finding.ts) or self.now()),
            "ecs": {"version": ECS_VERSION},
            "message": clean(f"{finding.threat}: {who(finding.record)}", 500),
            "event": _event(finding, is_network=bool(source or destination)),
            "rule": {"name": clean(finding.threat), "ruleset": "inoculate"},
            "observer": {"product": "inoculate", "type": "ids", "version": __version__},
            "source": source,
            "destination": destination,
            "network": network,
            "related": {"ip": [e["ip"] for e in (source, destination) if "ip" in e]},
            "threat": _threat(finding),
            "inoculate": _own(finding, record),
        }
        return {k: v for k, v in document.items() if v and v != {"ip": []}}


def _event(finding: Finding, *, is_network: bool) -> dict[str, Any]:
    event = {
        "kind": "alert",
        "category": ["intrusion_detection", *(["network"] if is_network else [])],
        "type": ["info"],
        "module": "inoculate",
        "dataset": "inoculate.finding",
        "id": clean(finding.finding_id),
        "risk_score": plain(finding.score),
        "risk_score_norm": round(100 * (1 - min(max(finding.p_value, 0.0), 1.0)), 4),
    }
    if finding.reasons:
        event["reason"] = clean("; ".join(r.text for r in finding.reasons), 2000)
    return event


def _threat(finding: Finding) -> dict[str, Any]:
    if finding.threat == NOVELTY:
        return {}
    return {"indicator": {"description": clean(finding.threat), "provider": "inoculate"}}


def _own(finding: Finding, record: dict[str, Any]) -> dict[str, Any]:
    own: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "origin": clean(finding.origin, 1000),
        "p_value": plain(finding.p_value),
        "reasons": [
            {"column": clean(r.column), "value": plain(r.value), "weight": plain(r.weight)}
            for r in finding.reasons
        ],
    }
    if record:
        # text, because a field must have one type in all documents of an index
        own["record"] = {clean(k): clean(v, 1000) for k, v in record.items() if v is not None}
    return own


def _endpoint(host: Any, port: Any) -> dict[str, Any]:
    end: dict[str, Any] = {}
    if host is not None:
        end["address"] = clean(host)
        with contextlib.suppress(ValueError):  # a name; ``address`` says it
            end["ip"] = str(ipaddress.ip_address(str(host)))
    if isinstance(port, (int, float)) and 0 <= port <= 65535:
        end["port"] = int(port)
    return end


def _network(proto: Any, *ends: dict[str, Any]) -> dict[str, Any]:
    network: dict[str, Any] = {}
    if proto is not None:
        name = clean(proto, 40).lower()
        network["transport"] = _TRANSPORTS.get(name, name)
    ips = [e["ip"] for e in ends if "ip" in e]
    if ips:
        network["type"] = "ipv6" if ":" in ips[0] else "ipv4"
    return network


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
