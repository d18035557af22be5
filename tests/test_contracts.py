"""Holds every plugin to its contract; a new file is picked up by itself."""

from functools import cache
from pathlib import Path

import pytest

from inoculate import checks
from inoculate.registry import DOMAINS, LEARNERS, RULES
from inoculate.store.detector import load_prior, save_prior
from inoculate.store.manifest import LearnerEntry, Manifest, StoredColumn, StoredView

HERE = Path(__file__).parent
KINDS = {"learners": LEARNERS, "domains": DOMAINS, "rules": RULES}


@cache
def prior(name: str):
    """A learner meta-trained on toy tasks; checks find out if one of them changes it."""
    return LEARNERS.load(name)().meta_fit(checks.toy_tasks(50, seed=0), seed=0)


def samples(name: str) -> list[Path]:
    found = sorted((HERE / "data").glob(f"{name}.*")) + sorted((HERE / "data" / name).glob("*.*"))
    assert found, f"put a small sample of {name} at tests/data/{name}.<ending>"
    return found


@pytest.mark.parametrize("check", checks.LEARNER_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", LEARNERS.names())
def test_learner(name, check):
    check(prior(name))


@pytest.mark.parametrize("name", LEARNERS.names())
def test_state_round_trips_through_the_store(name, tmp_path):
    learner = prior(name)
    columns = tuple(
        StoredColumn(name=f"c{i}", unit="1", about="a toy") for i in range(checks.N_COLUMNS)
    )

    def through(state):
        manifest = Manifest(
            artifact="prior",
            name="toy",
            inoculate_version="0",
            kind="toy",
            unit="toy",
            domain="toy",
            views=(StoredView(name="toy", columns=columns),),
            learner=LearnerEntry(name=name, hyperparameters=learner.hyperparameters()),
        )
        save_prior(tmp_path / "toy", manifest, state)
        return load_prior(tmp_path / "toy").learner.state()

    checks.check_state_round_trips(learner, through)


@pytest.mark.parametrize("check", checks.DOMAIN_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", DOMAINS.names())
def test_domain(name, check, tmp_path):
    for sample in samples(name):
        if check is checks.check_random_bytes_raise_record_error:
            check(DOMAINS.load(name)(), sample, folder=tmp_path)
        else:
            check(DOMAINS.load(name)(), sample)


@pytest.mark.parametrize("kind", KINDS)
def test_every_plugin_has_its_own_test(kind):
    source = HERE.parent / "src" / "inoculate" / kind
    plugins = {p.relative_to(source) for p in source.rglob("*.py") if p.name != "__init__.py"}
    missing = [
        str(p)
        for p in sorted(plugins)
        if not p.name.startswith("_") and not (HERE / kind / p.parent / f"test_{p.name}").exists()
    ]
    assert not missing, f"write tests/{kind}/.../test_<name>.py for {missing}"
