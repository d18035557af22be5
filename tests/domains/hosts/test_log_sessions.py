"""Sessions of a log: what a file gives, what is never encoded, and hostile lines."""

import io
import random
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from inoculate.domain import Batch, Source
from inoculate.domains.hosts.log_sessions import VIEWS, LogSessions
from inoculate.errors import RecordError
from inoculate.metrics import auroc
from inoculate.reading.sources import open_source
from inoculate.registry import LEARNERS
from inoculate.task import Labelled, Support
from inoculate.workflows.adapt import AdaptRequest, adapt
from inoculate.workflows.intake import Intake
from inoculate.workflows.scan import ScanRequest, scan

KEY = re.compile(r"blk_-?\d+")
SAMPLE = Path(__file__).parents[2] / "data" / "log_sessions" / "mixed.log"


def read(data: bytes, bad: list | None = None) -> pl.DataFrame:
    source = Source("t", None, data[:65536], io.BytesIO(data))
    skip = {} if bad is None else {"on_bad": bad.append}
    frames = [b.frame for b in LogSessions().read(source, **skip)]
    return pl.concat(frames) if frames else pl.DataFrame()


def encoded(frame: pl.DataFrame) -> np.ndarray:
    views = LogSessions().encode(Batch(frame), VIEWS)
    return np.hstack([views[v.name] for v in VIEWS])


def test_the_sample_is_ten_sessions():
    frame = read(SAMPLE.read_bytes())
    assert frame["lines"].to_list() == [4, 4, 4, 4, 4, 4, 4, 4, 2, 2]
    assert frame["session"].to_list()[6:] == [
        "web1 sshd[4001]", "web1 sshd[4002]", "lines that name nothing", "request_id 7f3a-11",
    ]  # fmt: skip
    assert frame["after_s"][0].to_list() == [0.0, 3.0, 6.0, 9.0]
    assert frame["origin"][1] == "t:5"


def test_sessions_that_differ_in_names_and_moments_alone_encode_the_same():
    x = encoded(read(SAMPLE.read_bytes()))
    for other in (1, 2, 3, 5):
        np.testing.assert_array_equal(x[0], x[other])
    logins = np.nan_to_num(x[6:8])
    assert (logins[0] != logins[1]).sum() < 12  # a user whom no line calls one is a word
    assert (np.nan_to_num(x[4]) != np.nan_to_num(x[0])).any()


def test_what_names_a_session_is_no_part_of_its_lines():
    data = SAMPLE.read_bytes()
    other = (
        data.replace(b"blk_-", b"blk_9").replace(b"7f3a-11", b"zzzz-qq").replace(b"2024", b"2023")
    )
    np.testing.assert_array_equal(encoded(read(other)), encoded(read(data)))


def test_the_order_of_lines_counts():
    lines = SAMPLE.read_text().splitlines()
    turned = [lines[0], lines[2], lines[1], *lines[3:]]
    a, b = (encoded(read("\n".join(each).encode()))[0] for each in (lines, turned))
    step = slice(16 + 128, 16 + 128 + 192)
    assert (a[step] != b[step]).any()
    np.testing.assert_array_equal(a[16 : 16 + 128], b[16 : 16 + 128])


def test_a_frame_of_kinds_alone_can_be_encoded():
    frame = pl.DataFrame({"templates": [["5", "22", "5"], None], "origin": ["x", "y"]})
    out = LogSessions().encode(Batch(frame), VIEWS)
    assert out["line"][0].sum() == pytest.approx(np.log2(3) + 1)
    assert np.isnan(out["word"][1]).all() and np.isnan(out["step"][1]).all()


def test_reasons_quote_lines_steps_and_words():
    frame = read(SAMPLE.read_bytes())[4:5]
    out, record = LogSessions().encode(Batch(frame), VIEWS), frame.row(0, named=True)
    for view, text in (("line", "WARN"), ("step", "Receiving bl"), ("word", "'exception'")):
        width = len(str(out[view].shape[1] - 1))
        said = [
            LogSessions().quote(record, f"{view}_{i:0{width}}")
            for i in np.flatnonzero(out[view][0])
        ]
        assert all(said) and any(text in s for s in said), said
    assert LogSessions().quote(record, "duration") == ""
    assert LogSessions().quote({}, "line_003") == ""


