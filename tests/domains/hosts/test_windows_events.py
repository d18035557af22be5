"""Windows events: every way they are written, what is encoded, and what is refused."""

import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from inoculate.domain import Batch, Source
from inoculate.domains.hosts.windows_events import VIEWS, WindowsEvents
from inoculate.errors import RecordError
from inoculate.reading.sources import open_source
from tests.domains.hosts.evtx_maker import chunk, event, evtx

SAMPLES = Path(__file__).parents[2] / "data" / "windows_events"
SHAPE = {c.name: i for i, c in enumerate(VIEWS[0].columns)}
SYSMON = "Microsoft-Windows-Sysmon/Operational"


def source_of(data: bytes | str) -> Source:
    data = data.encode() if isinstance(data, str) else data
    return Source("t", None, data[:65536], io.BytesIO(data))


def read(data: bytes | str, bad: list | None = None) -> pl.DataFrame:
    skip = {} if bad is None else {"on_bad": bad.append}
    parts = [b.frame for b in WindowsEvents().read(source_of(data), **skip)]
    return pl.concat(parts, how="diagonal")


def sample(name: str) -> pl.DataFrame:
    with open_source(SAMPLES / name) as source:
        return pl.concat([b.frame for b in WindowsEvents().read(source)])


def encode(**columns: list) -> dict:
    return WindowsEvents().encode(Batch(pl.DataFrame(columns)), VIEWS)


def test_events_of_winlogbeat():
    frame = sample("winlogbeat.jsonl")
    assert frame["event_id"].to_list() == ["4688", "4624", "4104", "1102"]
    first = frame.row(0, named=True)
    assert first["channel"] == "Security" and first["computer"] == "ws1.example"
    assert first["provider"] == "Microsoft-Windows-Security-Auditing"
    assert first["image"] == "C:\\Windows\\System32\\cmd.exe"
    assert first["command_line"] == "cmd.exe /c whoami /all"
    assert first["ts"] == 1714557600.123
    assert "; TokenElevationType=%%1938" in first["text"]
    assert frame["text"][3] == "SubjectUserName=ann"
    assert "label" not in frame.columns


def test_flat_events_keep_their_label_and_lose_their_envelope():
    frame = sample("mordor.json")
    assert frame["label"].to_list() == ["T1059", "T1003"]
    assert frame["computer"][0] == "ws2.example" and frame["ts"][0] is not None
    text = frame["text"][0]
    assert text.startswith("Image=C:\\Users\\bob\\a.exe; CommandLine=a.exe")
    assert not any(w in text for w in ("Keywords", "Message", "label", "Hostname", "EventID"))


def test_events_of_an_evtx_file_compressed_or_not(tmp_path):
    frame = sample("made.evtx.gz")
    assert frame["event_id"].to_list() == ["4688", "7045"]
    assert frame["provider"][1] == "Service Control Manager"
    assert frame["text"][1] == "ServiceName=abc; ImagePath=C:\\Windows\\Temp\\x.exe"
    assert frame["command_line"][0] == "net user /domain"
    assert frame["ts"].to_list() == [1714557600.0] * 2
    assert [o.rpartition("#")[2] for o in frame["origin"]] == ["1", "2"]


@pytest.mark.parametrize(
    "record",
    [
        {"winlog.event_id": 1, "winlog.channel": "C", "winlog.provider_name": "P",
         "winlog.computer_name": "H", "winlog.event_data.A": "b"},
        {"winlog": {"event_id": "1", "channel": "C", "provider_name": "P", "computer_name": "H",
                    "event_data": {"A": "b"}}},
        {"event_id": 1, "log_name": "C", "source_name": "P", "computer_name": "H",
         "event_data": {"A": "b"}},
        {"EventID": 1.0, "Channel": "C", "SourceName": "P", "Hostname": "H", "A": "b"},
        {"EventID": "1", "Channel": "C", "ProviderName": "P", "Computer": "H",
         "EventData": {"A": "b"}},
        {"Event": {"System": {"EventID": {"#text": 1, "#attributes": {"Qualifiers": 0}},
                              "Provider": {"#attributes": {"Name": "P"}}, "Channel": "C",
                              "Computer": "H"},
                   "EventData": {"#attributes": {"Name": "x"}, "A": "b"}}},
        {"Event": {"System": {"EventID": 1, "Provider": {"Name": "P"}, "Channel": "C",
                              "Computer": "H"}, "UserData": {"Inner": {"A": {"#text": "b"}}}}},
    ],
)  # fmt: skip
def test_an_event_is_the_same_however_it_is_written(record):
    row = read(json.dumps(record)).row(0, named=True)
    known = (row["channel"], row["provider"], row["event_id"], row["computer"], row["text"])
    assert known == ("C", "P", "1", "H", "A=b")
    assert WindowsEvents().sniff(source_of(json.dumps(record))) == 1


