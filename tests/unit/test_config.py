"""A configuration that extends another is the same as one that is written out, and a wrong one is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.config import dump, load, read
from orchestrator.errors import ConfigError
from orchestrator.run import RunFolder

BASE: dict[str, Any] = {
    "name": "base",
    "cycles": 3,
    "protocol": {"dataset": "fashion-mnist", "batch": 32},
    "prompt": {"task": "fashion-mnist"},
    "llm": {"model": {"source": "fake", "device": "cpu"}, "lora": {"targets": ["q_proj", "k_proj"]}},
    "admission": {"threshold": 0.5},
}


def write(folder: Path, stem: str, /, **sections: Any) -> Path:
    path = folder / f"{stem}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(sections))
    return path


def test_what_is_extended_is_merged_section_by_section_and_lists_are_replaced(tmp_path: Path) -> None:
    write(tmp_path, "base", **BASE)
    llm = {"model": {"device": "cuda"}, "lora": {"targets": ["v_proj"]}}
    path = write(tmp_path, "child", extends="base.yaml", name="child", llm=llm, admission={"threshold": None})
    config = load(path)
    assert (config.name, config.cycles, config.protocol.batch) == ("child", 3, 32)
    assert (config.llm.model.source, config.llm.model.device) == ("fake", "cuda")
    assert config.llm.lora.targets == ("v_proj",)
    assert config.admission.threshold is None


def test_it_hashes_and_freezes_like_the_same_written_out(tmp_path: Path) -> None:
    write(tmp_path, "base", **BASE)
    child = load(write(tmp_path, "child", extends="base.yaml", name="child", seed=4))
    whole = load(write(tmp_path, "whole", **BASE | {"name": "child", "seed": 4}))
    assert child.hash() == whole.hash()
    for name, config in (("one", child), ("other", whole)):
        RunFolder.create(tmp_path / name, config)
    frozen = [(tmp_path / name / "config.json").read_bytes() for name in ("one", "other")]
    assert frozen[0] == frozen[1]
    assert RunFolder.load(tmp_path / "one").config == child
    assert "extends" not in dump(child)


def test_a_chain_is_followed_from_folder_to_folder_and_the_nearest_value_counts(tmp_path: Path) -> None:
    write(tmp_path, "base", **BASE)
    write(tmp_path, "inner/middle", extends="../base.yaml", name="middle", seed=1, cycles=9)
    path = write(tmp_path, "inner/top", extends="middle.yaml", name="top", seed=2)
    config = load(path, ("cycles=11",))
    assert (config.name, config.seed, config.cycles, config.protocol.batch) == ("top", 2, 11, 32)
    assert [file.stem for file in read(path)[1]] == ["top", "middle", "base"]


@pytest.mark.parametrize("target", ["top.yaml", "../here/top.yaml", "middle.yaml"])
def test_a_circle_is_refused_and_shown(tmp_path: Path, target: str) -> None:
    folder = tmp_path / "here"
    path = write(folder, "top", extends="middle.yaml", name="top")
    write(folder, "middle", extends=target, name="middle")
    with pytest.raises(ConfigError, match=r"middle\.yaml: extends: goes round in a circle, .*top\.yaml -> .*; remove"):
        load(path)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"extends": "gone.yaml", "name": "x"}, r"child\.yaml: extends: there is no file .*gone\.yaml; name one"),
        ({"extends": ".", "name": "x"}, "there is no file"),
        ({"extends": ["base.yaml"], "name": "x"}, "write the name of one file"),
        ({"extends": None, "name": "x"}, "write the name of one file"),
        ({"extends": "base.yaml"}, r"child\.yaml: name: is missing"),
        ({"extends": "list.yaml", "name": "x"}, r"list\.yaml: the top level must be a mapping"),
        ({"extends": "base.yaml", "name": "x", "budget": None}, "budget: "),
        ({"extends": "base.yaml", "name": "x", "sed": 1}, r"child\.yaml, which extends .*base\.yaml: sed: "),
        ({"extends": "base.yaml", "name": "x", "protocol": {"extends": "base.yaml"}}, r"protocol\.extends"),
    ],
)
def test_a_wrong_extension_is_refused_and_named(tmp_path: Path, sections: dict[str, Any], said: str) -> None:
    write(tmp_path, "base", **BASE)
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match=said):
        load(write(tmp_path, "child", **sections))


def test_an_override_cannot_extend(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="extends"):
        load(write(tmp_path, "base", **BASE), ("extends=base.yaml",))
