"""Opening files and pipes: what is delivered, and what is refused in one line."""

import gzip
import io
import os
import threading
import zlib

import pytest

from inoculate.errors import InputError, RecordError, TruncatedError
from inoculate.reading.sources import HEAD_BYTES, Limits, open_source

LINES = b"".join(b"line %d of a log that is long enough\n" % i for i in range(20_000))


def drain(stream):
    """Return everything the stream delivers and the error at its end."""
    data = bytearray()
    while True:
        try:
            piece = stream.read(100_000)
        except RecordError as err:
            assert stream.read(10) == b""
            return bytes(data), err
        if not piece:
            return bytes(data), None
        data += piece


@pytest.mark.parametrize(
    "packed",
    [
        LINES,
        gzip.compress(LINES),
        gzip.compress(LINES[:7]) + gzip.compress(b"") + gzip.compress(LINES[7:]),
        gzip.compress(LINES) + b"\0" * 700_000,
    ],
    ids=["plain", "gzip", "several members", "zero padding"],
)
def test_whole_content_is_delivered_and_head_is_its_beginning(tmp_path, packed):
    path = tmp_path / "log"
    path.write_bytes(packed)
    with open_source(path) as source:
        assert source.head == LINES[:HEAD_BYTES]
        assert source.path == path and source.name == str(path)
        data, err = drain(source.stream)
    assert data == LINES and err is None


def test_truncated_gzip_delivers_everything_before_and_then_says_so(tmp_path):
    path = tmp_path / "log.gz"
    packed = gzip.compress(LINES)
    path.write_bytes(packed[: len(packed) // 2])
    with open_source(path) as source:
        data, err = drain(source.stream)
    whole = zlib.decompressobj(31).decompress(packed[: len(packed) // 2])
    assert data == whole and len(data) > 100_000
    assert isinstance(err, TruncatedError) and str(err) == f"{path}: the gzip data is cut off"


def test_damaged_gzip_is_one_record_error_with_its_place(tmp_path):
    path = tmp_path / "log.gz"
    packed = bytearray(gzip.compress(LINES))
    packed[len(packed) // 2] ^= 0xFF
    path.write_bytes(packed)
    with open_source(path) as source:
        data, err = drain(source.stream)
    assert "damaged gzip data" in str(err) and f"{path}@" in err.origin
    assert len(data) <= len(LINES)


def test_bytes_after_gzip_are_refused_after_the_data(tmp_path):
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(LINES) + b"rubbish")
    with open_source(path) as source:
        data, err = drain(source.stream)
    assert data == LINES and "not gzip" in str(err)


def test_bomb_is_refused_beyond_the_free_bytes(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"\0" * 4_000_000))
    limits = Limits(ratio=250, free_bytes=1_000_000)
    with open_source(path, limits=limits) as source:
        data, err = drain(source.stream)
    assert "bomb" in str(err) and "250 to 1" in str(err)
    assert 1_000_000 - 100_000 <= len(data) < 1_400_000


def test_compressible_but_plausible_log_passes_the_bomb_limit(tmp_path):
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(LINES))
    with open_source(path, limits=Limits(free_bytes=10)) as source:
        assert drain(source.stream) == (LINES, None)


@pytest.mark.parametrize(
    "make, problem",
    [
        (lambda p: None, "no such file"),
        (lambda p: p.mkdir(), "is a directory"),
        (lambda p: p.write_bytes(b""), "the file is empty"),
        (lambda p: p.write_bytes(gzip.compress(b"")), "the file is empty"),
        (lambda p: p.write_bytes(b"\x1f\x8b\x08"), "cut off"),
        (lambda p: p.write_bytes(b"\x1f\x8bnothing like it"), "damaged gzip"),
        (lambda p: p.write_bytes(b"\x28\xb5\x2f\xfdrest"), "unpack it with zstd -d"),
        (lambda p: p.write_bytes(b"\xfd7zXZ\x00rest"), "unpack it with xz -d"),
        (lambda p: p.write_bytes(b"BZh91AY"), "unpack it with bzip2 -d"),
    ],
)
def test_what_cannot_be_opened_is_one_line_that_names_the_file(tmp_path, make, problem):
    path = tmp_path / "thing"
    make(path)
    with pytest.raises(InputError, match=problem) as caught, open_source(path):
        pass
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_unreadable_name_is_an_input_error():
    with pytest.raises(InputError, match="cannot be opened"), open_source("a\0b"):
        pass


def test_standard_input_is_read_and_has_no_path(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(LINES))))
    with open_source("-") as source:
        assert source.name == "stdin" and source.path is None
        assert drain(source.stream) == (LINES, None)


@pytest.mark.parametrize("packed", [False, True])
def test_pipe_delivers_what_is_there_without_waiting_for_more(packed, monkeypatch):
    out, into = os.pipe()
    step = threading.Event()
    first, second = b"one\n", b"two\n"
    deflate = zlib.compressobj(wbits=31)

    def pack(data):
        return deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH) if packed else data

    def write():
        os.write(into, pack(first))
        step.wait(10)
        os.write(into, pack(second) + (deflate.flush() if packed else b""))
        os.close(into)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(out, "rb") as pipe:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(pipe))
        with open_source("-") as source:
            assert source.head == first and source.stream.read(100) == first
            step.set()
            assert drain(source.stream) == (second, None)
    writer.join()


def test_fifo_is_a_stream_without_path(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(LINES))
    writer.start()
    with open_source(path) as source:
        assert source.path is None
        assert drain(source.stream) == (LINES, None)
    writer.join()


def test_stream_works_inside_a_buffered_reader(tmp_path):
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(LINES))
    with open_source(path) as source:
        assert io.BufferedReader(source.stream).read() == LINES
