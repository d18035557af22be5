"""Fuzzing from end to end: small programs with planted bugs."""

import shutil

import pytest

from inoculate.fuzzing.triage import folders, read_finding
from inoculate.workflows.fuzz import fuzz
from inoculate.workflows.fuzz_report import report_of
from inoculate.workflows.fuzz_request import FuzzRequest
from tests.workflows.parsers import ADDRESS, build


@pytest.fixture(scope="module")
def parser(tmp_path_factory):
    return build(tmp_path_factory.mktemp("parser"), "parser", env=ADDRESS)


@pytest.fixture
def request_(parser, tmp_path):
    if shutil.which("afl-fuzz") is None:
        pytest.skip("afl-fuzz is not installed; .ci/run installs it from Debian's afl++")
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "note").write_bytes(b"Na!bcd")
    (tmp_path / "seeds" / "rate").write_bytes(b"Rabc")
    return FuzzRequest(
        out=tmp_path / "out",
        target=parser,
        arguments=("@@",),
        seeds=(tmp_path / "seeds",),
        seconds=20.0,
        timeout_s=0.5,
    )


def until(n, out):
    """Return what stops a run once it has so many findings."""
    return lambda: sum(1 for _ in folders(out / "findings")) >= n


def test_a_planted_overflow_is_found_replayed_made_small_and_placed(request_, parser):
    fuzz(request_, stop=until(2, request_.out))
    found = {read_finding(p)["kind"]: p for p in folders(request_.out / "findings")}
    assert "heap-buffer-overflow" in found
    about = read_finding(found["heap-buffer-overflow"])
    assert (about["cwe"], about["function"], about["replayed"]) == (122, "name", 3)
    source = parser.with_name("parser.c").read_text().splitlines()
    assert "memcpy" in source[about["line"] - 1]
    short = (found["heap-buffer-overflow"] / "input").read_bytes()
    assert short[:1] == b"N" and short[2:3] == b"!" and len(short) == 9
    report = report_of(request_.out)
    assert "cwe-122" in {f.threat for f in report.findings}
    assert report.n_records > 0
