"""Artifacts: written whole, read only when every byte is as it was."""

import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save as pack

from inoculate.errors import ArtifactError, InputError, NotFoundError
from inoculate.store import artifact as module
from inoculate.store.artifact import load, open_prior, save, shipped
from inoculate.store.manifest import LearnerEntry, Manifest, StoredColumn, StoredView

ARRAYS = {
    "prior/w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "examples_y": np.array([0, 1], np.int64),
    "none": np.zeros((0, 3), np.float32),
    "scalar": np.array(1.5),
    "flags": np.array([True, False]),
}


def manifest(name="prior-a"):
    return Manifest(
        artifact="prior",
        name=name,
        inoculate_version="0.1.0",
        kind="flow",
        unit="flow",
        domain="pcap",
        views=(StoredView(name="flow", columns=(StoredColumn(name="a", unit="s", about="a"),)),),
        learner=LearnerEntry(name="echo"),
    )


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "a.prior"
    save(path, manifest(), ARRAYS)
    return path


def edit(path, change):
    """Change the manifest as JSON."""
    file = path / "manifest.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def replace_arrays(path, packed):
    """Put other bytes in, with the SHA-256 that fits them."""
    (path / "arrays.safetensors").write_bytes(packed)
    digest = hashlib.sha256(packed).hexdigest()
    edit(path, lambda m: m["files"].update({"arrays.safetensors": digest}))


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_forged_nans_are_made_plain_and_all_else_keeps_its_bits(tmp_path):
    bits = np.array([0x7F800001, 0xFFC00000, 0x80000000, 1, 0x7F800000], np.uint32)
    save(tmp_path / "a", manifest(), {"w": bits.view(np.float32)})
    back = load(tmp_path / "a").arrays["w"].view(np.uint32)
    assert back.tolist() == [0x7FC00001, *bits[1:].tolist()]


def test_arrays_come_back_bit_for_bit(saved):
    back = load(saved)
    assert back.manifest.name == "prior-a"
    assert set(back.arrays) == set(ARRAYS)
    for name, a in ARRAYS.items():
        assert back.arrays[name].dtype == a.dtype
        assert back.arrays[name].shape == a.shape
        assert back.arrays[name].tobytes() == a.tobytes()
    assert list(back.group("prior")) == ["w"]


def test_not_contiguous_and_big_endian_arrays_keep_their_values(tmp_path):
    a = np.arange(6, dtype=np.float32).reshape(2, 3).T
    save(tmp_path / "x", manifest(), {"a": a, "b": a.astype(">f4")})
    back = load(tmp_path / "x").arrays
    np.testing.assert_array_equal(back["a"], a)
    np.testing.assert_array_equal(back["b"], a)


def test_loaded_arrays_cannot_be_changed(saved):
    with pytest.raises(ValueError, match="read-only"):
        load(saved).arrays["prior/w"][0, 0] = 1


