"""The sides of a support set, and the second look beside what was taken for the threat."""

import numpy as np
import pytest
import torch

from inoculate.metrics import recall_at
from inoculate.nn.evidence_support import Sides
from inoculate.store.detector import load_prior
from inoculate.task import Encoded, Labelled, Support


@pytest.fixture(scope="module")
def net():
    return load_prior("evidence").learner.net()


def records(rng, n, *, threat=False, alike=False, d=10):
    """Return records; a threat and what is alike are far out in nine columns alike."""
    x = rng.normal(size=(n, d))
    if threat or alike:
        x[:, 1:] += 6
    x[:, 0] += 2.5 * threat
    return x.astype(np.float32)


def support(rng, m, share=0.1, k=5):
    alike = round(share * m)
    background = np.vstack([records(rng, m - alike), records(rng, alike, alike=True)])
    examples = Labelled(Encoded({"v": records(rng, k, threat=True)}), np.zeros(k, np.int64))
    return Support(examples, Encoded({"v": background[rng.permutation(m)]}), ("t",))


def sides(net, s, **more):
    return Sides.of(net, s, n_background=512, seed=0, **more)


def test_the_second_look_is_at_the_background_most_like_the_threat(net):
    s = support(np.random.default_rng(0), 400)
    found = sides(net, s)
    (look,) = found.looks
    assert len(look.rows) == 100
    alike = np.flatnonzero(s.background["v"][:, 1:].mean(axis=1) > 3)
    assert set(alike) <= set(look.rows)


def test_a_record_must_pass_both_looks(net):
    rng = np.random.default_rng(1)
    found = sides(net, support(rng, 400))
    rows = np.vstack(
        [records(rng, 50), records(rng, 50, alike=True), records(rng, 50, threat=True)]
    )
    x = torch.from_numpy(rows)[None]
    first = net(found.conditioned[0], x)[0].numpy()
    second = net(found.looks[0].side, x)[0].numpy()
    expected = np.where(first >= found.looks[0].least, np.minimum(first, second), first)
    np.testing.assert_allclose(found.logits(rows, [0])[:, 0], expected, atol=1e-3)
    assert (expected < first).any()


def test_the_second_look_tells_a_threat_from_what_is_alike(net):
    rng = np.random.default_rng(2)
    gains = []
    for _ in range(6):
        found = sides(net, support(rng, 400))
        alike, threat = records(rng, 200, alike=True), records(rng, 100, threat=True)
        scores = [
            (net(found.conditioned[0], torch.from_numpy(x)[None])[0].numpy(), found.logits(x, [0]))
            for x in (alike, threat)
        ]
        once, twice = (
            recall_at(np.ravel(scores[0][i]), np.ravel(scores[1][i]), 0.05) for i in (0, 1)
        )
        gains.append(twice - once)
    assert np.mean(gains) > 0.02


def test_little_background_and_no_example_have_no_second_look(net):
    rng = np.random.default_rng(3)
    assert not sides(net, support(rng, 99)).looks
    assert len(sides(net, support(rng, 100)).looks) == 1
    s = support(rng, 400)
    nothing = Labelled(s.examples.x.take(np.arange(0)), np.zeros(0, np.int64))
    assert not sides(net, Support(nothing, s.background, ())).looks


def test_left_out_records_that_look_like_the_threat_are_looked_at_again(net):
    found = sides(net, support(np.random.default_rng(4), 400))
    rows, logits = found.left_out(0, 400)
    place = {row: i for i, row in enumerate(found.rows.tolist())}
    index = torch.tensor([place[row] for row in rows.tolist()])
    first = net.left_out(found.conditioned[0], index)[0].numpy()
    again = np.isin(rows, found.looks[0].rows)
    np.testing.assert_allclose(logits[~again], first[~again], atol=1e-3)
    assert (logits[again] <= first[again] + 1e-3).all()
    assert (logits[again] < first[again] - 0.1).any()


def test_a_very_large_background_is_searched_for_lookalikes(net):
    rng = np.random.default_rng(5)
    s = support(rng, 6_000, share=0.01)
    (look,) = sides(net, s).looks
    assert len(look.rows) == 250
    alike = np.flatnonzero(s.background["v"][:, 1:].mean(axis=1) > 3)
    assert set(alike) <= set(look.rows)
