"""The demonstration: the whole main job on the bundled captures."""

import json

import pytest

from inoculate.errors import NotFoundError
from inoculate.workflows.demo import _CAPTURES as CAPTURES
from inoculate.workflows.demo import DemoRequest, attacks, demo, label_flows


def test_the_default_attack_is_found_near_the_promise(tmp_path):
    result = demo(DemoRequest(out=tmp_path))
    truth = result.scan.truth
    assert truth["attack flows"] >= 30
    assert truth["recall"] > 0.9
    assert truth["false-alarm rate"] < 0.02
    findings = [json.loads(line) for line in (tmp_path / "findings.jsonl").read_text().splitlines()]
    assert len(findings) == result.scan.n_findings
    page = (tmp_path / "report.html").read_text()
    assert page.startswith("<!doctype html>")


def test_the_truth_labels_every_attack_and_mostly_benign_flows():
    labels = label_flows(str(CAPTURES / "office.pcap.gz"))["truth"]
    counts = dict(labels.value_counts().iter_rows())
    assert set(counts) == {*attacks(), "benign"}
    assert counts["benign"] > 0.7 * len(labels)
    truth = json.loads((CAPTURES / "truth.json").read_text())
    expected = {e["attack"]: e["flows"] for e in truth if e["capture"] == "office.pcap.gz"}
    assert {name: counts[name] for name in expected} == expected


def test_an_unknown_attack_says_which_there_are(tmp_path):
    with pytest.raises(NotFoundError, match="slow_http"):
        demo(DemoRequest(attack="worm", out=tmp_path))
