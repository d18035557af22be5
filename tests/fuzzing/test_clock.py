"""Ours against afl-fuzz: whose processor time is counted, and what trials are held to."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2] / "benchmarks"
BURNING = """
import subprocess, sys
sys.path.insert(0, sys.argv[1])
import fuzz_clock
children = fuzz_clock.Children()
burn = "import time\\nwhile time.process_time() < 0.5: pass\\ntime.sleep(60)"
begin = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]])"
subprocess.run([sys.executable, "-c", begin, burn], check=True)
while children.seconds() < 0.3:
    pass
assert len(children.find()) == 1
children.end()
print(children.find())
"""


@pytest.fixture
def report(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    return importlib.import_module("fuzz_clock_report")


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    return importlib.import_module("fuzz_clock")


def trial(agent, seed, executions, seconds, *, crash, setup=0.0):
    bugs = {"1": [executions, seconds]} if crash else {}
    return {
        "program": "p",
        "kind": "parser",
        "agent": agent,
        "seed": seed,
        "budget": 10.0,
        "executions": executions,
        "seconds": seconds,
        "setup": setup,
        "bugs": bugs,
    }


TRIALS = [
    trial("afl-fuzz", 0, 5000, 1.0, crash=True),
    trial("afl-fuzz", 1, 50_000, 10.0, crash=False),
    trial("ucb_bandit", 0, 300, 2.0, crash=True, setup=1.0),
    trial("ucb_bandit", 1, 4000, 10.0, crash=False, setup=2.0),
]


def times(report, trials, agent, clock):
    return report.first_bugs(trials, "p", agent, clock).tolist()


def test_a_trial_without_a_crash_counts_as_the_budget_of_seconds(report):
    whole = report.evened(TRIALS)
    assert times(report, whole, "afl-fuzz", "seconds") == [1.0, 10.0]
    assert times(report, whole, "ucb_bandit", "seconds") == [2.0, 10.0]


def test_executions_are_held_to_those_of_the_slowest_trial_without_a_crash(report):
    whole = report.evened(TRIALS)
    assert times(report, whole, "afl-fuzz", "executions") == [4000, 4000]
    assert times(report, whole, "ucb_bandit", "executions") == [300, 4000]


def test_where_all_crashed_no_trial_s_executions_are_cut(report):
    whole = report.evened([t for t in TRIALS if t["bugs"]])
    assert times(report, whole, "afl-fuzz", "executions") == [5000]


def test_without_set_up_the_longest_one_is_taken_off_the_budget(report):
    bare = report.evened(TRIALS, with_setup=False)
    assert times(report, bare, "ucb_bandit", "seconds") == [1.0, 8.0]
    assert times(report, bare, "afl-fuzz", "seconds") == [1.0, 8.0]


def test_the_report_says_who_is_faster(report, tmp_path):
    made = [
        trial(agent, seed, int(1000 * s), s + seed / 10, crash=True)
        for agent, s in (("afl-fuzz", 5.0), ("ucb_bandit", 1.0), ("hierarchical_bandit", 1.0))
        for seed in range(5)
    ]
    said = report.report(made, tmp_path)
    assert "| ucb_bandit | afl-fuzz | seconds | 1.000 [1.000, 1.000] |" in said
    assert "| hierarchical_bandit | ucb_bandit | seconds | 0.500 " in said
    assert (tmp_path / "clock.md").read_text() == said + "\n"


def test_executions_until_a_crash_are_read_from_its_name(clock):
    name = "id:000000,sig:06,src:000000,time:118,execs:4637,op:havoc,rep:2"
    assert clock.executions_at(name) == 4637
    with pytest.raises(ValueError, match="says nothing of executions"):
        clock.executions_at("id:000000,sig:06,src:000000,op:havoc,rep:2")


def test_processor_time_counts_also_where_the_parent_is_gone():
    done = subprocess.run(
        [sys.executable, "-c", BURNING, str(HERE)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")


def test_the_programs_are_none_that_an_agent_was_trained_on(clock):
    recipe = clock.RECIPE.read_text()
    names = clock.programs()
    assert len(names) >= 14
    assert not [name for name in names if f'"{name}"' in recipe]
