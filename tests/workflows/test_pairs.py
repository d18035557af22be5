"""Pairs: which functions of a fix are matched, what is left out and said, what is learned."""

import json
import os

import numpy as np
import polars as pl
import pytest

from inoculate.domain import Batch
from inoculate.domains.code.source import SourceCode
from inoculate.errors import InputError, RecordError
from inoculate.store.detector import load_detector
from inoculate.workflows.adapt import AdaptRequest, adapt
from inoculate.workflows.intake import Intake
from inoculate.workflows.pairs import read_commits, read_pairs
from tests.workflows.pair_maker import after, before, commit, write_pair


def of_folder(folder, *, threat=None, shots=None, seed=0, intake=None):
    return read_pairs(intake or Intake(), [str(folder)], threat=threat, shots=shots, seed=seed)


def of_lines(path, *objects, intake=None):
    path.write_text("".join(json.dumps(o) + "\n" for o in objects))
    return read_pairs(intake or Intake(), [str(path)], threat=None, shots=None, seed=0)


def names(frame):
    return frame["name"].to_list()


def test_the_function_whose_text_differs_is_a_pair_and_the_others_lie_around(tmp_path):
    write_pair(tmp_path / "fixes", "1", before(), after())
    pairs = of_folder(tmp_path / "fixes")
    assert names(pairs.before) == names(pairs.after) == ["find"]
    assert "'%s'" in pairs.before["text"][0]
    assert "query, [name]" in pairs.after["text"][0]
    assert names(pairs.around) == ["total", "shown"]
    assert pairs.threats == ("fixes",)
    assert pairs.before["origin"][0].endswith("1.vuln.py:4")
    assert "2 functions beside the fixes, the same before and after" in pairs.notes


def test_twins_are_in_the_order_of_their_examples_though_files_order_them_otherwise(tmp_path):
    old, new = before(0) + before(1), after(1) + after(0)
    write_pair(tmp_path / "fixes", "1", old, new)
    pairs = of_folder(tmp_path / "fixes")
    assert names(pairs.before) == names(pairs.after) == ["find", "mail_of"]


def test_functions_of_one_name_are_matched_in_their_order_less_those_left_as_they_were(tmp_path):
    def file(*bodies):
        return "".join(f"class A{i}:\n    pass\n\n\ndef f(x):\n    return {b}\n\n\n"
                       for i, b in enumerate(bodies))  # fmt: skip

    write_pair(tmp_path / "fixes", "1", file("x", "eval(x)", "x + 1"), file("x", "int(x)", "x + 1"))
    pairs = of_folder(tmp_path / "fixes")
    assert ["eval" in t for t in pairs.before["text"]] == [True]
    assert ["int" in t for t in pairs.after["text"]] == [True]


def test_two_changed_functions_of_one_name_are_matched_in_their_order(tmp_path):
    text = "def f(x):\n    return {0}(x)\n\n\ndef f(x, y):\n    return {1}(x, y)\n"
    write_pair(tmp_path / "fixes", "1", text.format("eval", "exec"), text.format("int", "run"))
    pairs = of_folder(tmp_path / "fixes")
    assert ["f(x, y)" in t for t in pairs.before["text"]] == [False, True]
    assert ["f(x, y)" in t for t in pairs.after["text"]] == [False, True]


def test_one_function_on_each_side_is_a_pair_though_its_name_changed(tmp_path):
    write_pair(tmp_path / "fixes", "1", "def f(x):\n    return eval(x)\n",
               "def safe_f(x):\n    return int(x)\n")  # fmt: skip
    pairs = of_folder(tmp_path / "fixes")
    assert (names(pairs.before), names(pairs.after)) == (["f"], ["safe_f"])


def test_a_function_on_one_side_only_is_counted_and_said(tmp_path):
    extra = "\n\ndef is_name(text):\n    return text.isalpha()\n"
    write_pair(tmp_path / "fixes", "1", before(), after() + extra)
    pairs = of_folder(tmp_path / "fixes")
    assert len(pairs) == 1
    assert "1 function only before or only after the fix, in no pair" in pairs.notes


