"""Provenance says what a run depends on, once for each change, and nothing secret."""

from __future__ import annotations

import subprocess
from pathlib import Path

from orchestrator import machine
from orchestrator.config import load
from orchestrator.language_model import assets
from orchestrator.records import ModelSpec, Provenance, canonical, digest
from orchestrator.run import Ledger, provenance
from tests.support.checkout import QUICKSTART

CONFIG = load(QUICKSTART)
SANDBOX = {"image": "sha256:abc", "engine": "20.10.24", "runtime": "runc", "seccomp": digest(b"profile"), "kernel": "6"}


def gathered(checkout: Path) -> Provenance:
    return provenance.gather(CONFIG, sandbox=SANDBOX, dataset=digest(b"data"), seeds=[], checkout=checkout)


def test_a_folder_without_git_has_no_revision(tmp_path: Path) -> None:
    record = gathered(tmp_path)
    assert (record.git_revision, record.git_dirty) == (None, None)
    assert record.config == CONFIG.hash()
    assert record.protocol == CONFIG.protocol.hash()
    assert record.packages["pydantic"]


def test_a_run_that_samples_its_corpus_names_no_model(tmp_path: Path) -> None:
    llm = CONFIG.llm.model_copy(update={"sampler": "corpus", "finetune": False})
    config = CONFIG.model_copy(update={"llm": llm})
    record = provenance.gather(config, sandbox=SANDBOX, dataset=digest(b"data"), seeds=[], checkout=tmp_path)
    assert (record.sampler, record.model, record.model_hash, record.device) == ("corpus", "none", None, "none")
    assert (gathered(tmp_path).sampler, gathered(tmp_path).model) == ("model", CONFIG.llm.model.source)


def test_a_checkout_is_called_dirty_where_code_has_changed_and_not_where_results_have(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    git("init")
    for folder in ("llm", "results"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text("one")
    git("add", ".")
    git("commit", "-m", "one")
    clean = gathered(tmp_path)
    assert clean.git_revision is not None
    assert clean.git_dirty is False
    (tmp_path / "results" / "file").write_text("two")
    assert gathered(tmp_path).git_dirty is False
    (tmp_path / "llm" / "file").write_text("two")
    assert gathered(tmp_path).git_dirty is True


def test_the_same_surroundings_are_recorded_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "provenance.jsonl", Provenance)
    first = gathered(tmp_path)
    for record in (first, first, first.model_copy(update={"engine": "25"}), first):
        provenance.record(ledger, record)
    assert [record.engine for record in ledger.read()] == ["20.10.24", "25", "20.10.24"]


def test_the_surroundings_of_a_run_name_the_engine_and_the_base_model(tmp_path: Path) -> None:
    model = {"model_hash": "sha256:ab", "components": {"runc": "1.1.4"}}
    record = provenance.gather(CONFIG, sandbox=SANDBOX, dataset=digest(b"data"), seeds=[], checkout=tmp_path, **model)
    assert (record.model_hash, record.components) == ("sha256:ab", {"runc": "1.1.4"})
    whole = record.model_copy(update={"gpus": ("NVIDIA H100", "NVIDIA H100")})
    Ledger(tmp_path / "provenance.jsonl", Provenance).append(whole)
    assert Ledger(tmp_path / "provenance.jsonl", Provenance).read() == (whole,)


def test_a_line_from_before_the_model_hash_was_recorded_is_read(tmp_path: Path) -> None:
    plain = gathered(tmp_path).model_dump(mode="json")
    for name in ("model_hash", "gpus", "components", "sampler"):
        del plain[name]
    path = tmp_path / "provenance.jsonl"
    path.write_bytes(canonical(plain) + b"\n")
    (record,) = Ledger(path, Provenance).read()
    assert (record.model_hash, record.gpus, record.components) == (None, (), {})


def test_a_base_model_is_known_by_its_file_or_by_every_file_of_its_folder(tmp_path: Path) -> None:
    file, folder = tmp_path / "model.gguf", tmp_path / "model"
    file.write_bytes(b"weights")
    assert assets.model_hash(ModelSpec(source=str(file)), tmp_path) == f"sha256:{digest(b'weights')}"
    folder.mkdir()
    (folder / "config.json").write_bytes(b"{}")
    before = assets.model_hash(ModelSpec(source=str(folder)), tmp_path)
    (folder / "more.safetensors").write_bytes(b"weights")
    assert before is not None
    assert before != assets.model_hash(ModelSpec(source=str(folder)), tmp_path)


def test_an_id_that_the_cache_of_the_hub_does_not_hold_has_no_hash(tmp_path: Path) -> None:
    for source in ("nobody/nothing-of-this-name", "fake", "not an id"):
        assert assets.model_hash(ModelSpec(source=source), tmp_path) is None


def test_gpus_are_named_in_the_order_of_their_addresses(tmp_path: Path) -> None:
    for address, name in (("0000:b1:00.0", "NVIDIA H200"), ("0000:17:00.0", "NVIDIA H100 80GB HBM3")):
        (tmp_path / address).mkdir()
        (tmp_path / address / "information").write_text(f"Model: \t\t {name}\nIRQ:   \t\t 1\n")
    assert machine.gpus(driver=tmp_path) == ("NVIDIA H100 80GB HBM3", "NVIDIA H200")
    assert machine.gpus(driver=tmp_path / "none") == ()
