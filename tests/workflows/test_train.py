"""Meta-training by recipe: the same numbers again, and recipes that must be refused."""

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from inoculate.domain import Batch
from inoculate.errors import InputError
from inoculate.features.flows.flow_schema import FLOW_VIEW
from inoculate.registry import DOMAINS, LEARNERS
from inoculate.store.artifact import shipped, usual_prior
from inoculate.store.detector import load_prior
from inoculate.task import Encoded, Labelled, Support
from inoculate.workflows.recipe import read_recipe
from inoculate.workflows.train import recipe_tasks, train

RECIPE = """
name = "toy"
kind = "table"
unit = "row"
learner = "protonet"
seed = 3
hyperparameters = {{ hidden = 8, embedding = 4 }}
[tasks]
n = 12
n_background = 20
n_query = 6
n_benign = 20
n_shot = [1, 3]
[[data]]
file = "rows.csv"
sha256 = "{sha256}"
licence = "made here"
format = "table"
label = "what"
benign = ["fine"]
train = ["a", "b"]
validation = ["c"]
unknown = ["v3*"]
"""


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    what = np.repeat(["fine", "a", "b", "c", "d"], [1400, 60, 60, 60, 60])
    rows = {f"v{i}": rng.normal(size=len(what)) + 3 * (what == "abcd"[i]) for i in range(4)}
    pl.DataFrame({**rows, "what": what}).write_csv(tmp_path / "rows.csv")
    sha256 = hashlib.sha256((tmp_path / "rows.csv").read_bytes()).hexdigest()
    (tmp_path / "toy.toml").write_text(RECIPE.format(sha256=sha256))
    return tmp_path


def test_the_same_recipe_gives_the_same_prior_and_figures(folder):
    made = [train(folder / "toy.toml", folder / name, folder=folder) for name in "ab"]
    one, two = (load_prior(folder / name) for name in "ab")
    for name, array in one.learner.state().items():
        np.testing.assert_array_equal(array, two.learner.state()[name])
    assert made[0].measured == made[1].measured
    assert one.manifest.measured == made[0].measured


def test_the_manifest_says_what_it_was_measured_on_and_beside_the_default(folder):
    manifest = train(folder / "toy.toml", folder / "prior", folder=folder)
    told = [m.data for m in manifest.measured]
    assert told == ["rows.csv: classes it was chosen by: c", "rows.csv: unseen classes: d"] * 2
    assert {m.metric.split(":")[0] for m in manifest.measured} == {
        "protonet",
        "extra_trees, the default",
    }
    roles = {d.role: d.records for d in manifest.data}
    assert roles == {"meta-train": 1520, "meta-validation": 60}


def test_tasks_never_show_classes_that_are_not_for_training(folder):
    from inoculate.sampling import Pool
    from inoculate.task import Encoded

    recipe = read_recipe(folder / "toy.toml")
    x = Encoded({"v": np.arange(1640, dtype=np.float32)[:, None]})
    rows = {c: np.arange(1400 + 60 * i, 1460 + 60 * i) for i, c in enumerate("abcd")}
    allowed = set(range(1520))
    pool = Pool(x, rows, np.arange(1400), "rows.csv")
    whole = recipe.model_copy(
        update={"tasks": recipe.tasks.model_copy(update={"made_up": 0.0, "hidden": 0.0, "n": 30})}
    )
    for task in recipe_tasks(whole, [pool]):
        for part in (task.support.examples.x, task.support.background, task.query.x):
            assert set(part["v"][:, 0].astype(int).tolist()) <= allowed
        assert set(task.support.classes) <= {"a", "b"}


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('learner = "protonet"', "", "learner: Field required"),
        ("n = 12", 'n = "many"', "tasks.n"),
        ("n = 12", "n = 0", "tasks.n"),
        ("n = 12", "n = 12\nstructural = 3.0", "tasks.structural"),
        ("n = 12", "n = 12\nfewest_background = -5", "tasks.fewest_background"),
        ("n_shot = [1, 3]", "n_shot = [3, 1]", r"\[3, 1\] is no range"),
        ("seed = 3", "sed = 3", "sed: Extra inputs"),
        ('sha256 = "', 'sha256 = "0', "SHA-256 is"),
        ('label = "what"', 'label = "which"', "no column 'which'"),
        ('train = ["a", "b"]', 'train = ["a", "z"]', r"no record of class \['z'\]"),
        ('train = ["a", "b"]', "train = []", "no class to meta-train on"),
        ('file = "rows.csv"', 'file = "none.csv"', "none.csv"),
        ('name = "toy"', "name = ", "Invalid value"),
        ("n = 12", "n = " + "9" * 5000, "Exceeds the limit"),
    ],
)
def test_a_wrong_recipe_is_one_clear_line(folder, old, new, problem):
    path = folder / "toy.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=problem) as caught:
        train(path, folder / "out", folder=folder)
    assert "\n" not in str(caught.value)
    assert not (folder / "out").exists()


def test_the_folder_comes_from_the_argument_the_variable_or_the_recipe(folder, monkeypatch):
    (folder / "recipes").mkdir()
    text = (folder / "toy.toml").read_text()
    path = folder / "recipes" / "toy.toml"
    path.write_text(text.replace("seed = 3", 'seed = 3\nfolder = ".."'))
    monkeypatch.delenv("INOCULATE_DATA", raising=False)
    train(path, folder / "one")
    monkeypatch.setenv("INOCULATE_DATA", str(folder / "recipes"))
    with pytest.raises(InputError, match=r"rows\.csv"):
        train(path, folder / "two")


