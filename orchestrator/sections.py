"""The sections of a run's configuration: every key, its default, and under it what it means."""

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
PUBLISHED = {"fashion-mnist": 60_000, "cifar10": 50_000, "cifar100": 50_000, "svhn": 73_257}  # training images
UNSAID = {  # what protocols meant before they had the key: not hashed, so that hashes stay
    "normalisation": "channels",
    "single": "keep",
}


class Section(BaseModel):
    """A part of the configuration: frozen; an unknown key is an error, and so is a value of another kind.

    The text under a key says what it means; `docs/configuration.md` is made of these texts.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Protocol(Section):
    """What defines an accuracy. Only verdicts with the same protocol hash are compared and reused."""

    dataset: Literal["fashion-mnist", "cifar10", "cifar100", "svhn"] = "cifar10"
    """The images that programs are trained on and graded with."""
    split: Literal["official", "holdout"] = "official"
    """`official` validates on the test split; `holdout` on a seeded tenth of the training split instead."""
    resolution: Whole = 32
    """Height and width of an image, in pixels. Another size than 32 resizes with an antialiased bilinear filter."""
    normalisation: Literal["channels"] = "channels"
    """Mean and deviation of each channel of the training images, after the samples are drawn, for both splits."""
    augmentation: Literal["none", "crop_flip"] = "crop_flip"
    """What is done to training images: nothing, or a random crop and flip."""
    train_samples: Whole | None = None
    """How many training images are drawn, with the classes' shares kept; null takes all."""
    validation_samples: Whole | None = None
    """How many validation images are drawn, with the classes' shares kept; null takes all."""
    batch: Whole = 64
    """Images in a batch; a program finds it in `prm`."""
    single: Annotated[Literal["merge", "keep"], Field(exclude_if=lambda value: value == "merge")] = "merge"
    """What becomes of a last batch of one image, which batch normalisation refuses: it joins the one before, or not."""
    lr: Positive = 0.01
    """The learning rate that a program finds in `prm`."""
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    """The momentum that a program finds in `prm`."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2
    """The dropout that a program finds in `prm`."""
    epochs: Literal[1] = 1
    """Passes over the training images; a program finds it in `prm`."""
    seed: Annotated[int, Field(ge=0)] = 0
    """What draws the samples, the holdout and a program's own random numbers."""

    def hash(self) -> str:
        """Return the SHA-256 under which results of this protocol are comparable."""
        plain = self.model_dump(mode="json")
        if self.has_single:
            plain["single"] = self.single
        return digest(canonical(dict(plain.items() - UNSAID.items())))

    @property
    def has_single(self) -> bool:
        """Whether the last batch of an epoch has one image."""
        count = self.train_samples
        if count is None:
            count = PUBLISHED[self.dataset]
            count -= round(count / 10) if self.split == "holdout" else 0
        return self.batch > 1 and count > self.batch and count % self.batch == 1


