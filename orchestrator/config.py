"""The frozen configuration of a run: read from YAML, overridden by `--set`, refused where a key is unknown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from orchestrator.errors import ConfigError
from orchestrator.lineage import read, set_value
from orchestrator.records import Decoding, Limits, LoraSpec, ModelSpec, SftSpec, canonical, digest
from sandbox_image.wire import SOURCE_LIMIT

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MIB = 1 << 20
Positive = Annotated[float, Field(gt=0)]
Whole = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Tasks = Annotated[tuple[Literal["mnist", "fashion-mnist", "cifar10", "cifar100", "svhn"], ...], Field(min_length=1)]
Gpu = Annotated[str, Field(pattern=r"^([0-9]+|(GPU|MIG)-[0-9A-Za-z/-]+)$")]  # one device; never "all", or two
UNSAID = {"normalisation": "channels"}  # what protocols meant before they had the key: not hashed, so that hashes stay


class Section(BaseModel):
    """A part of the configuration: frozen; an unknown key is an error, and so is a value of another kind."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Protocol(Section):
    """What defines an accuracy. Verdicts with the same protocol hash may be compared and reused.

    `normalisation` by `channels` takes mean and deviation of each channel from the training split, after its samples
    are drawn, for both splits; `augmentation` changes training images only.
    """

    dataset: Literal["fashion-mnist", "cifar10", "cifar100", "svhn"] = "cifar10"
    split: Literal["official", "holdout"] = "official"
    resolution: Whole = 32
    normalisation: Literal["channels"] = "channels"
    augmentation: Literal["none", "crop_flip"] = "crop_flip"
    train_samples: Whole | None = None
    validation_samples: Whole | None = None
    batch: Whole = 64
    lr: Positive = 0.01
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2
    epochs: Literal[1] = 1
    seed: Annotated[int, Field(ge=0)] = 0

    def hash(self) -> str:
        """Return the SHA-256 under which results of this protocol are comparable."""
        plain = self.model_dump(mode="json")
        return digest(canonical(dict(plain.items() - UNSAID.items())))


class Deadlines(Section):
    """Seconds per stage on the host's monotonic clock, and the absolute life of a container."""

    parse: Positive = 10
    import_: Positive = Field(default=30, alias="import")
    instantiate: Positive = 30
    forward: Positive = 30
    train: Positive = 600
    predict: Positive = 120
    ready: Positive = 120
    life: Positive = 1800

    def needed(self) -> float:
        """Return the seconds that all stages of one candidate may take together."""
        return self.import_ + self.instantiate + self.forward + self.train + self.predict

    @model_validator(mode="after")
    def _stages_fit_into_life(self) -> Deadlines:
        if self.needed() >= self.life:
            raise ValueError(f"life is {self.life:g} s, but all stages may take {self.needed():g} s: raise life")
        return self


class SandboxConfig(Section):
    """How a candidate is contained; every limit is applied by the engine and read back.

    `ahead` is what the next container of a slot has done before its program comes: nothing (it is started then), the
    import of torch, also what optimizers need, or the latter only while a core is idle. No accuracy depends on it.
    """

    image: Annotated[str, Field(min_length=1)] = "nn-sandbox:cpu"
    runtime: Literal["runc", "runsc"] = "runc"
    variant: Literal["cpu", "cuda"] = "cpu"
    slots: Whole = 1
    threads: Whole = 1
    gpus: tuple[Gpu, ...] = ()
    ahead: Literal["nothing", "import", "optimizers", "idle"] = "idle"
    limits: Limits = Limits()
    deadlines: Deadlines = Deadlines()
    source_bytes: Annotated[int, Field(ge=1, le=SOURCE_LIMIT)] = 256 * 1024
    log_stored: Whole = 1 * MIB
    log_killed: Whole = 64 * MIB
    parser_uses: Whole = 200

    @model_validator(mode="after")
    def _one_gpu_for_each_slot(self) -> SandboxConfig:
        if self.gpus and self.slots > len(set(self.gpus)):
            raise ValueError(f"slots is {self.slots}, but gpus names {len(set(self.gpus))}: one GPU serves one slot")
        return self


class CleanConfig(Section):
    """The most tokens of the LLM's own in a program's text, and the least first-epoch CIFAR-10 accuracy in LEMUR."""

    model_tokens: Whole
    min_accuracy: Share