def test_the_shipped_prior_fits_the_flow_columns_and_its_data_may_be_used():
    prior = load_prior("flows")
    assert prior.views == (FLOW_VIEW,)
    assert {d.name for d in prior.manifest.data} == {"cicids2017_improved.parquet"}
    assert all(d.licence.startswith("CIC/UNB") for d in prior.manifest.data)
    assert any("extra_trees" in m.metric for m in prior.manifest.measured)
    rng = np.random.default_rng(0)
    x = Encoded({"flow": rng.lognormal(size=(60, len(FLOW_VIEW.columns))).astype(np.float32)})
    support = Support(Labelled(x.take(np.arange(5)), np.zeros(5, np.int64)), x, ("a",))
    scores = prior.learner.adapt(support).score(x)
    assert scores.threat[:5].mean() > scores.threat[5:].mean()


@pytest.mark.parametrize("name", sorted(shipped()))
def test_the_shipped_prior_is_the_one_the_recipe_names(name):
    recipe = read_recipe(Path(f"recipes/{name}.toml"))
    manifest = load_prior(name).manifest
    assert recipe.learner == manifest.learner.name
    assert recipe.seed == manifest.learner.seed
    assert recipe.usual == manifest.usual
    kept = {k: manifest.learner.hyperparameters[k] for k in recipe.hyperparameters}
    pairs = {k: tuple(v) if isinstance(v, list) else v for k, v in recipe.hyperparameters.items()}
    assert kept == pairs
    named = {d.sha256 for d in recipe.parts}
    if recipe.start:
        named |= {d.sha256 for d in load_prior(recipe.start).manifest.data}
    assert {d.sha256 for d in manifest.data} <= named


def test_a_kind_has_one_usual_prior_and_its_columns_are_those_of_the_format():
    kinds = []
    for name in shipped():
        manifest = load_prior(name).manifest
        if not manifest.usual:
            continue
        kinds.append(manifest.kind)
        domain = DOMAINS.load(manifest.domain)()
        frame = pl.DataFrame({"origin": ["x"], "text": ["x"], "calls": [["x"]]})
        assert manifest.domain_views() == domain.views(Batch(frame))
        assert (manifest.kind, manifest.unit) == (domain.kind, domain.unit)
        paired = LEARNERS.load(manifest.learner.name).paired
        assert usual_prior(manifest.kind, twins=paired) == name
    assert len(kinds) == len(set(kinds)) >= 5
    assert usual_prior("flow") is None


def test_a_prior_of_pairs_is_taken_only_where_examples_have_twins():
    assert usual_prior("code") is None
    assert usual_prior("code", twins=True) == "code"
    assert usual_prior("command", twins=True) == usual_prior("command") == "commands"


def test_a_prior_that_starts_from_another_has_its_network_and_names_its_data():
    start, prior = load_prior("evidence"), load_prior("auto")
    for key, value in start.learner.state().items():
        np.testing.assert_array_equal(prior.learner.state()[key], value)
    assert {d.sha256 for d in start.manifest.data} <= {d.sha256 for d in prior.manifest.data}


@pytest.mark.parametrize("name", ["flows", "domain_names", "code"])
def test_the_recipe_gives_the_shipped_prior_again(name, data_dir, tmp_path):
    train(Path(f"recipes/{name}.toml"), tmp_path / "again", folder=data_dir)
    whole, again = load_prior(name), load_prior(tmp_path / "again")
    for key, array in whole.learner.state().items():
        np.testing.assert_allclose(again.learner.state()[key], array, atol=0.05)
    for one, other in zip(whole.manifest.measured, again.manifest.measured, strict=True):
        assert one.value == pytest.approx(other.value, abs=0.05)


def test_a_set_of_the_benchmark_needs_no_more_than_its_name(tmp_path):
    text = RECIPE.format(sha256="0")
    whole = text[: text.index("[[data]]")]
    path = tmp_path / "set.toml"
    path.write_text(whole + '[[data]]\ndataset = "web_payloads"\nlicence = "MIT"\n')
    (part,) = read_recipe(path).parts
    assert (part.format, part.benign) == ("http_requests", ("benign",))
    assert "xss" in part.train or "sqli" in part.train
    path.write_text(
        whole + '[[data]]\ndataset = "web_payloads"\nlicence = "MIT"\ntrain = ["xss"]\n'
    )
    assert read_recipe(path).parts[0].train == ("xss",)
    path.write_text(whole + '[[data]]\ndataset = "nothing"\nlicence = "MIT"\n')
    with pytest.raises(InputError, match="no dataset 'nothing'"):
        read_recipe(path).parts  # noqa: B018


def test_made_up_names_stand_in_for_classes(tmp_path, data_dir):
    text = RECIPE.format(sha256="0")
    path = tmp_path / "names.toml"
    path.write_text(
        text[: text.index("[[data]]")]
        .replace("protonet", "discriminant")
        .replace('kind = "table"', 'kind = "domain_name"')
        .replace("hyperparameters = { hidden = 8, embedding = 4 }", "")
        + '[[data]]\ndataset = "dga_dev"\nlicence = "public domain"\nmade = 6\n'
        + 'only = { origin = ["opendns-top-domains"] }\n'
    )
    manifest = train(path, tmp_path / "names", folder=data_dir)
    (entry,) = [d for d in manifest.data if d.role == "meta-train"]
    assert 9_000 < entry.records < 11_500
    assert load_prior(tmp_path / "names").learner.state()["scale"].shape == (344,)
