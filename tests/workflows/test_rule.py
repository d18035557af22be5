"""A rule is written only where its tool agrees, and refused where it says nothing in general."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from inoculate.errors import ArtifactError, InputError, NotFoundError
from inoculate.rule import Replay
from inoculate.rules.sigma import Sigma
from inoculate.workflows.adapt import AdaptRequest, adapt
from inoculate.workflows.rule import RuleRequest, make_rule

HOSTS = ("WKS1", "WKS2", "DC01")


def event(number, command, host, **fields):
    return {
        "EventID": number, "Channel": "Security", "Hostname": f"{host}.corp.local",
        "SubjectUserName": f"ann{host}", "CommandLine": command, **fields,
    }  # fmt: skip


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Events: three that delete shadow copies, 240 benign ones, and a detector of the three."""
    folder = tmp_path_factory.mktemp("rule")
    rng = np.random.default_rng(0)
    words = ["dir", "notepad", "ping", "ipconfig /all", "net use", "whoami", "vssadmin list"]
    benign = [
        event(4688, f"cmd /c {rng.choice(words)} {rng.integers(99)}", rng.choice(HOSTS))
        for _ in range(240)
    ]
    threat = [
        event(4688, f"cmd /c vssadmin {way} shadows /all {i}", HOSTS[i])
        for i, way in enumerate(("delete", "Delete", "DELETE"))
    ]
    write(folder / "benign.jsonl", benign)
    write(folder / "threat.jsonl", threat)
    adapt(
        AdaptRequest(
            examples=(str(folder / "threat.jsonl"),), threats=("shadows",),
            background=(str(folder / "benign.jsonl"),), out=folder / "shadows.detector",
            learner="k_nearest",
        )
    )  # fmt: skip
    return folder


def request(folder, **more):
    return RuleRequest(
        **{
            "detector": folder / "shadows.detector", "format": "sigma",
            "examples": (str(folder / "threat.jsonl"),),
            "background": (str(folder / "benign.jsonl"),),
        } | more
    )  # fmt: skip


def test_a_rule_matches_every_example_and_its_alarms_are_counted(folder):
    report = make_rule(request(folder))
    assert (report.examples, report.alarms, report.unseen) == (3, (0, 240), (0, 120))
    assert (report.left_out.found, report.left_out.n) == (3, 3)
    assert report.tool.startswith("pySigma")
    assert "delete" in report.text or "shadows" in report.text


def test_the_rule_tells_of_what_it_was_made_without_the_folder(folder):
    text = make_rule(request(folder)).text
    for name in ("threat.jsonl", "benign.jsonl"):
        assert f"{name} (sha256 {hashlib.sha256((folder / name).read_bytes()).hexdigest()})" in text
    assert "inoculate rule shadows.detector --format sigma" in text
    assert str(folder) not in text and "status: experimental" in text
    assert "matches 0 of 240 background events" in text


def test_the_same_request_gives_the_same_rule(folder):
    assert make_rule(request(folder)).text == make_rule(request(folder)).text


def test_a_contrary_record_is_not_matched(folder, tmp_path):
    alike = event(4688, "cmd /c vssadmin delete shadows /all /quiet", "WKS1")
    contrary = write(tmp_path / "fixed.jsonl", [alike])
    report = make_rule(request(folder, contrary=(contrary,)))
    assert report.alarms[0] == 0
    assert any(not t.holds for clause in report.rule.clauses for t in clause)


@pytest.mark.parametrize("secret", ["198.51.100.7", "d41d8cd98f00b204e9800998ecf8427e", "WKS1"])
def test_a_rule_keyed_to_one_host_address_or_hash_is_refused(folder, tmp_path, secret):
    rows = [event(4688, f"cmd /c dir {secret}", "WKS1")] * 3
    background = [event(4688, f"cmd /c dir {i}", "DC01") for i in range(240)]
    with pytest.raises(InputError, match="such a rule is refused"):
        make_rule(
            request(
                folder,
                examples=(write(tmp_path / "keyed.jsonl", rows),),
                background=(write(tmp_path / "others.jsonl", background),),
            )
        )


def test_examples_like_the_background_get_no_rule(folder, tmp_path):
    rows = [event(4688, f"cmd /c dir {i}", host) for i, host in enumerate(HOSTS)]
    same = write(tmp_path / "same.jsonl", rows)
    background = write(tmp_path / "dirs.jsonl", [r | {"CommandLine": "cmd /c dir 1"} for r in rows])
    with pytest.raises(InputError, match="no rule of bounded size separates the examples"):
        make_rule(request(folder, examples=(same,), background=(background,)))


def test_what_holds_for_these_examples_alone_is_no_rule(folder, tmp_path):
    pairs = ("alphabetic betaworld", "betaworld gammarays", "gammarays alphabetic")
    rows = [event(4688, f"cmd /c {pair} zet", "WKS1") for pair in pairs]
    with pytest.raises(InputError, match="0 of 3 examples left out"):
        make_rule(request(folder, examples=(write(tmp_path / "four.jsonl", rows),)))


def test_a_rule_that_the_tool_reads_otherwise_is_not_written(folder, monkeypatch):
    def blind(self, text, rule, records):
        return Replay(np.zeros(len(records), bool), "a blind tool")

    monkeypatch.setattr(Sigma, "replay", blind)
    with pytest.raises(InputError, match="a blind tool reads it otherwise"):
        make_rule(request(folder))


def test_more_alarms_of_the_tool_than_promised_are_no_rule(folder, monkeypatch):
    def eager(self, text, rule, records):
        return Replay(np.ones(len(records), bool), "an eager tool")

    monkeypatch.setattr(Sigma, "replay", eager)
    with pytest.raises(InputError, match="240 of 240 background records"):
        make_rule(request(folder))


def test_what_a_request_lacks_is_said(folder):
    with pytest.raises(InputError, match="try --format sigma"):
        make_rule(request(folder, format="yara"))
    with pytest.raises(NotFoundError, match="no rules plugin 'nonsense'"):
        make_rule(request(folder, format="nonsense"))
    with pytest.raises(InputError, match="it has shadows"):
        make_rule(request(folder, threat="other"))
    with pytest.raises(InputError, match="expected 0 to below 1"):
        make_rule(request(folder, false_alarms=1.0))


def test_a_prior_is_no_detector(folder):
    with pytest.raises((ArtifactError, NotFoundError)):
        make_rule(request(folder, detector=folder / "nothing.detector"))


def test_background_that_holds_the_examples_is_used_without_them(folder, tmp_path):
    both = (folder / "benign.jsonl").read_text() + (folder / "threat.jsonl").read_text()
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_text(
        "".join(
            json.dumps(json.loads(line) | {"label": "shadows" if "hadow" in line else ""}) + "\n"
            for line in both.splitlines()
        )
    )
    report = make_rule(
        request(folder, examples=(str(mixed),), background=(str(mixed),), label="label")
    )
    assert report.examples == 3 and report.alarms == (0, 240)


@pytest.mark.skipif(shutil.which("suricata") is None, reason="no suricata here")
def test_a_flow_gets_no_rule_and_the_reason(flow_detector):
    with pytest.raises(InputError, match="only grow"):
        make_rule(
            RuleRequest(
                detector=flow_detector, format="suricata",
                examples=(str(flow_detector.parent / "few.log"),),
                background=(str(flow_detector.parent / "week.log"),),
            )
        )  # fmt: skip
