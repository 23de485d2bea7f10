"""A family: a named distribution over problems, with its splits, and its closed form where there is one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from zlib import crc32

import numpy as np

from lawbound.solvers import (
    Boxes,
    Cells,
    ExplicitDiffusion,
    Grid,
    Nodes,
    PeriodicNodes,
    Problem,
    Rectangle,
    Solver,
)
from lawbound.solvers.exact import ExactSolution


class Distribution(Protocol):
    """How a parameter is drawn."""

    def draw(self, index: int, random: np.random.Generator) -> float:
        """The value for sample number `index` of a split."""
        ...


@dataclass(frozen=True)
class Uniform:
    """Uniform on [low, high]."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low <= self.high):
            raise ValueError(
                f"The range {self.low}:{self.high} is empty or not finite; give LOW:HIGH with LOW ≤ HIGH."
            )

    def draw(self, index: int, random: np.random.Generator) -> float:
        """One uniform draw."""
        return float(random.uniform(self.low, self.high))

    def __str__(self) -> str:
        return f"[{self.low:g}, {self.high:g}]"


@dataclass(frozen=True)
class Values:
    """The given values in turn: sample i gets values[i mod n]."""

    values: tuple[float, ...]

    def draw(self, index: int, random: np.random.Generator) -> float:
        """The value whose turn it is."""
        return self.values[index % len(self.values)]

    def __str__(self) -> str:
        return "{" + ", ".join(f"{value:g}" for value in self.values) + "}"


#: Splits that test out of distribution: a range to train on, and three beside it, farther and farther away.
SHIFTS = ("shift-train", "shift-small", "shift-medium", "shift-large")


def shifted(*ranges: tuple[float, float]) -> dict[str, Distribution]:
    """The splits of `SHIFTS`, uniform on one range each.

    >>> print(shifted((1.0, 2.0), (0.5, 1.0), (2.0, 2.5), (2.5, 3.5))["shift-large"])
    [2.5, 3.5]
    """
    return {name: Uniform(low, high) for name, (low, high) in zip(SHIFTS, ranges, strict=True)}


def splits(
    train: Distribution, test: Distribution, shifts: Mapping[str, Distribution]
) -> dict[str, Distribution]:
    """The splits of a parameter: `valid` and `in-range` are drawn like `train`, `test` has values of its own.

    >>> print(splits(Uniform(1.0, 5.0), Values((1.0, 3.0)), {})["in-range"])
    [1, 5]
    """
    return {"train": train, "valid": train, "test": test, "in-range": train, **shifts}


def only(
    parameter: str, splits: Mapping[str, Distribution], **others: Distribution
) -> dict[str, dict[str, Distribution]]:
    """Splits over one parameter; the others are drawn alike in all of them."""
    return {split: {parameter: distribution, **others} for split, distribution in splits.items()}


@dataclass(frozen=True)
class Draw:
    """One sample of a family: its parameters, and the seed of everything else that is random about it."""

    seed: int
    parameters: Mapping[str, float]

    def __getitem__(self, name: str) -> float:
        return self.parameters[name]

    @property
    def random(self) -> np.random.Generator:
        """Random numbers for fields and series, the same whatever ranges the parameters are drawn from."""
        return np.random.default_rng((self.seed, 1))


#: What makes the grid of a family from its domain and `nx`.
GridOf = Callable[[tuple[float, float], int], Grid]


def cells(domain: tuple[float, float], nx: int) -> Grid:
    """Averages over `nx` cells."""
    return Cells(*domain, nx)


def boxes(domain: tuple[float, float], nx: int) -> Grid:
    """Averages over `nx` times `nx` cells of a square."""
    return Boxes(Cells(*domain, nx), Cells(*domain, nx))


def points(domain: tuple[float, float], nx: int) -> Grid:
    """Values at `nx` equally spaced points, both ends included, with a quadrature of order 8 where so many are there."""
    return Nodes(*domain, nx, order=min(8, nx // 2 + 1))


def points_of_circle(domain: tuple[float, float], nx: int) -> Grid:
    """Values at `nx` equally spaced points of a period."""
    return PeriodicNodes(*domain, nx)


def points_of_square(domain: tuple[float, float], nx: int) -> Grid:
    """Values at `nx` times `nx` equally spaced points of a square, its sides included."""
    side = Nodes(*domain, nx, order=min(8, nx // 2 + 1))
    return Rectangle(side, side)


@dataclass(frozen=True)
class Family:
    """A distribution over problems on an interval or a square.

    `parameters` has the meaning of each by its name, and each split a distribution for each. `build(draw, grid, times)`
    makes the problem of a draw on the grid that `grid(domain, nx)` is; `exact(draw)` is its closed form, where there is one.
    Of the law `conservation`: where `mass_tolerance(draw, h, times)` is given, b(t) is the closed form's, and it bounds
    |∫u dx of the solver − ∫u dx of the closed form|; else b(t) is what the walls let in. `front_level(draw)` is half
    the jump at the front, where there is one. `build_random` makes the problem of a draw with random initial and boundary
    data instead. `conductivity` and `flux` say k(u) and
    f(u) where the equation is u_t + f(u)_x = (k(u) u_x)_x, see `schema.CONDUCTIVITY` and `schema.FLUX`. `about` says in a paragraph of Markdown what the problems are and what is hard about them. Functions must be module-level, so that worker processes can be handed them.
    """

    name: str
    title: str
    equation: str
    references: str
    parameters: Mapping[str, str]
    splits: Mapping[str, Mapping[str, Distribution]]
    domain: tuple[float, float]
    times: tuple[float, float]
    time_of_interest: float
    build: Callable[[Draw, Any, np.ndarray], Problem]
    exact: Callable[[Draw], ExactSolution] | None = None
    mass_tolerance: Callable[[Draw, float, np.ndarray], np.ndarray] | None = None
    front_level: Callable[[Draw], float] | None = None
    build_random: Callable[[Draw, Any, np.ndarray], Problem] | None = None
    grid: GridOf = cells
    nx: int = 200
    nt: int = 201
    about: str = ""
    laws: tuple[str, ...] = field(default=("conservation",))
    conductivity: str | None = None
    flux: str | None = None
    solver: Solver = field(default=ExplicitDiffusion())

    def draw(
        self, seed: int, split: str, index: int, override: Mapping[str, Distribution] | None = None
    ) -> Draw:
        """Sample `index` of a split; the same for any number of samples and workers.

        `numpy.random.default_rng` with the seed of the draw draws the parameters again, one after the other.
        """
        sequence = np.random.SeedSequence(
            entropy=seed, spawn_key=(crc32(self.name.encode()), crc32(split.encode()), index)
        )
        own = int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))
        random = np.random.default_rng(own)
        distributions = {**self.splits[split], **(override or {})}
        return Draw(own, {name: distributions[name].draw(index, random) for name in self.parameters})

    def of(self, *values: float, seed: int = 0) -> Draw:
        """The draw with these values of the parameters, in their order."""
        return Draw(seed, dict(zip(self.parameters, values, strict=True)))
