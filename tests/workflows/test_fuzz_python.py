"""Fuzzing Python from end to end: a small package with planted bugs."""

import pytest

from inoculate.errors import InputError
from inoculate.fuzzing.triage import folders, read_finding
from inoculate.workflows.fuzz import fuzz
from inoculate.workflows.fuzz_report import report_of
from inoculate.workflows.fuzz_request import FuzzRequest
from tests.workflows.parsers import package

pytest.importorskip("atheris", reason="atheris has no wheel for this platform; the extra fuzz")


@pytest.fixture
def request_(tmp_path):
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "note").write_bytes(b"n: 1\na: b,c\nkey: value\n")
    return FuzzRequest(
        out=tmp_path / "out",
        python="notes.loads",
        path=(str(package(tmp_path / "code")),),
        seeds=(tmp_path / "seeds",),
        seconds=20.0,
        timeout_s=0.3,
    )


def until(n, out):
    return lambda: sum(1 for _ in folders(out / "findings")) >= n


def test_a_planted_error_is_found_replayed_made_small_and_placed(request_):
    fuzz(request_, stop=until(1, request_.out))
    found = {read_finding(p)["kind"]: p for p in folders(request_.out / "findings")}
    about = read_finding(found["IndexError"])
    assert (about["cwe"], about["function"], about["replayed"]) == (129, "loads", 3)
    assert (found["IndexError"] / "input").read_bytes() == b"a:"
    assert "ValueError" not in found and "NoteError" not in found
    (finding,) = [f for f in report_of(request_.out).findings if f.threat == "cwe-129"]
    assert finding.origin.endswith("notes/__init__.py:18")
    assert finding.record["language"] == "python"


def test_what_was_named_as_expected_is_no_finding(request_):
    from dataclasses import replace

    asked = replace(request_, expected=("IndexError",), executions=600)
    fuzz(asked)
    assert "IndexError" not in {read_finding(p)["kind"] for p in folders(request_.out / "findings")}


def test_a_function_that_is_not_there_is_told_in_one_line(request_):
    from dataclasses import replace

    with pytest.raises(InputError, match="no such function"):
        fuzz(replace(request_, python="notes.nothing"))
    assert not request_.out.exists()
