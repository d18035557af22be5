"""Semgrep itself is asked where it is installed; what is written is checked everywhere."""

import json
import shutil
from pathlib import Path

import pytest

from inoculate.domains.code.source import SourceCode
from inoculate.errors import InputError
from inoculate.rule import Described
from inoculate.rules._yaml import to_yaml
from inoculate.rules.semgrep import Semgrep
from tests.rules.described import agrees, rule

needs_semgrep = pytest.mark.skipif(shutil.which("semgrep") is None, reason="no semgrep here")


def function(text, language="c"):
    row = {"text": text, "language": language}
    return Described(row, SourceCode().facts(row))


C = [
    function("void f(char *s) { char b[10]; strcpy(b, s); }"),
    function("void f(char *s) { char b[10]; if (strlen(s) < 10) { strcpy(b, s); } }"),
    function("static int g(int n) { while (n) { memset(p, 0, n * sizeof(int)); n--; } return 0; }"),
]
PYTHON = [
    function(
        "def f(cmd):\n    if cmd:\n        subprocess.run('ls ' + cmd, shell=True)\n", "python"
    ),
    function("async def f(cmd):\n    return subprocess.run([cmd], check=True)\n", "python"),
]


def terms(text, language="c"):
    found = Semgrep().conditions(function(text, language))
    return {c.value for c in found}


@needs_semgrep
@pytest.mark.parametrize(
    ("clauses", "matched"),
    [
        ([[("expression:c", "strcpy($A, $B)")]], [1, 1, 0]),
        ([[("expression:c", "strcpy(...)"), ("expression:c", "$A < 10", False)]], [1, 0, 0]),
        ([[("statement:c", "char $A[10]"), ("expression:c", "strlen(...)")]], [0, 1, 0]),
        ([[("expression:c", "$A * sizeof(int)")], [("expression:c", "strlen(...)")]], [0, 1, 1]),
    ],
)
def test_a_rule_for_c_means_the_same_here_and_in_semgrep(clauses, matched):
    assert agrees(Semgrep(), rule("code", *clauses), C) == list(map(bool, matched))


@needs_semgrep
def test_a_rule_for_python_means_the_same_here_and_in_semgrep():
    made = rule("code", [("expression:python", "subprocess.run(..., shell=True, ...)")])
    assert agrees(Semgrep(), made, PYTHON) == [True, False]


@needs_semgrep
def test_what_semgrep_refuses_is_an_error():
    made = rule("code", [("expression:c", "strcpy((")])
    with pytest.raises(InputError, match="semgrep refuses the rule"):
        Semgrep().replay(Semgrep().write(made), made, C)


def test_without_semgrep_nothing_is_replayed(monkeypatch):
    monkeypatch.setenv("PATH", "")
    made = rule("code", [("expression:c", "strcpy(...)")])
    assert Semgrep().replay(Semgrep().write(made), made, C) is None


def test_metavariables_of_two_patterns_are_not_the_same():
    text = Semgrep().write(
        rule("code", [("expression:c", "f($A, $B)"), ("expression:c", "g($A)", False)])
    )
    assert "<... f($A1, $B1) ...>;" in text and "<... g($A2) ...>;" in text
    assert "- pattern: " in text and "- pattern-not: " in text


def test_each_way_to_write_a_method_is_an_alternative():
    text = Semgrep().write(rule("code", [("expression:java", "$A.exec(...)")]))
    assert "pattern-either" in text and "'$FN(...) { ... <... $A1.exec(...) ...>; ... }'" in text


def test_a_rule_is_experimental_and_names_its_weakness():
    made = rule("code", [("expression:c", "f(...)")])
    made = type(made)(**{f: getattr(made, f) for f in made.__slots__} | {"threat": "cwe-121"})
    text = Semgrep().write(made)
    assert "status: experimental" in text and "CWE-121" in text and "made for a test" in text


def test_one_rule_is_for_one_language():
    both = rule("code", [("expression:c", "f(...)"), ("expression:python", "f(...)")])
    with pytest.raises(InputError, match="one rule is for one language"):
        Semgrep().write(both)


def test_conditions_hold_of_the_function_that_they_were_made_of():
    for one in (*C, *PYTHON):
        found = Semgrep().conditions(one)
        assert found and Semgrep().holds(found, [one]).all()


def test_a_language_that_semgrep_cannot_ask_inside_has_no_conditions():
    assert Semgrep().conditions(function("func f() { g() }", "go")) == []


def test_yaml_is_read_back_as_it_was_meant():
    yaml = pytest.importorskip("yaml")
    value = {
        "plain": "two words", "no": "no", "colon": "a: b", "quote": "it's \\d", "empty": "",
        "number": "12", "int": 12, "flag": False, "list": [], "hash": "# x", "dash": "- x",
        "lines": "one\n  two: x\n\nthree", "wide": "ünï\ud800", "tab": "a\tb", "trail": "a ",
        "nested": [{"a": ["x", {"b": "y"}], "c": {"d": "e"}}, "z"],
    }  # fmt: skip
    read = yaml.safe_load(to_yaml(value))
    assert read.pop("lines").rstrip("\n") == value.pop("lines")
    assert read.pop("wide") == "ünï?" and value.pop("wide")
    assert json.dumps(read) == json.dumps(value)


def test_the_pattern_of_a_hostile_name_stays_in_its_place():
    hostile = function('void f() { g("a\\"; rules: []\\n#"); }')
    for condition in Semgrep().conditions(hostile):
        made = rule("code", [(condition.kind, condition.value)])
        assert len(Semgrep().write(made).split("- id:")) == 2


def test_samples_of_every_language_have_patterns():
    data = Path(__file__).parent.parent / "data" / "source"
    for name, language in (("copy.c", "c"), ("Login.java", "java"), ("list.php", "php"),
                           ("backup.py", "python"), ("page.js", "javascript")):  # fmt: skip
        assert terms((data / name).read_text(), language), name
