"""The optimizer that the device supports, and its name for the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from llm.stream import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.records import SftSpec


LEAST = 4096  # elements of a parameter whose state is kept in 8 bits


def build(
    model: Any, sft: SftSpec, *, device: torch.device, useless: Callable[[torch.device], str | None] | None = None
) -> tuple[torch.optim.Optimizer, str]:
    """Return the optimizer over the trainable parameters, and which one it is: `paged_adamw_8bit` or `adamw`.

    Paged 8-bit AdamW needs CUDA and bitsandbytes. Elsewhere torch's AdamW, with the same constants, takes its place.
    `useless` says why bitsandbytes cannot be used on a CUDA device; it is tried if omitted.
    """
    useless = useless or useless_bitsandbytes
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    constants: dict[str, Any] = {"lr": sft.learning_rate, "weight_decay": sft.weight_decay}
    if sft.optimizer == "paged_adamw_8bit":
        missing = "it needs a CUDA device" if device.type != "cuda" else useless(device)
        if missing is None:
            import bitsandbytes  # an optional dependency, only if it is used

            return bitsandbytes.optim.PagedAdamW8bit(parameters, **constants), "paged_adamw_8bit"
        say(f"optimizer: AdamW of torch in place of paged_adamw_8bit: {missing}")
    return torch.optim.AdamW(parameters, **constants), "adamw"


def useless_bitsandbytes(device: torch.device) -> str | None:
    """Return why bitsandbytes makes no step on `device`: it can be imported without the library that it calls."""
    try:
        import bitsandbytes

        tried = torch.nn.Parameter(torch.zeros(LEAST, device=device))
        tried.grad = torch.zeros_like(tried)
        bitsandbytes.optim.PagedAdamW8bit([tried]).step()
    except Exception as error:  # noqa: BLE001 - what it raises depends on what is missing
        return f"bitsandbytes does not work here ({error}); install the gpu extra"
    return None