class Deadlines(Section):
    """Deadlines in seconds on the host's clock: one for each stage, and two for the container."""

    parse: Positive = 10
    """Reading the program's text, in a parser container."""
    import_: Positive = Field(default=30, alias="import")
    """Running the module's top level."""
    instantiate: Positive = 30
    """Making the `Net`."""
    forward: Positive = 30
    """One forward pass of a dummy batch."""
    train: Positive = 600
    """`train_setup` and one epoch."""
    predict: Positive = 120
    """Predicting all validation images."""
    ready: Positive = 120
    """A container's start, until it has imported torch."""
    life: Positive = 1800
    """A container's whole life, waiting included; more than all stages together."""

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
    """How a candidate is contained; the engine applies every limit, and each is read back."""

    image: Annotated[str, Field(min_length=1)] = "nn-sandbox:cpu"
    """The image's name. `orchestrate image build` makes it."""
    runtime: Literal["runc", "runsc"] = "runc"
    """Under `runsc` (gVisor) a candidate reaches no kernel of the host."""
    variant: Literal["cpu", "cuda"] = "cpu"
    """Which torch the image is built with."""
    slots: Whole = 1
    """How many candidates run at a time."""
    threads: Whole = 1
    """torch's threads in each candidate."""
    gpus: tuple[Gpu, ...] = ()
    """One GPU for each slot, by index or UUID; empty runs candidates on the CPU."""
    ahead: Literal["nothing", "import", "optimizers", "idle"] = "idle"
    """What a slot's next container does before its program comes; no accuracy depends on it.

    `nothing` starts it then, `import` has torch imported, `optimizers` also what optimizers need, and `idle` does
    the latter only while a core is idle.
    """
    limits: Limits = Limits()
    deadlines: Deadlines = Deadlines()
    source_bytes: Annotated[int, Field(ge=1, le=SOURCE_LIMIT)] = 256 * 1024
    """The longest program that is taken, in bytes."""
    log_stored: Whole = 1 * MIB
    """How many bytes of each output stream are kept."""
    log_killed: Whole = 64 * MIB
    """After how many bytes of output a program is ended."""
    parser_uses: Whole = 200
    """How many programs a parser container reads before it is replaced; in curation five times as many."""

    @model_validator(mode="after")
    def _one_gpu_for_each_slot(self) -> SandboxConfig:
        if self.gpus and self.slots > len(set(self.gpus)):
            raise ValueError(f"slots is {self.slots}, but gpus names {len(set(self.gpus))}: one GPU serves one slot")
        return self


class CleanConfig(Section):
    """What a clean seed program must be: short and known to learn. It also imports torch alone and passes a dry run."""

    model_tokens: Whole
    """The most tokens that its text may have, by the language model's own tokenizer."""
    min_accuracy: Share
    """The least first-epoch accuracy on CIFAR-10 that LEMUR records for it."""


class CorpusConfig(Section):
    """Where the seed corpus comes from, and which part of it the language model is first trained on."""

    lemur: str = "nn-dataset==2.1.2"
    """LEMUR's wheel on PyPI, as name==version."""
    hyperparameters: Literal["any", "lr_momentum"] = "lr_momentum"
    """Keep programs that read any hyperparameters, or exactly lr and momentum."""
    imports: Literal["any", "torch"] = "any"
    """Keep programs that import anything, or torch alone."""
    pairs: Literal["tasks", "full_infill"] = "tasks"
    """`tasks` shows each program once for each of `tasks`.

    `full_infill` shows it twice for the run's own task: asked for as a whole, and with one method's body missing.
    """
    tasks: Tasks = ("mnist", "cifar10")
    """The task descriptions that programs are shown under."""
    train_split: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    """The share of the programs that is trained on."""
    strip_boilerplate: bool = False
    """Leave out of the programs what `completion` would add again."""
    max_tokens: Whole | None = None
    """The most Python tokens that a program may have; null sets no bound."""
    min_tokens: Whole | None = None
    """The fewest Python tokens that a program may have; null sets no bound."""
    max_parameters: Whole | None = None
    """The most parameters that a program may have by `qualified`; null sets no bound."""
    min_accuracy: Share | None = None
    """The least accuracy that a program must have by `qualified`; null sets no bound."""
    qualified: str | None = None
    """What `orchestrate corpus qualify` wrote; only programs that passed there are kept."""
    clean: CleanConfig | None = Field(default=None, exclude_if=lambda clean: clean is None)  # null is not hashed
    """Keep clean programs only; null leaves the check out."""
    entries: Whole | None = None
    """Keep this many programs of the training split, those that differ most from each other; null keeps all."""


class NoveltyConfig(Section):
    """When a program is a near-duplicate of an earlier one (paper, Appendix A); curation and sampling share this."""

    enabled: bool = True
    """Refuse near-duplicates; off, they are recorded and admitted."""
    tau: Share = 0.90
    """A near-duplicate's estimated Jaccard index with an earlier program is above this."""
    permutations: Whole = 256
    """MinHash permutations of the estimate."""
    shingle: Whole = 10
    """Python tokens in a shingle."""
    seed: Annotated[int, Field(ge=0, lt=1 << 32)] = 1  # as numpy takes them
    """What the permutations are drawn from."""
    generation: Literal["valid", "admitted"] = "valid"
    """Within a cycle, compare with all earlier valid programs, or only with those that were admitted."""


