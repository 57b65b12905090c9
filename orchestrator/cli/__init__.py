"""The command line: one file per command, nothing heavy imported before a command runs."""

from __future__ import annotations

import io
import signal
import sys
from functools import partial
from types import FrameType
from typing import Any, NoReturn

import click

from orchestrator.cli.adapter import adapter
from orchestrator.cli.audit import audit
from orchestrator.cli.corpus import corpus
from orchestrator.cli.cycle import cycle
from orchestrator.cli.doctor import doctor
from orchestrator.cli.evaluate import evaluate
from orchestrator.cli.llm import finetune, generate
from orchestrator.cli.options import resumable, tell
from orchestrator.cli.prepare import data, fetch, image
from orchestrator.cli.report import report
from orchestrator.errors import ConfigError, OrchestratorError
from orchestrator.escape import escaped
from orchestrator.shipped import version

INFRASTRUCTURE = 1
USAGE = 2
INTERRUPTED = 130
TERMINATED = 143
INTERRUPTS = f"{__name__}.interrupts"  # where a command's context counts them


class Failure(click.ClickException):
    """Infrastructure failed: one message instead of a traceback."""

    exit_code = INFRASTRUCTURE


class Misuse(click.ClickException):
    """The configuration or an argument is wrong: one message that says which."""

    exit_code = USAGE


class Orchestrate(click.Group):
    """The group of all commands, which turns our failures into messages and signals into a clean end."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; containers and workers end with its context managers, whatever ends it."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            raise Misuse(escaped(str(error))) from error
        except BrokenPipeError:  # whoever read our output has read enough; click ends quietly
            raise
        except (OrchestratorError, OSError) as error:
            raise Failure(escaped(str(error))) from error
        except KeyboardInterrupt:
            tell("interrupted; run the same command again to go on from here" if resumable(ctx) else "interrupted")
            if ctx.meta.get(INTERRUPTS, 0) > 1:
                tell("interrupted again while clearing up: containers that are left end with the next command")
            ctx.exit(INTERRUPTED)


def _version(context: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's own signature
    del parameter
    if value:
        click.echo(f"orchestrate, version {version()}")
        context.exit()


@click.group(cls=Orchestrate, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version and exit."
)
def main() -> None:
    """Let a language model design neural networks, run every design in its own container, and learn from the best.

    Exit status: 0 when the work is done, whatever the verdicts; 1 when infrastructure failed; 2 for bad usage.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what its encoding lacks is written out, and no verdict lost for it
            stream.reconfigure(errors="backslashreplace")
    # the terminal that is closed ends a command as cleanly as a kill; what nohup or a shell has us ignore stays ignored
    endings = {signal.SIGTERM: _terminated, signal.SIGHUP: _terminated}
    endings[signal.SIGINT] = partial(_interrupted, click.get_current_context().meta)
    for ending, handler in endings.items():
        if signal.getsignal(ending) is not signal.SIG_IGN:
            signal.signal(ending, handler)


def _interrupted(meta: dict[str, Any], number: int, frame: FrameType | None) -> NoReturn:
    """Count interrupts: the second one ends what the first has begun to clear up."""
    del number, frame
    meta[INTERRUPTS] = meta.get(INTERRUPTS, 0) + 1
    raise KeyboardInterrupt


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    """End as an interrupt does, so that no container and no worker stays behind."""
    del number, frame
    sys.exit(TERMINATED)


for command in (cycle, evaluate, corpus, data, image, fetch, generate, finetune, adapter, audit, report, doctor):
    main.add_command(command)
