"""What a network computes, as one digest: it watches the one forward pass that runs anyway, and changes nothing of it.

Two programs with the same fingerprint executed the same operations on the same shapes, with the same connections and
the same shapes of parameters. What shows in training only, such as another loss, a branch on `self.training` or a
dropout that is called as a function, is not seen; nor are the values of weights and constants.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import torch
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode

from sandbox_image.tape import Tape, Unseen


class Fingerprint:
    """Watches what is executed inside its `with` block, on the way from `images`; whatever fails in it stays in it."""

    def __init__(self, images: torch.Tensor) -> None:
        self._tape: Tape | None = None
        self._watch: Watch | None = None
        self._hook: Any = None
        try:
            self._tape = Tape(images)
        except BaseException:
            self._tape = None

    def __enter__(self) -> Self:
        """Begin to watch the operations and modules of this thread."""
        if self._tape is not None:
            try:
                self._hook = register_module_forward_pre_hook(self._tape.enter)
                self._watch = Watch(self._tape)
                self._watch.__enter__()
            except BaseException:
                self._tape.stop()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop watching; a watch that the program has buried under one of its own stays there and does nothing."""
        try:
            if self._tape is not None:
                self._tape.watching = False
            if self._hook is not None:
                self._hook.remove()
            if self._watch is not None and _get_current_dispatch_mode() is self._watch:
                self._watch.__exit__(kind, error, traceback)
        except BaseException:
            self._tape = None

    def claim(self, result: object) -> dict[str, Any]:
        """Return the fingerprint of what led to `result`, executed layers and operations; nothing if there is none.

        A layer is a module without children of its own.
        """
        try:
            with Unseen():
                return {} if self._tape is None else self._tape.claim(result)
        except BaseException:
            return {}


class Watch(TorchDispatchMode):
    """Shows every operation to a tape on its way."""

    supports_higher_order_operators = True

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep torch from wrapping the method below into something that imports its compiler."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Execute the operation as if nobody watched."""
        del types
        kwargs = kwargs or {}
        read = self._tape.before(args, kwargs)
        result = func(*args, **kwargs)
        if read is not None:
            self._tape.after(func, (args, kwargs), read, result)
        return result
