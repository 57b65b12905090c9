"""The fixed prompt, and the answer that training shows."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.answer import extract
from orchestrator.language_model import prompts
from orchestrator.language_model.prompts import assistant
from orchestrator.sections import AdmissionConfig, PromptConfig

messages, pair = partial(prompts.messages, resolution=32), partial(prompts.pair, resolution=32)


@given(st.lists(st.sampled_from(["`", "```", "\n", " ", "x = 1", "~", "\\n"]), max_size=40).map("".join))
def test_an_answer_is_read_back_exactly(code: str) -> None:
    code = f"import torch\n{code}\n"
    assert extract(assistant(code).content) == code.encode()


def test_an_answer_is_one_python_block_without_a_literal_escape() -> None:
    assert assistant("import torch\n").content == "```python\nimport torch\n```"


def test_the_papers_prompt_states_task_shapes_budget_and_contract() -> None:
    system, user = messages(PromptConfig(task="cifar10"), AdmissionConfig(parameter_budget=300_000))
    assert (system.role, user.role) == ("system", "user")
    assert "expert" in system.content
    for fact in ("CIFAR-10", "(B, 3, 32, 32)", "(B, 10)", "300,000", "supported_hyperparameters", "train_setup",
                 "learn", "forward", "import torch.nn as nn", "{'lr', 'momentum'}", "pretrained"):  # fmt: skip
        assert fact in user.content
    assert "{{" not in user.content


def test_without_a_budget_none_is_stated() -> None:
    _, user = messages(PromptConfig(task="svhn"), AdmissionConfig())
    assert "At most" not in user.content


@pytest.mark.parametrize("task", ["fashion-mnist", "cifar10", "cifar100", "svhn"])
@pytest.mark.parametrize("style", ["paper", "short"])
def test_every_task_gives_a_prompt_of_its_own(task: str, style: str) -> None:
    prompt = PromptConfig.model_validate({"task": "cifar10", "style": style, "boilerplate": False})
    other = PromptConfig.model_validate({"task": task, "style": style, "boilerplate": False})
    admission = AdmissionConfig()
    assert messages(prompt, admission, task=other.task) == messages(other, admission)
    assert "supported_hyperparameters" not in messages(other, admission)[1].content


def test_the_short_prompt_is_a_few_dozen_words() -> None:
    prompt = PromptConfig(task="fashion-mnist", style="short", boilerplate=False)
    assert sum(len(message.content.split()) for message in messages(prompt, AdmissionConfig())) < 60


def test_a_pair_is_the_prompt_and_its_answer() -> None:
    prompt, admission = PromptConfig(), AdmissionConfig()
    chat = pair("x = 1\n", prompt=prompt, admission=admission, task="mnist")
    assert [message.role for message in chat] == ["system", "user", "assistant"]
    assert "(B, 1, 28, 28)" in chat[1].content


def test_the_prompt_states_the_resolution_that_candidates_are_run_at() -> None:
    _, user = prompts.messages(PromptConfig(task="cifar10"), AdmissionConfig(), resolution=64)
    assert "(B, 3, 64, 64)" in user.content
    assert "64x64 RGB" in user.content
    assert "32" not in user.content
    _, digits = prompts.messages(PromptConfig(task="cifar10"), AdmissionConfig(), resolution=64, task="mnist")
    assert "(B, 1, 28, 28)" in digits.content