class AdmissionConfig(Section):
    """What makes a valid candidate worth training on."""

    threshold: Share | None = 0.40
    """A candidate is admitted if its accuracy is above this; null admits every accuracy."""
    reported_threshold: Share | None = None
    """The accuracy whose share is reported if `threshold` is null."""
    parameter_budget: Whole | None = None
    """How many parameters the prompt allows; null says nothing."""
    enforce_budget: bool = False
    """Fail a program that claims more parameters than `parameter_budget`."""

    @property
    def reported(self) -> float | None:
        """The accuracy whose share is reported: that which admits, or the one named in its place."""
        return self.reported_threshold if self.threshold is None else self.threshold


class Budget(Section):
    """How many candidates a cycle generates: a fixed number, or as many as it takes to admit enough."""

    candidates: Whole = 50
    """Candidates of a cycle with a fixed budget."""
    first: Whole | None = None
    """Candidates of cycle 1; null takes `candidates`."""
    dynamic_from: Whole | None = 11
    """From this cycle on, generate until `admitted` are admitted; null never does."""
    admitted: Whole = 30
    """How many are to be admitted in such a cycle."""
    cap: Whole = 400
    """After how many candidates such a cycle stops all the same."""
    chunk: Whole = 16
    """Candidates that are generated as one batch."""
    overlap: bool = True
    """Evaluate a chunk while the next one is generated."""

    @model_validator(mode="after")
    def _first_is_fixed(self) -> Budget:
        if self.first is not None and self.dynamic_from == 1:
            raise ValueError(f"first is {self.first}, but dynamic_from is 1: leave first out, or raise dynamic_from")
        return self


class LlmConfig(Section):
    """The language model: which one, how it samples, how it is fine-tuned."""

    sampler: Literal["model", "corpus"] = "model"
    """`corpus` loads no model and draws programs from the run's own corpus, as one that only remembers would."""
    model: ModelSpec
    decoding: Decoding = Decoding()
    lora: LoraSpec = LoraSpec()
    sft: SftSpec = SftSpec()
    continue_adapter: bool = False
    """Train on from the adapter of the cycle before; off, each cycle trains anew on all that was admitted before."""
    finetune: bool = True
    """Off, the base model is sampled throughout."""
    iterate: bool = True
    """Off, only the seed corpus is trained on, and that adapter is kept (paper, Appendix F, no iteration)."""

    @model_validator(mode="after")
    def _the_corpus_is_not_tuned(self) -> LlmConfig:
        if self.sampler == "corpus" and self.finetune:
            raise ValueError("sampler is corpus, so that there is no model to fine-tune: set finetune to false")
        return self


class PromptConfig(Section):
    """What the fixed chat prompt says."""

    task: Literal["fashion-mnist", "cifar10", "cifar100", "svhn"] = "cifar10"
    """The task that it states; the protocol's `dataset`."""
    boilerplate: bool = True
    """Ask for all parts of a program; off, only for those that `completion` does not add."""
    style: Literal["paper", "short"] = "paper"
    """The paper's wording, or a short one for small models."""


class StopConfig(Section):
    """When a run ends before its last cycle (paper, Appendix D).

    It ends if over the last `cycles` the mean accuracy improved by less than `improvement`, and every share above the
    threshold lies in the interval of the cycle before these.
    """

    enabled: bool = False
    """Apply the criterion."""
    improvement: Share = 0.01
    """The improvement of the mean accuracy that keeps a run going."""
    cycles: Whole = 3
    """How many cycles are looked back on."""


class TrackerConfig(Section):
    """Where else a run's progress is shown. No result depends on it, so it is neither frozen nor hashed."""

    kind: Literal["none", "tensorboard"] = "none"
    """`tensorboard` writes event files while the run goes on; it needs the extra `tensorboard`."""
    folder: str | None = None
    """Event files go into this folder, under the run's name; null puts them into the run's own."""


def dynamic(budget: Budget, cycle: int) -> bool:
    """Whether `cycle` samples until enough candidates are admitted (paper, Section 3: from cycle 11)."""
    return budget.dynamic_from is not None and cycle >= budget.dynamic_from
