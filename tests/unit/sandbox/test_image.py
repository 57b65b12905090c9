"""What an image is made from: its digest, its build context, and the commands that fetch its parts."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.records import digest
from orchestrator.sandbox.image import Recipe, read_recipe, write_context
from orchestrator.sandbox.image_base import bootstrap_command
from orchestrator.sandbox.image_wheels import STAMP, download_command, fetch_wheels

RECIPE = Recipe(dockerfile=b"FROM x", requirements=b"torch", sources={"sandbox_image/wire.py": b"1"})


def test_the_same_recipe_on_the_same_base_has_the_same_digest() -> None:
    assert RECIPE.digest(base_id="a") == replace(RECIPE).digest(base_id="a")


@pytest.mark.parametrize(
    "other",
    [
        replace(RECIPE, dockerfile=b"FROM y"),
        replace(RECIPE, requirements=b"torch==1"),
        replace(RECIPE, sources={"sandbox_image/wire.py": b"2"}),
        replace(RECIPE, sources={"sandbox_image/wires.py": b"1"}),
        replace(RECIPE, sources={}),
    ],
    ids=["dockerfile", "requirements", "source", "name", "fewer"],
)
def test_any_change_gives_another_digest(other: Recipe) -> None:
    assert other.digest(base_id="a") != RECIPE.digest(base_id="a")


def test_another_base_gives_another_digest() -> None:
    assert RECIPE.digest(base_id="a") != RECIPE.digest(base_id="b")


@pytest.mark.parametrize("variant", ["cpu", "cuda"])
def test_the_recipe_holds_the_whole_sandbox_image_and_nothing_else(variant: str) -> None:
    recipe = read_recipe("cpu" if variant == "cpu" else "cuda")
    assert "sandbox_image/wire.py" in recipe.sources
    assert "sandbox_image/__main__.py" in recipe.sources
    assert all(name.startswith("sandbox_image/") and name.endswith(".py") for name in recipe.sources)
    assert b"torch==" in recipe.requirements


def test_a_recipe_that_lacks_a_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sandbox\.Dockerfile: is missing"):
        read_recipe("cpu", project=tmp_path)


def test_the_context_is_the_same_bytes_whatever_the_files_times(tmp_path: Path) -> None:
    wheel = tmp_path / "a-1-py3-none-any.whl"
    contexts = []
    for _ in range(2):
        wheel.write_bytes(b"wheel")
        stream = io.BytesIO()
        write_context(stream, recipe=RECIPE, wheels=[wheel])
        contexts.append(stream.getvalue())
        wheel.unlink()
    assert contexts[0] == contexts[1]
    with tarfile.open(fileobj=io.BytesIO(contexts[0])) as archive:
        names = archive.getnames()
    assert names == ["Dockerfile", "requirements.txt", "sandbox_image/wire.py", "wheels/a-1-py3-none-any.whl"]


def test_wheels_that_are_there_for_the_same_requirements_are_not_fetched_again(tmp_path: Path) -> None:
    folder = tmp_path / "cpu"
    folder.mkdir()
    (folder / STAMP).write_text(digest(b"torch"))
    (folder / "torch-1-py3-none-any.whl").touch()
    said: list[str] = []
    wheels = fetch_wheels(b"torch", folder=folder, log=said.append)
    assert [path.name for path in wheels] == ["torch-1-py3-none-any.whl"]
    assert said == []


def test_wheels_that_cannot_be_had_leave_the_old_ones(tmp_path: Path) -> None:
    folder = tmp_path / "cpu"
    folder.mkdir()
    (folder / "torch-1-py3-none-any.whl").touch()
    with pytest.raises(InfrastructureError, match="wheels"):
        fetch_wheels(b"this is no requirement !!", folder=folder, log=lambda line: None)
    assert (folder / "torch-1-py3-none-any.whl").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["cpu"]


def test_wheels_are_for_the_images_python_whatever_runs_here() -> None:
    command = download_command(Path("requirements.txt"), target=Path("wheels"))
    assert {"--python-version=3.11", "--only-binary=:all:", "--platform=manylinux_2_28_x86_64"} <= set(command)


def test_a_bootstrapped_base_holds_what_torch_links_against() -> None:
    (included,) = [part for part in bootstrap_command(Path("base.tar")) if part.startswith("--include=")]
    assert set(included.removeprefix("--include=").split(",")) == {"python3", "libstdc++6"}
