"""Cutting one method's body out of a program."""

from __future__ import annotations

import pytest

from orchestrator.corpus.infill import MISSING, cut_out

PROGRAM = """\
import torch


def helper(x):
    return x


class Net(nn.Module):
    def __init__(
        self,
        in_shape,
    ):
        super().__init__()

        self.a = 1

    @torch.no_grad()
    def forward(self, x):
        if x:

            return x
        return self.a


def supported_hyperparameters():
    return {'lr'}
"""


def test_the_body_of_one_method_is_missing_and_all_else_is_there() -> None:
    cut = cut_out(PROGRAM, choice=1)
    assert cut == PROGRAM.replace(
        "        if x:\n\n            return x\n        return self.a\n", f"        {MISSING}\n"
    )
    cut = cut_out(PROGRAM, choice=0)
    assert cut == PROGRAM.replace("        super().__init__()\n\n        self.a = 1\n", f"        {MISSING}\n")


@pytest.mark.parametrize("choice", [0, 1, 2, 7, 2**62])
def test_the_same_choice_cuts_the_same_method(choice: int) -> None:
    assert cut_out(PROGRAM, choice=choice) == cut_out(PROGRAM, choice=choice % 2)


def test_functions_of_the_module_are_no_methods() -> None:
    assert cut_out("def f():\n    return 1\n", choice=0) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "class A:\n    def f(self",
        "class A:\n    def f(self):",
        "class A:\n    def f(self):\nx",
        "class A:\n    def f(self): return 1\n    x = [\n        1\n    ]",
    ],
)
def test_text_without_a_body_to_cut_is_left_alone(text: str) -> None:
    assert cut_out(text, choice=0) is None


def test_tabs_and_bodies_that_begin_with_a_blank_line_are_cut() -> None:
    text = "class A:\n\tdef f(self):\n\n\t\treturn 1\n\tx = 2\n"
    assert cut_out(text, choice=0) == f"class A:\n\tdef f(self):\n\t\t{MISSING}\n\tx = 2\n"


def test_a_head_may_end_in_a_comment_and_hold_colons() -> None:
    head = "class A:\n    def f(self, x: int = {1: 2}[1],  # :\n    ) -> int:  # noqa: A\n"
    assert cut_out(f"{head}        if x:\n            x = 1\n", choice=0) == f"{head}        {MISSING}\n"


def test_a_method_in_one_line_is_left_and_the_next_is_cut() -> None:
    text = "class A:\n    def f(self): return 1\n    def g(self):\n        return 2"
    assert cut_out(text, choice=0) == f"class A:\n    def f(self): return 1\n    def g(self):\n        {MISSING}"
