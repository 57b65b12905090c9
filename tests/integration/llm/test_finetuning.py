"""Fine-tuning learns the assistant's tokens and nothing else, divides by tokens, and repeats itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM, PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from llm import lora, loss
from llm.batches import collate, encode
from llm.errors import WorkerError
from llm.finetune import prepare, steps
from llm.generate import prefill, sample
from llm.model import attach, load, prompt_ids
from orchestrator.errors import InfrastructureError
from orchestrator.language_model import LlmTrainer
from orchestrator.records import (
    Adapter,
    Decoding,
    Entry,
    FinetuneJob,
    FinetuneStep,
    GenerationChunk,
    LoraSpec,
    SftSpec,
    digest,
)
from tests.support import tiny_llm
from tests.support.tiny_llm import ENTRIES, entry, spec

LORA = LoraSpec(r=4, alpha=8, dropout=0.0, layers=None)
SFT = SftSpec(epochs=2, learning_rate=1e-2, warmup_steps=1, max_length=300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llm.save(tmp_path_factory.mktemp("tiny") / "model")


def job(folder: Path, sft: SftSpec, *, lora: LoraSpec = LORA, seed: int = 5) -> FinetuneJob:
    return FinetuneJob(
        model=spec(folder), adapter=None, corpus="-", lora=lora, sft=sft, seed=seed, output="-", cache=str(folder)
    )


def train(job: FinetuneJob, entries: list[Entry] = ENTRIES) -> tuple[list[FinetuneStep], torch.Tensor]:
    """Return the steps and all trained weights as one vector."""
    training, loaded, _ = prepare(job, entries)
    done = list(steps(training))
    weights = [parameter for parameter in loaded.model.parameters() if parameter.requires_grad]
    return done, torch.cat([parameter.detach().flatten() for parameter in weights])


# --- training ------------------------------------------------------------------------------------------------------


def test_one_batch_of_four_is_four_batches_of_one(folder: Path) -> None:
    wide, wide_weights = train(job(folder, SFT.model_copy(update={"batch_size": 4, "accumulation": 1})))
    deep, deep_weights = train(job(folder, SFT.model_copy(update={"batch_size": 1, "accumulation": 4})))
    assert [step.tokens for step in wide] == [step.tokens for step in deep]
    assert [step.loss for step in wide] == pytest.approx([step.loss for step in deep], rel=1e-5)
    assert torch.allclose(wide_weights, deep_weights, atol=1e-5)


def test_the_loss_of_a_step_is_the_mean_over_its_tokens(folder: Path) -> None:
    loaded = load(spec(folder), folder)
    done, _ = train(job(folder, SFT.model_copy(update={"epochs": 1})))
    examples = [encode(one, loaded.tokenizer, loss_on="assistant", max_length=300) for one in ENTRIES]
    batch = collate(examples, pad=loaded.tokenizer.pad_token_id)
    expected = loss.summed(loaded.model, batch, device=loaded.device, selective=False) / batch.tokens
    assert done[0].loss == pytest.approx(expected.item(), rel=1e-5)


def test_training_lowers_the_loss(folder: Path) -> None:
    done, _ = train(job(folder, SFT.model_copy(update={"epochs": 12})))
    assert done[-1].loss < 0.7 * done[0].loss


def test_the_same_seed_gives_the_same_weights_and_another_does_not(folder: Path) -> None:
    dropping = LORA.model_copy(update={"dropout": 0.2})
    _, first = train(job(folder, SFT, lora=dropping))
    _, again = train(job(folder, SFT, lora=dropping))
    _, other = train(job(folder, SFT, lora=dropping, seed=6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_layers_beyond_the_model_are_left_out_and_a_range_outside_it_is_refused() -> None:
    assert lora.layers(LoraSpec(layers=(0, 23)), count=2) == [0, 1]
    assert lora.layers(LoraSpec(layers=(1, 1)), count=2) == [1]
    assert lora.layers(LoraSpec(layers=None), count=2) is None
    with pytest.raises(WorkerError, match=r"llm\.lora\.layers 5-9"):
        lora.layers(LoraSpec(layers=(5, 9)), count=2)


def test_targets_that_the_model_lacks_are_named(folder: Path) -> None:
    with pytest.raises(WorkerError, match=r"llm\.lora\.targets c_attn"):
        train(job(folder, SFT, lora=LORA.model_copy(update={"targets": ("c_attn",)})))


def test_gradient_checkpointing_changes_memory_and_not_the_result(folder: Path) -> None:
    _, plain = train(job(folder, SFT))
    _, checkpointed = train(job(folder, SFT.model_copy(update={"gradient_checkpointing": True})))
    assert torch.allclose(plain, checkpointed, atol=1e-6)


# --- the worker ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Adapter, Path, list[FinetuneStep]]:
    output = tmp_path_factory.mktemp("run") / "adapter"
    seen: list[FinetuneStep] = []
    trainer = LlmTrainer(
        model=spec(folder), lora=LORA, sft=SFT, cache=output.parent, log=output.parent / "log", on_step=seen.append
    )
    return trainer.train(entries=ENTRIES, adapter=None, output=output, seed=5), output, seen


def test_the_worker_trains_what_the_functions_train(
    folder: Path, trained: tuple[Adapter, Path, list[FinetuneStep]]
) -> None:
    adapter, output, seen = trained
    done, _ = train(job(folder, SFT))
    assert adapter.loss == tuple(step.loss for step in done) == tuple(step.loss for step in seen)
    assert (adapter.entries, adapter.steps, adapter.optimizer) == (4, 2, "adamw")
    assert adapter.weights == digest((output / "adapter_model.safetensors").read_bytes())
    assert sorted(path.name for path in output.parent.iterdir()) == ["adapter", "log"]
    assert "AdamW of torch in place of paged_adamw_8bit" in (output.parent / "log").read_text()


def test_the_adapter_is_pefts_own_and_finds_its_base_model(
    folder: Path, trained: tuple[Adapter, Path, list[FinetuneStep]]
) -> None:
    _, output, _ = trained
    config = json.loads((output / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(folder)
    ids = torch.tensor([[5, 6, 7]])
    base = AutoModelForCausalLM.from_pretrained(folder).eval()
    before = base(ids).logits
    wrapped = PeftModel.from_pretrained(base, str(output)).eval()(ids).logits
    found = AutoPeftModelForCausalLM.from_pretrained(str(output)).eval()(ids).logits
    merged = attach(load(spec(folder), folder), output, trainable=False).model(ids).logits
    assert not torch.allclose(before, wrapped, atol=1e-3)
    assert torch.equal(wrapped, found)
    assert torch.allclose(wrapped, merged, atol=1e-5)


def test_half_precision_keeps_the_adapter_beside_the_weights_and_generates_with_it(
    folder: Path, trained: tuple[Adapter, Path, list[FinetuneStep]]
) -> None:
    half = spec(folder).model_copy(update={"dtype": "bfloat16"})
    loaded = attach(load(half, folder), trained[1], trainable=False)
    assert isinstance(loaded.model, PeftModel)
    assert not loaded.model.training
    chunk = GenerationChunk(index=0, size=3, seed=1)
    with torch.inference_mode():
        prefix = prefill(loaded, prompt_ids(loaded.tokenizer, ENTRIES[0].messages[:-1]))
        rows = list(sample(loaded, prefix, decoding=Decoding(max_new_tokens=8), chunk=chunk))
    assert sorted(row.row for row in rows) == [0, 1, 2]


def test_training_goes_on_from_an_adapter(folder: Path, trained: tuple[Adapter, Path, list[FinetuneStep]]) -> None:
    _, output, seen = trained
    going_on = job(folder, SFT).model_copy(update={"adapter": str(output)})
    done, _ = train(going_on)
    assert done[0].loss < seen[0].loss


def test_a_long_entry_ends_the_worker_with_its_name(folder: Path, tmp_path: Path) -> None:
    trainer = LlmTrainer(model=spec(folder), lora=LORA, sft=SFT, cache=tmp_path, log=tmp_path / "log")
    with pytest.raises(InfrastructureError, match="corpus entry e9"):
        trainer.train(entries=[entry(9, "x" * 400)], adapter=None, output=tmp_path / "adapter", seed=1)
    assert not (tmp_path / "adapter").exists()


LAUNCHERS = {
    1: ("accelerate.commands.launch", "--cpu", "--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no"),
    2: ("torch.distributed.run", "--standalone"),  # what `accelerate launch --multi_gpu` starts by itself
}


@pytest.mark.parametrize("processes", LAUNCHERS)
def test_a_launcher_with_any_number_of_processes_trains_what_one_trains(
    folder: Path, tmp_path: Path, processes: int
) -> None:
    """Five entries in steps of four leave one of two processes without a micro-batch at the end of an epoch."""
    entries = [*ENTRIES, entry(5, "y = 2")]
    one, alone = train(job(folder, SFT), entries)
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(entry.model_dump_json() + "\n" for entry in entries))
    shared = job(folder, SFT).model_copy(update={"corpus": str(corpus), "output": str(tmp_path / "adapter")})
    count = "--num_processes" if processes == 1 else "--nproc_per_node"
    command = [sys.executable, "-m", *LAUNCHERS[processes], count, str(processes), "--module", "llm.finetune"]
    done = subprocess.run(command, input=shared.model_dump_json(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    adapter = Adapter.model_validate_json(done.stdout.splitlines()[-1])
    assert adapter.loss == pytest.approx([step.loss for step in one], rel=1e-4)
    saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert sum(weight.numel() for weight in saved.values()) == alone.numel()
    assert sum(float(weight.square().sum()) for weight in saved.values()) == pytest.approx(
        float(alone.square().sum()), rel=1e-4
    )
