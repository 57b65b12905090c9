"""`orchestrate doctor` on this machine: every limit that the config relies on is tripped from inside, and holds."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from orchestrator.cli import main
from tests.adversarial.suite import CACHE

pytestmark = pytest.mark.docker

SMALL = ("protocol.train_samples=512", "protocol.validation_samples=200", "sandbox.slots=2")


def test_the_doctor_finds_that_every_limit_holds_and_describes_the_machine() -> None:
    settings = [part for setting in SMALL for part in ("--set", setting)]
    done = CliRunner(env={"COLUMNS": "200"}).invoke(main, ["doctor", "--cache", str(CACHE), *settings])
    assert done.exit_code == 0, done.output
    assert len(re.findall(r"│ holds +│", done.output)) > 20
    assert "does not hold" not in done.output
    for fact in ("engine", "containerd", "runc", "processor", "cgroups", "empty groups", "seccomp"):
        assert re.search(rf"│ {fact} +│ \S", done.output), fact
