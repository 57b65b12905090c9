"""What happened on the way from a batch of images to the logits, noted by storages while a network is executed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.parameter import Parameter, UninitializedBuffer, UninitializedParameter

from sandbox_image.graph import PLAIN, Graph, GraphError, Use

DROPOUTS = frozenset(
    (
        torch.nn.Dropout,
        torch.nn.Dropout1d,
        torch.nn.Dropout2d,
        torch.nn.Dropout3d,
        torch.nn.AlphaDropout,
        torch.nn.FeatureAlphaDropout,
    )
)
WORDS = frozenset((torch.dtype, torch.memory_format, torch.layout))
NAMELESS = frozenset((torch.device, torch.Generator, UninitializedParameter, UninitializedBuffer))
Unseen = torch._C.DisableTorchFunction  # noqa: SLF001 - a program's own modes are not to learn what is looked at


@dataclass
class Content:
    """What a storage holds: a result, laid out as `whole`, or a leaf. The reference keeps its address from others."""

    use: Use
    whole: tuple[Any, ...]
    leaf: bool
    reference: StorageWeakRef


class Tape:
    """Notes operations by the storages that they read and write, so that views and changes in place are seen through.

    Nothing is kept alive by it.
    """

    def __init__(self, images: torch.Tensor) -> None:
        self.watching = True
        self._whole = True
        self._graph = Graph()
        self._contents: dict[int, Content] = {}
        self._written: dict[Any, tuple[str, tuple[tuple[int, str], ...]]] = {}
        self._layers: set[int] = set()
        self._leaf(images, "images")

    def stop(self) -> None:
        """Give up: there will be no fingerprint."""
        self.watching = self._whole = False
        self._graph, self._contents, self._written, self._layers = Graph(), {}, {}, set()

    def claim(self, result: object) -> dict[str, Any]:
        """Return what is claimed of the forward pass that gave `result`."""
        if not self._whole or type(result) is not torch.Tensor:
            return {}
        digest, operations = self._graph.digest(self._use(result))
        return {"fingerprint": digest, "layers": len(self._layers), "operations": operations}

    def enter(self, module: torch.nn.Module, inputs: Any) -> None:
        """Note a module that is about to be executed; a dropout counts, although it does nothing here."""
        if not self.watching:
            return
        try:
            with Unseen():
                self._enter(module, inputs)
        except BaseException:
            self.stop()

    def before(self, args: Any, kwargs: Any) -> tuple[Any, ...] | None:
        """Return what an operation is about to read."""
        if not self.watching:
            return None
        try:
            with Unseen():
                named = tuple((name, self._plain(kwargs[name])) for name in sorted(kwargs))
                return (*(self._plain(one) for one in args), *named)
        except BaseException:
            self.stop()
            return None

    def after(self, func: Any, given: tuple[Any, Any], read: tuple[Any, ...], result: Any) -> None:
        """Note an operation that was executed, and which storages hold its results now."""
        try:
            with Unseen():
                self._note(func, given, read, result)
        except BaseException:
            self.stop()

    def _enter(self, module: torch.nn.Module, inputs: Any) -> None:
        if not module._modules:  # noqa: SLF001 - `children` may be the program's own
            self._layers.add(id(module))
        if type(module) in DROPOUTS and inputs:
            (tensor, *_), share = inputs, float(module.p)  # type: ignore[arg-type] # every dropout has it
            node = self._graph.add(type(module).__name__, (self._use(tensor), share))
            content = self._contents[tensor.untyped_storage()._cdata]  # noqa: SLF001
            content.use, content.whole = Use(node), _layout(tensor)

    def _note(self, func: Any, given: tuple[Any, Any], read: tuple[Any, ...], result: Any) -> None:
        name, places = self._schema(func)
        args, kwargs = given
        changed = [args[place] if place < len(args) else kwargs.get(key) for place, key in places]
        changed = [one for one in changed if one is not None]
        made = [one for one in _tensors(result) if one.untyped_storage()._cdata not in self._contents]  # noqa: SLF001
        if not changed and not made:
            return  # a view, or a look at values
        if name == "aten::clone" and made and read[0].view is None:
            self._hold(made[0], read[0])
            return
        node = self._graph.add(name, read)
        for output, tensor in enumerate(changed):
            self._change(tensor, Use(node, output))
        for output, tensor in enumerate(made, start=len(changed)):
            self._hold(tensor, Use(node, output))

    def _schema(self, func: Any) -> tuple[str, tuple[tuple[int, str], ...]]:
        """Return an operation's name, the same whether it works in place or not, and which arguments it changes."""
        if func not in self._written:
            schema = func._schema  # noqa: SLF001 - the dispatcher's own description
            places = tuple(
                (place, argument.name)
                for place, argument in enumerate(schema.arguments)
                if argument.alias_info is not None and argument.alias_info.is_write
            )
            name = schema.name.removesuffix("_") if places else schema.name
            self._written[func] = (f"{name}.{schema.overload_name}".removesuffix("."), places)
        return self._written[func]

    def _change(self, tensor: torch.Tensor, use: Use) -> None:
        """Note that `tensor` was overwritten, which may be part of its storage only."""
        before = self._use(tensor)
        content = self._contents[tensor.untyped_storage()._cdata]  # noqa: SLF001
        if before.view is not None:
            use = Use(self._graph.add("part", (content.use, use, before.view)))
        content.use, content.leaf = use, False

    def _hold(self, tensor: torch.Tensor, use: Use, *, leaf: bool = False) -> None:
        storage = tensor.untyped_storage()
        content = Content(use, _layout(tensor), leaf, StorageWeakRef(storage))
        self._contents[storage._cdata] = content  # noqa: SLF001

    def _leaf(self, tensor: torch.Tensor, name: str) -> None:
        arguments = (str(tensor.dtype), *_layout(tensor))
        self._hold(tensor, Use(self._graph.add(name, arguments, leaf=True)), leaf=True)

    def _use(self, tensor: torch.Tensor) -> Use:
        """Return what a tensor holds now; one that no operation made is a parameter or a constant."""
        parameter = type(tensor) is Parameter
        if not parameter and type(tensor) is not torch.Tensor:
            raise GraphError("a tensor of the program's own kind")
        key = tensor.untyped_storage()._cdata  # noqa: SLF001
        known = self._contents.get(key)
        if known is None or (parameter and not known.leaf):  # initialising is not part of what is computed
            name = "constant" if not parameter else "parameter" if tensor.requires_grad else "frozen"
            self._leaf(tensor, name)
            known = self._contents[key]
        layout = _layout(tensor)
        return Use(known.use.node, known.use.output, None if layout == known.whole else layout)

    def _plain(self, value: Any) -> Any:
        """Return an argument as a graph holds it."""
        kind = type(value)
        if kind is Parameter or kind is torch.Tensor:
            return self._use(value)
        if kind in PLAIN or value is None:
            return value
        if isinstance(value, (list, tuple)):
            return tuple([self._plain(one) for one in value])
        if kind in NAMELESS:
            return kind.__name__
        return str(value) if kind in WORDS else value


def _tensors(result: Any) -> list[torch.Tensor]:
    several = result if isinstance(result, (list, tuple)) else (result,)
    return [one for one in several if isinstance(one, torch.Tensor)]


def _layout(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Return offset, sizes and strides; the stride of a dimension of size 1 says nothing."""
    sizes, strides = tuple(tensor.shape), tensor.stride()
    if 1 in sizes:
        strides = tuple(0 if size == 1 else stride for size, stride in zip(sizes, strides, strict=True))
    return (tensor.storage_offset(), sizes, strides)
