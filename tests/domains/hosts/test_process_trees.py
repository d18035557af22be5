"""Trees of processes: what a file gives, what is never encoded, and hostile lines."""

import io
import json
import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from inoculate.domain import Batch, Source
from inoculate.domains.hosts.process_trees import VIEWS, ProcessTrees
from inoculate.errors import InputError, RecordError
from inoculate.reading.sources import open_source
from inoculate.workflows.adapt import AdaptRequest, adapt
from inoculate.workflows.intake import Intake
from inoculate.workflows.scan import ScanRequest, scan

SAMPLE = Path(__file__).parents[2] / "data" / "process_trees" / "sysmon.jsonl"


def source_of(data: bytes) -> Source:
    return Source("t", None, data[:65536], io.BytesIO(data))


def sample() -> pl.DataFrame:
    with open_source(SAMPLE) as source:
        (batch,) = ProcessTrees().read(source)
    return batch.frame


def encoded(frame: pl.DataFrame) -> np.ndarray:
    views = ProcessTrees().encode(Batch(frame), VIEWS)
    return np.hstack([views[v.name] for v in VIEWS])


def test_each_start_is_a_tree_in_the_order_of_closing():
    frame = sample()
    assert frame["tree"].to_list() == [
        "explorer.exe > WINWORD.EXE > (cmd.exe > (powershell.exe > (whoami.exe)))",
        "explorer.exe > WINWORD.EXE > cmd.exe > (powershell.exe > (whoami.exe))",
        "explorer.exe > WINWORD.EXE > cmd.exe > powershell.exe > (whoami.exe)",
        "explorer.exe > WINWORD.EXE > cmd.exe > powershell.exe > whoami.exe",
        "services.exe > sppsvc.exe",
        "explorer.exe > notepad.exe",
    ]
    assert [o.rpartition(":")[2] for o in frame["origin"]] == ["1", "2", "4", "5", "7", "8"]
    assert frame["after_s"][0].to_list() == [0.0, 20.0, 21.0, 25.0]
    assert frame["label"].to_list() == ["T1204", "T1059", None, None, None, None]


def test_who_where_when_and_numbers_of_processes_do_not_count():
    lines = SAMPLE.read_text().splitlines()
    changed = []
    for line in lines:
        record = json.loads(line)
        record["Hostname"] = "x" + record["Hostname"]
        record["User"] = record["SubjectUserName"] = "OTHER\\bob"
        record["EventTime"] = record["EventTime"].replace("2024-05-01", "2023-01-02")
        for name in ("ProcessId", "ParentProcessId", "NewProcessId"):
            if name in record:
                record[name] = str(int(record[name], 0) + 4)
        record["CommandLine"] = record.get("CommandLine", "").replace("\\ann\\", "\\nan\\") or None
        changed.append(json.dumps({k: v for k, v in record.items() if v is not None}))
    (batch,) = ProcessTrees().read(source_of("\n".join(changed).encode()))
    np.testing.assert_array_equal(encoded(batch.frame), encoded(sample()))


def test_a_frame_of_programs_alone_can_be_encoded():
    frame = pl.DataFrame({"images": [["a.exe", "b.exe"]], "origin": ["x"]})
    out = ProcessTrees().encode(Batch(frame), VIEWS)
    assert out["shape"][0, 0] == 1.0
    assert out["kin"].sum() == 3.0  # two programs and who started whom
    none = pl.DataFrame({"images": [None]}, schema={"images": pl.List(pl.String)})
    assert np.isnan(encoded(none)).all()


def test_reasons_quote_programs_and_words():
    record = sample().row(1, named=True)
    out = ProcessTrees().encode(Batch(sample()[1:2]), VIEWS)
    kin = [ProcessTrees().quote(record, f"kin_{i:03}") for i in np.flatnonzero(out["kin"][0])]
    assert any("'winword.exe>cmd.exe'" in text for text in kin)
    word = [ProcessTrees().quote(record, f"word_{i:03}") for i in np.flatnonzero(out["word"][0])]
    assert all(kin) and all(word) and any("'whoami.exe'" in text for text in word)
    assert ProcessTrees().quote(record, "depth") == ""
    assert ProcessTrees().quote({"image": "x"}, "kin_003") == ""


def test_events_files_are_read_as_events_unless_trees_are_asked_for():
    with open_source(SAMPLE) as source:
        assert Intake().domain(source).kind == "windows_event"
        assert Intake().domain(source, "process_tree").kind == "process_tree"
        assert Intake("process_trees").domain(source).kind == "process_tree"
        assert Intake().domain(source, "flow").kind == "windows_event"