def test_a_version_number_is_no_pair_where_a_function_changed(tmp_path):
    write_pair(
        tmp_path / "fixes", "1", "VERSION = '1'\n\n" + before(), "VERSION = '2'\n\n" + after()
    )
    pairs = of_folder(tmp_path / "fixes")
    assert names(pairs.before) == ["find"]
    assert "1 change outside of functions, in no pair" in pairs.notes


def test_a_statement_is_a_pair_where_no_function_changed(tmp_path):
    write_pair(tmp_path / "fixes", "1", "TOKEN = compile('(a+)+$')\n", "TOKEN = compile('a+$')\n")
    assert len(of_folder(tmp_path / "fixes")) == 1


def test_spaces_at_the_ends_of_lines_are_no_fix_and_a_moved_line_is_one(tmp_path):
    old = "def f(x):\n    if x:\n        check(x)\n        return run(x)\n    return None\n"
    write_pair(tmp_path / "fixes", "1", old, old.replace("\n", "  \r\n"))
    with pytest.raises(InputError, match=r"no pair .*no function changed in .*1\.vuln\.py"):
        of_folder(tmp_path / "fixes")
    write_pair(tmp_path / "fixes", "1", old, old.replace("        return", "    return"))
    assert len(of_folder(tmp_path / "fixes")) == 1


def test_a_side_without_the_other_and_other_files_are_counted(tmp_path):
    folder = tmp_path / "fixes"
    write_pair(folder, "1", before(), after())
    (folder / "2.vuln.py").write_text(before(1))
    (folder / "README.md").write_text("# Fixes\n")
    intake = Intake()
    assert len(of_folder(folder, intake=intake)) == 1
    assert intake.left_out == {
        "no .fixed file beside the .vuln one": 1,
        "not named NAME.vuln.EXT or NAME.fixed.EXT": 1,
    }


def test_the_same_fix_told_twice_is_one_pair(tmp_path):
    write_pair(tmp_path / "fixes", "1", before(), after())
    write_pair(tmp_path / "fixes", "2", before(), after())
    pairs = of_folder(tmp_path / "fixes")
    assert len(pairs) == 1
    assert "1 pair told more than once" in pairs.notes


def test_shots_draw_pairs_by_seed(tmp_path):
    for k in range(3):
        write_pair(tmp_path / "fixes", str(k), before(k), after(k))
    drawn = {names(of_folder(tmp_path / "fixes", shots=1, seed=s).before)[0] for s in range(9)}
    assert len(drawn) > 1
    assert len(of_folder(tmp_path / "fixes", shots=2)) == 2


def test_lines_name_threat_and_language(tmp_path):
    pairs = of_lines(
        tmp_path / "told.jsonl",
        {"language": "python", "vulnerable": before(0), "fixed": after(0), "cwe": "CWE-89"},
        {"path": "src/b.py", "vulnerable": before(1), "fixed": after(1)},
        {"language": "C", "vulnerable": "strcpy(a, b);", "fixed": "strlcpy(a, b, sizeof a);"},
    )
    assert pairs.threats == ("CWE-89", "told", "told")
    assert pairs.before["language"].to_list() == ["python", "python", "c"]
    assert pairs.before["origin"].to_list()[1].endswith("told.jsonl:2!src/b.py:4")
    assert pairs.data()[0].records == 3


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "told.jsonl:1: not JSON"),
        ("[]", "told.jsonl:1: expected a JSON object, found list"),
        ('{"language": "python", "fixed": "x"}', "told.jsonl:1: expected two texts"),
        ('{"language": "python", "fixed": "x", "vulnerable": 3}', "expected two texts"),
        ('{"language": "cobol", "fixed": "x", "vulnerable": "y"}', "found 'cobol'"),
    ],
)
def test_a_bad_line_is_named_and_may_be_skipped(tmp_path, line, words):
    path = tmp_path / "told.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(RecordError, match=words):
        read_pairs(Intake(), [str(path)], threat=None, shots=None, seed=0)
    good = {"language": "python", "vulnerable": before(), "fixed": after()}
    path.write_text(f"{line}\n{json.dumps(good)}\n")
    intake = Intake(skip_bad_records=True)
    assert len(read_pairs(intake, [str(path)], threat=None, shots=None, seed=0)) == 1
    assert sum(intake.skipped.values()) == 1


