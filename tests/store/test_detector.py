"""Stored detectors: adapted again at load, to the same scores bit for bit."""

import hashlib
import json

import numpy as np
import pytest
from safetensors.numpy import save as pack

from inoculate.errors import ArtifactError, TaskError
from inoculate.learner import Learner, Scores
from inoculate.registry import LEARNERS
from inoculate.store.artifact import load, save
from inoculate.store.detector import load_detector, load_prior, save_detector, save_prior
from inoculate.store.manifest import LearnerEntry, Manifest, StoredColumn, StoredView
from inoculate.task import Encoded, Labelled, Support


class Toy(Learner):
    """Distance to each class's mean, minus the seed, scaled by what it learned."""

    def __init__(self, *, power: float = 1.0) -> None:
        if power <= 0:
            raise ValueError("power must be positive")
        self.power = power
        self.scale_ = np.ones(1, np.float32)

    def meta_fit(self, tasks, *, seed=0):
        return self

    def adapt(self, support, *, seed=0):
        return ToyDetector(support, float(self.scale_[0]), self.power, seed)

    def state(self):
        return {"scale": self.scale_}

    def load_state(self, state):
        if set(state) != {"scale"}:
            raise ArtifactError(f"arrays {sorted(state)}, expected scale")
        self.scale_ = state["scale"]
        return self


class ToyDetector:
    def __init__(self, support, scale, power, seed):
        x = np.nan_to_num(support.examples.x.stacked())
        y = support.examples.y
        self.means = [x[y == c].mean(0) for c in range(support.n_way)]
        self.scale, self.power, self.seed = scale, power, seed

    def score(self, x):
        rows = np.nan_to_num(x.stacked())
        far = [np.abs(rows - m).sum(1) ** self.power for m in self.means]
        threat = self.scale * np.stack(far, 1) - self.seed if far else np.zeros((len(rows), 0))
        return Scores(threat.astype(np.float32), rows.sum(1).astype(np.float32))


@pytest.fixture(autouse=True)
def toy_learner(monkeypatch):
    real = LEARNERS.load
    monkeypatch.setattr(LEARNERS, "load", lambda name: Toy if name == "toy" else real(name))


def support(k=4, classes=("a", "b")):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(k, 2)).astype(np.float32)
    if k:
        rows[0, 0] = np.nan
    y = np.arange(k) % max(len(classes), 1)
    back = Encoded({"flow": rng.normal(size=(9, 2)).astype(np.float32)})
    return Support(Labelled(Encoded({"flow": rows}), y.astype(np.int64)), back, classes)


def manifest(**changes):
    columns = tuple(StoredColumn(name=n, unit="s", about=n) for n in "xy")
    fields = {
        "artifact": "detector",
        "name": "d",
        "inoculate_version": "0.1.0",
        "kind": "flow",
        "unit": "flow",
        "domain": "pcap",
        "views": (StoredView(name="flow", columns=columns),),
        "learner": LearnerEntry(name="toy", hyperparameters={"power": 2.0}, seed=7),
        "classes": ("a", "b"),
    }
    return Manifest(**{**fields, **changes})


STATE = {"scale": np.array([3.0], np.float32)}
CALIBRATION = np.array([3.0, 1.0, 2.0], np.float32)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "d.detector"
    save_detector(path, manifest(), support(), CALIBRATION, state=STATE, extra={"r": CALIBRATION})
    return path


def test_a_loaded_detector_scores_the_same_bit_for_bit(saved):
    fresh = Toy(power=2.0).load_state(STATE).adapt(support(), seed=7)
    stored = load_detector(saved)
    x = stored.support.background
    np.testing.assert_array_equal(stored.detector.score(x).threat, fresh.score(x).threat)
    np.testing.assert_array_equal(stored.support.examples.x["flow"], support().examples.x["flow"])
    assert stored.scores.tolist() == stored.calibration.scores.tolist() == [1.0, 2.0, 3.0]
    assert stored.extra["r"].tolist() == [3.0, 1.0, 2.0]
    assert [c.name for c in stored.views[0].columns] == ["x", "y"]


