"""The seed corpus: LEMUR's programs, sifted stage by stage into chat pairs (paper, Appendices B and C)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.config import Config
from orchestrator.corpus import filters, lemur, qualify
from orchestrator.corpus.contradictions import contradictions
from orchestrator.corpus.curation import Drop, Stage, sift
from orchestrator.corpus.filters import Assay
from orchestrator.corpus.infill import cut_out
from orchestrator.corpus.parse_cache import Inspect
from orchestrator.corpus.qualify import Qualification, Seed
from orchestrator.corpus.representatives import deduplicate, select
from orchestrator.errors import ConfigError, refuse
from orchestrator.language_model.prompts import Task, infill, pair
from orchestrator.records import Entry, Message, derived_seed, digest
from orchestrator.run import Store

if TYPE_CHECKING:
    from orchestrator.sandbox import Parsed

EXACT = ("lr", "momentum")


@dataclass(frozen=True)
class Curation:
    """The seeds of a corpus, in the order in which they are trained on, and the account of how they were found."""

    seeds: tuple[Seed, ...]
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class _Given:
    wheel: Path
    inspect: Inspect
    assay: Assay | None


@dataclass(frozen=True)
class _Read:
    model: lemur.Model
    found: Parsed


def build(config: Config, *, wheel: Path, inspect: Inspect, assay: Assay | None = None) -> Curation:
    """Curate the corpus that `config.corpus` describes out of the LEMUR `wheel`.

    With `corpus.qualified`, only programs that passed under the protocol are looked at; they are dropped first. With
    `corpus.clean` what costs more comes later, and `assay` is asked about what is left then: last come the dry runs
    of those that represent their near-duplicates.

    Raises:
        ConfigError: no program is left, or a switch lacks what it needs or contradicts another.
        InfrastructureError: the wheel cannot be read, or the parser container or `assay` failed.
    """
    refuse(contradictions(config))
    passed = None
    if config.corpus.qualified is not None:
        passed = qualify.read(qualify.locate(config.corpus.qualified), protocol=config.protocol.hash())
    seeds, stages = _curate(config, _Given(wheel, inspect, assay), passed=passed)
    seeds, stage = _split(config, seeds)
    stages += (stage,)
    if config.corpus.entries is not None:
        chosen = select(seeds, config.corpus.entries)
        names = {seed.name for seed in chosen}
        _, stage = sift("selected", seeds, lambda seed: None if seed.name in names else Drop(seed.name, "not selected"))
        seeds, stages = chosen, (*stages, stage)
    if not seeds:
        raise ConfigError(f"corpus: no program is left after the stage {stages[-1].name!r}; loosen the corpus section")
    stages += (Stage(name="chat pairs", kept=sum(len(_pairs(config, seed)) for seed in seeds)),)
    return Curation(seeds=tuple(seeds), stages=stages)


def candidates(
    config: Config,
    *,
    wheel: Path,
    inspect: Inspect,
    assay: Assay | None = None,
    names: frozenset[str] | None = None,
) -> tuple[list[Seed], tuple[Stage, ...]]:
    """Return the curated programs before they are split and selected, best CIFAR-10 accuracy first.

    This is what `orchestrate corpus qualify` evaluates, so what was qualified before is not looked at. With `names`,
    no other program is.
    """
    return _curate(config, _Given(wheel, inspect, assay), names=names)


def entries(config: Config, curation: Curation, store: Store) -> Iterator[Entry]:
    """Yield the chat pairs of every seed, with its text and shingles put into `store`."""
    for seed in curation.seeds:
        source, shingles = store.put(seed.text), store.put(seed.shingles)
        qualification = seed.qualification
        for kind, task, messages in _pairs(config, seed):
            yield Entry(
                entry_id=f"{seed.name}@{kind}",
                origin=f"{config.corpus.lemur}:{seed.name}",
                task=task,
                source=source,
                shingles=shingles,
                accuracy=qualification.accuracy if qualification else None,
                protocol=qualification.protocol if qualification else None,
                messages=messages,
                fingerprint=qualification.fingerprint if qualification else None,
            )


def _pairs(config: Config, seed: Seed) -> Sequence[tuple[str, Task, tuple[Message, ...]]]:
    """Return the chat pairs of a seed, each with its kind and its task: one a task description, or full and infill."""
    text = seed.text.decode()
    asked = partial(pair, prompt=config.prompt, admission=config.admission, resolution=config.protocol.resolution)
    if config.corpus.pairs == "tasks":
        return [(task, task, asked(text, task=task)) for task in config.corpus.tasks]
    full = asked(text)
    pairs = [("full", config.prompt.task, full)]
    cut = cut_out(text, choice=derived_seed(config.seed, "infill", seed.name))
    if cut is not None:
        pairs.append(("infill", config.prompt.task, infill(full, cut)))
    return pairs


def _curate(
    config: Config,
    given: _Given,
    *,
    passed: dict[str, Qualification] | None = None,
    names: frozenset[str] | None = None,
) -> tuple[list[Seed], tuple[Stage, ...]]:
    source, bounds, assay = lemur.read(given.wheel), config.corpus.clean, given.assay
    if bounds is not None and assay is None:
        raise ValueError("corpus.clean needs an assay")
    others = source.trials - source.best_rows
    stages = [
        Stage(name="trial records", kept=source.trials),
        Stage(name="best rows", kept=source.best_rows, unnamed=(("a better trial of that model and epoch", others),)),
        Stage(name="model files", kept=len(source.models)),
    ]
    models: Sequence[lemur.Model] = source.models
    if names is not None:
        models, stage = sift(
            "named", models, lambda model: None if model.name in names else Drop(model.name, "not named")
        )
        stages.append(stage)
    if passed is not None:
        models, stage = sift("qualified", models, lambda model: _unqualified(config, model.name, passed))
        stages.append(stage)
    if bounds is not None:
        models, stage = filters.known(bounds, models)
        stages.append(stage)
    items, sound = _sound(config, models, given.inspect)
    seeds, converted = _convert(config, items, given.inspect)
    stages += [*sound, *converted]
    if passed is not None:
        seeds, stage = sift("qualified text", seeds, lambda seed: _other_text(seed, passed[seed.name]))
        seeds = [replace(seed, qualification=passed[seed.name]) for seed in seeds]
        stages.append(stage)
    if bounds is not None and assay is not None:
        seeds, stage = filters.short(bounds, seeds, assay)
        stages.append(stage)
    seeds, stage = deduplicate(config.novelty, seeds)
    stages.append(stage)
    if bounds is not None and assay is not None:
        seeds, stage = filters.runnable(seeds, assay)
        stages.append(stage)
    return seeds, tuple(stages)


def _sound(config: Config, models: Sequence[lemur.Model], inspect: Inspect) -> tuple[list[_Read], list[Stage]]:
    """Sift out what does not parse, lacks the contract, or has other hyperparameters or imports than asked for."""
    replies = inspect([model.source for model in models], complete=False, strip=False, compact=False)
    items = [_Read(model, found) for model, found in zip(models, replies, strict=True)]
    items, parsed = sift("parsed", items, lambda item: _state_drop(item, spared=("ok", "contract")))
    items, contract = sift("contract", items, lambda item: _state_drop(item, spared=("ok",)))
    stages = [parsed, contract]
    if config.corpus.hyperparameters == "lr_momentum":
        items, stage = sift("hyperparameters", items, _hyperparameters_drop)
        stages.append(stage)
    if config.corpus.imports == "torch" or config.corpus.clean is not None:
        items, stage = sift("imports", items, _imports_drop)
        stages.append(stage)
    seen: dict[bytes, str] = {}
    items.sort(key=lambda item: (-(item.model.accuracy or 0.0), item.model.name))
    items, stage = sift("exact duplicates", items, lambda item: _exact_drop(item.model, seen))
    return items, [*stages, stage]


def _convert(config: Config, items: Sequence[_Read], inspect: Inspect) -> tuple[list[Seed], list[Stage]]:
    """Turn programs into the texts that are trained on, and keep those of the asked length."""
    corpus = config.corpus
    shown = list(items)
    stages: list[Stage] = []
    if corpus.strip_boilerplate:
        replies = inspect([item.model.source for item in items], complete=False, strip=True, compact=True)
        stripped = [(item.model, found.stripped or b"") for item, found in zip(items, replies, strict=True)]
        again = inspect([text for _, text in stripped], complete=True, strip=False, compact=False)
        shown = [
            _Read(replace(model, source=text), found) for (model, text), found in zip(stripped, again, strict=True)
        ]
    shown, stage = sift("conversion", shown, lambda item: _state_drop(item, spared=("ok",)))
    stages.append(stage)
    seeds = [
        Seed(
            name=item.model.name,
            text=item.model.source if corpus.strip_boilerplate else item.found.program,
            tokens=item.found.tokens,
            shingles=item.found.shingles,
            lemur_accuracy=item.model.accuracy,
        )
        for item in shown
    ]
    if corpus.min_tokens is not None or corpus.max_tokens is not None:
        seeds, stage = sift("length", seeds, lambda seed: _length_drop(config, seed))
        stages.append(stage)
    return seeds, stages


def _split(config: Config, seeds: Sequence[Seed]) -> tuple[list[Seed], Stage]:
    """Keep the training share of the seeds, chosen by a keyed hash of their names (paper, Appendix B)."""
    key = derived_seed(config.seed, "split")
    shuffled = sorted(seeds, key=lambda seed: digest(f"{key} {seed.name}".encode()))
    train = {seed.name for seed in shuffled[: round(len(shuffled) * config.corpus.train_split)]}
    return sift("train split", seeds, lambda seed: None if seed.name in train else Drop(seed.name, "held out"))


def _state_drop(item: _Read, *, spared: tuple[str, ...]) -> Drop | None:
    found = item.found
    if found.state in spared:
        return None
    reason = (found.cause if found.state == "contract" else None) or found.state
    return Drop(item.model.name, reason, found.cause or "")


def _hyperparameters_drop(item: _Read) -> Drop | None:
    found = item.found
    if not found.hyperparameters_known:
        return Drop(item.model.name, "unknown keys")
    keys = found.hyperparameters
    return None if keys == EXACT else Drop(item.model.name, "other keys than lr and momentum", ", ".join(keys))


def _imports_drop(item: _Read) -> Drop | None:
    others = [name for name in item.found.imports if name != "torch"]
    return Drop(item.model.name, "imports more than torch", ", ".join(others)) if others else None


def _exact_drop(model: lemur.Model, seen: dict[bytes, str]) -> Drop | None:
    first = seen.setdefault(model.source, model.name)
    return None if first == model.name else Drop(model.name, "the same text", f"as {first}", first)


def _length_drop(config: Config, seed: Seed) -> Drop | None:
    low, high = config.corpus.min_tokens, config.corpus.max_tokens
    if low is not None and seed.tokens < low:
        return Drop(seed.name, f"under {low} tokens", str(seed.tokens))
    if high is not None and seed.tokens > high:
        return Drop(seed.name, f"over {high} tokens", str(seed.tokens))
    return None


def _unqualified(config: Config, name: str, known: dict[str, Qualification]) -> Drop | None:
    record, corpus = known.get(name), config.corpus
    if record is None:
        return Drop(name, "not qualified")
    if record.state != "passed" or record.accuracy is None:
        return Drop(name, "did not pass", record.state)
    if corpus.min_accuracy is not None and record.accuracy < corpus.min_accuracy:
        return Drop(name, f"accuracy under {corpus.min_accuracy:g}", f"{record.accuracy:.4f}")
    if corpus.max_parameters is not None and (record.parameters is None or record.parameters > corpus.max_parameters):
        return Drop(name, f"over {corpus.max_parameters:,} parameters", str(record.parameters))
    return None


def _other_text(seed: Seed, record: Qualification) -> Drop | None:
    if record.program == seed.digest:
        return None
    return Drop(seed.name, "qualified as another text", "qualify again: the corpus section or the parser has changed")
