"""CICFlowMeter: dialects, units, what is unknown, and the public data sets."""

import csv
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inoculate.domains.flows.cicflowmeter import Cicflowmeter, words
from inoculate.errors import RecordError
from inoculate.reading.sources import open_source

SAMPLE = Path(__file__).parents[2] / "data" / "cicflowmeter.csv"
HEADER, *ROWS = SAMPLE.read_text().splitlines()


def read(path, content=None, *, skip=False):
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    bad = []
    with open_source(path) as source:
        batches = list(Cicflowmeter().read(source, **({"on_bad": bad.append} if skip else {})))
    return pl.concat([b.frame for b in batches]) if batches else pl.DataFrame(), bad


def row_of(path, **cells):
    """Return the frame's row for a first sample row with some cells changed."""
    values = dict(zip(HEADER.split(","), ROWS[0].split(","), strict=True)) | cells
    return read(path, f"{','.join(values)}\n{','.join(map(str, values.values()))}\n")[0].row(
        0, named=True
    )


def test_units_spreads_and_identity_by_hand(tmp_path):
    row = row_of(
        tmp_path / "f.csv",
        **{
            "Src IP": "10.0.0.1",
            "Protocol": 6,
            "Timestamp": "05/03/2024 10:00:01 AM",
            "Flow Duration": 1_500_000,
            "Total Fwd Packet": 3,
            "Total Bwd packets": 2,
            "Total Length of Fwd Packet": 300,
            "Total Length of Bwd Packet": 200,
            "Fwd Packet Length Std": 3.0,
            "Flow IAT Mean": 250_000,
            "Flow IAT Std": 4.0,
            "Fwd Header Length": 60,
            "Flow Bytes/s": "Infinity",
            "FIN Flag Count": 2,
            "SYN Flag Count": 2,
            "RST Flag Count": 0,
            "Label": "x",
        },
    )
    assert row["ts"] == 1709632801.0 and row["duration"] == 1.5 and row["tcp"] == 1
    assert row["orig_ip_bytes"] == 300 + 60 + 3 * 20 and row["bytes_per_s"] == 500 / 1.5
    assert row["orig_len_std"] == pytest.approx(3.0 * np.sqrt(2 / 3))
    assert row["iat_mean"] == 0.25 and row["iat_std"] == pytest.approx(4e-6 * np.sqrt(3 / 4))
    assert (row["failed"], row["established"], row["closed"]) == (0, 1, 1)
    assert row["Label"] == "x" and row["orig_h"] == "10.0.0.1"


def test_one_packet_has_no_gap_and_negative_values_are_unknown(tmp_path):
    one = {"Total Fwd Packet": 1, "Total Bwd packets": 0, "Flow IAT Min": -5, "Flow Duration": -1}
    row = row_of(tmp_path / "f.csv", **one, **{"Bwd Header Length": -2125437952})
    assert row["iat_mean"] is None and row["iat_min"] is None and row["duration"] is None
    assert row["resp_ip_bytes"] is None and row["orig_len_max"] is not None


def test_a_refused_connection_failed(tmp_path):
    refused = {
        "Protocol": 6,
        "Total Bwd packets": 1,
        "Total Length of Bwd Packet": 0,
        "RST Flag Count": 1,
        "SYN Flag Count": 1,
    }
    row = row_of(tmp_path / "f.csv", **refused)
    assert (row["failed"], row["established"], row["reset"]) == (1, 0, 1)


def test_flag_counts_of_old_releases_are_unknown(tmp_path):
    old = HEADER.replace("CWR Flag Count", " CWE Flag Count")
    frame, _ = read(tmp_path / "f.csv", "\n".join([old, *ROWS]))
    for column in ("fin", "syn", "rst", "psh", "ack", "urg", "reset", "closed", "orig_ip_bytes"):
        assert frame[column].is_null().all()
    assert set(frame["failed"].drop_nulls()) <= {0, 1}


