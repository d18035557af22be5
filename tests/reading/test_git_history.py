"""Histories: what a commit changed, bounded, and nothing of a hostile repository runs."""

import pytest

from inoculate.errors import InputError, MissingExtraError
from inoculate.reading import git_history
from inoculate.reading.git_history import Changed, GitHistory, GitLimits
from tests.workflows.pair_maker import commit, git


@pytest.fixture
def repository(tmp_path):
    return tmp_path / "repository"


def changed(repository, revision="HEAD", limits=None):
    history = GitHistory(str(repository), limits or GitLimits())
    left_out = []
    return list(history.changes(history.commit(revision), left_out)), left_out


def test_a_commit_is_its_files_before_and_after(repository):
    commit(repository, {"a.py": b"one\n", "sub/\xff b.c": b"\0old", "same.py": b"x"})
    commit(repository, {"a.py": b"two\n", "sub/\xff b.c": b"\0new", "new.py": b"y"})
    found, left_out = changed(repository)
    assert found == [
        Changed("a.py", b"one\n", b"two\n"),
        Changed("sub/\xff b.c", b"\0old", b"\0new"),
    ]
    assert left_out == []


def test_links_and_files_that_moved_have_no_before_and_after(repository):
    commit(repository, {"a.py": b"one\n" * 50, "b.py": b"1"})
    (repository / "b.py").unlink()
    (repository / "b.py").symlink_to("a.py")
    (repository / "a.py").rename(repository / "c.py")
    commit(repository, {})
    assert changed(repository)[0] == []


def test_large_files_and_the_last_files_of_a_large_commit_are_left_out(repository):
    commit(repository, {"a": b"1", "b": b"2", "c": b"3", "d": b"4"})
    commit(repository, {"a": b"1" * 2000, "b": b"22", "c": b"33", "d": b"44"})
    found, left_out = changed(repository, limits=GitLimits(file_bytes=1000, files=3))
    assert [c.path for c in found] == ["b", "c"]
    assert sorted(left_out) == [
        "beyond the first files of a large commit", "too large, or not in this clone",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "revision",
    ["-h", "--all", "", "HEAD:a", ":/one", "HEAD^{/one}", "a b", "a\nb", "x" * 300, "$(id)", "a;b"],
)
def test_what_is_no_plain_revision_is_refused_before_git_sees_it(repository, monkeypatch, revision):
    monkeypatch.setattr(GitHistory, "_run", lambda *_, **__: pytest.fail("git ran"))
    with pytest.raises(InputError, match="is no revision"):
        GitHistory(str(repository)).commit(revision)


def test_an_unknown_commit_and_the_first_one_are_one_clear_line(repository):
    first = commit(repository, {"a": b"1"})
    with pytest.raises(InputError, match=r"repository: no commit v9$"):
        changed(repository, "v9")
    with pytest.raises(InputError, match=f"no commit before {first[:12]}$"):
        changed(repository, first)
    with pytest.raises(InputError, match="is no commit id"):
        list(GitHistory(str(repository)).changes("HEAD", []))


def test_a_folder_without_repository_and_a_machine_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(InputError, match="not a git repository"):
        GitHistory(str(tmp_path)).commit("HEAD")
    monkeypatch.setattr(git_history.shutil, "which", lambda _: None)
    with pytest.raises(MissingExtraError, match="needs git"):
        GitHistory(str(tmp_path)).commit("HEAD")


def test_no_setting_of_a_hostile_repository_runs_anything(repository, tmp_path):
    commit(repository, {"a.py": b"one\n", ".gitattributes": b"*.py diff=bad filter=bad\n"})
    commit(repository, {"a.py": b"two\n"})
    ran = tmp_path / "ran"
    program = tmp_path / "bad.sh"
    program.write_text(f"#!/bin/sh\necho $0 >> {ran}\ncat\n")
    program.chmod(0o755)
    for setting in (
        "core.fsmonitor", "core.pager", "core.editor", "diff.external", "diff.bad.textconv",
        "diff.bad.command", "filter.bad.smudge", "filter.bad.clean", "core.sshCommand",
        "credential.helper", "core.alternateRefsCommand", "gpg.program", "pager.diff-tree",
        "alias.diff-tree", "remote.origin.uploadpack",
    ):  # fmt: skip
        git(repository, "config", setting, str(program))
    git(repository, "config", "core.hooksPath", str(tmp_path))
    git(repository, "config", "log.showSignature", "true")
    (found,) = changed(repository)[0]
    assert (found.before, found.after) == (b"one\n", b"two\n")
    assert not ran.exists()


def test_a_partial_clone_fetches_nothing_and_what_it_lacks_is_left_out(repository, tmp_path):
    commit(repository, {"a.py": b"one\n", "b.py": b"1\n"})
    commit(repository, {"a.py": b"two\n", "b.py": b"2\n"})
    lost = git(repository, "rev-parse", "HEAD:a.py")
    (repository / ".git" / "objects" / lost[:2] / lost[2:]).unlink()
    ran = tmp_path / "ran"
    for key, value in (
        ("core.repositoryformatversion", "1"), ("extensions.partialClone", "origin"),
        ("remote.origin.url", f"ext::sh -c touch% {ran}"), ("remote.origin.promisor", "true"),
        ("protocol.ext.allow", "always"), ("protocol.allow", "always"),
    ):  # fmt: skip
        git(repository, "config", key, value)
    try:
        found, left_out = changed(repository)
    except InputError as err:
        assert "repository: " in str(err)
    else:
        assert ([c.path for c in found], len(left_out)) == (["b.py"], 1)
    assert not ran.exists()


def test_replaced_objects_are_read_as_they_were_and_the_environment_steers_nothing(
    repository, tmp_path, monkeypatch
):
    commit(repository, {"a.py": b"one\n"})
    second = commit(repository, {"a.py": b"two\n"})
    git(repository, "replace", git(repository, "rev-parse", "HEAD:a.py"),
        git(repository, "rev-parse", "HEAD^:a.py"))  # fmt: skip
    other = tmp_path / "other"
    commit(other, {"a.py": b"other\n"})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert GitHistory(str(repository)).commit("HEAD") == second
    assert [c.after for c in changed(repository)[0]] == [b"two\n"]


def test_a_command_that_takes_too_long_or_says_too_much_is_stopped(
    repository, tmp_path, monkeypatch
):
    commit(repository, {"a.py": b"one\n"})
    slow, loud = tmp_path / "slow", tmp_path / "loud"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    loud.write_text("#!/bin/sh\nexec yes\n")
    for program, words in ((slow, r"took over 0\.2 s"), (loud, "found too much")):
        program.chmod(0o755)
        monkeypatch.setattr(git_history.shutil, "which", lambda _, p=program: str(p))
        limits = GitLimits(seconds=0.2 if program == slow else 30)
        with pytest.raises(InputError, match=words):
            GitHistory(str(repository), limits).commit("HEAD")
