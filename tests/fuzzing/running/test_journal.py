"""The state of a run on disk: whole or not there, and read back as it was."""

import numpy as np
import pytest

from inoculate.errors import ArtifactError
from inoculate.fuzzing.running.journal import Journal, write_whole


def journal():
    return Journal(
        seconds=12.5, starts=2, triaged={"b", "a"}, attributes={"id:0": [1, 2, -1, 0, 0, [3]]},
        memory={"policy/x": np.arange(3.0), "history/y": np.array([1, 2])}, notes=["n"], mark="m",
    )  # fmt: skip


def test_a_journal_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "journal"
    journal().write(path)
    read = Journal.read(path)
    assert (read.seconds, read.starts, read.triaged) == (12.5, 2, {"a", "b"})
    assert (read.attributes, read.notes, read.mark) == (journal().attributes, ["n"], "m")
    for name, array in journal().memory.items():
        np.testing.assert_array_equal(read.memory[name], array)
    assert [p.name for p in tmp_path.iterdir()] == ["journal"]


def test_without_a_file_it_is_new(tmp_path):
    assert Journal.read(tmp_path / "none").starts == 0


@pytest.mark.parametrize("cut", [0, 5, 8, 60, -1])
def test_a_damaged_journal_is_told_with_its_name(tmp_path, cut):
    path = tmp_path / "journal"
    journal().write(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ArtifactError, match="journal: damaged"):
        Journal.read(path)


def test_a_journal_of_other_words_is_told(tmp_path):
    path = tmp_path / "journal"
    journal().write(path)
    path.write_bytes(path.read_bytes().replace(b"triaged", b"triagex"))
    with pytest.raises(ArtifactError, match="damaged"):
        Journal.read(path)


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "file"
    write_whole(path, b"old")
    (tmp_path / ".file.new").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
