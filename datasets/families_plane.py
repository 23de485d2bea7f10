"""The porous medium equation on a square: a Barenblatt-Pattle dome that spreads, with ranges and splits of our own.

At t = 0.01 the dome has the radius 0.4, whatever m is, and at t = 1 the radius 0.4 · 100^{1/(2m + 2)}: 0.86 for m = 2 and 0.56
for m = 6. The walls of [−1, 1]² let nothing through, so the closed form holds, and its mass stays, as long as the
front has not reached them; below m = 1.52 it does before t = 1, and such a design is refused.

The shifted splits are those of `pme`: train on `shift-train`, and test out of distribution on `shift-small`,
`shift-medium` and `shift-large`.
"""

import numpy as np

from lawbound.datasets.family import Draw, Family, Uniform, Values, boxes, only, shifted, splits
from lawbound.datasets.random_data import Between, RandomFunction, averages
from lawbound.solvers import (
    Barenblatt,
    Boxes,
    ImplicitPlaneDiffusion,
    Neumann,
    Power,
    Problem,
    Walls,
    box_averages,
)

_START, _RADIUS = 0.01, 0.4
_BUMPS = 4


def _dome(draw: Draw) -> Barenblatt:
    return Barenblatt.with_front(draw["m"], _RADIUS, _START, dimension=2)


def _pme_2d(draw: Draw, grid: Boxes, times: np.ndarray) -> Problem:
    start = box_averages(_dome(draw), float(times[0]), grid.x.faces, grid.y.faces)
    closed = Neumann(0.0)
    walls = Walls(closed, closed, closed, closed)
    return Problem("pme-2d", Power(draw["m"]), grid, walls, start, times)


def _random_pme_2d(draw: Draw, grid: Boxes, times: np.ndarray) -> Problem:
    """Products of functions of x and of y, added up, between 0 and 1."""
    random, closed = draw.random, Neumann(0.0)
    start = np.zeros(grid.shape)
    for _ in range(_BUMPS):
        along_x, along_y = (Between(RandomFunction.drawn(random, 0.4), 0.0, 1.0) for _ in range(2))
        start += np.multiply.outer(averages(along_y, grid.y.faces), averages(along_x, grid.x.faces)) / _BUMPS
    walls = Walls(closed, closed, closed, closed)
    return Problem("pme-2d", Power(draw["m"]), grid, walls, start, times)


def _round_off(draw: Draw, h: float, times: np.ndarray) -> np.ndarray:
    # The scheme keeps the mass of the first averages, and that is the closed form's up to their quadrature.
    return np.full(times.shape, 1e-11)


PME_2D = Family(
    name="pme-2d",
    title="porous medium equation on a square, a dome that spreads",
    equation="u_t = div(u^m grad u)",
    about="""A dome of the radius 0.4, whatever m is, spreads in a closed square: 100 times later its radius is 0.86 for m = 2 and 0.56
for m = 6. The mass stays what it was. The front is a circle on a square grid, with an infinite gradient for m > 1. Below m = 1.52 it
reaches the walls before t = 1, where the closed form ends; such designs are refused.""",
    references="Barenblatt, Prikl. Mat. Mekh. 16, 1952; Vázquez, The Porous Medium Equation, Oxford 2007, (1.8)",
    parameters={"m": "exponent of the conductivity k(u) = u^m"},
    splits=only(
        "m",
        splits(
            Uniform(2.0, 3.0),
            Values((2.0, 2.5, 3.0)),
            shifted((2.0, 3.0), (3.0, 3.5), (3.5, 4.5), (4.5, 6.0)),
        ),
    ),
    domain=(-1.0, 1.0),
    times=(_START, 1.0),
    time_of_interest=0.5,
    build=_pme_2d,
    exact=_dome,
    mass_tolerance=_round_off,
    nx=64,
    nt=51,
    grid=boxes,
    build_random=_random_pme_2d,
    solver=ImplicitPlaneDiffusion(),
)
