"""Delimited text: what is a number, what is bad, and where."""

import csv
import gzip
import zlib
from functools import partial

import polars as pl
import polars.testing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inoculate.errors import RecordError
from inoculate.reading import delimited
from inoculate.reading.delimited import LINE, Layout, check_header, parse_delimited
from inoculate.reading.lines import Block

LAYOUT = Layout(
    ("name", "n", "skipped", "m"),
    numbers=frozenset({"n", "m"}),
    texts=frozenset({"name"}),
    unknown=("-",),
    minimum=0.0,
)


def parse(text, layout=LAYOUT):
    frame, bad = parse_delimited(Block(text, 5), layout, "f.csv")
    return frame.rows(), [str(e) for e in bad]


def test_numbers_texts_and_unknown_cells():
    rows, bad = parse(b"a,1,x,2.5\n-,-,x,\nc,NaN,x,1e3\n")
    assert rows == [("a", 1.0, 2.5, 5), (None, None, None, 6), ("c", None, 1000.0, 7)]
    assert bad == []


@pytest.mark.parametrize(
    "line, problem",
    [
        (b"a,1,x", "3 columns, the header has 4"),
        (b"a,1,x,2,3", "5 columns, the header has 4"),
        (b"a,one,x,2", "column 'n' is 'one', expected a finite number, 0 or more"),
        (b"a,1,x,inf", "column 'm' is 'inf'"),
        (b"a,1,x,-1e999", "column 'm' is '-1e999'"),
        (b"a,-5,x,1", "column 'n' is '-5'"),
        (b'"a,1,x,2', "1 columns"),
        (b"a,\xff\xfe,x,2", "column 'n' is"),
        (b"a,1\x00,x,2", "column 'n' is '1\\x00'"),
        (b"a," + b"9" * 500 + b"x,x,2", "..."),
    ],
)
def test_a_bad_line_is_named_and_its_neighbours_survive(line, problem):
    rows, bad = parse(b"a,1,x,2\n" + line + b"\nb,3,x,4\n")
    assert rows == [("a", 1.0, 2.0, 5), ("b", 3.0, 4.0, 7)]
    (message,) = bad
    assert message.startswith("f.csv:6: ") and problem in message and len(message) < 160


def test_blank_lines_and_repeated_headers_are_no_records_and_count_as_lines():
    layout = Layout(LAYOUT.names, LAYOUT.numbers, LAYOUT.texts, comment=b"name,n,skipped,m\n")
    rows, bad = parse(b"\na,1,x,2\nname,n,skipped,m\n\nb,3,x,4\n", layout)
    assert rows == [("a", 1.0, 2.0, 6), ("b", 3.0, 4.0, 9)] and not bad


def test_quotes_hold_separators_and_doubled_quotes():
    rows, bad = parse(b'"a, ""b""",1,"x,y",2\nplain,"3",x,4\n')
    assert rows == [('a, "b"', 1.0, 2.0, 5), ("plain", 3.0, 4.0, 6)] and not bad


def test_invalid_utf8_in_a_text_is_replaced():
    rows, bad = parse(b"\xe9t\xe9,1,x,2\n")
    assert rows == [("\ufffdt\ufffd", 1.0, 2.0, 5)] and not bad


cell = st.one_of(
    st.sampled_from(
        ["", "-", "1", "-1", "2.5", "1e5", "inf", "nan", "x", "é", "\x00", " 7", "1_0"]
    ),
    st.text(alphabet='ab",\x00é 1', max_size=5),
)


@settings(deadline=None)
@given(st.lists(st.lists(cell, min_size=3, max_size=5).map(",".join), max_size=8))
def test_parsing_at_once_and_by_line_agree(rows):
    text = "".join(r.replace("\n", "") + "\n" for r in rows).encode()
    block = Block(text, 1)
    fast = delimited._parse_at_once(block, LAYOUT)
    slow, bad = delimited._parse_by_line(block, LAYOUT, "f")
    if fast is not None and text:
        assert not bad
        pl.testing.assert_frame_equal(fast, slow)
    assert slow.height + len(bad) <= len(rows)


def test_header_checks_name_the_column():
    with pytest.raises(RecordError, match="h:1: column 'a' is there twice"):
        check_header(["a", "b", "a"], (), "h:1")
    with pytest.raises(RecordError, match="column 'c' is missing; has a, b"):
        check_header(["a", "b"], ("a", "c"), "h:1")


def test_line_column_cannot_clash_with_a_usual_name():
    assert LINE not in ("line", "origin") and csv.field_size_limit() >= 1 << 20


@pytest.mark.parametrize("pack", [partial(gzip.compress, mtime=0), zlib.compress])
def test_bytes_that_look_compressed_are_never_unpacked(pack):
    packed = next(p for i in range(999) if b"\n" not in (p := pack(b"text\n" * i)) and i > 9)
    layout = Layout(("text",), numbers=frozenset(), texts=frozenset({"text"}), quoted=False)
    frame, bad = parse_delimited(Block(packed + b"\n", 1), layout, "f")
    assert frame["text"].to_list() == [packed.decode("utf-8", "replace")] and not bad
