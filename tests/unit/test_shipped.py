"""An installation without its checkout says so, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.cli.options import QUICKSTART, configured
from orchestrator.errors import ConfigError
from orchestrator.sandbox.session import SECCOMP
from orchestrator.shipped import shipped


@pytest.mark.parametrize("name", [QUICKSTART, SECCOMP])
def test_what_only_a_checkout_has_is_found_in_it_and_named_elsewhere(tmp_path: Path, name: str) -> None:
    assert shipped(name).is_file()
    with pytest.raises(ConfigError, match=r"is missing; the orchestrator runs from a checkout"):
        shipped(name, project=tmp_path)


def test_a_command_without_a_configuration_takes_the_quickstarts() -> None:
    assert configured(None, ()).name == "quickstart"