def test_a_detector_of_trees_reads_folders_and_files_of_events_as_trees(tmp_path):
    (tmp_path / "usual").mkdir()
    calm = [
        {
            "EventID": 1, "Channel": "Sysmon", "Hostname": "h", "ProcessId": 10 + i,
            "ParentProcessId": 1, "EventTime": f"2024-05-01 1{i // 60}:{i % 60:02}:00",
            "Image": f"C:\\tool{i % 7}.exe", "CommandLine": f"tool -n {i % 5}",
            "ParentImage": "C:\\Windows\\explorer.exe",
        }
        for i in range(150)
    ]  # fmt: skip
    text = "".join(json.dumps(record) + "\n" for record in calm)
    (tmp_path / "usual" / "a.jsonl").write_text(text)
    out = tmp_path / "x.detector"
    adapt(
        AdaptRequest(
            examples=(str(SAMPLE),), background=(str(tmp_path / "usual"),), out=out,
            format="process_trees", label="label", threats=("T1059",), seed=0,
        )
    )  # fmt: skip
    for name in (SAMPLE, SAMPLE.parent):
        told = scan(ScanRequest(sources=(str(name),), detector=out, false_alarms=0.02)).report
        assert (told.n_records, told.unit) == (6, "process tree")
        assert any("cmd.exe" in str(f.record["tree"]) for f in told.findings)
    with pytest.raises(InputError, match="process_tree"):
        other = tmp_path / "other.csv"
        other.write_text("a,b\n1,2\n3,4\n")
        raise scan(ScanRequest(sources=(str(other),), detector=out)).errors[0]


def test_a_bad_event_names_its_place_and_the_others_are_read():
    bad: list[RecordError] = []
    data = b'{"EventID":"x"}\n{"a":1}\nnull\n' + SAMPLE.read_bytes()
    frames = [b.frame for b in ProcessTrees().read(source_of(data), on_bad=bad.append)]
    assert [e.origin for e in bad] == ["t:1", "t:2", "t:3"]
    assert sum(map(len, frames)) == 6


def test_damaged_events_give_records_or_record_errors():
    rng, good = random.Random(0), SAMPLE.read_bytes()
    for _ in range(400):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 40)):
            data[rng.randrange(len(data))] = rng.choice(b'0"{}[],:-\\n\xff\x00ea')
        for batch in ProcessTrees().read(source_of(bytes(data)), on_bad=lambda _: None):
            encoded(batch.frame)


def test_odd_values_are_unknown_and_never_an_error():
    odd = [None, True, -1, 1e300, "", "0x", "\u202e", [], {}, "9" * 30, ["a"], {"b": {"c": 1}}]
    names = ("ProcessId", "ParentProcessId", "Image", "CommandLine", "EventTime", "Hostname")
    rng = random.Random(1)
    lines = []
    for _ in range(300):
        record = {"EventID": 1, "Channel": "Sysmon"} | {n: rng.choice(odd) for n in names}
        lines.append(json.dumps(record))
    frames = [b.frame for b in ProcessTrees().read(source_of("\n".join(lines).encode()))]
    assert sum(map(len, frames)) > 100
    assert all(np.isfinite(encoded(f)[:, 0]).all() for f in frames)


def test_real_recordings_hang_together(data_dir, tmp_path):
    table = pl.read_parquet(data_dir / "net" / "mordor_windows_events.parquet")
    told = lost = 0
    for i, part in enumerate(table.partition_by("scenario")):
        path = tmp_path / f"{i}.jsonl"
        path.write_text("".join(map(as_line, part.sort("time").iter_rows(named=True))))
        with open_source(path) as source:
            frames = [b.frame for b in ProcessTrees().read(source)]
        if frames:
            frame = pl.concat(frames, how="diagonal_relaxed")
            told += len(frame)
            lost += int((frame["ancestors"].list.len() == 0).sum())
            assert np.isfinite(encoded(frame)[:, :5]).all()
    assert told > 500  # 817 starts, of which many are told by Sysmon and by Security
    assert lost < 0.15 * told


def as_line(event: dict) -> str:
    """Return an event of the table as the JSON line it was made from."""
    data: dict[str, str] = {}
    for piece in event["text"].partition(" | ")[2].split("; "):
        name, _, value = piece.partition("=")
        data[name] = value
    kept = {"EventID": event["event_id"], "Channel": event["channel"]}
    return json.dumps(data | kept | {"Hostname": event["host"], "@timestamp": event["time"]}) + "\n"
