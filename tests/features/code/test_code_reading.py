import hashlib
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from inoculate.features.code.code_answer import answer
from inoculate.features.code.code_form import FILES, WIDTH, believed, request, unpacked
from inoculate.features.code.code_languages import SUFFIXES, language_named
from inoculate.features.code.code_reading import File, batches, encoded

DATA = Path(__file__).parents[2] / "data" / "source"
LANGUAGES = SUFFIXES
PYTHON = b"""import os

def run(command):
    os.system(command)


class A(B):
    def one(self, a):
        if a is None:
            return 1
        run(a)

    @cached
    def other(self):
        return '''
    text
'''

x = A().one(input())
"""
C = b"int f(char *p) { if (p) { return g(*p); } }\nstatic int g(int a) { return 1 / a; }\n"
GO = b"package a\n\nfunc (s *S) F(a int) int {\n\treturn a << 2\n}\n"
PHP = b"<?php\nclass A { function f($a) { echo $a; } }\n"
CPP = b"struct A { int f(int n) { return (n == 0) ? 1 : n*f(n-1); } };\n"
SOME = [
    File("a.py", "python", PYTHON),
    File("b.c", "c", C),
    File("c.go", "go", GO),
    File("d.php", "php", PHP),
    File("e.cpp", "cpp", CPP),
    File("f.yaml", "yaml", b"kind: Pod\nspec:\n  hostNetwork: true\n"),
    File("latin.py", "python", b"def f():\n    return '\xe9'\n"),
]


def ask(requests):
    for mode, data in requests:
        yield list(answer(mode, data)), ""


def read(files, asked=ask):
    bad = []
    frames = [b.frame for b in batches(iter(files), asked, bad.append)]
    return (pl.concat(frames) if frames else pl.DataFrame()), bad


def test_what_is_encoded_when_it_is_read_is_what_its_text_is_encoded_to():
    frame, bad = read(SOME)
    assert not bad and set(frame["path"]) == {f.name for f in SOME}
    of_text = encoded(frame.drop("encoded"), ask)
    np.testing.assert_array_equal(frame["encoded"].to_numpy(), of_text)
    assert (of_text[:, 0] > 0).all()


def test_the_same_text_has_the_same_columns_in_every_version():
    files = [
        File(path.name, language_named(LANGUAGES[path.suffix]), path.read_bytes())
        for path in sorted(DATA.iterdir())
    ]
    frame, _ = read(files)
    counts = np.rint(2.0 ** encoded(frame.drop("encoded", "callees"), ask) - 1).astype("<i8")
    assert counts.shape == (40, WIDTH)
    assert hashlib.sha256(counts.tobytes()).hexdigest()[:16] == "4ca718559569a4ce"


def test_what_a_class_is_derived_from_is_no_record():
    frame, _ = read(SOME[:1])
    assert frame["name"].to_list() == ["run", "A.one", "A.other", "(outside of functions)"]


def test_callees_are_counted_among_the_facts_of_files_and_not_of_texts_alone():
    frame, _ = read(SOME[:1])
    assert "direct:param->system" in frame["callees"][1]
    alone = encoded(frame.drop("encoded", "callees"), ask)
    differ = (alone != frame["encoded"].to_numpy()).any(axis=1)
    assert differ.tolist() == [bool(len(c)) for c in frame["callees"]]


def test_a_file_that_no_worker_survives_is_one_bad_record_and_the_others_are_read():
    def dying(requests):
        for mode, data in requests:
            if b"boom" in data:
                yield None, "the parser ended early: signal 11"
            else:
                yield from ask([(mode, data)])

    frame, bad = read([*SOME, File("x.c", "c", b"int boom;"), *SOME[:1]], dying)
    assert [(e.origin, e.problem) for e in bad] == [
        ("x.c", "cannot be parsed: the parser ended early: signal 11")
    ]
    assert len(frame) == len(read([*SOME, *SOME[:1]])[0])


def test_a_text_that_no_worker_survives_is_unknown_and_the_others_are_encoded():
    def dying(requests):
        for mode, data in requests:
            if b"boom" in data:
                yield None, "over 20 s"
            else:
                yield from ask([(mode, data)])

    frame = pl.DataFrame({"text": ["int f;", "int boom;", None], "language": ["c"] * 3})
    x = encoded(frame, dying)
    assert np.isfinite(x[0]).all() and np.isnan(x[1:]).all()


@pytest.mark.parametrize(
    "told",
    [
        [],
        [[[["f", 0, 99, 1, 1, 1, []]], []]],
        [[[["f", 0, 5, 0, 1, 1, []]], []]],
        [[[["f", 3, 2, 1, 1, 1, []]], []]],
        [[[[7, 0, 5, 1, 1, 1, []]], []]],
        [[[["f", 0, 5, 1, 1, 1, [7]]], []]],
        [[[["f", 0]], []]],
        [{"a": 1}],
        [None],
        7,
    ],
)
def test_an_answer_that_makes_no_sense_is_not_believed(told):
    assert believed(json.dumps(told).encode(), [9]) is None


def test_columns_that_make_no_sense_are_not_believed():
    place, value = np.array([WIDTH], "<u4").tobytes(), np.array([1], "<f4").tobytes()
    assert unpacked([place, value], 1) is None
    assert unpacked([place, value], 2)[1, 0] == 1
    assert unpacked([place, b""], 2) is None
    assert unpacked([place], 2) is None
    assert unpacked([place, np.array([np.inf], "<f4").tobytes()], 2) is None


def test_a_file_of_too_many_functions_is_a_problem_of_its_own():
    many = b"function a(){}" * 20_001
    (told, *_) = answer(FILES, request([many, b"f()"], [["javascript"], ["javascript"]]))
    problem, fine = believed(told, [len(many), 3])
    assert "more than 20,000 functions" in problem.problem and len(fine.rows) == 1
