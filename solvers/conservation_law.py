"""Scalar conservation laws u_t + f(u)_x = s with convex f: named tuples of numbers, handed to compiled code as they are."""

from typing import NamedTuple

import numpy as np


class Advection(NamedTuple):
    """f(u) = β u: everything moves with speed β, of either sign."""

    beta: float


class InviscidBurgers(NamedTuple):
    """f(u) = scale · u²/2: fast parts overtake slow ones and form shocks."""

    scale: float = 1.0


ConservationLaw = Advection | InviscidBurgers


def check_conservation_law(law: ConservationLaw) -> None:
    """Raise `ValueError` unless all parameters are finite and f is convex."""
    if not all(np.isfinite(value) for value in law):
        raise ValueError(f"{law} has a parameter that is not finite; give finite numbers.")
    if isinstance(law, InviscidBurgers) and law.scale <= 0.0:
        raise ValueError(f"{law} has scale={law.scale}; give a scale > 0 (1 is Burgers' equation).")
