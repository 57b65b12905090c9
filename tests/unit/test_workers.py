"""The subprocess side of the LLM: strict records in, and no worker that outlives its caller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from orchestrator import worker, workers
from orchestrator.errors import InfrastructureError, RefusedJobError
from orchestrator.records import (
    Decoding,
    GenerationChunk,
)
from tests.unit.tiny_jobs import MESSAGES, MODEL

CHUNKS = (GenerationChunk(index=3, size=2, seed=7),)
ROW = '{{"chunk": 3, "row": {row}, "text": "a\\nb", "tokens": 2, "finish": "code", "seconds": 0.5}}'
DEADLINE = 30.0


def generator(folder: Path, body: str, *, retries: int = 0, said: list[str] | None = None) -> workers.LlmGenerator:
    """A generator whose worker is a small real program; `row(n)` in it writes a good record."""
    prelude = f"""
    import json, os, sys, time
    job = json.loads(sys.stdin.readline())
    def row(number):
        print({ROW!r}.format(row=number), flush=True)
    """
    script = folder / "worker.py"
    script.write_text(textwrap.dedent(prelude) + textwrap.dedent(body), encoding="utf-8")
    command = (sys.executable, str(script))
    return workers.LlmGenerator(
        model=MODEL,
        decoding=Decoding(),
        cache=folder / "cache",
        log=folder / "worker.log",
        command=command,
        retries=retries,
        pause=0.0,
        report=[].append if said is None else said.append,
    )


def run(made: workers.LlmGenerator) -> list[tuple[int, int]]:
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


def test_a_worker_that_cannot_be_started_is_our_failure(tmp_path: Path) -> None:
    made = workers.LlmGenerator(
        model=MODEL, decoding=Decoding(), cache=tmp_path, log=tmp_path / "log", command=(str(tmp_path / "missing"),)
    )
    with pytest.raises(InfrastructureError, match="cannot be started"):
        run(made)


def test_a_worker_that_dies_before_it_reads_its_job_is_reported_with_its_words(tmp_path: Path) -> None:
    script = tmp_path / "dead.py"
    script.write_text("import sys; sys.exit('no torch here')")
    made = workers.LlmGenerator(
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
        from orchestrator import workers
        from orchestrator.records import Decoding, GenerationChunk, Message, ModelSpec
        folder = Path({str(tmp_path)!r})
        made = workers.LlmGenerator(
            model=ModelSpec(source="a/b", device="cpu"), decoding=Decoding(), cache=folder, log=folder / "log",
            command=(sys.executable, str(folder / "worker.py")),
        )
        chunks = [GenerationChunk(index=0, size=1, seed=1)]
        list(made.generate(adapter=None, messages=[Message(role="user", content="x")], chunks=chunks))
        """),
        encoding="utf-8",
    )
    root = str(Path(workers.__file__).parent.parent)
    with subprocess.Popen([sys.executable, str(parent)], env=os.environ | {"PYTHONPATH": root}) as orchestrator:
        pid = int(wait_for(pids))
        orchestrator.send_signal(signal.SIGKILL)
    wait_until_gone(pid)


# --- one worker after another ---------------------------------------------------------------------------------------

COUNTED = """
asked = [chunk["index"] for chunk in job["chunks"]]
print("asked", asked, file=sys.stderr, flush=True)
def rows(chunk, count):
    for number in range(count):
        record = dict(chunk=chunk, row=number, text=str(os.getpid()), tokens=1, finish="eos", seconds=0.5)
        print(json.dumps(record), flush=True)
"""
SEVERAL = tuple(GenerationChunk(index=index, size=2, seed=index) for index in range(3))


def test_a_killed_worker_is_followed_by_one_that_is_asked_for_the_chunks_that_are_not_whole(tmp_path: Path) -> None:
    dies = "if len(asked) == 3:\n    rows(0, 2)\n    rows(1, 1)\n    os.kill(os.getpid(), 9)\n"
    said: list[str] = []
    made = generator(tmp_path, f"{COUNTED}\n{dies}\nfor chunk in asked: rows(chunk, 2)", retries=1, said=said)
    sampled = list(made.generate(adapter=None, messages=MESSAGES, chunks=SEVERAL))
    assert [(one.chunk, one.row) for one in sampled] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert (tmp_path / "worker.log").read_text().splitlines() == ["asked [0, 1, 2]", "asked [1, 2]"]
    assert len({one.text for one in sampled if one.chunk == 1}) == 1, "a chunk comes from one worker"
    assert len(said) == 1
    assert "SIGKILL" in said[0]
    assert "Attempt 2 of 2" in said[0]


def test_a_worker_that_dies_every_time_is_tried_so_often_and_no_more(tmp_path: Path) -> None:
    made = generator(tmp_path, f"{COUNTED}\nsys.exit('out of memory')", retries=2)
    with pytest.raises(InfrastructureError, match="out of memory"):
        list(made.generate(adapter=None, messages=MESSAGES, chunks=SEVERAL))
    assert (tmp_path / "worker.log").read_text().count("asked") == 3


def test_a_worker_that_dies_with_its_work_done_needs_no_other(tmp_path: Path) -> None:
    made = generator(tmp_path, f"{COUNTED}\nfor chunk in asked: rows(chunk, 2)\nsys.exit(3)", retries=1)
    assert len(list(made.generate(adapter=None, messages=MESSAGES, chunks=SEVERAL))) == 6
    assert (tmp_path / "worker.log").read_text().count("asked") == 1


def test_an_iterator_that_is_closed_starts_no_other_worker(tmp_path: Path) -> None:
    made = generator(tmp_path, f"{COUNTED}\nrows(0, 2)\nsys.stdin.readline()", retries=2)
    sampled = made.generate(adapter=None, messages=MESSAGES, chunks=SEVERAL)
    assert next(sampled).chunk == 0
    sampled.close()
    assert (tmp_path / "worker.log").read_text().count("asked") == 1


def test_the_pauses_between_workers_grow(tmp_path: Path) -> None:
    said: list[str] = []
    retrying = workers.attempts(retries=3, pause=2.0, report=said.append).copy(sleep=lambda seconds: None)

    def fails() -> None:
        raise InfrastructureError("gone.\nmany words")

    with pytest.raises(InfrastructureError, match="gone"):
        retrying(fails)
    assert [one.rpartition(" in ")[2] for one in said] == ["2 s.", "4 s.", "8 s."]
    assert said[0].startswith("gone. Attempt 2 of 4")


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
