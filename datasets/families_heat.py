"""Heat between walls of every kind: BOON's heated rod and Stokes' second problem, and two random families of our own.

`heat-neumann` and `stokes` are the problems of Saad, Gupta, Alizadeh, Maddix, ICLR 2023, arXiv:2212.07477, with k = 0.01 and a
heater 5 sin πt. Their code has the rod's outputs end at t = 0.5 and their text at t = 2, which give very different
heating; the default is 2, and `--times 0:0.5` gives the other reading. `stokes` has ω ~ U[3, 4] and the viscosities 0.1,
0.02, 0.005, 0.002 and 0.001 in turn; `--param nu=0.1:0.1` keeps to one.

`heat-dirichlet` and `heat-robin` are ours: random fields between walls, or surroundings, that change at random in time.
The shifted splits are ours, too: frequencies, diffusivities or Biot numbers beside those trained on.
"""

import numpy as np

from lawbound.datasets.family import Draw, Family, Uniform, Values, only, points, shifted, splits
from lawbound.datasets.random_data import Bridge, RandomFunction
from lawbound.solvers import (
    AtPoint,
    AtTime,
    Constant,
    Dirichlet,
    HeatedRod,
    Neumann,
    Nodes,
    Problem,
    Robin,
    SineOfTime,
    SpectralHeat,
    StokesLayer,
    Walls,
)

_REFERENCE = "Saad et al., ICLR 2023, arXiv:2212.07477"
_HEATER = 5.0

#: Over which lengths random fields, and over which times random walls change.
_FIELD, _SERIES = 0.15, 0.25


def _rod(draw: Draw) -> HeatedRod:
    return HeatedRod(draw["omega"], draw["k"], _HEATER)


def _heat_neumann(draw: Draw, grid: Nodes, times: np.ndarray) -> Problem:
    heater = Neumann(SineOfTime(draw["k"] * _HEATER, np.pi))
    return Problem(
        "heat-neumann", Constant(draw["k"]), grid, Walls(Neumann(0.0), heater), AtTime(_rod(draw), 0.0), times
    )


def _layer(draw: Draw) -> StokesLayer:
    return StokesLayer(draw["nu"], draw["omega"])


def _stokes(draw: Draw, grid: Nodes, times: np.ndarray) -> Problem:
    layer = _layer(draw)
    walls = Walls(*(Dirichlet(AtPoint(layer, y)) for y in (grid.lower, grid.upper)))
    return Problem("stokes", Constant(draw["nu"]), grid, walls, AtTime(layer, float(times[0])), times)


def _heat_dirichlet(draw: Draw, grid: Nodes, times: np.ndarray) -> Problem:
    random = draw.random
    field, *series = (RandomFunction.drawn(random, length) for length in (_FIELD, _SERIES, _SERIES))
    left, right = (float(one(times[0])) for one in series)
    walls = Walls(*map(Dirichlet, series))
    return Problem("heat-dirichlet", Constant(draw["k"]), grid, walls, Bridge(field, left, right), times)


def _heat_robin(draw: Draw, grid: Nodes, times: np.ndarray) -> Problem:
    random = draw.random
    field, *ambient = (RandomFunction.drawn(random, length) for length in (_FIELD, _SERIES, _SERIES))
    transfers = (draw[biot] * draw["k"] / (grid.upper - grid.lower) for biot in ("biot_lo", "biot_hi"))
    walls = Walls(*(Robin(h, around) for h, around in zip(transfers, ambient, strict=True)))
    return Problem("heat-robin", Constant(draw["k"]), grid, walls, field, times)


HEAT_NEUMANN = Family(
    name="heat-neumann",
    title="rod with an insulated end and a heater at the other",
    equation="u_t = k u_xx, u_x(0) = 0, u_x(1) = 5 sin(pi t)",
    about="""BOON's rod: insulated at one end, at the other a heater with the gradient 5 sin πt, and a cosine at the start. The heater's flux is
prescribed, so ∫u dx is known from boundary data alone. The initial state does not fit the heater's end unless ω is a whole number: a thin
layer starts there. Their code ends at t = 0.5 and their text at t = 2; the default is 2, `--times 0:0.5` gives the other.""",
    references=_REFERENCE,
    parameters={"omega": "wavenumber of the initial cos(omega pi x)", "k": "diffusivity"},
    splits=only(
        "omega",
        splits(
            Uniform(2.01, 3.99),
            Values((2.25, 3.0, 3.75)),
            shifted((2.01, 3.99), (1.5, 2.01), (3.99, 5.0), (5.0, 6.5)),
        ),
        k=Values((0.01,)),
    ),
    domain=(0.0, 1.0),
    times=(0.0, 2.0),
    time_of_interest=0.5,
    build=_heat_neumann,
    exact=_rod,
    grid=points,
    nx=256,
    nt=101,
    solver=SpectralHeat(),
)

