"""What origins say, where paths are told from, and what a fingerprint does not change with."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from inoculate.reading.origins import Place, Root, fingerprint, place_of, uri
from tests.render.samples import HOSTILE, finding, reason

ROOT = Root(Path("/work/shop"), Path("/work/shop/src"))


@pytest.mark.parametrize(
    ("origin", "place"),
    [
        ("conn.log:17", Place("conn.log", line=17)),
        ("src/a.py:10-25", Place("src/a.py", line=10, last_line=25)),
        ("src/a.js:10:31", Place("src/a.js", line=10, column=31)),
        ("a.py:0:3", Place("a.py")),
        ("traffic.pcap#1234", Place("traffic.pcap", number=1234)),
        ("events.evtx@0", Place("events.evtx", number=0)),
        ("dir/a.zip!inner/b.exe", Place("dir/a.zip", "inner/b.exe")),
        ("a.tar.gz!b.zip!c.log:3", Place("a.tar.gz", "b.zip!c.log", line=3)),
        ("b.exe", Place("b.exe")),
        ("wow!.py:3", Place("wow!.py", line=3)),
        ("a.zip!", Place("a.zip!")),
        ("a.py:0", Place("a.py")),
        ("a.py:9-3", Place("a.py", line=9)),
        ("a.py:9999999999", Place("a.py")),
        ("", Place("")),
        ("a\nb:3", Place("a\nb", line=3)),
    ],
)
def test_an_origin_says_file_place_and_line(origin, place):
    assert place_of(origin) == place


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("a.py", ("src/a.py", True)),
        ("./b/../a.py", ("src/a.py", True)),
        ("../lib/a.py", ("lib/a.py", True)),
        ("/work/shop/lib/a.py", ("lib/a.py", True)),
        ("../../other/a.py", ("work/other/a.py", False)),
        ("../../../../../etc/passwd", ("etc/passwd", False)),
        ("/work/shopping/a.py", ("work/shopping/a.py", False)),
        ("-", ("stdin", False)),
        ("", ("stdin", False)),
    ],
)
def test_a_path_is_told_from_the_root_and_never_leads_out(path, told):
    assert ROOT.relative(path) == told


def test_the_root_is_the_repository_around_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    below = tmp_path / "repository" / "deep" / "below"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert Root.here().relative("a.py") == ("deep/below/a.py", True)


@pytest.mark.parametrize("path", ["a b:c?d#e%41.py", "ü\udcff.py", "x\ud800y", HOSTILE, "[1].py"])
def test_a_uri_is_ascii_and_holds_no_character_with_a_meaning(path):
    made = uri(path)
    assert made.isascii()
    assert not set(made) & set(' :?#[]<>"\\\x1b\n')
    if path.isascii():
        assert unquote(made) == path


def test_a_fingerprint_survives_moved_lines_white_space_and_the_way_a_path_is_written():
    record = {"name": "login", "text": "a = 1\n  b", "line": 10, "path": "a.py"}
    one = finding(origin="a.py:10-12", record=record, ts=None)
    moved = replace(
        one, origin="/work/shop/src/a.py:90-92",
        record={**record, "text": "a = 1 b", "line": 90, "path": "/work/shop/src/a.py"},
        score=0.2, p_value=0.5, finding_id="other", reasons=(),
    )  # fmt: skip
    assert fingerprint(one, ROOT) == fingerprint(moved, ROOT)
    assert len(fingerprint(one, ROOT)) == 16


@pytest.mark.parametrize(
    "changes",
    [
        {"threat": "other"},
        {"origin": "b.py:10"},
        {"origin": "a.zip!a.py:10"},
        {"ts": 7.0},
        {"record": {"function": "logout"}},
    ],
)
def test_a_fingerprint_changes_with_threat_file_time_and_identity(changes):
    one = finding(origin="a.py:10", record={"function": "login"}, ts=None)
    assert fingerprint(one, ROOT) != fingerprint(replace(one, **changes), ROOT)


def test_a_record_without_identity_is_known_by_its_reasons_values_then_by_its_score():
    row = finding(origin="t.csv:5", record={}, ts=None)
    same = replace(row, origin="t.csv:9", score=0.1, reasons=(reason("in other words"),))
    other = replace(row, reasons=(replace(row.reasons[0], value=7.0),))
    bare = replace(row, reasons=())
    marks = [fingerprint(f, ROOT) for f in (row, same, other, bare, replace(bare, score=0.5))]
    assert marks[0] == marks[1]
    assert len(set(marks[1:])) == 4


def test_a_window_of_a_line_is_in_that_line():
    place = place_of("d/a.zip!t.txt:3@100")
    assert (place.path, place.inside, place.line, place.number) == ("d/a.zip", "t.txt", 3, 100)
