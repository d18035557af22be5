"""Made-up families of names: many kinds, each like itself, the same again."""

import numpy as np

from inoculate.made_names import name_families


def test_the_same_seed_gives_the_same_names_and_another_others():
    a, b, c = (name_families(3, 20, seed=s) for s in (0, 0, 1))
    assert a == b
    assert a != c
    assert name_families(2, 20, seed=0)["made 1"] == a["made 1"]


def test_names_are_host_names():
    for names in name_families(60, 40, seed=2).values():
        assert len(names) > 10
        for name in names:
            first, _, rest = name.partition(".")
            assert 1 <= len(first) <= 60
            assert rest
            assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")


def test_families_differ_in_length_digits_and_endings():
    families = list(name_families(60, 40, seed=3).values())
    lengths = [np.mean([len(n) for n in names]) for names in families]
    digits = [np.mean([sum(c.isdigit() for c in n) / len(n) for n in names]) for names in families]
    assert np.ptp(lengths) > 15
    assert min(digits) == 0
    assert max(digits) > 0.3
