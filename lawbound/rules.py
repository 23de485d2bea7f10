"""What is imposed on a network of each problem of ProbConserv, fixed once and for all tables.

Chosen on validation data of networks that we trained, and fixed before anything was scored on a test set; see
docs/decisions.md.
"""

import numpy as np

from lawbound.constraints.automatic import Automatic
from lawbound.constraints.bounds import Bounds
from lawbound.constraints.conservation import Conservation
from lawbound.constraints.displacement import Displace
from lawbound.constraints.enforcement import Condition, Project
from lawbound.constraints.shape import Monotone, TwoPhase
from lawbound.constraints.smoothing import SmoothCondition
from lawbound.evidence import Imposed

#: As the originals have it: b through the trapezoidal rule, as if that were the integral.
MASS = Conservation(tolerance="exact")
#: Known of all problems with a front: they start falling along x, and the inlet's value never falls.
FALLING = Monotone("falling")
#: Published rules, and ours that needs to know nothing but b.
FEW = ("hardc", "probconserv", "auto")

#: Values that a problem with a front lies between, as its walls say.
_BETWEEN = {
    "stefan": (0.0, 1.0),
    "pme": (0.0, np.inf),
    "advection": (0.0, 1.0),
    "burgers-inviscid": (0.0, np.inf),
}


def rules(problem: str) -> list[Imposed]:
    """What is imposed on a network of a problem, each with the inputs that it declares.

    Where no front is known, as for `diffusion`, those of the law alone.
    """
    found = [
        Imposed(MASS, Project(covariance="kept", distance="points"), "hardc"),
        Imposed(MASS, Condition(), "probconserv"),
        Imposed(MASS, SmoothCondition(), "probconserv-second-derivative"),
        Imposed(MASS, Condition(power=0.25), "tempered"),
    ]
    if problem not in _BETWEEN:
        return [*found, Imposed(MASS, Automatic(), "auto")]
    bounded = MASS & FALLING & Bounds(*_BETWEEN[problem])
    found += [
        Imposed(bounded, Condition(), "falling-bounded"),
        Imposed(bounded, Displace(otherwise="nearest"), "front-moved"),
        Imposed(MASS, Automatic(), "auto"),
        Imposed(bounded, Automatic(), "auto-falling-bounded"),
    ]
    if problem == "stefan":
        # Inputs beside b: u*, and the walls' values 1 and 0. A straight line has the same, and no network at all.
        two = MASS & FALLING & TwoPhase("u_star", 0.0, 1.0, mixed_cell=True)
        found += [
            Imposed(two, Automatic(), "auto-two-phases"),
            Imposed(two, Displace(otherwise="nearest", down_to=1.0), "straight-line-without-network"),
        ]
    return found


def few(problem: str) -> list[Imposed]:
    """Those of `FEW`."""
    return [item for item in rules(problem) if item.label in FEW]
