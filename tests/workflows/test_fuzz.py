"""Fuzzing native programs from end to end: a small parser with planted bugs."""

import fcntl
import json
import shutil
from dataclasses import replace

import pytest

from inoculate.errors import ArtifactError, InputError
from inoculate.fuzzing.endings.triage import folders, read_finding
from inoculate.fuzzing.running.journal import Journal
from inoculate.workflows.fuzz import fuzz, resume
from inoculate.workflows.fuzz_report import report_of
from inoculate.workflows.fuzz_request import JOURNAL, FuzzRequest
from inoculate.workflows.fuzz_seeds import name_of
from tests.workflows.fuzz_kills import killed, left_behind, number, passes
from tests.workflows.parsers import ADDRESS, build


@pytest.fixture(scope="module")
def parser(tmp_path_factory):
    return build(tmp_path_factory.mktemp("parser"), "parser", env=ADDRESS)


@pytest.fixture
def request_(parser, tmp_path):
    if shutil.which("afl-fuzz") is None:
        pytest.skip("afl-fuzz is not installed; .ci/run installs it from Debian's afl++")
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "note").write_bytes(b"Na!bcd")
    return FuzzRequest(
        out=tmp_path / "out",
        target=parser,
        arguments=("@@",),
        seeds=(tmp_path / "seeds",),
        seconds=300.0,  # no test waits so long unless the machine is that slow
        timeout_s=1.0,
    )


def found(out):
    return {read_finding(p)["kind"]: p for p in folders(out / "findings")}


def until(kind, out):
    return lambda: kind in found(out)


def test_a_planted_overflow_is_found_replayed_made_small_and_placed(request_, parser):
    fuzz(request_, stop=until("heap-buffer-overflow", request_.out))
    place = found(request_.out)["heap-buffer-overflow"]
    about = read_finding(place)
    assert (about["cwe"], about["function"], about["replayed"]) == (122, "name", 3)
    source = parser.with_name("parser.c").read_text().splitlines()
    assert "memcpy" in source[about["line"] - 1]
    short = (place / "input").read_bytes()
    assert short[:1] == b"N" and short[2:3] == b"!" and 9 <= len(short) <= about["found_size"]
    report = report_of(request_.out)
    assert "cwe-122" in {f.threat for f in report.findings}
    assert report.n_records > 0


def test_a_seed_that_crashes_is_a_finding_at_once_and_no_seed(request_, tmp_path):
    (tmp_path / "seeds" / "long").write_bytes(b"Na!bcdefghijkl")
    said = []
    fuzz(replace(request_, executions=16), status=said.append)
    assert any("ends badly by itself" in line for line in said)
    about = read_finding(found(request_.out)["heap-buffer-overflow"])
    assert (about["found_as"][:5], about["executions"]) == ("seed ", 0)
    assert len(list((request_.out / "seeds").iterdir())) == 1


def test_a_program_without_instrumentation_is_refused_with_how_to_build_it(request_, tmp_path):
    plain = build(tmp_path, "plain", compiler="clang")
    with pytest.raises(InputError, match="not instrumented for AFL\\+\\+; build it with"):
        fuzz(replace(request_, target=plain))
    assert not request_.out.exists()


def test_crashes_are_replayed_on_another_build_of_the_program(request_, parser, tmp_path):
    bare = build(tmp_path, "bare")
    (tmp_path / "seeds" / "zero").write_bytes(b"Raax")
    fuzz(replace(request_, target=bare, executions=1))
    about = read_finding(found(request_.out)["FPE"])
    assert (about["cwe"], about["line"]) == (369, None)
    assert any("no sanitizer" in line for line in report_of(request_.out).notes)
    out = request_.out.with_name("again")
    fuzz(replace(request_, target=bare, replay_with=parser, out=out, executions=1))
    about = read_finding(found(out)["FPE"])
    assert (about["cwe"], about["function"]) == (369, "ratio")
    assert about["line"] is not None


def test_a_hang_is_found_and_told_where(request_, tmp_path):
    sleepy = build(tmp_path, "sleepy", "-DSLEEPY", env=ADDRESS)
    (tmp_path / "seeds" / "sleeper").write_bytes(b"Zz")
    fuzz(replace(request_, target=sleepy, executions=1, timeout_s=0.3))
    about = read_finding(found(request_.out)["hang"])
    assert (about["cwe"], about["function"], about["size"]) == (400, "main", 2)


@pytest.mark.parametrize(("env", "kind"), [(ADDRESS, "rss-limit-exceeded"), ({}, "SEGV")])
def test_memory_is_held_to_its_limit_with_and_without_a_sanitizer(request_, tmp_path, env, kind):
    greedy = build(tmp_path, "greedy", "-DGREEDY", env=env)
    (tmp_path / "seeds" / "greedy").write_bytes(b"Gx")
    asked = replace(request_, target=greedy, memory_bytes=64 << 20, timeout_s=20.0, executions=1)
    fuzz(asked)
    assert kind in found(request_.out)


