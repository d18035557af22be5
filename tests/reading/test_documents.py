"""Whole JSON documents: what they give, and each way in which they are refused."""

import gzip
import io
import json

import pytest

from inoculate.domain import Source
from inoculate.errors import RecordError, TruncatedError
from inoculate.reading.documents import MOST_DEPTH, read_document, writable
from inoculate.reading.sources import open_source


def source_of(data: bytes) -> Source:
    return Source("a.json", None, data[:100], io.BytesIO(data))


def read(data: bytes | str, **limits) -> object:
    return read_document(source_of(data if isinstance(data, bytes) else data.encode()), **limits)


@pytest.mark.parametrize(
    "value", [{"a": [1, 2.5, None, True, "é"]}, [], {}, "x", 3, None, [[{"b": {"c": []}}]]]
)
def test_a_document_comes_back_as_it_was_written(value):
    assert read(json.dumps(value)) == value


def test_what_is_no_number_and_what_is_too_large_for_one_is_unknown():
    assert read("[NaN, Infinity, -Infinity, 1e400, -1e400, 1e300]") == [None] * 5 + [1e300]


def test_the_last_of_two_equal_names_counts():
    assert read('{"a": 1, "a": 2}') == {"a": 2}


def test_a_byte_order_mark_is_skipped():
    assert read(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_text_that_cannot_be_written_again_is_replaced_in_names_and_values():
    value = read(rb'{"k\ud800": ["a\udfffb", {"c": "\ud83d\ude00"}]}')
    assert value == {"k?": ["a?b", {"c": "😀"}]}
    json.dumps(value, ensure_ascii=False).encode()
    assert read(b'["\xff"]') == ["�"]
    assert read(rb'"\ud800"') == "?"


@pytest.mark.parametrize(
    "data, problem, place",
    [
        ("", "not JSON: Expecting value at column 1", "a.json:1"),
        ("[1,\n 2,\n x]", "not JSON: Expecting value at column 2", "a.json:3"),
        ('{"a": 1} {"a": 2}', "not JSON: Extra data", "a.json:1"),
        ('{"a": ', "not JSON", "a.json:1"),
        ("9" * 5000, "not JSON: Exceeds the limit", "a.json"),
        ("[" * 100_000, "nested more than 100 deep", "a.json"),
        ("[" * 101 + "]" * 101, "nested more than 100 deep", "a.json"),
        ('{"a":' * 101 + "1" + "}" * 101, "nested more than 100 deep", "a.json"),
    ],
)
def test_a_bad_document_is_one_error_that_names_its_place(data, problem, place):
    with pytest.raises(RecordError, match=problem) as caught:
        read(data)
    assert caught.value.origin == place


def test_the_greatest_depth_is_still_read():
    assert read("[" * MOST_DEPTH + "]" * MOST_DEPTH)


def test_a_document_over_its_size_is_refused_before_it_is_parsed():
    assert read("[" + " " * 98 + "]", most_bytes=100) == []
    with pytest.raises(RecordError, match="larger than 100 bytes"):
        read("[" + " " * 99 + "]", most_bytes=100)
    endless = Source("pipe", None, b"", io.BufferedReader(_Endless()))
    with pytest.raises(RecordError, match="pipe: the JSON document is larger than 5 MiB"):
        read_document(endless, most_bytes=5 << 20)


class _Endless(io.RawIOBase):
    def readable(self):
        return True

    def readinto(self, buffer):
        buffer[:] = b" " * len(buffer)
        return len(buffer)


def test_many_small_values_are_refused_before_they_fill_the_memory():
    with pytest.raises(RecordError, match="so many values that they take over 7 MiB"):
        read("[" + "{}," * 50_000 + "1]", most_bytes=1_000_000)
    assert len(read("[" + "1," * 50_000 + "1]", most_bytes=1_000_000)) == 50_001


def test_compressed_data_that_is_cut_off_is_said_so(tmp_path):
    path = tmp_path / "a.json.gz"
    whole = gzip.compress(json.dumps(list(range(10_000))).encode())
    path.write_bytes(whole)
    with open_source(path) as source:
        assert len(read_document(source)) == 10_000
    path.write_bytes(whole[:-100])
    with open_source(path) as source, pytest.raises(TruncatedError, match="cut off"):
        read_document(source)


def test_a_value_read_by_others_is_made_writable_too():
    data = rb'{"a": "\ud800", "b": [{"\udc00": 1}]}'
    assert writable(json.loads(data), data) == {"a": "?", "b": [{"?": 1}]}
    assert writable("\ud800", rb'"\ud800"') == "?"
    same = {"a": 1}
    assert writable(same, b'{"a": 1}') is same
