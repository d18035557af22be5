"""The tar reader against the standard library's, and against damage."""

import io
import random
import tarfile

import pytest

from inoculate.domain import Source
from inoculate.errors import RecordError, TruncatedError
from inoculate.reading.tar import read_tar

LONG = "deep/" * 60 + "ä.exe"
FILES = {"a": b"", "b": b"x" * 511, "c/d": b"y" * 512, "e" * 100: b"z" * 513, LONG: b"w" * 5000}


def tar(form, files=FILES, links=True) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE) if links else ():
            info = tarfile.TarInfo("../link")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    return out.getvalue()


def source(data: bytes) -> Source:
    return Source("t", None, data[:1000], io.BytesIO(data))


def read_all(more) -> bytes:
    return b"".join(iter(lambda: more(700), b""))


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_those_that_the_standard_library_wrote(form):
    files = FILES if form != tarfile.USTAR_FORMAT else {k: v for k, v in FILES.items() if k != LONG}
    found = [
        (n, p, read_all(m) if not p else None) for n, p, m in read_tar(source(tar(form, files)))
    ]
    assert [(n, c) for n, p, c in found if not p] == list(files.items())
    assert [p for _, p, _ in found if p] == ["a link in an archive"] * 2 + ["a pipe in an archive"]


def test_members_left_unread_are_passed_over():
    names = [name for name, _, _ in read_tar(source(tar(tarfile.PAX_FORMAT)))]
    assert names == [*FILES, "../link", "../link", "../link"]
    half = [(n, m(10)) for n, p, m in read_tar(source(tar(tarfile.GNU_FORMAT))) if not p]
    assert half == [(n, c[:10]) for n, c in FILES.items()]


@pytest.mark.parametrize("cut", [100, 512, 700, 1500, 2000, 2100])
def test_a_cut_archive_gives_what_comes_before(cut):
    files = {"a": b"1" * 600, "b": b"2" * 600}
    data = tar(tarfile.USTAR_FORMAT, files, links=False)[512:][:cut]
    seen = []
    try:
        for name, _, more in read_tar(source(data)):
            seen.append(name)
            read_all(more)
    except TruncatedError as err:
        assert str(err) == "t: the tar is cut off"
    assert seen == (["a", "b"] if cut == 2100 else ["a"] if cut >= 512 else [])


def test_absurd_headers_are_refused():
    bad = bytearray(tar(tarfile.USTAR_FORMAT, {"a": b"x"}, links=False)[512:])
    for size, kind in ((b"77777777777", b"x"), (b"\x80" + b"\x00" * 3 + b"\xff" * 8, b"L")):
        header = bytearray(bad[:512])
        header[124 : 124 + len(size)] = size
        header[156:157] = kind
        header[148:156] = b" " * 8
        header[148:156] = f"{sum(header):06o}\0 ".encode()
        with pytest.raises(RecordError, match="a header of"):
            list(read_tar(source(bytes(header) + bytes(2000))))
    bad[5] ^= 1
    with pytest.raises(RecordError, match="checksum"):
        list(read_tar(source(bytes(bad))))


def test_changed_bytes_raise_record_errors_and_nothing_else():
    rng, good = random.Random(0), tar(tarfile.PAX_FORMAT)
    for _ in range(400):
        data = bytearray(good[: rng.choice([len(good), rng.randrange(len(good))])])
        for _ in range(rng.randrange(0, 6)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            for _, _, more in read_tar(source(bytes(data))):
                read_all(more)
        except RecordError as err:
            assert str(err).startswith("t: ")
