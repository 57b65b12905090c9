"""The seam to the engine: nothing of its SDK leaves it, and what it says and refuses comes in words of ours."""

from __future__ import annotations

import ast
import gc
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.records import Limits
from orchestrator.sandbox import Engine
from orchestrator.sandbox.cgroup import ControlGroup
from orchestrator.sandbox.engine import CALL_TIMEOUT, TIMEOUT, Listed, call_timeout, opened
from orchestrator.sandbox.engine_errors import RefusedError
from orchestrator.sandbox.lockdown import Spec, creation
from tests.support.fake_engine import VERSION, FakeEngine, fake_engine
from tests.unit.test_imports import imported, modules

SDK = {"docker", "requests", "urllib3"}
SEAM = {"engine.py", "engine_errors.py", "engine_images.py", "engine_address.py"}
SPEC = Spec(
    image="i", mode="supervise", runtime="runc", limits=Limits(), life=60.0, seccomp="{}", owner="me", threads=1
)
SHOWN = {
    "State": {"Running": False, "ExitCode": 3, "OOMKilled": True},
    "Config": {"Env": ["LANG=C.UTF-8"]},
    "HostConfig": {"Memory": 1},
}


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    with fake_engine(tmp_path, monkeypatch) as engine:
        yield engine


def test_only_the_seam_knows_the_sdk_of_the_engine() -> None:
    trees = {path.name: ast.parse(path.read_text(encoding="utf-8")) for path in modules("orchestrator")}
    assert {name for name, tree in trees.items() if SDK & set(imported(tree))} == SEAM


def test_the_environment_may_shorten_how_long_a_call_to_the_engine_may_hang() -> None:
    assert call_timeout(None) == CALL_TIMEOUT
    assert call_timeout("3") == 3


@pytest.mark.parametrize("text", ["", "0", "-1", "soon", "1.5", "\u00b2"])
def test_a_time_that_is_none_is_refused_by_name(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TIMEOUT, text)
    with pytest.raises(ConfigError, match=TIMEOUT), Engine():
        pass


# reason: the SDK leaves the socket that it could not connect to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_is_not_there_is_a_failure_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'nobody.sock'}")
    with pytest.raises(InfrastructureError, match=r"no Docker engine answers .* point DOCKER_HOST"), Engine():
        pass
    gc.collect()


def test_an_engine_that_is_too_old_is_refused_with_its_address(fake: FakeEngine) -> None:
    fake.answers["GET /version"] = (200, VERSION | {"Version": "20.10.9+dfsg1"})
    with pytest.raises(InfrastructureError, match=r"20\.10\.9\+dfsg1 at unix://\S+/engine\.sock is too old"), Engine():
        pass


def test_a_container_is_created_from_what_was_asked_and_nothing_more(
    fake: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxies = {"proxies": {"default": {"httpProxy": "http://user:s3cret@proxy:3128"}}}
    (tmp_path / "config.json").write_text(json.dumps(proxies), encoding="utf-8")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))  # which the SDK would hand on to the container
    fake.answers["POST /containers/create"] = (201, {"Id": "c"})
    asked = creation(SPEC, ControlGroup("x", "cgroupfs"))
    with Engine() as engine:
        assert engine.create(asked, name="n") == "c"
    assert fake.asked[-1] == ("POST /v1.41/containers/create", asked)


def test_what_is_shown_of_a_container_is_plain(fake: FakeEngine) -> None:
    fake.answers["GET /containers/c/json"] = (200, SHOWN)
    with Engine() as engine:
        shown = engine.inspect("c")
    assert shown is not None
    assert (shown.running, shown.exit_code, shown.oom_killed) == (False, 3, True)
    assert (shown.environment, shown.host) == (("LANG=C.UTF-8",), {"Memory": 1})


def test_a_container_in_the_list_may_have_no_name_and_no_labels(fake: FakeEngine) -> None:
    named = {"Id": "a", "Names": ["/n"], "Labels": {"l": "1"}}
    fake.answers["GET /containers/json"] = (200, [named, {"Id": "b", "Names": None, "Labels": None}])
    with Engine() as engine:
        assert engine.listed(label="l") == [Listed("a", "n", {"l": "1"}), Listed("b", "", {})]


def test_a_container_that_is_gone_is_shown_as_none_and_need_not_be_ended(fake: FakeEngine) -> None:
    with Engine() as engine:
        assert engine.inspect("c") is None
        engine.wait("c", seconds=1)
        engine.kill("c")
        engine.remove("c")
    assert [asked for asked, _ in fake.asked[-3:]] == [
        "POST /v1.41/containers/c/wait",
        "POST /v1.41/containers/c/kill",
        "DELETE /v1.41/containers/c",
    ]


@pytest.mark.parametrize(("status", "conflict"), [(409, True), (500, False)])
def test_a_refusal_says_what_was_asked_and_whether_somebody_else_is_at_it(
    fake: FakeEngine, status: int, *, conflict: bool
) -> None:
    fake.answers["DELETE /containers/c"] = (status, {"message": "not now"})
    with Engine() as engine, pytest.raises(RefusedError, match=r"removing container c: .*not now") as raised:
        engine.remove("c")
    assert raised.value.conflict is conflict


def test_an_image_that_is_not_there_is_none_and_why_it_cannot_be_pulled_is_said(fake: FakeEngine) -> None:
    fake.answers["POST /images/create"] = (500, {"message": "no registry answers"})
    with Engine() as engine:
        assert engine.images.find("python:3.11") is None
        assert "no registry answers" in (engine.images.pull("python:3.11") or "")


def test_a_build_that_stops_is_told_with_what_stopped_it(fake: FakeEngine, tmp_path: Path) -> None:
    fake.answers["POST /build"] = (200, {"error": "no space left"})
    said: list[str] = []
    context = tmp_path / "context"
    context.touch()
    with Engine() as engine, context.open("rb") as stream, pytest.raises(InfrastructureError, match="no space left"):
        engine.images.build(stream, tag="t", arguments={}, labels={}, log=said.append)


def test_an_engine_that_is_lent_stays_open_and_no_other_is_opened(fake: FakeEngine) -> None:
    fake.answers["GET /containers/json"] = (200, [])
    with Engine() as engine:
        before = len(fake.asked)
        with opened(engine) as ours:
            assert ours is engine
        assert len(fake.asked) == before
        assert engine.listed(label="l") == []


def test_an_engine_without_a_gpu_says_so_instead_of_a_status(fake: FakeEngine) -> None:
    refusal = 'could not select device driver "" with capabilities: [[gpu]]'
    fake.answers["POST /containers/c/start"] = (500, {"message": refusal})
    with Engine() as engine, pytest.raises(InfrastructureError, match="this engine offers no GPU"):
        engine.start("c")