def test_same_support_and_seed_give_the_same_bytes(saved, tmp_path):
    again = tmp_path / "again"
    save_detector(again, manifest(), support(), CALIBRATION, state=STATE, extra={"r": CALIBRATION})
    for name in ("manifest.json", "arrays.safetensors"):
        assert (saved / name).read_bytes() == (again / name).read_bytes()


def test_no_example_is_a_novelty_detector(tmp_path):
    path = tmp_path / "n"
    save_detector(path, manifest(classes=()), support(0, ()), CALIBRATION, state=STATE)
    stored = load_detector(path)
    assert stored.detector.score(stored.support.background).alarm().shape == (9,)


def test_a_prior_round_trips_and_is_no_detector(tmp_path):
    save_prior(tmp_path / "p", manifest(artifact="prior", classes=()), STATE)
    prior = load_prior(tmp_path / "p")
    assert prior.learner.state()["scale"].tolist() == [3.0]
    assert prior.learner.hyperparameters() == {"power": 2.0}
    assert prior.views[0].name == "flow"
    with pytest.raises(ArtifactError, match="expected a detector"):
        load_detector(tmp_path / "p")


def test_a_detector_is_no_prior(saved):
    with pytest.raises(ArtifactError, match="expected a prior"):
        load_prior(saved)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"learner": LearnerEntry(name="no_such_learner")}, "no_such_learner"),
        ({"learner": LearnerEntry(name="toy", hyperparameters={"x": 1})}, "hyperparameters"),
        ({"learner": LearnerEntry(name="toy", hyperparameters={"power": -1})}, "must be positive"),
        ({"learner": LearnerEntry(name="toy", hyperparameters={"power": 0})}, "must be positive"),
        ({"learner": LearnerEntry(name="toy", hyperparameters={"power": 1e9})}, "at most 10,000"),
        ({"learner": LearnerEntry(name="toy", hyperparameters={"power": "2"})}, "expected a float"),
        ({"learner": LearnerEntry(name="toy", hyperparameters={"power": True})}, "a float"),
        ({"classes": ("a",)}, "classes"),
        ({"views": (StoredView(name="other", columns=()),)}, "views"),
    ],
)
def test_a_manifest_that_does_not_fit_its_arrays_is_refused(saved, changes, problem):
    whole = load(saved)
    save(saved, manifest(**changes), whole.arrays)
    with pytest.raises(ArtifactError, match=problem) as caught:
        load_detector(saved)
    assert str(saved) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "array", "problem"),
    [
        ("calibration", np.array([2.0, 1.0], np.float32), "increasing order"),
        ("calibration", np.array([np.nan], np.float32), "finite scores"),
        ("calibration", np.zeros((1, 1), np.float32), "finite scores"),
        ("calibration", np.zeros(0, np.float32), "at least one"),
        ("calibration", np.zeros(1), "expected float32"),
        ("examples_y", np.array([0, 1, 0, 5]), "labels"),
        ("examples_y", np.array([0.0, 1, 0, 1]), "examples_y is float64"),
        ("examples_y", np.array([0, 1]), "4 records but 2 labels"),
        ("examples/flow", np.zeros((4, 3), np.float32), "columns"),
        ("examples/flow", np.full((4, 2), np.inf, np.float32), "infinity"),
        ("background/flow", np.zeros((0, 2), np.float32), "no background"),
        ("background/flow", np.zeros(9, np.float32), "float32"),
        ("prior/other", np.zeros(9, np.float32), "expected scale"),
        ("calibration", None, "'calibration' is missing"),
        ("examples_y", None, "'examples_y' is missing"),
        ("background/flow", None, "no view"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(saved, name, array, problem):
    whole = load(saved)
    arrays = {**whole.arrays, name: array}
    save(saved, whole.manifest, {k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(ArtifactError, match=problem) as caught:
        load_detector(saved)
    assert str(saved) in str(caught.value)


def test_a_detector_is_checked_before_it_is_written(tmp_path):
    with pytest.raises(TaskError, match="classes"):
        save_detector(tmp_path / "x", manifest(classes=("a",)), support(), CALIBRATION)
    with pytest.raises(TaskError, match="finite"):
        save_detector(tmp_path / "x", manifest(), support(), np.array([np.nan], np.float32))
    with pytest.raises(TaskError, match="expected a detector"):
        save_detector(tmp_path / "x", manifest(artifact="prior"), support(), CALIBRATION)
    assert not (tmp_path / "x").exists()


def test_the_manifest_is_text_that_people_can_read(saved):
    content = json.loads((saved / "manifest.json").read_text())
    assert content["learner"] == {"hyperparameters": {"power": 2.0}, "name": "toy", "seed": 7}
    assert content["arrays"]["calibration"] == {"dtype": "float32", "shape": [3]}


def test_what_only_meta_training_looks_at_may_be_any_number(saved, monkeypatch):
    whole = load(saved)
    save(
        saved,
        manifest(learner=LearnerEntry(name="toy", hyperparameters={"power": 1e9})),
        whole.arrays,
    )
    monkeypatch.setattr(Toy, "meta_fit_only", frozenset({"power"}))
    assert load_detector(saved).manifest.learner.hyperparameters == {"power": 1e9}


HELD_OUT = Encoded({"flow": np.array([[1, np.nan], [3, 4]], np.float32)})


def test_held_out_background_is_read_only_where_it_is_asked_for(tmp_path):
    path = tmp_path / "d.detector"
    save_detector(path, manifest(), support(), CALIBRATION, state=STATE, held_out=HELD_OUT)
    assert load_detector(path).held_out is None
    held_out = load_detector(path, whole=True).held_out
    assert np.array_equal(held_out["flow"], HELD_OUT["flow"], equal_nan=True)
    (path / "held_out.safetensors").write_bytes(b"x")
    load_detector(path)
    with pytest.raises(ArtifactError, match=r"held_out\.safetensors: changed"):
        load_detector(path, whole=True)


@pytest.mark.parametrize(
    ("held_out", "words"),
    [
        ({"flow": np.zeros((2, 3), np.float32)}, "other columns"),
        ({"other": np.zeros((2, 2), np.float32)}, "other columns"),
        ({"flow": np.zeros((2, 2), np.float64)}, "float64"),
        ({"flow": np.full((2, 2), np.inf, np.float32)}, "infinity"),
        ({}, "no view"),
    ],
)
def test_held_out_background_that_does_not_fit_is_refused(tmp_path, held_out, words):
    path = tmp_path / "d.detector"
    save_detector(path, manifest(), support(), CALIBRATION, state=STATE, held_out=HELD_OUT)
    packed = pack(held_out)
    (path / "held_out.safetensors").write_bytes(packed)
    content = json.loads((path / "manifest.json").read_text())
    content["files"]["held_out.safetensors"] = hashlib.sha256(packed).hexdigest()
    (path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=words):
        load_detector(path, whole=True)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"n_own": np.array(0)}, "n_own"),
        ({"n_own": np.array([3])}, "n_own"),
        ({"n_own": np.array(2.0)}, "n_own"),
        ({"plain": np.zeros((2, 2), np.float32)}, "plain"),
        ({"plain": np.array([np.nan], np.float32)}, "plain"),
    ],
)
def test_extra_arrays_that_mean_something_are_held_to_it(tmp_path, extra, words):
    path = tmp_path / "d.detector"
    save_detector(path, manifest(), support(), CALIBRATION, state=STATE, extra=extra)
    with pytest.raises(ArtifactError, match=words):
        load_detector(path)


def test_the_user_s_own_background_is_told_from_what_was_marked(tmp_path):
    path = tmp_path / "d.detector"
    extra = {"n_own": np.array(6), "plain": np.zeros(3, np.float32)}
    save_detector(path, manifest(), support(), CALIBRATION, state=STATE, extra=extra)
    stored = load_detector(path)
    assert stored.own_background.n_records == 6
    assert stored.plain_scores.tolist() == [0, 0, 0]
