"""UCB1-Tuned against its closed form, and that it finds the arm that pays."""

import math

import numpy as np

from inoculate.agent import Action, Space
from inoculate.agents.ucb_bandit import UcbBandit

SPACE = Space((3, 2, 2, 2), n_observed=1)
SEEN = np.zeros(1, np.float32)


def test_each_arm_is_tried_once_then_the_highest_bound_is_taken():
    policy = UcbBandit().adapt(Space((3, 1, 1, 1), n_observed=1), seed=0)
    rewards = {0: 0.0, 1: 1.0, 2: 0.0}
    tried = []
    for _ in range(3):
        action = policy.act(SEEN)
        tried.append(action.operator)
        policy.learn(action, rewards[action.operator])
    assert sorted(tried) == [0, 1, 2]
    # one try each: mean 0 or 1, variance 0, so V = sqrt(2 ln 3) > 1/4 for all
    bound = math.sqrt(math.log(3) * 0.25)
    assert 1 + bound > 0 + bound
    assert policy.act(SEEN).operator == 1


def test_an_arm_that_pays_is_taken_most():
    policy, rng = UcbBandit().adapt(SPACE, seed=1), np.random.default_rng(0)
    chosen = []
    for _ in range(2_000):
        action = policy.act(SEEN)
        chosen.append(action)
        pays = action.operator == 2 and action.region == 1
        policy.learn(action, float(rng.random() < (0.6 if pays else 0.05)))
    last = chosen[-500:]
    assert sum(a.operator == 2 for a in last) > 400
    assert sum(a.region == 1 for a in last) > 400


def test_a_rule_is_credited_with_the_seed_it_chose_not_with_the_one_before():
    policy = UcbBandit().adapt(Space((1, 1, 1, 2), n_observed=1), seed=2)
    chosen, before = [], 0
    for _ in range(600):
        action = policy.act(SEEN)
        policy.learn(action, float(before == 1))  # what the step before chose is mutated now
        before = action.seed
        chosen.append(before)
    assert chosen[-200:].count(1) > 150


def test_reward_counts_as_found_or_not():
    policy = UcbBandit().adapt(Space((2, 1, 1, 1), n_observed=1), seed=3)
    for operator, reward in ((0, 50.0), (1, 0.1)):
        policy.learn(Action(operator, 0, 0, 0), reward)
    arms = policy.memory()["operator"][0]
    assert arms.tolist() == [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
