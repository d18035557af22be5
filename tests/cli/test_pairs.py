"""Pairs through the command: what it prints, what ``show`` says, and its errors."""

import pytest

from tests.cli.test_main import run
from tests.workflows.pair_maker import after, before, commit, write_pair


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with two pairs, and a repository whose tags v1, v2 are a fix and a word."""
    folder = tmp_path_factory.mktemp("made")
    for k in range(2):
        write_pair(folder / "fixes", str(k), before(k), after(k))
    commit(folder / "shop", {"db.py": before(), "README.md": "# Shop\n"})
    commit(folder / "shop", {"db.py": after()})
    commit(folder / "shop", {"README.md": "# A shop\n"})
    return folder


def test_pairs_are_told_when_a_detector_is_made_and_when_it_is_shown(made):
    done = run("adapt", "--pairs", "fixes", "--threat", "cwe-89", "-o", "a.detector",
               "--learner", "logistic", cwd=made)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "pairs           cwe-89 (2)" in done.stdout
    assert "no --background: the promise rests on the 2 functions around the fixes" in done.stdout
    shown = run("show", "a.detector", cwd=made).stdout
    assert "pairs           fixes: 2 pairs, sha256" in shown
    assert "background      around the fixes: 2 functions" in shown


def test_a_history_is_told_by_commit_and_one_without_a_changed_function_is_named(made):
    done = run("adapt", "--git", "shop", "--commits", "HEAD~1", "--commits", "HEAD",
               "-o", "cwe-89.detector", "--learner", "logistic", cwd=made)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "pairs           cwe-89 (1)" in done.stdout
    assert "no function changed in shop@" in done.stdout
    assert "files           1 file left out: not code that is read" in done.stdout
    shown = run("show", "cwe-89.detector", cwd=made).stdout
    assert shown.count("shop@") == 2
    assert ": 1 pair, sha256" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--pairs", "nowhere"], "nowhere: no such file"),
        (["--pairs", "shop"], "shop: no pair of a vulnerable and a fixed function"),
        (["--git", "shop", "--commits=--output=x"], "'--output=x' is no revision"),
        (["--git", "shop", "--commits", "v9"], "shop: no commit v9"),
        (["--git", "shop", "--commits", "HEAD~2"], "shop: no commit before "),
        (["--git", "shop"], "--git REPOSITORY and --commits REVISION need each other"),
        (["--pairs", "fixes", "--git", "shop"], "do not go together"),
        ([], "no background"),
        (["--background", "fixes"], "no examples"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(made, words, said):
    done = run("adapt", *words, "-o", "bad.detector", cwd=made)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (made / "bad.detector").exists()
