"""Texts out of lines, tables and JSON Lines: what counts as one, and where it came from."""

import pytest

from inoculate.errors import RecordError
from inoculate.reading import text_rows
from inoculate.reading.delimited import LINE
from inoculate.reading.sources import open_source
from inoculate.reading.text_rows import (
    MOST_EXTRA,
    MOST_ROWS,
    first_lines,
    head_cells,
    read_text_rows,
    text_form,
)

NAMES = ("text", "Command")


def read(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    rows, bad = [], []
    with open_source(path) as source:
        form = text_form(source, NAMES)
        cells = head_cells(source, form)
        for frame, errors in read_text_rows(source, form, on_bad=bad.append):
            assert frame.height <= MOST_ROWS
            rows += frame.to_dicts()
            bad += errors
    return form, cells, rows, [str(e).removeprefix(f"{path}:") for e in bad]


def test_plain_lines_keep_their_numbers(tmp_path):
    form, cells, rows, bad = read(tmp_path / "a", "one\r\n\n  \ntw\xff o\n\tthree")
    assert form.kind == "plain" and not cells and not bad
    assert [(r["text"], r[LINE]) for r in rows] == [("one", 1), ("tw\xff o", 4), ("\tthree", 5)]


def test_bytes_that_are_no_text_are_replaced(tmp_path):
    _, _, rows, _ = read(tmp_path / "a", b"a\xffb\n\x00\n")
    assert [r["text"] for r in rows] == ["a\ufffdb", "\0"]


def test_a_column_of_a_table_and_what_stands_beside_it(tmp_path):
    text = 'label,COMMAND,text_source,origin\nx,"a ""b"", c",1,2\ny,,3,4\nz,1\n'
    form, cells, rows, bad = read(tmp_path / "a", text)
    assert form.kind == "delimited" and form.column == "COMMAND"
    assert cells == ['a "b", c', "", "1"]
    assert rows[0] == {
        "text": 'a "b", c', "label": "x", "text_source": "1", "origin_source": "2", LINE: 2,
    }  # fmt: skip
    assert rows[1]["text"] == "" and len(rows) == 2
    assert bad == ["4: 2 columns, the header has 4"]


def test_taken_names_get_out_of_the_way(tmp_path):
    text = '{"Command": "a", "origin": "o", "origin_source": "p", "__line__": "l"}\n'
    _, _, rows, _ = read(tmp_path / "a", text)
    assert rows[0]["text"] == "a" and rows[0][LINE] == 1
    assert sorted(v for k, v in rows[0].items() if k.startswith("origin")) == ["o", "p"]


def test_a_table_of_one_column_may_hold_separators(tmp_path):
    _, _, rows, bad = read(tmp_path / "a", 'text\na,b;c\n"d ""e"", f"\n"g" and "h"\n')
    assert [r["text"] for r in rows] == ["a,b;c", 'd "e", f', '"g" and "h"'] and not bad
    assert [r[LINE] for r in rows] == [2, 3, 4]


def test_a_key_of_json_lines(tmp_path):
    lines = '{"command": "a\\nb", "label": 3, "n": {"x": 1}}\n\n{"label": "none"}\n[1]\n'
    form, cells, rows, bad = read(tmp_path / "a", lines + '{"command": {"y": 2}}\n')
    assert form.kind == "json" and form.column == "command" and cells == ["a\nb"]
    assert [(r["text"], r[LINE]) for r in rows] == [("a\nb", 1), ('{"y": 2}', 5)]
    assert rows[0]["label"] == "3" and rows[0]["n"] == '{"x": 1}'
    assert bad == ["4: expected a JSON object, found list"]


def test_an_object_without_the_key_is_a_plain_line(tmp_path):
    form, _, rows, _ = read(tmp_path / "a", '{"x": 1}\n{ echo a; }\n')
    assert form.kind == "plain" and len(rows) == 2


def test_many_other_keys_are_bounded(tmp_path):
    keys = ", ".join(f'"k{i}": {i}' for i in range(200))
    _, _, rows, _ = read(tmp_path / "a", f'{{"text": "a", {keys}}}\n')
    assert len(rows[0]) == MOST_EXTRA + 2
    header = ",".join(f"k{i}" for i in range(200))
    _, _, rows, _ = read(tmp_path / "b", f"{header},text\n{'1,' * 200}a\n")
    assert len(rows[0]) == MOST_EXTRA + 2 and rows[0]["text"] == "a"


def test_a_name_twice_is_refused(tmp_path):
    with pytest.raises(RecordError, match=r"a:1: column 'x' is there twice"):
        read(tmp_path / "a", "x,text,x\n1,2,3\n")


def test_a_line_of_tabs_before_the_header_is_refused(tmp_path):
    with pytest.raises(RecordError, match=r"a:1: column 'Command' is missing; has column_1"):
        read(tmp_path / "a", "\t\nx,Command\n1,2\n")


def test_many_rows_come_in_small_frames_with_exact_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(text_rows, "BLOCK_BYTES", 300_000)
    n = 3 * MOST_ROWS + 7
    for head, first in (("", 1), ("text,label\n", 2)):
        cell = ",x" if head else ""
        _, _, rows, _ = read(tmp_path / "a", head + "".join(f"t{i}{cell}\n" for i in range(n)))
        assert [r[LINE] for r in rows] == list(range(first, first + n))
        assert rows[-1]["text"] == f"t{n - 1}"


def test_first_lines_are_whole_and_not_blank(tmp_path):
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfa\r\n\nb\nc")
    with open_source(tmp_path / "a") as source:
        assert first_lines(source) == ["a", "b"] and first_lines(source, 1) == ["a"]
    (tmp_path / "a").write_bytes(b"only")
    with open_source(tmp_path / "a") as source:
        assert first_lines(source) == ["only"]