def test_logs_are_read_line_by_line_unless_sessions_are_asked_for():
    with open_source(SAMPLE) as source:
        assert Intake().domain(source).kind == "log_line"
        assert Intake().domain(source, "log_session").kind == "log_session"


def test_a_detector_of_sessions_finds_the_block_that_was_not_written(tmp_path):
    good, bad = (SAMPLE.read_text().splitlines()[i : i + 4] for i in (0, 16))
    rng = random.Random(0)

    def blocks(lines, n, first):
        """Return blocks with up to three mirrors each, as the sample has them."""
        said = [KEY.sub("KEY", line.partition("Z ")[2]) for line in lines]
        out = []
        for i in range(first, first + n):
            times = [rng.randrange(3) for _ in said]
            steps = [said[j] for j, n_more in enumerate(times) for _ in range(1 + n_more)]
            for second, step in enumerate(steps):
                out.append(f"{1_700_000_000 + 20 * i + second} {step}")
                out[-1] = out[-1].replace("KEY", f"blk_{i}")
        return "\n".join(out) + "\n"

    (tmp_path / "usual.log").write_text(blocks(good, 300, 0))
    (tmp_path / "bad.log").write_text(blocks(bad, 3, 1000))
    (tmp_path / "today.log").write_text(blocks(good, 20, 2000) + blocks(bad, 2, 3000))
    out = tmp_path / "x.detector"
    adapt(
        AdaptRequest(
            examples=(str(tmp_path / "bad.log"),), background=(str(tmp_path / "usual.log"),),
            out=out, format="log_sessions",
        )
    )  # fmt: skip
    told = scan(
        ScanRequest(sources=(str(tmp_path / "today.log"),), detector=out, false_alarms=0.01)
    ).report
    assert told.n_records == 22
    assert {f.record["session"] for f in told.findings} == {"blk_3000", "blk_3001"}


def test_a_line_that_is_no_text_names_its_place():
    bad: list[RecordError] = []
    frame = read(b"a\nb\0c\nd\n", bad)
    assert [e.origin for e in bad] == ["t:2"]
    assert frame["lines"].to_list() == [2]


def test_damaged_logs_give_records_or_record_errors():
    rng, good = random.Random(0), SAMPLE.read_bytes()
    for _ in range(300):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 60)):
            data[rng.randrange(len(data))] = rng.choice(b"0[]:= \n\xff\x00blk_-sid")
        frame = read(bytes(data), [])
        if len(frame):
            assert len(set(frame["origin"])) == len(frame)
            assert not np.isinf(encoded(frame)).any()


def test_real_blocks_with_faults_are_found_from_five_examples(data_dir):
    table = pl.read_parquet(data_dir / "net" / "hdfs_sequences.parquet")
    frame = table.select(pl.col("event_seq").str.split(" ").alias("templates"), "label")
    x = LogSessions().encode(Batch(frame), VIEWS)
    rng = np.random.default_rng(0)
    normal, fault = (
        rng.permutation(np.flatnonzero(frame["label"] == c)) for c in ("normal", "anomaly")
    )
    support = Support(
        Labelled(x.take(fault[:5]), np.zeros(5, np.int64)), x.take(normal[:300]), ("fault",)
    )
    detector = LEARNERS.load("committee")().adapt(support, seed=0)
    benign, found = (detector.score(x.take(rows)).alarm() for rows in (normal[300:], fault[5:405]))
    assert auroc(benign, found) > 0.9


def test_real_lines_with_a_node_and_a_time_come_in_stretches(data_dir):
    table = pl.read_parquet(data_dir / "net" / "bgl_2k_lines.parquet")
    clock = table["time"].str.to_datetime("%Y-%m-%d-%H.%M.%S.%6f").dt.strftime("%Y-%m-%d %H:%M:%S")
    text = "\n".join(f"{t} {m}" for t, m in zip(clock, table["text"], strict=True))
    frame = read(text.encode())
    assert frame["lines"].sum() == len(table)
    assert frame["lines"].max() <= 100
    x = encoded(frame)
    assert np.isfinite(x[:, [0, 1, 3, 5]]).all() and not np.isinf(x).any()
