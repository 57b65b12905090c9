"""The tables of one run: its cycles, these beside the paper's, why candidates failed, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.progress import duration
from orchestrator.records import CycleSummary
from orchestrator.report.costs import Cost
from orchestrator.report.estimate import Estimate, percent, share
from orchestrator.report.failures import by_state
from orchestrator.report.paper import TRAJECTORIES, Checkpoint, Trajectory, printed, trajectory
from orchestrator.report.results import Results
from orchestrator.report.table import Table

CAUSES = 20  # rows


@dataclass(frozen=True)
class Chapter:
    """What a report says of one run alone."""

    results: Results
    notes: tuple[str, ...]
    tables: tuple[Table, ...]


def chapter(run: Results) -> Chapter:
    """Return the chapter on `run`; without tables until one of its cycles is complete."""
    if not run.summaries:
        return Chapter(run, notes=(*_notes(run), "No cycle is complete yet."), tables=())
    paper = trajectory(run.dataset)
    tables = [cycles(run), beside(run, paper), failed(run)]
    if run.failures:
        tables.append(causes(run))
    return Chapter(run, notes=_notes(run), tables=(*tables, spent(run)))


def _notes(run: Results) -> tuple[str, ...]:
    notes = [f"Accuracies are of the first epoch on {run.guessing}."] if run.summaries else []
    notes += run.unfinished
    if run.codes:
        notes.append(f"Evaluated by the orchestrator of revision {', then '.join(code.text for code in run.codes)}.")
    if run.summaries:
        notes.append(
            "MinHash's estimate decides what is a near-duplicate; the exact Jaccard index of the same neighbours would"
            f" decide {run.all.otherwise} of {len(run.all.accuracies)} valid candidates otherwise."
        )
    if run.quarantined:
        names = ", ".join(run.quarantined)
        notes.append(f"Infrastructure failed on {len(run.quarantined)} candidates, which are in no rate: {names}.")
    return tuple(notes)


def cycles(run: Results) -> Table:
    """Return every complete cycle, in the form of the paper's Tables 3, 4 and 6, with intervals."""
    head = ("cycle", "generated", "valid", "programs", "best", "mean", "median", "deviation", f"above {run.threshold}")
    note = (
        "Wilson's 95 % interval for shares, Student's for the mean; n candidates. Best, mean, median and standard"
        " deviation are of the first-epoch accuracy. Programs: different ones among the valid. Rejections:"
        " near-duplicates before each admission, on average (paper, Appendix C). The corpus counts its seeds and what"
        f" was admitted. {run.guessing}."
    )
    return Table(
        "Cycles (form of the paper's Table 3)",
        (*head, "admitted", "duplicates", "rejections", "corpus"),
        tuple(_cycle(run, summary) for summary in run.summaries),
        note=note,
    )


def _cycle(run: Results, summary: CycleSummary) -> tuple[str, ...]:
    pool = run.pool([summary])
    return (
        str(summary.cycle),
        str(summary.generated),
        Estimate(summary.valid_rate, summary.valid_interval).text,
        str(pool.programs),
        percent(summary.accuracy_best),
        Estimate(summary.accuracy_mean, summary.accuracy_interval).text,
        percent(summary.accuracy_median),
        percent(summary.accuracy_std),
        Estimate(summary.above_rate, summary.above_interval).text,
        str(summary.admitted),
        str(summary.rejected_duplicates),
        "-" if pool.rejections is None else f"{pool.rejections:.1f}",
        f"{summary.corpus_after:,}",
    )


def beside(run: Results, paper: Trajectory) -> Table:
    """Return the paper's checkpoints, each below the run's own cycle of that number if there is one."""
    mine = {summary.cycle: summary for summary in run.summaries}
    rows: list[tuple[str, ...]] = []
    own: list[int] = []
    for one in paper.checkpoints:
        if one.cycle in mine:
            own.append(len(rows))
            rows.append(_own(run, mine[one.cycle]))
        rows.append(_theirs(one))
    known = run.dataset in TRAJECTORIES
    other = "" if known else f"The paper has no {run.dataset}: this is its main run. "
    note = (
        f"{other}The paper's rows are its {paper.table}, threshold {paper.threshold}%, medians from Section 4.1."
        f" {run.guessing}; the paper's {paper.guessing}."
    )
    head = ("cycle", "run", "valid", "best", "mean", "median", "above threshold", "admitted", "corpus")
    title = f"Beside {paper.name}"
    return Table(title, head, tuple(rows), note=note, words=frozenset({"run"}), emphasis=frozenset(own))


def _own(run: Results, summary: CycleSummary) -> tuple[str, ...]:
    cycle, _, valid, _, *numbers, _, above, admitted, _, _, corpus = _cycle(run, summary)
    return (cycle, run.label, valid, *numbers, above, admitted, corpus)


def _theirs(paper: Checkpoint) -> tuple[str, ...]:
    median = "-" if paper.median is None else printed(paper.median)
    shares = (printed(paper.valid), printed(paper.best), printed(paper.mean), median, printed(paper.above))
    return (str(paper.cycle), "the paper", *shares, str(paper.unique), f"{paper.corpus:,}")


def failed(run: Results) -> Table:
    """Return where candidates ended that failed, by stage and state; shares are of all that were tried."""
    tried = run.all.tried
    counts = by_state(run.failures)
    rows = [(stage, state, f"{count:,}", share(count, tried).text) for (stage, state), count in counts.items()]
    everything = sum(counts.values())
    rows.append(("all", "failed in any way", f"{everything:,}", share(everything, tried).text))
    note = "Of all candidates of complete cycles, quarantined ones aside; Wilson's 95 % interval."
    head = ("stage", "state", "candidates", "share")
    return Table("Failures by stage", head, tuple(rows), note=note, words=frozenset({"stage", "state"}))


def causes(run: Results) -> Table:
    """Return the most frequent causes of failure; causes that differ in numbers only are counted as one."""
    found = sorted(run.failures, key=lambda one: -one.count)
    rows = tuple((f"{one.count:,}", one.stage, one.state, one.cause) for one in found[:CAUSES])
    rest = found[CAUSES:]
    note = "A # stands for any number."
    if rest:
        note += f" {len(rest)} more causes, of {sum(one.count for one in rest)} candidates, are in summary.json."
    head = ("candidates", "stage", "state", "cause")
    return Table("Failures by cause", head, rows, note=note, words=frozenset({"stage", "state", "cause"}))


def spent(run: Results) -> Table:
    """Return time and cost by stage; evaluation is summed over the slots."""
    whole = sum(cost.seconds for cost in run.costs if ":" not in cost.stage)
    note = (
        "Seconds of work on the host's clock, evaluations summed over the slots: cycles that generate and evaluate"
        " at the same time take less. CPU seconds are the kernel's, of the containers; a dash: none were taken."
    )
    head = ("stage", "of", "seconds", "time", "share", "CPU seconds", "tokens")
    rows = tuple(_cost(cost, whole) for cost in run.costs)
    return Table("Time and cost by stage", head, rows, note=note, words=frozenset({"stage", "of"}))


def _cost(cost: Cost, whole: float) -> tuple[str, ...]:
    return (
        cost.stage,
        cost.of,
        f"{cost.seconds:,.1f}",
        duration(cost.seconds),
        percent(cost.seconds / whole if whole else None),
        "-" if cost.cpu_seconds is None else f"{cost.cpu_seconds:,.1f}",
        "-" if cost.tokens is None else f"{cost.tokens:,}",
    )
