"""Baselines: what is known is not reported, what is new is, and bad files are one line."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from inoculate.errors import InputError
from inoculate.reading.origins import Root
from inoculate.workflows import baseline as module
from inoculate.workflows.baseline import Baseline, Known, read_baseline
from inoculate.workflows.scan import ScanRequest, scan
from tests.render.samples import HOSTILE, finding

ROOT = Root(Path("/work/shop"), Path("/work/shop"))


def alike(line, **changes):
    return finding(
        line, **{"origin": f"a.py:{line}", "record": {"function": "f"}, "ts": None} | changes
    )


def written(path, findings):
    made = Baseline(None, path, ROOT)
    made.new(findings)
    made.write("cwe-89.detector")
    return path


def again(path):
    return Baseline(read_baseline(path), None, ROOT)


def test_known_findings_are_kept_back_wherever_their_lines_moved(tmp_path):
    known = again(written(tmp_path / "b.json", [alike(10), finding(1)]))
    assert known.new([alike(77), finding(1)]) == []
    assert known.n_hidden == 2


def test_of_findings_that_are_alike_more_than_were_known_are_new(tmp_path):
    known = again(written(tmp_path / "b.json", [alike(10), alike(20)]))
    assert known.new([alike(11)]) == []
    assert known.new([alike(21), alike(31)]) == [alike(31)]


def test_another_threat_or_file_is_new(tmp_path):
    known = again(written(tmp_path / "b.json", [alike(10)]))
    others = [alike(10, threat="cwe-78"), alike(10, origin="b.py:10")]
    assert known.new(others) == others


def test_the_file_is_sorted_one_finding_a_line_and_the_same_in_any_order(tmp_path):
    found = [finding(i) for i in range(5)] + [alike(3), alike(4)]
    one = written(tmp_path / "1.json", found).read_text()
    other = written(tmp_path / "2.json", found[::-1]).read_text()
    assert one == other
    assert len(one.splitlines()) == 6 + 2
    assert sum(e["n"] for e in json.loads(one)["findings"]) == 7
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["1.json", "2.json"]


def test_hostile_findings_make_a_baseline_that_can_be_read(tmp_path):
    odd = finding(threat=HOSTILE, origin=HOSTILE, record={"x": HOSTILE}, ts=float("nan"))
    path = written(tmp_path / "b.json", [odd])
    assert path.read_bytes().isascii()
    assert again(path).new([replace(odd, score=0.1)]) == []


def test_notes_say_what_is_hidden_gone_and_of_another_detector(tmp_path):
    path = written(tmp_path / "b.json", [finding(1), finding(2), finding(3)])
    known = again(path)
    known.new([finding(2)])
    assert list(known.notes("other", whole=True)) == [
        f"baseline {path} was written with detector cwe-89.detector, this is other",
        f"known from baseline {path} and not shown: 1 finding",
        f"in baseline {path} but not found any more: 2 findings; --write-baseline drops them",
    ]
    assert len(list(known.notes("cwe-89.detector", whole=False))) == 1
    assert list(Baseline(None, None, ROOT).notes("x", whole=True)) == []


def test_reading_twice_from_one_known_does_not_use_it_up():
    known = Known(Path("b.json"), "d", Counter({"x": 1}))
    Baseline(known, None, ROOT).new([finding()])
    assert known.counts == Counter({"x": 1})


GOOD = {"format": "inoculate-baseline", "version": 1, "detector": "d", "findings": []}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "no baseline"),
        (b'{"version": 1}', "no baseline"),
        (json.dumps(GOOD | {"version": 2}).encode(), "a baseline of version 2; this reads 1"),
        (json.dumps(GOOD | {"version": "9" * 999}).encode(), "of version 9999999"),
        (json.dumps(GOOD | {"findings": {}}).encode(), "without its findings"),
        (json.dumps(GOOD | {"detector": 1}).encode(), "without its findings or its detector"),
        (json.dumps(GOOD | {"findings": [7]}).encode(), "finding 1 has no fingerprint"),
        (json.dumps(GOOD | {"findings": [{"fingerprint": "x"}]}).encode(), "finding 1 has no"),
        (
            json.dumps(GOOD | {"findings": [{"fingerprint": "x", "n": True}]}).encode(),
            "finding 1 has no",
        ),
        (
            json.dumps(GOOD | {"findings": [{"fingerprint": "x", "n": -1}]}).encode(),
            "finding 1 has no",
        ),
    ],
)
def test_a_bad_baseline_is_one_clear_line(tmp_path, content, words):
    path = tmp_path / "b.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_baseline(path)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_a_baseline_that_is_not_there_or_too_large_is_said(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no such baseline; --write-baseline makes one"):
        read_baseline(tmp_path / "b.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_baseline(tmp_path)
    monkeypatch.setattr(module, "_MOST_BYTES", 10)
    path = written(tmp_path / "b.json", [finding()])
    with pytest.raises(InputError, match="too large for a baseline"):
        read_baseline(path)


def test_a_target_that_cannot_be_written_is_refused_at_once(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        Baseline(None, tmp_path, ROOT)
    with pytest.raises(InputError, match="there is no folder"):
        Baseline(None, tmp_path / "no" / "b.json", ROOT)


def test_more_findings_than_a_baseline_holds_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    made = Baseline(None, tmp_path / "b.json", ROOT)
    with pytest.raises(InputError, match="too many for a baseline"):
        made.new([finding(i) for i in range(3)])


def test_a_scan_with_the_baseline_of_a_scan_finds_nothing_and_one_line_more_is_found(
    table, detector
):
    known = table["folder"] / "known.json"
    usual = ScanRequest(sources=(table["mixed"],), detector=detector, false_alarms=0.01)
    first = scan(replace(usual, write_baseline=known))
    assert first.n_failing == first.report.n_findings >= 40
    assert first.report.n_baseline == 0
    quiet = scan(replace(usual, baseline=known))
    assert (quiet.report.n_findings, quiet.report.findings, quiet.n_failing) == (0, (), 0)
    assert quiet.report.n_baseline == first.report.n_findings
    lines = Path(table["mixed"]).read_text().splitlines(keepends=True)
    lines[50:50] = ["901.12,1.011,curl,steal\n"]
    Path(table["mixed"]).write_text("".join(lines))
    moved = scan(replace(usual, baseline=known, write_baseline=known))
    assert [f.origin for f in moved.report.findings] == [f"{table['mixed']}:51"]
    assert scan(replace(usual, baseline=known)).report.n_findings == 0


def test_a_baseline_is_not_written_where_not_everything_was_read(table, detector):
    known = table["folder"] / "known.json"
    known.write_text("as it was")
    outcome = scan(
        ScanRequest(
            sources=(table["mixed"], "nowhere.csv"), detector=detector, write_baseline=known
        )
    )
    assert known.read_text() == "as it was"
    assert f"{known} was not written: not everything was read" in outcome.report.notes
    assert "nowhere.csv" in outcome.report.errors[0]


def test_findings_fail_a_scan_only_at_the_rate_that_was_asked_for(table, detector):
    usual = ScanRequest(sources=(table["mixed"],), detector=detector, false_alarms=0.05)
    every = scan(usual)
    at_most = [f.p_value for f in every.report.findings if f.p_value <= 0.005]
    few = scan(replace(usual, fail_on=0.005))
    assert few.n_failing == len(at_most)
    assert 0 < few.n_failing < every.n_failing == every.report.n_findings


def test_a_rate_to_fail_on_that_the_background_is_too_small_for_is_said(table, detector):
    usual = ScanRequest(sources=(table["mixed"],), detector=detector, false_alarms=0.01)
    outcome = scan(replace(usual, fail_on=0.0001))
    assert outcome.n_failing > 0
    (note,) = [n for n in outcome.report.notes if n.startswith("--fail-on: ")]
    assert "the nearest promise that holds" in note


@pytest.mark.parametrize("rate", [0.0, -1.0, 0.02, float("nan")])
def test_a_rate_to_fail_on_at_which_nothing_is_reported_is_refused(table, detector, rate):
    request = ScanRequest(
        sources=(table["mixed"],), detector=detector, false_alarms=0.01, fail_on=rate
    )
    with pytest.raises(InputError, match="--fail-on is"):
        scan(request)
