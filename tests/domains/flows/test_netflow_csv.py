"""NetFlow and IPFIX CSV: the known headers, one-way records, and bad input."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inoculate.domains.flows.netflow_csv import NetflowCsv
from inoculate.errors import RecordError
from inoculate.reading.sources import open_source

SAMPLE = Path(__file__).parents[2] / "data" / "netflow_csv.csv"
NFDUMP = "ts,te,td,sa,da,sp,dp,pr,flg,ipkt,ibyt,opkt,obyt"
TIMES = "2024-03-05 10:00:00.250,2024-03-05 10:00:02.250,2.000"
ROW = f"{TIMES},10.0.0.1,192.0.2.1,4000,80,TCP,...AP.SF,10,1500,0,0"


def read(path, content, *, skip=False):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    bad = []
    with open_source(path) as source:
        batches = list(NetflowCsv().read(source, **({"on_bad": bad.append} if skip else {})))
    return pl.concat([b.frame for b in batches]) if batches else pl.DataFrame(), bad


def first(path, content):
    return read(path, content)[0].row(0, named=True)


def subset(row, expected):
    return {k: row[k] for k in expected}


def test_nfdump_record_of_one_direction(tmp_path):
    row = first(tmp_path / "f.csv", f"{NFDUMP}\n{ROW}\n")
    expected = {
        "ts": 1709632800.25,
        "duration": 2.0,
        "orig_h": "10.0.0.1",
        "orig_p": 4000,
        "proto": "tcp",
        "orig_pkts": 10.0,
        "orig_ip_bytes": 1500.0,
        "orig_bytes": None,
        "resp_pkts": None,
        "resp_ip_bytes": None,
        "syn": 1.0,
        "fin": 1.0,
        "rst": 0.0,
        "psh": None,
        "urg": 0.0,
        "failed": None,
        "established": None,
        "reset": 0.0,
        "origin": f"{tmp_path / 'f.csv'}:2",
    }
    assert subset(row, expected) == expected


def test_newer_nfdump_names(tmp_path):
    header = "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,bps,bpp,flows"
    line = "2024-03-05 10:00:00.250,0.5,UDP,10.0.0.1,53124,192.0.2.1,53,2,156,2496,78,1"
    row = first(tmp_path / "f.csv", f"{header}\n{line}\n")
    expected = {
        "ts": 1709632800.25,
        "duration": 0.5,
        "udp": 1.0,
        "orig_bytes": 100.0,
        "bps": "2496",
    }
    assert subset(row, expected) == expected


def test_ipfix_biflow_as_yaf_exports_it(tmp_path):
    header = (
        "flowStartMilliseconds,flowEndMilliseconds,sourceIPv4Address,destinationIPv4Address,"
        "sourceTransportPort,destinationTransportPort,protocolIdentifier,packetTotalCount,"
        "octetTotalCount,reversePacketTotalCount,reverseOctetTotalCount,initialTCPFlags,"
        "unionTCPFlags,reverseInitialTCPFlags,reverseUnionTCPFlags"
    )
    refused = "1709632800250,1709632800300,10.0.0.1,192.0.2.1,4000,22,6,1,60,1,40,S,0,AR,0"
    unanswered = "1709632800250,1709632800250,10.0.0.1,192.0.2.1,4000,22,6,1,60,0,0,S,0,0,0"
    times = "2024-03-05 10:00:00.250,2024-03-05 10:00:01"
    talked = f"{times},10.0.0.1,192.0.2.1,4000,22,6,9,900,8,800,S,APF,AS,APF"
    path = tmp_path / "f.csv"
    frame, _ = read(path, "\n".join([header, refused, unanswered, talked]))
    assert frame["ts"].to_list() == [1709632800.25] * 3
    assert frame["duration"].to_list() == pytest.approx([0.05, 0.0, 0.75])
    assert frame["failed"].to_list() == [1, 1, 0]
    assert frame["established"].to_list() == [0, 0, 1]
    assert frame["reset"].to_list() == [1, 0, 0] and frame["closed"].to_list() == [0, 0, 1]
    assert frame["syn"].to_list() == [1, 1, 2]


def test_nprobe_and_pmacct_names(tmp_path):
    nprobe = (
        "IPV4_SRC_ADDR,L4_SRC_PORT,IPV4_DST_ADDR,L4_DST_PORT,PROTOCOL,IN_BYTES,IN_PKTS,OUT_BYTES,"
        "OUT_PKTS,TCP_FLAGS,FLOW_DURATION_MILLISECONDS,Label,Attack\n"
        "10.0.0.1,4000,192.0.2.1,80,6,1500,10,3000,12,27,1500,0,Benign\n"
    )
    row = first(tmp_path / "a.csv", nprobe)
    expected = {
        "duration": 1.5,
        "resp_ip_bytes": 3000.0,
        "syn": 1.0,
        "Attack": "Benign",
        "ts": None,
    }
    assert subset(row, expected) == expected
    pmacct = (
        "SRC_IP,DST_IP,SRC_PORT,DST_PORT,TCP_FLAGS,PROTOCOL,TIMESTAMP_START,TIMESTAMP_END,PACKETS,"
        "FLOWS,BYTES\n10.0.0.1,192.0.2.1,4000,80,0x02,tcp,2024-03-05 10:00:00.25,"
        "2024-03-05 10:00:00.75,1,1,60\n"
    )
    row = first(tmp_path / "b.csv", pmacct)
    expected = {"ts": 1709632800.25, "duration": 0.5, "syn": 1.0, "resp_pkts": None, "tcp": 1.0}
    assert subset(row, expected) == expected


def test_closing_summary_is_no_record_also_between_joined_files(tmp_path):
    summary = "Summary\nflows,bytes,packets,avg_bps,avg_pps,avg_bpp\n1,1500,10,1,2,3\n"
    text = f"{NFDUMP}\n{ROW}\n{summary}{NFDUMP}\n{ROW}\n{summary}"
    frame, bad = read(tmp_path / "f.csv", text, skip=True)
    assert [o.rpartition(":")[2] for o in frame["origin"]] == ["2", "7"] and not bad


def test_sample_is_sniffed_and_has_context():
    with open_source(SAMPLE) as source:
        assert NetflowCsv().sniff(source) == 0.9
        (batch,) = NetflowCsv().read(source)
    assert len(batch) == 45 and batch.frame["host_flows_60s"].is_not_null().all()
    assert batch.frame["host_size_entropy_100"].max() > 1


@pytest.mark.parametrize(
    "text, problem",
    [
        (f"{NFDUMP.replace('ibyt', 'size')}\n{ROW}\n", "column 'ibyt' is missing; has ts, te"),
        (f"{NFDUMP.replace('te,', 'ts,')}\n{ROW}\n", "column 'ts' is there twice"),
        ("\n\n", "only blank lines"),
    ],
)
def test_a_wrong_header_is_one_line(tmp_path, text, problem):
    with pytest.raises(RecordError, match=problem):
        read(tmp_path / "f.csv", text, skip=True)


@pytest.mark.parametrize(
    "line, problem",
    [
        (ROW.replace("1500", "many"), "column 'ibyt' is 'many'"),
        (ROW.replace("1500", "inf"), "column 'ibyt' is 'inf'"),
        (ROW + ",1", "14 columns, the header has 13"),
        (ROW.replace("2.000", "-2"), "column 'td' is '-2'"),
    ],
)
def test_a_bad_line_names_its_place_and_the_rest_is_read(tmp_path, line, problem):
    path = tmp_path / "f.csv"
    frame, (bad,) = read(path, f"{NFDUMP}\n{ROW}\n{line}\n{ROW}\n", skip=True)
    assert frame.height == 2 and bad.origin == f"{path}:3" and problem in str(bad)


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60
)
@given(
    edits=st.lists(
        st.tuples(st.integers(0, 6000), st.integers(0, 40), st.binary(max_size=6)), max_size=6
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
