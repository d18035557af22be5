"""Functions that are pointed at: found, refused in one line, and learned from."""

import pytest

from inoculate.errors import InputError
from inoculate.store.detector import load_detector
from inoculate.workflows.adapt import AdaptRequest, adapt
from inoculate.workflows.intake import Intake
from inoculate.workflows.places import read_places
from inoculate.workflows.scan import ScanRequest, scan

BAD = """def find{i}(db, name):
    query = "select * from t{i} where name='%s'" % name
    return db.execute(query).fetchall()


"""
GOOD = """def get{i}(db, name):
    query = "select * from t{i} where name=?"
    return db.execute(query, [name]).fetchall()


"""
PLAIN = """def add{i}(a, b):
    total = a + b * {i}
    return [total for _ in range({i})]


"""


@pytest.fixture
def code(tmp_path):
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "db.py").write_text("".join(BAD.format(i=i) for i in range(4)))
    (folder / "safe.py").write_text("".join(GOOD.format(i=i) for i in range(4)))
    for k in range(4):
        text = "".join(PLAIN.format(i=10 * k + i) for i in range(10))
        (folder / f"plain{k}.py").write_text(text)
    return folder


def found(code, marked, safe=(), **more):
    more = {"background": [], "threat": "cwe-89", "seed": 0} | more
    return read_places(Intake(), marked, safe, **more)


def test_any_line_of_a_function_names_it_and_twice_named_it_counts_once(code):
    told = found(code, [f"{code}/db.py:{n}" for n in (1, 2, 3, 6)], [f"{code}/safe.py:7"])
    assert told.examples.frames[0]["name"].to_list() == ["find0", "find1"]
    assert told.safe["name"].to_list() == ["get1"]
    assert told.examples.classes == ("cwe-89",)
    assert told.background.frame.height == 45
    assert not {"find0", "find1", "get1"} & set(told.background.frame["name"])
    assert told.notes[0] == f"marked: find0 in {code}/db.py, find1 in {code}/db.py"
    assert told.notes[2] == f"no --background: the code around it, {code}"


def test_a_file_names_places_and_what_follows_them_is_ignored(code, tmp_path):
    listed = tmp_path / "marked.txt"
    listed.write_text(f"# fixed in May\n{code}/db.py:2 found by ann\n\n{code}/db.py:12\n")
    told = found(code, [str(listed)])
    assert told.examples.frames[0]["name"].to_list() == ["find0", "find2"]


def test_an_inner_function_is_told_from_what_holds_it(tmp_path):
    text = "class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n"
    (tmp_path / "a.py").write_text(text + "".join(PLAIN.format(i=i) for i in range(3)))
    told = found(tmp_path, [f"{tmp_path}/a.py:6"])
    assert told.examples.frames[0]["name"].to_list() == ["A.g"]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("{code}/db.py:99", "db.py:99: the file has 20 lines"),
        ("{code}/db.py:0", "db.py:0: the file has 20 lines"),
        ("{code}/db.py:4", "db.py:4: no function there; the nearest begins in line 6"),
        ("{code}/gone.py:1", "gone.py:1: no such file"),
        ("{code}/gone.py", "gone.py: expected PATH:LINE, or a file of such places: No such file"),
        ("{code}/db.py", "db.py:1: 'def' is no place: expected PATH:LINE"),
        ("{code}/data.csv:1", "data.csv:1: cannot be read as code: "),
        ("{code}/broken.py:1", "broken.py:1: "),
        ("{code}/list.txt", "list.txt:2: {code}/db.py:99: the file has 20 lines"),
        ("{code}/empty.txt", "empty.txt: names no place"),
    ],
)
def test_a_place_that_is_none_is_one_line_with_the_place(code, place, said):
    (code / "data.csv").write_text("a,b\n1,2\n")
    (code / "broken.py").write_text(")))) ((((\n]]]] [[[[\n" * 20)
    (code / "list.txt").write_text(f"{code}/db.py:1\n{code}/db.py:99\n")
    (code / "empty.txt").write_text("# nothing\n")
    with pytest.raises(InputError) as caught:
        found(code, [place.format(code=code)])
    assert said.format(code=code) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_function_cannot_be_both(code):
    with pytest.raises(InputError, match=r"db\.py:1: the same function is marked and safe"):
        found(code, [f"{code}/db.py:1"], [f"{code}/db.py:3"])


def test_too_little_around_is_refused(tmp_path):
    (tmp_path / "a.py").write_text(BAD.format(i=0))
    with pytest.raises(InputError, match="0 other functions, at least 2"):
        found(tmp_path, [f"{tmp_path}/a.py:1"])


def test_marked_and_safe_functions_make_a_detector_that_finds_the_others(code, tmp_path):
    out = tmp_path / "cwe-89.detector"
    report = adapt(
        AdaptRequest(
            marked=tuple(f"{code}/db.py:{n}" for n in (1, 6)),
            safe=(f"{code}/safe.py:1", f"{code}/safe.py:6", f"{code}/safe.py:11"),
            background=tuple(f"{code}/plain{k}.py" for k in range(4)),
            out=out,
            false_alarms=0.05,
        )
    )
    assert report.shots == {"cwe-89": 2}
    assert report.n_pairs == 0
    assert load_detector(out).support.n_twins == 2
    outcome = scan(ScanRequest(sources=(str(code),), detector=out, false_alarms=0.05))
    names = [f.record["name"] for f in sorted(outcome.report.findings, key=lambda f: -f.score)]
    assert {"find2", "find3"} <= set(names)
    assert not any(name.startswith("add") for name in names)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"safe": ("a.py:1",)}, "no background"),
        ({"safe": ("a.py:1",), "examples": ("a",), "background": ("b",)}, "--safe PATH:LINE goes"),
        ({"marked": ("a.py:1",), "examples": ("a",)}, "do not go together"),
        ({"marked": ("a.py:1",), "threats": ("a", "b")}, "--marked is of one --threat"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, more, said):
    with pytest.raises(InputError, match=said):
        adapt(AdaptRequest(out=tmp_path / "a.detector", **more))
