"""The numbers of the paper that reports show beside a run's own."""

from __future__ import annotations

from orchestrator.report import paper
from orchestrator.report.paper import CIFAR10, CIFAR100, SVHN, printed
from orchestrator.run import statistics


def test_the_papers_tables_agree_with_its_text() -> None:
    ends = [(one.checkpoints[0], one.checkpoints[-1]) for one in (CIFAR10, CIFAR100, SVHN)]
    assert [(a.valid, a.mean, a.above, b.valid, b.mean, b.above) for a, b in ends] == [  # Table 5
        (44.0, 28.06, 2.04, 41.8, 49.48, 92.86),
        (42.0, 9.0, 1.5, 46.2, 20.5, 63.0),
        (46.0, 51.0, 18.0, 48.1, 70.5, 77.0),
    ]
    assert [one.checkpoints[-1].corpus for one in (CIFAR10, CIFAR100, SVHN)] == [1698 + 455, 2038, 2110]
    assert [[row.cycle for row in one.checkpoints] for one in (CIFAR10, CIFAR100, SVHN)] == [[1, 5, 10, 15, 18, 22]] * 3
    assert statistics.rate(22, 50) == CIFAR10.checkpoints[0].valid / 100
    assert paper.trajectory("svhn") is SVHN
    assert paper.trajectory("fashion-mnist") is CIFAR10
    assert (printed(44.0), printed(28.06)) == ("44.0%", "28.06%")
