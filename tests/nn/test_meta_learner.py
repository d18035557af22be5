"""The scaffolding of meta-trained learners, seen through the smallest of them."""

import numpy as np
import pytest

from inoculate.checks import toy_tasks
from inoculate.errors import ArtifactError, TaskError
from inoculate.learners.ridge import Ridge


def small():
    return Ridge(hidden=4, embedding=3)


def test_without_tasks_what_was_learned_before_stays():
    learner = small().meta_fit(toy_tasks(2, seed=0))
    before = learner.state()
    after = learner.meta_fit([]).state()
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)
    assert small().meta_fit([]).state() == {}


class Counting(Ridge):
    def meta_loss(self, parameters, batch, *, step=None):
        self.steps_ = [*getattr(self, "steps_", []), step]
        return super().meta_loss(parameters, batch, step=step)


def test_the_loss_is_told_how_many_batches_came_before():
    learner = Counting(hidden=4, embedding=3, batch_size=4)
    assert learner.meta_fit(toy_tasks(4, seed=0)).steps_ == [0, 1, 2]


def test_before_meta_training_the_message_has_the_name_of_the_command_line():
    (task,) = toy_tasks(1, seed=0)
    with pytest.raises(TaskError, match=r"^ridge needs meta-training"):
        small().adapt(task.support)


def test_a_state_of_other_hyperparameters_is_refused():
    state = small().meta_fit(toy_tasks(2, seed=0)).state()
    with pytest.raises(ArtifactError, match=r"w0 is float32 \(24, 4\), expected float32 \(24, 5\)"):
        Ridge(hidden=5, embedding=3).load_state(state)
    assert small().load_state({}).state() == {}
