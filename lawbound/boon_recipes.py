"""The tables of BOON (Saad et al., ICLR 2023, arXiv:2212.07477), from data to networks that obey their walls.

Full: grids, samples, networks, 500 epochs and the halving of the rate as in the released notebooks, on data of our own
solvers, since theirs are not to be had; the distributions that they did not publish are ours (see the families). Weights are
chosen on 100 validation samples, where they took the last. All contenders of a study see the same data and schedule.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, final

from lawbound.boundary_contenders import CONTENDERS
from lawbound.boundary_scores import REL_L2_TIMES, WALL_MAX
from lawbound.recipe import Part, Recipe, Study
from lawbound.score import Score
from lawbound.score_list import BC_MAX, CE, MSE, REL_L2
from lawbound.surrogates.surrogate import Learner

ERRORS = (REL_L2_TIMES, REL_L2, MSE)
VALUES, SLOPES = (*ERRORS, WALL_MAX, BC_MAX), (*ERRORS, WALL_MAX, CE)
KNOWN_WALLS = ("fno", "fno-bc", "boon", "boon-corrected", "lift")


@final
@dataclass(frozen=True)
class Size:
    """How much of everything."""

    nx: int
    nt: int
    samples: int
    chosen_on: int
    tested: int
    epochs: int
    batch: int
    modes: int
    width: int
    blocks: int = 4
    halved_every: int = 50

    def options(self, field: str) -> dict[str, Any]:
        """Hyperparameters of every contender."""
        return {
            "fields": field, "epochs": self.epochs, "batch": self.batch, "modes": self.modes, "width": self.width,
            "blocks": self.blocks, "schedule": "step", "step_every": self.halved_every,
        }  # fmt: skip


#: 1-D in time as published, and its small version; the same on a plane.
LINE = Size(nx=500, nt=26, samples=1000, chosen_on=100, tested=200, epochs=500, batch=20, modes=12, width=32)
PLANE = Size(50, 26, 1000, 100, 200, 500, 10, 8, 20, halved_every=100)
QUICK_LINE = Size(64, 11, 128, 16, 24, 12, 8, 8, 16, 3, halved_every=3)
QUICK_PLANE = Size(24, 9, 48, 8, 12, 16, 6, 6, 8, 3, halved_every=4)
REDUCED_LINE = (
    "128 training samples of 1000, 64 points and 11 times, networks of width 16 of 32, 12 epochs of 500"
)
REDUCED_PLANE = (
    "48 training samples of 1000, 24 × 24 points and 9 times, networks of width 8 of 20, 16 epochs of 500"
)


def study(
    problem: str,
    size: Size,
    learners: Mapping[str, Learner],
    scores: tuple[Score, ...],
    *,
    name: str = "",
    case: str = "in-range",
    times: tuple[float, float] | None = None,
    **fixed: float,
) -> Study:
    """Networks of a problem at one value of each parameter in `fixed`; `case` is what the table calls it."""
    parameters = {parameter: (value, value) for parameter, value in fixed.items()}
    return Study(
        name=name or problem,
        problem=problem,
        train=Part("train", size.samples, parameters=parameters),
        valid=Part("valid", size.chosen_on, parameters=parameters),
        test=(Part("in-range", size.tested, parameters=parameters),),
        learners=learners,
        rules=(),
        nx=size.nx,
        nt=size.nt,
        times=times,
        scores=scores,
        judged_times=size.nt,
        case=case,
    )


def contenders(
    size: Size, law: str, names: Sequence[str] = KNOWN_WALLS, *, base: str = "fno", field: str = "u"
) -> dict[str, Learner]:
    """Learners by name."""
    return {name: CONTENDERS[name].learner(law, base, **size.options(field)) for name in names}


def _by_viscosity(
    problem: str, viscosities: Sequence[float], quick: bool, names: Sequence[str] = KNOWN_WALLS
) -> tuple[Study, ...]:
    """A study for each viscosity, walls given by value."""
    size = QUICK_LINE if quick else LINE
    return tuple(
        study(problem, size, contenders(size, "dirichlet", names), VALUES, name=f"{problem}-{nu:g}", case=f"nu={nu:g}", nu=nu)
        for nu in viscosities
    )  # fmt: skip


def _heat(quick: bool) -> tuple[Study, ...]:
    size = QUICK_LINE if quick else Size(1024, 26, 1000, 100, 200, 500, 20, 12, 32)
    return (study("heat-neumann", size, contenders(size, "neumann"), SLOPES),)


def _periodic(quick: bool) -> tuple[Study, ...]:
    """A circle has no walls, and points are stored once a period: what is left to impose is that ∫u dx stays."""
    size = QUICK_LINE if quick else Size(128, 26, 1000, 100, 200, 500, 20, 12, 32, halved_every=100)
    found = contenders(size, "conservation", ("fno", "mass-kept"))
    return (study("burgers-periodic", size, found, (*ERRORS, CE), case="nu=0.01", nu=0.01),)


def _random(quick: bool) -> tuple[Study, ...]:
    size = QUICK_LINE if quick else Size(256, 26, 1000, 100, 200, 500, 20, 12, 32)
    return (study("burgers-random", size, contenders(size, "dirichlet"), VALUES),)


def _wave(quick: bool) -> tuple[Study, ...]:
    """The released code knows no slopes on a plane in time, so that it is the corrected one alone."""
    size = QUICK_PLANE if quick else PLANE
    return (
        study(
            "wave-2d", size, contenders(size, "neumann", ("fno", "fno-bc", "boon-corrected", "lift")), SLOPES
        ),
    )


def _cavity(quick: bool) -> tuple[Study, ...]:
    """Every flow starts from rest, so that a network which does not read the lid knows nothing: all are made of `fno-bc`.

    The vorticity at walls is part of the solution; the original reads it off, and here nobody is told.
    """
    size = QUICK_PLANE if quick else PLANE
    velocity = contenders(size, "dirichlet", KNOWN_WALLS[1:], base="fno-bc")
    vorticity = contenders(size, "", ("fno-bc", "mirror"), base="fno-bc", field="vorticity")
    return (
        study(
            "cavity",
            size,
            velocity,
            VALUES,
            name="cavity-velocity",
            case="velocity u, reynolds=100",
            times=(0.0, 1.0),
            reynolds=100.0,
        ),
        study(
            "cavity",
            size,
            vorticity,
            ERRORS,
            name="cavity-vorticity",
            case="reynolds=100",
            times=(0.0, 1.0),
            reynolds=100.0,
        ),
    )


RECIPES = tuple(
    Recipe(f"boon/{name}", what, studies, reduced, seconds)
    for name, what, studies, reduced, seconds in (
        ("stokes", "BOON: Stokes' second problem, ν = 0.1, 0.02, 0.005, networks that know or obey their walls",
         partial(_by_viscosity, "stokes", (0.1, 0.02, 0.005)), REDUCED_LINE, 120),
        ("heat-neumann", "BOON: rod between an insulator and a heater", _heat, REDUCED_LINE, 47),
        ("burgers-dirichlet", "BOON: Burgers' equation between walls, ν = 0.1 and 0.01",
         partial(_by_viscosity, "burgers-dirichlet", (0.1, 0.01)), REDUCED_LINE, 117),
        ("burgers-periodic", "BOON: Burgers' equation on a circle, ν = 0.01", _periodic, REDUCED_LINE, 30),
        ("burgers-random", "Burgers' equation between random walls, ours", _random, REDUCED_LINE, 34),
        ("wave-2d", "BOON: waves on a square with free sides", _wave, REDUCED_PLANE, 104),
        ("cavity", "BOON: lid-driven cavity, Re = 100, velocity and vorticity", _cavity, REDUCED_PLANE, 122),
    )
)  # fmt: skip
