"""The slots of an evaluator: who is free, and which are given to nobody any more."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.errors import InfrastructureError, NoSlotError
from orchestrator.records.journal import Recorder


class Slots:
    """Hands slots out in turn; one that is quarantined is handed out no more, or until `restore` says that it is well.

    The journal learns of both. While no slot is usable and one may become so again, `take` waits `patience` seconds.
    """

    def __init__(self, slots: Sequence[Slot], *, record: Recorder, patience: float) -> None:
        self._free = deque(slots)
        self._usable = set(slots)
        self._curable: set[Slot] = set()
        self._record = record
        self._patience = patience
        self._closed = False
        self._changed = threading.Condition()

    @property
    def usable(self) -> tuple[Slot, ...]:
        """The slots that are not quarantined, in their order."""
        with self._changed:
            return tuple(sorted(self._usable, key=lambda slot: slot.index))

    def take(self) -> Slot:
        """Return a free slot, and wait for one where there is none.

        Raises:
            NoSlotError: every slot is quarantined, and none became usable in time; or there are to be none any more.
        """
        with self._changed:
            while self._closed or not self._free:
                if not self._usable and not self._changed.wait_for(
                    lambda: self._closed or self._usable or not self._curable, timeout=self._patience
                ):
                    self._curable.clear()
                if self._closed or not (self._usable or self._curable):
                    raise NoSlotError(
                        "no slot is left in which a candidate could run: `audit.jsonl` says why; restart the engine or"
                        " the machine"
                    )
                self._changed.wait_for(lambda: self._closed or self._free or not self._usable)
            return self._free.popleft()

    def close(self) -> None:
        """Hand out no slot any more, and let nobody wait for one."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def give_back(self, slot: Slot) -> None:
        """Take back a slot that `take` returned."""
        with self._changed:
            if slot in self._usable:
                self._free.append(slot)
            self._changed.notify_all()

    def quarantine(self, slot: Slot, *, cause: str, curable: bool) -> None:
        """Hand a slot out no more, which is not free just now; where it is `curable`, it may be restored."""
        with self._changed:
            self._usable.discard(slot)
            if curable:
                self._curable.add(slot)
            self._changed.notify_all()
        self._record("slot_quarantine", {"slot": slot.index, "gpu": slot.gpu, "cause": cause})

    def restore(self, slot: Slot) -> None:
        """Hand a slot out again."""
        with self._changed:
            self._curable.discard(slot)
            self._usable.add(slot)
            self._free.append(slot)
            self._changed.notify_all()
        self._record("slot_restored", {"slot": slot.index, "gpu": slot.gpu})


def broken_gpu(slot: Slot, usable: Iterable[Slot], *, prove: Callable[[str | None], None]) -> str | None:
    """Return why the GPU of `slot` is broken, where another slot's is not; None where that cannot be said.

    `prove` raises InfrastructureError where no container starts with a GPU. If none starts with another one either, the
    engine is what fails, and no slot is the cause.
    """
    others = [other.gpu for other in usable if other.gpu != slot.gpu]
    if slot.gpu is None or not others:
        return None
    try:
        prove(slot.gpu)
    except InfrastructureError as error:
        with suppress(InfrastructureError):
            prove(others[0])
            return str(error)
    return None


FIRST_UID = 10001


@dataclass(frozen=True)
class Slot:
    """A place where one candidate at a time runs, with a uid of its own and, where there is one, a GPU."""

    index: int
    gpu: str | None

    @property
    def uid(self) -> int:
        """The user under which this slot's candidates run; no two slots share one."""
        return FIRST_UID + self.index
