"""Nothing in a report acts: no request leaves its page, and what candidates wrote is shown and never read."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli import main
from orchestrator.config import parse
from orchestrator.report import markdown, page
from orchestrator.report.document import compose
from orchestrator.report.figures import Figure
from orchestrator.report.gallery import SHOWN, gallery
from orchestrator.report.results import Results
from orchestrator.report.writing import named
from orchestrator.run import RunFolder
from tests.support.checkout import CHECKOUT
from tests.support.imports import imported
from tests.support.recorded_run import DATA, recorded

LOADING = {"src", "href", "xlink:href", "srcset", "poster", "action", "formaction", "data", "background"}
HOSTILE = (
    "</pre></code><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>"
    " ![x](http://evil.example/y) | [a](javascript:alert(1)) `` ``` {{ 7 * 7 }} @someone www.evil.example"
    " \x1b[31m \u202e"
)


class Page(HTMLParser):
    """What a browser would make of a page: its text, its elements, and every address that it would load."""

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def outside(self) -> list[str]:
        """Every address of another place, in attributes and in style sheets."""
        loaded = [value for name, value in self.attributes if name in LOADING]
        styles = [self.text, *(value for _, value in self.attributes)]
        loaded += [url for style in styles for url in re.findall(r"url\(\s*['\"]?([^'\")]*)", style)]
        return [url for url in loaded if not url.startswith(("#", "data:"))]


def orchestrate(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on a run of three cycles, one without a valid candidate and an empty one."""
    folder = tmp_path_factory.mktemp("runs")
    recorded(folder / "long", cycles=3, candidates=60)
    recorded(folder / "nothing-valid", cycles=2, candidates=3)
    RunFolder.create(folder / "empty", parse(DATA, origin="test"))
    names = ("long", "nothing-valid", "empty")
    done = orchestrate("report", *names, "--runs", str(folder), "--out", str(folder / "out"), "--gallery", "6")
    assert done.exit_code == 0, done.output
    return folder / "out"


def results(path: Path, *, cycles: int = 1, candidates: int = 12) -> Results:
    return Results.read(recorded(path, cycles=cycles, candidates=candidates), label=path.name, most=3)


def hostile(path: Path, source: bytes) -> Results:
    """A run whose name, causes and admitted program are made to break out of the page."""
    run = recorded(path, candidates=24)
    read = Results.read(run, label=HOSTILE, most=0)
    histories = []
    for history in read.histories:
        assert history.candidate is not None
        assert history.verdict is not None
        candidate = history.candidate.model_copy(
            update={"source": run.store.put(source + history.candidate_id.encode())}
        )
        verdict = history.verdict.model_copy(update={"cause": HOSTILE if history.accuracy is None else None})
        near = None if history.novelty is None else history.novelty.train
        named = None if near is None else near.model_copy(update={"entry_id": HOSTILE})
        novelty = None if history.novelty is None else history.novelty.model_copy(update={"train": named})
        histories.append(replace(history, candidate=candidate, verdict=verdict, novelty=novelty))
    return replace(read, histories=tuple(histories), exhibits=gallery(run, histories, most=3))


def test_no_request_leaves_the_page_and_nothing_in_it_runs(out: Path) -> None:
    seen = Page((out / "report.html").read_text(encoding="utf-8"))
    assert seen.outside == []
    assert not {"script", "iframe", "object", "embed", "base", "form"} & set(seen.elements)
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert "@import" not in seen.text
    policy = next(value for name, value in seen.attributes if name == "content" and "default-src" in value)
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")


