"""What fuzzing once found, and every sample, keep the promises of ``promise``."""

from functools import partial
from pathlib import Path

import pytest

from inoculate.registry import DOMAINS
from tests.fuzz.promise import broken_promise
from tests.fuzz.targets import read_domain, target, target_names

FOUND = sorted((Path(__file__).parent / "found").glob("*-*"))
DATA = Path(__file__).parents[1] / "data"
SAMPLES = {p: p.stem for p in sorted(DATA.glob("*.*"))}
SAMPLES |= {p: p.parent.name for p in sorted(DATA.glob("*/*.*"))}


def replay(name, data, scratch):
    read = target(name).read
    return broken_promise(lambda x: read(x, scratch), data)


@pytest.mark.parametrize("path", FOUND, ids=lambda p: p.name)
def test_what_was_found_stays_fixed(path, tmp_path):
    broken, _ = replay(path.name.rpartition("-")[0], path.read_bytes(), tmp_path)
    assert broken is None, broken.story


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_samples_are_read_whole_by_their_own_format_and_survived_by_all_others(path, tmp_path):
    for name in DOMAINS.names():
        read = partial(read_domain, name, scratch=tmp_path, file=path.name)
        broken, outcome = broken_promise(read, path.read_bytes())
        assert broken is None, f"{name}: {broken.story}"
        if name == SAMPLES[path]:
            bad, *parts = outcome
            assert bad == ()
            assert parts[-1] > 0, "its own format must be told from the bytes"
            assert any(isinstance(p, tuple) and p[1][0] > 0 for p in parts), outcome


@pytest.mark.parametrize("name", target_names())
def test_every_target_has_seeds_and_survives_them_whole_and_cut(name, tmp_path):
    one = target(name)
    assert one.seeds
    for data in one.seeds.values():
        for cut in (data, data[: len(data) * 2 // 3]):
            broken, _ = broken_promise(lambda x: one.read(x, tmp_path), cut)
            assert broken is None, broken.story


def test_every_domain_has_a_sample():
    assert set(SAMPLES.values()) == set(DOMAINS.names())
