"""Curation of a small LEMUR, stage by stage, and qualification."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.answer import extract
from orchestrator.config import Config, parse
from orchestrator.corpus import curation, qualify, representatives, stages
from orchestrator.corpus.infill import MISSING
from orchestrator.corpus.qualify import Seed
from orchestrator.errors import ConfigError
from orchestrator.evaluation import Submission
from orchestrator.records import Candidate, Claimed, Evaluation, Measured, Verdict, digest
from orchestrator.run import Store
from orchestrator.sections import NoveltyConfig
from sandbox_image.parser import Inspection
from sandbox_image.parser import inspect as inspect_one

HEAD = "import torch\nimport torch.nn as nn\n\n\nclass Net(nn.Module):\n"
INIT = "    def __init__(self, in_shape, out_shape, prm, device):\n        super().__init__()\n"
FORWARD = "\n    def forward(self, x):\n        return self.net(x)\n"
REST = "\n    def train_setup(self, prm):\n        pass\n\n    def learn(self, train_data):\n        pass\n"
KEYS = "\n\ndef supported_hyperparameters():\n    return {'lr', 'momentum'}\n"


def program(seed: int, *, tail: str = REST + KEYS, extra: str = "") -> str:
    layers = "".join(f"        self.l{seed}_{n} = nn.Conv2d({seed}, {n}, {seed + n})\n" for n in range(12))
    return extra + HEAD + INIT + layers + FORWARD + tail


MODELS = {
    "good": program(1),
    "better-twin": program(1) + "# only a comment differs\n",
    "copy": program(1),
    "second": program(2),
    "third": program(3),
    "fourth": program(4),
    "broken": "class Net(",
    "no-learn": program(5, tail=KEYS),
    "more-keys": program(6, tail=REST + KEYS.replace("'lr'", "'lr', 'dropout'")),
    "more-imports": program(7, extra="import numpy\n"),
}


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "lemur.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in MODELS.items():
            archive.writestr(f"ab/nn/nn/{name}.py", text)
        folder = "ab/nn/stat/train/img-classification_cifar-10_acc_better-twin/1.json"
        archive.writestr(folder, json.dumps([{"accuracy": 0.7}, {"accuracy": 0.6}]))
    return path


def config(*, completion: bool = False, **section: object) -> Config:
    data = {
        "name": "test",
        "completion": completion,
        "protocol": {},
        "prompt": {},
        "llm": {"model": {"source": "none"}},
        "corpus": section,
    }
    return parse(data, origin="test")


def inspect(sources: Iterable[bytes], *, complete: bool, strip: bool, compact: bool) -> Iterator[Inspection]:
    for source in sources:
        yield inspect_one(source, complete=complete, strip=strip, compact=compact)


class Evaluator:
    """Passes every program with an accuracy that depends on its name's length; counts what it saw."""

    def __init__(self, protocol: str, *, breaks_after: int | None = None) -> None:
        self.protocol = protocol
        self.seen: list[str] = []
        self.breaks_after = breaks_after

    def evaluate(self, submissions: Iterable[Submission]) -> Iterator[Evaluation]:
        for submission in submissions:
            if len(self.seen) == self.breaks_after:
                raise KeyboardInterrupt
            self.seen.append(submission.candidate_id)
            verdict = Verdict(
                candidate_id=submission.candidate_id,
                state="passed",
                stage="predict",
                cause=None,
                accuracy=len(submission.candidate_id) / 20,
                predictions=None,
                protocol=self.protocol,
                environment=digest(b"here"),
                claimed=Claimed(parameters=1000, fingerprint=digest(submission.candidate_id.encode())),
                measured=Measured(),
            )
            yield Evaluation(candidate=Candidate(candidate_id=submission.candidate_id, source=None), verdict=verdict)


def test_every_stage_accounts_for_every_record_it_drops(wheel: Path) -> None:
    found = stages.build(config(imports="torch", train_split=0.75), wheel=wheel, inspect=inspect)
    rows = {stage.name: (stage.kept, stage.dropped) for stage in found.stages}
    assert rows == {
        "trial records": (2, 0),
        "best rows": (1, 1),
        "model files": (10, 0),
        "parsed": (9, 1),
        "contract": (8, 1),
        "hyperparameters": (7, 1),
        "imports": (6, 1),
        "exact duplicates": (5, 1),
        "conversion": (5, 0),
        "near-duplicates": (4, 1),
        "train split": (3, 1),
        "chat pairs": (6, 0),
    }
    drops = {drop.name: drop.reason for stage in found.stages for drop in stage.drops}
    assert drops["broken"] == "syntax_error"
    assert drops["no-learn"] == "lacks Net.train_setup, Net.learn"
    assert drops["copy"] == "near-duplicate" or drops["good"] == "near-duplicate"
    shown = {row[0]: row[1:] for row in curation.table([stage.as_json() for stage in found.stages])}
    assert shown["parsed"] == (9, 1, None, "syntax_error 1")
    assert shown["best rows"] == (1, 1, 109_913, "a better trial of that model and epoch 1")
    assert shown["chat pairs"] == (6, 0, 1_698, "")
    json.dumps([stage.as_json() for stage in found.stages])


