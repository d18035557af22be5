"""From inputs that ended badly to findings: replayed, told apart, made short."""

import json

import pytest

from inoculate.errors import ArtifactError
from inoculate.fuzzing.endings.crashes import Ending, Frame
from inoculate.fuzzing.endings.triage import Triage, folders, read_finding


def ending(kind="SEGV", line=3):
    return Ending(kind, "READ", (Frame("parse", "/src/p.c", line),), "the trace", 125)


def bad(data):
    """Return the end of an input: one bug for each letter of a to c that it holds."""
    return next((ending(line=ord(c)) for c in "abc" if c.encode() in data), None)


@pytest.fixture
def out(tmp_path):
    (tmp_path / "findings").mkdir()
    return tmp_path


def test_a_new_bug_is_made_short_and_kept_whole(out):
    assert Triage(out, bad).look(b"xxxxaxxxx", "id:1", seconds=2.0) == "new"
    place = out / "findings" / "1"
    assert sorted(p.name for p in place.iterdir()) == ["finding.json", "input", "trace.txt"]
    assert (place / "input").read_bytes() == b"a"
    assert (place / "trace.txt").read_text() == "the trace"
    about = read_finding(place)
    assert (about["kind"], about["cwe"], about["function"], about["line"]) == (
        "SEGV", 125, "parse", ord("a")
    )  # fmt: skip
    assert (about["replayed"], about["seen"], about["size"], about["found_size"]) == (3, 1, 1, 9)
    assert (about["found_as"], about["seconds"]) == ("id:1", 2.0)


def test_the_same_bug_again_is_counted_and_not_kept(out):
    triage = Triage(out, bad)
    assert [triage.look(d, "n") for d in (b"xa", b"ya", b"b")] == ["new", "known", "new"]
    assert [read_finding(p)["seen"] for p in folders(out / "findings")] == [2, 1]
    # so it is after a new start
    assert Triage(out, bad).look(b"za", "n") == "known"
    assert read_finding(out / "findings" / "1")["seen"] == 3


def test_what_ends_well_or_differently_is_listed_and_no_finding(out):
    ends = iter(
        [ending(), None, ending(), None, None, None, ending(line=1), ending(line=2), ending()]
    )
    triage = Triage(out, lambda data: next(ends))
    assert [triage.look(b"d", str(i)) for i in range(3)] == ["unreplayed"] * 3
    assert not list(folders(out / "findings"))
    told = [read_finding(p) for p in folders(out / "unreplayed")]
    assert [(t["ended_badly"], t["of"]) for t in told] == [(2, 3), (0, 3), (3, 3)]


def test_an_input_that_was_made_short_by_chance_is_kept_as_it_was(out):
    calls = []

    def flaky(data):
        calls.append(data)
        # the short form ends so once, then never again
        return ending() if len(data) == 8 or calls.count(data) == 1 else None

    assert Triage(out, flaky).look(b"12345678", "n") == "new"
    assert (out / "findings" / "1" / "input").read_bytes() == b"12345678"


def test_a_half_written_finding_is_none(out):
    (out / "findings" / ".new-1").mkdir()
    assert Triage(out, bad).look(b"a", "n") == "new"
    assert [p.name for p in folders(out / "findings")] == ["1"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 2}'])
def test_a_damaged_finding_is_told(tmp_path, text):
    (tmp_path / "finding.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"finding\.json"):
        read_finding(tmp_path)


def test_unreplayed_inputs_are_bounded(out):
    triage = Triage(out, lambda data: None)
    assert [triage.look(b"x", "n") for _ in range(101)][-2:] == ["unreplayed", "full"]


def test_what_a_finding_says_is_json(out):
    Triage(out, lambda d: Ending("\udcff\x1b[31m", "\u202e", (), "\udcff", None)).look(b"", "n")
    json.loads((out / "findings" / "1" / "finding.json").read_text())
