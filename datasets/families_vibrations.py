"""Strings and drums: waves that stay, between walls that hold them or let them go. Both distributions are ours.

`wave` is a string held at both ends, of eight modes with amplitudes N(0, n⁻²) and a speed c ~ U[0.5, 2]. `wave-2d` stands
for BOON's wave equation on a square with free sides, whose data were never published: 6 × 6 modes with amplitudes
N(0, (1 + m² + n²)⁻²) and c = 1. Both are let go from rest; the rate u_t is stored beside u.
"""

import numpy as np

from lawbound.datasets.family import (
    Draw,
    Family,
    Uniform,
    Values,
    only,
    points,
    points_of_square,
    shifted,
    splits,
)
from lawbound.solvers import (
    Dirichlet,
    Drum,
    Neumann,
    Nodes,
    Problem,
    Rectangle,
    SpectralWave,
    StandingWaves,
    Walls,
    Wave,
)

_MODES, _MODES_2D = 8, 6


def _string(draw: Draw) -> StandingWaves:
    n = np.arange(1, _MODES + 1)
    return StandingWaves(draw["c"], tuple((draw.random.normal(size=_MODES) / n).tolist()))


def _wave(draw: Draw, grid: Nodes, times: np.ndarray) -> Problem:
    held = Dirichlet(0.0)
    return Problem(
        "wave", Wave(draw["c"]), grid, Walls(held, held), _string(draw).start, times, initial_rate=0.0
    )


def _drum(draw: Draw) -> Drum:
    n = np.arange(_MODES_2D) ** 2
    amplitudes = draw.random.normal(size=(_MODES_2D, _MODES_2D)) / (1.0 + np.add.outer(n, n))
    return Drum(draw["c"], tuple(map(tuple, amplitudes.tolist())))


def _wave_2d(draw: Draw, grid: Rectangle, times: np.ndarray) -> Problem:
    free = Neumann(0.0)
    walls = Walls(free, free, free, free)
    return Problem("wave-2d", Wave(draw["c"]), grid, walls, _drum(draw).start, times, initial_rate=0.0)


WAVE = Family(
    name="wave",
    title="string held at both ends",
    equation="u_tt = c^2 u_xx, u(0) = u(1) = 0",
    about="""A string held at both ends, let go from rest: eight modes with amplitudes N(0, n⁻²). The motion is periodic with the period 2/c
and smooth in time; the energy stays. u_t is stored beside u, which the energy needs.""",
    references="none",
    parameters={"c": "speed"},
    splits=only(
        "c",
        splits(
            Uniform(0.5, 2.0),
            Values((0.5, 1.0, 2.0)),
            shifted((0.5, 2.0), (2.0, 2.25), (2.25, 2.75), (2.75, 3.5)),
        ),
    ),
    domain=(0.0, 1.0),
    times=(0.0, 2.0),
    time_of_interest=1.0,
    build=_wave,
    exact=_string,
    laws=("energy",),
    grid=points,
    nx=129,
    nt=101,
    solver=SpectralWave(),
)

WAVE_2D = Family(
    name="wave-2d",
    title="drum with free sides",
    equation="u_tt = c^2 (u_xx + u_yy), du/dn = 0",
    about="""It stands for BOON's wave equation on a square with free sides, whose data were never published: 6 × 6 modes with amplitudes
N(0, (1 + m² + n²)⁻²), let go from rest, with c = 1. The mean of u stays, since the mode without waves does not move, and so does the energy.
Unlike the string's, the motion never repeats itself.""",
    references="Saad et al., ICLR 2023, arXiv:2212.07477 (equation and walls)",
    parameters={"c": "speed"},
    splits=only(
        "c",
        splits(Values((1.0,)), Values((1.0,)), shifted((0.9, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8))),
    ),
    domain=(0.0, 1.0),
    times=(0.0, 2.0),
    time_of_interest=1.0,
    build=_wave_2d,
    laws=("conservation", "energy"),
    grid=points_of_square,
    nx=50,
    nt=26,
    solver=SpectralWave(),
)
