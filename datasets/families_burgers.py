"""Viscous Burgers: BOON's periodic and Dirichlet problems, and random walls of our own.

`burgers-periodic` is the benchmark of Li et al., ICLR 2021, arXiv:2010.08895, and BOON (Saad et al., ICLR 2023): an initial field
from N(0, 625 (−Δ + 25 I)⁻²), cut at 63 waves, which 128 points carry, with ν = 0.1 and 0.01 in turn. `burgers-dirichlet` has
fronts that travel, a closed form; the distribution is ours, since the original was never published. `burgers-random` is
ours: random walls l(t) and r(t), independent of each other, and a random field that starts where they are. `--param
nu=0.01:0.01` keeps to one viscosity.
"""

import numpy as np

from lawbound.datasets.family import (
    Draw,
    Family,
    Uniform,
    Values,
    only,
    points,
    points_of_circle,
    shifted,
    splits,
)
from lawbound.datasets.random_data import Bridge, PeriodicField, RandomFunction
from lawbound.solvers import (
    AtPoint,
    AtTime,
    BurgersFront,
    Dirichlet,
    Nodes,
    Periodic,
    PeriodicNodes,
    Problem,
    SpectralBurgers,
    ViscousBurgers,
    Walls,
)

_BOON = "Saad et al., ICLR 2023, arXiv:2212.07477"
_WAVES, _SIGMA, _TAU = 63, 25.0, 5.0
_FIELD, _SERIES = 0.15, 0.25


def _periodic(draw: Draw, grid: PeriodicNodes, times: np.ndarray) -> Problem:
    field = PeriodicField.drawn(draw.random, _SIGMA, _TAU, _WAVES)
    walls = Walls(Periodic(), Periodic())
    return Problem("burgers-periodic", ViscousBurgers(draw["nu"]), grid, walls, field, times)


def _front(draw: Draw) -> BurgersFront:
    return BurgersFront(draw["u_left"], draw["u_right"], draw["centre"], draw["nu"])


def _dirichlet(draw: Draw, grid: Nodes, times: np.ndarray) -> Problem:
    front = _front(draw)
    walls = Walls(*(Dirichlet(AtPoint(front, x)) for x in (grid.lower, grid.upper)))
    start = AtTime(front, float(times[0]))
    return Problem("burgers-dirichlet", ViscousBurgers(draw["nu"]), grid, walls, start, times)


def _random(draw: Draw, grid: Nodes, times: np.ndarray) -> Problem:
    random = draw.random
    left, right, field = (RandomFunction.drawn(random, length) for length in (_SERIES, _SERIES, _FIELD))
    start = Bridge(field, *(float(one(times[0])) for one in (left, right)))
    walls = Walls(Dirichlet(left), Dirichlet(right))
    return Problem("burgers-random", ViscousBurgers(draw["nu"]), grid, walls, start, times)


_NU = {"nu": "viscosity"}
_SHIFTED_NU = shifted((0.02, 0.1), (0.015, 0.02), (0.01, 0.015), (0.005, 0.01))

BURGERS_PERIODIC = Family(
    name="burgers-periodic",
    title="viscous Burgers on a circle, random field",
    conductivity="constant nu",
    flux="square",
    equation="u_t + (u^2 / 2)_x = nu u_xx",
    about="""The benchmark of Li et al. and BOON: a field from N(0, 625 (−Δ + 25 I)⁻²) on a circle, cut at 63 waves, with ν = 0.1 and 0.01 in
turn. Nothing enters or leaves, so ∫u dx stays what it was. Fronts of the width 4ν/jump form and merge; the solver adds modes
until they are resolved, whatever grid is stored.""",
    references=f"Li et al., ICLR 2021, arXiv:2010.08895; {_BOON}",
    parameters=_NU,
    splits=only("nu", splits(Values((0.1, 0.01)), Values((0.1, 0.01)), _SHIFTED_NU)),
    domain=(0.0, 1.0),
    times=(0.0, 1.0),
    time_of_interest=1.0,
    build=_periodic,
    grid=points_of_circle,
    nx=128,
    nt=101,
    solver=SpectralBurgers(),
)

BURGERS_DIRICHLET = Family(
    name="burgers-dirichlet",
    title="viscous Burgers, a front that travels",
    conductivity="constant nu",
    flux="square",
    equation="u_t + (u^2 / 2)_x = nu u_xx, u(0) and u(1) given",
    about="""A front that travels at (u_left + u_right)/2, of the width 4ν/(u_left − u_right): down to 0.01 for ν = 0.005. Both walls carry the
closed form's values, which hardly change until the front is near. BOON has the equation and such walls; the distribution is ours,
since theirs was never published. ν takes five values in turn.""",
    references=f"{_BOON} (equation and walls)",
    parameters={
        "u_left": "value behind the front",
        "u_right": "value ahead of the front",
        "centre": "where the front starts",
        **_NU,
    },
    splits=only(
        "nu",
        splits(Values((0.1, 0.05, 0.02, 0.01, 0.005)), Values((0.1, 0.05, 0.02, 0.01, 0.005)), _SHIFTED_NU),
        u_left=Uniform(0.5, 1.5),
        u_right=Uniform(-0.5, 0.5),
        centre=Uniform(0.2, 0.5),
    ),
    domain=(0.0, 1.0),
    times=(0.0, 1.0),
    time_of_interest=0.5,
    build=_dirichlet,
    exact=_front,
    grid=points,
    nx=256,
    nt=51,
    solver=SpectralBurgers(),
)

BURGERS_RANDOM = Family(
    name="burgers-random",
    title="viscous Burgers between random walls",
    conductivity="constant nu",
    flux="square",
    equation="u_t + (u^2 / 2)_x = nu u_xx, u(0) = l(t), u(1) = r(t)",
    about="""Random walls l(t) and r(t), independent of each other, and a random field that starts where they are. Where the flow leaves,
the wall's value is imposed through a layer of the width ν/|u|, about 0.02: what happens at a wall is what is hard here, and what
boundary-exact models are for. ∫u dx is read off the ledger.""",
    references="none; random functions after Rahimi, Recht, NIPS 2007",
    parameters=_NU,
    splits=only(
        "nu",
        splits(
            Values((0.02,)),
            Values((0.02,)),
            shifted((0.02, 0.02), (0.015, 0.02), (0.01, 0.015), (0.005, 0.01)),
        ),
    ),
    domain=(0.0, 1.0),
    times=(0.0, 1.0),
    time_of_interest=1.0,
    build=_random,
    grid=points,
    nx=256,
    nt=26,
    solver=SpectralBurgers(),
)
