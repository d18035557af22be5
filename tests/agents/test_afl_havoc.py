"""Havoc: operators of all families, stacked 2, 4, 8 or 16 deep, anywhere."""

import numpy as np

from inoculate.agents.afl_havoc import AflHavoc
from inoculate.fuzzing.history import SPACE
from inoculate.fuzzing.operators import FAMILIES, INTENSITIES, REGIONS


def test_stacks_are_powers_of_two_of_mixed_operators_anywhere():
    policy = AflHavoc().adapt(SPACE, seed=0)
    made = [policy.act(np.zeros(SPACE.n_observed, np.float32)) for _ in range(400)]
    assert {FAMILIES[a.operator] for a in made} == {"mixed"}
    assert {REGIONS[a.region] for a in made} == {"anywhere"}
    stacks = [INTENSITIES[a.intensity] for a in made]
    assert set(stacks) == {2, 4, 8, 16}
    assert min(stacks.count(n) for n in (2, 4, 8, 16)) > 60
