"""Reads commits of a git repository: which files each changed, as they were before and after.

The repository may be hostile, its settings too. Only three of git's commands run, none of which
looks at the working tree: ``rev-parse``, ``diff-tree --raw`` and ``cat-file``. So no hook, no
fsmonitor, no filter, no text conversion and no external diff has an occasion; all are switched
off besides. A partial clone would fetch what it lacks, by a program that its settings name: no
protocol is allowed, whatever the settings say. Objects replaced by others are read as they were.
Settings of the user's own stay in force, ``safe.directory`` above all, the system's do not.

Sizes, numbers of files, and time are bounded.

References:
    git-config(1), ``core.fsmonitor``, ``diff.external``, ``protocol.allow``; git(1),
    ``GIT_ALLOW_PROTOCOL``, which settings cannot override; gitrevisions(7). Departure: no
    revision by message or by path (``:/text``, ``HEAD:file``).
"""

import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from inoculate.errors import InputError, MissingExtraError

_REVISION = re.compile(r"[\w@][\w./@{}^~+#-]{0,199}", re.ASCII)
_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_FILE_MODES = frozenset((b"100644", b"100755"))
_MOST_LISTED = 16 << 20
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.allow=never",
)


@dataclass(frozen=True, slots=True)
class GitLimits:
    """What reading a history may cost.

    Attributes:
        file_bytes: larger files are left out.
        files: changed files of one commit; the others are left out.
        all_bytes: all files of one commit together.
        seconds: for one command.
    """

    file_bytes: int = 1_000_000
    files: int = 500
    all_bytes: int = 256 << 20
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Changed:
    """A file that a commit changed: its path, and its bytes before and after."""

    path: str
    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class _Entry:
    path: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class GitHistory:
    """The history of one repository.

    Args:
        folder: the repository, or a folder in it.
        limits: what reading may cost.
    """

    folder: str
    limits: GitLimits = GitLimits()

    def commit(self, revision: str) -> str:
        """Return the full id of the commit a revision names.

        Raises:
            InputError: no such commit, not a repository, or not a plain revision.
            MissingExtraError: there is no git on this machine.
        """
        if not _REVISION.fullmatch(revision) or "{/" in revision:
            raise InputError(f"{revision!r} is no revision: expected a commit id, a tag, a branch")
        return self._parsed(f"{revision}^{{commit}}", f"no commit {revision}")

    def parent(self, commit: str) -> str:
        """Return the id of a commit's first parent.

        Raises:
            InputError: it has none, as the first commit and the last of a shallow clone.
        """
        return self._parsed(f"{_checked(commit)}^1", f"no commit before {commit[:12]}")

    def changes(self, commit: str, left_out: list[str]) -> Iterator[Changed]:
        """Yield the files that a commit changed, against its first parent, in order of paths.

        Files that are new, gone, renamed, links or submodules have no before and after.

        Args:
            commit: its full id.
            left_out: takes a word on each file that is too large or beyond the limits.

        Raises:
            InputError: it cannot be read, or has no parent.
        """
        listed = self._run(
            ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-ext-diff", "--no-textconv"],
            [self.parent(commit), _checked(commit)],
        )
        entries = _entries(listed)
        left_out += ["beyond the first files of a large commit"] * (
            len(entries) - self.limits.files
        )
        entries = entries[: self.limits.files]
        wanted = [i for entry in entries for i in (entry.before, entry.after)]
        blobs = self._blobs(wanted)
        for entry in entries:
            before, after = blobs.get(entry.before), blobs.get(entry.after)
            if before is None or after is None:
                left_out.append("too large, or not in this clone")
            else:
                yield Changed(entry.path, before, after)

    def _parsed(self, name: str, problem: str) -> str:
        arguments = ["--verify", "--quiet", "--end-of-options", name]
        found = self._run(["rev-parse"], arguments, may_fail=problem).decode().strip()
        if not _ID.fullmatch(found):
            raise InputError(f"{self.folder}: {problem}")
        return found

    def _blobs(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Return the files by id, without those that are too large or missing."""
        asked = "".join(f"{i}\n" for i in dict.fromkeys(ids)).encode()
        lines = self._run(["cat-file"], ["--batch-check"], asked).decode().splitlines()
        small, total = [], 0
        for line in lines:
            parts = line.split()
            size = int(parts[2]) if len(parts) == 3 and parts[1] == "blob" else -1
            if 0 <= size <= self.limits.file_bytes and total + size <= self.limits.all_bytes:
                small.append((parts[0], size))
                total += size
        asked = "".join(f"{i}\n" for i, _ in small).encode()
        most = total + 200 * len(small) + 1
        data = self._run(["cat-file"], ["--batch"], asked, most=most)
        return dict(_contents(data, small, self.folder))

    def _run(
        self,
        command: Sequence[str],
        arguments: Sequence[str],
        given: bytes = b"",
        *,
        most: int = _MOST_LISTED,
        may_fail: str | None = None,
    ) -> bytes:
        """Return what one git command prints.

        Raises:
            InputError: it fails, takes too long or prints more than ``most`` bytes.
        """
        program = shutil.which("git")
        if program is None:
            raise MissingExtraError("reading a history needs git, which is not installed")
        if not Path(self.folder).is_dir():
            raise InputError(f"{self.folder}: no such folder, expected a git repository")
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        options = ["--no-pager", "--no-replace-objects", "--literal-pathspecs"]
        where = str(Path(self.folder).absolute())
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stderr:
            stdin.write(given)
            stdin.seek(0)
            process = subprocess.Popen(  # noqa: S603 - a list, and no word of it is an option
                [program, *options, *settings, "-C", where, *command, *arguments],
                stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, env=_environment(),
            )  # fmt: skip
            out, in_time = _output(process, most, self.limits.seconds)
            stderr.seek(0)
            said = stderr.read(2_000).decode("utf-8", "replace").strip()
        if not in_time or len(out) > most:
            what = f"took over {self.limits.seconds:g} s" if not in_time else "found too much"
            raise InputError(f"{self.folder}: git {command[0]} {what}")
        if process.returncode:
            said = said.splitlines()[0] if said else may_fail or f"git {command[0]} failed"
            raise InputError(f"{self.folder}: {said}")
        return out


def _output(process: "subprocess.Popen[bytes]", most: int, seconds: float) -> tuple[bytes, bool]:
    """Return what a process prints, at most one byte more than ``most``, and if it was in time."""
    late = threading.Event()

    def stop() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(seconds, stop)
    timer.start()
    try:
        with process:
            assert process.stdout is not None  # noqa: S101 - for the type checker
            out = process.stdout.read(most + 1)
            if len(out) > most:
                process.kill()
    finally:
        timer.cancel()
        process.kill()
    return out, not late.is_set()


def _environment() -> dict[str, str]:
    """Return the environment less what steers git; nothing may be fetched or asked for."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    return kept | {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
    }


def _checked(commit: str) -> str:
    if not _ID.fullmatch(commit):
        raise InputError(f"{commit!r} is no commit id")
    return commit


def _entries(listed: bytes) -> list[_Entry]:
    """Return the files changed in place from ``diff-tree --raw -z``."""
    words = listed.split(b"\0")
    found = []
    for meta, path in zip(words[::2], words[1::2], strict=False):
        old_mode, new_mode, before, after, status = meta.lstrip(b":").split(b" ")
        if status == b"M" and {old_mode, new_mode} <= _FILE_MODES:
            found.append(_Entry(path.decode("utf-8", "replace"), before.decode(), after.decode()))
    return found


def _contents(
    data: bytes, wanted: Sequence[tuple[str, int]], where: str
) -> Iterator[tuple[str, bytes]]:
    """Yield the files from what ``cat-file --batch`` prints."""
    at = 0
    for name, size in wanted:
        start = data.find(b"\n", at) + 1
        if data[at:start] != f"{name} blob {size}\n".encode():
            raise InputError(f"{where}: git cat-file did not give {name[:12]}; is it damaged?")
        yield name, data[start : start + size]
        at = start + size + 1
