"""A causal LM of a few thousand random parameters with a byte-level tokenizer and a ChatML template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.modeling_outputs import CausalLMOutputWithPast

from llm.model import Loaded
from orchestrator.records import Entry, Message, ModelSpec, digest

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte; end of turn and padding share a token, as they do in SmolLM2."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(letters)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    marks = {"eos_token": "<|im_end|>", "pad_token": "<|im_end|>", "additional_special_tokens": ["<|im_start|>"]}
    made = PreTrainedTokenizerFast(tokenizer_object=core, **marks)
    made.chat_template = TEMPLATE
    return made


def save(folder: Path) -> Path:
    """Write the tiny model and its tokenizer where `from_pretrained` finds them."""
    torch.manual_seed(0)
    words = tokenizer()
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        bos_token_id=None,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


class Scripted(torch.nn.Module):
    """A model whose next token depends on its position alone: `script[n]` holds what may follow n generated tokens."""

    def __init__(self, words: PreTrainedTokenizerFast, script: list[list[str]], prompt_tokens: int) -> None:
        super().__init__()
        self.config = LlamaConfig(vocab_size=len(words), max_position_embeddings=4096)
        self.generation_config = type("Generation", (), {"eos_token_id": words.eos_token_id})()
        self.rows_seen: list[int] = []
        self._script = [[words.convert_tokens_to_ids(part) for part in parts] for parts in script]
        self._prompt = prompt_tokens

    def forward(self, *, input_ids: torch.Tensor, past_key_values: Any = None, **_: object) -> CausalLMOutputWithPast:
        cache = past_key_values or DynamicCache()
        rows, length = input_ids.shape
        self.rows_seen.append(rows)
        cache.update(torch.zeros(rows, 1, length, 1), torch.zeros(rows, 1, length, 1), 0)
        place = min(cache.get_seq_length() - self._prompt, len(self._script) - 1)
        logits = torch.full((rows, 1, self.config.vocab_size), -1e9)
        logits[:, :, self._script[place]] = 0.0
        return CausalLMOutputWithPast(logits=logits, past_key_values=cache)


def scripted(script: list[list[str]], *, prompt_tokens: int) -> Loaded:
    """Return a loaded model that writes `script`."""
    words = tokenizer()
    return Loaded(model=Scripted(words, script, prompt_tokens), tokenizer=words, device=torch.device("cpu"), base="-")


def spec(folder: Path) -> ModelSpec:
    """Name the tiny model in `folder`, on one thread."""
    return ModelSpec(source=str(folder), dtype="float32", device="cpu", threads=1)


def entry(number: int, answer: str) -> Entry:
    """Make a corpus entry of one question and `answer`."""
    messages = (Message(role="user", content="Write."), Message(role="assistant", content=answer))
    return Entry(
        entry_id=f"e{number}",
        origin="test",
        task="cifar10",
        source=digest(answer.encode()),
        shingles=digest(b""),
        accuracy=None,
        protocol=None,
        messages=messages,
    )


ENTRIES = [entry(number, f"```python\n{'x = 1; ' * number}\n```") for number in range(1, 5)]
