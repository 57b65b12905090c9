"""Writes a report into a folder: a page, a Markdown text, figures and summaries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from orchestrator.errors import ConfigError, unwritable
from orchestrator.progress import Report, silent
from orchestrator.report.document import compose
from orchestrator.report.figures import figures
from orchestrator.report.panels import PANELS
from orchestrator.report.results import Results
from orchestrator.run import RunFolder

WRITTEN = ("report.md", "report.html")

FIGURES = "figures"

SUMMARY = "summary.json"

MANIFEST = "files.json"  # what a report wrote, so that the next one in its place removes that and nothing else


def write(runs: Sequence[RunFolder], out: Path, *, exhibits: int, report: Report = silent) -> tuple[Path, ...]:
    """Write the report on `runs` into the folder `out` in place of an earlier one, and return the files for people.

    At most about `exhibits` admitted programs are shown in all, shared out among the runs, each of which shows one.
    `report` is told of each step.

    Raises:
        ConfigError: `out` holds a file of that name that no report wrote.
        LedgerError: a ledger or a stored program of a run is damaged.
        InfrastructureError: `out` cannot be written.
    """
    from orchestrator.report import markdown, page

    most = max(1, exhibits // len(runs)) if exhibits else 0
    labels = named([run.path for run in runs])
    results = []
    for run, label in zip(runs, labels, strict=True):
        report(f"reading {run.path}")
        results.append(Results.read(run, label=label, most=most))
    try:
        out.mkdir(parents=True, exist_ok=True)
        _clear(out, for_runs=labels)
        report("drawing figures")
        document = compose(results, figures=figures(results, folder=out / FIGURES))
        for one in results:
            _write_summary(one, out / one.label)
        report("writing the page")
        written = tuple(out / name for name in WRITTEN)
        for path, text in zip(written, (markdown.render(document), page.render(document)), strict=True):
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise unwritable(out, error) from error
    return written


def named(paths: Sequence[Path]) -> list[str]:
    """Return a name for each run that nothing else in a report has: its folder's, with a number if that is taken."""
    names: list[str] = []
    for path in paths:
        name = label = path.resolve().name
        number = 2
        while label in (*names, *WRITTEN, FIGURES, MANIFEST):
            label, number = f"{name}-{number}", number + 1
        names.append(label)
    return names


def _clear(out: Path, *, for_runs: Sequence[str]) -> None:
    """Remove what an earlier report wrote, which may have been of other runs, and note what this one will write."""
    pictures = [f"{FIGURES}/{panel.name}.png" for panel in PANELS]
    files = [*WRITTEN, *pictures, *(f"{name}/{SUMMARY}" for name in for_runs)]
    earlier = _earlier(out)
    for name in files if earlier else [*files, MANIFEST]:
        if name not in earlier and (out / name).exists():
            raise ConfigError(
                f"--out {out}: holds {name}, and no {MANIFEST} says that a report wrote it: name another folder"
            )
    for name in earlier:
        (out / name).unlink(missing_ok=True)
        folder = (out / name).parent
        if folder != out and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    (out / MANIFEST).write_text(json.dumps({"report": files}, indent=1) + "\n", encoding="utf-8")


def _earlier(out: Path) -> frozenset[str]:
    """Return what the report in `out` consists of: of a manifest's names only those that a report can have written."""
    try:
        listed = json.loads((out / MANIFEST).read_bytes())["report"]
        names = [name for name in listed if isinstance(name, str)]
    except (FileNotFoundError, ValueError, TypeError, KeyError, RecursionError):
        return frozenset()
    ours = {*WRITTEN, *(f"{FIGURES}/{panel.name}.png" for panel in PANELS)}
    return frozenset(name for name in names if name in ours or _is_summary(name))


def _is_summary(name: str) -> bool:
    folder, _, file = name.partition("/")
    return file == SUMMARY and folder not in {"", ".", ".."}


def _write_summary(results: Results, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    text = json.dumps(results.plain(), indent=1, allow_nan=False)
    (folder / SUMMARY).write_text(text + "\n", encoding="utf-8")
