"""A current Docker beside the machine's own does what the machine's does."""

from __future__ import annotations

import pytest

from tests.engines.__main__ import as_expected
from tests.engines.matrix import Row, run_row

pytestmark = pytest.mark.docker


def test_a_current_docker_gives_the_same_verdicts_and_keeps_nothing() -> None:
    found = run_row(Row("Docker of Debian sid", suite="sid"))
    assert as_expected(found), found
    assert found["not read"] == []