def test_names_that_are_no_text_are_shown_as_far_as_they_are(tmp_path):
    write_pair(tmp_path / "fixes", os.fsdecode(b"\xff"), before(), after())
    assert "\N{REPLACEMENT CHARACTER}.vuln.py" in of_folder(tmp_path / "fixes").before["origin"][0]
    odd = {"path": "a\ud800.py", "vulnerable": before(1), "fixed": after(1), "cwe": "\ud800" * 999}
    pairs = of_lines(tmp_path / "odd.jsonl", odd)
    assert (pairs.before["path"][0][-5:], pairs.threats) == ("a?.py", ("?" * 200,))


def test_pairs_beyond_a_bound_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("inoculate.workflows.pairs._MOST_READ", 2)
    for k in range(3):
        write_pair(tmp_path / "fixes", str(k), before(k), after(k))
    pairs = of_folder(tmp_path / "fixes")
    assert len(pairs) == 2
    assert "1 pair beyond the first 2, left out" in pairs.notes


def test_commits_give_pairs_and_what_lies_around_them_without_tests(tmp_path):
    repository = tmp_path / "shop"
    commit(repository, {"db.py": before(), "tests/test_db.py": "def test_it():\n    assert 1\n"})
    fix = commit(
        repository, {"db.py": after(), "tests/test_db.py": "def test_it():\n    assert 2\n"}
    )
    words = commit(repository, {"README.md": "# Shop\n", "notes.txt": "nothing\n"})
    words = commit(repository, {"README.md": "# The shop\n", "notes.txt": "all\n"})
    listed = tmp_path / "commits"
    listed.write_text(f"# what fixed it\n{fix[:12]} use parameters\n\n{words}\n")
    intake = Intake()
    pairs = read_commits(
        intake, str(repository), [str(listed), fix], threat="cwe-89", shots=None, seed=0
    )
    assert names(pairs.before) == ["find"]
    assert names(pairs.around) == ["total", "shown"]
    assert pairs.before["origin"][0] == f"shop@{fix[:12]}^!db.py:4"
    assert [(d.name, d.records) for d in pairs.data()] == [(f"shop@{fix[:12]}", 1)]
    assert f"no function changed in shop@{words[:12]}" in pairs.notes
    assert intake.left_out == {"a test": 1, "not code that is read": 2}


def test_commits_without_a_pair_are_one_clear_line(tmp_path):
    commit(tmp_path / "shop", {"a.py": "def f():\n    return 1\n"})
    fix = commit(tmp_path / "shop", {"b.py": "def f():\n    return 1\n"})
    with pytest.raises(InputError, match=f"no pair .*no function changed in shop@{fix[:12]}"):
        read_commits(Intake(), str(tmp_path / "shop"), [fix], threat="x", shots=None, seed=0)


def request(folder, **changes):
    sources = {"learner": "logistic", "out": folder / "cwe-89.detector"} | changes
    return AdaptRequest(**sources)


def usual(folder, n=120):
    (folder / "usual").mkdir()
    text = "\n\n".join(
        f"def f{i}(a, b):\n    c = a * {i} + b\n    return [c] * {i}" for i in range(n)
    )
    (folder / "usual" / "a.py").write_text(text)
    return str(folder / "usual")


