"""A version that lacks what mended known ways out of a container is marked."""

from __future__ import annotations

import pytest

from orchestrator.sandbox.host import RUNC, floored


@pytest.mark.parametrize("stated", ["1.2.8", "1.3.3", "1.4.0", "2.0.0-rc.1"])
def test_each_series_has_a_release_of_its_own_from_which_on_it_is_mended(stated: str) -> None:
    fact = floored("runc", stated, RUNC)
    assert (fact.present, fact.value) == (True, stated)


@pytest.mark.parametrize("stated", ["1.1.5+ds1", "1.1.15", "1.2.7", "1.3.2"])
def test_what_is_older_is_marked_and_says_what_to_look_for(stated: str) -> None:
    fact = floored("runc", stated, RUNC)
    assert fact.present is False
    assert fact.value == f"{stated}; known ways out are mended in 1.2.8, 1.3.3, or by your distribution"


@pytest.mark.parametrize(("stated", "shown"), [("", "version not stated"), ("missing", "missing")])
def test_a_version_that_nobody_states_is_marked(stated: str, shown: str) -> None:
    fact = floored("runc", stated, RUNC)
    assert (fact.present, fact.value) == (False, shown)
