"""Findings in code: those that a comment silences, and where they begin and end."""

import json

import numpy as np
import pytest

from inoculate.domain import Batch
from inoculate.domains.code.source import SourceCode
from inoculate.reading.origins import Root, fingerprint
from inoculate.render.sarif import Sarif
from inoculate.workflows.adapt import AdaptRequest, adapt
from inoculate.workflows.scan import ScanRequest, scan

VERBS, NOUNS = ("read", "write", "send", "count", "merge", "close"), ("user", "page", "cart", "row")


def usual(rng, i):
    verb, noun = rng.choice(VERBS), rng.choice(NOUNS)
    lines = [
        f"    {noun} = self.{verb}_{rng.choice(NOUNS)}({noun}, {rng.integers(9)})",
        f"    if {noun} is None:\n        return {rng.integers(9)}",
        f"    for item in {noun}.items():\n        item.{verb}(total)",
        f"    total = len({noun}) + {rng.integers(99)}",
        f"    log.info('{verb} %s', {noun})",
    ]
    body = "\n".join(rng.permutation(lines)[: rng.integers(2, 5)])
    return f"def {verb}_{noun}_{i}(self, {noun}):\n{body}\n    return {noun}\n"


def bad(i, comment="", above=""):
    return (
        f"{above}def run_{i}(request):{comment}\n"
        f"    name = request.args['name{i}']\n"
        f"    return os.system('convert ' + name + ' -o {i}.png')\n"
    )


def write(path, functions):
    path.write_text("import os\n\n\n" + "\n\n".join(functions))
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a detector of calls of a shell, made of 5 of them and 300 other functions."""
    made = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(1)
    examples = write(made / "examples.py", [bad(i) for i in range(5)])
    background = write(made / "background.py", [usual(rng, i) for i in range(300)])
    adapt(
        AdaptRequest(
            examples=(examples,), background=(background,), out=made / "cwe-78.detector",
            threats=("CWE-78",), learner="k_nearest",
        )
    )  # fmt: skip
    return made


def scanned(folder, path, **more):
    request = ScanRequest(
        sources=(path,), detector=folder / "cwe-78.detector", false_alarms=0.01, **more
    )
    return scan(request).report


def names(report):
    return [f.record["name"] for f in report.findings]


COMMENTS = {
    "first line": bad(1, comment="  # inoculate: ignore[cwe-78] reviewed by Ann"),
    "line above": bad(1, above="# inoculate: ignore[CWE-78] reviewed by Ann\n"),
    "inside": bad(1, comment="\n    # inoculate: ignore[other, *] reviewed by Ann"),
}


@pytest.mark.parametrize("function", COMMENTS.values(), ids=COMMENTS)
def test_a_comment_with_a_reason_silences_the_function_it_is_at(folder, tmp_path, function):
    path = write(tmp_path / "a.py", [function, bad(2)])
    report = scanned(folder, path)
    assert names(report) == ["run_2"]
    assert report.n_findings == 1 and report.n_silenced == 1 and not report.notes
    ((finding, reason),) = report.silenced
    assert (finding.record["name"], reason) == ("run_1", "reviewed by Ann")
    assert names(scanned(folder, path, suppress=False)) == ["run_1", "run_2"]


def test_a_comment_without_reason_or_rule_is_told_of_and_silences_nothing(folder, tmp_path):
    functions = [
        bad(1, comment="  # inoculate: ignore[*]"),
        bad(2, comment="  # inoculate: ignore this"),
    ]
    path = write(tmp_path / "a.py", functions)
    report = scanned(folder, path)
    assert names(report) == ["run_1", "run_2"] and report.n_silenced == 0
    assert report.notes == (
        f"{path}:4: ignore[*] has no reason and silences nothing",
        f"{path}:9: names no rule, as in ignore[*], and silences nothing",
    )


def test_a_comment_for_another_rule_or_in_a_text_silences_nothing(folder, tmp_path):
    functions = [
        bad(1, comment="  # inoculate: ignore[cwe-79] no"),
        bad(2, comment="\n    '# inoculate: ignore[*] no'"),
        bad(3) + "\n# inoculate: ignore[*] too early\n",
    ]
    report = scanned(folder, write(tmp_path / "a.py", functions))
    assert names(report) == ["run_1", "run_2", "run_3"]


def test_comments_that_were_not_needed_are_told_of(folder, tmp_path):
    rng = np.random.default_rng(2)
    path = write(
        tmp_path / "a.py",
        ["# inoculate: ignore[cwe-78] gone\n" + usual(rng, 1), "# inoculate: ignore[x] of others"],
    )
    (tmp_path / "b.py").write_text("\n# inoculate: ignore[*] far away\n\n\n" + bad(1))
    report = scanned(folder, path)
    assert report.notes == (f"{path}:4: ignore[cwe-78] was not needed",)
    away = scanned(folder, str(tmp_path / "b.py"))
    assert away.n_findings == 1 and "b.py:2: ignore[*] was not needed" in away.notes[0]


def test_silenced_findings_are_in_sarif_as_suppressed_and_no_baseline_holds_them(folder, tmp_path):
    path = write(tmp_path / "a.py", [COMMENTS["first line"], bad(2)])
    target = tmp_path / "known.json"
    report = scanned(folder, path, write_baseline=target)
    (run,) = json.loads(Sarif().end(report))["runs"]
    told = [r.get("suppressions") for r in run["results"]]
    assert told == [None, [{"kind": "inSource", "justification": "reviewed by Ann"}]]
    assert run["properties"]["silenced"] == 1 and run["properties"]["findings"] == 1
    assert len(json.loads(target.read_text())["findings"]) == 1


def test_sarif_has_the_last_line_and_the_way_of_the_data(folder, tmp_path):
    path = write(tmp_path / "a.py", [bad(1)])
    report = scanned(folder, path)
    (run,) = json.loads(Sarif().end(report))["runs"]
    (result,) = run["results"]
    region = result["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 4, "endLine": 6}
    flows = result.get("codeFlows", [])
    assert all(
        4 <= step["location"]["physicalLocation"]["region"]["startLine"] <= 6
        for flow in flows
        for step in flow["threadFlows"][0]["locations"]
    )
    assert ("->" in result["message"]["text"]) == bool(flows)


def test_ids_and_fingerprints_do_not_tell_where_a_function_ends(folder, tmp_path):
    path = write(tmp_path / "a.py", [bad(1)])
    (before,) = scanned(folder, path).findings
    write(tmp_path / "a.py", [bad(1) + "    # more\n    return 1\n"])
    (longer,) = scanned(folder, path).findings
    assert longer.record["end_line"] > before.record["end_line"]
    assert longer.finding_id == before.finding_id
    write(tmp_path / "a.py", ["import re\n", bad(1)])
    (moved,) = scanned(folder, path).findings
    assert moved.origin != before.origin
    assert fingerprint(moved, Root.here()) == fingerprint(before, Root.here())


def test_what_a_frame_lacks_keeps_nothing_back(folder, tmp_path):
    path = write(tmp_path / "a.py", [COMMENTS["first line"]])
    from inoculate.reading.sources import open_source
    from inoculate.store.detector import load_detector
    from inoculate.workflows.comments import Comments
    from inoculate.workflows.scan import detector_scanner

    scanner = detector_scanner(load_detector(folder / "cwe-78.detector"), 0.01)
    scanner.comments = Comments("cwe-78", (), 10)
    with open_source(path) as source:
        (batch,) = SourceCode().read(source)
    assert not scanner.scan(SourceCode(), batch)
    assert len(scanner.scan(SourceCode(), Batch(batch.frame.drop("ignores")))) == 1
