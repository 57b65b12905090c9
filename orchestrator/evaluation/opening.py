"""The one way to an evaluator for whoever has a configuration and a cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.config import Config
from orchestrator.evaluation.dataset import Prepared, prepare
from orchestrator.evaluation.evaluator import SandboxEvaluator
from orchestrator.records import Recorder, unrecorded
from orchestrator.run.keys import machine_key
from orchestrator.sandbox import Engine


@contextmanager
def open_evaluator(
    config: Config,
    *,
    cache: Path,
    prepared: Prepared | None = None,
    key: bytes | None = None,
    engine: Engine | None = None,
    record: Recorder = unrecorded,
) -> Iterator[SandboxEvaluator]:
    """Lend what evaluates programs under `config`; no container is left when it is given back.

    The data set is laid out in `cache` unless `prepared` is given. `key` orders each candidate's validation images; it
    is this machine's own for the protocol unless given, so that a program that is evaluated again gets the same
    verdict. `engine` is an open session with the engine, which stays open; one is opened unless given. `record` takes
    the events that belong to no candidate.

    Raises:
        ConfigError: the machine cannot give what the configuration asks for.
        InfrastructureError: the data set cannot be laid out, the engine does not answer, or there is no image.
    """
    laid_out = prepare(config.protocol, cache) if prepared is None else prepared
    secret = machine_key(cache, config.protocol.hash()) if key is None else key
    with SandboxEvaluator(config=config, prepared=laid_out, key=secret, engine=engine, record=record) as evaluator:
        yield evaluator
