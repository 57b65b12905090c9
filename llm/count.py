"""The counting worker: says how many tokens of the model's own texts and chats have; no weights are loaded."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import transformers

from llm.errors import LoadError, WorkerError
from llm.stream import Output, read_job, run
from orchestrator.records import Counted, CountJob

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.records import Message, ModelSpec


def load_tokenizer(spec: ModelSpec) -> Any:
    """Load the tokenizer alone of the model that `spec` names; out of a GGUF file it takes seconds.

    Raises:
        LoadError: the source holds no tokenizer that can be loaded.
    """
    source = Path(spec.source)
    names = {"pretrained_model_name_or_path": spec.source, "revision": spec.revision}
    if source.is_file():
        names = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    try:
        return transformers.AutoTokenizer.from_pretrained(**names)
    except (OSError, ValueError, struct.error) as error:
        raise LoadError(f"llm.model.source {spec.source}: its tokenizer cannot be loaded: {error}") from error


def count(tokenizer: Any, texts: Sequence[str]) -> tuple[int, ...]:
    """Return how many tokens each text has; none is added at its ends."""
    if not texts:
        return ()
    return tuple(len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"])


def count_chats(tokenizer: Any, chats: Sequence[Sequence[Message]]) -> tuple[int, ...]:
    """Return how many tokens each chat has with the model's template.

    Raises:
        WorkerError: the tokenizer has none.
    """
    if chats and not tokenizer.chat_template:
        raise WorkerError("llm.model.source: its tokenizer has no chat template; use an instruct model")
    return tuple(len(whole_ids(tokenizer, chat)) for chat in chats)


def whole_ids(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Return the tokens of a whole chat, the assistant's turn included."""
    turns = [{"role": message.role, "content": message.content} for message in messages]
    return list(tokenizer.apply_chat_template(turns, tokenize=True, return_dict=True)["input_ids"])


def main(arguments: list[str], output: Output) -> None:
    """Read a CountJob from stdin and write one Counted record to `output`."""
    job = read_job(CountJob, arguments)
    tokenizer = load_tokenizer(job.model)
    output.write(Counted(tokens=count(tokenizer, job.texts) + count_chats(tokenizer, job.chats)))


if __name__ == "__main__":
    run(main)
