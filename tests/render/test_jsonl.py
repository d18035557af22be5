"""JSON Lines: one valid object a line, whatever the finding holds."""

import json

import numpy as np

from inoculate.render.jsonl import Jsonl
from tests.render.samples import (
    FLOW,
    HOSTILE,
    assert_safe_for_a_terminal,
    finding,
    hostile_finding,
    report,
)


def test_a_finding_round_trips():
    (line,) = Jsonl().rows([finding()]).splitlines()
    row = json.loads(line)
    assert next(iter(row)) == "schema_version"
    assert row["schema_version"] == 1
    assert row["record"] == FLOW
    assert row["threat"] == "slowite"
    assert row["score"] == 0.9
    assert row["reasons"][0]["text"].startswith("bytes sent 1.2 MB")
    assert row["ts"] == 1767225600.0


def test_it_streams_and_lines_are_findings():
    renderer = Jsonl()
    assert renderer.streams
    parts = [renderer.begin(), renderer.rows([finding(i) for i in range(3)])]
    parts += [renderer.rows([]), renderer.rows([finding(4)]), renderer.end(report())]
    assert len("".join(parts).splitlines()) == 4


def test_hostile_text_is_escaped_and_comes_back_whole():
    text = Jsonl().rows([hostile_finding()])
    assert_safe_for_a_terminal(text)
    row = json.loads(text)
    assert row["threat"] == HOSTILE
    assert row["ts"] is None


def test_numbers_of_any_kind_are_json():
    record = {"a": np.float32(0.5), "b": np.int64(3), "c": float("inf"), "d": None, "e": object}
    row = json.loads(Jsonl().rows([finding(record=record, score=np.float32(1))]))
    assert row["record"]["a"] == 0.5
    assert row["record"]["b"] == 3
    assert row["record"]["c"] is None
    assert row["score"] == 1.0
