"""Log lines: what is read, shown and encoded, and which lines are refused."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from inoculate.domain import Batch, raise_bad
from inoculate.domains.hosts import log_lines
from inoculate.domains.hosts.log_lines import GRAMS, MASKED, SHAPE, WORDS, LogLines
from inoculate.errors import RecordError
from inoculate.reading.sources import open_source

SAMPLE = Path(__file__).parents[2] / "data" / "log_lines.log"
SSH = "sshd[{}]: Failed password for {} from 10.0.0.{} port {} ssh2"


def read(path, on_bad=raise_bad) -> pl.DataFrame:
    with open_source(path) as source:
        batches = list(LogLines().read(source, on_bad=on_bad))
    return pl.concat([b.frame for b in batches])


def encoded(texts) -> dict[str, np.ndarray]:
    batch = Batch(pl.DataFrame({"origin": [str(i) for i in range(len(texts))], "text": texts}))
    return dict(LogLines().encode(batch, LogLines().views(batch)).items())


def sniffed(tmp_path, content: bytes) -> float:
    path = tmp_path / "x"
    path.write_bytes(content)
    with open_source(path) as source:
        return LogLines().sniff(source)


def test_a_line_is_shown_with_its_time_and_template(tmp_path):
    path = tmp_path / "auth.log"
    lines = [f"Jun 14 15:16:0{i} h " + SSH.format(i, f"u{'xyz'[i]}", i, 100 + i) for i in range(3)]
    path.write_text("\n".join([*lines[:2], "", "  ", lines[2]]))
    os.utime(path, (1.7e9, 1.7e9))
    frame = read(path)
    assert frame["origin"].to_list() == [f"{path}:{n}" for n in (1, 2, 5)]
    assert frame["text"].to_list() == lines
    assert frame["ts"].to_list() == [1_686_755_760.0, 1_686_755_761.0, 1_686_755_762.0]
    assert set(frame["template"]) == {
        "sshd[<num>]: Failed password for <*> from <ip> port <num> ssh0"
    }


def test_a_time_a_host_and_numbers_change_nothing_that_is_encoded():
    x = encoded(
        [
            "Jun 14 15:16:01 web1 " + SSH.format(123, "root", 1, 4022),
            "2024-05-01T10:00:00Z db7 " + SSH.format(977, "root", 9, 5151),
            SSH.format(555, "root", 5, 3333),
            SSH.format(555, "toor", 5, 3333),
        ]
    )
    for view, rows in x.items():
        np.testing.assert_array_equal(rows[0], rows[1])
        np.testing.assert_array_equal(rows[0], rows[2])
        assert (rows[2] != rows[3]).any() == (view != "shape"), view


def test_a_line_encodes_the_same_alone_in_any_order_and_read_or_made():
    frame = read(SAMPLE)
    views = LogLines().views(Batch(frame))
    whole = LogLines().encode(Batch(frame), views)
    bare = frame.select("origin", "text")
    for rows in ([7], list(range(len(frame)))[::-1]):
        for some in (frame[rows], bare[rows]):
            for name, x in LogLines().encode(Batch(some), views).items():
                np.testing.assert_array_equal(x, whole[name][rows])


def test_unknown_is_nan_and_empty_is_a_record():
    x = encoded(["", None, "2024-05-01 10:00:00"])
    for rows in x.values():
        assert np.isnan(rows[1]).all()
        assert np.isfinite(rows[0]).all()
        np.testing.assert_array_equal(rows[0], rows[2])
    assert not x["shape"][0].any()


def test_columns_are_few_enough_and_their_names_unique():
    names = [c.name for v in (SHAPE, WORDS.view, GRAMS.view) for c in v.columns]
    assert len(set(names)) == len(names) <= 640


def test_a_hashed_column_is_quoted_in_the_lines_own_words():
    line = SSH.format(1, "root", 1, 22)
    x = encoded([line])
    domain, record = LogLines(), {"text": line}
    for hashed, gram in ((WORDS, "'from <ip>'"), (GRAMS, "'pas'")):
        counted = np.flatnonzero(x[hashed.view.name][0])
        quotes = [domain.quote(record, hashed.view.columns[j].name) for j in counted]
        assert all(quotes) and any(gram in q for q in quotes)
    assert domain.quote(record, "length") == domain.quote({"text": None}, "word_000") == ""


@pytest.mark.parametrize(
    ("content", "sure"),
    [
        (SAMPLE.read_bytes(), 0.4),
        (b"<13>x: y\n" * 3, 0.4),
        (b"2024-05-01 10:00:00 a\n" * 3, 0.4),
        (b"once upon a time\nthere was a log\n", 0.05),
        (b"ts,a,b\n" + b"2024-05-01 10:00:00,1,2\n" * 3, 0.05),
        (b'{"ts": 1}\n', 0.0),
        (bytes(range(256)) * 4, 0.0),
        (b"\xff\xfe\x01\x02" * 50 + b"\n", 0.0),
        (b"\n\n", 0.0),
    ],
)
def test_sniffing_is_modest(tmp_path, content, sure):
    assert sniffed(tmp_path, content) == sure


def test_a_null_byte_is_a_bad_record_and_others_are_read(tmp_path):
    path = tmp_path / "x.log"
    path.write_bytes(b"one\nt\0wo\n\xff\xfethree\n")
    with pytest.raises(RecordError, match=r"x.log:2: a null byte"):
        read(path)
    bad = []
    assert read(path, bad.append)["text"].to_list() == ["one", "\ufffd\ufffdthree"]
    assert [e.origin for e in bad] == [f"{path}:2"]


def test_many_lines_come_in_batches_of_bounded_size(tmp_path, monkeypatch):
    monkeypatch.setattr(log_lines, "MOST_LINES", 10)
    path = tmp_path / "x.log"
    path.write_text("a\n" * 25)
    with open_source(path) as source:
        assert [len(b) for b in LogLines().read(source)] == [10, 10, 5]


def test_more_new_texts_than_a_batch_may_teach_are_their_own_templates(tmp_path, monkeypatch):
    monkeypatch.setattr(log_lines, "MOST_NEW", 2)
    path = tmp_path / "x.log"
    path.write_text("".join(f"job took {w} seconds\n" for w in "abcd"))
    assert read(path)["template"].to_list() == ["job took <*> seconds"] * 2 + [
        "job took c seconds",
        "job took d seconds",
    ]


def test_what_reading_keeps_is_what_encoding_would_find():
    frame = read(SAMPLE)
    assert frame[MASKED].n_unique() < len(frame)
    assert not frame[MASKED].str.contains(r"\d\d").any()
