"""JSON Lines: types, bad lines, deep nesting."""

import gzip

import polars as pl
import pytest

from inoculate.reading.json_lines import load_object, parse_json_lines
from inoculate.reading.lines import Block

SCHEMA = {"n": pl.Float64, "s": pl.String, "in": {"m": pl.Float64}}


def parse(*lines, **options):
    block = Block(b"".join(x + b"\n" for x in lines), 3)
    frame, bad = parse_json_lines(block, SCHEMA, "f.json", **options)
    return frame.rows(), [str(e) for e in bad]


GOOD = b'{"n":1,"s":"a","in":{"m":2}}'


def test_wanted_keys_are_typed_and_absent_ones_null():
    rows, bad = parse(GOOD, b'{"s":5,"other":[1]}', b'{"n":null}')
    empty = {"m": None}
    assert rows[0] == (1.0, "a", {"m": 2.0}, 3)
    assert [r[:2] + r[3:] for r in rows[1:]] == [(None, "5", 4), (None, None, 5)]
    assert all(r[2] in (None, empty) for r in rows[1:]) and not bad


@pytest.mark.parametrize(
    "line, problem",
    [
        (b"rubbish", "not JSON"),
        (b'{"n":1', "not JSON"),
        (b'{"n":1}{"n":2}', "not JSON"),
        (b'{"n":1},{"n":2}', "not JSON"),
        (b"[1]", "expected a JSON object, found list"),
        (b"null", "found NoneType"),
        (b'{"n":"1"}', "'n' is '1', expected a finite number"),
        (b'{"n":true}', "'n' is True"),
        (b'{"n":1e999}', "'n' is inf"),
        (b'{"n":NaN}', "'n' is nan"),
        (b'{"n":[1]}', "'n' is an array"),
        (b'{"in":5}', "'in' is 5, expected an object"),
        (b'{"in":{"m":"x"}}', "'in' 'm' is 'x'"),
        (b'{"n":' + b"9" * 400 + b"}", "expected a finite number"),
        (b'{"n":' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"s":"\x00"}', "not JSON"),
        (b"[" * 500_000, "too deeply"),
        (b'{"in":' * 100_000, "too deeply"),
    ],
)
def test_a_bad_line_is_named_and_its_neighbours_survive(line, problem):
    rows, bad = parse(GOOD, line, GOOD)
    assert [r[3] for r in rows] == [3, 5]
    assert len(bad) == 1 and bad[0].startswith("f.json:4: ") and problem in bad[0]
    assert len(bad[0]) < 200


def test_blank_lines_count_and_invalid_utf8_is_replaced():
    rows, bad = parse(b"", b'{"s":"\xff"}', b"  ", b'{"s":"\\ud800"}')
    assert next((r[1], r[3]) for r in rows) == ("\ufffd", 4)
    assert [r[3] for r in rows] == [4, 6] and not bad


def test_given_numbers_are_used_with_and_without_bad_lines():
    rows, _ = parse(GOOD, GOOD, numbers=[10, 20])
    assert [r[3] for r in rows] == [10, 20]
    rows, bad = parse(GOOD, b"x", GOOD, numbers=[10, 20, 30])
    assert [r[3] for r in rows] == [10, 30] and bad[0].startswith("f.json:20:")


def test_load_object_explains_itself():
    assert load_object(b'{"a": 1}') == {"a": 1}
    assert load_object(b'{"a\\ud800": 1}') == {"a?": 1}
    with pytest.raises(ValueError, match="expected a JSON object"):
        load_object(b"3")


def test_bytes_that_look_compressed_are_no_records_and_never_unpacked():
    packed = gzip.compress(GOOD * 50).replace(b"\n", b"")
    rows, (bad,) = parse(packed, GOOD)
    assert [r[3] for r in rows] == [4] and bad.startswith("f.json:3: not JSON")
