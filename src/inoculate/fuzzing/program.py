"""A program as an environment: a policy mutates its seeds, and what is new is kept."""

import random
import time
from collections.abc import Sequence

from inoculate.agent import Action, Environment, Step
from inoculate.fuzzing.corpus import Corpus, Seed
from inoculate.fuzzing.history import BUG_WORTH, ROUND, SPACE, History, Round, worth
from inoculate.fuzzing.operators import Material, Mutator
from inoculate.fuzzing.target import BAD_END, ENDED, NEW, OTHER_PATH, PLANTED, Target
from inoculate.task import FloatArray

_MAX_SEEDS = 4096


class ProgramEnvironment(Environment):
    """One program, its first seeds and a budget of executions.

    Args:
        target: what runs the inputs.
        seeds: the first inputs; an empty one stands in where there is none.
        name: of the program.
        dictionary: tokens worth inserting; constants that the program compares come by themselves.
        executions: budget of one trajectory.
        max_size: no input is longer, in bytes.

    Attributes:
        found: planted bug -> (executions, seconds of processor time) until its first input.
        edges: edges touched.
        corpus: inputs kept.
    """

    space = SPACE

    def __init__(
        self,
        target: Target,
        seeds: Sequence[bytes],
        *,
        name: str,
        dictionary: Sequence[bytes] = (),
        executions: int = 20_000,
        max_size: int = 1024,
    ) -> None:
        self.target = target
        self.name = name
        self.budget = executions
        self._first = tuple(seeds) or (b"",)
        self._dictionary = tuple(dictionary)
        self._max_size = max_size
        self.found: dict[int, tuple[int, float]] = {}
        self.edges = 0

    def reset(self, *, seed: int) -> FloatArray:
        """Run the first seeds; return what is seen of one of them."""
        rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.target.start()
        self.found, self.edges = {}, 0
        self.history = History()
        self.corpus = Corpus(rng, self.target.hits)
        self.mutator = Mutator(rng, list(self._dictionary), max_size=self._max_size)
        self.corpus.taste = self.taste
        self._step = -1
        self._began = time.process_time()
        for data in self._first:
            self.target.run(data, 0)
            self._keep(data, None)
        if not self.corpus.seeds:
            self.corpus.seeds.append(Seed(self._first[0]))
        self._renew_dictionary()
        self._seed = self.corpus.choose(0)
        return self.history.observe(self._seed, self.corpus, known=self.edges)

    def step(self, action: Action) -> Step:
        """Run ``ROUND`` mutants of the seed at hand and choose the next one."""
        self._step += 1
        mutated = self._seed
        made, bug = self._round(action)
        reward = self.history.note(action, made)
        if made.gain:
            self._renew_dictionary()
        self._seed = self.corpus.choose(action.seed, self.history.executions)
        seen = self.history.observe(self._seed, self.corpus, known=self.edges)
        done = self.history.executions >= self.budget
        lineage = (*mutated.lineage(), self._step) if bug >= 0 else ()
        return Step(seen, reward, done, made.executions, bug, lineage)

    def seed_seen(self) -> tuple[float, ...]:
        """Return the numbers of ``SEED_SEEN`` of the seed at hand."""
        return self.corpus.seen_of(self._seed, self.history.executions)

    def _round(self, action: Action) -> tuple[Round, int]:
        seed, target, mutate = self._seed, self.target, self.mutator.mutate
        of = Material(seed.data, self.corpus.other(seed), seed.hot, seed.near)
        operator, intensity, region, _ = action
        seed.chosen += 1
        gain, bug = 0.0, -1
        for i in range(ROUND):
            data = mutate(of, operator=operator, intensity=intensity, region=region)
            said = target.run(data, seed.path)
            if said & OTHER_PATH and intensity == 0:
                seed.heat(self.mutator.struck)
            if said & BAD_END:
                new = self._bad_end(i)
                gain, bug = gain + BUG_WORTH * (new >= 0), max(bug, new)
            elif said & NEW:
                gain += self._keep(data, seed)
                seed.finds += 1
        return Round(ROUND, gain, target.outcome().steps), bug

    def _keep(self, data: bytes, parent: Seed | None) -> float:
        """Add an input that was just run; return its worth."""
        did = self.target.outcome()
        self.edges = did.known
        if len(self.corpus.seeds) >= _MAX_SEEDS or (parent is None and did.status != ENDED):
            return worth(did.new_edges, did.new_counts)
        kept = Seed(
            data, did.path, max(did.steps, 1), did.rarest, did.touched, self.history.executions
        )
        if parent is not None:
            kept.parent, kept.step, kept.depth = parent, self._step, parent.depth + 1
            kept.near = self.mutator.struck[-1] if self.mutator.struck else -1
            kept.hot = [at for at in parent.hot if at < len(data)]
        self.corpus.seeds.append(kept)
        return worth(did.new_edges, did.new_counts)

    def _bad_end(self, nth: int) -> int:
        """Note a bug; return its number when it is new, else -1."""
        did = self.target.outcome()
        self.edges = did.known
        if did.status != PLANTED or did.number in self.found:
            return -1
        spent = time.process_time() - self._began
        self.found[did.number] = (self.history.executions + nth + 1, spent)
        return did.number

    def _renew_dictionary(self) -> None:
        known = dict.fromkeys((*self._dictionary, *self.target.words()))
        self.mutator.dictionary = list(known)
