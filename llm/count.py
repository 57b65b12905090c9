"""The counting worker: says how many tokens of the model's own each text has; no weights are loaded."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import transformers

from llm.errors import WorkerError
from llm.stream import Output, read_job, run
from orchestrator.records import Counted, CountJob

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.records import ModelSpec


def load_tokenizer(spec: ModelSpec) -> Any:
    """Load the tokenizer alone of the model that `spec` names; out of a GGUF file it takes seconds.

    Raises:
        WorkerError: the source holds no tokenizer that can be loaded.
    """
    source = Path(spec.source)
    names = {"pretrained_model_name_or_path": spec.source, "revision": spec.revision}
    if source.is_file():
        names = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    try:
        return transformers.AutoTokenizer.from_pretrained(**names)
    except (OSError, ValueError, struct.error) as error:
        raise WorkerError(f"llm.model.source {spec.source}: its tokenizer cannot be loaded: {error}") from error


def count(tokenizer: Any, texts: Sequence[str]) -> tuple[int, ...]:
    """Return how many tokens each text has; none is added at its ends."""
    if not texts:
        return ()
    return tuple(len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"])


def main(arguments: list[str], output: Output) -> None:
    """Read a CountJob from stdin and write one Counted record to `output`."""
    job = read_job(CountJob, arguments)
    output.write(Counted(tokens=count(load_tokenizer(job.model), job.texts)))


if __name__ == "__main__":
    run(main)
