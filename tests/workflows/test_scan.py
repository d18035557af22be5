"""Scanning: findings, promises, and everything that can be wrong with a source."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from inoculate.errors import ArtifactError, InputError, RecordError
from inoculate.workflows.adapt import AdaptRequest, adapt
from inoculate.workflows.demo import _CAPTURES
from inoculate.workflows.scan import ScanRequest, scan
from tests.workflows.conftest import ZEEK_HEADER, rows, write, zeek_lines


def test_the_threat_is_found_and_reasons_name_its_columns(table, detector):
    seen = []
    outcome = scan(
        ScanRequest(sources=(table["mixed"],), detector=detector, false_alarms=0.01),
        sink=seen.extend,
    )
    report = outcome.report
    lines = {int(f.origin.rpartition(":")[2]) for f in report.findings}
    assert len(lines & set(range(202, 242))) == 40  # the threats are the last 40 lines
    assert len(lines - set(range(202, 242))) <= 8
    assert list(report.findings) == seen
    assert report.n_records == 240
    strongest = report.findings[-1]
    assert strongest.threat == "steal"
    assert strongest.p_value <= 0.01
    assert strongest.reasons[0].column in {"size", "rate"}
    assert sum(report.histogram.scanned) == 240


def test_finding_ids_are_stable_and_distinct(table, detector):
    request = ScanRequest(sources=(table["mixed"],), detector=detector, false_alarms=0.01)
    first, second = (scan(request).report.findings for _ in range(2))
    assert [f.finding_id for f in first] == [f.finding_id for f in second]
    assert len({f.finding_id for f in first}) == len(first)


def test_a_missing_source_does_not_stop_the_others(table, detector):
    outcome = scan(
        ScanRequest(sources=("nowhere.csv", table["mixed"]), detector=detector, false_alarms=0.01)
    )
    assert outcome.report.n_records == 240
    assert outcome.report.n_findings >= 40
    (error,) = outcome.errors
    assert "nowhere.csv" in str(error)
    assert isinstance(error, InputError)


def test_what_was_found_before_a_cut_is_kept_and_the_cut_is_said(table, detector, tmp_path):
    text = Path(table["mixed"]).read_bytes()
    packed = gzip.compress(text)
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(packed[: len(packed) - 30])
    outcome = scan(ScanRequest(sources=(str(cut),), detector=detector, false_alarms=0.01))
    assert not outcome.errors
    assert 0 < outcome.report.n_records < 240
    assert any("cut.csv.gz" in note and "used" in note for note in outcome.report.notes)


def test_a_bad_record_stops_its_source_and_names_its_line(table, detector, tmp_path):
    lines = Path(table["mixed"]).read_text().splitlines(keepends=True)
    lines[150] = "abc,1.0,curl,fine\n"
    bad = tmp_path / "bad.csv"
    bad.write_text("".join(lines))
    request = ScanRequest(sources=(str(bad),), detector=detector, false_alarms=0.01)
    (error,) = scan(request).errors
    assert isinstance(error, RecordError)
    assert error.origin.endswith("bad.csv:151")
    skipping = ScanRequest(
        sources=(str(bad),), detector=detector, false_alarms=0.01, skip_bad_records=True
    )
    outcome = scan(skipping)
    assert not outcome.errors
    assert sum(outcome.report.skipped.values()) == 1
    assert outcome.report.n_records == 239


def test_ctrl_c_ends_with_what_was_found_so_far(table, detector):
    def interrupt(_):
        raise KeyboardInterrupt

    outcome = scan(
        ScanRequest(sources=(table["mixed"], table["mixed"]), detector=detector, false_alarms=0.01),
        progress=interrupt,
    )
    assert outcome.interrupted
    assert outcome.report.n_records == 240
    assert outcome.report.n_findings >= 40
    assert any("stopped by the user" in note for note in outcome.report.notes)


def test_without_a_detector_the_strange_record_is_found(table):
    lines = Path(table["background"]).read_text().splitlines(keepends=True)
    lines.insert(200, "5000,90,curl,fine\n")
    path = table["folder"] / "odd.csv"
    path.write_text("".join(lines))
    report = scan(ScanRequest(sources=(str(path),), false_alarms=0.01)).report
    assert f"{path}:201" in {f.origin for f in report.findings}
    assert all(f.threat == "novelty" for f in report.findings)
    assert report.n_findings <= 6


def test_without_a_detector_a_record_in_the_sample_is_not_compared_with_itself(table):
    """Two strange records that are copies of each other may hide; one alone may not."""
    path = table["folder"] / "only.csv"
    lines = Path(table["background"]).read_text().splitlines(keepends=True)[:40]
    path.write_text("".join([*lines, "5000,90,curl,fine\n"]))
    report = scan(ScanRequest(sources=(str(path),), false_alarms=0.05)).report
    assert report.findings[0].origin == f"{path}:41"
    assert report.findings[0].p_value == pytest.approx(2 / 41)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sources": ()}, "nothing to scan"),
        ({"false_alarms": 1.5}, "--false-alarms is 1.5"),
        ({"sources": ("-",), "detector": None}, "reads twice"),
    ],
)
def test_what_no_scan_can_do_is_refused(table, detector, changes, words):
    arguments = {"sources": (table["mixed"],), "detector": detector} | changes
    with pytest.raises(InputError, match=words):
        scan(ScanRequest(**arguments))


def test_a_detector_with_a_changed_byte_is_refused(table, detector):
    arrays = detector / "arrays.safetensors"
    content = bytearray(arrays.read_bytes())
    content[-1] ^= 1
    arrays.write_bytes(bytes(content))
    with pytest.raises(ArtifactError, match=r"arrays\.safetensors"):
        scan(ScanRequest(sources=(table["mixed"],), detector=detector))


def test_a_format_that_knows_less_than_the_background_is_said(tmp_path):
    """A detector adapted on packets scans a Zeek log, and says what it cannot see there."""
    out = tmp_path / "slow.detector"
    adapt(
        AdaptRequest(
            examples=(str(_CAPTURES / "slow_http.pcap.gz"),),
            background=(str(_CAPTURES / "background.pcap.gz"),),
            out=out,
            shots=5,
        )
    )
    log = write(
        tmp_path / "conn.log", zeek_lines(np.random.default_rng(0), 50, threat=False), ZEEK_HEADER
    )
    report = scan(ScanRequest(sources=(log,), detector=out)).report
    assert report.n_records == 50
    (note,) = [n for n in report.notes if "ZeekConn" in n]
    assert "columns that the detector looks at are unknown" in note


def test_a_source_of_the_background_s_own_format_gets_no_such_note(table, detector):
    report = scan(ScanRequest(sources=(table["mixed"],), detector=detector)).report
    assert not any("unknown" in note for note in report.notes)


def test_a_scan_of_changed_records_suggests_to_adapt_again_and_one_of_the_same_does_not(
    table, detector
):
    """What did not alarm is compared: here one of two tools is gone."""
    rng = np.random.default_rng(4)
    same = rows(rng, 500, threat=False)
    other = [line.replace("wget", "curl") for line in same]
    told = {}
    for name, lines in (("same.csv", same), ("other.csv", other)):
        path = write(table["folder"] / name, lines)
        report = scan(ScanRequest(sources=(path,), detector=detector, false_alarms=0.01)).report
        told[name] = [n for n in report.notes if "consider adapting again" in n]
    assert told["same.csv"] == []
    (note,) = told["other.csv"]
    assert note.startswith("today's rows differ from the background in tool is ")
