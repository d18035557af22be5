"""From names to batches: formats told from the bytes, bad records counted, samples fair."""

import numpy as np
import pytest

from inoculate.errors import InputError, RecordError, TruncatedError
from inoculate.workflows.demo import _CAPTURES
from inoculate.workflows.intake import Intake, sample_records


def test_formats_are_told_from_the_bytes_whatever_the_name(tmp_path):
    capture = tmp_path / "readme.txt"
    capture.write_bytes((_CAPTURES / "beacon.pcap.gz").read_bytes())
    with Intake().open(str(capture)) as (_, domain):
        assert type(domain).__name__ == "Pcap"


def test_a_format_can_be_forced(table):
    with Intake(format="table").open(table["mixed"]) as (_, domain):
        assert type(domain).__name__ == "Table"


def test_a_cut_source_is_always_a_note_and_never_an_error():
    intake = Intake()
    intake.on_bad(TruncatedError("ends early", origin="a.pcap@100"))
    assert intake.notes == ["a.pcap@100: ends early; the whole records before it were used"]


def test_bad_records_stop_unless_they_are_to_be_skipped():
    error = RecordError("not a number", origin="a.csv:7")
    with pytest.raises(RecordError, match=r"a\.csv:7"):
        Intake().on_bad(error)
    intake = Intake(skip_bad_records=True)
    intake.on_bad(error)
    intake.on_bad(error)
    assert intake.skipped == {"not a number": 2}
    assert len(intake.notes) == 1


def test_a_million_different_problems_are_counted_in_bounded_memory():
    intake = Intake(skip_bad_records=True)
    for i in range(5_000):
        intake.on_bad(RecordError(f"problem {i}", origin=f"a.csv:{i}"))
    assert sum(intake.skipped.values()) == 5_000
    assert len(intake.skipped) == 21


def test_another_kind_of_record_is_refused_by_name(table):
    with pytest.raises(InputError, match=r"mixed\.csv"):
        list(Intake().read([table["mixed"]], kind="flow"))


def test_a_sample_is_bounded_fair_and_in_order(table):
    sample = sample_records(Intake(), [table["background"], table["mixed"]], most=100, seed=1)
    assert sample.n_seen == 540
    assert sample.frame.height == 100
    assert (np.diff(sample.rows) > 0).all()
    again = sample_records(Intake(), [table["background"], table["mixed"]], most=100, seed=1)
    assert sample.frame.equals(again.frame)
    hits = np.zeros(540)
    for seed in range(60):
        rows = sample_records(
            Intake(), [table["background"], table["mixed"]], most=100, seed=seed
        ).rows
        hits[rows] += 1
    halves = hits[:270].sum(), hits[270:].sum()
    assert abs(halves[0] - halves[1]) < 300  # 3,000 expected each; sd about 35


def test_nothing_to_read_is_an_input_error(tmp_path):
    empty = tmp_path / "empty.csv"
    empty.write_text("a,b\n")
    with pytest.raises(InputError, match="no record"):
        sample_records(Intake(), [str(empty)], most=10, seed=0)


def test_the_span_of_time_is_that_of_all_records():
    sample = sample_records(Intake(), [str(_CAPTURES / "background.pcap.gz")], most=10, seed=0)
    assert sample.frame.height == 10
    assert 100 / 86_400 < sample.days < 400 / 86_400
