"""Makes `torch.compile` do nothing: the image has no C++ compiler, and importing torch's own takes many seconds."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import torch


def replace_compiler() -> None:
    """Let `torch.compile` return what it is given, as a function and as a decorator, and say so once to stderr."""
    os.environ["TORCHDYNAMO_DISABLE"] = os.environ["TORCH_COMPILE_DISABLE"] = "1"  # for who goes around it
    said: list[bool] = []

    def uncompiled(model: Any = None, *args: Any, **options: Any) -> Any:
        """Return `model` as it is."""
        del args, options
        if not said:
            said.append(True)
            sys.stderr.write("torch.compile does nothing here: the network runs as it is written\n")
        return _itself if model is None else model

    compiler: Callable[..., Any] = uncompiled
    torch.compile = compiler


def _itself(model: Any) -> Any:
    return model
