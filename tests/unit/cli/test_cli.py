"""The command line: every command is documented, help is fast, errors are one message with the right exit status."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from orchestrator.cli import main
from tests.support.checkout import QUICKSTART
from tests.support.imports import imported

HEAVY = ("torch", "transformers", "peft", "scipy", "datasketch", "docker", "duckdb", "rich", "numpy")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = dict(commands(main))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_is_documented_and_so_is_every_option(path: tuple[str, ...]) -> None:
    command = ALL[path]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
    shown = CliRunner().invoke(main, [*path, "--help"])
    assert shown.exit_code == 0
    assert command.help.splitlines()[0][:40] in " ".join(shown.output.split())


def test_help_imports_nothing_heavy() -> None:
    code = (
        "from click.testing import CliRunner\nfrom orchestrator.cli import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0"
    )
    assert imported(code, HEAVY) == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (
            ["cycle", "--config", str(QUICKSTART), "--set", "budget.candidats=3"],
            ", with --set budget.candidats=3: budget.candidats: there is no such key",
        ),
        (["audit", "list", "any", "--state", "fine"], "'quarantined'"),
        (["cycle", "--config", "missing.yaml"], "missing.yaml"),
        (["cycle", "--config", str(QUICKSTART), "--cycles", "0"], "--cycles"),
        (["cycle"], "--config"),
        (["evaluate"], "FILES"),
        (["evaluate", "missing.py"], "missing.py"),
        (["report", "missing"], "holds no run"),
        (["nonsense"], "nonsense"),
    ],
)
def test_bad_usage_is_one_message_that_names_it_and_exits_with_2(arguments: list[str], named: str) -> None:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert named in done.stderr
    assert "Traceback" not in done.output
    assert done.stdout == ""


def test_a_reader_that_has_read_enough_is_no_failure_of_the_infrastructure() -> None:
    command = [sys.executable, "-m", "orchestrator", "audit", "query", "--views"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_no_description_is_cut_off_in_a_list_of_commands() -> None:
    for group in ([], ["audit"], ["corpus"], ["data"], ["image"], ["adapter"]):
        listed = CliRunner().invoke(main, [*group, "--help"], terminal_width=80).output.partition("Commands:")[2]
        assert listed.strip(), group
        assert "..." not in listed, group


def test_a_run_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["report", "quickstrat", "--runs", str(tmp_path)])
    assert done.exit_code == 2
    assert f"There is no run in {tmp_path}" in done.output
    for name in ("quickstart", "warmer"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    done = CliRunner().invoke(main, ["report", "quickstrat", "--runs", str(tmp_path)])
    assert f"Did you mean quickstart? {tmp_path} has quickstart, warmer." in done.output
