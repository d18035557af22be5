"""System calls: each format's windows, the numbers, and lines that must be refused."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from inoculate.domain import Batch, Source
from inoculate.domains.hosts.syscalls import VIEWS, Syscalls
from inoculate.errors import RecordError
from inoculate.features.hashing import token_grams
from inoculate.reading.sources import open_source

SAMPLES = Path(__file__).parents[2] / "data" / "syscalls"
SHAPE = {c.name: i for i, c in enumerate(VIEWS[0].columns)}


def source_of(text: str) -> Source:
    data = text.encode("utf-8", "surrogatepass")
    return Source("t", None, data[:65536], io.BytesIO(data))


def read(text: str, bad: list | None = None) -> pl.DataFrame:
    skip = {} if bad is None else {"on_bad": bad.append}
    return pl.concat([b.frame for b in Syscalls().read(source_of(text), **skip)])


def traces(frame: pl.DataFrame) -> dict:
    return dict(zip(frame["trace"], frame["calls"].to_list(), strict=True))


def encode(calls: list) -> dict:
    frame = pl.DataFrame({"calls": calls}, schema={"calls": pl.List(pl.String)})
    return Syscalls().encode(Batch(frame), VIEWS)


def test_strace_gives_the_calls_of_each_process_in_order():
    with open_source(SAMPLES / "strace.txt") as source:
        (batch,) = Syscalls().read(source)
    found = traces(batch.frame)
    assert found["pid 4001"] == ["close", "wait4"]
    assert found["pid 4002"] == [
        *("set_robust_list", "dup2", "execve", "getdents64", "getdents64", "write", "exit_group"),
    ]
    assert found["first process"][-3:] == ["clone", "rt_sigreturn", "exit_group"]
    assert dict(zip(batch.frame["trace"], batch.frame["origin"], strict=True))["pid 4002"].endswith(
        "strace.txt:11"
    )


@pytest.mark.parametrize(
    "line, trace",
    [
        ("read(3, 4) = 1", "first process"),
        ("12 read(3, 4) = 1", "pid 12"),
        ("12 10:11:12 read(3, 4) = 1", "pid 12"),
        ("12 1795353746.05 read(3) = 1", "pid 12"),
        ("12 (+     0.000023) read(3) = 1", "pid 12"),
        ("     0.000391 [00007f36] read(3) = 1", "first process"),
        ("13:22:26.279 [   0] read(3) = 1 <0.00001>", "first process"),
        ("[pid   9] 13:22:26 read(3, <unfinished ...>", "pid 9"),
        ("9<sh> read(3, <unfinished ...>", "pid 9"),
        ("[pid 9<sh>] read(3, <unfinished ...>", "pid 9"),
    ],
)
def test_a_line_of_strace_is_read_with_whatever_stands_before_the_call(line, trace):
    frame = read(line + "\n")
    assert traces(frame) == {trace: ["read"]}
    assert frame["process"].to_list() == (["sh"] if "<sh>" in line else [None])


def test_events_of_sysdig_and_falco_are_grouped_by_thread_and_count_once():
    with open_source(SAMPLES / "falco.jsonl") as source:
        (batch,) = Syscalls().read(source)
    assert traces(batch.frame) == {
        "pid 77": ["epoll_wait", "accept4", "recvfrom"],
        "pid 90": ["execve", "dup2"],
    }
    assert set(batch.frame["process"]) == {"nginx", "sh"}


def test_numbers_are_of_the_architecture_that_was_named():
    assert traces(read("0 1 999 open\n")) == {"line 1": ["read", "write", "#999", "open"]}
    frame = read("0 1\n# arch: i386\n3 4 102\n# arch: amd64\n0\n")
    assert frame["calls"].to_list() == [
        ["read", "write"],
        ["read", "write", "socketcall"],
        ["read"],
    ]
    with pytest.raises(RecordError, match="t:1: calls of 'mips' are not known by number"):
        read("# arch: mips\n1 2\n")


def test_a_whole_trace_a_line_may_be_json_with_its_label():
    frame = read(
        '{"calls": ["open", "read"], "trace": "web", "label": "T1"}\n{"calls": "0 1 close"}\n'
    )
    assert traces(frame) == {"web": ["open", "read"], "line 2": ["read", "write", "close"]}
    assert frame["label"].to_list() == ["T1", None]


def test_labels_of_events_stay_with_their_trace():
    frame = read(
        '{"evt.type":"open","proc.pid":1,"label":"T1"}\n{"evt.type":"open","proc.pid":2}\n'
    )
    assert dict(zip(frame["trace"], frame["label"], strict=True)) == {"pid 1": "T1", "pid 2": None}
    assert "label" not in read("open read\n\t\n \n").columns
    assert len(read("open read\n\t\n \n")) == 1


def test_a_long_trace_becomes_windows_that_overlap_by_half():
    calls = [f"call_{i}" for i in range(450)]
    frame = read(" ".join(calls) + "\n")
    assert frame["first_call"].to_list() == [0, 100, 200, 300]
    assert frame["origin"].to_list() == ["t:1", "t:1@100", "t:1@200", "t:1@300"]
    assert frame["calls"].to_list() == [calls[i : i + 200] for i in (0, 100, 200, 300)]
    events = read("".join(f"{c}(1) = 0\n" for c in calls))
    assert events["calls"].to_list() == frame["calls"].to_list()
    assert events["origin"].to_list() == ["t:1", "t:101", "t:201", "t:301"]


@pytest.mark.parametrize(
    "text, problem",
    [
        ("open(1) = 0\nhello world\n", "t:2: neither a call of strace"),
        ("x" * 100 + " read\n", "t:1: neither a call of strace"),
        ('{"a": 1}\n', "t:1: neither 'evt.type' nor 'calls'"),
        ('{"evt.type": 3}\n', "t:1: neither 'evt.type' nor 'calls'"),
        ('{"calls": {}}\n', "t:1: 'calls' is no list of calls"),
        ('{"calls": []}\n', "t:1: 'calls' is no list of calls"),
        ('{"calls"\n', "t:1: not JSON"),
        ("{" + '"a":[' * 5000 + "\n", "t:1: JSON nested too deeply|t:1: not JSON"),
    ],
)
def test_a_bad_line_names_its_place_and_the_next_is_read(text, problem):
    with pytest.raises(RecordError, match=problem):
        read(text)
    bad: list = []
    assert read(text + "open(1) = 0\n", bad)["calls"].to_list()[-1][-1] == "open"
    assert len(bad) == 1


def test_text_that_cannot_be_written_again_is_replaced():
    frame = read(
        r'{"evt.type":"a\ud800","proc.pid":"\udc00","proc.name":"\ud800","label":"\ud800"}'
    )
    assert frame.select("trace", "process", "label").row(0) == ("pid ?", "?", "?")
    assert frame["calls"].to_list() == [["a?"]]
    assert read(r'{"calls": ["\ud800"], "trace": "\ud800"}')["trace"].to_list() == ["?"]
    assert read("op\0en read\n")["calls"].to_list() == [["op�en", "read"]]


def test_shape_by_hand():
    x = encode([["open", "read", "read", "strange"]])["shape"][0]
    expected = {
        **{"length": np.log2(5), "distinct": 3 / 4, "distinct_pairs": 1.0, "entropy": 1.5},
        **{"repeats": 1 / 3, "top": 0.5, "unknown": 0.25, "file_share": 0.75},
        **{"network_share": 0.0},
    }
    for name, value in expected.items():
        np.testing.assert_allclose(x[SHAPE[name]], value, rtol=1e-6, err_msg=name)


def test_names_of_one_call_on_two_architectures_are_encoded_alike():
    one = encode([["mmap2", "fstat64", "_llseek", "geteuid32"]])
    other = encode([["mmap", "fstat", "lseek", "geteuid"]])
    for view in one:
        np.testing.assert_array_equal(one[view], other[view])


def test_hashed_views_are_counts_of_runs_of_one_two_and_three():
    calls = [["open", "read", "close"], []]
    x = encode(calls)
    for name, order in (("call", 1), ("pair", 2), ("triple", 3)):
        expected = token_grams(pl.Series(calls), x[name].shape[1], orders=(order,))
        np.testing.assert_array_equal(x[name], expected)


def test_an_empty_trace_is_a_record_and_an_unknown_one_is_unknown():
    x = encode([[], None])
    assert x["shape"][0, SHAPE["length"]] == 0 and np.isnan(x["shape"][0, SHAPE["distinct"]])
    assert x["call"][0].sum() == 0 and x["pair"][0].sum() == 1  # beginning and end
    assert all(np.isnan(v[1]).all() for v in x.values())


def test_a_hashed_column_is_quoted_in_the_words_of_the_trace():
    record = {"calls": ["openat", "fstat64", "close"]}
    x = encode([record["calls"]])
    domain = Syscalls()
    for view in ("call", "pair", "triple"):
        for i in np.flatnonzero(x[view][0]):
            width = len(str(x[view].shape[1] - 1))
            assert domain.quote(record, f"{view}_{i:0{width}}")
    column = int(np.flatnonzero(encode([["fstat64"]])["call"][0])[0])
    assert domain.quote(record, f"call_{column:03}") == "'fstat'"
    assert domain.quote(record, "entropy") == "" and domain.quote({}, "call_000") == ""


@pytest.mark.parametrize(
    "text, low, high",
    [
        ("execve(1) = 0\nread(3) = 1\n", 0.9, 1),
        ("foo(1)\nbar(2)\n", 0.1, 0.4),
        ("open read close\nread read\n", 0.9, 0.9),
        ("6 6 63 6 42\n120 6 195\n", 0.4, 0.4),
        ("the quick brown fox\njumps over\n", 0, 0),
        ("17\n18\n", 0, 0),
        ('{"a": 1}\n', 0, 0),
        ('{"evt.type": "open"}\n', 1, 1),
        ('{"calls": ["open", "read"]}\n', 0.9, 0.9),
        ('{"calls": ["CreateFileW", "ReadFile"]}\n', 0, 0),
        ("a,b,c\n1,2,3\n", 0, 0),
    ],
)
def test_sniffing_is_sure_of_calls_and_modest_about_numbers(text, low, high):
    assert low <= Syscalls().sniff(source_of(text)) <= high