def test_a_detector_of_pairs_keeps_them_as_twins_and_finds_the_sibling(tmp_path):
    for k in range(2):
        write_pair(tmp_path / "fixes", str(k), before(k), after(k))
    report = adapt(
        request(tmp_path, pairs=(str(tmp_path / "fixes"),), background=(usual(tmp_path),))
    )
    stored = load_detector(tmp_path / "cwe-89.detector")
    assert report.n_pairs == stored.support.n_twins == 2
    assert report.n_background == (120, 120)
    roles = [(d.role, d.name, d.records) for d in stored.manifest.data]
    assert roles[0] == ("pairs", "fixes", 2)
    pairs = of_folder(tmp_path / "fixes")
    for frame, held in zip((pairs.before, pairs.after), stored.support.pairs(), strict=True):
        expected = SourceCode().encode(Batch(frame), stored.views).stacked()
        np.testing.assert_array_equal(held, expected)
    frame = pl.DataFrame({"text": [before(2), after(2)], "language": ["python"] * 2})
    x = SourceCode().encode(Batch(frame), stored.views)
    vulnerable, fixed = stored.detector.score(x).alarm()
    assert vulnerable > fixed


def test_without_background_the_promise_says_what_it_rests_on(tmp_path):
    write_pair(tmp_path / "fixes", "1", before(), after())
    around = adapt(request(tmp_path, pairs=(str(tmp_path / "fixes"),)))
    assert around.n_background == (2, 2)
    assert any("rests on the 2 functions around the fixes" in n for n in around.manifest.notes)
    assert "1 % needs at least 100" in around.promises.note
    for k in range(2):
        old, new = (side(k).split("\n\n\ndef total")[0] for side in (before, after))
        write_pair(tmp_path / "alone", str(k), old, new)
    alone = adapt(request(tmp_path, pairs=(str(tmp_path / "alone"),)))
    assert any("rests on the 2 fixed versions alone" in n for n in alone.manifest.notes)


def test_one_pair_and_nothing_else_is_refused_with_what_to_do(tmp_path):
    write_pair(tmp_path / "fixes", "1", "def f(x):\n    return eval(x)\n",
               "def f(x):\n    return int(x)\n")  # fmt: skip
    with pytest.raises(InputError, match=r"1 record around the pairs.*give --background"):
        adapt(request(tmp_path, pairs=(str(tmp_path / "fixes"),)))


def test_the_vulnerable_function_in_the_background_is_left_out_of_it(tmp_path):
    write_pair(tmp_path / "fixes", "1", before(), after())
    folder = usual(tmp_path)
    (tmp_path / "usual" / "db.py").write_text(before())
    report = adapt(request(tmp_path, pairs=(str(tmp_path / "fixes"),), background=(folder,)))
    assert report.n_background == (122, 122)
    assert "1 background function the same as a vulnerable one, left out" in report.notes


def test_pairs_that_no_column_tells_apart_are_left_out(tmp_path):
    write_pair(tmp_path / "fixes", "1", before(), after())
    old = "def g(x):\n    # never called\n    return x.strip()\n"
    write_pair(tmp_path / "fixes", "2", old, old.replace("never", "daily"))
    report = adapt(request(tmp_path, pairs=(str(tmp_path / "fixes"),)))
    assert report.n_pairs == 1
    assert [d.records for d in report.manifest.data if d.role == "pairs"] == [1]
    assert any("1 pair the same in every column" in n for n in report.notes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pairs": ("a",), "examples": ("b",)}, "do not go together"),
        ({"git": "."}, "need each other"),
        ({"commits": ("HEAD",), "pairs": ("a",)}, "need each other"),
        ({"pairs": ("a",), "label": "x"}, "--label is for examples"),
        ({"pairs": ("a",), "threats": ("x", "y")}, "pairs are of one --threat"),
        ({"pairs": ("nowhere",)}, "nowhere: no such file"),
        ({"git": "nowhere", "commits": ("HEAD",)}, "nowhere: no such folder"),
    ],
)
def test_what_does_not_fit_together_is_one_clear_line(tmp_path, monkeypatch, changes, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words):
        adapt(request(tmp_path, **changes))
