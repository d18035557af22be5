"""Versions: kept whole, restored byte for byte, bounded, and never more than they are."""

import numpy as np
import pytest

from inoculate.errors import ArtifactError, InputError, NotFoundError
from inoculate.store import versions as module
from inoculate.store.artifact import load, save
from inoculate.store.versions import (
    history,
    labelled,
    next_number,
    open_version,
    restore,
    version_numbers,
)
from tests.store.test_artifact import manifest

ARRAY = {"a": np.arange(3)}


def make(path, number, *, base=None, labels=b"{}\n"):
    """Write one version over what is there."""
    old = load(path).manifest if path.exists() else None
    beside = dict(history(path, old)) if old else {}
    beside["labels.jsonl"] = labels
    changes = {"version": number, "parent": old.version if old else None, "base": base}
    filled = manifest(f"v{number}").model_copy(update=changes)
    save(path, filled, {"a": np.full(3, number)}, beside=beside, replaces=old)


def content(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


@pytest.fixture
def three(tmp_path):
    path = tmp_path / "a.detector"
    for number in (1, 2, 3):
        make(path, number)
    return path


def test_every_version_is_kept_whole(three):
    assert version_numbers(three) == [1, 2, 3]
    for number in (1, 2, 3):
        version = open_version(three, number)
        assert version.manifest.name == f"v{number}"
        assert version.arrays["a"].tolist() == [number] * 3
        assert version.beside == {"labels.jsonl": b"{}\n"}
    assert next_number(three) == 4


def test_a_restored_version_is_the_same_bytes_and_the_others_stay(three):
    first = content(three / "versions" / "1")
    last = content(three)
    assert restore(three, 1).version == 1
    assert content(three) == first
    assert version_numbers(three) == [1, 2, 3]
    restore(three, 3)
    assert content(three) == last
    assert version_numbers(three) == [1, 2, 3]


def test_what_two_versions_have_in_common_lies_on_the_disk_once(three):
    restore(three, 1)
    one, other = (p / "arrays.safetensors" for p in (three, three / "versions" / "1"))
    assert one.stat().st_ino == other.stat().st_ino


def test_a_file_system_without_hard_links_gets_copies(three, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)
    restore(three, 1)
    assert version_numbers(three) == [1, 2, 3]
    assert open_version(three, 3).manifest.name == "v3"


def test_the_oldest_go_but_not_those_that_others_rest_on(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_KEPT", 3)
    path = tmp_path / "a.detector"
    make(path, 1)
    for number in range(2, 8):
        make(path, number, base=1)
    assert version_numbers(path) == [1, 4, 5, 6, 7]


def test_a_damaged_version_is_not_restored(three):
    file = three / "versions" / "2" / "labels.jsonl"
    file.unlink()
    file.write_bytes(b"changed")
    with pytest.raises(ArtifactError, match=r"2/labels\.jsonl: changed"):
        restore(three, 2)
    assert load(three).manifest.version == 3


def test_what_is_not_there_or_in_force_is_refused(three):
    with pytest.raises(NotFoundError, match="no version 9; there are 1, 2, 3"):
        restore(three, 9)
    with pytest.raises(InputError, match="in force already"):
        restore(three, 3)


def test_links_and_odd_names_are_no_versions(three, tmp_path):
    (three / "versions" / "7").symlink_to(three / "versions" / "1")
    for name in ("x", "-1", "²", "99999999999"):
        (three / "versions" / name).mkdir()
    assert version_numbers(three) == [1, 2, 3]
    (tmp_path / "b").mkdir()
    (three / "versions").rename(tmp_path / "b" / "versions")
    (three / "versions").symlink_to(tmp_path / "b" / "versions")
    assert version_numbers(three) == [3]


def test_a_link_in_place_of_a_version_s_file_is_refused(three, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("{}")
    file = three / "versions" / "2" / "manifest.json"
    file.unlink()
    file.symlink_to(secret)
    with pytest.raises(ArtifactError, match="a link"):
        open_version(three, 2)


def test_only_what_was_marked_is_held_for_labelled(three, tmp_path):
    assert labelled(three).version == 3
    save(tmp_path / "plain", manifest(), ARRAY)
    assert labelled(tmp_path / "plain") is None
    assert labelled(tmp_path / "nothing") is None


def test_a_save_over_what_another_process_changed_is_refused(three):
    old = load(three).manifest
    make(three, 4)
    with pytest.raises(InputError, match="changed meanwhile"):
        save(three, manifest("late"), ARRAY, replaces=old)
    assert load(three).manifest.version == 4
