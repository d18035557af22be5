"""Blocks of whole lines: exact numbers, long lines, cut streams."""

import gzip
import io
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inoculate.domain import Source
from inoculate.errors import RecordError, TruncatedError
from inoculate.reading import lines
from inoculate.reading.lines import Block, has_gaps, numbered, read_blocks
from inoculate.reading.sources import open_source


class Pieces(io.RawIOBase):
    """A stream that gives one piece a read."""

    def __init__(self, pieces):
        self.pieces = list(pieces)

    def read(self, size=-1):
        return self.pieces.pop(0) if self.pieces else b""


def blocks_of(*pieces):
    bad = []
    source = Source("log", None, b"", Pieces(p for p in pieces if p))
    return list(read_blocks(source, on_bad=bad.append)), bad


def flat(blocks):
    return [(n, line) for block in blocks for n, line in enumerate(block.lines(), block.first_line)]


def test_lines_are_whole_and_numbered_from_one_across_reads():
    blocks, bad = blocks_of(b"one\ntw", b"o\n", b"three", b" more\nlast")
    assert flat(blocks) == [(1, b"one"), (2, b"two"), (3, b"three more"), (4, b"last")]
    assert not bad


def test_a_short_read_of_whole_lines_is_given_at_once():
    blocks, _ = blocks_of(b"one\n", b"two\n")
    assert [b.data for b in blocks] == [b"one\n", b"two\n"]


def test_carriage_returns_and_byte_order_mark_are_removed():
    blocks, _ = blocks_of(b"\xef\xbb\xbfone\r\ntwo\r\n\xef\xbb\xbf\r\n")
    assert flat(blocks) == [(1, b"one"), (2, b"two"), (3, b"\xef\xbb\xbf")]


@settings(deadline=None)
@given(
    text=st.lists(st.binary(max_size=12), max_size=20).map(b"\n".join),
    cuts=st.lists(st.integers(0, 250), max_size=6),
    longest=st.sampled_from([4, 8, 100]),
)
def test_any_cut_of_a_stream_gives_the_same_lines(text, cuts, longest):
    text = text.replace(b"\r", b"").removeprefix(b"\xef\xbb\xbf")
    edges = sorted({0, len(text), *(min(c, len(text)) for c in cuts)})
    pieces = [text[a:b] for a, b in itertools.pairwise(edges)]
    old, lines.LONGEST_LINE = lines.LONGEST_LINE, longest
    try:
        blocks, bad = blocks_of(*pieces)
    finally:
        lines.LONGEST_LINE = old
    expected = text.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    got = flat(blocks)
    assert got == [(n, x) for n, x in enumerate(expected, 1) if len(x) <= longest]
    assert [e.origin for e in bad] == [
        f"log:{n}" for n, x in enumerate(expected, 1) if len(x) > longest
    ]


def test_a_ten_megabyte_line_is_a_bad_record_and_never_held():
    piece = b"x" * 65_536
    blocks, (bad,) = blocks_of(b"one\ntwo", *[piece] * 160, b"end\nthree\n")
    assert flat(blocks) == [(1, b"one"), (3, b"three")]
    assert bad.origin == "log:2" and "longer than 1024 KiB" in bad.problem


def test_a_long_last_line_is_reported_too():
    blocks, (bad,) = blocks_of(b"one\n", *[b"x" * 65_536] * 20)
    assert flat(blocks) == [(1, b"one")] and bad.origin == "log:2"


def test_the_first_bad_line_stops_unless_it_is_skipped():
    source = Source("log", None, b"", Pieces([b"x" * 2_000_000 + b"\ntwo\n"]))
    with pytest.raises(RecordError, match="log:1: the line is longer"):
        list(read_blocks(source))


def test_truncated_gzip_gives_its_whole_lines_and_then_the_error(tmp_path):
    path = tmp_path / "log.gz"
    text = b"".join(b"line %d\n" % i for i in range(200_000))
    packed = gzip.compress(text)
    path.write_bytes(packed[: len(packed) * 2 // 3])
    bad = []
    with open_source(path) as source:
        got = flat(read_blocks(source, on_bad=bad.append))
    assert len(got) > 100_000
    assert got == list(enumerate(text.split(b"\n")[: len(got)], 1))
    assert [type(e) for e in bad] == [TruncatedError]
    assert f"{len(got)} whole lines before it" in str(bad[0])


def test_numbered_skips_blank_lines_and_comments():
    block = Block(b"#head\na\n\n  \n#b\nc\n", 7)
    assert list(numbered(block, b"#")) == [(8, b"a"), (12, b"c")]
    assert list(numbered(block, b"#b\n")) == [(7, b"#head"), (8, b"a"), (12, b"c")]
    assert has_gaps(block) and has_gaps(Block(b"a\n#b\n", 1), b"#")
    assert not has_gaps(Block(b"a\n#b\n", 1)) and not has_gaps(Block(b"a\n#bc\n", 1), b"#b\n")
