"""The three members of the generalized porous medium equation, with ProbConserv's ranges and splits.

Domains, data, ranges and test values: Hansen, Maddix, Alizadeh, Gupta, Mahoney, ICML 2023, arXiv:2302.11002.
The splits `shift-train`, `shift-small`, `shift-medium` and `shift-large` are ours: a range to train on and three ranges
beside it, farther and farther away.
"""

import numpy as np

from lawbound.datasets.family import Draw, Family, Uniform, Values, only, shifted, splits
from lawbound.datasets.random_data import Between, RandomFunction, averages
from lawbound.solvers import (
    Cells,
    Constant,
    DecayingSine,
    Dirichlet,
    ImplicitDiffusion,
    PorousMediumWave,
    Power,
    PowerOfTime,
    Problem,
    StefanSimilarity,
    Step,
    Walls,
    cell_averages,
)

_REFERENCE = "Hansen et al., ICML 2023, arXiv:2302.11002"


def _diffusion(draw: Draw, grid: Cells, times: np.ndarray) -> Problem:
    k = draw["k"]
    start = cell_averages(DecayingSine(k), 0.0, grid.faces)
    return Problem("diffusion", Constant(k), grid, Walls(Dirichlet(0.0), Dirichlet(0.0)), start, times)


def _pme(draw: Draw, grid: Cells, times: np.ndarray) -> Problem:
    m = draw["m"]
    start = cell_averages(PorousMediumWave(m), float(times[0]), grid.faces)
    inlet = Dirichlet(PowerOfTime(scale=m, exponent=1.0 / m))
    return Problem("pme", Power(m), grid, Walls(inlet, Dirichlet(0.0)), start, times)


def _stefan(draw: Draw, grid: Cells, times: np.ndarray) -> Problem:
    u_star = draw["u_star"]
    start = cell_averages(StefanSimilarity(u_star), float(times[0]), grid.faces)
    return Problem("stefan", Step(u_star), grid, Walls(Dirichlet(1.0), Dirichlet(0.0)), start, times)


def _random_diffusion(draw: Draw, grid: Cells, times: np.ndarray) -> Problem:
    random, end = draw.random, float(times[-1])
    start = averages(RandomFunction.drawn(random, 0.8), grid.faces)
    walls = Walls(*(Dirichlet(RandomFunction.drawn(random, 0.25 * end)) for _ in range(2)))
    return Problem("diffusion", Constant(draw["k"]), grid, walls, start, times)


def _random_pme(draw: Draw, grid: Cells, times: np.ndarray) -> Problem:
    start, walls = _positive(draw.random, grid, times)
    return Problem("pme", Power(draw["m"]), grid, walls, start, times)


def _random_stefan(draw: Draw, grid: Cells, times: np.ndarray) -> Problem:
    start, walls = _positive(draw.random, grid, times)
    return Problem("stefan", Step(draw["u_star"]), grid, walls, start, times)


def _positive(random: np.random.Generator, grid: Cells, times: np.ndarray) -> tuple[np.ndarray, Walls]:
    """A field and two wall series between 0 and 1: a density, or an enthalpy with several phases."""
    start = averages(Between(RandomFunction.drawn(random, 0.15), 0.0, 1.0), grid.faces)
    series = (Between(RandomFunction.drawn(random, 0.25 * float(times[-1])), 0.0, 1.0) for _ in range(2))
    return start, Walls(*map(Dirichlet, series))


def _sine(draw: Draw) -> DecayingSine:
    return DecayingSine(draw["k"])


def _wave(draw: Draw) -> PorousMediumWave:
    return PorousMediumWave(draw["m"])


def _similarity(draw: Draw) -> StefanSimilarity:
    return StefanSimilarity(draw["u_star"])


# How far the scheme's mass may be from the closed form's. The constants are twice what a sweep over grids and
# parameters shows (tests/datasets/test_families.py); the powers follow from self-similarity, since every
# solution here depends on x and t through one combination with h.


def _round_off(draw: Draw, h: float, times: np.ndarray) -> np.ndarray:
    # The scheme keeps the antisymmetry of sin x about π, so its mass stays 0.
    return np.full(times.shape, 1e-12)


