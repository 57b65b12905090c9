"""The store keeps what it is given and notices when it no longer has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InfrastructureError, LedgerError
from orchestrator.records import digest
from orchestrator.run import Store


def test_content_comes_back_under_its_digest_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    store = Store(tmp_path / "objects")
    for content in (b"", b"\x00\xff", b"x" * 100_000):
        assert store.put(content) == digest(content)
        assert store.put(content) == digest(content)
        assert store.get(digest(content)) == content
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 3


def test_changed_content_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    name = store.put(b"one")
    store.path(name).write_bytes(b"two")
    with pytest.raises(LedgerError, match=name):
        store.get(name)


def test_a_missing_blob_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=digest(b"never")):
        Store(tmp_path).get(digest(b"never"))


def test_a_folder_that_cannot_be_made_is_our_failure(tmp_path: Path) -> None:
    (tmp_path / "objects").write_text("a file stands here")
    with pytest.raises(InfrastructureError, match="objects"):
        Store(tmp_path / "objects").put(b"content")
