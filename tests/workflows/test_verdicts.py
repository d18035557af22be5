"""Verdicts on traces: what counts as one, how it is calibrated, and that the promise holds."""

import json
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from inoculate.calibration import Calibration
from inoculate.domain import Batch
from inoculate.finding import Report, Verdict
from inoculate.registry import DOMAINS, RENDERERS
from inoculate.workflows import verdicts as module
from inoculate.workflows.adapt import AdaptRequest, adapt
from inoculate.workflows.scan import ScanRequest, scan
from inoculate.workflows.verdicts import Verdicts, source_of, wholes_of

TRACES = SimpleNamespace(part_of="trace")
NONE = np.empty(0, np.intp)


def batch(*rows):
    return Batch(pl.DataFrame(rows, schema=["origin", "trace"], orient="row"))


def judged(calibration, rate, rows, excepted=NONE):
    state = Verdicts(calibration, rate, ("shell", "scan"))
    for origin, trace, score, cls in rows:
        some = batch((origin, trace))
        left = NONE if origin not in excepted else np.array([0])
        state.add(TRACES, some, np.array([float(score)]), np.array([cls]), left)
    return state.finish(), state


def test_a_trace_is_as_suspicious_as_its_strongest_window_among_the_background_s_own():
    calibration = Calibration.of(np.arange(1_000.0), np.arange(1_000) // 10)  # maxima 9, 19 ...
    rows = [("a:1", "x", 5, 0), ("a:1@100", "x", 995, 1), ("a:1@200", "x", 3, 0)]
    (verdict,), state = judged(calibration, 0.05, rows)
    expected = Verdict("trace", "x", "a", "scan", 995.0, 2 / 101, 3, "a:1@100")
    assert verdict == expected
    assert (state.n_wholes, state.notes()) == (1, ())


def test_with_too_few_traces_the_window_s_p_value_counts_once_a_window():
    calibration = Calibration.of(np.arange(999.0))
    rows = [("a:1", "x", 998, 0), *((f"a:1@{i}", "x", 0, 0) for i in range(1, 5))]
    (verdict,), state = judged(calibration, 0.02, rows)
    assert verdict.p_value == pytest.approx(5 * 2 / 1_000)
    assert "Bonferroni" in state.notes()[0]
    many = [(f"a:1@{i}", "x", 10_000, 0) for i in range(30)]
    found, state = judged(calibration, 0.02, many)
    assert found == ()
    assert "1 of 1 traces have too many windows" in state.notes()[1]


def test_the_same_name_in_two_files_is_two_traces():
    calibration = Calibration.of(np.arange(100.0), np.arange(100))
    found, _ = judged(calibration, 0.05, [("a:1", "pid 7", 99, 0), ("b:1", "pid 7", 100, 0)])
    assert [(v.source, v.n_windows) for v in found] == [("b", 1), ("a", 1)]
    assert source_of("x.zip!d/t.txt:3@100") == "x.zip!d/t.txt"


def test_what_an_exception_is_for_is_no_window():
    calibration = Calibration.of(np.arange(100.0), np.arange(100))
    rows = [("a:1", "x", 500, 0), ("a:1@100", "x", 1, 0)]
    assert judged(calibration, 0.05, rows, excepted=("a:1",))[0] == ()


def test_memory_is_bounded_and_nothing_is_forgotten(monkeypatch):
    monkeypatch.setattr(module, "MOST_WHOLES", 10)
    calibration = Calibration.of(np.arange(100.0), np.arange(100))
    found, state = judged(calibration, 0.05, [("a:1", f"t{i}", 500, 0) for i in range(50)])
    assert (len(found), state.n_wholes) == (50, 50)


def test_records_that_stand_alone_get_no_verdict():
    state = Verdicts(Calibration.of(np.arange(10.0)), 0.5, ())
    alone = SimpleNamespace(part_of="")
    state.add(alone, batch(("a:1", "x")), np.array([99.0]), np.array([-1]), NONE)
    assert (state.finish(), state.n_wholes, state.notes()) == ((), 0, ())
    assert wholes_of(alone, batch(("a:1", "x"))) is None
    several = batch(("a:1", "x"), ("a:2@5", "x"), ("b:1", "x"), ("a:9", "y"))
    assert wholes_of(TRACES, several).tolist() == [0, 0, 1, 2]


def test_every_identity_that_windows_name_is_a_column_that_is_shown():
    for name in DOMAINS.names():
        domain = DOMAINS.load(name)
        assert domain.part_of in ("", *domain.identity)


def report() -> Report:
    verdict = Verdict("trace", "pid\x1b[31m <b>7", "a.log", "shell", 3.0, 0.004, 12, "a.log:9")
    return Report(
        "d", ("shell",), 0.01, 1.0, (("a.log", 90),), 90, 0, (), verdicts=(verdict,),
        n_wholes=40, whole="trace", unit="trace window",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["table", "html"])
def test_pages_tell_verdicts_in_words_and_escape_names(name):
    text = RENDERERS.load(name)().end(report())
    assert "1 trace of 40 alarms as a whole" in text
    assert "12 windows" in text and "\x1b" not in text
    assert name == "table" or "<b>7" not in text
    calm = Report("d", (), 0.01, 1.0, (), 9, 0, ())
    assert "as a whole" not in RENDERERS.load(name)().end(calm)


def test_files_for_machines_hold_the_verdicts_apart_from_the_findings():
    (line,) = RENDERERS.load("jsonl")().end(report()).splitlines()
    told = json.loads(line)
    assert (told["verdict_on"], told["n_windows"], told["p_value"]) == ("trace", 12, 0.004)
    assert "finding_id" not in told
    run = json.loads(RENDERERS.load("sarif")().end(report()))["runs"][0]
    assert run["properties"]["verdicts"] == [told] and run["properties"]["wholes"] == 40
    assert run["results"] == []


def lines(path, traces):
    path.write_text("".join(trace + "\n" for trace in traces))
    return str(path)


def test_on_real_traces_no_more_benign_ones_alarm_than_promised(data_dir, tmp_path):
    table = pl.read_parquet(data_dir / "net" / "adfa_ld.parquet")
    normal, attack = (
        table.filter(pl.col("label") == c)["syscall_names"].to_list()
        for c in ("Normal", "Web_Shell")
    )
    rate, realised, found = 0.1, [], []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(normal))
        known, fresh = ([normal[i] for i in rows] for rows in (order[:150], order[150:650]))
        out = tmp_path / f"{seed}.detector"
        adapt(
            AdaptRequest(
                examples=(lines(tmp_path / "examples.txt", attack[:5]),),
                background=(lines(tmp_path / "usual.txt", known),),
                out=out, seed=seed, learner="k_nearest", false_alarms=rate,
            )
        )  # fmt: skip
        for traces, into in ((fresh, realised), (attack[5:], found)):
            name = lines(tmp_path / "today.txt", traces)
            told = scan(ScanRequest(sources=(name,), detector=out, false_alarms=rate)).report
            assert told.n_wholes == len(traces) and not any("Bonferroni" in n for n in told.notes)
            into.append(len(told.verdicts) / told.n_wholes)
    # three draws of 150 maxima: a standard error of 0.014 beside the promise
    assert np.mean(realised) <= rate + 0.03
    assert np.mean(found) > 2 * rate
