"""What each figure draws of one run: curves with their bands, and stacked counts, on matplotlib's axes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.records import CycleSummary, Interval
from orchestrator.report.paper import trajectory
from orchestrator.report.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The colours of Okabe and Ito, which people with any common colour blindness tell apart; marks and hatches differ too.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#b5b5b5"
HEADROOM = 1.06

Draw = Callable[["Axes", Results, Sequence[Results]], None]
Pick = Callable[[CycleSummary], float | None]
Band = Callable[[CycleSummary], Interval | None]


@dataclass(frozen=True)
class Scale:
    """What the panels of one figure share: the last cycle, and the top of the upright axis."""

    cycles: int
    top: float


@dataclass(frozen=True)
class Panel:
    """One figure: how a panel is drawn, and how high a run reaches in it."""

    name: str
    title: str
    source: str
    unit: str
    draw: Draw
    top: Callable[[Results], float]

    @property
    def counts(self) -> bool:
        """Whether the upright axis counts things, of which there are no fractions."""
        return self.unit in {"candidates", "entries"}

    def scale(self, runs: Sequence[Results]) -> Scale:
        """Return the scale that shows all of `runs`, so that their panels can be compared by eye."""
        cycles = max(run.summaries[-1].cycle for run in runs)
        return Scale(cycles=cycles, top=max(self.top(run) for run in runs) or 1.0)


def _validity(axes: Axes, run: Results, others: Sequence[Results]) -> None:
    _others(axes, others, lambda one: one.valid_rate)
    _paper(axes, run, "valid")
    _curve(axes, run, lambda one: one.valid_rate, lambda one: one.valid_interval, label="valid, Wilson's 95 % band")


def _above(axes: Axes, run: Results, others: Sequence[Results]) -> None:
    _others(axes, [other for other in others if other.threshold == run.threshold], lambda one: one.above_rate)
    _paper(axes, run, "above")
    label = f"above {run.threshold}, Wilson's 95 % band"
    _curve(axes, run, lambda one: one.above_rate, lambda one: one.above_interval, label=label)


def _accuracy(axes: Axes, run: Results, others: Sequence[Results]) -> None:
    _others(axes, others, lambda one: one.accuracy_mean)
    _paper(axes, run, "mean")
    first = run.summaries[0]
    axes.axhline(100 * first.chance, color=BLACK, linestyle=":", linewidth=1.0, label=f"chance {first.chance:.1%}")
    if first.majority != first.chance:
        label = f"majority class {first.majority:.1%}"
        axes.axhline(100 * first.majority, color=BLACK, linestyle=(0, (1, 3)), linewidth=1.4, label=label)
    if first.threshold is not None:
        label = f"threshold {run.threshold}"
        axes.axhline(100 * first.threshold, color=PURPLE, linestyle="-.", linewidth=1.2, label=label)
    _line(axes, run, lambda one: one.accuracy_best, style=(VERMILLION, "^", "--"), label="best")
    _line(axes, run, lambda one: one.accuracy_median, style=(GREEN, "s", "-."), label="median")
    label = "mean, Student's 95 % band"
    _curve(axes, run, lambda one: one.accuracy_mean, lambda one: one.accuracy_interval, label=label)


def _admitted(axes: Axes, run: Results, others: Sequence[Results]) -> None:
    del others
    admitted = [float(one.admitted) for one in run.summaries]
    duplicates = [float(one.rejected_duplicates) for one in run.summaries]
    layers = (("admitted", admitted, BLUE, ""), ("rejected as near-duplicates", duplicates, ORANGE, "///"))
    _stack(axes, run, layers)


def _corpus(axes: Axes, run: Results, others: Sequence[Results]) -> None:
    _others(axes, others, lambda one: one.corpus_after, percent=False)
    cycles = [one.cycle for one in run.summaries]
    sizes = [one.corpus_after for one in run.summaries]
    axes.plot(cycles, sizes, color=BLUE, marker="o", markersize=4, label="corpus after the cycle")


GROUPS = (  # where a candidate ended, from the first stage on: a program is missing after extract, parse or contract
    ("no program", "#444444", "..."),
    ("import, instantiate", PURPLE, "xxx"),
    ("forward", VERMILLION, "///"),
    ("train, predict", ORANGE, "\\\\\\"),
    ("below the threshold", SKY, "|||"),
    ("duplicate or surplus", YELLOW, "---"),
    ("admitted", GREEN, ""),
)
STAGE_GROUP = {"extract": 0, "parse": 0, "contract": 0, "import": 1, "instantiate": 1, "forward": 2}
STATE_GROUP = {"below_threshold": 4, "duplicate": 5, "surplus": 5, "admitted": 6}


def _ends(axes: Axes, run: Results, others: Sequence[Results]) -> None:
    del others
    counts: Counter[tuple[int, int]] = Counter()
    for history in run.histories:
        stage = "predict" if history.verdict is None else history.verdict.stage
        if history.state != "quarantined":
            counts[history.cycle, STATE_GROUP.get(history.state, STAGE_GROUP.get(stage, 3))] += 1
    layers = [
        (label, [float(counts[one.cycle, group]) for one in run.summaries], colour, hatch)
        for group, (label, colour, hatch) in enumerate(GROUPS)
    ]
    _stack(axes, run, layers)


def _time(axes: Axes, run: Results, others: Sequence[Results]) -> None:
    del others
    kinds = (("finetune", GREEN, "|||"), ("generate", BLUE, ""), ("evaluate", ORANGE, "///"))
    layers = [
        (kind, [one.measured.get(kind, 0.0) / 60 for one in run.summaries], colour, hatch)
        for kind, colour, hatch in kinds
    ]
    _stack(axes, run, layers)


def _curve(axes: Axes, run: Results, pick: Pick, band: Band, *, label: str) -> None:
    """Draw a curve with the band of its intervals; a lone cycle's is an upright bar."""
    known = [(one.cycle, interval) for one in run.summaries if (interval := band(one)) is not None]
    lows = [100 * max(0.0, interval.low) for _, interval in known]
    highs = [100 * min(1.0, interval.high) for _, interval in known]
    cycles = [float(cycle) for cycle, _ in known]
    if len(known) == 1:
        axes.vlines(cycles, lows, highs, color=BLUE, alpha=0.4, linewidth=7)
    else:
        axes.fill_between(cycles, lows, highs, color=BLUE, alpha=0.22, linewidth=0)
    _line(axes, run, pick, style=(BLUE, "o", "-"), label=label)


