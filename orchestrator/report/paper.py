"""The paper's own numbers, as it prints them, each with the table that it stands in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Checkpoint:
    """One row of Tables 3, 4 and 6: shares and accuracies in per cent, then programs admitted and examples in all."""

    cycle: int
    valid: float
    best: float
    mean: float
    above: float
    unique: int
    corpus: int
    median: float | None = None  # Section 4.1 tells three


@dataclass(frozen=True)
class Trajectory:
    """The paper's run on one data set, in per cent; chance and majority class follow from the data set's test split."""

    dataset: str
    table: str
    threshold: int
    chance: float
    majority: float
    checkpoints: tuple[Checkpoint, ...]

    @property
    def name(self) -> str:
        """The run and its table, in words."""
        return f"the paper, {self.dataset} ({self.table})"

    @property
    def guessing(self) -> str:
        """What its accuracies are to be compared with, in words."""
        return f"{self.dataset}: chance {printed(self.chance)}, majority class {printed(self.majority)}"

    def at(self, cycle: int) -> Checkpoint | None:
        """Return the row of `cycle`, if the table has one."""
        return next((one for one in self.checkpoints if one.cycle == cycle), None)


@dataclass(frozen=True)
class Ablation:
    """One row of Table 7: shares and mean accuracy in per cent, and the number of novel models."""

    method: str
    valid: float
    mean: float
    above: float
    novel: int


CIFAR10 = Trajectory(
    "CIFAR-10",
    "Table 3",
    40,
    10.0,
    10.0,
    (
        Checkpoint(1, 44.0, 47.78, 28.06, 2.04, 1, 1698, 27.67),
        Checkpoint(5, 32.0, 49.13, 29.88, 6.82, 9, 1724),
        Checkpoint(10, 53.8, 55.48, 37.70, 38.04, 18, 1785),
        Checkpoint(15, 66.8, 58.60, 47.40, 80.70, 34, 1911),
        Checkpoint(18, 59.1, 63.98, 50.99, 96.81, 38, 2025, 51.15),
        Checkpoint(22, 41.8, 57.62, 49.48, 92.86, 30, 2153, 50.10),
    ),
)
CIFAR100 = Trajectory(
    "CIFAR-100",
    "Table 4",
    20,
    1.0,
    1.0,
    (
        Checkpoint(1, 42.0, 20.0, 9.0, 1.5, 1, 1698),
        Checkpoint(5, 29.3, 21.5, 10.2, 3.0, 6, 1708),
        Checkpoint(10, 50.0, 25.8, 14.6, 16.0, 14, 1748),
        Checkpoint(15, 63.5, 29.5, 18.8, 52.0, 26, 1832),
        Checkpoint(18, 56.7, 32.5, 21.2, 67.0, 30, 1906),
        Checkpoint(22, 46.2, 31.0, 20.5, 63.0, 24, 2038),
    ),
)
SVHN = Trajectory(
    "SVHN",
    "Table 6",
    70,
    10.0,
    19.6,
    (
        Checkpoint(1, 46.0, 73.0, 51.0, 18.0, 2, 1698),
        Checkpoint(5, 34.7, 74.5, 53.0, 24.0, 8, 1718),
        Checkpoint(10, 57.7, 79.5, 62.0, 54.0, 18, 1778),
        Checkpoint(15, 69.2, 83.0, 69.0, 70.0, 33, 1890),
        Checkpoint(18, 61.5, 84.5, 71.5, 79.0, 32, 1965),
        Checkpoint(22, 48.1, 83.5, 70.5, 77.0, 28, 2110),
    ),
)
ABLATIONS = (  # Table 7, CIFAR-10
    Ablation("full method", 50.6, 42.3, 51.1, 455),
    Ablation("no novelty filter", 52.0, 42.0, 50.0, 220),
    Ablation("no accuracy threshold", 51.0, 38.5, 34.0, 470),
    Ablation("no iteration", 44.0, 28.06, 4.55, 1),
)
VALID_INTERVAL = (45.0, 56.1)  # Section 4.1: of the full method's 50.6, over its 22 cycles
TRAJECTORIES = {"cifar10": CIFAR10, "cifar100": CIFAR100, "svhn": SVHN}


def trajectory(dataset: str) -> Trajectory:
    """Return the paper's run on `dataset`; its main run, on CIFAR-10, if it has none on that."""
    return TRAJECTORIES.get(dataset, CIFAR10)


def printed(percentage: float) -> str:
    """Return a percentage with one digit after the point, or with two if it has two."""
    text = f"{percentage:.2f}"
    return f"{text.removesuffix('0')}%"
