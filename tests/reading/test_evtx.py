"""EVTX in workers: what comes of chunks that stop their worker, and of damaged ones."""

import io
import json

import pytest

from inoculate.domain import Source
from inoculate.errors import MissingExtraError, RecordError, TruncatedError
from inoculate.reading import evtx as reading
from inoculate.reading.evtx import read_evtx
from inoculate.reading.evtx_answer import CHUNK_BYTES, MOST_CHARACTERS, answer
from inoculate.reading.workers import WorkerError
from tests.domains.hosts.evtx_maker import chunk, event, evtx

GOOD = chunk([event(1, "C", "P", {"A": "b"}), event(2, "C", "P", {"A": "c\n"})])
BAD = b"BAD!" + bytes(CHUNK_BYTES - 4)


class Fragile:
    """Stands in for workers: does their work at once, and fails at a chunk that begins BAD."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def ask(self, mode: int, data: bytes) -> list[bytes]:
        self.asked.append(len(data) // CHUNK_BYTES)
        if b"BAD!" in data:
            raise WorkerError("the parser ended early: signal 11")
        return list(answer(mode, data))


@pytest.fixture
def fragile(monkeypatch):
    workers = Fragile()
    monkeypatch.setattr(reading, "shared_workers", lambda *_: workers)
    return workers


def read(data: bytes) -> tuple[list, list[RecordError]]:
    bad: list[RecordError] = []
    found = list(read_evtx(Source("t", None, data[:100], io.BytesIO(data)), on_bad=bad.append))
    return [(origin, json.loads(text)["Event"]["EventData"]["A"]) for origin, text in found], bad


def test_events_come_in_order_with_their_numbers():
    assert read(evtx(GOOD)) == ([("t#1", "b"), ("t#2", "c\n")], [])


def test_a_chunk_that_stops_its_worker_costs_only_itself(fragile):
    found, bad = read(evtx(GOOD, BAD, GOOD))
    assert [o for o, _ in found] == ["t#1", "t#2", "t#1", "t#2"]
    assert [str(e) for e in bad] == [
        f"t@{4096 + CHUNK_BYTES}: a chunk of events that cannot be parsed: "
        "the parser ended early: signal 11"
    ]
    assert fragile.asked == [3, 1, 1, 1]


def test_the_third_chunk_that_stops_its_worker_ends_the_reading(fragile):
    with pytest.raises(RecordError, match=f"^t@{4096 + 2 * CHUNK_BYTES}: a chunk"):
        read(evtx(BAD, BAD, BAD, GOOD))


def test_many_chunks_are_asked_for_in_parts(fragile):
    found, _ = read(evtx(*[GOOD] * 18))
    assert len(found) == 36 and fragile.asked == [16, 2]


def test_a_file_that_is_cut_or_is_no_evtx_is_told():
    found, (*_, error) = read(evtx(GOOD) + GOOD[:600])
    assert len(found) == 2 and isinstance(error, TruncatedError)
    with pytest.raises(RecordError, match="t@0: the file does not begin as EVTX does"):
        read(b"ElfFile")


def test_a_chunk_of_zeros_is_unused_and_one_of_anything_else_is_told():
    assert read(evtx(bytes(CHUNK_BYTES), GOOD))[1] == []
    assert "does not begin" in read(evtx(b"x" * CHUNK_BYTES))[1][0].problem


def test_events_that_become_too_much_text_are_cut(monkeypatch):
    monkeypatch.setattr("inoculate.reading.evtx_answer.MOST_CHARACTERS", 400)
    (part,) = answer(0, GOOD)
    assert [line[:1] for line in part.split(b"\n")] == [b"E", b"P"]
    assert MOST_CHARACTERS > 1 << 20


def test_without_the_package_the_error_names_it(monkeypatch):
    monkeypatch.setattr(reading.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="EVTX needs the package evtx"):
        read(evtx(GOOD))