def test_the_best_of_a_group_of_near_duplicates_stands_for_it(wheel: Path) -> None:
    seeds, found = stages.candidates(config(), wheel=wheel, inspect=inspect)
    names = [seed.name for seed in seeds]
    assert names[0] == "better-twin"
    assert "good" not in names
    (drop,) = found[-1].drops
    assert drop.representative == "better-twin"
    assert drop.detail == "of better-twin: 1.000, exact 1.000; first-epoch accuracy 0.7000 against none"
    assert found[-1].clusters == {"better-twin": [drop.name]}
    assert found[-1].as_json()["paper"] == 1_065


def test_of_equally_accurate_near_duplicates_the_shorter_stands_for_the_others_then_the_name() -> None:
    def seed(name: str, tokens: int, accuracy: float | None) -> Seed:
        return Seed(name=name, text=b"", tokens=tokens, shingles=b"\1" * 8, lemur_accuracy=accuracy)

    seeds = [seed("c", 9, 0.5), seed("d", 8, 0.5), seed("b", 8, 0.5), seed("a", 7, 0.4), seed("e", 7, None)]
    kept, stage = representatives.deduplicate(NoveltyConfig(), seeds)
    assert [seed.name for seed in kept] == ["b"]
    assert {drop.name: drop.detail.partition("; ")[2] for drop in stage.drops} == {
        "d": "as accurate and as long, the earlier name",
        "c": "as accurate, 8 tokens against 9",
        "a": "first-epoch accuracy 0.5000 against 0.4000",
        "e": "first-epoch accuracy 0.5000 against none",
    }


def test_each_seed_gives_one_pair_a_task_with_its_text_and_shingles_in_the_store(wheel: Path, tmp_path: Path) -> None:
    settings = config(train_split=1.0)
    store = Store(tmp_path / "store")
    found = stages.build(settings, wheel=wheel, inspect=inspect)
    entries = list(stages.entries(settings, found, store))
    assert len(entries) == 2 * len(found.seeds)
    assert len({entry.entry_id for entry in entries}) == len(entries)
    for entry in entries:
        assert extract(entry.messages[-1].content) == store.get(entry.source)
        assert len(store.get(entry.shingles)) % 8 == 0
    assert {entry.task for entry in entries} == {"mnist", "cifar10"}


def test_a_seed_is_asked_for_whole_and_with_a_body_missing_where_the_authors_pairs_are_chosen(
    wheel: Path, tmp_path: Path
) -> None:
    settings = config(train_split=1.0, pairs="full_infill")
    found = stages.build(settings, wheel=wheel, inspect=inspect)
    entries = list(stages.entries(settings, found, Store(tmp_path / "store")))
    assert entries == list(stages.entries(settings, found, Store(tmp_path / "store")))
    assert found.stages[-1].kept == len(entries) == 2 * len(found.seeds)
    for full, infill in zip(entries[::2], entries[1::2], strict=True):
        assert infill.entry_id == full.entry_id.replace("@full", "@infill")
        assert full.messages[-1] == infill.messages[-1]
        assert infill.messages[1].content.startswith(full.messages[1].content)
        shown, whole = extract(infill.messages[1].content), extract(full.messages[-1].content)
        assert shown is not None
        assert whole is not None
        assert MISSING in shown.decode()
        assert MISSING not in whole.decode()


def test_building_twice_gives_the_same_corpus_and_another_seed_another_split(wheel: Path) -> None:
    first = stages.build(config(train_split=0.5), wheel=wheel, inspect=inspect)
    assert first == stages.build(config(train_split=0.5), wheel=wheel, inspect=inspect)
    splits = {
        tuple(seed.name for seed in stages.build(config(train_split=0.5).model_copy(update={"seed": seed}),
                                                 wheel=wheel, inspect=inspect).seeds)
        for seed in range(8)
    }  # fmt: skip
    assert len(splits) > 1


def test_stripped_seeds_hold_no_boilerplate_and_are_shingled_as_they_are_shown(wheel: Path) -> None:
    settings = config(completion=True, strip_boilerplate=True)
    seeds, _ = stages.candidates(settings, wheel=wheel, inspect=inspect)
    for seed in seeds:
        assert b"learn" not in seed.text
        assert inspect_one(seed.text, complete=True, strip=False).shingles == seed.shingles


def test_the_length_of_seeds_can_be_bounded(wheel: Path) -> None:
    with pytest.raises(ConfigError, match="no program is left"):
        stages.build(config(max_tokens=50), wheel=wheel, inspect=inspect)


