"""Folders and archives of many files: one kind read, the rest counted, batches large."""

import random
import zipfile
from pathlib import Path

import numpy as np
import pytest

from inoculate.errors import InputError, NotFoundError
from inoculate.workflows.adapt import AdaptRequest, adapt
from inoculate.workflows.containers import Sniffer
from inoculate.workflows.demo import _CAPTURES
from inoculate.workflows.intake import Intake, sample_records
from inoculate.workflows.scan import ScanRequest, scan
from tests.executable_maker import elf, pe

_DATA = Path(__file__).parents[1] / "data"


def program(seed: int, *, suspicious: bool = False) -> bytes:
    """A benign program: plain code, everyday functions; or one packed, with others."""
    rng = random.Random(seed)
    usual = [f"Usual{i}" for i in range(30)]
    if not suspicious:
        return pe(
            imports={"KERNEL32.dll": tuple(rng.sample(usual, 8))},
            code=bytes(rng.choices(range(40), k=rng.randrange(500, 4000))),
        )
    return pe(
        imports={"WS2_32.dll": ("connect", "send"), "NTDLL.dll": ("NtUnmapViewOfSection",)},
        code=rng.randbytes(rng.randrange(3000, 4000)),
        code_name=b"UPX0",
        overlay=rng.randbytes(500),
    )


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """A folder of 40 programs, two of them in an archive, with other files between."""
    folder = tmp_path_factory.mktemp("zoo")
    (folder / "sub").mkdir()
    for i in range(38):
        (folder / ("sub" if i % 2 else ".") / f"{i:02}.exe").write_bytes(program(i))
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        for i in (38, 39):
            archive.writestr(f"in/{i}.exe", program(i))
        archive.writestr("in/readme.txt", "hello\nworld\n")
    (folder / "notes.md").write_text("nothing to see\n")
    (folder / "tool").write_bytes(elf())
    (folder / "link").symlink_to(folder / "00.exe")
    return folder


def test_many_files_become_few_batches_and_others_are_counted(zoo):
    intake = Intake()
    batches = [batch for _, batch in intake.read([str(zoo)], kind="pe")]
    assert [len(b) for b in batches] == [40]
    origins = batches[0].frame["origin"].to_list()
    assert origins[0] == f"{zoo}/00.exe"
    assert f"{zoo}/more.zip!in/38.exe" in origins
    assert origins == sorted(origins)
    assert intake.left_out == {"not of kind pe": 3, "links are not followed": 1}
    assert not intake.skipped
    assert intake.n_files == 40
    assert intake.counts == {str(zoo): 40}


def test_the_kind_of_most_files_is_taken_where_none_is_asked_for(zoo):
    assert Sniffer().likely_kind(str(zoo)) == "pe"
    sample = sample_records(Intake(), [str(zoo)], most=10, seed=0)
    assert (sample.domain.kind, sample.n_seen) == ("pe", 40)


def test_a_format_asked_for_is_taken_and_named(zoo):
    intake = Intake(format="elf")
    assert sum(len(b) for _, b in intake.read([str(zoo)])) == 1
    assert intake.left_out["not elf"] == 42
    with pytest.raises(NotFoundError):
        list(Intake(format="nothing").read([str(zoo)]))


def test_a_file_named_directly_that_does_not_fit_stays_an_error(zoo):
    with pytest.raises(InputError, match="kind 'pe' is needed"):
        list(Intake().read([f"{zoo}/tool"], kind="pe"))


def test_a_folder_without_the_kind_or_without_files_is_an_error(tmp_path):
    with pytest.raises(InputError, match="holds no file"):
        list(Intake().read([str(tmp_path)], kind="pe"))
    (tmp_path / "a.md").write_text("text\n")
    with pytest.raises(InputError, match="none of its 1 files is of kind pe"):
        list(Intake().read([str(tmp_path)], kind="pe"))


