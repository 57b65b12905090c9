"""A wheel works from any folder, without the checkout that it was built in."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.checkout import CACHE, CHECKOUT, CONFIGS

WHEELS: dict[str, Any] = runpy.run_path(str(CHECKOUT / "docker" / "wheels.py"))
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = WHEELS["wheel"](tmp_path_factory.mktemp("dist"), light=True)
    return made


@pytest.fixture(scope="module")
def orchestrate(light: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The installed command in a fresh environment, started in an empty folder that has nothing to do with us."""
    venv, empty = tmp_path_factory.mktemp("installed") / "venv", tmp_path_factory.mktemp("empty")
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, str(light)], check=True)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        environment["ORCHESTRATE_CACHE"] = str(CACHE)
        command = [str(venv / "bin" / "orchestrate"), *arguments]
        return subprocess.run(
            command, cwd=empty, env=environment, capture_output=True, text=True, check=False, timeout=600
        )

    return run


def test_the_wheel_holds_what_the_code_needs_besides_itself(light: Path) -> None:
    with zipfile.ZipFile(light) as content:
        names = content.namelist()
    shipped = {name.removeprefix("orchestrator/shipped_files/") for name in names if "/shipped_files/" in name}
    expected = {f"configs/{path.name}" for path in CONFIGS.glob("*.yaml")}
    expected |= {f"docker/{name}" for name in ("sandbox.Dockerfile", "seccomp.json")}
    expected |= {f"docker/{path.name}" for path in (CHECKOUT / "docker").glob("requirements-*.txt")}
    assert shipped == expected
    assert not [name for name in names if name.startswith(("docker/", "configs/", "tests/"))]
    assert {"llm/generate.py", "sandbox_image/supervisor.py", "orchestrator/report/templates/page.html"} <= set(names)


def test_the_light_set_lacks_only_what_no_evaluation_needs() -> None:
    project = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    light = WHEELS["lightened"](project)
    before, after = (tomllib.loads(text)["project"] for text in (project, light))
    gone = set(before["dependencies"]) - set(after["dependencies"])
    assert {one.partition(">=")[0] for one in gone} == set(WHEELS["HEAVY"])
    assert set(after["optional-dependencies"]["whole"]) == gone
    assert (before["name"], after["name"]) == ("nn-orchestrate", "nn-orchestrate-light")


@pytest.mark.docker
def test_a_program_is_evaluated_from_an_empty_folder(orchestrate: Run, tmp_path: Path) -> None:
    program = tmp_path / "model.py"
    program.write_bytes((CHECKOUT / "docs" / "examples" / "passes.py").read_bytes())
    said = orchestrate("--version")
    assert said.stdout.startswith("orchestrate, version ")
    assert said.stdout.strip().endswith(" light")
    done = orchestrate("evaluate", str(program), "--config", "quickstart", "--jsonl")
    assert done.returncode == 0, done.stderr
    (verdict,) = (json.loads(line) for line in done.stdout.splitlines())
    assert verdict["state"] == "passed", verdict
    (said,) = re.findall(r"^cache: ([^;\n]+)", done.stderr, re.MULTILINE)
    assert Path(said).expanduser() == CACHE


@pytest.mark.docker
def test_the_image_that_a_checkout_built_is_up_to_date_for_an_installation(orchestrate: Run) -> None:
    done = orchestrate("image", "build", "--config", "quickstart")
    assert done.returncode == 0, done.stderr
    assert "nn-sandbox:cpu is up to date" in done.stderr


@pytest.mark.docker
def test_a_run_that_needs_what_is_not_installed_is_refused_before_it_is_frozen(orchestrate: Run) -> None:
    done = orchestrate("cycle", "--config", "quickstart")
    assert done.returncode == 2
    assert "are not installed" in done.stderr
    assert "pip install nn-orchestrate" in done.stderr
    assert "Traceback" not in done.stderr
