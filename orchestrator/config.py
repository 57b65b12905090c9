"""The frozen configuration of a run: read from YAML, overridden by `--set`, refused if a key is unknown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, get_args

import yaml
from pydantic import Field, ValidationError, model_validator

from orchestrator.errors import ConfigError, issues
from orchestrator.records import Rule, canonical, digest
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
    dynamic,
)
from orchestrator.shipped import config_path


class Config(Section):
    """One run, frozen, all but its tracker."""

    name: str
    """The run's folder, unless `--run` names another."""
    cycles: Whole = 22
    """How many cycles the run has in all; it may be raised later."""
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    """What all random numbers of the run follow from, but for those of the protocol."""
    completion: bool = False
    """Add standard training code to a program that has only `__init__` and `forward`; both texts are kept."""
    retries: Annotated[int, Field(ge=0)] = 2
    """How many times more a candidate or a job is tried if the infrastructure fails it."""
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

    @property
    def needs_model(self) -> bool:
        """Whether a run loads the language model: to sample from it, or to count the tokens of seed programs."""
        return self.llm.sampler == "model" or self.corpus.clean is not None

    @model_validator(mode="after")
    def _task_matches_dataset(self) -> Config:
        if self.prompt.task != self.protocol.dataset:
            raise ValueError(f"prompt.task is {self.prompt.task} but protocol.dataset is {self.protocol.dataset}")
        return self

    def hash(self) -> str:
        """Return the SHA-256 of the whole configuration but its tracker."""
        return digest(canonical(self.model_dump(mode="json", by_alias=True)))

    def rule(self, cycle: int) -> Rule:
        """Return what the valid candidates of `cycle` are admitted by."""
        return Rule(
            threshold=self.admission.threshold,
            tau=self.novelty.tau if self.novelty.enabled else None,
            target=self.budget.admitted if dynamic(self.budget, cycle) else None,
        )


def load(
    config: str | Path = "quickstart",
    overrides: Mapping[str, Any] | Iterable[str] = (),
    *,
    origin: str | None = None,
) -> Config:
    """Return a validated configuration: a shipped one by its name or a YAML file, with what it extends and overrides.

    `overrides` sets single keys, as a mapping `{"section.key": value}`, or as texts `section.key=value` whose values
    are YAML. Messages name `origin`, the files unless it is given, and the overrides.

        config = load("quickstart", {"sandbox.runtime": "runsc", "cycles": 3})

    Raises:
        ConfigError: a file cannot be read, or a key or value is wrong; the message names both.
    """
    data, files = read(config_path(str(config)))
    said = [f"{key}={value}" for key, value in overrides.items()] if isinstance(overrides, Mapping) else [*overrides]
    if isinstance(overrides, Mapping):
        for key, value in overrides.items():
            _set(data, key, value, said=f"{key}={value}")
    else:
        for override in said:
            set_value(data, override)
    origin = origin or ", which extends ".join(map(str, files))
    return parse(data, origin=", with --set ".join((origin, *said)))


def varied(config: Config, overrides: Iterable[str], *, origin: str) -> Config:
    """Return `config` with `section.key=value` overrides over it; raise ConfigError that names `origin` and them."""
    data, said = dump(config), [*overrides]
    for override in said:
        set_value(data, override)
    return parse(data, origin=", with --set ".join((origin, *said)))


def parse(data: dict[str, Any], *, origin: str) -> Config:
    """Validate `data`; raise ConfigError naming every wrong key and `origin`."""
    try:
        return Config.model_validate_json(canonical(data))
    except ValidationError as error:
        told = zip(issues(error, whole="config"), error.errors(), strict=True)
        said = (text + (_meant(issue["loc"]) if issue["type"] == "extra_forbidden" else "") for text, issue in told)
        raise ConfigError(f"{origin}: " + "; ".join(said)) from error
    except (TypeError, ValueError) as error:  # YAML knows infinities, and keys and values of other kinds
        raise ConfigError(f"{origin}: write text, finite numbers, lists and sections only: {error}") from error


def _meant(place: Sequence[str | int]) -> str:
    """Return the question whether another key of that section was meant; nothing if none is like it."""
    *sections, wrong = place
    found: Any = Config
    for section in sections:
        kinds = (found.model_fields[section].annotation,) if section in getattr(found, "model_fields", {}) else ()
        inner = [one for kind in kinds for one in (kind, *get_args(kind)) if hasattr(one, "model_fields")]
        if not inner:
            return ""
        found = inner[0]
    known = [field.alias or name for name, field in found.model_fields.items()]
    close = get_close_matches(str(wrong), known, n=1)
    return f"; did you mean {'.'.join(map(str, (*sections, close[0])))}?" if close else ""


