"""Makes and qualifies the seed corpus with the real wheel and real containers."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator import assets, corpus
from orchestrator.config import Config
from orchestrator.containers import Containers
from orchestrator.corpus import Curation
from orchestrator.datasets import prepare
from orchestrator.evaluate import SandboxEvaluator
from orchestrator.journal import Recorder, unrecorded
from orchestrator.parsing import Parser
from orchestrator.qualify import Qualification, Seed, qualify
from orchestrator.store import Store

OWNER = "corpus"
KEY_BYTES = 32


def curate(config: Config, *, cache: Path, record: Recorder = unrecorded) -> Curation:
    """Return the seed corpus of `config`; `record` learns of the parser containers that inspect its programs."""
    wheel = assets.wheel(config.corpus.lemur, cache)
    with _parser(config, record=record) as parser:
        return corpus.build(config, wheel=wheel, inspect=parser.parse_all)


def curated(config: Config, *, cache: Path, names: frozenset[str] | None = None) -> list[Seed]:
    """Return the curated programs before any is chosen, best first: those that may be qualified; or only `names`."""
    wheel = assets.wheel(config.corpus.lemur, cache)
    with _parser(config) as parser:
        seeds, _ = corpus.candidates(config, wheel=wheel, inspect=parser.parse_all, names=names)
    return seeds


def qualifications(config: Config, seeds: Sequence[Seed], *, out: Path, cache: Path) -> Iterator[Qualification]:
    """Evaluate `seeds` under the protocol, append each result to `out`, and yield it; known ones are skipped."""
    prepared = prepare(config.protocol, cache)
    store = Store(cache / "qualify" / "objects")
    key = secrets.token_bytes(KEY_BYTES)
    with SandboxEvaluator(config=config, store=store, prepared=prepared, key=key) as evaluator:
        yield from qualify(config, seeds, evaluator, out)


@contextmanager
def _parser(config: Config, *, record: Recorder = unrecorded) -> Iterator[Parser]:
    with (
        Containers(config.sandbox, owner=OWNER, record=record) as containers,
        containers.parser(shingle=config.novelty.shingle) as parser,
    ):
        yield parser