def test_names_of_every_dialect_mean_the_same(data_dir):
    with (data_dir / "net" / "flow_feature_map.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["family"] == "cicflowmeter"]
    wanted = {"duration_us", "fwd_pkts", "bwd_pkts", "fwd_bytes", "bwd_bytes", "fin", "len_std"}
    wanted |= {f"{p}_{k}" for p in ("fwd_iat", "bwd_len", "flow_iat") for k in ("min", "max")}
    seen = set()
    for row in rows:
        names = [row[k] for k in ("cicids2017_improved", "cicddos2019_sample", "cseids2018_sample")]
        if row["canonical"] in wanted:
            seen.add(row["canonical"])
            assert len({words(n) for n in names if n}) == 1, names
    assert seen == wanted
    assert words("TotLen Fwd Pkts") == words("Total Length of Fwd Packets")
    assert words("Tot Fwd Pkts") == words("Total Fwd Packet") != words("TotLen Fwd Pkts")
    assert words("Init_Win_bytes_forward") != words("Total Length of Fwd Packets")


def test_sample_is_sniffed_and_repeated_header_lines_are_no_records(tmp_path):
    with open_source(SAMPLE) as source:
        assert Cicflowmeter().sniff(source) == 1.0
    frame, bad = read(tmp_path / "f.csv", "\n".join([HEADER, *ROWS[:5], HEADER, *ROWS[5:]]))
    assert frame.height == 45 and not bad
    assert frame["origin"][5].endswith(":8")
    assert set(frame["Label"]) == {"BENIGN", "scan", "beacon"}


def test_the_doubled_header_length_is_tolerated_and_other_doubles_are_not(tmp_path):
    header = f"{HEADER},Fwd Header Length"
    frame, _ = read(tmp_path / "a.csv", f"{header}\n{ROWS[0]},99\n")
    assert frame.height == 1
    with pytest.raises(RecordError, match="is there twice"):
        read(tmp_path / "b.csv", f"{HEADER},Flow Duration\n{ROWS[0]},99\n")
    with pytest.raises(RecordError, match="'Tot Fwd Pkts' is there twice"):
        read(tmp_path / "c.csv", f"{HEADER},Tot Fwd Pkts\n{ROWS[0]},99\n")
    with pytest.raises(RecordError, match="no CICFlowMeter column for Flow duration"):
        read(tmp_path / "d.csv", f"{HEADER.replace('Flow Duration', 'Took')}\n{ROWS[0]}\n")


@pytest.mark.parametrize("value, shown", [("x", "'x'"), ("Infinity", "'Infinity'")])
def test_a_bad_number_names_its_place(tmp_path, value, shown):
    cells = ROWS[1].split(",")
    cells[HEADER.split(",").index("Flow Duration")] = value
    path = tmp_path / "f.csv"
    frame, (bad,) = read(path, "\n".join([HEADER, ROWS[0], ",".join(cells), ROWS[2]]), skip=True)
    assert frame.height == 2 and bad.origin == f"{path}:3"
    assert f"column 'Flow Duration' is {shown}" in str(bad)


def test_parquet_with_an_infinite_value_or_no_numbers_names_the_row(tmp_path):
    frame = pl.read_csv(SAMPLE)
    duration = frame["Flow Duration"].cast(pl.Float64).to_list()
    duration[7] = float("inf")
    path = tmp_path / "f.parquet"
    frame.with_columns(pl.Series("Flow Duration", duration)).write_parquet(path)
    got, (bad,) = read(path, skip=True)
    assert got.height == 44 and bad.origin == f"{path}:8"
    frame.with_columns(pl.col("Flow Duration").cast(pl.String)).write_parquet(path)
    assert read(path)[0].height == 45


@pytest.mark.parametrize("name", ["cicids2017_improved", "cicddos2019_sample", "cseids2018_sample"])
def test_public_data_sets_have_plausible_ranges(data_dir, name):
    path = data_dir / "net" / f"{name}.parquet"
    real = pl.read_parquet(path)
    with open_source(path) as source:
        assert Cicflowmeter().sniff(source) == 1.0
        frame = pl.concat([b.frame for b in Cicflowmeter().read(source)])
    assert frame.height == real.height and frame["label"].to_list() == real["label"].to_list()
    assert frame["duration"].is_between(0, 121).all()
    assert frame["orig_pkts"].min() >= 1 and frame["resp_bytes"].min() >= 0
    assert frame["iat_max"].drop_nulls().is_between(0, 121).all()
    mean = (frame["orig_bytes"] / frame["orig_pkts"]).to_numpy()
    assert np.mean(np.isclose(frame["orig_len_mean"].to_numpy(), mean, rtol=1e-3)) > 0.99
    assert frame["tcp"].mean() > 0.02 and (frame["tcp"] + frame["udp"]).max() == 1
    if "orig_h" in frame.columns and frame["orig_h"].is_not_null().any():
        assert frame["ts"].is_between(1.4e9, 1.6e9).all() and frame["host_flows_100"].max() == 100


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60
)
@given(
    edits=st.lists(
        st.tuples(st.integers(0, 10_000), st.integers(0, 40), st.binary(max_size=6)), max_size=6
    )
)
def test_damage_raises_nothing_but_record_errors(tmp_path, edits):
    data = SAMPLE.read_bytes()
    for at, gone, new in edits:
        data = data[:at] + new + data[at + gone :]
    try:
        frame, bad = read(tmp_path / "f.csv", data, skip=True)
    except RecordError:
        return
    assert frame.height + len(bad) <= data.count(b"\n") + 1
