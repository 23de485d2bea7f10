"""Advection and the inviscid Burgers equation: ProbConserv's ranges and splits, and our own shifted ones.

Domains, data, ranges and test values: Hansen, Maddix, Alizadeh, Gupta, Mahoney, ICML 2023, arXiv:2302.11002, appendix.
They let t run to 1, but a mass formula holds only until the front has left, and no law is claimed after that: an
advected front leaves at t = 1/(2β), which is 0.1 for β = 5, and a Burgers shock at t = 3/a, which is 0.6 for a = 5. The
default times, [0, 0.1] and [0, 0.5], end at the published time of interest and are valid for every split below.

The shifted splits are ours: train on `shift-train`, and test out of distribution on `shift-small`, `shift-medium` and
`shift-large`. For them advection may run longer, to t = 0.14 (`--times 0:0.14`), when the fastest front is at 0.99.
"""

import numpy as np

from lawbound.datasets.family import Draw, Family, Uniform, Values, only, shifted, splits
from lawbound.datasets.random_data import Between, RandomFunction, averages
from lawbound.solvers import (
    Advection,
    Cells,
    Dirichlet,
    FiniteVolumeWaves,
    InviscidBurgers,
    Outflow,
    Problem,
    Walls,
    cell_averages,
)
from lawbound.solvers.exact_waves import AdvectedStep, BurgersRamp

_REFERENCE = "Hansen et al., ICML 2023, arXiv:2302.11002"


def _advection(draw: Draw, grid: Cells, times: np.ndarray) -> Problem:
    beta = draw["beta"]
    start = cell_averages(AdvectedStep(beta), float(times[0]), grid.faces)
    return Problem("advection", Advection(beta), grid, Walls(Dirichlet(1.0), Outflow()), start, times)


def _burgers(draw: Draw, grid: Cells, times: np.ndarray) -> Problem:
    a = draw["a"]
    start = cell_averages(BurgersRamp(a), float(times[0]), grid.faces)
    return Problem("burgers-inviscid", InviscidBurgers(), grid, Walls(Dirichlet(a), Outflow()), start, times)


def _random_advection(draw: Draw, grid: Cells, times: np.ndarray) -> Problem:
    random = draw.random
    start = averages(RandomFunction.drawn(random, 0.1), grid.faces)
    inflow = Dirichlet(RandomFunction.drawn(random, 0.25 * float(times[-1])))
    return Problem("advection", Advection(draw["beta"]), grid, Walls(inflow, Outflow()), start, times)


def _random_burgers(draw: Draw, grid: Cells, times: np.ndarray) -> Problem:
    random, top = draw.random, draw["a"]
    start = averages(Between(RandomFunction.drawn(random, 0.2), 0.0, top), grid.faces)
    inflow = Dirichlet(Between(RandomFunction.drawn(random, 0.25 * float(times[-1])), 0.0, top))
    return Problem("burgers-inviscid", InviscidBurgers(), grid, Walls(inflow, Outflow()), start, times)


def _step(draw: Draw) -> AdvectedStep:
    return AdvectedStep(draw["beta"])


def _ramp(draw: Draw) -> BurgersRamp:
    return BurgersRamp(draw["a"])


# The scheme takes in exactly f(g) t, so its mass is wrong only by what its smeared front lets out ahead of time. The
# constants are twice what a sweep over grids and parameters shows (tests/datasets/test_families_waves.py).


def _smeared_advection(draw: Draw, h: float, times: np.ndarray) -> np.ndarray:
    beta = draw["beta"]
    # A second-order scheme smears a jump over h^{2/3} (βt)^{1/3}; what is beyond x falls off at least exponentially.
    width = h ** (2.0 / 3.0) * np.maximum(beta * times, h) ** (1.0 / 3.0)
    ahead = np.maximum(0.5 - beta * times, 0.0)
    return np.asarray(1e-12 + 0.6 * width * np.exp(-2.0 * ahead / width))


def _smeared_shock(draw: Draw, h: float, times: np.ndarray) -> np.ndarray:
    a = draw["a"]
    # Characteristics run into a shock and keep it some cells wide, whatever the time.
    ahead = np.maximum(1.0 - 0.5 * (a * times - 1.0), 0.0)
    return np.asarray(a * (1e-12 + 0.5 * h * np.exp(-ahead / h)))


def _half_of_one(draw: Draw) -> float:
    return 0.5


def _half(draw: Draw) -> float:
    return 0.5 * draw["a"]


ADVECTION = Family(
    name="advection",
    title="linear advection of a step",
    flux="linear beta",
    equation="u_t + beta u_x = 0",
    about="""A step from 1 to 0 moves to the right at speed β without change of shape; the inlet keeps it at 1, the outlet lets everything out.
The solver smears the step over about h^{2/3} (βt)^{1/3}; ∫u dx, which grows as βt, it has exactly until the smeared front
reaches the outlet. All laws end
when the front leaves at t = 1/(2β): 0.1 for β = 5.""",
    references=_REFERENCE,
    parameters={"beta": "speed"},
    splits=only(
        "beta",
        splits(
            Uniform(1.0, 5.0), Values((1.0, 3.0)), shifted((1.0, 2.0), (0.5, 1.0), (2.0, 2.5), (2.5, 3.5))
        ),
    ),
    domain=(0.0, 1.0),
    times=(0.0, 0.1),
    time_of_interest=0.1,
    build=_advection,
    exact=_step,
    build_random=_random_advection,
    mass_tolerance=_smeared_advection,
    front_level=_half_of_one,
    solver=FiniteVolumeWaves(),
)

BURGERS_INVISCID = Family(
    name="burgers-inviscid",
    title="inviscid Burgers equation, a ramp that breaks into a shock",
    flux="square",
    equation="u_t + (u^2 / 2)_x = 0",
    about="""A ramp from a down to 0 steepens and breaks into a shock at t = 1/a, which then travels at a/2. Before breaking the solution is
continuous, after it u jumps by a. The mass grows by a²t/2 all the time, since the inlet stays at a, until the shock leaves at
t = 3/a: after the default times for all splits.""",
    references=_REFERENCE,
    parameters={"a": "height and slope of the initial ramp"},
    splits=only(
        "a",
        splits(
            Uniform(1.0, 4.0), Values((1.0, 3.0)), shifted((1.0, 4.0), (0.5, 1.0), (4.0, 4.5), (4.5, 5.0))
        ),
    ),
    domain=(-1.0, 1.0),
    times=(0.0, 0.5),
    time_of_interest=0.5,
    build=_burgers,
    exact=_ramp,
    build_random=_random_burgers,
    mass_tolerance=_smeared_shock,
    front_level=_half,
    solver=FiniteVolumeWaves(),
)