def dump(config: Config) -> dict[str, Any]:
    """Return `config` as plain data, the way it is frozen and hashed."""
    plain: dict[str, Any] = config.model_dump(mode="json", by_alias=True)
    return plain


def flat(data: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of nested sections under its whole key, as in `llm.sft.epochs`."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


EXTENDS = "extends"

FLOAT, INTEGER = "tag:yaml.org,2002:float", "tag:yaml.org,2002:int"

TIMESTAMP = "tag:yaml.org,2002:timestamp"


def read(path: Path) -> tuple[dict[str, Any], tuple[Path, ...]]:
    """Return the sections of the YAML file `path` over those of the file that it extends, and the files, `path` first.

    `extends: other.yaml` names one file, relative to the folder of the file that says it, which may extend another in
    turn. Sections are merged key by key, sections in them too; any other value, a list as well, takes the place of the
    one below it. Whoever extends a file has a name of its own, or its run would go on with the other's.

    Raises:
        ConfigError: a file cannot be read or holds no sections, or extends nothing that is there, or in the end itself.
    """
    files = [path]
    data = _sections(path)
    while EXTENDS in data:
        below = _extended(files[-1], data.pop(EXTENDS), named=len(files) > 1 or "name" in data)
        if any(below.samefile(file) for file in files):
            chain = " -> ".join(map(str, [*files, below]))
            raise ConfigError(f"{files[-1]}: {EXTENDS}: goes round in a circle, {chain}; remove one of these lines")
        files.append(below)
        data = _over(_sections(below), data)
    return data, tuple(files)


def set_value(data: dict[str, Any], override: str) -> None:
    """Set in `data` what the command line's `section.key=value` says; the value is YAML.

    Raises:
        ConfigError: it is not of that form, or a section on its way is a value.
    """
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {override}: write section.key=value")
    try:
        value = _parsed(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"--set {override}: the value is not YAML: {error}") from error
    _set(data, key, value, said=override)


def _set(data: dict[str, Any], key: str, value: Any, *, said: str) -> None:
    node = data
    *sections, last = key.split(".")
    for section in sections:
        child = node.setdefault(section, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {said}: {section} is a value, not a section")
        node = child
    node[last] = value


class _Loader(yaml.SafeLoader):
    """Reads numbers as YAML 1.2 does, 1e-4 as one and 010 as ten, and a date as text: a run may be named after one.

    A key that a mapping has twice is an error, as YAML has it: the first would be lost without a word.
    """

    def construct_mapping(  # the signature is PyYAML's
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002
    ) -> dict[Any, Any]:
        """Return the mapping that `node` holds, whose keys differ."""
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value} is there twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag not in {TIMESTAMP, INTEGER}]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(INTEGER, re.compile(r"[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_constructor(INTEGER, lambda _, node: int(node.value))
_Loader.add_implicit_resolver(FLOAT, re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789"))


def _parsed(text: str) -> Any:
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _sections(path: Path) -> dict[str, Any]:
    try:
        data = _parsed(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: the top level must be a mapping of sections")
    return data


def _extended(path: Path, name: Any, *, named: bool) -> Path:
    if not isinstance(name, str):
        raise ConfigError(f"{path}: {EXTENDS}: write the name of one file, relative to the folder of this one")
    if not named:
        raise ConfigError(f"{path}: name: is missing; a configuration that extends another needs a name of its own")
    below = path.parent / name
    if not below.is_file():
        raise ConfigError(f"{path}: {EXTENDS}: there is no file {below}; name one relative to the folder of this one")
    return below


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return `below` with what `above` says in its place, or merged into it if both are sections."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def contradictions(config: Config) -> Iterator[str]:
    """Yield what cannot have been meant, as text; runs that froze such a thing stay readable."""
    admission, budget = config.admission, config.budget
    if admission.enforce_budget and admission.parameter_budget is None:
        yield "admission.enforce_budget needs admission.parameter_budget, how many are allowed"
    if admission.threshold is not None and admission.reported_threshold is not None:
        yield "admission.reported_threshold counts only if admission.threshold is null: leave it out"
    if admission.reported is None and config.stop.enabled:
        yield "stop.enabled needs a share above a threshold: give admission.threshold or admission.reported_threshold"
    if budget.dynamic_from is not None and budget.cap < budget.admitted:
        yield f"budget.cap is {budget.cap}, so that budget.admitted, {budget.admitted}, is never reached: raise the cap"
