"""Tokens are counted by a worker that is sent every text at once, and believed only where it counted each."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.language_model import LlmTokens
from orchestrator.records import Message, ModelSpec

MODEL = ModelSpec(source="organisation/tiny", dtype="float32", device="cpu", threads=1)
TEXTS = ["a b c", "", "é\n```\n"]


def counter(folder: Path, body: str) -> LlmTokens:
    """A counter whose worker is a small real program; `counts` in it are the bytes of each text."""
    prelude = """
    import json, sys
    job = json.loads(sys.stdin.readline())
    counts = [len(text.encode()) for text in job["texts"]]
    """
    script = folder / "worker.py"
    script.write_text(textwrap.dedent(prelude) + textwrap.dedent(body), encoding="utf-8")
    return LlmTokens(model=MODEL, cache=folder, log=folder / "llm.log", command=(sys.executable, str(script)))


def test_every_text_reaches_the_worker_and_has_its_count(tmp_path: Path) -> None:
    sent = "assert job['model']['source'] == 'organisation/tiny'\n"
    made = counter(tmp_path, sent + "print(json.dumps({'tokens': counts}))")
    assert made.count(TEXTS) == (5, 0, 7)
    assert made.count([]) == ()


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("print(json.dumps({'tokens': counts[1:]}))", "did not count 3 texts"),
        ("", "did not count 3 texts"),
        ("print(json.dumps({'tokens': [-1, 0, 0]}))", "no record of this protocol"),
        ("print('no tokenizer here', file=sys.stderr); sys.exit(1)", "no tokenizer here"),
    ],
)
def test_a_worker_that_does_not_count_every_text_is_our_failure(tmp_path: Path, body: str, named: str) -> None:
    with pytest.raises(InfrastructureError, match=named):
        counter(tmp_path, body).count(TEXTS)


def test_chats_reach_the_worker_as_they_are(tmp_path: Path) -> None:
    sent = "counts = [len(chat) for chat in job['chats']]\nassert not job['texts']\n"
    made = counter(tmp_path, sent + "print(json.dumps({'tokens': counts}))")
    user, assistant = Message(role="user", content="a"), Message(role="assistant", content="b")
    assert made.chats([(user,), (user, assistant)]) == (1, 2)
    assert made.chats([]) == ()
