"""A list to begin with, of code: what is first, what is said, what is kept back."""

import json

import pytest

from inoculate.errors import InputError
from inoculate.render.sarif import Sarif
from inoculate.render.table import Table
from inoculate.workflows.scan import ScanRequest
from inoculate.workflows.triage import WARNING, is_for, triage

VIEWS = """import os


@app.route("/")
def find(name):
    q = "select * from users where name='" + request.args["name"] + "'"
    return db.execute(q)


def size(name):
    return os.system("du " + name)


def digest(text):
    return hashlib.md5(text)


def add(a, b):
    return a + b
"""


@pytest.fixture
def code(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "views.py").write_text(VIEWS)
    (tmp_path / "src" / "copy.c").write_text(
        "void f(char *p) {\n  char b[8];\n  strcpy(b, p);\n}\n"
    )
    return tmp_path / "src"


def listed(code, **more):
    most = more.pop("most", 20)
    return triage(ScanRequest(sources=(str(code),), **more), most=most)


def names(outcome):
    return [f.record["name"] for f in outcome.report.findings]


def test_the_surest_come_first_each_with_its_rank_and_lines(code):
    report = listed(code).report
    assert [(f.record["name"], f.threat) for f in report.findings] == [
        ("find", "cwe-89"), ("size", "cwe-78"), ("f", "cwe-120"), ("digest", "cwe-328"),
    ]  # fmt: skip
    rank, hit = report.findings[0].reasons
    assert rank.text == "rank 1 of 1 function for cwe-89 (SQL injection)"
    assert hit.text.endswith("(SQL injection): line 6 to line 7")
    assert report.triage
    assert report.notes[0] == WARNING
    assert (report.n_records, report.n_findings) == (5, 4)


def test_a_list_is_cut_and_says_how_many_are_left(code):
    outcome = listed(code, most=1)
    assert names(outcome) == ["find"]
    assert "3 more functions with weaker hits, not listed" in " ".join(outcome.report.notes)


def test_ranks_are_within_a_weakness(tmp_path):
    body = "def f{i}(a):\n    os.system('ls ' + {what})\n"
    text = "".join(body.format(i=i, what=w) for i, w in enumerate(("a", "request.args['a']", "a")))
    (tmp_path / "a.py").write_text(text)
    report = listed(tmp_path).report
    assert [f.record["name"] for f in report.findings] == ["f1", "f0", "f2"]
    assert [f.reasons[0].text[:11] for f in report.findings] == [
        "rank 1 of 3", "rank 2 of 3", "rank 3 of 3",
    ]  # fmt: skip


def test_comments_exceptions_and_a_baseline_keep_functions_back(code, tmp_path):
    source = code / "views.py"
    source.write_text(VIEWS.replace("def size", "# inoculate: ignore[cwe-78] reviewed\ndef size"))
    outcome = listed(code)
    assert names(outcome) == ["find", "f", "digest"]
    assert outcome.report.n_silenced == 1
    baseline = tmp_path / "known.json"
    listed(code, write_baseline=baseline, most=1)
    again = listed(code, baseline=baseline)
    assert names(again) == []
    assert again.report.n_baseline == 3
    wanted = tmp_path / "exceptions.toml"
    finding = outcome.report.findings[0]
    wanted.write_text(
        f'[[exception]]\nthreat = "cwe-89"\nfinding = "{finding.finding_id}"\nauthor = "ann"\n'
        'reason = "reviewed"\nexpires = 2999-01-01\n'
    )
    kept = listed(code, exceptions=wanted)
    assert names(kept) == ["f", "digest"]
    assert kept.report.n_excepted == 1


def test_tables_and_sarif_mark_the_list_and_promise_nothing(code):
    report = listed(code).report
    table = Table(color=False).end(report)
    assert "not calibrated on your code, no promise of false alarms" in table
    assert "threshold" not in table
    assert "benign" not in table
    run = json.loads(Sarif().end(report))["runs"][0]
    assert {r["level"] for r in run["results"]} == {"note"}
    assert {r["properties"]["precision"] for r in run["tool"]["driver"]["rules"]} == {"low"}
    assert {r["defaultConfiguration"]["level"] for r in run["tool"]["driver"]["rules"]} == {"note"}
    assert all("no promise of false alarms" in r["message"]["text"] for r in run["results"])
    assert "benign" not in json.dumps(run)
    first = run["results"][0]
    lines = [
        place["location"]["physicalLocation"]["region"]["startLine"]
        for place in first["codeFlows"][0]["threadFlows"][0]["locations"]
    ]
    assert lines == [6, 7]


def test_it_is_for_code_without_a_detector(code, tmp_path):
    def asks(*sources, asked=None, **more):
        return is_for(ScanRequest(sources=tuple(map(str, sources)), **more), asked=asked)

    (tmp_path / "conn.log").write_text("a,b\n1,2\n")
    assert asks(code)
    assert asks(code / "views.py")
    assert asks(tmp_path / "nothing", code)
    assert asks("-", format="source")
    assert asks(tmp_path / "conn.log", asked=True)
    assert not asks(code, asked=False)
    assert not asks(tmp_path / "conn.log")
    assert not asks("-")
    assert not asks(code, detector=tmp_path / "a.detector")
    with pytest.raises(InputError, match="without a detector"):
        asks(code, detector=tmp_path / "a.detector", asked=True)


@pytest.mark.parametrize(
    ("more", "said"),
    [({"most": 0}, "--most is 0"), ({"fail_on": 0.001}, "--fail-on is a rate")],
)
def test_what_a_list_cannot_do_is_refused(code, more, said):
    with pytest.raises(InputError, match=said):
        listed(code, **more)


def test_a_source_that_cannot_be_read_does_not_keep_others_from_it(code, tmp_path):
    outcome = triage(ScanRequest(sources=(str(tmp_path / "gone.py"), str(code))))
    assert len(outcome.errors) == 1
    assert names(outcome)[0] == "find"
    assert outcome.report.errors


def test_real_code_is_listed_the_same_each_time_and_without_alarm(tmp_path):
    import email
    from pathlib import Path

    folder = Path(email.__file__).parent
    one, two = (triage(ScanRequest(sources=(str(folder),)), most=500) for _ in range(2))
    assert one.report.findings == two.report.findings
    assert one.report.n_records > 300
    assert len(one.report.findings) < one.report.n_records / 20
