"""A real package's history: one fix shows where its siblings are, before they were fixed.

modoboa is read from PyPI, by ``pip download``, into a folder of the user's cache. Its views that
change something answered GET as well, so that any page could make an administrator's browser send
it (CWE-352). They were found one after the other; of the first fix is learned.
"""

import pytest
from benchmarks.siblings import CACHE, CASES, measured, sources_of

BY_NAME = {case.name: case for case in CASES}


@pytest.fixture(scope="module")
def cache():
    """The folder of the packages, with those that are needed in it."""
    for version in ("2.0.3", "2.0.4", "2.0.5", "2.1.0"):
        sources_of("modoboa", version, CACHE)
    return CACHE


def test_siblings_fixed_a_commit_later_are_among_the_first_of_all_functions(cache):
    row = measured(BY_NAME["modoboa delete"], cache)
    assert row["functions"] > 1_500
    assert max(row["before"]["deldomain"], row["before"]["delalias"]) <= 15
    assert {"deldomain", "delalias"} <= set(row["found"])


def test_siblings_fixed_a_release_later_are_findings_in_the_version_before(cache):
    row = measured(BY_NAME["modoboa edit"], cache)
    assert row["functions"] > 1_500
    assert max(row["before"].values()) <= 15
    assert set(row["found"]) == {"editaccount", "editdomain"}
    assert row["findings"] < 0.02 * row["functions"]
