"""Zeek conn.log: both forms, its quirks, and the lines that must be refused."""

import gzip
import json
from pathlib import Path

import numpy as np
import polars as pl
import polars.testing
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inoculate.domains.flows.zeek_conn import ZeekConn
from inoculate.errors import RecordError, TruncatedError
from inoculate.features.flows.flow_schema import FLOW_COLUMNS
from inoculate.reading.sources import open_source

SAMPLE = Path(__file__).parents[2] / "data" / "zeek_conn.log"
NAMES = [
    *("ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service"),
    *("duration", "orig_bytes", "resp_bytes", "conn_state", "missed_bytes", "history"),
    *("orig_pkts", "orig_ip_bytes", "resp_pkts", "resp_ip_bytes"),
]
HEADER = "#separator \\x09\n#unset_field\t-\n#empty_field\t(empty)\n#fields\t" + "\t".join(NAMES)
LINE = (
    "10.5\tC1\t10.0.0.1\t1234\t192.0.2.1\t443\ttcp\tssl\t0.25\t100\t3000\tSF\t0"
    "\tShADadFf\t8\t420\t9\t3360"
)


def read(path, content, *, skip=False):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    bad = []
    with open_source(path) as source:
        domain = ZeekConn()
        batches = list(domain.read(source, **({"on_bad": bad.append} if skip else {})))
    frame = pl.concat([b.frame for b in batches], how="diagonal") if batches else pl.DataFrame()
    return frame, bad


def lines(n, start=0):
    return "".join(LINE.replace("10.5", str(10.5 + start + i)) + "\n" for i in range(n))


def test_a_line_in_the_flow_schema_by_hand(tmp_path):
    frame, _ = read(tmp_path / "conn.log", f"{HEADER}\n{LINE}\n")
    row = frame.row(0, named=True)
    expected = {
        "ts": 10.5,
        "orig_h": "10.0.0.1",
        "orig_p": 1234,
        "resp_h": "192.0.2.1",
        "resp_p": 443,
        "proto": "tcp",
        "service": "ssl",
        "uid": "C1",
        "tcp": 1.0,
        "udp": 0.0,
        "duration": 0.25,
        "orig_bytes": 100.0,
        "orig_ip_bytes": 420.0,
        "resp_pkts": 9.0,
        "failed": 0.0,
        "established": 1.0,
        "reset": 0.0,
        "closed": 1.0,
        "syn": 2.0,
        "fin": 2.0,
        "rst": 0.0,
        "psh": None,
        "iat_mean": None,
        "bytes_per_s": 12400.0,
        "host_flows_60s": 1.0,
    }
    assert {k: row[k] for k in expected} == expected
    assert row["origin"] == f"{tmp_path / 'conn.log'}:5"


@pytest.mark.parametrize(
    "proto, state, resp_pkts, ending",
    [
        ("tcp", "S0", 0, (1, 0, 0, 0)),
        ("tcp", "REJ", 1, (1, 0, 1, 0)),
        ("tcp", "RSTO", 3, (0, 1, 1, 0)),
        ("tcp", "S1", 3, (0, 1, 0, 0)),
        ("tcp", "SHR", 3, (1, 0, 0, 0)),
        ("tcp", "OTH", 3, (None, None, None, None)),
        ("udp", "SF", 1, (0, 1, 0, 0)),
        ("udp", "S0", 0, (1, 0, 0, 0)),
        ("icmp", "OTH", 1, (0, 1, 0, 0)),
        ("tcp", "-", 1, (None, None, None, None)),
    ],
)
def test_how_a_flow_ended(tmp_path, proto, state, resp_pkts, ending):
    line = LINE.replace("tcp", proto).replace("SF", state).replace("\t9\t", f"\t{resp_pkts}\t")
    frame, _ = read(tmp_path / "conn.log", f"{HEADER}\n{line}\n")
    assert frame["failed", "established", "reset", "closed"].row(0) == ending


