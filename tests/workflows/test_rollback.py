"""Rolling back where there is nothing to roll back to; the rest is in test_mark."""

import pytest

from inoculate.errors import InputError, NotFoundError
from inoculate.workflows.rollback import rollback


def test_the_first_version_has_none_before_it(detector):
    with pytest.raises(InputError, match="version 1 is the first"):
        rollback(detector)
    with pytest.raises(InputError, match="in force already"):
        rollback(detector, to=1)


def test_a_version_that_is_not_there_is_named_with_those_that_are(detector):
    with pytest.raises(NotFoundError, match="no version 2; there are 1"):
        rollback(detector, to=2)
    with pytest.raises(NotFoundError, match="no such artifact"):
        rollback(detector.parent / "none.detector")
