"""Inputs are traced beside a fuzzer, for a small share of the time, and whatever comes of it."""

import threading
import time

import pytest

from inoculate.agents.uniform import Uniform
from inoculate.errors import InputError
from inoculate.fuzzing.history import ROUND, SPACE
from inoculate.fuzzing.running.mutation_server import MutationServer
from inoculate.fuzzing.running.passed import Tracer
from inoculate.fuzzing.running.rounds import Rounds
from inoculate.fuzzing.running.tracing import MUTANTS_SHARE, SEEDS_SHARE, Tracing


class Bytes(Tracer):
    """Edges are the input's bytes."""

    def __init__(self, *, failure=None, each_s=0.0, wait=False):
        self.failure, self.each_s, self.wait = failure, each_s, wait
        self.interrupted, self.closed = threading.Event(), False

    def start(self):
        if self.failure is not None:
            raise self.failure

    def __call__(self, inputs):
        if self.wait:
            self.interrupted.wait(60)
            raise ConnectionError("interrupted")
        time.sleep(self.each_s * len(inputs))
        return [{byte: data.count(byte) for byte in data} for data in inputs]

    def interrupt(self):
        self.interrupted.set()

    def close(self):
        self.closed = True


@pytest.fixture
def server():
    made = MutationServer(Rounds(Uniform().adapt(SPACE, seed=0), seed=0))
    yield made
    made.clear()


def until(what, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not what() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert what()


def test_seeds_and_mutants_are_traced_while_the_fuzzer_is_at_work(server):
    rounds, tracer = server.rounds, Bytes()
    with server.lock:
        rounds.offer("a", b"AAAB")
        rounds.offer("b", b"AAAA")
        rounds.make("a", b"AAAB")
    with Tracing(tracer, server) as tracing:
        until(lambda: tracing.seeds.inputs == 2)

        def another_mutant_holds_an_a():
            with server.lock:
                rounds.settle(ROUND, [])
                rounds.make("a", b"AAAB")
                return rounds.corpus.rarity(rounds.corpus.seeds[1]) > 2

        until(another_mutant_holds_an_a)
    assert tracing.mutants.inputs
    assert [seed.steps for seed in rounds.corpus.seeds] == [4, 4]
    assert rounds.corpus.seeds[0].rarest == ord("B")
    assert tracing.problem is None and tracer.closed


@pytest.mark.parametrize("failure", [InputError("no such tool"), OSError("gone")])
def test_what_cannot_be_traced_ends_no_run_and_is_told(server, failure):
    tracer = Bytes(failure=failure)
    with Tracing(tracer, server) as tracing:
        until(lambda: tracing.problem is not None)
    assert tracing.problem == str(failure) and tracer.closed


def test_an_input_without_an_end_does_not_hold_up_the_end_of_the_run(server):
    tracer = Bytes(wait=True)
    server.rounds.offer("a", b"A")
    with Tracing(tracer, server) as tracing:
        until(lambda: not server.rounds.passed._seeds)
    assert tracer.closed and tracing.problem is None
    assert not tracing._thread.is_alive()


def test_tracing_takes_no_more_than_its_share_of_the_time(server):
    rounds = server.rounds
    tracing = Tracing(Bytes(each_s=0.002), server)
    elapsed = 0.0
    for at in range(100):
        elapsed += 0.5
        rounds.offer(str(at), b"A%d" % at)
        for _ in range(50):
            rounds.make("a", b"hello")
            rounds.settle(ROUND, [])
        tracing._step(elapsed)
    assert 0 < tracing.mutants.seconds <= 1.5 * MUTANTS_SHARE * elapsed
    assert 0 < tracing.seeds.seconds <= SEEDS_SHARE * elapsed + 1.0
    assert tracing.mutants.inputs >= 0.3 * MUTANTS_SHARE * elapsed / 0.002
    assert tracing.seeds.inputs >= 100
