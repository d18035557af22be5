"""``inoculate bench`` at the terminal."""

import pytest
from typer.testing import CliRunner

from inoculate.cli.main import app
from inoculate.errors import InputError


def invoke(*arguments):
    return CliRunner().invoke(app, ["bench", *arguments], standalone_mode=False)


def test_it_prints_a_line_a_table_and_where_the_report_lies(tmp_path, monkeypatch):
    monkeypatch.setenv("INOCULATE_DATA", str(tmp_path / "nowhere"))
    result = invoke(
        "--output", str(tmp_path / "o"), "--only", "*/detect/5", "--learners", "logistic"
    )
    assert result.exception is None
    assert result.return_value == 0
    assert "never-seen/detect/5 recall: logistic 0." in result.output
    assert "report.html" in result.output


def test_a_prior_needs_a_name_and_a_path(tmp_path):
    result = invoke("--prior", "name", "--output", str(tmp_path))
    assert isinstance(result.exception, InputError)
    assert "NAME=PATH" in str(result.exception)


@pytest.mark.parametrize("size", ["huge", ""])
def test_an_unknown_size_is_refused(size):
    assert invoke("--size", size).exception is not None
