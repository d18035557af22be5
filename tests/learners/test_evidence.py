"""What only evidence promises: any columns, and cells as they are defined."""

import numpy as np
import pytest
import torch

from inoculate.checks import toy_tasks
from inoculate.errors import ArtifactError, TaskError
from inoculate.learners.evidence import Evidence
from inoculate.nn.evidence_cells import CHANNELS, Ground
from inoculate.task import Encoded, Labelled, Support

NAN = np.nan


@pytest.fixture(scope="module")
def learned():
    return Evidence().meta_fit(toy_tasks(60, seed=0), seed=0)


def support(rng, d, *, k=4, m=60):
    background = rng.normal(size=(m, d)).astype(np.float32)
    examples = (rng.normal(size=(k, d)) + 6 * (np.arange(d) % 2)).astype(np.float32)
    return Support(
        Labelled(Encoded({"v": examples}), np.zeros(k, np.int64)),
        Encoded({"v": background}),
        ("t",),
    )


def test_a_cell_is_its_place_in_the_background_by_hand():
    background = torch.tensor([[1.0], [2.0], [2.0], [3.0], [NAN]])[None]
    (cells,) = Ground.of(background).cells(torch.tensor([[2.0], [9.0], [0.0], [NAN]])[None])
    quantile, z, mass, above, below, known = cells[0, 0].tolist()
    assert quantile == pytest.approx((0.5 - 0.5) * 12**0.5)
    assert mass == pytest.approx(0.5)
    assert (z, above, below, known) == (0, 0, 0, 1)
    iqr = 2.0 - 1.0  # of 1 2 2 3: third quartile by index 2, first by index 0
    assert cells[1, 0, 1].item() == pytest.approx(np.log1p((9 - 2) / iqr) / 2)
    assert cells[1, 0, 3:5].tolist() == [1, 0]
    assert cells[2, 0, 3:5].tolist() == [0, 1]
    assert cells[3, 0].tolist() == [0] * CHANNELS


def test_it_works_on_tables_with_any_number_of_columns(learned):
    rng = np.random.default_rng(1)
    for d in (1, 3, 40, 150):
        s = support(rng, d)
        benign = Encoded({"v": rng.normal(size=(50, d)).astype(np.float32)})
        scores = learned.adapt(s).score(benign)
        assert np.isfinite(scores.threat).all()
        assert scores.threat.shape == (50, 1)


def test_units_and_order_of_columns_do_not_matter(learned):
    rng = np.random.default_rng(2)
    s = support(rng, 6)
    query = rng.normal(size=(20, 6)).astype(np.float32)
    scale, shift = np.float32([1, 1024, 0.5, 8, 2, 64]), np.float32([0, 4, -8, 2, 16, 0])
    turned = np.array([5, 0, 3, 1, 4, 2])

    def change(x):
        return Encoded({"v": (x * scale + shift)[:, turned]})

    other = Support(
        Labelled(change(s.examples.x["v"]), s.examples.y), change(s.background["v"]), ("t",)
    )
    expected = learned.adapt(s).score(Encoded({"v": query})).threat
    np.testing.assert_allclose(
        learned.adapt(other).score(change(query)).threat, expected, atol=1e-3
    )


def test_an_unknown_column_changes_nothing(learned):
    rng = np.random.default_rng(3)
    s = support(rng, 5)
    query = rng.normal(size=(20, 5)).astype(np.float32)

    def wider(x):
        return Encoded({"v": np.hstack([x, np.full((len(x), 2), np.nan, np.float32)])})

    other = Support(
        Labelled(wider(s.examples.x["v"]), s.examples.y), wider(s.background["v"]), ("t",)
    )
    expected = learned.adapt(s).score(Encoded({"v": query}))
    found = learned.adapt(other).score(wider(query))
    np.testing.assert_allclose(found.threat, expected.threat, atol=1e-4)
    np.testing.assert_allclose(found.novelty, expected.novelty, atol=1e-4)


def test_more_training_lowers_the_loss_on_new_tasks():
    def quality(n):
        learner = Evidence().meta_fit(toy_tasks(n, seed=0), seed=0)
        found = []
        for task in toy_tasks(10, seed=99):
            threat = learner.adapt(task.support).score(task.query.x).threat
            for c in range(task.support.n_way):
                y = task.query.y == c
                found.append((threat[y, c][:, None] > threat[~y, c]).mean())
        return np.mean(found)

    assert 1 - quality(150) < 0.5 * (1 - quality(4))


def test_a_scan_in_parts_scores_as_in_one(learned):
    rng = np.random.default_rng(5)
    detector = learned.adapt(support(rng, 30))
    x = rng.normal(size=(1500, 30)).astype(np.float32)
    whole = detector.score(Encoded({"v": x})).threat
    part = detector.score(Encoded({"v": x[700:710]})).threat
    np.testing.assert_allclose(whole[700:710], part, atol=1e-5)


def test_arrays_that_may_not_be_written_are_scored_without_a_warning(learned):
    rng = np.random.default_rng(6)
    s = support(rng, 4)
    for x in (s.examples.x["v"], s.background["v"]):
        x.setflags(write=False)
    query = rng.normal(size=(5, 4)).astype(np.float32)
    query.setflags(write=False)
    assert np.isfinite(learned.adapt(s).score(Encoded({"v": query})).threat).all()


def test_without_meta_training_it_says_so():
    with pytest.raises(TaskError, match="meta-training first"):
        Evidence().adapt(support(np.random.default_rng(0), 3))


def test_records_of_another_width_are_refused(learned):
    detector = learned.adapt(support(np.random.default_rng(0), 3))
    with pytest.raises(TaskError, match="4 columns, the detector has 3"):
        detector.score(Encoded({"v": np.zeros((2, 4), np.float32)}))


@pytest.mark.parametrize("change", ["missing", "shape", "nan"])
def test_damaged_weights_are_refused(learned, change):
    state = {k: v.copy() for k, v in learned.state().items()}
    name = "gate.weight"
    if change == "missing":
        del state[name]
    elif change == "shape":
        state[name] = state[name][..., :1]
    else:
        state[name].ravel()[0] = np.nan
    with pytest.raises(ArtifactError):
        Evidence().load_state(state)
