"""Reports for the renderers' tests: usual, empty, large and hostile."""

from inoculate.finding import Finding, Reason, Report, ScoreHistogram

HOSTILE = (
    "<script>alert(1)</script>\x1b[31mred\x1b]0;title\x07\x9b2J [bold]x[/bold] \u202e&\"'\udcff"
)
FLOW = {
    "orig_h": "10.0.0.5",
    "orig_p": 50022,
    "resp_h": "10.0.0.9",
    "resp_p": 1883,
    "proto": "tcp",
}
START = 1767225600.0  # 2026-01-01 00:00:00 UTC


def reason(text="bytes sent 1.2 MB: above 99.8 % of background", column="orig_bytes", weight=0.5):
    return Reason(column, 1.2e6, "byte", 0.998, weight, text)


def finding(i=0, **changes):
    fields = {
        "finding_id": f"f{i:05d}",
        "origin": f"traffic.pcap#{i + 1}",
        "threat": "slowite",
        "score": 0.9 + i * 1e-6,
        "p_value": 0.0004,
        "ts": START + i,
        "record": dict(FLOW),
        "reasons": (reason(),),
    }
    return Finding(**{**fields, **changes})


def report(findings=(), **changes):
    findings = tuple(findings)
    fields = {
        "detector": "slowite.detector",
        "threats": ("slowite",),
        "false_alarms": 0.001,
        "threshold": 0.9,
        "sources": (("traffic.pcap", 12345),),
        "n_records": 12345,
        "n_findings": len(findings),
        "findings": findings,
        "seconds": 2.0,
        "histogram": ScoreHistogram((0.0, 0.5, 1.0), (12000, 345), (199, 1)),
        "unit": "flow",
    }
    return Report(**{**fields, **changes})


def hostile_finding():
    return finding(
        origin=HOSTILE,
        finding_id=HOSTILE,
        threat=HOSTILE,
        ts=float("nan"),
        record={**FLOW, "orig_h": HOSTILE, "proto": "=cmd()", "user": "=HYPERLINK(1)"},
        reasons=(reason("=cmd()|' /C calc'!A0", HOSTILE), reason(HOSTILE)),
    )


def hostile_report():
    return report(
        [hostile_finding()],
        detector=HOSTILE,
        threats=(HOSTILE,),
        sources=((HOSTILE, 1),),
        skipped={HOSTILE: 2},
        notes=(HOSTILE,),
        truth={HOSTILE: 1.0},
        unit=HOSTILE,
    )


def assert_safe_for_a_terminal(text):
    """No control character but the line feed, nothing that turns the direction of text."""
    bad = [c for c in text if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160]
    assert not bad
    assert not set(text) & set("\u202e\u2066\u200b\udcff")
    text.encode()
