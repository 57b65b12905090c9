"""Generation repeats itself, stops where the code ends, and is what the model says without a cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from llm.errors import WorkerError
from llm.generate import prefill, sample
from llm.model import Loaded, load, prompt_ids
from llm.sampling import Sampler
from orchestrator.errors import InfrastructureError
from orchestrator.language_model import LlmGenerator
from orchestrator.records import Decoding, GenerationChunk, Message, ModelSpec, Sampled
from tests.support import tiny_llm

MESSAGES = (Message(role="user", content="Write."),)
CHUNKS = (GenerationChunk(index=0, size=4, seed=11), GenerationChunk(index=1, size=3, seed=12))
DECODING = Decoding(temperature=0.9, top_k=20, top_p=0.95, max_new_tokens=24)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llm.save(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Loaded:
    return load(ModelSpec(source=str(folder), dtype="float32", device="cpu", threads=1), folder)


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def texts(loaded: Loaded, decoding: Decoding, chunk: GenerationChunk, ids: list[int] | None = None) -> list[Sampled]:
    prefix = prefill(loaded, ids or prompt_ids(loaded.tokenizer, MESSAGES))
    rows = sorted(sample(loaded, prefix, decoding=decoding, chunk=chunk), key=lambda one: one.row)
    return [row.model_copy(update={"seconds": 0.0}) for row in rows]


def test_a_chunk_redone_alone_gives_the_same_rows(loaded: Loaded) -> None:
    prefix = prefill(loaded, prompt_ids(loaded.tokenizer, MESSAGES))
    together = [one.text for chunk in CHUNKS for one in sample(loaded, prefix, decoding=DECODING, chunk=chunk)]
    alone = [one.text for chunk in CHUNKS for one in texts(loaded, DECODING, chunk)]
    assert sorted(together) == sorted(alone)
    assert len(set(alone)) > 4


def test_another_seed_gives_other_rows(loaded: Loaded) -> None:
    other = CHUNKS[0].model_copy(update={"seed": 99})
    assert texts(loaded, DECODING, CHUNKS[0]) != texts(loaded, DECODING, other)


def test_temperature_zero_is_what_the_model_finds_likeliest_without_any_cache(loaded: Loaded) -> None:
    greedy = Decoding(temperature=0.0, max_new_tokens=80)  # more than the cache has room for at once
    ids = prompt_ids(loaded.tokenizer, MESSAGES)
    prompt = len(ids)
    for _ in range(80):
        ids.append(int(loaded.model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    expected = loaded.tokenizer.decode(ids[prompt:], skip_special_tokens=True)
    rows = texts(loaded, greedy, GenerationChunk(index=0, size=3, seed=1))
    assert [row.text for row in rows] == [expected] * 3


@pytest.mark.parametrize(
    ("top_k", "top_p", "temperature"), [(20, 0.9, 0.5), (0, 0.8, 1.3), (50, 1.0, 0.2), (999, 0.5, 1.0)]
)
def test_sampling_has_the_distribution_of_the_usual_warpers(top_k: int, top_p: float, temperature: float) -> None:
    logits = torch.randn(6, 200, generator=torch.Generator().manual_seed(3)) * 3
    warpers = LogitsProcessorList([TemperatureLogitsWarper(temperature)])
    warpers += [TopKLogitsWarper(min(top_k, 200))] if top_k else []
    warpers += [TopPLogitsWarper(top_p)] if top_p < 1 else []
    expected = warpers(torch.zeros(6, 1, dtype=torch.long), logits.clone()).softmax(dim=-1)
    decoding = Decoding(temperature=temperature, top_k=top_k, top_p=top_p)
    ids, probabilities = Sampler(decoding, seed=0, device=torch.device("cpu")).distribution(logits)
    assert torch.allclose(torch.zeros_like(logits).scatter(1, ids, probabilities), expected, atol=1e-6)


PROGRAM = (
    "```\nimport torch\nclass Net(torch.nn.Module):\n def __init__(self, a, b, c, d):\n  pass\n"
    " def forward(self, x):\n  return x\n```"
)
ROOM = DECODING.model_copy(update={"max_new_tokens": 400})


def written(text: str, *, prompt: str) -> list[tuple[str, str | None, int]]:
    """What rows hold whose model writes `text` after `prompt`, and would go on."""
    words = tiny_llm.tokenizer()
    ids = [*map(int, words(prompt)["input_ids"])]
    script = [[letter] for letter in words.tokenize(text)] + [["x"]]
    rows = texts(tiny_llm.scripted(script, prompt_tokens=len(ids)), ROOM, CHUNKS[1], ids=ids)
    return [(row.text, row.finish, row.tokens) for row in rows]


def test_a_row_ends_at_the_fence_that_closes_a_program() -> None:
    assert set(written(PROGRAM, prompt="a")) == {(PROGRAM, "code", len(PROGRAM))}


def test_a_row_goes_on_after_a_block_that_holds_no_program() -> None:
    text = f"```\nx\n```\n{PROGRAM}"
    assert set(written(text, prompt="a")) == {(text, "code", len(text))}


def test_a_row_does_not_end_in_reasoning_that_the_prompt_opened() -> None:
    text = f"{PROGRAM}\n</think>\n{PROGRAM}"
    assert set(written(text, prompt="<think>\n")) == {(text, "code", len(text))}


def test_a_fence_that_the_prompt_left_open_does_not_end_a_row() -> None:
    open_prompt = [*map(int, tiny_llm.tokenizer()("```python\n")["input_ids"])]
    script = [[letter] for letter in "x=1Ċ```Ċ```"] + [["x"]]
    model = tiny_llm.scripted(script, prompt_tokens=len(open_prompt))
    rows = texts(model, DECODING.model_copy(update={"max_new_tokens": 7}), CHUNKS[1], ids=open_prompt)
    assert {(row.text, row.finish) for row in rows} == {("x=1\n```", "length")}


def test_a_row_ends_at_the_end_of_its_turn_and_the_mark_is_not_in_its_text() -> None:
    rows = texts(tiny_llm.scripted([["a"], ["b"], ["<|im_end|>"]], prompt_tokens=1), DECODING, CHUNKS[0], ids=[1])
    assert {(row.text, row.finish, row.tokens) for row in rows} == {("ab", "eos", 3)}


def test_ended_rows_leave_the_batch_and_the_others_go_on() -> None:
    script = [["a", "<|im_end|>"]] * 6 + [["z"], ["<|im_end|>"]]
    model = tiny_llm.scripted(script, prompt_tokens=1)
    decoding = Decoding(temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=50)
    rows = texts(model, decoding, GenerationChunk(index=0, size=16, seed=5), ids=[1])
    assert [row.row for row in rows] == list(range(16))
    assert len({row.tokens for row in rows}) > 2
    batches = model.model.rows_seen[1:]
    assert batches == sorted(batches, reverse=True)
    assert batches[0] < 16
    assert sum(batches) == sum(row.tokens - 1 for row in rows)


def test_a_row_gets_no_more_tokens_than_the_context_holds(loaded: Loaded) -> None:
    ids = [1] * 505
    greedy = Decoding(temperature=0.0, max_new_tokens=50)
    rows = texts(loaded, greedy, GenerationChunk(index=0, size=1, seed=1), ids=ids)
    assert rows[0].tokens <= 7
    with pytest.raises(WorkerError, match="shorten it"):
        texts(loaded, DECODING, CHUNKS[0], ids=[1] * 512)


def test_the_worker_gives_the_same_texts_twice(folder: Path, loaded: Loaded, tmp_path: Path) -> None:
    made = LlmGenerator(
        model=ModelSpec(source=str(folder), dtype="float32", device="cpu", threads=1),
        decoding=DECODING,
        cache=tmp_path,
        log=tmp_path / "log",
    )
    rows = list(made.generate(adapter=None, messages=MESSAGES, chunks=CHUNKS))
    again = [one.model_copy(update={"seconds": 0.0}) for one in rows]
    expected = [one for chunk in CHUNKS for one in texts(loaded, DECODING, chunk)]
    assert sorted(again, key=lambda one: (one.chunk, one.row)) == expected


def test_a_folder_that_holds_no_model_is_named(tmp_path: Path) -> None:
    spec = ModelSpec(source=str(tmp_path), dtype="float32", device="cpu")
    made = LlmGenerator(model=spec, decoding=DECODING, cache=tmp_path, log=tmp_path / "log")
    with pytest.raises(InfrastructureError, match=f"llm.model.source {tmp_path}"):
        list(made.generate(adapter=None, messages=MESSAGES, chunks=CHUNKS))
