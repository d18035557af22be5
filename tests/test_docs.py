"""The documentation is true: its commands run, its names exist, its links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from inoculate import errors
from inoculate.cli.main import app
from inoculate.registry import DOMAINS, LEARNERS, RENDERERS, RULES
from inoculate.store.artifact import load
from tests.workflows.pair_maker import commit, git, write_pair

ROOT = Path(__file__).parent.parent
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_readme_s_console_commands_run(tmp_path, monkeypatch):
    (block,) = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (tmp_path / "src").symlink_to(ROOT / "src")
    monkeypatch.chdir(tmp_path)
    commands = [line.removeprefix("$ inoculate ") for line in block.splitlines()]
    assert len(commands) == 5
    for command in commands:
        result = CliRunner().invoke(app, shlex.split(command), standalone_mode=False)
        assert result.exception is None, (command, result.exception)
        assert result.return_value in (0, 1), (command, result.output)
    assert (tmp_path / "findings.jsonl").read_text().count("\n") > 10


def test_the_guide_to_code_runs_with_the_files_that_it_shows(tmp_path, monkeypatch):
    text = (ROOT / "docs" / "guides" / "code.md").read_text()
    old, new = re.findall(r"```python\n(.*?)```", text, re.S)
    (told,) = re.findall(r"```json\n(.*?)```", text, re.S)
    write_pair(tmp_path / "fixes", "1", old, new)
    (tmp_path / "told.jsonl").write_text(told)
    (tmp_path / "src").symlink_to(ROOT / "src" / "inoculate" / "reading")
    for side in (old, new):
        commit(tmp_path / "shop", {"db.py": side})
    git(tmp_path / "shop", "tag", "v1.0.1")
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```console\n(.*?)```", text, re.S)
    commands = [line.removeprefix("$ inoculate ") for line in block.splitlines()]
    shown = {}
    for command in commands:
        result = CliRunner().invoke(app, shlex.split(command), standalone_mode=False)
        assert result.exception is None, (command, result.exception)
        assert result.return_value in (0, 1), (command, result.output)
        shown[command.split()[0]] = result.output
    assert "fixes: 1 pair, sha256" in shown["show"]
    classes = [load(tmp_path / f"{name}.detector").manifest.classes for name in ("told", "shop")]
    assert classes == [("cwe-78",), ("cwe-89",)]


def test_the_guide_to_fuzzing_runs_with_the_files_that_it_shows(tmp_path, monkeypatch):
    pytest.importorskip("atheris", reason="atheris has no wheel for this platform; the extra fuzz")
    text = (ROOT / "docs" / "guides" / "fuzzing.md").read_text()
    (module,) = re.findall(r"```python\n(.*?)```", text, re.S)
    (seed,) = re.findall(r"```text\n(.*?)```", text, re.S)
    (tmp_path / "notes.py").write_text(module)
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "first").write_text(seed)
    (tmp_path / "src").symlink_to(ROOT / "src" / "inoculate" / "reading")
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```console\n(.*?)```", text, re.S)
    for line in block.splitlines():
        command = shlex.split(line.removeprefix("$ inoculate "))
        result = CliRunner().invoke(app, command, standalone_mode=False)
        assert result.exception is None, (line, result.exception)
        assert result.return_value == (0 if command[0] == "adapt" else 1), (line, result.output)
    shortest = (tmp_path / "out" / "findings" / "1" / "input").read_bytes()
    assert b"pair:" in shortest and len(shortest) <= len(seed)  # how short: 10 seconds' work
    assert load(tmp_path / "sibling.detector").manifest.classes == ("cwe-129",)


@pytest.mark.parametrize("page", DOCS, ids=lambda p: p.name)
def test_links_inside_the_project_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_exit_code_is_documented_and_no_other():
    table = (ROOT / "docs" / "commands.md").read_text()
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.M)}
    classes = [c for c in vars(errors).values() if isinstance(c, type)]
    assert documented == {c.exit_code for c in classes if hasattr(c, "exit_code")} | {0, 1, 130}


def test_every_command_is_documented():
    table = (ROOT / "docs" / "commands.md").read_text()
    for command in app.registered_commands:
        assert f"`inoculate {command.name}`" in table


def test_every_plugin_says_what_it_is_in_one_line():
    for registry in (DOMAINS, LEARNERS, RENDERERS, RULES):
        for name in registry.names():
            first = (registry.load(name).__doc__ or "").splitlines()[0]
            assert 10 < len(first) < 100, name


def test_every_error_that_is_raised_on_purpose_is_in_the_tree():
    assert errors.__doc__ is not None
    for name, cls in vars(errors).items():
        if isinstance(cls, type) and issubclass(cls, errors.InoculateError):
            assert name in errors.__doc__


@pytest.mark.parametrize("folder", ["src", "lab", "benchmarks"])
def test_no_file_is_longer_than_400_lines(folder):
    for path in (ROOT / folder).rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 400, path