def test_json_equals_tsv_and_times_may_be_iso(tmp_path):
    tsv, _ = read(tmp_path / "conn.log", SAMPLE.read_bytes())
    names, rows = [], []
    for line in SAMPLE.read_text().splitlines():
        if line.startswith("#fields"):
            names = line.split("\t")[1:]
        elif not line.startswith("#"):
            cells = dict(zip(names, line.split("\t"), strict=True))
            texts = {"uid", "proto", "service", "conn_state", "history", "label"}
            rows.append(
                {
                    k: v if k in texts or k.endswith("_h") else float(v)
                    for k, v in cells.items()
                    if v != "-" and not k.startswith(("local", "tunnel"))
                }
            )
    text = "".join(json.dumps(r) + "\n" for r in rows)
    numbers, _ = read(tmp_path / "a.json", text)
    columns = [c for c in tsv.columns if c != "origin"]
    pl.testing.assert_frame_equal(numbers.select(columns), tsv.select(columns), abs_tol=1e-6)
    stamp = pl.Series([r["ts"] * 1e6 for r in rows]).round().cast(pl.Int64).cast(pl.Datetime("us"))
    for r, t in zip(rows, stamp.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"), strict=True):
        r["ts"] = t
    iso, _ = read(tmp_path / "b.json", "".join(json.dumps(r) + "\n" for r in rows))
    pl.testing.assert_frame_equal(iso.select(columns), numbers.select(columns), abs_tol=1e-6)


def test_sample_is_sniffed_and_its_extra_columns_are_kept():
    with open_source(SAMPLE) as source:
        assert ZeekConn().sniff(source) == 1.0
        (batch,) = ZeekConn().read(source)
    assert set(batch.frame["label"]) == {"web", "dns", "scan", "beacon"}
    x = ZeekConn().encode(batch, ZeekConn().views(batch))["flow"]
    assert x.shape == (60, len(FLOW_COLUMNS)) and x.dtype == np.float32
    scans = batch.frame.filter(pl.col("label") == "scan")
    assert (scans["failed"] == 1).all() and (scans["duration"] == 0).all()


def test_header_may_come_again_with_other_columns_and_another_separator(tmp_path):
    other = [n for n in NAMES if n != "service"]
    line = ",".join(c for n, c in zip(NAMES, LINE.split("\t"), strict=True) if n != "service")
    again = "#separator \\x2c\n#unset_field,NIL\n#fields," + ",".join(other)
    text = f"{HEADER}\n{lines(3)}#close\tnow\n{HEADER}\n{lines(2)}{again}\n{line}\n"
    frame, _ = read(tmp_path / "conn.log", text)
    assert frame.height == 6 and frame["service"].to_list() == ["ssl"] * 5 + [None]
    places = [int(o.rpartition(":")[2]) for o in frame["origin"]]
    assert places == [5, 6, 7, 13, 14, 18]


def test_many_comments_and_many_headers_stay_cheap_and_are_bounded(tmp_path):
    comments = "".join(f"#note\t{i}\n{LINE}\n" for i in range(3000))
    frame, _ = read(tmp_path / "a.log", f"{HEADER}\n{comments}")
    assert frame.height == 3000
    assert frame["origin"][-1].endswith(f":{4 + 6000}")
    changes = "".join(f"#unset_field\t{i}\n{LINE}\n" for i in range(1100))
    with pytest.raises(RecordError, match="more than 1000 different headers"):
        read(tmp_path / "b.log", f"{HEADER}\n{changes}")


def test_iot23_columns_three_spaces_apart_are_split(tmp_path):
    header = f"{HEADER}\ttunnel_parents   label   detailed-label"
    text = f"{header}\n{LINE}\t-   Malicious   C&C\n{LINE}\t-   benign   -\n"
    frame, _ = read(tmp_path / "conn.log", text)
    assert frame["label"].to_list() == ["Malicious", "benign"]
    assert frame["detailed-label"].to_list() == ["C&C", "-"]


def test_a_column_named_like_one_of_ours_is_renamed(tmp_path):
    text = f"{HEADER}\tfailed\torigin\n{LINE}\tx\ty\n"
    row = read(tmp_path / "conn.log", text)[0].row(0, named=True)
    assert row["failed_source"] == "x" and row["origin_source"] == "y" and row["failed"] == 0.0


@pytest.mark.parametrize(
    "line, problem",
    [
        ("1\tC1\t10.0.0.1", "3 columns, the header has 18"),
        (LINE.replace("0.25", "x"), "column 'duration' is 'x'"),
        (LINE.replace("0.25", "inf"), "column 'duration' is 'inf'"),
        (LINE.replace("3000", "-1"), "column 'resp_bytes' is '-1'"),
        ("\0" * 50, "1 columns"),
    ],
)
def test_a_bad_line_names_its_place_and_the_rest_is_read(tmp_path, line, problem):
    path = tmp_path / "conn.log"
    frame, (bad,) = read(path, f"{HEADER}\n{LINE}\n{line}\n{LINE}\n", skip=True)
    assert frame.height == 2 and bad.origin == f"{path}:6" and problem in str(bad)
    with pytest.raises(RecordError, match=r"conn\.log:6: "):
        read(path, f"{HEADER}\n{LINE}\n{line}\n{LINE}\n")


@pytest.mark.parametrize(
    "text, problem",
    [
        (LINE + "\n", "no #fields header before the first flow"),
        (HEADER.replace("orig_bytes", "bytes_sent") + f"\n{LINE}\n", "'orig_bytes' is missing"),
        (HEADER.replace("service", "proto") + f"\n{LINE}\n", "'proto' is there twice"),
        ("#fields\tts\tuid\tquery\n1\tC\tx\n", "'id.orig_h' is missing; has ts, uid, query"),
    ],
)
def test_a_wrong_header_ends_the_reading_even_when_bad_lines_are_skipped(tmp_path, text, problem):
    with pytest.raises(RecordError, match=problem):
        read(tmp_path / "conn.log", text, skip=True)


def test_truncated_gzip_is_read_up_to_the_cut(tmp_path):
    packed = gzip.compress(f"{HEADER}\n{lines(20_000)}".encode())
    frame, (bad,) = read(tmp_path / "conn.log.gz", packed[: len(packed) // 2], skip=True)
    assert frame.height > 1000 and isinstance(bad, TruncatedError)


@pytest.mark.parametrize(
    "head",
    [
        b"ts,te,td\n1,2,3\n",
        b'{"a":1}\n',
        b"\x00\x01",
        b"#fields\tts\tquery\n",
        b"{",
        b"[" * 70000,
        b"#",
    ],
)
def test_other_formats_are_not_zeek(tmp_path, head):
    path = tmp_path / "x"
    path.write_bytes(head)
    with open_source(path) as source:
        assert ZeekConn().sniff(source) == 0.0


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60
)
@given(
    edits=st.lists(
        st.tuples(st.integers(0, 8000), st.integers(0, 40), st.binary(max_size=6)), max_size=6
    )
)
def test_damage_raises_nothing_but_record_errors(tmp_path, edits):
    data = SAMPLE.read_bytes()
    for at, gone, new in edits:
        data = data[:at] + new + data[at + gone :]
    try:
        frame, bad = read(tmp_path / "conn.log", data or b"#", skip=True)
    except RecordError:
        return
    assert frame.height + len(bad) <= data.count(b"\n") + 1


def test_real_zeek_logs_written_out_and_read_back(data_dir, tmp_path):
    real = pl.read_parquet(data_dir / "net" / "ctu_zeek_conn.parquet")
    names = [c for c in real.columns if c not in ("row_group", "label_top", "scenario")]
    path = tmp_path / "conn.log"
    body = real.select(names).write_csv(
        include_header=False, separator="\t", null_value="-", quote_style="never"
    )
    path.write_text("#fields\t" + "\t".join(names) + "\n" + body)
    with open_source(path) as source:
        frame = pl.concat([b.frame for b in ZeekConn().read(source)])
    assert frame.height == real.height
    assert frame["label"].to_list() == real["label"].to_list()
    for ours, theirs in (("orig_bytes", "orig_bytes"), ("resp_pkts", "resp_pkts")):
        np.testing.assert_allclose(frame[ours].to_numpy(), real[theirs].cast(pl.Float64).to_numpy())
    assert frame["duration"].is_null().sum() == 0 and frame["duration"].max() < 86_400
    for flag in ("failed", "established", "reset", "closed"):
        assert set(frame[flag].drop_nulls()) == {0.0, 1.0}
    assert frame["host_flows_100"].is_between(1, 100).all()
