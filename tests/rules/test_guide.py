"""The guide to rules is true: its commands run on the files that it shows."""

import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

from inoculate.cli.main import app
from inoculate.registry import RULES

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "rules.md").read_text()


def test_its_commands_run_and_print_what_it_shows(tmp_path, monkeypatch):
    few, report = re.findall(r"```text\n(.*?)```", GUIDE, re.S)
    (tmp_path / "few.txt").write_text(few)
    week = [f"curl -s http://10.0.0.{i}/status -o out" for i in range(60)] + ["git commit -s"] * 60
    (tmp_path / "week.txt").write_text("\n".join(week) + "\n")
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```console\n(.*?)```", GUIDE, re.S)
    for line in block.splitlines():
        words = shlex.split(line.removeprefix("$ inoculate "))
        done = CliRunner().invoke(app, words, standalone_mode=False)
        assert done.exception is None, (line, done.exception)
    said = [line.removeprefix("inoculate: ") for line in done.stderr.splitlines()]
    versions = re.compile(r"\d+\.\d+\.\d+")
    assert [versions.sub("", line) for line in said] == [
        versions.sub("", line) for line in report.splitlines()
    ]
    assert (tmp_path / "pipe.yml").read_text().startswith("title:")


def test_it_tells_of_every_language():
    assert all(f"| `{name}` |" in GUIDE for name in RULES.names())