class CorpusConfig(Section):
    """Where the seed corpus comes from, and which slice of it the LLM is trained on.

    `pairs` shows every program once for each of `tasks`, or twice for the run's own task: asked for as a whole, and
    asked for with the body of one method missing. `clean` programs import torch alone and pass a dry run; null, as
    before there was the key, is not hashed.
    """

    lemur: str = "nn-dataset==2.1.2"
    hyperparameters: Literal["any", "lr_momentum"] = "lr_momentum"
    imports: Literal["any", "torch"] = "any"
    pairs: Literal["tasks", "full_infill"] = "tasks"
    tasks: Tasks = ("mnist", "cifar10")
    train_split: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    strip_boilerplate: bool = False
    max_tokens: Whole | None = None
    min_tokens: Whole | None = None
    max_parameters: Whole | None = None
    min_accuracy: Share | None = None
    qualified: str | None = None
    clean: CleanConfig | None = Field(default=None, exclude_if=lambda clean: clean is None)
    entries: Whole | None = None


class NoveltyConfig(Section):
    """Near-duplicate detection (paper, Appendix A): one tau for curation and for sampling."""

    enabled: bool = True
    tau: Share = 0.90
    permutations: Whole = 256
    shingle: Whole = 10
    seed: Annotated[int, Field(ge=0, lt=1 << 32)] = 1  # as numpy takes them
    generation: Literal["valid", "admitted"] = "valid"


class AdmissionConfig(Section):
    """What makes a valid candidate worth training on.

    `reported_threshold` is the accuracy whose share is reported where `threshold` is null and admits everything.
    """

    threshold: Share | None = 0.40
    reported_threshold: Share | None = None
    parameter_budget: Whole | None = None
    enforce_budget: bool = False


class Budget(Section):
    """How many candidates a cycle generates: fixed at first, until enough are admitted from `dynamic_from` on.

    Cycle 1 generates `first` of them where it is given. `chunk` are generated as one batch; with `overlap` they are
    evaluated while the next chunk is generated.
    """

    candidates: Whole = 50
    first: Whole | None = None
    dynamic_from: Whole | None = 11
    admitted: Whole = 30
    cap: Whole = 400
    chunk: Whole = 16
    overlap: bool = True

    @model_validator(mode="after")
    def _first_is_fixed(self) -> Budget:
        if self.first is not None and self.dynamic_from == 1:
            raise ValueError(f"first is {self.first}, but dynamic_from is 1: leave first out, or raise dynamic_from")
        return self


class LlmConfig(Section):
    """The generator: its base model, decoding and fine-tuning.

    `iterate` off fine-tunes once, on the seed corpus, and keeps that adapter (paper, Appendix F, no iteration);
    `finetune` off samples from the base model throughout. With `sampler: corpus` no model is loaded: the run draws
    programs from its own corpus instead, which is what a model that only remembers would write.
    """

    sampler: Literal["model", "corpus"] = "model"
    model: ModelSpec
    decoding: Decoding = Decoding()
    lora: LoraSpec = LoraSpec()
    sft: SftSpec = SftSpec()
    continue_adapter: bool = False
    finetune: bool = True
    iterate: bool = True

    @model_validator(mode="after")
    def _the_corpus_is_not_tuned(self) -> LlmConfig:
        if self.sampler == "corpus" and self.finetune:
            raise ValueError("sampler is corpus, so that there is no model to fine-tune: set finetune to false")
        return self


class PromptConfig(Section):
    """What the fixed chat prompt says about the task."""

    task: Literal["fashion-mnist", "cifar10", "cifar100", "svhn"] = "cifar10"
    boilerplate: bool = True
    style: Literal["paper", "short"] = "paper"


class StopConfig(Section):
    """The stopping criterion of Appendix D."""

    enabled: bool = False
    improvement: Share = 0.01
    cycles: Whole = 3


class TrackerConfig(Section):
    """Who else is shown a run's progress: event files go into `folder`, under the run's name, or into the run itself.

    No result depends on it, so it is neither frozen nor hashed, and a resume may change it.
    """

    kind: Literal["none", "tensorboard"] = "none"
    folder: str | None = None


class Config(Section):
    """One run, frozen, all but its tracker."""

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
