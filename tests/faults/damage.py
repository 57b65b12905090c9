"""Damage to files at rest: a ledger before a resume, and any single byte before `audit verify`."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.run.chain import JOURNAL, added_up, read_chain
from tests.faults.bench import Bench
from tests.faults.ledgers import difference, unverified

LATE = (0.6, 0.9)  # where, among the points, the run is killed whose ledgers are damaged: in its second cycle
OUTSIDE = {"llm.log", "lock"}  # which no record refers to

Draw = random.Random


@dataclass(frozen=True)
class Damage:
    """One damage to one file: whether it was found, or did no harm, and what the program said."""

    kind: str
    file: str
    met: bool
    said: str


def flipped(content: bytes, draw: Draw) -> bytes:
    """Return `content` with one bit of one byte changed."""
    place = draw.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]


def torn(content: bytes, draw: Draw) -> bytes:
    """Return `content` without the end of its last line."""
    last = content.rfind(b"\n", 0, len(content) - 1) + 1
    return content[: draw.randrange(last + 1, len(content))]


def shortened(content: bytes, draw: Draw) -> bytes:
    """Return `content` without one of its lines."""
    lines = content.splitlines(keepends=True)
    del lines[draw.randrange(len(lines))]
    return b"".join(lines)


LEDGER_DAMAGES: dict[str, Callable[[bytes, Draw], bytes]] = {
    "one bit of a ledger changed": flipped,
    "a ledger's tail torn": torn,
    "a line of a ledger removed": shortened,
}


def damaged_ledgers(bench: Bench, draw: Draw) -> list[Damage]:
    """Kill a run in its second cycle, and resume copies of it in which one ledger after the other is damaged.

    A resume must end in an error that names the file. It may go on, to the same ledgers, where only a tail was torn, or
    where the line that is gone is one that the journal had not heard of: nothing tells that from an earlier kill.
    """
    killed = bench.folder / "killed"
    point = int(bench.points * draw.uniform(*LATE))
    first = bench.start(killed, "--at", str(point), "kill").ended()
    assert first.status == -signal.SIGKILL, first.said
    found = []
    for kind, damage in LEDGER_DAMAGES.items():
        for path in sorted(killed.rglob("*.jsonl")):
            copy = bench.folder / "damaged"
            shutil.copytree(killed, copy)
            name = path.relative_to(killed)
            target = copy / name
            target.write_bytes(damage(target.read_bytes(), draw))
            lenient = damage is torn or (damage is shortened and _unheard(killed, path))
            found.append(_resumed(bench, copy, kind=kind, name=str(name), lenient=lenient))
            shutil.rmtree(copy)
    bench.engine.clear()
    return found


def _unheard(run: Path, ledger: Path) -> bool:
    """Say whether the kill came between a line of `ledger` and its event in the journal."""
    events, _ = read_chain(run / JOURNAL)
    noted = added_up(events, path=run / JOURNAL).ledgers.get(ledger.relative_to(run).as_posix(), [])
    return ledger.name != JOURNAL and ledger.read_bytes().count(b"\n") > len(noted)


def _resumed(bench: Bench, copy: Path, *, kind: str, name: str, lenient: bool) -> Damage:
    ended = bench.start(copy).ended()
    said = next((line for line in ended.said.splitlines() if line.startswith("Error")), "")
    if ended.status == 0:
        compared = difference(copy, bench.undisturbed)
        return Damage(kind, name, met=lenient and compared.none, said=f"went on: {compared}")
    named = ended.status == 1 and str(copy / name) in said and "line" in said
    return Damage(kind, name, met=named, said=said or ended.said[-300:])


def changed_bytes(bench: Bench, draw: Draw, *, count: int) -> list[Damage]:
    """Change one byte of a finished run `count` times, in files of each kind in turn, and verify after each.

    The kinds are ledgers, sources and other objects, predictions, logs, adapters, the configuration and the journal.
    """
    run = bench.undisturbed
    assert unverified(run) == ""
    files = sorted(path for path in run.rglob("*") if path.is_file() and path.name not in OUTSIDE)
    folders = sorted({_kind(run, path) for path in files})
    found = []
    for number in range(count):
        kind = folders[number % len(folders)]
        path = draw.choice([one for one in files if _kind(run, one) == kind and one.stat().st_size])
        whole = path.read_bytes()
        place = draw.randrange(len(whole))
        other = bytes([(whole[place] + draw.randrange(1, 256)) % 256])
        path.write_bytes(whole[:place] + other + whole[place + 1 :])
        said = unverified(run)
        path.write_bytes(whole)
        what = f"{path.relative_to(run)}, byte {place}"
        found.append(Damage(f"one byte changed: {kind}", what, met=bool(said), said=said))
    assert unverified(run) == ""
    return found


def _kind(run: Path, path: Path) -> str:
    if path.suffix == ".jsonl":
        return "journal" if path.name == "audit.jsonl" else "ledgers"
    return {"objects": "sources, logs, predictions", "adapter": "adapters"}.get(
        path.relative_to(run).parts[0], "adapters" if path.parent.name == "adapter" else "configuration and key"
    )
