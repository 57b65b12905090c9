"""The reference of the command line: every command with its usage, its text and its options, as click knows them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from orchestrator.cli import main
from tests.docs.markdown import cell, table

PROGRAM = "orchestrate"


def commands(group: click.Group = main, prefix: str = PROGRAM) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that does something, under its whole name."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def reference() -> str:
    """Return the list of all commands, and one chapter a command."""
    chapters = [_chapter(name, command) for name, command in commands()]
    return "\n".join((table(("command", "what it does"), map(_row, *zip(*commands(), strict=True))), *chapters))


def _row(name: str, command: click.Command) -> tuple[str, str]:
    first = inspect.cleandoc(command.help or "").partition("\n\n")[0]
    return f"[`{name}`](#{name.replace(' ', '-')})", cell(first)


def _chapter(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    rows = [
        (f"`{cell(names)}`", cell(text))
        for param in command.params
        if isinstance(param, click.Option) and not param.hidden and (record := param.get_help_record(context))
        for names, text in [record]
    ]
    options = f"\n{table(('option', 'meaning'), rows)}" if rows else ""
    return f"## {name}\n\n`{name} {usage}`\n\n{inspect.cleandoc(command.help or '')}\n{options}"
