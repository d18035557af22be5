"""Folders: every file once, in one order, and never out of them."""

import gzip
import io
import lzma
import os
import zipfile

import pytest

from inoculate.reading.folders import is_container, sources_in
from tests.reading.test_archives import MAKERS


@pytest.fixture
def zoo(tmp_path):
    folder = tmp_path / "zoo"
    (folder / "b" / "deep").mkdir(parents=True)
    for name in ("z.txt", "a.bin", "b/x", "b/deep/y", "b.txt"):
        (folder / name).write_bytes(name.encode())
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    (folder / "link").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    (folder / "empty").write_bytes(b"")
    return folder


def read(name):
    skipped = []
    found = {s.name: s.stream.read() for s in sources_in(str(name), on_skip=skipped.append)}
    return found, [str(e) for e in skipped]


def test_every_file_is_read_once_in_the_order_of_names(zoo):
    found, skipped = read(zoo)
    names = ["a.bin", "b/deep/y", "b/x", "b.txt", "z.txt"]
    assert list(found.items()) == [(f"{zoo}/{n}", n.encode()) for n in names]
    assert skipped == [
        f"{zoo}/empty: the file is empty",
        f"{zoo}/link: links are not followed",
        f"{zoo}/loop: links are not followed",
        f"{zoo}/pipe: a pipe, socket or device",
    ]


def test_a_folder_that_is_itself_a_link_is_read(zoo, tmp_path):
    (tmp_path / "way").symlink_to(zoo)
    assert len(read(tmp_path / "way")[0]) == 5


def test_archives_and_compressed_files_in_a_folder_are_looked_into(tmp_path):
    for kind, make in MAKERS.items():
        (tmp_path / f"f.{kind}").write_bytes(make({"m": kind.encode()}))
    (tmp_path / "plain.gz").write_bytes(gzip.compress(b"g"))
    (tmp_path / "plain.xz").write_bytes(lzma.compress(b"x"))
    found, skipped = read(tmp_path)
    expected = {f"{tmp_path}/f.{kind}!m": kind.encode() for kind in MAKERS}
    assert found == {**expected, f"{tmp_path}/plain.gz": b"g", f"{tmp_path}/plain.xz": b"x"}
    assert not skipped


def test_a_zip_packed_with_gzip_is_read_from_memory(tmp_path):
    (tmp_path / "a.zip.gz").write_bytes(gzip.compress(MAKERS["zip"]({"m": b"1"})))
    assert read(tmp_path)[0] == {f"{tmp_path}/a.zip.gz!m": b"1"}


def test_a_dash_is_a_file_like_any_and_never_standard_input(tmp_path, monkeypatch):
    (tmp_path / "-").write_bytes(b"dash")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"not this")))
    assert read(".")[0] == {"./-": b"dash"}


def test_names_of_any_bytes_become_text(tmp_path):
    with open(os.fsencode(tmp_path) + b"/\xff\xfe.bin", "wb") as file:  # noqa: PTH123
        file.write(b"odd")
    ((name, data),) = read(tmp_path)[0].items()
    assert data == b"odd"
    name.encode()


def test_what_may_not_be_read_is_told(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    real = os.lstat

    def refused(path):
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "lstat", refused)
    found, skipped = read(tmp_path)
    assert list(found.values()) == [b"b"]
    assert skipped == [f"{tmp_path}/a: cannot be opened: Permission denied"]


def test_containers_are_folders_and_archives_and_nothing_else(tmp_path, zoo):
    for kind, make in MAKERS.items():
        (tmp_path / f"x.{kind}").write_bytes(make())
        assert is_container(str(tmp_path / f"x.{kind}")), kind
    (tmp_path / "log.gz").write_bytes(gzip.compress(b"a line\n" * 500))
    (tmp_path / "log.xz").write_bytes(lzma.compress(b"a line\n" * 500))
    (tmp_path / "cut.gz").write_bytes(b"\x1f\x8b\x08\x04garbage")
    for name in ("log.gz", "log.xz", "cut.gz", "zoo/a.bin", "zoo/pipe", "zoo/empty", "nothing"):
        assert not is_container(str(tmp_path / name)), name
    assert is_container(str(zoo))
    assert not is_container("-")
    assert not is_container("a\0b")


def test_a_zip_that_changes_while_it_is_read_is_an_error_of_its_own(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(MAKERS["zip"]({"a": os.urandom(200_000), "b": b"2"}))
    skipped = []
    sources = sources_in(str(tmp_path), on_skip=skipped.append)
    assert next(sources).name.endswith("!a")
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo("b").header_offset
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"gone")
    assert [s.name for s in sources] == []
    assert "damaged zip member" in str(skipped[0])
