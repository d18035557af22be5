"""Suricata EVE: flow events in the flow schema, and everything else."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inoculate.domains.flows.suricata_eve import SuricataEve
from inoculate.errors import RecordError
from inoculate.features.flows.flow_schema import FLOW_COLUMNS
from inoculate.reading.sources import open_source

SAMPLE = Path(__file__).parents[2] / "data" / "suricata_eve.json"


def event(flow=None, tcp=None, **top):
    counts = {"pkts_toserver": 3, "pkts_toclient": 2, "bytes_toserver": 242, "bytes_toclient": 228}
    times = {"start": "2024-03-05T10:00:00.250000+0000", "end": "2024-03-05T11:00:01.750000+0100"}
    return {
        "timestamp": "2024-03-05T10:01:00.000000+0000",
        "flow_id": 1823764587123,
        "event_type": "flow",
        "src_ip": "10.0.0.1",
        "src_port": 1234,
        "dest_ip": "192.0.2.1",
        "dest_port": 443,
        "proto": "TCP",
        "flow": {**counts, **times, "state": "closed", **(flow or {})},
        "tcp": {"tcp_flags_ts": "1b", "tcp_flags_tc": "1b", "state": "closed", **(tcp or {})},
        **top,
    }


def read(path, events, *, skip=False, separators=(",", ":")):
    text = (
        events
        if isinstance(events, bytes)
        else "".join(
            (e if isinstance(e, str) else json.dumps(e, separators=separators)) + "\n"
            for e in events
        ).encode()
    )
    path.write_bytes(text)
    bad = []
    with open_source(path) as source:
        batches = list(SuricataEve().read(source, **({"on_bad": bad.append} if skip else {})))
    return pl.concat([b.frame for b in batches]) if batches else pl.DataFrame(), bad


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_an_event_in_the_flow_schema_by_hand(tmp_path, separators):
    other = {"timestamp": "x", "event_type": "dns", "dns": {"rrname": '"event_type":"flow"'}}
    frame, _ = read(tmp_path / "eve.json", [other, event()], separators=separators)
    row = frame.row(0, named=True)
    expected = {
        "ts": 1709632800.25,
        "duration": 1.5,
        "orig_h": "10.0.0.1",
        "resp_p": 443,
        "proto": "tcp",
        "orig_pkts": 3.0,
        "orig_ip_bytes": 200.0,
        "resp_ip_bytes": 200.0,
        "orig_bytes": None,
        "flow_id": "1823764587123",
        "syn": 2.0,
        "fin": 2.0,
        "rst": 0.0,
        "psh": None,
        "urg": 0.0,
        "failed": 0.0,
        "established": 1.0,
        "reset": 0.0,
        "closed": 1.0,
        "origin": f"{tmp_path / 'eve.json'}:2",
    }
    assert {k: row[k] for k in expected} == expected and frame.height == 1


@pytest.mark.parametrize(
    "ours, theirs, answers, ending",
    [
        ("02", "00", 0, (1, 0, 0, 0)),
        ("02", "14", 1, (1, 0, 1, 0)),
        ("1e", "1a", 4, (0, 1, 1, 0)),
        ("12", "12", 4, (0, 1, 0, 0)),
        ("zz", "-1", 4, (None, None, None, None)),
    ],
)
def test_how_a_flow_ended(tmp_path, ours, theirs, answers, ending):
    tcp = {"tcp_flags_ts": ours, "tcp_flags_tc": theirs}
    frame, _ = read(tmp_path / "eve.json", [event({"pkts_toclient": answers}, tcp)])
    assert frame["failed", "established", "reset", "closed"].row(0) == ending


def test_udp_payload_is_what_its_headers_leave(tmp_path):
    udp = event(proto="UDP")
    del udp["tcp"]
    six = {**udp, "src_ip": "2001:db8::1", "dest_ip": "2001:db8::2"}
    frame, _ = read(tmp_path / "eve.json", [udp, six])
    assert frame["orig_bytes"].to_list() == [200 - 3 * 28, 200 - 3 * 48]
    assert frame["established"].to_list() == [1, 1] and frame["syn"].to_list() == [0, 0]


def test_keys_that_suricata_does_not_write_are_kept(tmp_path):
    frame, _ = read(tmp_path / "eve.json", [event(label="bad", failed="x"), event()])
    assert frame["label"].to_list() == ["bad", None] and frame["failed"].to_list() == [0, 0]


def test_sample_is_sniffed_and_encoded():
    with open_source(SAMPLE) as source:
        assert SuricataEve().sniff(source) == 1.0
        (batch,) = SuricataEve().read(source)
    x = SuricataEve().encode(batch, SuricataEve().views(batch))["flow"]
    assert x.shape == (45, len(FLOW_COLUMNS))
    assert batch.frame["origin"][1].endswith(":3"), "the line of a DNS event is counted"


@pytest.mark.parametrize(
    "line, problem",
    [
        ("rubbish", "not JSON"),
        ('{"event_type":"flow"', "not JSON"),
        ('{"something":"else"}', None),
        ('{"event_type":"flow","src_port":"x"}', "'src_port' is 'x'"),
        ('{"event_type":"flow","flow":[]}', "'flow' is an array"),
        ('{"event_type":"flow","flow":{"pkts_toserver":1e999}}', "'flow' 'pkts_toserver' is inf"),
        ('{"event_type":"flow","flow":' + '{"a":' * 5000, "too deeply"),
        ('{"event_type":"dns","x":' + "[" * 5000 + "]" * 5000 + "}", None),
    ],
)
def test_a_bad_line_names_its_place_and_the_rest_is_read(tmp_path, line, problem):
    path = tmp_path / "eve.json"
    frame, bad = read(path, [event(), line, event()], skip=True)
    assert frame.height == 2
    assert [e.origin for e in bad] == ([f"{path}:2"] if problem else [])
    assert all(problem in str(e) for e in bad)


def test_absurd_values_become_unknown_not_errors(tmp_path):
    odd = event({"start": "never", "end": None}, src_port=70000, proto=None, src_ip=None)
    row = read(tmp_path / "eve.json", [odd])[0].row(0, named=True)
    assert row["ts"] is None and row["duration"] is None and row["orig_p"] is None
    assert row["tcp"] is None and row["host_flows_60s"] is None


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60
)
@given(
    edits=st.lists(
        st.tuples(st.integers(0, 20_000), st.integers(0, 40), st.binary(max_size=6)), max_size=6
    )
)
def test_damage_raises_nothing_but_record_errors(tmp_path, edits):
    data = SAMPLE.read_bytes()
    for at, gone, new in edits:
        data = data[:at] + new + data[at + gone :]
    try:
        frame, bad = read(tmp_path / "eve.json", data, skip=True)
    except RecordError:
        return
    assert frame.height + len(bad) <= data.count(b"\n") + 1