def test_an_archive_named_directly_is_read_like_a_folder(zoo):
    intake = Intake()
    ((_, batch),) = intake.read([f"{zoo}/more.zip"], kind="pe")
    assert batch.frame["name"].to_list() == ["38.exe", "39.exe"]


def test_captures_and_logs_in_a_folder_are_the_flows_they_are_alone(tmp_path):
    names = ["beacon.pcap.gz", "port_scan.pcap.gz"]
    alone = 0
    for name in names:
        (tmp_path / name).write_bytes((_CAPTURES / name).read_bytes())
        alone += sum(len(b) for _, b in Intake().read([str(_CAPTURES / name)]))
    (tmp_path / "conn.log").write_bytes((_DATA / "zeek_conn.log").read_bytes())
    (tmp_path / "w.exe").write_bytes(program(0))
    alone += sum(len(b) for _, b in Intake().read([str(_DATA / "zeek_conn.log")]))
    intake = Intake()
    found = list(intake.read([str(tmp_path)], kind="flow"))
    assert sum(len(b) for _, b in found) == alone
    assert {type(d).__name__ for d, _ in found} == {"Pcap", "ZeekConn"}
    assert intake.left_out == {"not of kind flow": 1}


def test_one_damaged_log_does_not_keep_the_others_from_being_read(tmp_path):
    good = (_DATA / "zeek_conn.log").read_bytes()
    lines = good.splitlines(keepends=True)
    (tmp_path / "a.log").write_bytes(b"".join([*lines[:-3], b"too\tshort\n"]))
    (tmp_path / "b.log").write_bytes(good)
    intake, n = Intake(), 0
    with pytest.raises(InputError, match=r"a\.log"):
        for _, batch in intake.read([str(tmp_path)], kind="flow"):
            n += len(batch)
    whole = sum(len(b) for _, b in Intake().read([str(tmp_path / "b.log")]))
    assert n >= whole
    lenient = Intake(skip_bad_records=True)
    assert sum(len(b) for _, b in lenient.read([str(tmp_path)], kind="flow")) > whole
    assert sum(lenient.skipped.values()) == 1


def test_a_folder_of_examples_adapts_and_a_folder_is_scanned(tmp_path, zoo):
    (tmp_path / "bad").mkdir()
    for i in range(4):
        (tmp_path / "bad" / f"{i}.exe").write_bytes(program(1000 + i, suspicious=True))
    out = tmp_path / "d.detector"
    report = adapt(
        AdaptRequest(
            examples=(str(tmp_path / "bad"),),
            background=(str(zoo),),
            out=out,
            threats=("Packer",),
            false_alarms=0.05,
        )
    )
    assert report.manifest.kind == "pe"
    assert report.n_background == (40, 40)
    (tmp_path / "new").mkdir()
    for i in range(20):
        (tmp_path / "new" / f"{i:02}.exe").write_bytes(program(2000 + i, suspicious=i < 5))
    (tmp_path / "new" / "x.txt").write_text("text\n")
    (tmp_path / "new" / "cut.exe").write_bytes(program(3000, suspicious=True)[:700])
    outcome = scan(ScanRequest(sources=(str(tmp_path / "new"),), detector=out, false_alarms=0.05))
    found = {f.record["name"] for f in outcome.report.findings}
    assert {f"{i:02}.exe" for i in range(5)} <= found
    assert len(found) <= 7
    assert outcome.report.left_out["not of kind pe"] >= 1
    (family,) = outcome.report.families
    assert (family.threat, family.n_findings, family.n_files) == ("Packer", len(found), len(found))
    assert outcome.report.n_files == outcome.report.n_records
    assert outcome.report.findings[0].record["sha256"]
    assert not outcome.errors


def test_reading_a_folder_twice_gives_the_same_numbers(zoo):
    def numbers():
        ((domain, batch),) = Intake().read([str(zoo)], kind="pe")
        return domain.encode(batch, domain.views(batch)).stacked()

    np.testing.assert_array_equal(numbers(), numbers())