def test_the_figures_stand_in_the_page_and_beside_the_markdown(out: Path) -> None:
    seen = Page((out / "report.html").read_text(encoding="utf-8"))
    linked = re.findall(r"\]\((figures/\w+\.png)\)", (out / "report.md").read_text(encoding="utf-8"))
    assert len(linked) == 7
    assert seen.elements.count("svg") == 2 * len(linked)  # for each run with a whole cycle
    assert all((out / link).read_bytes().startswith(b"\x89PNG") for link in linked)
    ids = [value for name, value in seen.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_text_of_candidates_is_shown_and_acts_on_nothing(tmp_path: Path) -> None:
    report = compose([hostile(tmp_path / "run", HOSTILE.encode())], figures=())
    content = page.render(report)
    seen = Page(content)
    assert seen.outside == []
    assert "script" not in seen.elements
    assert "img" not in seen.elements
    assert seen.text.count("<script>alert(1)</script>") >= 8  # title, names, causes, neighbours, programs, diffs
    assert "{{ 7 * 7 }}" in seen.text
    for text in (content, markdown.render(report)):
        assert not [char for char in text if not char.isprintable() and char != "\n"]
        assert r"\x1b[31m \u202e".replace("[", r"\[") in text or r"\x1b[31m \u202e" in text


def test_text_of_candidates_has_no_meaning_as_markdown(tmp_path: Path) -> None:
    text = markdown.render(compose([hostile(tmp_path / "run", HOSTILE.encode())], figures=()))
    inside = False
    for line in text.splitlines():
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            assert "<" not in line
            assert not re.search(r"(?<!\\)\]\(|(?<![:\\]):(?=//)|(?<!\\)`|www\.evil|(?<!\\)@", line)
    cells = [
        len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if HOSTILE[:5] in line and line[0] == "|"
    ]
    heads = {len(re.findall(r"\|", line)) for line in text.splitlines() if line.startswith("| ---")}
    assert set(cells) <= heads


def test_no_program_ends_its_code_block(tmp_path: Path) -> None:
    source = b"x = 1\n```\n````\n# heading\n![x](http://evil.example)\n"
    text = markdown.render(compose([hostile(tmp_path / "run", source)], figures=()))
    assert text.count("\n`````python\n") == 1
    assert text.count("\n`````\n") == 2  # the program, and what differs


def test_the_gallery_is_bounded_whatever_the_programs_are(tmp_path: Path) -> None:
    huge = b"<+" * (1 << 20) + b"\n" + b"a<b\n" * 1000
    content = page.render(compose([hostile(tmp_path / "run", huge)], figures=()))
    assert len(content) < 3 * 10 * SHOWN + 100_000
    assert "more characters]" in Page(content).text


def test_the_gallery_shows_the_best_admitted_with_parameters_and_neighbour(out: Path) -> None:
    seen = Page((out / "report.html").read_text(encoding="utf-8"))
    run = RunFolder.load(out.parent / "long")
    admitted = [
        (-one.accuracy, one.candidate_id)
        for n in (1, 2, 3)
        for one in run.cycle(n).novelty.read()
        if one.decision == "admitted"
    ]
    for accuracy, name in sorted(admitted)[:2]:  # 6 among three runs
        assert f"{name}: {-accuracy:.1%} (fashion-mnist: chance 10.0%, majority class 10.0%)" in seen.text
    for claim in ("123,456", "layers (claimed)7", "operations (claimed)9", "computes the same (claimed)as c001-0003"):
        assert claim in seen.text.replace("\n", "")
    assert "Jaccard 0.50 (exactly 0.45)" in seen.text
    assert "--- c001-0003" in seen.text
    assert seen.elements.count("article") == 2


def test_a_run_copied_without_its_programs_still_has_a_report(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run", candidates=12)
    for file in (tmp_path / "run" / "objects").rglob("*"):
        if file.is_file():
            file.unlink()
    shown = compose([Results.read(RunFolder.load(run.path), label="run", most=2)], figures=())
    assert "The program is not kept with this run." in page.render(shown)
    assert "The program is not kept with this run." in markdown.render(shown)


def test_a_run_that_is_empty_or_has_nothing_valid_is_said_to_be_so(out: Path) -> None:
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "No cycle is complete yet" in text
    summary = json.loads((out / "empty" / "summary.json").read_text())
    assert (summary["cycles"], summary["first_cycle"], summary["all_cycles"]["valid"]) == ([], None, 0)
    nothing = json.loads((out / "nothing-valid" / "summary.json").read_text())
    assert nothing["all_cycles"]["valid_rate"]["value"] == 0.0
    assert nothing["all_cycles"]["accuracy_mean"] == {"value": None, "interval": None}


def test_the_same_run_of_one_cycle_gives_the_same_report(tmp_path: Path) -> None:
    recorded(tmp_path / "short", candidates=12)
    for again in ("one", "two"):
        done = orchestrate("report", "short", "--runs", str(tmp_path), "--out", str(tmp_path / again))
        assert done.exit_code == 0, done.output
    files = sorted(file.relative_to(tmp_path / "one") for file in (tmp_path / "one").rglob("*") if file.is_file())
    assert len(files) == 2 + 7 + 1 + 1
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_report_says_what_it_does_and_opens_in_a_browser(tmp_path: Path) -> None:
    recorded(tmp_path / "runs" / "one", candidates=6)
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    command = [sys.executable, "-m", "orchestrator", "report", "one", "--runs", "runs", "--out", "out", "--open"]
    environment = os.environ | {"BROWSER": str(browser), "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert opened.read_text().strip() == (tmp_path / "out" / "report.html").as_uri()
    said = [line.partition(" ")[0] for line in done.stderr.splitlines()]
    assert said == ["reading", "drawing", "writing", "written:", "written:"]


def test_without_out_the_cycles_are_printed_run_by_run(tmp_path: Path) -> None:
    for name in ("one", "two"):
        recorded(tmp_path / name, candidates=6)
    done = orchestrate("report", "one", "two", "--runs", str(tmp_path))
    assert done.stdout.index("one\n") < done.stdout.index("two\n")
    assert done.stdout.count("cycles (95 % intervals)") == 2
    lines = orchestrate("report", "one", "two", "--runs", str(tmp_path), "--jsonl").stdout.splitlines()
    assert [json.loads(line)["run"] for line in lines] == ["one", "two"]
    (line,) = orchestrate("report", "one", "--runs", str(tmp_path), "--jsonl").stdout.splitlines()
    assert "run" not in json.loads(line)


def test_every_run_has_a_name_of_its_own() -> None:
    paths = [Path("/a/run"), Path("/b/run"), Path("/c/run"), Path("/a/run-2"), Path("/a/figures")]
    assert named(paths) == ["run", "run-2", "run-3", "run-2-2", "figures-2"]


def test_a_report_in_place_of_an_earlier_one_leaves_nothing_of_it_and_no_file_of_others(tmp_path: Path) -> None:
    recorded(tmp_path / "one", candidates=6)
    RunFolder.create(tmp_path / "two", parse(DATA, origin="test"))
    out = tmp_path / "out"
    assert orchestrate("report", "one", "--runs", str(tmp_path), "--out", str(out)).exit_code == 0
    for path in (out / "mine.txt", out / "figures" / "mine.png", out / "kept" / "summary.json", out / "kept" / "x"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    assert orchestrate("report", "two", "--runs", str(tmp_path), "--out", str(out)).exit_code == 0
    left = {str(file.relative_to(out)) for file in out.rglob("*") if file.is_file()}
    mine = {"mine.txt", "figures/mine.png", "kept/summary.json", "kept/x"}
    assert left == {"report.md", "report.html", "files.json", "two/summary.json", *mine}


@pytest.mark.parametrize("name", ["report.md", "report.html", "figures/validity.png", "one/summary.json", "files.json"])
def test_a_report_writes_over_no_file_of_others(tmp_path: Path, name: str) -> None:
    recorded(tmp_path / "one", candidates=6)
    mine = tmp_path / "out" / name
    mine.parent.mkdir(parents=True)
    mine.write_text('{"report": 7}')
    done = orchestrate("report", "one", "--runs", str(tmp_path), "--out", str(tmp_path / "out"))
    assert done.exit_code == 2
    assert f"holds {name}, and no files.json says that a report wrote it" in done.stderr
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [mine]


def test_a_manifest_names_nothing_that_a_report_could_not_have_written(tmp_path: Path) -> None:
    recorded(tmp_path / "one", candidates=6)
    (tmp_path / "out").mkdir()
    precious = [tmp_path / "summary.json", tmp_path / "out" / "mine.txt"]
    for path in precious:
        path.touch()
    names = ["../summary.json", "mine.txt", str(precious[1]), 3, "a/b/../../mine.txt"]
    (tmp_path / "out" / "files.json").write_text(json.dumps({"report": ["report.md", *names]}))
    done = orchestrate("report", "one", "--runs", str(tmp_path), "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    assert all(path.exists() for path in precious)


def test_one_run_under_two_names_is_refused_and_under_one_counts_once(tmp_path: Path) -> None:
    recorded(tmp_path / "one", candidates=6)
    done = orchestrate("report", "one", str(tmp_path / "one"), "--runs", str(tmp_path))
    assert done.exit_code == 2
    assert "are the same run: name it once" in done.stderr
    assert orchestrate("report", "one", "one", "--runs", str(tmp_path)).stdout.count("cycles (95 % intervals)") == 1


def test_a_figure_is_shown_as_it_was_drawn() -> None:
    drawn = Figure("validity", "Valid", "Figure 2", "valid", (("run", "<svg><path/></svg>"),))
    assert "<svg><path/></svg>" in page.render(compose([], figures=(drawn,)))


def test_help_brings_in_nothing_that_draws_or_fills_templates() -> None:
    code = (
        "from click.testing import CliRunner\nfrom orchestrator.cli import main\n"
        "assert CliRunner().invoke(main, ['report', '--help']).exit_code == 0"
    )
    assert imported(code, ("matplotlib", "jinja2", "pygments", "scipy")) == []