def test_a_killed_run_goes_on_with_nothing_lost(request_):
    out = request_.out
    arguments = [
        "--target", str(request_.target), "--input-file", "@@", "--seeds", str(request_.seeds[0]),
        "--timeout", "500ms",
    ]  # fmt: skip
    killed(out, arguments, until=lambda: (out / JOURNAL).exists() and found(out))
    before = Journal.read(out / JOURNAL)
    kept = {p.read_bytes() for p in (out / "afl" / "default" / "queue").glob("id:*")}
    inputs = {(p / "input").read_bytes() for p in folders(out / "findings")}
    executions = before.memory["history/rest"][0]
    assert executions > 0 and before.seconds > 0 and inputs and kept

    resume(out, seconds=before.seconds + 3.0)
    after = Journal.read(out / JOURNAL)
    assert after.starts == 2
    assert before.seconds + 2.5 < after.seconds
    assert after.memory["history/rest"][0] > executions
    assert after.memory["history/tries"].sum() > before.memory["history/tries"].sum() * 0.98
    assert inputs <= {(p / "input").read_bytes() for p in folders(out / "findings")}
    # what AFL++ shortened since is kept in its short form
    queue = {p.read_bytes() for p in (out / "afl" / "default" / "queue").glob("id:*")}
    assert len(queue) >= len(kept)
    assert not left_behind(before, after)


@pytest.mark.parametrize("content", [b"", b"start_time        : 17", None])
def test_a_fuzzer_killed_while_it_wrote_about_itself_forgets_nothing(request_, content):
    out = request_.out
    queue = out / "afl" / "default" / "queue"
    fuzz(request_, stop=lambda: len(list(queue.glob("id:*"))) > 3)
    kept = {p.read_bytes() for p in queue.glob("id:*")}
    stats = queue.with_name("fuzzer_stats")
    stats.unlink()
    if content is not None:
        stats.write_bytes(content)
    resume(out, seconds=Journal.read(out / JOURNAL).seconds + 2.0)
    assert len(kept & {p.read_bytes() for p in queue.glob("id:*")}) > 0.7 * len(kept)


COUNTS = r"""
#include <stdio.h>
volatile int sum;
int main(int argc, char **argv) {
  unsigned char b[4096];
  FILE *f = fopen(argv[1], "rb");
  size_t n = f ? fread(b, 1, sizeof b, f) : 0;
  if (n > 4 && b[0] == 'Q' && b[4] == '!') sum = 7;
  for (size_t i = 0; i < n; i++) if (b[i] == 'l') sum++;
  return 0;
}
"""


def test_what_a_seed_costs_and_how_rare_it_is_is_seen_and_kept_over_a_kill(request_, tmp_path):
    program = build(tmp_path, "counts", source=COUNTS)
    seeds = {b"xyz": "plain", b"l" * 50: "costly", b"Qxyz!": "rare"}
    for data, name in seeds.items():
        (tmp_path / "seeds" / name).write_bytes(data)
    (tmp_path / "seeds" / "note").unlink()
    out = request_.out
    arguments = ["--target", str(program), "--input-file", "@@", "--agent", "hierarchical_bandit"]
    killed(out, [*arguments, "--seeds", str(tmp_path / "seeds")], until=lambda: estimated(out))
    before = Journal.read(out / JOURNAL)
    of = {name: before.attributes[name_of(data)] for data, name in seeds.items()}
    steps, rarest = ({n: number(a, k) for n, a in of.items()} for k in ("steps", "rarest"))
    assert steps["costly"] > 2 * steps["plain"]
    hits = hits_of(before)
    assert hits[rarest["rare"]] < 0.5 * max(hits.values())
    assert max(hits.values()) <= 1.1 * before.memory["history/rest"][0] + len(before.attributes)

    resume(out, seconds=before.seconds + 0.5)
    after = Journal.read(out / JOURNAL)
    # but for what AFL++ shortens, which is traced again
    traced = {name: told for name, a in before.attributes.items() if (told := passes(a))}
    same = [passes(after.attributes[name]) == told for name, told in traced.items()]
    assert sum(same) > 0.5 * len(same) and len(same) > len(seeds)
    again = hits_of(after)
    assert all(again[edge] >= hits[edge] for edge in hits)


def hits_of(journal):
    edges, hits = (journal.memory[f"passed/{part}"].tolist() for part in ("edges", "hits"))
    return dict(zip(edges, hits, strict=True))


def estimated(out):
    """Return whether mutants were traced, and every seed, by what the journal says."""
    if not (out / JOURNAL).exists():
        return False
    journal = Journal.read(out / JOURNAL)
    hits = journal.memory.get("passed/hits", [])
    traced = [passes(numbers) is not None for numbers in journal.attributes.values()]
    return len(hits) and hits.max() > 1000 and sum(traced) >= 0.8 * len(traced)


def test_two_runs_do_not_share_a_folder(request_):
    fuzz(replace(request_, executions=1))
    with (request_.out / "lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="at work there already"):
            resume(request_.out)


def test_a_run_is_not_begun_where_one_is_already(request_):
    request_.out.mkdir()
    (request_.out / "file").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        fuzz(request_)
    assert (request_.out / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "no run of fuzz"), ("{", "cannot be read"), ('{"target": 3}', "damaged")],
)
def test_a_folder_that_holds_no_run_is_told(tmp_path, content, problem):
    if content is not None:
        (tmp_path / "request.json").write_text(content)
    with pytest.raises(ArtifactError, match=problem):
        resume(tmp_path)


def test_the_request_is_the_same_after_it_was_kept(tmp_path):
    asked = FuzzRequest(
        out=tmp_path, target=tmp_path / "a", arguments=("-x", "@@"), seeds=(tmp_path,),
        dictionary=tmp_path / "words", memory_bytes=64 << 20, seed=3,
    )  # fmt: skip
    asked.write()
    assert FuzzRequest.read(tmp_path) == asked
    assert json.loads((tmp_path / "request.json").read_text())["seed"] == 3
