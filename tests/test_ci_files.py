"""The pre-commit hooks and the GitHub Action: valid, and their scripts do what they say."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from identify.identify import ALL_TAGS
from pre_commit.clientlib import load_manifest

ROOT = Path(__file__).parent.parent
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}


def test_the_hooks_are_a_manifest_that_pre_commit_takes():
    hooks = load_manifest(ROOT / ".pre-commit-hooks.yaml")
    assert [hook["id"] for hook in hooks] == ["inoculate", "inoculate-system"]
    for hook in hooks:
        assert hook["entry"].startswith("inoculate scan")
        assert set(hook["types_or"]) <= ALL_TAGS


def test_the_action_is_one_by_github_s_schema():
    jsonschema.validate(ACTION, get_builtin_schema("vendor.github-actions"))


def test_no_input_is_pasted_into_a_script():
    for step in STEPS.values():
        assert "${{" not in step.get("run", "")
        named = re.findall(r"inputs\.([\w-]+)", json.dumps(step))
        assert set(named) <= set(ACTION["inputs"])


def test_every_input_is_used():
    text = json.dumps(ACTION["runs"])
    assert all(f"inputs.{name}" in text for name in ACTION["inputs"])


@pytest.fixture
def runner(tmp_path):
    """Run a step as the runner does, with an inoculate that tells its arguments."""
    command = tmp_path / "inoculate" / "bin" / "inoculate"
    command.parent.mkdir(parents=True)
    command.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "json.dump(sys.argv[1:], open('told.json', 'w'))\nsys.exit(int(os.environ['ENDS']))\n"
    )
    command.chmod(0o755)

    def run(name, ends=0, **inputs):
        step = STEPS[name]
        known = {f"inputs.{key}": spec["default"] for key, spec in ACTION["inputs"].items()}
        known |= {f"inputs.{key.replace('_', '-')}": value for key, value in inputs.items()}
        known |= {"steps.scan.outputs.exit-code": str(ends)}
        env = {key: known[value.strip("${} ")] for key, value in step["env"].items()}
        env |= {"RUNNER_TEMP": str(tmp_path), "GITHUB_OUTPUT": str(tmp_path / "out")}
        env |= {"PATH": "/usr/bin:/bin", "ENDS": str(ends)}
        script = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        return subprocess.run(script, env=env, cwd=tmp_path, check=False, capture_output=True)

    run.told = lambda: json.loads((tmp_path / "told.json").read_text())
    run.output = lambda: (tmp_path / "out").read_text()
    return run


def test_the_scan_step_passes_only_what_was_given(runner):
    assert runner("Scan").returncode == 0
    assert runner.told() == [
        "scan", "--format=sarif", "--output=inoculate.sarif", "--false-alarms=0.001",
        "--fail-on=any", "--", ".",
    ]  # fmt: skip
    assert runner.output() == "exit-code=0\nsarif-file=inoculate.sarif\n"


def test_the_scan_step_takes_hostile_inputs_as_text(runner):
    evil = '"; touch evil; $(touch evil) `touch evil`'
    inputs = {"detector": evil, "paths": f"src\n\n--output=x\n{evil}", "baseline": "--quiet"}
    inputs |= {"exceptions": "e.toml", "sarif_file": "a\nexit-code=0"}
    assert runner("Scan", ends=1, **inputs).returncode == 0
    told = runner.told()
    assert told[told.index("--") :] == ["--", "src", "--output=x", evil]
    assert told[5:8] == [f"--detector={evil}", "--baseline=--quiet", "--exceptions=e.toml"]
    assert runner.output() == "exit-code=1\nsarif-file=aexit-code=0\n"


def test_the_scan_step_and_the_real_command_understand_each_other(runner, tmp_path):
    rows = [f"{i % 7},{i % 5},{i % 3}" for i in range(200)]
    (tmp_path / "data.csv").write_text("\n".join(["a,b,c", *rows, "9999,9999,9999"]) + "\n")
    command = tmp_path / "inoculate" / "bin" / "inoculate"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m inoculate.cli.main "$@"\n')
    done = runner("Scan", paths="data.csv\n", false_alarms="0.01", fail_on="0.01")
    assert (done.returncode, done.stderr) == (0, b"")
    assert runner.output().startswith("exit-code=1\n")
    (run,) = json.loads((tmp_path / "inoculate.sarif").read_text())["runs"]
    found = [r["locations"][0]["physicalLocation"]["region"]["startLine"] for r in run["results"]]
    assert 202 in found


@pytest.mark.parametrize("code", [0, 1, 2, 130])
def test_the_exit_code_of_the_scan_is_the_verdict(runner, code):
    assert runner("Scan", ends=code).returncode == 0
    assert runner.output().startswith(f"exit-code={code}\n")
    assert runner("Verdict", ends=code).returncode == code


def test_an_incomplete_scan_is_not_uploaded():
    assert "exit-code == '0' ||" in STEPS["Upload"]["if"]
    assert "exit-code == '1')" in STEPS["Upload"]["if"]


def test_the_action_installs_the_torch_that_the_makefile_pins():
    (pinned,) = re.findall(r"^TORCH \?= (\S+)$", (ROOT / "Makefile").read_text(), re.M)
    assert ACTION["inputs"]["torch"]["default"] == pinned
