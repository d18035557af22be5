"""Trees, neighbours and network side by side: what is left out was not seen."""

import numpy as np
import pytest

from inoculate.checks import toy_tasks
from inoculate.features.space import Space
from inoculate.nn.evidence_support import new_net
from inoculate.nn.members import Members, Trees
from inoculate.task import Encoded, Labelled, Support


@pytest.fixture(scope="module")
def net():
    return new_net(16, 1, 2, seed=0).eval().requires_grad_(False)


def members(net, support, ways, n_background=512):
    return Members.of(support, ways, net, Trees(20, 4), n_background=n_background, seed=0)


def support(m=60):
    (task,) = toy_tasks(1, seed=5, n_background=m)
    return task.support


def test_a_left_out_record_of_background_is_judged_by_the_forest_that_did_not_see_it(net):
    found = members(net, support(), [0])
    rows, _ = found.sides.left_out(0, 192)
    left_out = found.left_out(0)[:, 0]
    columns = np.ascontiguousarray(found.space.dense(found.space.background[rows]).T)
    a, b = (forest.mean_value(columns) for forest in found.forests[0])
    share = np.where(found.half[rows], b, a)
    np.testing.assert_allclose(left_out, np.log((share + 1e-3) / (1 - share + 1e-3)), rtol=1e-5)
    assert found.half.sum() == 30
    grown_on = Trees(20, 4).grow(Space.of(support()), support().examples.y == 0, found.half, seed=0)
    np.testing.assert_array_equal(grown_on.threshold, found.forests[0][0].threshold)


def test_records_read_in_context_are_not_scored_as_left_out(net):
    found = members(net, support(), [1])
    rows, _ = found.sides.left_out(0, 192)
    shown = found.sides.rows[found.sides.conditioned[0].shown[0].numpy()]
    assert len(rows) == 60 - 32
    assert not set(rows) & set(shown)


def test_with_very_few_background_records_all_are_scored(net):
    assert len(members(net, support(m=10), [0]).left_out(0)) == 10
    assert np.isfinite(members(net, support(m=1), [0]).left_out(0)).all()


def test_of_a_large_background_a_fair_half_and_the_lookalikes_are_looked_at(net):
    rng = np.random.default_rng(0)
    background = rng.normal(size=(900, 6)).astype(np.float32)
    alike = rng.permutation(900)[:20]
    background[alike] += 9
    examples = (rng.normal(size=(4, 6)) + 9).astype(np.float32)
    s = Support(
        Labelled(Encoded({"v": examples}), np.zeros(4, np.int64)),
        Encoded({"v": background}),
        ("t",),
    )
    sides = members(net, s, [0], n_background=100).sides
    (side,) = sides.conditioned
    assert side.n_fair == 50
    assert side.background.there.shape == (1, 100)
    places = side.background.cells[0, 50:, :, 1].mean(-1)  # robust z of the lookalikes
    fair = np.isin(sides.rows, alike).sum()
    assert (places > 0.5).sum() == 20 - fair


def test_without_classes_distance_tails_and_the_network_without_examples_speak(net):
    s = support()
    nothing = Labelled(s.examples.x.take(np.arange(0)), np.zeros(0, np.int64))
    found = members(net, Support(nothing, s.background, ()), [])
    assert found.n_ways == 1
    far = Encoded({"toy": np.full((1, 12), 50, np.float32)})
    usual = found.left_out(0)
    assert usual.shape[1] == 3
    cheap = found.cheap(found.space.z(far))[0][0, 0]
    assert (cheap > usual[:, :2].max(axis=0)).all()
