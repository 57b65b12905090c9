"""The paper's figures for one or more runs: a panel for each, in colours and marks that print and that all can see."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.report.panels import PANELS, Panel, Scale
from orchestrator.report.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

COLUMNS = 2
INCHES = (4.2, 3.3)  # of one panel
DPI = 160
BELOW = -0.17  # of a panel's height: where a legend of its own begins, under the name of the axis
BESIDE = 56  # characters of two labels that stand side by side under one panel
STYLE: Any = {  # of a type that only newer versions of matplotlib name
    "font.size": 9,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "hatch.linewidth": 0.7,
    "text.parse_math": False,  # a $ in the name of a run begins no formula
    "svg.hashsalt": "orchestrate",  # the same names on every run of the same numbers
}
UNDATED = {"Date": None, "Creator": None, "Format": None, "Type": None}
IDS = re.compile(r'(\bid="|href="#|url\(#)')
DIGITS = re.compile(r'(\.\d\d)\d+(?=[ \n"])')  # of coordinates, past hundredths of a point; scales end in a bracket


@dataclass(frozen=True)
class Figure:
    """One figure: what it shows, in words, and its panels as SVG, one a run, without any address of another place."""

    name: str
    title: str
    source: str
    alt: str
    panels: tuple[tuple[str, str], ...]


def figures(runs: Sequence[Results], *, folder: Path) -> tuple[Figure, ...]:
    """Draw every figure of the `runs` that have a whole cycle, and write each as a PNG file into `folder`.

    Raises:
        OSError: the folder cannot be written.
    """
    ended = [run for run in runs if run.summaries]
    if not ended:
        return ()
    folder.mkdir(parents=True, exist_ok=True)
    with _styled():
        return tuple(_figure(panel, ended, folder) for panel in PANELS)


@contextmanager
def _styled() -> Iterator[None]:
    from matplotlib import rc_context

    with rc_context(STYLE):
        yield


def _figure(panel: Panel, runs: Sequence[Results], folder: Path) -> Figure:
    scale = panel.scale(runs)
    _sheet(panel, runs, scale).savefig(folder / f"{panel.name}.png", dpi=DPI, metadata={"Software": None})
    drawn = tuple((run.label, _svg(panel, run, runs, scale=scale, number=n)) for n, run in enumerate(runs))
    labels = ", ".join(run.label for run in runs)
    return Figure(panel.name, panel.title, panel.source, f"{panel.title}, by cycle: {labels}", drawn)


def _sheet(panel: Panel, runs: Sequence[Results], scale: Scale) -> Drawing:
    """Draw all panels on one sheet."""
    from matplotlib.figure import Figure as Drawing

    columns = min(COLUMNS, len(runs))
    rows = -(-len(runs) // columns)
    drawing = Drawing(figsize=(INCHES[0] * columns, INCHES[1] * rows), layout="constrained")
    axes = list(drawing.subplots(rows, columns, squeeze=False).flat)
    for run, one in zip(runs, axes, strict=False):
        _draw(panel, one, run, runs, scale=scale)
        one.set_title(run.label, fontsize=9, loc="left")
    for empty in axes[len(runs) :]:
        empty.set_axis_off()
    legends = [one.get_legend_handles_labels() for one in axes[: len(runs)]]
    if all(labels == legends[0][1] for _, labels in legends):
        handles, labels = legends[0]
        drawing.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 2 * columns))
    else:  # runs on other data sets, or with other thresholds: a line means something else in each panel
        for one in axes[: len(runs)]:
            ncols = _columns(one.get_legend_handles_labels()[1])
            one.legend(loc="upper center", bbox_to_anchor=(0.5, BELOW), ncols=ncols, fontsize=7, columnspacing=1.0)
    return drawing


def _svg(panel: Panel, run: Results, runs: Sequence[Results], *, scale: Scale, number: int) -> str:
    """Draw one panel by itself, as an SVG element whose names are its own within a page."""
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=INCHES, layout="constrained")
    axes = drawing.subplots()
    _draw(panel, axes, run, runs, scale=scale)
    handles, labels = axes.get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside lower center", ncols=_columns(labels))
    written = io.StringIO()
    drawing.savefig(written, format="svg", metadata=UNDATED)
    element = written.getvalue()
    element = element[element.index("<svg") :]
    return IDS.sub(rf"\g<1>{panel.name}-{number}-", DIGITS.sub(r"\1", element))


def _columns(labels: Sequence[str]) -> int:
    """Return in how many columns a legend fits under one panel."""
    return 2 if sum(sorted(map(len, labels))[-2:]) <= BESIDE else 1


def _comparable(run: Results, other: Results) -> bool:
    """Whether the numbers of `other` mean the same as those of `run`."""
    return run.config.protocol.hash() == other.config.protocol.hash()


def _draw(panel: Panel, axes: Axes, run: Results, runs: Sequence[Results], *, scale: Scale) -> None:
    from matplotlib.ticker import MaxNLocator

    draw: Callable[..., None] = panel.draw
    draw(axes, run, [other for other in runs if other is not run and _comparable(run, other)])
    axes.set_xlabel("cycle")
    axes.set_ylabel(panel.unit)
    axes.set_xlim(0.4, scale.cycles + 0.6)
    axes.set_ylim(0, scale.top)
    if panel.counts:
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