def _front_from_rest(draw: Draw, h: float, times: np.ndarray) -> np.ndarray:
    m = draw["m"]
    cells_filled = np.maximum(times / h, 1.0)
    # Once the front is in the last cell (x = t > 1 − h), some of it leaks through the wall ahead of time.
    leaving = 0.2 * (times > 1.0 - h)
    return np.asarray(h ** (1.0 + 1.0 / m) * (0.6 * cells_filled ** (1.0 / m - 1.0) + leaving))


def _jump_at_start(draw: Draw, h: float, times: np.ndarray) -> np.ndarray:
    cells_filled = np.maximum(np.sqrt(times) / h, 1.0)
    return np.asarray(0.4 * h / cells_filled)


def _half(draw: Draw) -> float:
    return 0.5 * draw["u_star"]


DIFFUSION = Family(
    name="diffusion",
    title="linear diffusion of a decaying sine",
    conductivity="constant k",
    equation="u_t = k u_xx",
    about="""A sine between cold walls decays as e^{−kt}. Positive and negative halves cancel, so that ∫u dx is 0 at all times while
both halves lose heat through the walls: a model that loses the symmetry is seen at once in its mass. The "easy" member of the
porous medium equation: linear, smooth, with all values between −1 and 1.""",
    references=_REFERENCE,
    parameters={"k": "diffusivity"},
    splits=only(
        "k",
        splits(
            Uniform(1.0, 5.0), Values((1.0, 5.0)), shifted((1.0, 5.0), (5.0, 6.0), (6.0, 7.0), (7.0, 8.0))
        ),
    ),
    domain=(0.0, 2.0 * np.pi),
    times=(0.0, 1.0),
    time_of_interest=0.5,
    build=_diffusion,
    exact=_sine,
    build_random=_random_diffusion,
    mass_tolerance=_round_off,
)

PME = Family(
    name="pme",
    title="porous medium equation, front entering an empty domain",
    conductivity="power m",
    equation="u_t = (u^m u_x)_x",
    about="""The inlet is raised as (mt)^{1/m}, and a front enters the empty interval at speed 1. The larger m, the steeper it is: at the
front u_x is infinite for m > 1, and the solution has a corner for m = 1. The conductivity u^m vanishes ahead of the front, so
that the equation degenerates there; the mass grows as t^{1 + 1/m}. Smooth models smear the front and put mass ahead of it.""",
    references=_REFERENCE,
    parameters={"m": "exponent of the conductivity k(u) = u^m"},
    splits=only(
        "m",
        splits(
            Uniform(1.0, 6.0),
            Values((1.0, 3.0, 6.0)),
            shifted((2.0, 3.0), (3.0, 3.5), (3.5, 4.5), (4.5, 6.0)),
        ),
    ),
    domain=(0.0, 1.0),
    times=(0.0, 1.0),
    time_of_interest=0.5,
    build=_pme,
    exact=_wave,
    build_random=_random_pme,
    mass_tolerance=_front_from_rest,
    solver=ImplicitDiffusion(),
)

STEFAN = Family(
    name="stefan",
    title="one-phase Stefan problem, jump of u_star at the front",
    conductivity="step u_star",
    equation="u_t = (k(u) u_x)_x, k = 1 where u ≥ u_star, else 0",
    about="""Melting without a mushy zone. The wall is held at u = 1, the interval is empty, and heat is conducted only where u has reached
`u_star`: a front at α√t, where u jumps from `u_star` to 0. The scheme takes the integral mean of k at a face, so that every cell
that the front fills leaves a step in u(t) (the guide shows it beside other means). Where the front is decides most of
a model's error.""",
    references=_REFERENCE,
    parameters={"u_star": "value of u at which the conductivity jumps"},
    splits=only(
        "u_star",
        splits(
            Uniform(0.55, 0.7),
            Values((0.6, 0.5)),
            shifted((0.6, 0.65), (0.55, 0.6), (0.5, 0.55), (0.7, 0.75)),
        ),
    ),
    domain=(0.0, 1.0),
    times=(0.0, 0.1),
    time_of_interest=0.05,
    build=_stefan,
    exact=_similarity,
    build_random=_random_stefan,
    mass_tolerance=_jump_at_start,
    front_level=_half,
)
