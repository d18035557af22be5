"""Archives of every kind: members, limits, and what is left out with a reason."""

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile

import py7zr
import pytest

from inoculate.domain import Source
from inoculate.errors import RecordError, TruncatedError
from inoculate.reading import archives
from inoculate.reading.archives import ArchiveLimits, expand, kind_of

FILES = {"inner/a.exe": b"MZ first", "../../etc/b": b"second" * 1000, "/abs/c": b""}
PLAIN = {"inner/a.exe": b"MZ first", "b": b"second" * 1000}  # all that py7zr would write


def make_zip(files=FILES, method=zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.mkdir("folder")
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def make_tar(files=FILES) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def make_7z(files=PLAIN, password=None) -> bytes:
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w", password=password) as archive:
        for name, data in files.items():
            archive.writef(io.BytesIO(data), name)
    return out.getvalue()


MAKERS = {
    "zip": make_zip,
    "tar": make_tar,
    "7z": make_7z,
    "tar.gz": lambda files=FILES: gzip.compress(make_tar(files)),
    "tar.xz": lambda files=FILES: lzma.compress(make_tar(files)),
    "tar.bz2": lambda files=FILES: bz2.compress(make_tar(files)),
}


def opened(data: bytes, name: str = "d/a") -> Source:
    return Source(name, None, data[: 64 * 1024], io.BytesIO(data))


def unpack(data: bytes, limits=None):
    """Return {name: content} and [problem] of an archive."""
    found, skipped = {}, []
    for member in expand(opened(data), on_skip=skipped.append, limits=limits, size_bytes=len(data)):
        try:
            found[member.name] = member.stream.read()
        except RecordError as err:
            skipped.append(err)
    return found, skipped


@pytest.mark.parametrize("kind", MAKERS)
def test_members_are_read_with_their_names_for_showing_only(kind):
    files = FILES if kind != "7z" else PLAIN
    found, skipped = unpack(MAKERS[kind](files))
    assert found == {f"d/a!{name}": data for name, data in files.items()}
    assert not skipped


def test_names_that_lead_out_of_a_7z_are_names_like_any(monkeypatch):
    monkeypatch.setattr(py7zr.py7zr, "check_archive_path", lambda _: True)
    found, _ = unpack(make_7z({"../../x": b"1", "plain": b"2"}))
    assert set(found.values()) == {b"1", b"2"}
    assert all(name.startswith("d/a!") for name in found)


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bz2.compress])
def test_a_compressed_file_keeps_its_name_and_may_have_several_parts(compress):
    found, skipped = unpack(compress(b"one ") + compress(b"two"))
    assert (found, skipped) == ({"d/a": b"one two"}, [])


def test_what_is_no_archive_is_itself():
    assert unpack(b"MZ plain") == ({"d/a": b"MZ plain"}, [])


def test_archives_are_opened_within_archives_down_to_the_limit():
    data = make_zip({"x": b"deepest"})
    for i, kind in enumerate(("tar.gz", "7z", "zip", "tar")):
        data = MAKERS[kind]({f"{i}": data, f"beside{i}": b"."})
    found, skipped = unpack(data)
    assert "d/a!beside3" in found
    assert "d/a!3!2!beside1" in found
    assert not [name for name in found if name.endswith("!x")]
    assert [e.problem for e in skipped] == ["archives nested too deeply"]
    found, skipped = unpack(data, ArchiveLimits(depth=9))
    assert found["d/a!3!2!1!0!x"] == b"deepest"
    assert not skipped


def test_encrypted_members_and_links_are_left_out_with_a_reason():
    data = bytearray(make_zip({"secret": b"s" * 100, "open": b"o"}))
    for at in (data.index(b"PK\x01\x02"), data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)):
        if b"secret" in data[at : at + 60]:
            data[at + 8] |= 1
    found, skipped = unpack(bytes(data))
    assert found == {"d/a!open": b"o"}
    assert [str(e) for e in skipped] == ["d/a!secret: encrypted in its archive"]
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert [e.problem for e in unpack(out.getvalue())[1]] == ["a link in an archive"]


def test_an_encrypted_7z_is_left_out_with_a_reason():
    found, skipped = unpack(make_7z({"secret": b"s" * 100}, password="x"))
    assert not found
    assert [e.problem for e in skipped] == ["encrypted 7z"]


def test_the_same_name_twice_is_told_apart():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a", b"1")
        archive.writestr("a", b"2")
    assert unpack(out.getvalue())[0] == {"d/a!a": b"1", "d/a!a (2)": b"2"}


