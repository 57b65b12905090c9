"""The one chat prompt of a run, and the answer that training shows to it (paper, Appendices C and I)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orchestrator.config import Config
from orchestrator.records import Message
from orchestrator.sections import AdmissionConfig, PromptConfig

Task = Literal["mnist", "fashion-mnist", "cifar10", "cifar100", "svhn"]


@dataclass(frozen=True)
class Description:
    """What a prompt says about an image classification task; images are (channels, height, width)."""

    title: str
    images: tuple[int, int, int]
    classes: int
    about: str


def description(task: Task, *, resolution: int) -> Description:
    """Return the words for `task`, whose images the protocol shows at `resolution`; MNIST's stay as they are."""
    images, given = (3, resolution, resolution), f"{resolution}x{resolution} RGB"
    match task:
        case "mnist":
            return Description("MNIST", (1, 28, 28), 10, "28x28 grayscale handwritten digits")
        case "fashion-mnist":
            return Description("Fashion-MNIST", images, 10, f"pictures of clothing, given as {given}")
        case "cifar10":
            return Description("CIFAR-10", images, 10, f"{given} photographs of objects and animals")
        case "cifar100":
            return Description("CIFAR-100", images, 100, f"{given} photographs of a hundred kinds of things")
        case "svhn":
            return Description("SVHN", images, 10, f"{given} photographs of house numbers")


def messages(
    prompt: PromptConfig, admission: AdmissionConfig, *, resolution: int, task: Task | None = None
) -> tuple[Message, ...]:
    """Return the system and user messages of `prompt`, or of the same prompt for another `task`.

    They depend on nothing but the configuration, so that no cycle sees another prompt than the first.
    """
    about = description(task or prompt.task, resolution=resolution)
    budget = admission.parameter_budget
    if prompt.style == "short":
        system, user = _SHORT_SYSTEM, _short(about, budget=budget, boilerplate=prompt.boilerplate)
    else:
        system, user = _SYSTEM, _full(about, budget=budget, boilerplate=prompt.boilerplate)
    return (Message(role="system", content=system), Message(role="user", content=user))


def asked(config: Config) -> tuple[Message, ...]:
    """Return the messages that every candidate of a run is sampled with."""
    return messages(config.prompt, config.admission, resolution=config.protocol.resolution)


def assistant(code: str) -> Message:
    """Return the answer that holds `code` as one fenced block, just as `extract` reads it."""
    return Message(role="assistant", content=_fenced(code))


def pair(
    code: str, *, prompt: PromptConfig, admission: AdmissionConfig, resolution: int, task: Task | None = None
) -> tuple[Message, ...]:
    """Return the whole chat that training reads: the prompt for `task` and `code` as its answer."""
    return (*messages(prompt, admission, resolution=resolution, task=task), assistant(code))


def infill(whole: tuple[Message, ...], cut: str) -> tuple[Message, ...]:
    """Return the chat `whole` with the program as `cut` shown in its prompt, to be answered with the program whole."""
    *before, user, answer = whole
    return (*before, Message(role="user", content=f"{user.content}\n\n{_INFILL}\n{_fenced(cut)}"), answer)


def _fenced(code: str) -> str:
    longest = max((_marks(line) for line in code.split("\n")), default=0)
    fence = "`" * max(3, longest + 1)
    ended = code if code.endswith("\n") else code + "\n"
    return f"{fence}python\n{ended}{fence}"


def _marks(line: str) -> int:
    bare = line.strip()
    return len(bare) if bare and not bare.strip("`") else 0


_SYSTEM = (
    "You are an expert designer of PyTorch architectures for image classification. Every network that you write is"
    " trained for exactly one epoch and judged by its validation accuracy after it. Design for fast early learning:"
    " sound initialisation, normalisation, sensible widths, cheap layers. Keep to the interface and to the limits that"
    " you are given, and look for structures that differ from the usual ones."
)

_SHORT_SYSTEM = "You design PyTorch networks that learn fast in one epoch."

_INFILL = "Complete this module: the body of one method is missing. Answer with the complete module."

_METHODS = """\
- `def supported_hyperparameters():` returns {{'lr', 'momentum'}}.
- `class Net(nn.Module)` has
  - `__init__(self, in_shape, out_shape, prm, device)`: `in_shape` is the shape of a batch, {shape}; `out_shape` is \
({classes},); `prm` is a dict with 'lr', 'momentum' and 'dropout'; `device` is a torch.device.
  - `forward(self, x)`: returns logits of shape (B, {classes}).
  - `train_setup(self, prm)`: makes the loss and an SGD optimizer from prm['lr'] and prm['momentum'].
  - `learn(self, train_data)`: trains over one pass of `train_data`, an iterable of (inputs, labels)."""

_METHODS_CORE = """\
- `class Net(nn.Module)` has
  - `__init__(self, in_shape, out_shape, prm, device)`: `in_shape` is the shape of a batch, {shape}; `out_shape` is \
({classes},); `prm` is a dict with 'lr', 'momentum' and 'dropout'; `device` is a torch.device.
  - `forward(self, x)`: returns logits of shape (B, {classes}).
- Write no training code: loss, optimizer and training loop are added for you."""

_FULL = """\
Design a neural network for {title} ({about}; {classes} classes).

Input: batches of shape {shape}. Output: logits of shape (B, {classes}).
{limit}
Interface, one Python module:
- It begins with `import torch` and `import torch.nn as nn`, and imports nothing else but the standard library.
{methods}

Rules: only standard convolution, pooling, normalisation and activation layers; no pretrained weights; no feature \
extractors from elsewhere; no data loading; nothing is downloaded, read or written.

Answer with the complete module in one ```python block and nothing else."""


def _full(about: Description, *, budget: int | None, boilerplate: bool) -> str:
    shape = _shape(about)
    limit = "" if budget is None else f"At most {budget:,} trainable parameters, light enough for an edge device.\n"
    methods = (_METHODS if boilerplate else _METHODS_CORE).format(shape=shape, classes=about.classes)
    return _FULL.format(
        title=about.title, about=about.about, classes=about.classes, shape=shape, limit=limit, methods=methods
    )


def _short(about: Description, *, budget: int | None, boilerplate: bool) -> str:
    parts = "__init__ and forward"
    if boilerplate:
        parts = "supported_hyperparameters, __init__, forward, train_setup and learn"
    limit = "" if budget is None else f" At most {budget:,} parameters."
    return (
        f"Write a new class Net(nn.Module) for {about.title}: in_shape {_shape(about)}, {about.classes} classes."
        f"{limit} Give {parts} in one python block."
    )


def _shape(about: Description) -> str:
    return f"(B, {', '.join(str(size) for size in about.images)})"