def test_values_of_every_type_become_text():
    data = {"EventID": 1, "Channel": "C", "a": True, "b": 2.5, "c": None, "d": ["x", 1, {"y": 2}],
            "e": {"f": {"g": "h"}}, "i": "\ud800"}  # fmt: skip
    assert read(json.dumps(data))["text"][0] == "a=true; b=2.5; c=; d=x 1; g=h; i=?"


@pytest.mark.parametrize(
    "line, problem",
    [
        ("[]", "t:1: expected a JSON object"),
        ('{"a": 1}', "t:1: no Windows event"),
        ('{"EventID": "x"}', "t:1: the event's number is 'x', expected 0 to 65535"),
        ('{"EventID": true}', "t:1: the event's number is 'True'"),
        ('{"EventID": 1e999}', "t:1: the event's number is 'inf'"),
        ('{"EventID": NaN}', "t:1: the event's number is 'nan'"),
        ('{"EventID": -1}', "t:1: the event's number is '-1'"),
        ('{"EventID": [1]}', "t:1: the event's number is"),
        ('{"Event": {"System": 3}}', "t:1: an event without its 'System'"),
        ("{" + '"a":{' * 3000, "t:1: JSON nested too deeply|t:1: not JSON"),
    ],
)
def test_a_bad_event_names_its_line_and_the_next_is_read(line, problem):
    with pytest.raises(RecordError, match=problem):
        read(line)
    bad: list = []
    assert read(line + '\n{"EventID": 5, "Channel": "C"}\n', bad)["event_id"].to_list() == ["5"]
    assert len(bad) == 1


def test_an_event_of_absurd_depth_or_size_is_cut_not_refused():
    deep: dict = {"x": "y"}
    for _ in range(50):
        deep = {"d": deep}
    wide = {f"k{i}": "v" for i in range(10_000)}
    frame = read(json.dumps({"EventID": 1, "Channel": "C", **wide, "deep": deep}))
    assert len(frame["text"][0]) < 40_000
    x = WindowsEvents().encode(Batch(frame), VIEWS)
    assert x["shape"][0, SHAPE["n_fields"]] <= 256


def test_title_and_columns_of_a_labelled_table_are_enough():
    x = encode(
        channel=["Security", "security"],
        event_id=[4624, 4624],
        text=["Security 4624 | LogonType=3; IpPort=50022", "security 4624 | LogonType=3; IpPort=9"],
    )
    for view, values in x.items():
        if view != "shape":
            np.testing.assert_array_equal(values[0], values[1])
    assert x["shape"][0, SHAPE["n_fields"]] == 2
    text_only = encode(text=["LogonType=3; IpPort=50022"])
    np.testing.assert_array_equal(text_only["word"][0], x["word"][0])
    assert np.isnan(text_only["event"]).all()


def test_who_where_and_when_are_not_encoded():
    a = (
        "SubjectUserName=ann; SubjectUserSid=S-1-5-21-1-2-3-1001; IpAddress=192.0.2.7; "
        "ProcessGuid={9f85ce58-59de-5f2b-2300-000000000400}; UtcTime=2020-08-06 01:17:14.818; "
        "Image=C:\\Users\\ann\\a.exe; ShareName=\\\\srv1\\C$; ProcessId=4242; "
        "Hashes=MD5=00112233445566778899AABBCCDDEEFF; WorkstationName=ws1"
    )
    b = (
        "SubjectUserName=bob; SubjectUserSid=S-1-5-21-9-8-7-5555; IpAddress=198.51.100.99; "
        "ProcessGuid={11111111-2222-3333-4444-000000000500}; UtcTime=2023-01-01 00:00:00.000; "
        "Image=C:\\Users\\bob\\a.exe; ShareName=\\\\srv2\\C$; ProcessId=17; "
        "Hashes=MD5=FFEEDDCCBBAA99887766554433221100; WorkstationName=ws2"
    )
    x = encode(channel=["C", "C"], event_id=[1, 1], text=[a, b])
    for view in ("event", "field", "word"):
        np.testing.assert_array_equal(x[view][0], x[view][1], err_msg=view)