def _line(axes: Axes, run: Results, pick: Pick, *, style: tuple[str, str, str], label: str) -> None:
    colour, marker, line = style
    cycles, values = _points(run, pick, percent=True)
    axes.plot(cycles, values, color=colour, marker=marker, linestyle=line, markersize=4, linewidth=1.5, label=label)


def _others(axes: Axes, others: Sequence[Results], pick: Pick, *, percent: bool = True) -> None:
    """Draw the other runs behind, in grey."""
    for number, other in enumerate(others):
        cycles, values = _points(other, pick, percent=percent)
        label = "the other runs" if number == 0 else None
        axes.plot(cycles, values, color=GREY, linewidth=1.0, marker=".", markersize=3, label=label)


def _paper(axes: Axes, run: Results, field: str) -> None:
    """Draw the paper's checkpoints of the run's data set, or of its main run."""
    paper = trajectory(run.dataset)
    cycles = [one.cycle for one in paper.checkpoints]
    values = [getattr(one, field) for one in paper.checkpoints]
    what = {"mean": ", mean", "above": f", above {paper.threshold}%"}.get(field, "")
    label = f"paper, {paper.dataset}{what} ({paper.table})"
    axes.plot(cycles, values, color=BLACK, marker="x", linestyle="--", linewidth=0.9, markersize=5, label=label)


def _stack(axes: Axes, run: Results, layers: Sequence[tuple[str, Sequence[float], str, str]]) -> None:
    cycles = [one.cycle for one in run.summaries]
    base = [0.0] * len(cycles)
    for label, heights, colour, hatch in layers:
        look: dict[str, Any] = {"facecolor": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0.4}
        axes.fill_between([], [], label=label, **look)  # stands in the legend, also if no bar has this colour
        for cycle, low, height in zip(cycles, base, heights, strict=True):
            if height:
                axes.bar(cycle, height, bottom=low, width=0.8, **look)
        base = [low + height for low, height in zip(base, heights, strict=True)]


def _points(run: Results, pick: Pick, *, percent: bool) -> tuple[list[int], list[float]]:
    known = [(one.cycle, value) for one in run.summaries if (value := pick(one)) is not None]
    return [cycle for cycle, _ in known], [(100 if percent else 1) * value for _, value in known]


def _whole(run: Results) -> float:
    del run
    return 100.0


def _reached(run: Results) -> float:
    """Return the next ten per cent above all that the figure shows: the run's and, as far as it goes, the paper's."""
    highest = max(
        max(one.accuracy_best or 0.0, one.threshold or 0.0, one.chance, one.majority) for one in run.summaries
    )
    last = run.summaries[-1].cycle
    highest = max([highest, *(one.mean / 100 for one in trajectory(run.dataset).checkpoints if one.cycle <= last)])
    return min(100.0, 10.0 * (int(10 * highest) + 1))


def _highest(pick: Callable[[CycleSummary], float]) -> Callable[[Results], float]:
    return lambda run: HEADROOM * max(pick(one) for one in run.summaries)


PANELS = (
    Panel("validity", "Valid generation rate", "form of the paper's Figure 2", "valid (%)", _validity, _whole),
    Panel(
        "accuracy",
        "First-epoch accuracy: best, mean and median",
        "form of the paper's Figure 3 and Appendix G.1",
        "accuracy (%)",
        _accuracy,
        _reached,
    ),
    Panel(
        "above",
        "Share of valid candidates above the threshold",
        "form of the paper's Figure 3 and Appendix G.2",
        "above threshold (%)",
        _above,
        _whole,
    ),
    Panel(
        "admitted",
        "Admitted candidates, and near-duplicates",
        "form of the paper's Figure 3",
        "candidates",
        _admitted,
        _highest(lambda one: one.admitted + one.rejected_duplicates),
    ),
    Panel(
        "corpus",
        "Size of the corpus",
        "form of the paper's Figure 3",
        "entries",
        _corpus,
        _highest(lambda one: one.corpus_after),
    ),
    Panel(
        "ends",
        "How completions ended",
        "not in the paper",
        "candidates",
        _ends,
        _highest(lambda one: one.generated),
    ),
    Panel(
        "time",
        "Work by kind",
        "not in the paper",
        "minutes",
        _time,
        _highest(lambda one: sum(one.measured.values()) / 60),
    ),
)