def test_selection_is_diverse_and_begins_with_the_best(wheel: Path) -> None:
    seeds, _ = stages.candidates(config(imports="any"), wheel=wheel, inspect=inspect)
    twin = replace(seeds[0], name="zz-twin", lemur_accuracy=0.69)
    chosen = representatives.select([*seeds, twin], 3)
    assert chosen[0].name == "better-twin"
    assert "zz-twin" not in [seed.name for seed in chosen]
    assert chosen == representatives.select([twin, *reversed(seeds)], 3)


@pytest.mark.parametrize("section", [{"max_parameters": 5}, {"min_accuracy": 0.5}, {"strip_boilerplate": True}])
def test_a_switch_that_lacks_what_it_needs_is_an_error_that_names_it(wheel: Path, section: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(section))):
        stages.build(config(**section), wheel=wheel, inspect=inspect)


def test_qualification_goes_on_where_it_was_interrupted(wheel: Path, tmp_path: Path) -> None:
    settings, path = config(), tmp_path / "data" / "qualified.jsonl"
    seeds, _ = stages.candidates(settings, wheel=wheel, inspect=inspect)
    first = Evaluator(settings.protocol.hash(), breaks_after=2)
    with pytest.raises(KeyboardInterrupt):
        list(qualify.qualify(settings, seeds, first, path))
    with path.open("a") as stream:
        stream.write('{"torn')
    second = Evaluator(settings.protocol.hash())
    assert len(list(qualify.qualify(settings, seeds, second, path))) == len(seeds) - 2
    assert first.seen + second.seen == [seed.name for seed in seeds]
    assert list(qualify.read(path, protocol=settings.protocol.hash())) == [seed.name for seed in seeds]
    assert list(qualify.qualify(settings, seeds, second, path)) == []


def test_only_seeds_that_qualified_are_trained_on(wheel: Path, tmp_path: Path) -> None:
    path = tmp_path / "qualified.jsonl"
    settings = config(qualified=str(path), min_accuracy=0.3, max_parameters=1000, train_split=1.0, entries=2)
    seeds, _ = stages.candidates(config(), wheel=wheel, inspect=inspect)
    list(qualify.qualify(settings, seeds, Evaluator(settings.protocol.hash()), path))
    found = stages.build(settings, wheel=wheel, inspect=inspect)
    assert {seed.name for seed in found.seeds} <= {seed.name for seed in seeds if len(seed.name) >= 6}
    entries = list(stages.entries(settings, found, Store(tmp_path / "store")))
    assert all(entry.accuracy is not None and entry.protocol == settings.protocol.hash() for entry in entries)


def test_a_seed_keeps_the_fingerprint_that_it_claimed_when_it_was_qualified(wheel: Path, tmp_path: Path) -> None:
    path = tmp_path / "qualified.jsonl"
    settings = config(qualified=str(path))
    seeds, _ = stages.candidates(config(), wheel=wheel, inspect=inspect)
    list(qualify.qualify(settings, seeds, Evaluator(settings.protocol.hash()), path))
    curation = stages.build(settings, wheel=wheel, inspect=inspect)
    entries = list(stages.entries(settings, curation, Store(tmp_path / "objects")))
    assert entries
    assert all(entry.fingerprint == digest(entry.entry_id.partition("@")[0].encode()) for entry in entries)


def test_a_qualification_from_before_there_were_fingerprints_is_read() -> None:
    (line, *_) = qualify.locate("qualified-fashion-mnist.jsonl").read_text(encoding="utf-8").splitlines()
    before = {name: value for name, value in json.loads(line).items() if name != "fingerprint"}
    assert qualify.Qualification.model_validate_json(json.dumps(before)).fingerprint is None


def test_measurements_of_another_text_or_protocol_do_not_count(wheel: Path, tmp_path: Path) -> None:
    path = tmp_path / "qualified.jsonl"
    settings = config(qualified=str(path))
    seeds, _ = stages.candidates(config(), wheel=wheel, inspect=inspect)
    other = [replace(seed, text=seed.text + b"# other\n") for seed in seeds]
    list(qualify.qualify(settings, other, Evaluator(settings.protocol.hash()), path))
    with pytest.raises(ConfigError, match="no program is left"):
        stages.build(settings, wheel=wheel, inspect=inspect)
    with pytest.raises(ConfigError, match="0" * 64):
        qualify.read(path, protocol="0" * 64)


def test_a_missing_qualification_file_is_named() -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        qualify.locate("nowhere.jsonl")


def test_only_named_programs_are_looked_at_where_names_are_given(wheel: Path) -> None:
    everything, _ = stages.candidates(config(), wheel=wheel, inspect=inspect)
    wanted = everything[0].name
    seeds, found = stages.candidates(config(), wheel=wheel, inspect=inspect, names=frozenset({wanted}))
    assert [seed.name for seed in seeds] == [wanted]
    assert found[3].name == "named"