STOKES = Family(
    name="stokes",
    title="fluid over a wall that moves back and forth",
    equation="u_t = nu u_yy, u(0) = 2 cos(omega t)",
    about="""BOON's Stokes problem: fluid over a wall that moves back and forth. The motion decays over √(2ν/ω): 0.26 for ν = 0.1, 0.024 for
ν = 0.001, where almost all that happens is next to one wall. Both walls carry the closed form's values. ν takes 0.1, 0.02, 0.005,
0.002 and 0.001 in turn; `--param nu=0.1:0.1` keeps to one.""",
    references=_REFERENCE,
    parameters={"omega": "frequency of the wall", "nu": "viscosity"},
    splits=only(
        "omega",
        splits(
            Uniform(3.0, 4.0), Values((3.25, 3.75)), shifted((3.0, 4.0), (2.5, 3.0), (4.0, 5.0), (5.0, 7.0))
        ),
        nu=Values((0.1, 0.02, 0.005, 0.002, 0.001)),
    ),
    domain=(0.0, 1.0),
    times=(0.0, 2.0),
    time_of_interest=2.0,
    build=_stokes,
    exact=_layer,
    grid=points,
    nx=256,
    nt=101,
    solver=SpectralHeat(),
)

_DIFFUSIVITIES = splits(
    Uniform(0.01, 0.1),
    Values((0.01, 0.03, 0.1)),
    shifted((0.01, 0.1), (0.1, 0.15), (0.15, 0.25), (0.25, 0.5)),
)

HEAT_DIRICHLET = Family(
    name="heat-dirichlet",
    title="heat between walls at random temperatures",
    equation="u_t = k u_xx, u(0) = l(t), u(1) = r(t)",
    about="""A random field between walls whose temperatures change at random, independent of each other and of the field. The field has
the correlation length 0.15, the walls have the time 0.25, both of mean 0 and variance 1; the field starts where the walls are. The flux
through the walls is part of the solution, so ∫u dx is read off the ledger: a model that uses it is told something that a user
would have to measure.""",
    references="none; random functions after Rahimi, Recht, NIPS 2007",
    parameters={"k": "diffusivity"},
    splits=only("k", _DIFFUSIVITIES),
    domain=(0.0, 1.0),
    times=(0.0, 1.0),
    time_of_interest=0.5,
    build=_heat_dirichlet,
    grid=points,
    nx=256,
    nt=51,
    solver=SpectralHeat(),
)

_BIOT = splits(
    Uniform(0.5, 5.0), Values((0.5, 1.5, 5.0)), shifted((0.5, 5.0), (0.2, 0.5), (5.0, 10.0), (10.0, 20.0))
)

HEAT_ROBIN = Family(
    name="heat-robin",
    title="heat exchanged with random surroundings",
    equation="u_t = k u_xx, du/dn = Bi (ambient(t) - u) at both ends",
    about="""A random field exchanges heat with random surroundings at both ends, −k ∂u/∂n = h (u − ambient), the Biot numbers h/k of the two
ends being drawn independently. Small numbers are nearly insulated ends, large ones nearly follow the surroundings. Field and
surroundings have the correlation lengths 0.15 and 0.25.""",
    references="none; random functions after Rahimi, Recht, NIPS 2007",
    parameters={
        "biot_lo": "Biot number of the lower end",
        "biot_hi": "Biot number of the upper end",
        "k": "diffusivity",
    },
    splits={
        split: {"biot_lo": distribution, "biot_hi": distribution, "k": Uniform(0.01, 0.1)}
        for split, distribution in _BIOT.items()
    },
    domain=(0.0, 1.0),
    times=(0.0, 1.0),
    time_of_interest=0.5,
    build=_heat_robin,
    grid=points,
    nx=256,
    nt=51,
    solver=SpectralHeat(),
)
