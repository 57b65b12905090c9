"""How long a call to the engine may hang."""

from __future__ import annotations

import pytest

from orchestrator.errors import ConfigError
from orchestrator.sandbox.engine import CALL_TIMEOUT, call_timeout


def test_the_environment_may_shorten_how_long_a_call_to_the_engine_may_hang() -> None:
    assert call_timeout(None) == CALL_TIMEOUT
    assert call_timeout("3") == 3


@pytest.mark.parametrize("text", ["", "0", "-1", "soon", "1.5", "\u00b2"])
def test_a_time_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match="DOCKER_CLIENT_TIMEOUT"):
        call_timeout(text)
