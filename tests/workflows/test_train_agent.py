"""From a recipe to a trained agent on disk, and the same again."""

import numpy as np
import pytest

from inoculate.errors import ArtifactError, InputError
from inoculate.fuzzing.history import OBSERVED, SPACE
from inoculate.store.agent import load_agent, shipped_agents, usual_agent
from inoculate.store.artifact import load, open_prior
from inoculate.workflows.train_agent import is_agent_recipe, train_agent

RECIPE = """
name = "small"
agent = "hierarchical_bandit"
seed = 3
[programs]
n = 2
executions = 1600
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(RECIPE)
    return path


def test_the_same_recipe_gives_the_same_agent(recipe, tmp_path):
    for out in ("a", "b"):
        made = train_agent(recipe, tmp_path / out)
        assert made.n_programs == 2
    one, two = load(tmp_path / "a"), load(tmp_path / "b")
    assert one.manifest.files == two.manifest.files
    assert len(one.manifest.views[0].columns) == len(OBSERVED)


PARSER = """
#include <stddef.h>
#include <stdint.h>
extern void planted_bug(int id);
int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n) {
    if (n < 6 || d[0] != d[1]) return 0;
    if (d[2] != d[3]) return 1;
    if (d[4] == d[5]) planted_bug(1);
    return 0;
}
"""


def test_parsers_beside_the_recipe_are_trained_on_too(recipe, tmp_path):
    seeds = tmp_path / "parsers" / "seeds" / "twice"
    seeds.mkdir(parents=True)
    (seeds / "one").write_bytes(b"abcdef")
    (tmp_path / "parsers" / "twice.c").write_text(PARSER)
    part = '[parsers]\nfolder = "parsers"\nnames = ["twice"]\ntimes = 8\n'
    recipe.write_text(RECIPE + part)
    made = train_agent(recipe, tmp_path / "a")
    assert [entry.name for entry in made.manifest.data][1] == "parsers twice"
    recipe.write_text(RECIPE)
    train_agent(recipe, tmp_path / "without")
    with_parsers, without = (load(tmp_path / n).arrays["agent/taste"] for n in ("a", "without"))
    assert not np.array_equal(with_parsers, without)


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ('folder = "no"\nnames = ["twice"]', "no such file"),
        ('folder = "no"\nnames = ["../twice"]', r"parsers\.names\.0: "),
        ('folder = "no"\nnames = []', r"parsers\.names: "),
    ],
)
def test_parsers_that_are_not_there_are_refused(recipe, tmp_path, part, problem):
    recipe.write_text(f"{RECIPE}[parsers]\n{part}\n")
    with pytest.raises(InputError, match=problem):
        train_agent(recipe, tmp_path / "a")


def test_a_trained_agent_loads_and_acts(recipe, tmp_path):
    train_agent(recipe, tmp_path / "a")
    agent = load_agent(tmp_path / "a")
    action = agent.adapt(SPACE, seed=0).act(np.zeros(len(OBSERVED), np.float32))
    assert all(0 <= part < n for part, n in zip(action, SPACE.actions, strict=True))


def test_an_agent_is_no_prior(recipe, tmp_path):
    train_agent(recipe, tmp_path / "a")
    with pytest.raises(ArtifactError, match="a agent, expected a prior"):
        open_prior(tmp_path / "a")


def test_a_prior_is_no_agent():
    from inoculate.store.artifact import shipped

    with pytest.raises(ArtifactError, match="a prior, expected an agent"):
        load_agent(shipped()["code"])


def test_agents_that_need_no_training_are_there_by_name():
    assert load_agent("uniform").adapt(SPACE, seed=0)


def test_every_shipped_agent_and_the_usual_one_load():
    assert {"hierarchical_bandit", "rl_squared", "maml_policy"} <= set(shipped_agents())
    assert usual_agent() == "hierarchical_bandit"
    for name in shipped_agents():
        assert load_agent(name).adapt(SPACE, seed=0)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("n = 2", "n = 0"), r"small\.toml: programs\.n: "),
        (("n = 2", "n = 2\nmore = 1"), r"programs\.more: Extra"),
        (("[programs]", "[programs"), "not TOML"),
        (("seed = 3", "seed = -3"), "seed: "),
    ],
)
def test_a_wrong_recipe_is_refused_in_one_line(recipe, tmp_path, change, problem):
    recipe.write_text(RECIPE.replace(*change))
    with pytest.raises(InputError, match=problem) as caught:
        train_agent(recipe, tmp_path / "a")
    assert "\n" not in str(caught.value)


def test_recipes_of_agents_are_told_from_recipes_of_priors(recipe, tmp_path):
    prior = tmp_path / "prior.toml"
    prior.write_text('name = "x"\nlearner = "ridge"\n')
    assert is_agent_recipe(recipe)
    assert not is_agent_recipe(prior)
    assert not is_agent_recipe(tmp_path / "missing.toml")