def test_same_content_gives_the_same_bytes(tmp_path):
    save(tmp_path / "a", manifest(), ARRAYS)
    save(tmp_path / "b", manifest(), dict(reversed(ARRAYS.items())))
    for name in ("manifest.json", "arrays.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_saving_again_replaces_and_leaves_nothing_beside(saved):
    save(saved, manifest("second"), {})
    assert load(saved).manifest.name == "second"
    assert names(saved.parent) == ["a.prior"]


def test_overwriting_can_be_refused(saved):
    with pytest.raises(InputError, match="exists"):
        save(saved, manifest("second"), {}, overwrite=False)
    assert load(saved).manifest.name == "prior-a"


def test_a_directory_that_is_no_artifact_is_never_replaced(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="is no artifact"):
        save(tmp_path / "home", manifest(), ARRAYS)
    assert (tmp_path / "home" / "thesis.tex").read_text() == "years of work"


def test_a_file_is_never_replaced(tmp_path):
    (tmp_path / "f").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        save(tmp_path / "f", manifest(), ARRAYS)


def test_a_link_to_an_artifact_is_followed(saved):
    link = saved.parent / "current"
    link.symlink_to(saved)
    save(link, manifest("second"), {})
    assert link.is_symlink()
    assert load(saved).manifest.name == load(link).manifest.name == "second"


def test_leftovers_of_a_killed_save_are_removed_by_the_next(saved):
    code = """
import os, signal, sys
from pathlib import Path
from inoculate.store import artifact, placing
from tests.store.test_artifact import manifest
placing._put_in_place = lambda new, path: os.kill(os.getpid(), signal.SIGKILL)
artifact.save(Path(sys.argv[1]), manifest("second"), {})
"""
    done = subprocess.run([sys.executable, "-c", code, str(saved)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(names(saved.parent)) == 2
    assert load(saved).manifest.name == "prior-a"
    save(saved, manifest("third"), {})
    assert names(saved.parent) == ["a.prior"]


def test_a_save_killed_between_its_renames_says_where_the_old_one_is(saved):
    old = saved.parent / ".a.prior.old-0123"
    saved.rename(old)
    with pytest.raises(NotFoundError, match=r"interrupted.*\.a\.prior\.old-0123"):
        load(saved)
    save(saved, manifest("next"), {})
    save(saved, manifest("next"), {})
    assert names(saved.parent) == ["a.prior"]


def one_state(path):
    """Load while others save; a moment with nothing at all is allowed, a mixture is not."""
    try:
        got = load(path)
    except NotFoundError:
        return True
    except ArtifactError as err:
        return "not an artifact directory: No such file" in str(err)
    return got.manifest.name == f"n{got.arrays['a'][0]}"


def test_many_saves_and_loads_at_once_never_show_a_part(saved):
    seen = []

    def write(i):
        for _ in range(10):
            save(saved, manifest(f"n{i}"), {"a": np.full(1000, i, np.int64)})

    write(0)
    threads = [threading.Thread(target=write, args=(i,)) for i in range(3)]
    threads.append(threading.Thread(target=lambda: seen.extend(one_state(saved) for _ in "x" * 60)))
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert seen == [True] * 60
    assert one_state(saved)
    assert names(saved.parent) == ["a.prior"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save(tmp_path / "file" / "below" / "a", manifest(), ARRAYS)


def test_objects_are_not_stored(tmp_path):
    with pytest.raises(InputError, match="cannot be stored"):
        save(tmp_path / "a", manifest(), {"a": np.array([object()])})
    assert not names(tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(NotFoundError, match="no such artifact"):
        load(tmp_path / "none")


def test_a_file_is_no_artifact(tmp_path):
    (tmp_path / "f").write_bytes(pickle.dumps({}))
    with pytest.raises(ArtifactError, match="not an artifact directory"):
        load(tmp_path / "f")


def flip_byte(path):
    file = path / "arrays.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def link_arrays(path):
    (path / "arrays.safetensors").rename(path.parent / "elsewhere")
    (path / "arrays.safetensors").symlink_to(path.parent / "elsewhere")


def pipe_manifest(path):
    (path / "manifest.json").unlink()
    os.mkfifo(path / "manifest.json")


def huge_arrays(path):
    with (path / "arrays.safetensors").open("r+b") as stream:
        stream.truncate(module.MAX_ARRAYS_BYTES + 1)


def other_shape(path):
    edit(path, lambda m: m["arrays"]["prior/w"].update(shape=[3, 2]))


def other_dtype(path):
    edit(path, lambda m: m["arrays"]["examples_y"].update(dtype="uint64"))


@pytest.mark.parametrize(
    ("damage", "file", "problem"),
    [
        (flip_byte, "arrays.safetensors", "changed"),
        (link_arrays, "arrays.safetensors", "a link"),
        (huge_arrays, "arrays.safetensors", "limit"),
        (pipe_manifest, "manifest.json", "not a regular file"),
        (lambda p: (p / "arrays.safetensors").unlink(), "arrays.safetensors", "No such file"),
        (lambda p: (p / "manifest.json").unlink(), "manifest.json", "No such file"),
        (lambda p: (p / "manifest.json").write_bytes(b""), "manifest.json", "JSON"),
        (lambda p: (p / "manifest.json").write_bytes(b"\xff{"), "manifest.json", "JSON"),
        (lambda p: (p / "manifest.json").write_bytes(b"[" * 100_000), "manifest.json", "JSON"),
        (lambda p: (p / "manifest.json").write_bytes(b"[]"), "manifest.json", "object"),
        (lambda p: (p / "manifest.json").write_bytes(b" " * (5 << 20)), "manifest.json", "limit"),
        (lambda p: edit(p, lambda m: m.update(format_version=2)), "manifest.json", "version"),
        (lambda p: edit(p, lambda m: m.pop("format_version")), "manifest.json", "^"),
        (lambda p: edit(p, lambda m: m.update(extra=1)), "manifest.json", "extra"),
        (
            lambda p: edit(p, lambda m: m["files"].update({"../../etc/passwd": "0" * 64})),
            "manifest.json",
            "files",
        ),
        (lambda p: edit(p, lambda m: m.update(files={})), "arrays.safetensors", "changed"),
        (lambda p: edit(p, lambda m: m["arrays"].pop("flags")), "arrays.safetensors", "not in the"),
        (
            lambda p: edit(p, lambda m: m["arrays"].update(zz=m["arrays"]["flags"])),
            "arrays.safetensors",
            "'zz' is missing",
        ),
        (other_shape, "arrays.safetensors", "manifest says"),
        (other_dtype, "arrays.safetensors", "manifest says"),
        (
            lambda p: replace_arrays(p, pickle.dumps({"a": 1})),
            "arrays.safetensors",
            "not a safetensors file",
        ),
        (lambda p: replace_arrays(p, b""), "arrays.safetensors", "not a safetensors file"),
        (
            lambda p: replace_arrays(p, (1 << 60).to_bytes(8, "little") + b"{}"),
            "arrays.safetensors",
            "not a safetensors file",
        ),
        (
            lambda p: replace_arrays(p, pack({"../x": np.zeros(1)})),
            "arrays.safetensors",
            "not in the manifest",
        ),
    ],
)
def test_damage_is_one_line_that_names_the_file(saved, damage, file, problem):
    damage(saved)
    if problem == "^":  # a manifest without its version is read as version 1
        load(saved)
        return
    with pytest.raises(ArtifactError, match=problem) as caught:
        load(saved)
    assert str(saved / file) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_pickle_is_never_run(saved, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    replace_arrays(saved, pickle.dumps(Bomb()))
    with pytest.raises(ArtifactError):
        load(saved)
    assert not (tmp_path / "ran").exists()


def test_shipped_priors_are_found_by_name_and_load(tmp_path, monkeypatch):
    save(tmp_path / "priors" / "small", manifest("small"), ARRAYS)
    monkeypatch.setattr(module.resources, "files", lambda _: tmp_path)
    assert shipped() == {"small": tmp_path / "priors" / "small"}
    assert open_prior("small").manifest.name == "small"
    assert open_prior(tmp_path / "priors" / "small").manifest.name == "small"
    with pytest.raises(NotFoundError, match="shipped: small"):
        open_prior("large")


def test_every_shipped_prior_is_whole():
    for name in shipped():
        assert open_prior(name).manifest.name == name
