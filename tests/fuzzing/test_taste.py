"""A taste: told from contests between seeds, and what the corpus makes of it."""

import random

import numpy as np
import pytest

from inoculate.fuzzing.corpus import SEED_SEEN, Corpus, Seed
from inoculate.fuzzing.taste import CONTROLS, contests, fit_taste


def drawn(truth, n, rng):
    """Return n rows of candidates whose first is drawn as the truth says."""
    rows = rng.normal(size=(n, 8, len(truth))) * [1.0, 5.0, 0.1]
    won = (rows @ truth + rng.gumbel(size=(n, 8))).argmax(axis=1)
    for row, first in zip(rows, won, strict=True):
        row[[0, first]] = row[[first, 0]]
    return rows


def test_weights_that_made_the_choices_are_found_again():
    truth = np.array([1.0, -0.2, 0.0])
    rows = drawn(truth, 4000, np.random.default_rng(0))
    found = fit_taste(rows, np.ones(4000))
    np.testing.assert_allclose(found * [1, 5, 0.1], truth * [1, 5, 0.1], atol=0.08)


def test_rows_weigh_as_they_are_told():
    rng = np.random.default_rng(1)
    one, other = drawn(np.array([2.0, 0, 0]), 500, rng), drawn(np.array([-2.0, 0, 0]), 500, rng)
    held = np.concatenate([one, other])
    weights = np.repeat([1.0, 0.01], 500)
    assert fit_taste(held, weights)[0] > 1.0 > -1.0 > fit_taste(held, weights[::-1])[0]


def test_what_is_the_same_everywhere_weighs_nothing():
    rows = np.ones((50, 4, 2))
    rows[:, 1:, 0] = 0.0
    found = fit_taste(rows, np.ones(50))
    assert found[0] > 1.0
    assert found[1] == 0.0


def test_a_contest_is_a_round_over_rounds_about_the_same_time():
    seen = np.arange(1000.0)[:, None]
    found = contests(seen, [500, 990], 995, np.random.default_rng(0))
    assert [one.shape for one in found] == [(1 + CONTROLS, 1)] * 2
    assert [one[0, 0] for one in found] == [500, 990]
    assert 400 <= found[0][1:].min() < found[0][1:].max() < 600
    assert found[1][1:].max() <= 995
    assert contests(seen, [0], 3, np.random.default_rng(0)) == [], "too early to say"


@pytest.mark.parametrize(
    ("what", "best"), [("breadth", 5), ("rarity", 7), ("first", 3), ("age", 0)]
)
def test_any_is_to_the_taste_where_there_is_one(what, best):
    corpus = Corpus(random.Random(0), hits=lambda edge: 9 * edge)
    corpus.seeds = [Seed(b"abcdefgh", born=10 * i, depth=1) for i in range(9)]
    corpus.seeds[7].rarest = 1
    corpus.seeds[3].depth = 0
    corpus.seeds[5].breadth = 4096
    corpus.taste = [9.0 * (name == what) for name in SEED_SEEN]
    if what == "age":
        corpus.taste = [30.0 * w for w in corpus.taste]
    picked = [corpus.choose(0, 100) for _ in range(50)]
    assert picked.count(corpus.seeds[best]) > 40
    assert len({id(corpus.choose(1, 100)) for _ in range(50)}) > 1, "other rules stay as they are"


def test_what_is_seen_of_a_seed_has_a_name_each():
    corpus = Corpus(random.Random(0), hits=lambda edge: 99 if edge == 4 else 0)
    seed = Seed(b"abc", rarest=4, breadth=7, born=1, depth=2)
    named = dict(zip(SEED_SEEN, corpus.seen_of(seed, 1000), strict=True))
    assert named == {"first": 0.0, "breadth": 3.0, "age": 3.0, "rarity": 2.0}
    assert corpus.seen_of(Seed(b"abc"), 1000)[SEED_SEEN.index("first")] == 1.0


def test_the_choice_is_by_the_same_numbers_as_are_seen():
    rng = np.random.default_rng(3)
    corpus = Corpus(random.Random(1), hits=lambda edge: edge)
    corpus.seeds = [
        Seed(b"a", breadth=int(n), rarest=int(r), born=int(b), depth=int(d % 2))
        for n, r, b, d in rng.integers(0, 60, size=(6, 4))
    ]
    corpus.taste = rng.normal(size=len(SEED_SEEN)).tolist()
    worth = np.array([corpus.seen_of(s, 500) for s in corpus.seeds]) @ corpus.taste
    expected = np.exp(worth - worth.max())
    picked = [corpus.seeds.index(corpus.choose(0, 500)) for _ in range(3000)]
    share = np.bincount(picked, minlength=6) / 3000
    assert share.argmax() == expected.argmax()
    assert (np.diff(share[np.argsort(expected)]) > -0.03).all()


def test_far_values_do_not_make_it_diverge():
    rng = np.random.default_rng(2)
    rows = rng.standard_t(1.2, size=(200, 21, 5))
    won = (3.0 * rows[:, :, 2] + rng.gumbel(size=(200, 21))).argmax(axis=1)
    for row, first in zip(rows, won, strict=True):
        row[[0, first]] = row[[first, 0]]
    found = fit_taste(rows, np.ones(200))
    assert 0.4 < found[2] < 1.0, "without shorter steps 0.26, and going away"
    assert np.abs(np.delete(found, 2)).max() < 0.05