def test_a_member_without_a_name_is_read():
    data = make_zip({"x": b"1"}).replace(b"\x01\0x", b"\x01\0\0")
    at = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    data = data[: at + 46] + b"\0" + data[at + 47 :]
    local = data.rindex(b"PK\x03\x04", 0, at)
    data = data[: local + 30] + b"\0" + data[local + 31 :]
    assert unpack(data) == ({"d/a!": b"1"}, [])


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.xz", "tar.bz2", "7z"])
def test_bombs_are_stopped_by_what_comes_out(kind):
    data = MAKERS[kind]({"first": b"1", "bomb": bytes(20 << 20), "after": b"2"})
    limits = ArchiveLimits(ratio=100, free_bytes=1 << 20)
    found, skipped = unpack(data, limits)
    assert found.get("d/a!first") == b"1"
    assert "d/a!after" not in found
    assert "bomb" in skipped[0].problem
    total = ArchiveLimits(total_bytes=5 << 20)
    assert "bytes unpacked" in unpack(data, total)[1][0].problem


def test_a_zip_member_that_asks_for_gigabytes_of_memory_is_left_out():
    data = bytearray(make_zip({"big": b"b" * 50, "usual": b"u" * 50}, zipfile.ZIP_LZMA))
    at = data.index(b"big") + len(b"big") + 5
    data[at : at + 4] = (1 << 31).to_bytes(4, "little")
    found, skipped = unpack(b"in front " + bytes(data))
    assert (found, skipped) == ({"d/a": b"in front " + bytes(data)}, [])
    found, skipped = unpack(bytes(data))
    assert found == {"d/a!usual": b"u" * 50}
    assert [str(e) for e in skipped] == ["d/a!big: unpacking needs over 256 MiB of memory"]


def test_too_many_members_and_too_large_ones_in_memory_are_told():
    many = make_zip({str(i): b"" for i in range(30)})
    found, skipped = unpack(many, ArchiveLimits(members=10))
    assert (len(found), [e.problem for e in skipped]) == (10, ["over 10 members"])
    nested = make_zip({"n.zip": make_zip({"x": random.Random(0).randbytes(200_000)})})
    assert "in memory" in unpack(nested, ArchiveLimits(member_bytes=100_000))[1][0].problem
    big = make_7z({"a": b"1" * 1000, "b": bytes(3 << 20)})
    found, skipped = unpack(big, ArchiveLimits(member_bytes=1 << 20))
    assert "not unpacked" in skipped[-1].problem


def test_a_zip_directory_is_not_read_whole_when_absurd(monkeypatch):
    monkeypatch.setattr(archives, "_DIRECTORY_BYTES", 1000)
    found, skipped = unpack(make_zip({str(i): b"" for i in range(100)}))
    assert not found
    assert "directory of over" in skipped[0].problem


def test_a_cut_member_gives_what_comes_before_and_then_its_error():
    data = gzip.compress(random.Random(0).randbytes(300_000))[:200_000]
    (member,) = expand(opened(data), on_skip=lambda _: None)
    have = b""
    with pytest.raises(TruncatedError, match="d/a: its archive is cut off"):
        while piece := member.stream.read(10_000):
            have += piece
    assert len(have) > 150_000
    assert member.stream.read(10) == b""


def test_compression_in_compression_and_unread_formats_are_told():
    assert unpack(gzip.compress(bz2.compress(b"x")))[1][0].problem == "compressed more than once"
    assert unpack(b"Rar!\x1a\x07\x01\0")[1][0].problem == "rar archives are not read"


def test_a_lying_7z_worker_is_not_believed(monkeypatch):
    for parts in ([b"{}"], [b"{}", b""], [b"[1]", b""], [b"\xff", b""], [b"[" * 99_999, b""]):

        class Lying:
            def __init__(self, parts):
                self.parts = parts

            def ask(self, mode, data):
                return self.parts

        monkeypatch.setattr(archives, "shared_workers", lambda *_, p=parts: Lying(p))
        assert "makes no sense" in unpack(make_7z({"a": b""}))[1][0].problem


@pytest.mark.parametrize("kind", [k for k in MAKERS if k != "7z"])
def test_changed_and_cut_archives_raise_nothing_else(kind):
    rng, good = random.Random(kind), MAKERS[kind]()
    for _ in range(150):
        data = bytearray(good)
        for _ in range(rng.randrange(0, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        data = bytes(data[: rng.choice([len(data), rng.randrange(10, len(data))])])
        _, skipped = unpack(data)
        assert all(str(e).startswith("d/a") for e in skipped)


def test_a_changed_7z_raises_nothing_else():
    rng, good = random.Random(7), make_7z()
    for _ in range(15):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(8, len(data))] = rng.randrange(256)
        unpack(bytes(data))


def test_kinds_are_known_by_their_first_bytes():
    assert [kind_of(make()) for make in MAKERS.values()] == [
        "zip",
        "tar",
        "7z",
        "gzip",
        "xz",
        "bzip2",
    ]
    assert kind_of(b"BZh9 is no archive") is None
    assert kind_of(struct.pack("<I", 7) + bytes(600)) is None
