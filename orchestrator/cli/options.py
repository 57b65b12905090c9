"""The options that several commands share, and what they are turned into."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from orchestrator.config import Config, load
from orchestrator.errors import ConfigError
from orchestrator.escape import escaped, escaped_line
from orchestrator.shipped import config_path as find_config
from orchestrator.shipped import default_cache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from orchestrator.run import RunFolder

QUICKSTART = "quickstart"
PLAIN_WIDTH = 200
SAID, RESUMES = f"{__name__}.places", f"{__name__}.resumes"


class Outside(click.Path):
    """A place to write to that lies in no run, whose files are the run's alone."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; one that lies in a run is a usage error that names the run."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        there = path.resolve()
        for folder in (there, *there.parents):
            if (folder / "config.json").is_file() and (folder / "audit.jsonl").is_file():
                self.fail(f"{path} lies in the run {folder}, whose files nobody else may write: name another place")
        return path


class ConfigFile(click.Path):
    """A shipped configuration by its name, or any file."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the file; a name that nothing has is a usage error that lists what is shipped."""
        try:
            return find_config(os.fspath(value))
        except ConfigError as error:
            self.fail(escaped(str(error)), param, ctx)


FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
NEW_FILE = Outside(dir_okay=False, path_type=Path)
NEW_FOLDER = Outside(file_okay=False, path_type=Path)

config_option = click.option(
    "--config",
    "config_path",
    type=ConfigFile(),
    metavar="NAME|FILE",
    required=True,
    help="The configuration: the name of a shipped one, as in quickstart, or a YAML file.",
)
default_config_option = click.option(
    "--config",
    "config_path",
    type=ConfigFile(),
    metavar="NAME|FILE",
    help="The configuration, a shipped one's name or a YAML file; quickstart if omitted.",
)
set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one key, as in sandbox.runtime=runsc."
)
cache_option = click.option(
    "--cache",
    type=FOLDER,
    default=default_cache,
    envvar="ORCHESTRATE_CACHE",
    show_default="the checkout's .cache, else the user's cache folder",
    show_envvar=True,
    help="Where models, data and the corpus are kept.",
)
runs_option = click.option(
    "--runs",
    type=FOLDER,
    default=Path("runs"),
    envvar="ORCHESTRATE_RUNS",
    show_default=True,
    show_envvar=True,
    help="Where runs are kept.",
)
json_option = click.option("--jsonl", is_flag=True, help="One JSON object a line instead of a table.")


def configured(config_path: Path | None, overrides: tuple[str, ...]) -> Config:
    """Return the validated configuration of a command, the quickstart's where it names none."""
    say_places()
    return load(find_config(QUICKSTART) if config_path is None else config_path, overrides)


def say_places() -> None:
    """Say once, on one line of standard error, which places the running command uses that its line does not name."""
    context = click.get_current_context(silent=True)
    if context is None or SAID in context.meta:
        return
    context.meta[SAID] = True
    places = [name for name in ("cache", "runs") if name in context.params]
    said = [name for name in places if context.get_parameter_source(name) is not ParameterSource.COMMANDLINE]
    if said:
        tell(escaped_line("; ".join(f"{name}: {_shown(context.params[name])}" for name in said)))


def _shown(path: Path) -> str:
    """Return a path as a person finds it: from the working folder or from home, if it lies there."""
    whole = path.absolute()
    for folder, sign in ((Path.cwd(), "."), (Path.home(), "~")):
        if whole.is_relative_to(folder):
            return f"{sign}/{whole.relative_to(folder)}"
    return str(whole)


def resumes() -> None:
    """Note that the running command goes on from where it was interrupted, if it is run again."""
    click.get_current_context().meta[RESUMES] = True


def resumable(context: click.Context) -> bool:
    """Whether the command that ran in `context` has said so."""
    return RESUMES in context.meta


def tell(message: str) -> None:
    """Print one line for whoever waits, to standard error."""
    click.echo(message, err=True)


def opened(run: str, runs: Path) -> RunFolder:
    """Return the run that `run` names: a folder, or a name under `runs`."""
    from orchestrator.run import RunFolder
    from orchestrator.run.reading import contradiction, find_run

    say_places()
    folder = RunFolder.load(find_run(run, runs), report=tell)
    if (changed := contradiction(folder)) is not None:
        tell(f"warning: {escaped_line(changed)}; `orchestrate audit verify {escaped_line(run)}` checks everything")
    return folder


def several(names: Sequence[str], runs: Path) -> dict[str, RunFolder]:
    """Return the runs that `names` name, as `opened` does; one that is named twice counts once.

    Raises:
        ConfigError: two different names are one run.
    """
    seen: dict[Path, str] = {}
    found: dict[str, RunFolder] = {}
    for name in names:
        folder = opened(name, runs)
        first = seen.setdefault(folder.path.resolve(), name)
        if first != name:
            raise ConfigError(f"{first} and {name} are the same run: name it once")
        found[name] = folder
    return found


def prose() -> Console:
    """Return the console for what people read while they wait: standard error."""
    from rich.console import Console

    return Console(stderr=True)


def data() -> Console:
    """Return the console for results: standard output, wide enough for a table where it is no terminal."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH)


def print_json(value: Any) -> None:
    """Print one JSON object on one line, in ASCII: no text from outside can act on a terminal."""
    import json

    click.echo(json.dumps(value, ensure_ascii=True, allow_nan=False))
