"""A causal LM with its tokenizer, loaded from a Hugging Face id, a local folder or a GGUF file."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

from llm.errors import LoadError, WorkerError
from llm.stream import say
from orchestrator.records import file_digest

if TYPE_CHECKING:
    from orchestrator.records import Message, ModelSpec

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Loaded:
    """A model in evaluation mode on its device; `base` is the id or folder under which others can load it."""

    model: Any
    tokenizer: Any
    device: torch.device
    base: str


def load(spec: ModelSpec, cache: Path) -> Loaded:
    """Load the model and tokenizer that `spec` names and say on stderr what runs where.

    Raises:
        WorkerError: the source cannot be loaded, has no chat template, or asks for a device that is not there.
    """
    device = pick_device(spec)
    set_threads(spec)
    source = Path(spec.source)
    revision = spec.revision
    if source.is_file():
        base, revision = str(safetensors_copy(source, cache=cache, dtype=spec.dtype)), None
    else:
        base = str(source.resolve()) if source.is_dir() else spec.source
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(base, revision=revision)
        model = transformers.AutoModelForCausalLM.from_pretrained(base, revision=revision, dtype=DTYPES[spec.dtype])
    except (OSError, ValueError) as error:
        raise LoadError(f"llm.model.source {spec.source}: cannot be loaded: {error}") from error
    if not tokenizer.chat_template:
        raise WorkerError(f"llm.model.source {spec.source}: its tokenizer has no chat template; use an instruct model")
    model.to(device).eval()
    say(f"model {spec.source}: {model.num_parameters() / 1e6:.1f} M parameters, {describe(device, spec.dtype)}")
    return Loaded(model=model, tokenizer=tokenizer, device=device, base=base)


def attach(loaded: Loaded, adapter: Path, *, trainable: bool) -> Loaded:
    """Put a PEFT adapter on the model: merged into the weights if it is not trained on and they have full precision.

    Merging makes generation about a tenth faster. Half precision has no room for it: rounding the sum would change a
    small adapter beyond recognition (of deltas a two-hundredth of the weights', a third is lost in bfloat16).

    Raises:
        WorkerError: the folder holds no adapter that fits the model.
    """
    from peft import PeftModel  # costs seconds to import, and a run without an adapter does not need it

    try:
        wrapped = PeftModel.from_pretrained(loaded.model, str(adapter), is_trainable=trainable)
    except (OSError, ValueError, RuntimeError) as error:
        raise WorkerError(f"adapter {adapter}: cannot be put on {loaded.base}: {error}") from error
    merged = not trainable and loaded.model.dtype == torch.float32
    model = wrapped.merge_and_unload() if merged else wrapped.eval() if not trainable else wrapped
    use = "training continues from it" if trainable else "merged into the weights" if merged else "beside the weights"
    say(f"adapter {adapter}: {use}")
    return Loaded(model=model, tokenizer=loaded.tokenizer, device=loaded.device, base=loaded.base)


def pick_device(spec: ModelSpec) -> torch.device:
    """Return the device that `spec` asks for; `auto` is CUDA if there is a usable GPU, else the CPU.

    Under a distributed launch each process gets the GPU of its local rank.
    """
    available = torch.cuda.is_available()
    if spec.device == "cuda" and not available:
        raise WorkerError("llm.model.device is cuda, but torch sees no GPU: set it to auto or cpu, or mend the driver")
    if spec.device == "cpu" or not available:
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def set_threads(spec: ModelSpec) -> None:
    """Fix the number of CPU threads if `spec` states it: sums differ in their last bits between counts."""
    if spec.threads is not None:
        torch.set_num_threads(spec.threads)


def be_deterministic() -> None:
    """Choose deterministic kernels if torch has them; cuBLAS needs its workspace fixed before the first call."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    transformers.utils.logging.disable_progress_bar()


def describe(device: torch.device, dtype: str) -> str:
    """Return the device and number format in words, with a warning if the pair is known to be slow."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device}), {dtype}"
    slow = "" if dtype == "float32" else " (several times slower than float32 on most CPUs)"
    return f"CPU with {torch.get_num_threads()} threads, {dtype}{slow}"


def prompt_ids(tokenizer: Any, messages: tuple[Message, ...]) -> list[int]:
    """Return the tokens of a chat up to where the assistant begins to write."""
    turns = [{"role": message.role, "content": message.content} for message in messages]
    encoding = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=True)
    return list(encoding["input_ids"])


def safetensors_copy(source: Path, *, cache: Path, dtype: str) -> Path:
    """Return a folder with the dequantized weights of a GGUF file in safetensors, made once.

    It is named by the file's content, the version of transformers that unpacked it and the number format. A GGUF
    file takes tens of seconds to unpack, the copy a second to load; both hold the same bits.
    """
    content = file_digest(source)
    folder = cache / "models" / f"{source.stem}-{content[:16]}-transformers-{transformers.__version__}-{dtype}"
    if folder.is_dir():
        return folder.resolve()
    say(f"model {source.name}: unpacking the GGUF file once, into {folder}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix="unpack-"))
    try:
        _unpack(source, scratch, dtype=dtype)
        _settle(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder.resolve()


def _unpack(source: Path, target: Path, *, dtype: str) -> None:
    names = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(**names)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            **names, dtype=DTYPES[dtype], quantization_config=transformers.GgufConfig(dequantize=True)
        )
    except (OSError, ValueError, struct.error) as error:
        raise WorkerError(f"llm.model.source {source}: cannot be read as a GGUF model: {error}") from error
    _unmark(model)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _unmark(model: Any) -> None:
    """Remove what says that the weights are quantized: they no longer are, and saving would be refused."""
    for name in ("hf_quantizer", "quantization_method", "is_quantized"):
        if name in vars(model):
            delattr(model, name)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


def _settle(scratch: Path, folder: Path) -> None:
    scratch.chmod(0o755)
    try:
        scratch.rename(folder)
    except OSError:
        if not folder.is_dir():  # another process that made the same copy first is welcome
            raise
