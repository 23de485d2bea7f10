"""A family: a named distribution over problems, with its splits, and its closed form where there is one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from zlib import crc32

import numpy as np

from lawbound.solvers import Cells, ExplicitDiffusion, Problem, Solver
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


@dataclass(frozen=True)
class Family:
    """A one-parameter family of problems on an interval, or on a square where `dimension` is 2.

    `build(parameter, grid, times)` makes a problem, `grid` being the cells along each side of a square; `exact(parameter)` its closed form; `mass_tolerance(
    parameter, h, times)` bounds |∫u dx of the solver − ∫u dx of the closed form|; `front_level(parameter)` is half the jump at the
    front, where there is one. Functions must be module-level, so that worker processes can be handed them.
    """

    name: str
    title: str
    equation: str
    references: str
    parameter: str
    parameter_meaning: str
    splits: Mapping[str, Distribution]
    domain: tuple[float, float]
    times: tuple[float, float]
    time_of_interest: float
    build: Callable[[float, Cells, np.ndarray], Problem]
    exact: Callable[[float], ExactSolution]
    mass_tolerance: Callable[[float, float, np.ndarray], np.ndarray]
    front_level: Callable[[float], float] | None = None
    nx: int = 200
    nt: int = 201
    dimension: int = 1
    laws: tuple[str, ...] = field(default=("conservation",))
    solver: Solver = field(default=ExplicitDiffusion())

    def draw(
        self, seed: int, split: str, index: int, override: Distribution | None = None
    ) -> tuple[int, float]:
        """Seed and parameter of sample `index` of a split; the same for any number of samples and workers.

        `numpy.random.default_rng(seed)` with the returned seed draws the parameter again.
        """
        sequence = np.random.SeedSequence(
            entropy=seed, spawn_key=(crc32(self.name.encode()), crc32(split.encode()), index)
        )
        own = int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))
        distribution = override if override is not None else self.splits[split]
        return own, distribution.draw(index, np.random.default_rng(own))