def test_what_was_done_is_encoded():
    texts = [
        "Image=C:\\Windows\\cmd.exe; CommandLine=cmd /c whoami",
        "Image=C:\\Windows\\cmd.exe; CommandLine=cmd /c vssadmin",
        "TargetImage=C:\\Windows\\cmd.exe; CommandLine=cmd /c whoami",
        "Image=C:\\Windows\\cmd.exe; CommandLine=cmd /c whoami; GrantedAccess=0x1410",
        "Image=C:\\Windows\\cmd.exe; CommandLine=cmd /c whoami; GrantedAccess=0x40",
    ]
    words = encode(text=texts)["word"]
    assert len({row.tobytes() for row in words}) == len(texts)


def test_the_kind_of_event_is_its_channel_provider_number_and_their_pair():
    x = encode(
        channel=["Security", "System", None], provider=["P", "P", None], event_id=[1, 1, None],
        text=[None, "", "A=b"],
    )  # fmt: skip
    assert (x["event"][0] > 0).sum() == 4 and (x["event"][0] != x["event"][1]).any()
    assert np.isnan(x["event"][2]).all()
    assert np.isnan(x["word"][0]).all() and np.isnan(x["shape"][0]).all()
    assert (x["word"][1] == 0).all() and x["shape"][1, SHAPE["n_fields"]] == 0


def test_reasons_quote_what_a_column_counted():
    frame = sample("mordor.json")
    domain, x = WindowsEvents(), WindowsEvents().encode(Batch(frame), VIEWS)
    record = frame.row(1, named=True)
    for view in ("event", "field", "word"):
        digits = len(str(x[view].shape[1] - 1))
        quotes = [domain.quote(record, f"{view}_{i:0{digits}}") for i in range(x[view].shape[1])]
        assert [bool(q) for q in quotes] == (x[view][1] > 0).tolist(), view
        assert all(len(q) <= 4 * 27 for q in quotes)
    assert domain.quote(record, "n_fields") == "" and domain.quote({}, "word_001") == ""


def test_a_chunk_that_is_damaged_is_told_and_the_others_are_read():
    good = chunk([event(1, SYSMON, "P", {"A": "b"})], first=7)
    damaged = bytearray(good)
    damaged[600:700] = b"\xff" * 100
    noise = bytes(range(256)) * 256
    bad: list = []
    frame = read(evtx(bytes(damaged), good, noise, bytes(65_536)) + good[:3000], bad)
    assert frame["origin"].to_list() == ["t#7", "t#7"]
    assert [e.origin for e in bad] == ["t@4096", "t@135168", f"t@{4096 + 4 * 65_536 + 3000}"]
    assert "cannot be parsed" in bad[0].problem and "no chunk" in bad[1].problem
    assert "ends inside a chunk" in bad[2].problem


def test_a_ring_in_a_chunks_tables_does_not_hang_the_reader():
    ring = bytearray(chunk([event(1, SYSMON, "P", {"A": "b"})]))
    ring[128:512] = b"\x07\0\0\0" * 96
    assert read(evtx(bytes(ring)))["event_id"].to_list() == ["1"]


@pytest.mark.parametrize(
    "data, low, high",
    [
        (b"ElfFile\0" + bytes(100), 1, 1),
        ('{"EventID": 1, "Channel": "C"}', 1, 1),
        ('{"EventID": 1}', 0.5, 0.5),
        ('{"winlog": {"event_id": 1}, "x": "' + "y" * 70_000, 0.6, 0.6),
        ('{"event_id": 7, "event_data": "x"}', 0, 0),
        ('{"a": 1}', 0, 0),
        ("a,b\n1,2\n", 0, 0),
        ("[]", 0, 0),
    ],
)
def test_sniffing(data, low, high):
    assert low <= WindowsEvents().sniff(source_of(data)) <= high
