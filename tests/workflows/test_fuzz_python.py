"""Fuzzing Python from end to end: a small package with planted bugs."""

import time
from dataclasses import replace

import pytest

from inoculate.errors import InputError
from inoculate.fuzzing.endings.triage import folders, read_finding
from inoculate.fuzzing.running.journal import Journal
from inoculate.workflows.fuzz import fuzz, resume
from inoculate.workflows.fuzz_report import report_of
from inoculate.workflows.fuzz_request import JOURNAL, FuzzRequest
from inoculate.workflows.fuzz_seeds import name_of
from tests.workflows.fuzz_kills import killed, left_behind, passes
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
        seconds=300.0,
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
    asked = replace(request_, expected=("IndexError",), executions=600)
    fuzz(asked)
    assert "IndexError" not in {read_finding(p)["kind"] for p in folders(request_.out / "findings")}


def test_what_ended_badly_is_no_seed(request_):
    out = request_.out
    fuzz(replace(request_, executions=3000))
    bad = {name_of(p.read_bytes()) for p in (out / "crashes").iterdir()}
    assert bad and not bad & {p.name for p in (out / "corpus").iterdir()}
    assert not bad & set(Journal.read(out / JOURNAL).attributes)


def test_a_run_goes_on_where_it_was(request_):
    fuzz(replace(request_, executions=400, expected=("IndexError",)))
    before = Journal.read(request_.out / JOURNAL)
    corpus = {p.name for p in (request_.out / "corpus").iterdir()}
    resume(request_.out, seconds=before.seconds + 2.0)
    after = Journal.read(request_.out / JOURNAL)
    assert after.starts == 2 and after.seconds > before.seconds
    assert corpus and corpus <= {p.name for p in (request_.out / "corpus").iterdir()}
    assert corpus & set(after.attributes)
    tries = [j.memory["history/tries"].sum() for j in (before, after)]
    assert tries[0] > 0 and after.memory["history/rest"][0] >= before.memory["history/rest"][0]
    # the form that was found out is kept, and no longer guessed
    assert FuzzRequest.read(request_.out).form == "text"


def test_a_killed_run_goes_on_with_nothing_lost(request_):
    out, code = request_.out, request_.path[0]
    arguments = ["--python", "notes.loads", "--seeds", str(request_.seeds[0]), "--timeout", "100ms"]
    seen = {}

    def there():
        if not (out / JOURNAL).exists():
            return False
        journal = Journal.read(out / JOURNAL)
        if not seen and executions(journal) and list(folders(out / "findings")):
            seen["at"], seen["journal"] = time.monotonic(), journal
        return seen and time.monotonic() - seen["at"] > 3.0 and traced(journal) > 3

    killed(out, arguments, until=there, cwd=code)
    before = Journal.read(out / JOURNAL)
    # 3 s later, so that what the journal holds is not older than 2
    assert before.seconds >= seen["journal"].seconds + 1.0
    assert executions(before) > executions(seen["journal"])
    corpus = {p.name for p in (out / "corpus").iterdir()}
    inputs = {(p / "input").read_bytes() for p in folders(out / "findings")}
    crashes = {p.name for p in (out / "crashes").iterdir() if not p.name.startswith(".")}
    corpus -= {name_of((out / "crashes" / name).read_bytes()) for name in crashes}
    assert corpus and inputs and crashes

    resume(out, seconds=before.seconds + 3.0)
    after = Journal.read(out / JOURNAL)
    assert after.starts == 2 and after.seconds > before.seconds + 2.5
    assert executions(after) > executions(before)
    assert after.memory["history/tries"].sum() > before.memory["history/tries"].sum() * 0.98
    assert corpus <= {p.name for p in (out / "corpus").iterdir()}
    assert inputs <= {(p / "input").read_bytes() for p in folders(out / "findings")}
    assert crashes <= {p.name for p in (out / "crashes").iterdir()}
    assert before.triaged <= after.triaged
    for name, numbers in before.attributes.items():
        if passes(numbers) and name in after.attributes:
            assert passes(after.attributes[name]) == passes(numbers)
    assert sum(after.memory["passed/hits"]) >= sum(before.memory["passed/hits"]) > 0
    assert not left_behind(before, after)


def executions(journal):
    return journal.memory["history/rest"][0] if journal.memory else 0


def traced(journal):
    return sum(passes(numbers) is not None for numbers in journal.attributes.values())


def test_a_function_that_is_not_there_is_told_in_one_line(request_):
    with pytest.raises(InputError, match="no such function"):
        fuzz(replace(request_, python="notes.nothing"))
    assert not request_.out.exists()
