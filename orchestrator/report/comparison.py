"""The tables that place several runs side by side, with the paper's own numbers beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.config import dump, flat
from orchestrator.records import canonical
from orchestrator.report.environments import drift
from orchestrator.report.estimate import Estimate, bound, percent
from orchestrator.report.paper import ABLATIONS, CIFAR10, CIFAR100, SVHN, VALID_INTERVAL, printed
from orchestrator.report.results import Results
from orchestrator.report.table import Table
from orchestrator.report.totals import Pool
from orchestrator.run import statistics

PARTS = ("image", "engine", "kernel", "runtime", "device", "threads")  # of an environment
RESEMBLE = (
    "Those of one cycle come from one adapter, or are drawn from one corpus, and resemble each other, and equal"
    " programs count each time, so that the cycles themselves differ by more than these intervals say"
)


def comparison(runs: Sequence[Results]) -> tuple[Table, ...]:
    """Return every table over all of `runs`; those that need a complete cycle only if there is one."""
    ended = [run for run in runs if run.summaries]
    tables = [configurations(runs)]
    if (apart := differences(runs)) is not None:
        tables.append(apart)
    if any(run.last is not None for run in ended):
        tables.append(changes(ended))
    if any(run.places for run in ended):
        tables.append(surroundings(ended))
    if ended:
        tables += [ablations(ended), totals(ended), ends(ended)]
    return tuple(tables)


def configurations(runs: Sequence[Results]) -> Table:
    """Return what was run: the keys that most often tell runs apart, and the hash of each protocol."""
    protocols = {run.config.protocol.hash() for run in runs}
    note = "Accuracies of one protocol may be compared."
    if len(protocols) > 1:
        note = "These runs have different protocols: their accuracies may not be compared with each other."
    rows = tuple(_configuration(run) for run in runs)
    head = ("run", "sampled from", "data set", "threshold", "filter", "fine-tuning", "seed", "cycles", "protocol")
    return Table("What was run", head, rows, note=note, words=frozenset(head) - {"seed", "threshold", "protocol"})


def _configuration(run: Results) -> tuple[str, ...]:
    config = run.config
    admission, llm = config.admission, config.llm
    threshold = "none" if admission.threshold is None else bound(admission.threshold)
    if admission.threshold is None and admission.reported_threshold is not None:
        threshold = f"none ({bound(admission.reported_threshold)} reported)"
    source = "the corpus itself" if llm.sampler == "corpus" else llm.model.source
    tuning = "none" if not llm.finetune else "every cycle" if llm.iterate else "once"
    return (
        run.label,
        source,
        run.dataset,
        threshold,
        f"above {config.novelty.tau:.2f}" if config.novelty.enabled else "off",
        tuning,
        str(config.seed),
        f"{len(run.summaries)} complete of {config.cycles}",
        config.protocol.hash()[:12],
    )


def differences(runs: Sequence[Results]) -> Table | None:
    """Return every key of the configuration that has not one value in all runs; None if there is none."""
    flattened = [dict(flat(dump(run.config))) for run in runs]
    keys = sorted({key for one in flattened for key in one} - {"name", "cycles"})
    said = {key: tuple(canonical(one[key]).decode() if key in one else "-" for one in flattened) for key in keys}
    rows = tuple((key, *values) for key, values in said.items() if len({*values}) > 1)
    if not rows:
        return None
    head = ("key", *(run.label for run in runs))
    return Table("Where the configurations differ", head, rows, words=frozenset(head))


def surroundings(runs: Sequence[Results]) -> Table:
    """Return where the candidates of each run were executed, and how much equal programs differ between places."""
    rows = [
        (run.label, place.named, f"{place.candidates:,}", place.environment[:12], *map(place.said, PARTS))
        for run in runs
        for place in run.places
    ]
    found = drift((run.config.protocol.hash(), run.histories) for run in runs)
    note = f"An accuracy is exactly reproducible in one environment. {found.text}"
    head = ("run", "cycles", "executed", "environment", *PARTS)
    return Table("Where candidates ran", head, tuple(rows), note=note, words=frozenset({"run"}))


def changes(runs: Sequence[Results]) -> Table:
    """Return the last two cycles against the first, and whether the intervals are disjoint."""
    rows = [row for run in runs for row in _changes(run)]
    note = (
        f"Wilson's 95 % interval for shares, Student's for means; n candidates. {RESEMBLE}: read them beside the spread"
        " over cycles below. Novel: no near-duplicate of the corpus or of the own cycle."
        f" {_guessing(runs)}."
    )
    head = ("run", "number", "first cycle", "last cycles", "change", "intervals")
    return Table(
        "The last cycles against the first (form of the paper's Table 5)",
        head,
        tuple(rows),
        note=note,
        words=frozenset({"run", "number", "intervals"}),
    )


def _changes(run: Results) -> Iterator[tuple[str, ...]]:
    first, last = run.first, run.last
    if first is None or last is None:
        return
    named = f"{run.label}, {last.named}"
    for number, before, after in (
        ("valid", first.valid_rate, last.valid_rate),
        ("mean accuracy", first.accuracy, last.accuracy),
        (f"above {run.threshold}", first.above_rate, last.above_rate),
        ("novel share", first.novel_rate, last.novel_rate),
    ):
        yield named, number, before.text, after.text, _change(before, after), _verdict(before, after)


def _change(before: Estimate, after: Estimate) -> str:
    if before.value is None or after.value is None:
        return "-"
    return f"{100 * (after.value - before.value):+.1f} points"


def _verdict(before: Estimate, after: Estimate) -> str:
    disjoint = before.disjoint(after)
    return "-" if disjoint is None else "disjoint" if disjoint else "overlap"


def ablations(runs: Sequence[Results]) -> Table:
    """Return the means over cycles in the form of the paper's Table 7, ours above the paper's."""
    rows = [_ablation(run) for run in runs]
    mine = len(rows)
    for one in ABLATIONS:
        low, high = VALID_INTERVAL
        interval = f" [{low}, {high}] n=22" if one is ABLATIONS[0] else ""
        shares = (f"{printed(one.valid)}{interval}", printed(one.mean), printed(one.above))
        rows.append((f"paper: {one.method}", "-", *shares, str(one.novel), "-", "-"))
    note = (
        "Means over cycles with Student's 95 % interval, as far as it lies within 0 to 100 %; n cycles. Novel models:"
        " admitted, and no near-duplicate of the corpus or of the own cycle; functional duplicates: how many of these"
        " claim to compute what an earlier program computes, of those whose fingerprint is known;"
        f" {_seeds(runs)}. {_unequal(runs)}{_guessing(runs)}."
        f" The paper's rows are Table 7 (interval: Section 4.1); {CIFAR10.guessing}, threshold {CIFAR10.threshold}%."
    )
    head = (
        "run",
        "generated",
        "valid rate",
        "mean accuracy",
        "above threshold",
        "novel models",
        "functional duplicates",
        "admitted",
    )
    return Table(
        "Runs side by side (form of the paper's Table 7)",
        head,
        tuple(rows),
        note=note,
        words=frozenset({"run"}),
        emphasis=frozenset(range(mine)),
    )


def _ablation(run: Results) -> tuple[str, ...]:
    means, pool = run.over_cycles(), run.all
    shown = (means["valid_rate"].text, means["accuracy_mean"].text, means["above_rate"].text)
    return (run.label, f"{pool.generated:,}", *shown, str(pool.distinct), pool.functional, str(pool.admitted))


def _seeds(runs: Sequence[Results]) -> str:
    """Return how many seeds a functional duplicate could be found of, in words."""
    known = (f"{run.seeds_fingerprinted} of {run.seeds} seeds ({run.label})" for run in runs)
    return f"known is that of {', '.join(known)}"


def _unequal(runs: Sequence[Results]) -> str:
    """Return a warning for each thing that the runs do not have in common and their numbers depend on."""
    warnings = (
        ("numbers of cycles or candidates: their counts", {(len(run.summaries), run.all.generated) for run in runs}),
        ("protocols: their accuracies and valid rates", {run.config.protocol.hash() for run in runs}),
        ("thresholds: their shares above it and numbers of novel models", {run.threshold for run in runs}),
    )
    return "".join(
        f"These runs have different {what} may not be compared. " for what, found in warnings if len(found) > 1
    )


def totals(runs: Sequence[Results]) -> Table:
    """Return the candidates of all cycles of each run together."""
    rows = tuple(_total(run.label, run.all) for run in runs)
    note = (
        "Candidates of all cycles counted together: Wilson's 95 % interval for shares, Student's for means; n"
        f" candidates. {RESEMBLE}. Programs: different ones among the valid. {_unequal(runs)}{_guessing(runs)}."
    )
    head = ("run", "generated", "valid rate", "programs", "mean accuracy", "best", "median", "above threshold")
    return Table("All cycles together", (*head, "novel of those"), rows, note=note, words=frozenset({"run"}))


def _total(label: str, pool: Pool) -> tuple[str, ...]:
    return (
        label,
        f"{pool.generated:,}",
        pool.valid_rate.text,
        f"{pool.programs:,}",
        pool.accuracy.text,
        percent(statistics.best(pool.accuracies)),
        percent(statistics.middle(pool.accuracies)),
        pool.above_rate.text,
        pool.novel_rate.text,
    )


def ends(runs: Sequence[Results]) -> Table:
    """Return the first and the last complete cycle of each run beside the paper's, in the form of its Table 5."""
    rows = []
    for run in runs:
        for summary in run.summaries[:1] + run.summaries[1:][-1:]:
            above = Estimate(summary.above_rate, summary.above_interval).text
            valid = Estimate(summary.valid_rate, summary.valid_interval).text
            mean = Estimate(summary.accuracy_mean, summary.accuracy_interval).text
            rows.append((run.label, run.dataset, run.threshold, str(summary.cycle), valid, mean, above))
    mine = len(rows)
    for paper in (CIFAR10, CIFAR100, SVHN):
        for one in (paper.checkpoints[0], paper.checkpoints[-1]):
            numbers = (printed(one.valid), printed(one.mean), printed(one.above))
            rows.append(("the paper", paper.dataset, f"{paper.threshold}%", str(one.cycle), *numbers))
    note = (
        "Wilson's 95 % interval for shares, Student's for means; n candidates. The paper's rows are its Table 5."
        f" {_guessing(runs)}; the paper's {'; '.join(one.guessing for one in (CIFAR10, CIFAR100, SVHN))}."
    )
    head = ("run", "data set", "threshold", "cycle", "valid", "mean accuracy", "above threshold")
    return Table(
        "First and last cycle beside the paper's (form of its Table 5)",
        head,
        tuple(rows),
        note=note,
        words=frozenset({"run", "data set"}),
        emphasis=frozenset(range(mine)),
    )


def _guessing(runs: Sequence[Results]) -> str:
    return "; ".join(dict.fromkeys(run.guessing for run in runs))
