"""Shipped files are found in a checkout and in an installation, and the cache is the same from every folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli import main
from orchestrator.cli.options import QUICKSTART, configured
from orchestrator.config import load
from orchestrator.errors import ConfigError
from orchestrator.run import RunFolder
from orchestrator.sandbox.image import read_recipe
from orchestrator.sandbox.session import SECCOMP
from orchestrator.shipped import PACKAGED, checkout, config_path, default_cache, shipped, shipped_configs
from tests.support.checkout import CHECKOUT


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder laid out as a wheel lays out site-packages, the SDK's folder `docker` included."""
    for name in ("docker", "configs"):
        shutil.copytree(CHECKOUT / name, tmp_path / PACKAGED / name)
    shutil.copytree(CHECKOUT / "sandbox_image", tmp_path / "sandbox_image")
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "__init__.py").touch()
    return tmp_path


def test_a_checkout_is_told_from_an_installation(installed: Path) -> None:
    assert checkout() == CHECKOUT
    assert checkout(installed) is None


@pytest.mark.parametrize("name", [SECCOMP, "configs/quickstart.yaml"])
def test_what_is_shipped_is_found_in_a_checkout_and_in_an_installation(installed: Path, name: str) -> None:
    assert shipped(name) == CHECKOUT / name
    assert shipped(name, project=installed) == installed / PACKAGED / name


def test_a_shipped_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"seccomp\.json: is missing; install"):
        shipped(SECCOMP, project=tmp_path)


def test_an_image_has_one_recipe_in_a_checkout_and_in_an_installation(installed: Path) -> None:
    assert read_recipe("cpu", project=installed) == read_recipe("cpu")
    assert read_recipe("cuda", project=installed) == read_recipe("cuda")


def test_every_configuration_is_shipped_under_its_name_and_extends_the_same_files(installed: Path) -> None:
    names = {path.stem for path in (CHECKOUT / "configs").glob("*.yaml")}
    assert shipped_configs().keys() == shipped_configs(project=installed).keys() == names
    for name in names:
        assert load(config_path(name, project=installed)).hash() == load(config_path(name)).hash()


def test_any_file_is_a_configuration_and_a_shipped_name_goes_before_a_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine.yaml", "quickstart"):
        (tmp_path / name).touch()
    assert config_path("mine.yaml") == Path("mine.yaml")
    assert config_path("quickstart") == CHECKOUT / "configs" / "quickstart.yaml"
    assert config_path("./quickstart") == Path("quickstart")


@pytest.mark.parametrize("name", ["quikstart", "configs/quickstart.yaml", "quickstart.yml"])
def test_a_name_that_nothing_has_is_answered_with_what_is_meant_and_what_is_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=rf"^{name}: .* Did you mean quickstart\? Shipped are .*paper-cifar10"):
        config_path(name)


def test_a_name_like_no_other_is_answered_with_what_is_shipped() -> None:
    with pytest.raises(ConfigError, match=r"is shipped\. Shipped are cpu-study"):
        config_path("zzz")


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no file; name a YAML file or one of cpu-study"):
        config_path(str(tmp_path))


def test_a_command_without_a_configuration_takes_the_quickstarts() -> None:
    assert configured(None, ()).hash() == load(config_path(QUICKSTART)).hash()


def test_the_cache_of_a_checkout_is_in_it_from_every_folder(tmp_path: Path) -> None:
    code = "from orchestrator.shipped import default_cache; print(default_cache())"
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(default_cache()) == str(CHECKOUT / ".cache")


def sizes(folder: Path, *arguments: str, **environment: str) -> Result:
    """What `orchestrate audit sizes` says of the run `run` under `folder`."""
    if not (folder / "run").exists():
        RunFolder.create(folder / "run", load(config_path("quickstart")))
    return CliRunner().invoke(main, ["audit", "sizes", "run", *arguments], env=environment)


def test_a_place_is_said_on_standard_error_unless_the_command_line_names_it(tmp_path: Path) -> None:
    runs = str(tmp_path / "a\nb")
    said = sizes(Path(runs), ORCHESTRATE_RUNS=runs)
    silent = sizes(Path(runs), "--runs", runs)
    assert (said.exit_code, silent.exit_code) == (0, 0)
    assert said.stderr == f"runs: {tmp_path}/a\\nb\n"
    assert silent.stderr == ""
    assert said.stdout == silent.stdout
