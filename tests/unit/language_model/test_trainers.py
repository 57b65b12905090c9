"""Fine-tuning in a worker: strict records, an adapter that is there, and nothing left of a worker that was killed."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator import machine
from orchestrator.errors import FinalError, InfrastructureError
from orchestrator.language_model import local
from orchestrator.records import Adapter, Entry, FinetuneStep, LoraSpec, Message, SftSpec, digest
from tests.support.tiny_jobs import MESSAGES, MODEL

STEP = '{"step": 1, "steps": 1, "loss": 0.5, "learning_rate": 0.1, "tokens": 9, "seconds": 1.0}'


def entry() -> Entry:
    messages = (*MESSAGES, Message(role="assistant", content="```python\npass\n```"))
    return Entry(
        entry_id="e1",
        origin="test",
        task="cifar10",
        source=digest(b"pass"),
        shingles=digest(b""),
        accuracy=None,
        protocol=None,
        messages=messages,
    )


def trainer(folder: Path, body: str, steps: list[FinetuneStep], *, retries: int = 0) -> local.LlmTrainer:
    """A trainer whose worker is a small real program; `adapter()` in it makes the folder and the last record."""
    prelude = f"""
    import hashlib, json, os, sys
    job = json.loads(sys.stdin.readline())
    corpus = open(job["corpus"], "rb").read()
    def adapter():
        os.makedirs(job["output"])
        open(job["output"] + "/adapter_model.safetensors", "wb").close()
        record = dict(
            path="adapter", base_model=job["model"]["source"], entries=corpus.count(b"\\n"), steps=1, tokens=9,
            trainable_parameters=1, optimizer="adamw", loss=[0.5], corpus=hashlib.sha256(corpus).hexdigest(),
            weights=hashlib.sha256(b"").hexdigest(), measured=dict(seconds=1.0), kind="adapter", schema_version=1,
        )
        print(json.dumps(record))
    def step():
        print({STEP!r}, flush=True)
    """
    script = folder / "trainer.py"
    script.write_text(textwrap.dedent(prelude) + textwrap.dedent(body), encoding="utf-8")
    return local.LlmTrainer(
        model=MODEL,
        lora=LoraSpec(),
        sft=SftSpec(),
        cache=folder / "cache",
        log=folder / "trainer.log",
        on_step=steps.append,
        command=(sys.executable, str(script)),
        retries=retries,
        pause=0.0,
    )


def train(made: local.LlmTrainer, folder: Path) -> Adapter:
    return made.train(entries=[entry(), entry()], adapter=None, output=folder / "adapter", seed=1)


def test_training_reports_each_step_and_returns_the_adapter(tmp_path: Path) -> None:
    steps: list[FinetuneStep] = []
    adapter = train(trainer(tmp_path, "step()\nadapter()", steps), tmp_path)
    assert adapter.entries == 2
    assert adapter.base_model == "organisation/tiny"
    assert [step.loss for step in steps] == [0.5]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("step()", "without an adapter"),
        ("adapter()\nstep()", "wrote on after"),
        ("step()\nsys.exit('corpus entry e1 is too long')", "corpus entry e1 is too long"),
        ("adapter()\nsys.exit(4)", "exit status 4"),
        ("print('[]')", "no record"),
    ],
)
def test_a_trainer_that_breaks_the_protocol_is_our_failure(tmp_path: Path, body: str, reason: str) -> None:
    with pytest.raises(InfrastructureError, match=reason):
        train(trainer(tmp_path, body, []), tmp_path)


def test_a_killed_trainer_is_followed_by_one_that_begins_anew_in_a_clean_place(tmp_path: Path) -> None:
    steps: list[FinetuneStep] = []
    died = tmp_path / "died"
    body = f"""
    step()
    if not os.path.exists({str(died)!r}):
        open({str(died)!r}, "w").close()
        os.makedirs(job["output"])
        os.makedirs(os.path.dirname(job["output"]) + "/.adapter.adapter-torn")
        os.kill(os.getpid(), 9)
    adapter()
    """
    made = train(trainer(tmp_path, body, steps, retries=1), tmp_path)
    assert made.entries == 2
    assert len(steps) == 2
    assert not list(tmp_path.glob(".adapter*"))


def test_a_trainer_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    for left in ("adapter", ".adapter.adapter-torn", ".adapter-server"):
        (tmp_path / left / "deep").mkdir(parents=True)
    train(trainer(tmp_path, "adapter()", []), tmp_path)
    assert [path.name for path in tmp_path.glob(".adapter*")] == [".adapter-server"]  # somebody else's
    assert [path.name for path in (tmp_path / "adapter").iterdir()] == ["adapter_model.safetensors"]


def test_a_place_that_cannot_be_written_is_said_once_and_tried_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said: list[str] = []
    made = replace(trainer(tmp_path, "adapter()", [], retries=2), report=said.append)
    with pytest.raises(FinalError, match=r"adapter: cannot be written: (File exists|Not a directory)$"):
        made.train(entries=[entry()], adapter=None, output=tmp_path / "file" / "adapter", seed=1)
    assert not said


def test_only_several_gpus_need_a_launcher() -> None:
    assert local.launcher(gpus=1) == local.launcher(gpus=0) == local.FINETUNE
    command = local.launcher(gpus=4)
    assert command[command.index("--num_processes") + 1] == "4"
    assert tuple(command[-3:]) == ("--module", "llm.finetune", "--lifeline")


@pytest.mark.parametrize(("visible", "count"), [("0,1", 2), ("3", 1), ("", 0), ("-1", 0)])
def test_gpus_are_counted_as_the_worker_sees_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str, count: int
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine.gpu_count(driver=tmp_path) == count
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    (tmp_path / "0000:01:00.0").mkdir()
    assert machine.gpu_count(driver=tmp_path) == 1
