"""The outer loop: packing, what is kept, and what is refused."""

import numpy as np
import pytest
import torch

from inoculate.checks import N_COLUMNS, toy_tasks
from inoculate.errors import ArtifactError, TaskError
from inoculate.features.space import problems
from inoculate.learners.protonet import ProtoNet
from inoculate.nn.encoders import init_mlp, layers
from inoculate.nn.outer_loop import meta_train, one_thread, pack, restore
from inoculate.task import Encoded, Labelled, Support, Task


def test_packing_pads_with_weight_zero_and_loses_nothing():
    small, large = (next(toy_tasks(1, seed=i, n_shot=k)) for i, k in ((0, 1), (1, 6)))
    found = list(problems([small, large]))
    batch = pack(found)
    assert batch.support.shape == (6, 60 + 18, 2 * N_COLUMNS)
    for i, (x, y, query, query_y) in enumerate(found):
        assert batch.weight[i].sum() == len(x)
        np.testing.assert_array_equal(batch.support[i][batch.weight[i] > 0].numpy(), x)
        np.testing.assert_array_equal(batch.target[i][batch.weight[i] > 0].numpy(), y)
        np.testing.assert_array_equal(batch.query[i].numpy(), query)
        assert batch.query_target[i].sum() == query_y.sum() == 20


def test_columns_never_known_in_meta_training_have_no_weight():
    def lose(x):
        return Encoded({"toy": np.where(np.arange(N_COLUMNS) == 2, np.nan, x["toy"]).astype("f4")})

    tasks = []
    for t in toy_tasks(8, seed=0):
        s = t.support
        hidden = Support(Labelled(lose(s.examples.x), s.examples.y), lose(s.background), s.classes)
        tasks.append(Task(hidden, Labelled(lose(t.query.x), t.query.y), t.domain))
    w = ProtoNet().meta_fit(tasks).state()["w0"]
    assert (w[[2, N_COLUMNS + 2]] == 0).all()
    assert (w[[1, N_COLUMNS + 1]] != 0).any()


def test_the_average_of_one_step_is_that_step_and_the_seed_repeats():
    def loss(p, batch):
        return (p["w0"] - 1).square().sum()

    def initial(width):
        return init_mlp((width, 2), seed=3)

    runs = [
        meta_train(problems(toy_tasks(1, seed=0)), initial, loss, batch_size=3, rate=0.1, decay=0.0)
        for _ in range(2)
    ]
    torch.testing.assert_close(runs[0], runs[1], rtol=0, atol=0)
    start = initial(2 * N_COLUMNS)["w0"]
    moved = (runs[0]["w0"] - start).abs()
    torch.testing.assert_close(moved, torch.full_like(moved, 0.1 / 20), rtol=1e-3, atol=1e-5)


def test_no_task_learns_nothing_and_mixed_columns_are_refused():
    assert ProtoNet().meta_fit([]).state() == {}
    (task,) = toy_tasks(1, seed=0)
    wide = Encoded({"toy": np.zeros((5, 3), np.float32)})
    other = Task(
        Support(Labelled(wide, np.zeros(5, np.int64)), wide, ("a",)),
        Labelled(wide, np.zeros(5, np.int64)),
        "toy",
    )
    with pytest.raises(TaskError, match="different numbers of columns"):
        ProtoNet().meta_fit([task, other])


def test_one_thread_is_given_back():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


GOOD = {k: v.numpy() for k, v in init_mlp((4, 3, 2), seed=0).items()}


def planned(width):
    return layers((width, 3, 2))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"w0": None}, "expected"),
        ({"w9": GOOD["w0"]}, "expected"),
        ({"w1": GOOD["w0"]}, "w1 is"),
        ({"w0": GOOD["w0"].astype(np.float64)}, "float64"),
        ({"w0": np.ones(4, np.float32)}, r"w0 is float32 \(4,\)"),
        ({"w0": np.float32(1)}, "w0 is"),
        ({"b1": np.full(2, np.nan, np.float32)}, "not finite"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(change, problem):
    state = {k: v for k, v in {**GOOD, **change}.items() if v is not None}
    with pytest.raises(ArtifactError, match=problem):
        restore(state, planned)


def test_restored_arrays_are_copies():
    state = {k: v.copy() for k, v in GOOD.items()}
    restored = restore(state, planned)
    state["w0"][:] = 7
    np.testing.assert_array_equal(restored["w0"].numpy(), GOOD["w0"])
