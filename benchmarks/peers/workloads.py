"""Problems with closed solutions that every package gets: where they start, what is exact, how good is good enough."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from lawbound.solvers import Barenblatt, Cells, StefanSimilarity, cell_averages

FloatArray = NDArray[np.float64]

PME_M = 3.0
#: u(1, 0)³: the dome is 2.77 wide at t = 1 and 3.18 at t = 2.
PME_SCALE = 2.0**1.2
STEFAN = StefanSimilarity(0.5)


@dataclass(frozen=True)
class Workload:
    """Start and exact end in cell averages, and the largest errors that count as solved."""

    grid: Cells
    begin: float
    end: float
    start: FloatArray  # (n,)
    exact: FloatArray  # (n,)
    bound: float | None = None  # of the relative L1 error
    front_bound: float | None = None  # in cells

    def error(self, state: FloatArray) -> float:
        """Σ|u − exact| / Σ|exact|."""
        return float(np.abs(state - self.exact).sum() / np.abs(self.exact).sum())

    def front_error(self, state: FloatArray) -> float | None:
        """How far ahead of the exact front the state falls through half the jump, in cells."""
        if self.front_bound is None:
            return None
        level = 0.5 * STEFAN.u_star
        falls = np.flatnonzero((state[:-1] >= level) & (state[1:] < level))
        if falls.size == 0:
            return float("inf")
        i = falls[0]
        found = self.grid.centres[i] + self.grid.width * (state[i] - level) / (state[i] - state[i + 1])
        return float((found - STEFAN.front(self.end)) / self.grid.width)


def porous_medium(n: int, scale: float = PME_SCALE) -> Workload:
    """u_t = (u³ u_x)_x on [−4, 4] with insulated ends, Barenblatt from t = 1 to t = 2."""
    grid, exact = Cells(-4.0, 4.0, n), Barenblatt(PME_M, 1, scale)
    bound = {512: 6.5e-5, 2048: 1e-5}.get(n)
    averages = (cell_averages(exact, t, grid.faces) for t in (1.0, 2.0))
    return Workload(grid, 1.0, 2.0, *averages, bound)


def stefan(n: int) -> Workload:
    """u_t = (k(u) u_x)_x on [0, 1], k = 1 where u ≥ 1/2 and 0 below; u = 1 flows in from t = 0 to t = 0.1."""
    grid = Cells(0.0, 1.0, n)
    return Workload(grid, 0.0, 0.1, np.zeros(n), cell_averages(STEFAN, 0.1, grid.faces), 6e-5, 0.1)


def advection(n: int) -> Workload:
    """u_t + u_x = 0, one period of a sine around [0, 1)."""
    grid = Cells(0.0, 1.0, n)
    start = np.diff(_sine_integral(grid.faces)) / grid.width
    return Workload(grid, 0.0, 1.0, start, start)


def burgers(n: int, end: float) -> Workload:
    """u_t + (u²/2)_x = 0 from a sine on [0, 1); a shock stands at 1/2 from t = 1/2π on."""
    grid = Cells(0.0, 1.0, n)
    start = np.diff(_sine_integral(grid.faces)) / grid.width
    exact = np.diff([_burgers_integral(end, float(x)) for x in grid.faces]) / grid.width
    return Workload(grid, 0.0, end, start, exact)


def _sine_integral(x: FloatArray) -> FloatArray:
    return np.asarray((1.0 - np.cos(2.0 * np.pi * x)) / (2.0 * np.pi))


def _burgers_integral(t: float, x: float) -> float:
    """∫₀ˣ u = ∫ f dξ + t f²/2 at the foot ξ of the characteristic through x, f being the sine."""
    mirrored = min(x, 1.0 - x)  # ∫u is even about 1/2, where the shock stands
    if mirrored <= 0.0:
        return 0.0

    def gap(foot: float) -> float:
        return foot + t * float(np.sin(2.0 * np.pi * foot)) - mirrored

    # Of the feet left of 1/2 the first is the one whose characteristic no shock has swallowed.
    last = 0.5 if 2.0 * np.pi * t <= 1.0 else float(np.arccos(-1.0 / (2.0 * np.pi * t)) / (2.0 * np.pi))
    foot = brentq(gap, 0.0, last, xtol=1e-15)
    speed = float(np.sin(2.0 * np.pi * foot))
    return float(_sine_integral(np.asarray(foot))) + 0.5 * t * speed * speed


WORKLOADS: dict[str, Callable[[], Workload]] = {
    "w2-128": lambda: porous_medium(128),
    "w2-512": lambda: porous_medium(512),
    "w2-2048": lambda: porous_medium(2048),
    "w3-512": lambda: stefan(512),
    "advection": lambda: advection(1024),
    "burgers": lambda: burgers(1024, 0.1),
    "burgers-shock": lambda: burgers(1024, 0.3),
}
