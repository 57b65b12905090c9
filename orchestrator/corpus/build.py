"""Makes and qualifies the seed corpus with the real wheel, real containers and the LLM's own tokenizer."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from orchestrator.config import Config
from orchestrator.corpus import stages
from orchestrator.corpus.dry_run import dry_runs, identity, rehearsal
from orchestrator.corpus.filters import Assay
from orchestrator.corpus.parse_cache import Inspect, Inspections
from orchestrator.corpus.qualify import Qualification, Seed, qualify
from orchestrator.corpus.stages import Curation
from orchestrator.errors import InfrastructureError
from orchestrator.evaluation import open_evaluator
from orchestrator.language_model import LlmTokens, assets
from orchestrator.progress import Report, silent
from orchestrator.records import Digest, Failed, canonical, digest
from orchestrator.records.journal import Recorder, unrecorded
from orchestrator.sandbox import Engine, Parsers, Sandbox
from orchestrator.sandbox.engine import opened
from orchestrator.sandbox.image import local_image
from orchestrator.sections import SandboxConfig

OWNER = "corpus"
CPU_IMAGE = "nn-sandbox:cpu"
MEMORY = 2 << 30  # bytes that a parser container may use at most
USES = 5  # times as many programs of a published corpus as of candidates before a parser container is replaced


def curate(
    config: Config,
    *,
    cache: Path,
    engine: Engine | None = None,
    record: Recorder = unrecorded,
    report: Report = silent,
) -> Curation:
    """Return the seed corpus of `config`.

    `engine` is an open session, which stays open; one is opened unless given. `record` learns of the containers that
    inspect programs or run them dry, `report` of how far dry runs are.
    """
    wheel = assets.wheel(config.corpus.lemur, cache)
    with opened(engine) as session, _inspection(config, cache, session, record=record) as inspect:
        assay = _assay(config, cache, session, record=record, report=report)
        return stages.build(config, wheel=wheel, inspect=inspect, assay=assay)


def curated(config: Config, *, cache: Path, names: frozenset[str] | None = None, report: Report = silent) -> list[Seed]:
    """Return the curated programs before any is chosen, best first: those that may be qualified; or only `names`."""
    wheel = assets.wheel(config.corpus.lemur, cache)
    with Engine() as engine, _inspection(config, cache, engine) as inspect:
        assay = _assay(config, cache, engine, record=unrecorded, report=report)
        seeds, _ = stages.candidates(config, wheel=wheel, inspect=inspect, assay=assay, names=names)
    return seeds


def qualifications(config: Config, seeds: Sequence[Seed], *, out: Path, cache: Path) -> Iterator[Qualification]:
    """Evaluate `seeds` under the protocol, append each result to `out`, and yield it; known ones are skipped."""
    with open_evaluator(config, cache=cache) as evaluator:
        yield from qualify(config, seeds, evaluator, out)


def _assay(config: Config, cache: Path, engine: Engine, *, record: Recorder, report: Report) -> Assay:
    """Return how seeds are tried; nothing is started before it is asked for, and nothing is tried twice."""
    folder = cache / "dry-runs"

    def dry_run(seeds: Sequence[Seed]) -> Mapping[Digest, Failed | None]:
        path = folder / f"{identity(config, image=local_image(engine, config.sandbox.image).id)}.jsonl"
        evaluator = partial(open_evaluator, rehearsal(config), cache=cache, engine=engine, record=record)
        return dry_runs(seeds, evaluator=evaluator, path=path, report=report)

    tokens = LlmTokens(model=config.llm.model, cache=cache, log=cache / "llm.log")
    return Assay(count=tokens.count, dry_run=dry_run)


@contextmanager
def _inspection(config: Config, cache: Path, engine: Engine, *, record: Recorder = unrecorded) -> Iterator[Inspect]:
    """Give what inspects programs: in parser containers, several at once, unless an earlier answer is in the cache."""
    shingle = config.novelty.shingle
    sandbox = _sandbox(config.sandbox, engine)
    with Sandbox(sandbox, owner=OWNER, record=record, engine=engine) as containers:
        parsers = Parsers(
            lambda: containers.parser(shingle=shingle),
            lanes=len(os.sched_getaffinity(0)) + 1,
            batch=sandbox.parser_uses,
        )
        identity = digest(canonical({"image": containers.image.id, "shingle": shingle}))
        with Inspections(parsers.parse_all, folder=cache / "inspections", parser=identity) as inspections:
            yield inspections.parse_all


def _sandbox(sandbox: SandboxConfig, engine: Engine) -> SandboxConfig:
    """Return what parser containers are started from: no more of the machine than one process that only reads needs.

    Where the configured image is not built here, the CPU image takes its place: both hold the same parser.
    """
    limits = sandbox.limits
    least = limits.model_copy(update={"cpus": min(limits.cpus, 1.0), "memory": min(limits.memory, MEMORY)})
    uses = USES * sandbox.parser_uses
    return sandbox.model_copy(update={"image": _built(sandbox.image, engine), "limits": least, "parser_uses": uses})


def _built(image: str, engine: Engine) -> str:
    for tag in (image, CPU_IMAGE):
        with contextlib.suppress(InfrastructureError):
            local_image(engine, tag)
            return tag
    return image
