"""Whether this machine has what a configuration takes: memory for the validation images, and for all slots; CPUs."""

from __future__ import annotations

import psutil

from orchestrator.config import Config
from orchestrator.datasets import Prepared
from orchestrator.errors import ConfigError
from orchestrator.sections import Protocol
from sandbox_image import wire

COPIES = 4  # of the validation images that a container holds while they arrive, in two processes


def images_size(prepared: Prepared, protocol: Protocol) -> int:
    """Return how many bytes the validation images are on the wire."""
    return len(prepared.validation_labels) * 3 * protocol.resolution**2


def check_size(prepared: Prepared, config: Config) -> None:
    """Raise ConfigError where the validation images are too large for the wire, or for a container's memory."""
    count, resolution = len(prepared.validation_labels), config.protocol.resolution
    size = images_size(prepared, config.protocol)
    if size > wire.IMAGES_LIMIT:
        raise ConfigError(
            f"protocol: {count} validation images of {resolution} pixels are {size} bytes, more than the"
            f" {wire.IMAGES_LIMIT} that the wire takes; lower protocol.validation_samples or protocol.resolution"
        )
    if COPIES * size > config.sandbox.limits.memory:
        raise ConfigError(
            f"protocol: {count} validation images of {resolution} pixels are {size >> 20} MiB, and a container holds"
            f" {COPIES} copies while they arrive, more than sandbox.limits.memory: raise that, or lower"
            " protocol.validation_samples or protocol.resolution"
        )


def check_machine(config: Config) -> None:
    """Raise ConfigError where a container may have more CPUs than this machine has, or all slots more memory."""
    sandbox, cpus = config.sandbox, psutil.cpu_count() or 1
    if sandbox.limits.cpus > cpus:
        raise ConfigError(
            f"sandbox.limits.cpus is {sandbox.limits.cpus:g}, and this machine has {cpus}: the engine takes no more"
        )
    needed, there = sandbox.slots * sandbox.limits.memory, psutil.virtual_memory().total
    if needed > there:
        raise ConfigError(
            f"sandbox: {sandbox.slots} slots of {sandbox.limits.memory >> 20} MiB are more than the {there >> 20} MiB"
            " of this machine; lower sandbox.slots or sandbox.limits.memory"
        )
