"""Files with a header line."""

import pytest

from inoculate.errors import RecordError
from inoculate.reading.headed import read_headed, sniff_header
from inoculate.reading.sources import open_source


def read(path, content):
    path.write_bytes(content)
    with open_source(path) as source:
        return sniff_header(source), list(read_headed(source))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separator_is_found_and_the_first_record_keeps_its_line_number(tmp_path, separator):
    content = f"\n\n a{separator}b {separator}c\n1{separator}2{separator}3\n".encode()
    sniffed, ((header, block),) = read(tmp_path / "t.csv", content)
    assert header.names == ("a", "b", "c") and header.separator == separator
    assert header.origin.endswith(":3") and block.first_line == 4
    assert sniffed is not None and sniffed.names == header.names


def test_quoted_names_may_hold_the_separator(tmp_path):
    _, ((header, _),) = read(tmp_path / "t.csv", b'"a,b",c\n1,2\n')
    assert header.names == ("a,b", "c")


def test_header_alone_gives_no_block_and_blank_lines_alone_an_error(tmp_path):
    assert read(tmp_path / "t.csv", b"a,b\n")[1] == []
    with pytest.raises(RecordError, match="only blank lines"):
        read(tmp_path / "u.csv", b"\n\n  \n")


def test_absurd_width_is_refused(tmp_path):
    with pytest.raises(RecordError, match="the header has 5001 columns"):
        read(tmp_path / "t.csv", b"," * 5000 + b"\n1\n")


def test_binary_is_no_header(tmp_path):
    path = tmp_path / "t.bin"
    path.write_bytes(b"a,b\0c\n1,2\n")
    with open_source(path) as source:
        assert sniff_header(source) is None
