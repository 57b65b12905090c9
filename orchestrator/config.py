"""The frozen configuration of a run: read from YAML, overridden by `--set`, refused where a key is unknown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationError, model_validator

from orchestrator.errors import ConfigError
from orchestrator.lineage import read, set_value
from orchestrator.records import canonical, digest
from orchestrator.sections import (
    AdmissionConfig,
    Budget,
    CorpusConfig,
    LlmConfig,
    NoveltyConfig,
    PromptConfig,
    Protocol,
    SandboxConfig,
    Section,
    StopConfig,
    TrackerConfig,
    Whole,
)

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class Config(Section):
    """One run, frozen, all but its tracker.

    `name` is its folder's, unless `--run` says another; `cycles` may be raised later. All that is drawn follows from
    `seed`, but for the protocol's own. `completion` adds standard training code to a program that has only `__init__`
    and `forward`. What the infrastructure fails, a container or a worker, is tried `retries` times more.
    """

    name: str
    cycles: Whole = 22
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    completion: bool = False
    retries: Annotated[int, Field(ge=0)] = 2
    protocol: Protocol
    prompt: PromptConfig
    llm: LlmConfig
    corpus: CorpusConfig = CorpusConfig()
    sandbox: SandboxConfig = SandboxConfig()
    novelty: NoveltyConfig = NoveltyConfig()
    admission: AdmissionConfig = AdmissionConfig()
    budget: Budget = Budget()
    stop: StopConfig = StopConfig()
    tracker: TrackerConfig = Field(default=TrackerConfig(), exclude=True)

    @model_validator(mode="after")
    def _task_matches_dataset(self) -> Config:
        if self.prompt.task != self.protocol.dataset:
            raise ValueError(f"prompt.task is {self.prompt.task} but protocol.dataset is {self.protocol.dataset}")
        return self

    def hash(self) -> str:
        """Return the SHA-256 of the whole configuration but its tracker."""
        return digest(canonical(self.model_dump(mode="json", by_alias=True)))


def load(path: Path, overrides: tuple[str, ...] = (), *, origin: str | None = None) -> Config:
    """Read `path` and what it extends, apply `section.key=value` overrides (values are YAML), and validate.

    Messages name `origin`, the files unless it is given, and the overrides.

    Raises:
        ConfigError: a file cannot be read, or a key or value is wrong; the message names both.
    """
    data, files = read(path)
    for override in overrides:
        set_value(data, override)
    origin = origin or ", which extends ".join(map(str, files))
    return parse(data, origin=", with --set ".join((origin, *overrides)))


def parse(data: dict[str, Any], *, origin: str) -> Config:
    """Validate `data`; raise ConfigError naming every wrong key and `origin`."""
    try:
        return Config.model_validate_json(canonical(data))
    except ValidationError as error:
        issues = ((".".join(str(part) for part in one["loc"]) or "config", _said(one)) for one in error.errors())
        raise ConfigError(f"{origin}: " + "; ".join(f"{key}: {text}" for key, text in issues)) from error
    except (TypeError, ValueError) as error:  # YAML knows infinities, and keys and values of other kinds
        raise ConfigError(f"{origin}: write text, finite numbers, lists and sections only: {error}") from error


def _said(issue: ErrorDetails) -> str:
    """Return what is wrong in words for people who know nothing of pydantic."""
    if issue["type"] == "extra_forbidden":
        return "there is no such key"
    return issue["msg"].removeprefix("Value error, ")
