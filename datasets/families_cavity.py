"""The lid-driven cavity: fluid in a square, moved by a lid whose speed changes at random. The distribution is ours.

It stands for BOON's cavity (Saad et al., ICLR 2023), whose data and generator were never published. The lid is 16 x² (1 − x)²
along the wall, so that the vorticity is finite at the corners, and starts smoothly; its speed is random between 0.5 and
1.5 and changes over times of about 0.5. Re ~ U[50, 200]; `--param reynolds=100:100` keeps to one.
"""

import numpy as np

from lawbound.datasets.family import Draw, Family, Uniform, Values, only, points_of_square, shifted, splits
from lawbound.datasets.random_data import Between, Lid, RandomFunction
from lawbound.solvers import NavierStokes, NoSlip, Problem, Rectangle, SpectralCavity, Walls

_RAMP, _SERIES = 0.25, 0.5


def _cavity(draw: Draw, grid: Rectangle, times: np.ndarray) -> Problem:
    still, lid = NoSlip(0.0), Lid(Between(RandomFunction.drawn(draw.random, _SERIES), 0.5, 1.5), _RAMP)
    walls = Walls(still, still, still, NoSlip(lid))
    return Problem("cavity", NavierStokes(draw["reynolds"]), grid, walls, 0.0, times)


CAVITY = Family(
    name="cavity",
    title="fluid in a square, moved by a lid whose speed changes at random",
    equation="u_t + (u . grad) u = -grad p + Laplace(u) / Re, div u = 0",
    about="""It stands for BOON's cavity, whose data and generator were never published. The lid moves with 16 x² (1 − x)² times a random
speed between 0.5 and 1.5 that changes over times of about 0.5, and starts smoothly, so that vorticity stays finite in the corners. Stored are
velocities, pressure (of mean 0), vorticity and streamfunction; the divergence vanishes to round-off at every point.
`--param reynolds=100:100` keeps to one Reynolds number.""",
    references="Saad et al., ICLR 2023, arXiv:2212.07477 (equation)",
    parameters={"reynolds": "Reynolds number"},
    splits=only(
        "reynolds",
        splits(
            Uniform(50.0, 200.0),
            Values((50.0, 100.0, 200.0)),
            shifted((50.0, 200.0), (25.0, 50.0), (200.0, 300.0), (300.0, 500.0)),
        ),
    ),
    domain=(0.0, 1.0),
    times=(0.0, 2.0),
    time_of_interest=2.0,
    build=_cavity,
    laws=("divergence-free",),
    grid=points_of_square,
    nx=100,
    nt=26,
    solver=SpectralCavity(),
)
