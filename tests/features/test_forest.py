"""Forests: running equals walking, growing follows its rules."""

import numpy as np
import pytest

from inoculate.features.forest import MAX_LEAVES, Forest, grow_forest


def walk(forest, x):
    """Every record goes down every tree: the slow way, as the paper draws it."""
    total = np.zeros(len(x))
    for tree in range(forest.n_trees):
        for i, record in enumerate(x):
            node = tree
            while forest.left[node] >= 0:
                right = record[forest.column[node]] > forest.threshold[node]
                node = forest.left[node] + right
            total[i] += forest.value[node]
    return total / forest.n_trees


def problem(n, n_positive, d=6, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)).astype(np.float32)
    weight = np.zeros((n, 2))
    weight[:, 0] = 1
    weight[:n_positive] = [0, n / n_positive]
    return x, weight


def grow(x, weight, *, n_trees=10, n_tried=3, min_leaf=1, seed=0):
    rng = np.random.default_rng(seed)
    return grow_forest(x, weight, n_trees=n_trees, n_tried=n_tried, min_leaf=min_leaf, rng=rng)


@pytest.mark.parametrize(("n", "n_positive"), [(20, 1), (60, 5), (200, 20), (400, 200)])
def test_running_equals_walking_down_the_trees(n, n_positive):
    forest = grow(*problem(n, n_positive))
    query = problem(300, 1, seed=1)[0]
    query[:5] = [[3e38], [-3e38], [0], [1e-40], [-0.0]]
    got = forest.mean_value(np.ascontiguousarray(query.T))
    np.testing.assert_allclose(got, walk(forest, query), atol=1e-6)


def test_a_tree_by_hand():
    forest = Forest(
        tree=np.zeros(5, np.int64),
        column=np.array([0, -1, 1, -1, -1]),
        threshold=np.array([1, 0, 5, 0, 0], np.float32),
        left=np.array([1, -1, 3, -1, -1]),
        value=np.array([0.5, 0.1, 0.4, 0.2, 0.9], np.float32),
    )
    x = np.array([[1, 9], [2, 5], [2, 6]], np.float32)
    np.testing.assert_allclose(forest.mean_value(x.T.copy()), [0.1, 0.2, 0.9], rtol=1e-6)
    assert forest.shares(3).tolist() == [0.5, 0.5, 0]


def test_grown_to_purity_every_training_record_gets_its_label_back():
    x, weight = problem(80, 8)
    forest = grow(x, weight)
    expected = (np.arange(80) < 8).astype(float)
    np.testing.assert_allclose(forest.mean_value(np.ascontiguousarray(x.T)), expected, atol=1e-6)


def test_leaf_values_are_weighted_shares_and_leaves_keep_their_least_size():
    x, weight = problem(50, 5)
    forest = grow(x, weight, min_leaf=4, n_trees=5)
    for tree in range(5):
        reached = np.zeros(50, np.int64)
        for i, record in enumerate(x):
            node = tree
            while forest.left[node] >= 0:
                node = forest.left[node] + (record[forest.column[node]] > forest.threshold[node])
            reached[i] = node
        for leaf in np.unique(reached):
            inside = reached == leaf
            assert inside.sum() >= 4
            expected = weight[inside, 1].sum() / weight[inside].sum()
            assert forest.value[leaf] == pytest.approx(expected)


def test_trees_stop_at_sixty_four_leaves():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1000, 3)).astype(np.float32), rng.random(1000) < 0.5
    forest = grow(x, np.stack([~y, y], 1).astype(float), n_trees=4)
    leaves = np.bincount(forest.tree[forest.left < 0])
    assert leaves.max() == MAX_LEAVES
    query = rng.normal(size=(100, 3)).astype(np.float32)
    np.testing.assert_allclose(
        forest.mean_value(np.ascontiguousarray(query.T)), walk(forest, query), atol=1e-6
    )


def test_constant_columns_are_never_looked_at():
    x, weight = problem(40, 4)
    x[:, [1, 3]] = 7
    assert set(grow(x, weight, n_tried=2).column.tolist()) <= {-1, 0, 2, 4, 5}
    x[:, [0, 2, 5]] = 7  # a constant column is no try: the one left is found every time
    expected = (np.arange(40) < 4).astype(float)
    got = grow(x, weight, n_tried=1).mean_value(np.ascontiguousarray(x.T))
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("x", [np.zeros((9, 0)), np.ones((9, 2))])
def test_nothing_to_split_on_gives_one_leaf_with_the_share(x):
    weight = np.tile([2.0, 1.0], (9, 1))
    forest = grow(x.astype(np.float32), weight)
    assert len(forest.left) == forest.n_trees
    columns = np.zeros((max(x.shape[1], 1), 3), np.float32)
    np.testing.assert_allclose(forest.mean_value(columns), 1 / 3, rtol=1e-6)


def test_thresholds_lie_between_neighbouring_floats_too():
    low = np.float32(1)
    x = np.array([[low], [np.nextafter(low, np.float32(2))]], np.float32)
    forest = grow(x, np.eye(2), n_trees=50, n_tried=1)
    np.testing.assert_array_equal(forest.mean_value(np.ascontiguousarray(x.T)), [0, 1])


def test_quality_is_that_of_scikit_learn():
    from sklearn.ensemble import ExtraTreesClassifier

    rng = np.random.default_rng(3)
    x = rng.normal(size=(205, 30)).astype(np.float32)
    query = rng.normal(size=(2000, 30)).astype(np.float32)
    x[:5, :4] += 1.5
    query[:1000, :4] += 1.5
    weight = np.zeros((205, 2))
    weight[:5, 1], weight[5:, 0] = 1 / 10, 1 / 400
    ours = grow(x, weight, n_trees=200, n_tried=6).mean_value(np.ascontiguousarray(query.T))
    y = (np.arange(205) < 5).astype(int)
    peer = ExtraTreesClassifier(200, class_weight="balanced", random_state=0).fit(x, y)
    theirs = peer.predict_proba(query)[:, 1]

    def auroc(s):
        return (s[:1000, None] > s[None, 1000:]).mean() + (s[:1000, None] == s[1000:]).mean() / 2

    assert auroc(ours) > auroc(theirs) - 0.01
