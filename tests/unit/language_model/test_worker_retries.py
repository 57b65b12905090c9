"""One worker after another: what was whole stays, what was not is asked for again, and not without end."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.language_model import local
from orchestrator.records import GenerationChunk
from tests.support.tiny_jobs import MESSAGES, generator

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
    retrying = local.attempts(retries=3, pause=2.0, report=said.append).copy(sleep=lambda seconds: None)

    def fails() -> None:
        raise InfrastructureError("gone. It ends:\nmany words\nthe cause")

    with pytest.raises(InfrastructureError, match="gone"):
        retrying(fails)
    assert [one.rpartition(" in ")[2] for one in said] == ["2 s.", "4 s.", "8 s."]
    assert said[0].startswith("gone. It ends: the cause. Attempt 2 of 4")
