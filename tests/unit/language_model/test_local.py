"""The subprocess side of the LLM: strict records in, and no worker that outlives its caller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import InfrastructureError, RefusedJobError
from orchestrator.language_model import local, worker
from orchestrator.records import Decoding
from tests.support.tiny_jobs import CHUNKS, MESSAGES, MODEL, generator

DEADLINE = 30.0


def run(made: local.LlmGenerator) -> list[tuple[int, int]]:
    sampled = made.generate(adapter=None, messages=MESSAGES, chunks=CHUNKS)
    return [(one.chunk, one.row) for one in sampled]


def wait_for(path: Path) -> str:
    end = time.monotonic() + DEADLINE
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < end, f"{path} never came"
        os.sched_yield()
    return path.read_text().strip()


def wait_until_gone(pid: int) -> None:
    end = time.monotonic() + DEADLINE
    while alive(pid):
        assert time.monotonic() < end, f"process {pid} lives on"
        os.sched_yield()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_rows_come_in_the_order_in_which_the_worker_finishes_them(tmp_path: Path) -> None:
    assert run(generator(tmp_path, "row(1)\nrow(0)")) == [(3, 1), (3, 0)]


def test_a_chunk_is_given_on_before_the_worker_has_ended(tmp_path: Path) -> None:
    made = generator(tmp_path, "row(0)\nrow(1)\nsys.stdin.readline()")
    rows = made.generate(adapter=None, messages=MESSAGES, chunks=CHUNKS)
    assert next(rows).text == "a\nb"
    rows.close()


def test_the_job_reaches_the_worker_whole(tmp_path: Path) -> None:
    made = generator(tmp_path, "print(json.dumps(job), file=sys.stderr)\nrow(0)\nrow(1)")
    list(made.generate(adapter=tmp_path / "adapter", messages=MESSAGES, chunks=CHUNKS))
    log = (tmp_path / "worker.log").read_text()
    assert '"organisation/tiny"' in log
    assert f'"adapter": "{tmp_path / "adapter"}"' in log


def test_no_chunk_starts_no_worker(tmp_path: Path) -> None:
    made = generator(tmp_path, "sys.exit(1)")
    assert list(made.generate(adapter=None, messages=MESSAGES, chunks=())) == []
    assert not (tmp_path / "worker.log").exists()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("row(0)\nsys.exit('the disk is full')", r"exit status 1(.|\n)*the disk is full"),
        ("row(0)\nos.kill(os.getpid(), 9)", "SIGKILL"),
        ("row(0)", "1 rows missing"),
        ("row(0)\nrow(0)", "unasked or twice"),
        ("row(2)", "unasked or twice"),
        ("row(0)\nsys.stdout.write('{\"chunk\": 3')", "torn"),
        ("print('loading model')", "no record"),
        ("print('{\"chunk\": 3}')", "no record"),
        ("row('\"0\"')", "no record"),
        ("row(0)\nrow(1)\nsys.exit(3)", "exit status 3"),
        ("", "2 rows missing"),
    ],
)
def test_a_worker_that_breaks_the_protocol_is_our_failure(tmp_path: Path, body: str, reason: str) -> None:
    with pytest.raises(InfrastructureError, match=reason):
        run(generator(tmp_path, body))


@pytest.mark.parametrize(("status", "attempts"), [(os.EX_CONFIG, 1), (1, 3)])
def test_a_job_that_its_worker_refuses_is_given_to_no_other(tmp_path: Path, status: int, attempts: int) -> None:
    body = f"print('error: lower llm.sft.learning_rate', file=sys.stderr)\nsys.exit({status})"
    with pytest.raises(InfrastructureError, match=r"lower llm\.sft\.learning_rate") as caught:
        run(generator(tmp_path, body, retries=2))
    assert isinstance(caught.value, RefusedJobError) == (status == os.EX_CONFIG)
    assert (tmp_path / "worker.log").read_text().count("error: ") == attempts


def test_who_waits_is_told_what_a_worker_died_of(tmp_path: Path) -> None:
    said: list[str] = []
    made = replace(generator(tmp_path, "sys.exit('warning: old\\nno such model')", retries=1), report=said.append)
    with pytest.raises(InfrastructureError):
        run(made)
    assert len(said) == 1
    assert "exit status 1" in said[0]
    assert "no such model. Attempt 2 of 2" in said[0]


def test_a_worker_that_cannot_be_started_is_our_failure(tmp_path: Path) -> None:
    made = local.LlmGenerator(
        model=MODEL, decoding=Decoding(), cache=tmp_path, log=tmp_path / "log", command=(str(tmp_path / "missing"),)
    )
    with pytest.raises(InfrastructureError, match="cannot be started"):
        run(made)


def test_a_worker_that_dies_before_it_reads_its_job_is_reported_with_its_words(tmp_path: Path) -> None:
    script = tmp_path / "dead.py"
    script.write_text("import sys; sys.exit('no torch here')")
    made = local.LlmGenerator(
        model=MODEL, decoding=Decoding(), cache=tmp_path, log=tmp_path / "log", command=(sys.executable, str(script))
    )
    with pytest.raises(InfrastructureError, match="no torch here"):
        run(made)


def test_an_error_quotes_this_worker_and_not_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / "worker.log").write_text("an old complaint\n")
    with pytest.raises(InfrastructureError, match="new complaint") as caught:
        run(generator(tmp_path, "sys.exit('new complaint')"))
    assert "an old complaint" not in str(caught.value)
    assert "an old complaint" in (tmp_path / "worker.log").read_text()


def test_closing_the_iterator_ends_the_worker_and_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    body = f"""
    import subprocess
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    open({str(pids)!r}, "w").write(f"{{os.getpid()}} {{child.pid}}\\n")
    row(0)
    row(1)
    row(1)
    import signal
    signal.pause()
    """
    rows = generator(tmp_path, body).generate(adapter=None, messages=MESSAGES, chunks=CHUNKS)
    next(rows)
    started = [int(pid) for pid in wait_for(pids).split()]
    rows.close()
    for pid in started:
        wait_until_gone(pid)


def test_no_worker_survives_a_killed_orchestrator(tmp_path: Path) -> None:
    """The worker holds to the real lifeline of `llm.stream`; its parent is killed without a chance to clean up."""
    pids = tmp_path / "pids"
    worker = tmp_path / "worker.py"
    worker.write_text(
        textwrap.dedent(f"""
        import os, signal
        from llm.stream import read_job
        from orchestrator.records import GenerationJob
        job = read_job(GenerationJob, ["--lifeline"])
        open({str(pids)!r}, "w").write(f"{{os.getpid()}}\\n")
        while True:
            signal.pause()
        """),
        encoding="utf-8",
    )
    parent = tmp_path / "parent.py"
    parent.write_text(
        textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from orchestrator.language_model import local
        from orchestrator.records import Decoding, GenerationChunk, Message, ModelSpec
        folder = Path({str(tmp_path)!r})
        made = local.LlmGenerator(
            model=ModelSpec(source="a/b", device="cpu"), decoding=Decoding(), cache=folder, log=folder / "log",
            command=(sys.executable, str(folder / "worker.py")),
        )
        chunks = [GenerationChunk(index=0, size=1, seed=1)]
        list(made.generate(adapter=None, messages=[Message(role="user", content="x")], chunks=chunks))
        """),
        encoding="utf-8",
    )
    root = str(Path(local.__file__).parents[2])
    with subprocess.Popen([sys.executable, str(parent)], env=os.environ | {"PYTHONPATH": root}) as orchestrator:
        pid = int(wait_for(pids))
        orchestrator.send_signal(signal.SIGKILL)
    wait_until_gone(pid)


def test_a_worker_sees_a_fixed_hash_seed_and_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "12")
    assert worker.environment(3)["PYTHONHASHSEED"] == "0"
    assert worker.environment(3)["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize("status", [0, 1])
def test_what_a_worker_leaves_running_ends_with_it(tmp_path: Path, status: int) -> None:
    made = generator(
        tmp_path,
        f"""
        import subprocess
        left = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        print(left.pid, file=sys.stderr)
        for number in range(2):
            row(number)
        sys.exit({status})
        """,
    )
    if status:
        with pytest.raises(InfrastructureError, match="exit status 1"):
            run(made)
    else:
        assert len(run(made)) == 2
    pid = int((tmp_path / "worker.log").read_text().split()[0])
    wait_until_gone(pid)
