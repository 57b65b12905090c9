"""Provenance says what a run depends on, once for each change, and nothing secret."""

from __future__ import annotations

import subprocess
from pathlib import Path

from orchestrator import provenance
from orchestrator.config import load
from orchestrator.ledger import Ledger
from orchestrator.records import Provenance, digest

CONFIG = load(Path(__file__).parents[2] / "configs" / "quickstart.yaml")
SANDBOX = {"image": "sha256:abc", "engine": "20.10.24", "runtime": "runc", "seccomp": digest(b"profile"), "kernel": "6"}


def gathered(checkout: Path) -> Provenance:
    return provenance.gather(CONFIG, sandbox=SANDBOX, dataset=digest(b"data"), seeds=[], checkout=checkout)


def test_a_folder_without_git_has_no_revision(tmp_path: Path) -> None:
    record = gathered(tmp_path)
    assert (record.git_revision, record.git_dirty) == (None, None)
    assert record.config == CONFIG.hash()
    assert record.protocol == CONFIG.protocol.hash()
    assert record.packages["pydantic"]


def test_a_changed_checkout_is_called_dirty(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "one")
    clean = gathered(tmp_path)
    assert clean.git_revision is not None
    assert clean.git_dirty is False
    (tmp_path / "file").write_text("two")
    assert gathered(tmp_path).git_dirty is True


def test_the_same_surroundings_are_recorded_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "provenance.jsonl", Provenance)
    first = gathered(tmp_path)
    for record in (first, first, first.model_copy(update={"engine": "25"}), first):
        provenance.record(ledger, record)
    assert [record.engine for record in ledger.read()] == ["20.10.24", "25", "20.10.24"]
