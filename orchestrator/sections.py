"""The sections of a run's configuration, with every default and what each key means."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestrator.records import Decoding, Limits, LoraSpec, ModelSpec, SftSpec, canonical, digest
from sandbox_image.wire import SOURCE_LIMIT

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

    The `holdout` split validates on a seeded tenth of the training split instead of the test split. `train_samples` and
    `validation_samples` take a seeded part of each, with the shares of the classes; null takes all. `resolution` is in
    pixels. `lr`, `momentum`, `dropout`, `batch` and `epochs` are what a program finds in `prm`.
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

    def claimed(self) -> float:
        """Return the seconds of life that a claimed container may use: it has those of the import to take a program."""
        return self.import_ + self.needed()

    @model_validator(mode="after")
    def _stages_fit_into_life(self) -> Deadlines:
        if self.needed() >= self.life:
            raise ValueError(f"life is {self.life:g} s, but all stages may take {self.needed():g} s: raise life")
        return self


class SandboxConfig(Section):
    """How a candidate is contained; every limit is applied by the engine and read back.

    Under gVisor (`runtime: runsc`) a candidate reaches no kernel of the host. `slots` candidates run at a time, each
    with `threads` threads of torch and, where `gpus` names any, a GPU of its own, by its index or UUID. `variant` is
    what the image is built with. A program may have `source_bytes`; of what it
    prints `log_stored` bytes are kept, and after `log_killed` it is ended. A parser container takes `parser_uses`
    programs, and five times as many in curation.

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
    """What a clean program may have: at most `model_tokens` of the LLM's own in its text, and `min_accuracy` at least.

    That is LEMUR's first-epoch accuracy on CIFAR-10.
    """

    model_tokens: Whole
    min_accuracy: Share


class CorpusConfig(Section):
    """Where the seed corpus comes from, and which slice of it the LLM is trained on.

    `lemur` is the wheel on PyPI. Programs are kept whose `hyperparameters` are any or exactly lr and momentum, whose
    `imports` are any or torch alone, and which have `min_tokens` to `max_tokens` Python tokens. `qualified` names what
    `orchestrate corpus qualify` wrote: only programs that passed, with `max_parameters` at most and `min_accuracy` at
    least there. `strip_boilerplate` leaves out what `completion` would add again. Of what is left `train_split` is
    trained on, and of that, where it is given, `entries` programs that differ most from each other.

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
    """Near-duplicate detection (paper, Appendix A): one tau for curation and for sampling.

    A program is one where its estimated Jaccard index with an earlier one, over shingles of `shingle` Python tokens by
    MinHash with `permutations`, is above `tau`. `enabled` off admits it all the same. Within a cycle it is compared
    with all earlier valid programs, or with those alone that were `admitted` (`generation`).
    """

    enabled: bool = True
    tau: Share = 0.90
    permutations: Whole = 256
    shingle: Whole = 10
    seed: Annotated[int, Field(ge=0, lt=1 << 32)] = 1  # as numpy takes them
    generation: Literal["valid", "admitted"] = "valid"


class AdmissionConfig(Section):
    """What makes a valid candidate worth training on: an accuracy above `threshold`, of the first epoch.

    `parameter_budget` is stated in the prompt; with `enforce_budget` a program that claims more parameters fails.
    `reported_threshold` is the accuracy whose share is reported where `threshold` is null and admits everything.
    """

    threshold: Share | None = 0.40
    reported_threshold: Share | None = None
    parameter_budget: Whole | None = None
    enforce_budget: bool = False


class Budget(Section):
    """How many candidates a cycle generates: fixed at first, until enough are admitted from `dynamic_from` on.

    From `dynamic_from` on, or never where it is null, a cycle generates until `admitted` are admitted or `cap` were
    generated; before, it generates `candidates`, and cycle 1 `first` of them where it is given. `chunk` are generated
    as one batch; with `overlap` they are evaluated while the next chunk is generated.
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

    Each cycle trains an adapter anew on all that was admitted before, or, with `continue_adapter`, goes on with that of
    the cycle before. `iterate` off fine-tunes once, on the seed corpus, and keeps that adapter (paper, Appendix F, no
    iteration); `finetune` off samples from the base model throughout. With `sampler: corpus` no model is loaded: the
    run draws programs from its own corpus instead, which is what a model that only remembers would write.
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
    """What the fixed chat prompt says about the task, in the `style` of the paper, or in a short one for small models.

    With `boilerplate` it asks for all parts of a program, without for those alone that `completion` does not add.
    """

    task: Literal["fashion-mnist", "cifar10", "cifar100", "svhn"] = "cifar10"
    boilerplate: bool = True
    style: Literal["paper", "short"] = "paper"


class StopConfig(Section):
    """The stopping criterion of Appendix D.

    Where it is enabled, a run ends when over the last `cycles` the mean accuracy improved by less than `improvement`,
    and every share above the threshold lies in the interval of the cycle before these.
    """

    enabled: bool = False
    improvement: Share = 0.01
    cycles: Whole = 3


class TrackerConfig(Section):
    """Who else is shown a run's progress, by `kind`: event files go into `folder`, under its name, or into the run.

    No result depends on it, so it is neither frozen nor hashed, and a resume may change it.
    """

    kind: Literal["none", "tensorboard"] = "none"
    folder: str | None = None


def dynamic(budget: Budget, cycle: int) -> bool:
    """Whether `cycle` samples until enough candidates are admitted (paper, Section 3: from cycle 11)."""
    return budget.dynamic_from is not None and cycle >= budget.dynamic_from
