"""What is learnt of a corpus entry, and the order of an epoch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from llm import loss
from llm.batches import IGNORED, Example, collate, encode, epoch, windows
from llm.errors import WorkerError
from llm.model import load, prompt_ids
from tests.support import tiny_llm
from tests.support.tiny_llm import ENTRIES, spec


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llm.save(tmp_path_factory.mktemp("tiny") / "model")


# --- what is learnt -----------------------------------------------------------------------------------------------


def test_only_the_assistants_tokens_are_learnt_and_its_end_of_turn_is_one_of_them() -> None:
    words = tiny_llm.tokenizer()
    example = encode(ENTRIES[0], words, loss_on="assistant", max_length=300)
    batch = collate([example], pad=words.pad_token_id)
    learnt = batch.targets[batch.targets != IGNORED].tolist()
    assert words.decode(learnt) == "```python\nx = 1; \n```<|im_end|>\n"
    assert words.eos_token_id in learnt
    assert list(example.ids[: example.start]) == prompt_ids(words, ENTRIES[0].messages[:-1])


def test_each_target_is_the_token_that_follows_and_padding_is_never_learnt() -> None:
    words = tiny_llm.tokenizer()
    examples = [encode(one, words, loss_on="assistant", max_length=300) for one in ENTRIES]
    batch = collate(examples, pad=words.pad_token_id)
    assert batch.tokens == sum(len(example.ids) - example.start for example in examples)
    for row, example in enumerate(examples):
        for place, target in enumerate(batch.targets[row].tolist()):
            assert target in (IGNORED, example.ids[place + 1] if place + 1 < len(example.ids) else IGNORED)
        assert batch.attention[row].sum() == len(example.ids)


def test_all_tokens_are_learnt_where_the_switch_says_so() -> None:
    words = tiny_llm.tokenizer()
    example = encode(ENTRIES[0], words, loss_on="all", max_length=300)
    assert collate([example], pad=words.pad_token_id).tokens == len(example.ids) - 1


def test_an_entry_that_is_too_long_is_named_and_not_cut() -> None:
    with pytest.raises(WorkerError, match=r"corpus entry e4: \d+ tokens, but llm\.sft\.max_length is 20"):
        encode(ENTRIES[3], tiny_llm.tokenizer(), loss_on="assistant", max_length=20)


def test_a_template_that_renders_the_prompt_differently_is_refused() -> None:
    words = tiny_llm.tokenizer()
    words.chat_template = "{{ messages | length }}" + tiny_llm.TEMPLATE
    with pytest.raises(WorkerError, match="corpus entry e1: the chat template"):
        encode(ENTRIES[0], words, loss_on="assistant", max_length=300)


def test_a_chat_must_end_with_the_assistant() -> None:
    broken = ENTRIES[0].model_copy(update={"messages": ENTRIES[0].messages[:1]})
    with pytest.raises(WorkerError, match="corpus entry e1"):
        encode(broken, tiny_llm.tokenizer(), loss_on="assistant", max_length=300)


def test_the_head_at_chosen_positions_gives_the_loss_of_the_whole_head(folder: Path) -> None:
    loaded = load(spec(folder), folder)
    examples = [encode(one, loaded.tokenizer, loss_on="assistant", max_length=300) for one in ENTRIES]
    batch = collate(examples, pad=loaded.tokenizer.pad_token_id)
    assert loss.keeps_logits(loaded.model)
    chosen, whole = (
        loss.summed(loaded.model, batch, device=loaded.device, selective=selective) for selective in (True, False)
    )
    assert torch.allclose(chosen, whole, rtol=1e-5)


# --- order ---------------------------------------------------------------------------------------------------------


def test_an_epoch_holds_every_example_once_in_an_order_of_its_own() -> None:
    examples = [Example(entry_id=str(n), ids=tuple(range(2 + n % 7)), start=1) for n in range(50)]
    first, again, second = (epoch(examples, batch_size=4, seed=1, number=number) for number in (0, 0, 1))
    assert first == again != second
    assert sorted(int(one.entry_id) for batch in first for one in batch) == list(range(50))
    lengths = [[len(one.ids) for one in batch] for batch in first]
    assert sum(max(batch) * len(batch) - sum(batch) for batch in lengths) < 20


def test_windows_leave_nothing_out() -> None:
    batches = epoch([Example(entry_id=str(n), ids=(1, 2), start=1) for n in range(10)], batch_size=1, seed=1, number=0)
    assert [len(window) for window in windows(batches, size=4)] == [4, 4, 2]
