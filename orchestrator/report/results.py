"""All that a report says of one run, read from its ledgers once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from orchestrator.config import Config
from orchestrator.progress import Guessing
from orchestrator.records import Adapter, CycleSummary
from orchestrator.report.costs import Cost, costs
from orchestrator.report.environments import Code, Place, codes, places
from orchestrator.report.estimate import Estimate, average, bound
from orchestrator.report.failures import Failure, failures
from orchestrator.report.gallery import Exhibit, gallery
from orchestrator.report.so_far import unfinished
from orchestrator.report.totals import Pool, pooled
from orchestrator.run import RunFolder
from orchestrator.run.functional_duplicates import twins
from orchestrator.run.history import History, histories

LAST = 2  # cycles that are set against the first


@dataclass(frozen=True)
class Results:
    """The complete cycles of one run; `unfinished` says how far the others are, which are in no number.

    A functional duplicate is found only of seeds whose fingerprint is known, and of earlier candidates.
    """

    label: str
    config: Config
    unfinished: tuple[str, ...]
    seeds: int
    seeds_fingerprinted: int
    summaries: tuple[CycleSummary, ...]
    histories: tuple[History, ...]
    adapters: tuple[Adapter, ...]
    exhibits: tuple[Exhibit, ...]
    places: tuple[Place, ...]
    codes: tuple[Code, ...]
    twins: Mapping[str, str]

    @classmethod
    def read(cls, run: RunFolder, *, label: str, most: int) -> Results:
        """Read `run`, with the `most` accurate of its admitted programs.

        Raises:
            LedgerError: a ledger or a stored program is damaged; the message names it.
        """
        folders = list(run.cycles())
        summaries = tuple(summary for folder in folders if folder.summary.whole for summary in folder.summary.read())
        whole = {summary.cycle for summary in summaries}
        everything = tuple(histories(run))
        found = tuple(history for history in everything if history.cycle in whole)
        seeds = {entry.source: entry.fingerprint for entry in run.corpus.read()}
        return cls(
            label=label,
            config=run.config,
            unfinished=tuple(unfinished(run, everything)),
            seeds=len(seeds),
            seeds_fingerprinted=sum(fingerprint is not None for fingerprint in seeds.values()),
            summaries=summaries,
            histories=found,
            adapters=tuple(one for folder in folders if folder.number in whole for one in folder.adapter.read()),
            exhibits=gallery(run, found, most=most),
            places=places(found, run.store),
            codes=codes(run.provenance.read()),
            twins=twins(run).earlier,
        )

    @property
    def dataset(self) -> str:
        """The data set that accuracies are measured on."""
        return self.config.protocol.dataset

    @property
    def guessing(self) -> str:
        """What every accuracy of the run is to be compared with, in words."""
        if not self.summaries:
            return f"{self.dataset}: chance and the majority class are known once a cycle is complete"
        one = self.summaries[0]
        return f"{self.dataset}: {Guessing(one.chance, one.majority).text}"

    @property
    def threshold(self) -> str:
        """The accuracy that the share above is counted from, in words."""
        threshold = self.summaries[0].threshold if self.summaries else self.config.admission.reported
        return "no threshold" if threshold is None else bound(threshold)

    @cached_property
    def all(self) -> Pool:
        """The candidates of all complete cycles together."""
        return self.pool(self.summaries)

    @cached_property
    def first(self) -> Pool | None:
        """The first cycle; None until a cycle is complete."""
        return self.pool(self.summaries[:1]) if self.summaries else None

    @cached_property
    def last(self) -> Pool | None:
        """The last two cycles, the first never among them; None while there is only one."""
        return self.pool(self.summaries[1:][-LAST:]) if len(self.summaries) > 1 else None

    @cached_property
    def failures(self) -> tuple[Failure, ...]:
        """Why candidates failed, by stage and cause."""
        return failures(self.histories)

    @cached_property
    def costs(self) -> tuple[Cost, ...]:
        """What each stage took."""
        return costs(self.summaries, self.histories, self.adapters)

    @property
    def quarantined(self) -> tuple[str, ...]:
        """The candidates that infrastructure failed on: named, and outside every rate."""
        return tuple(history.candidate_id for history in self.histories if history.state == "quarantined")

    def over_cycles(self) -> dict[str, Estimate]:
        """Return the means over cycles, as in the paper's Table 7, with t intervals whose n is the number of cycles."""
        return {
            "valid_rate": average(_known([summary.valid_rate for summary in self.summaries])),
            "accuracy_mean": average(_known([summary.accuracy_mean for summary in self.summaries])),
            "above_rate": average(_known([summary.above_rate for summary in self.summaries])),
        }

    def plain(self) -> dict[str, Any]:
        """Return everything but the programs as plain data: what `summary.json` holds."""
        return {
            "run": self.label,
            "name": self.config.name,
            "config_hash": self.config.hash(),
            "protocol_hash": self.config.protocol.hash(),
            "protocol": self.config.protocol.model_dump(mode="json"),
            "model": self.config.llm.model.source,
            "sampler": self.config.llm.sampler,
            "seed": self.config.seed,
            "confidence": 0.95,
            "cycles_begun": len(self.summaries) + len(self.unfinished),
            "seeds": self.seeds,
            "seeds_fingerprinted": self.seeds_fingerprinted,
            "cycles": [summary.model_dump(mode="json") for summary in self.summaries],
            "all_cycles": self.all.plain(),
            "first_cycle": None if self.first is None else self.first.plain(),
            "last_cycles": None if self.last is None else self.last.plain(),
            "means_over_cycles": {name: one.plain() for name, one in self.over_cycles().items()},
            "failures": [failure.plain() for failure in self.failures],
            "costs": [cost.plain() for cost in self.costs],
            "quarantined": list(self.quarantined),
            "environments": [place.plain() for place in self.places],
            "code": [{"revision": code.revision, "uncommitted_changes": code.changed} for code in self.codes],
            "admitted": [self._admitted(history) for history in self.histories if history.state == "admitted"],
            "gallery": [exhibit.history.candidate_id for exhibit in self.exhibits],
        }

    def _admitted(self, history: History) -> dict[str, Any]:
        """Return one admitted program; what its container said of it is called claimed."""
        near, claimed = history.nearest, None if history.verdict is None else history.verdict.claimed
        return {
            "candidate_id": history.candidate_id,
            "accuracy": history.accuracy,
            "nearest": None if near is None else near.model_dump(mode="json"),
            "rejections_before": None if history.novelty is None else history.novelty.rejection_count,
            "claimed": {
                "parameters": None if claimed is None else claimed.parameters,
                "fingerprint": None if claimed is None else claimed.fingerprint,
                "functional_twin": self.twins.get(history.candidate_id),
            },
        }

    def pool(self, summaries: Sequence[CycleSummary]) -> Pool:
        """Return the candidates of some cycles together."""
        return pooled(summaries, self.histories, tau=self.config.novelty.tau)


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]
