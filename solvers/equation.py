"""Equations that the spectral solvers take, beside a constant coefficient: named tuples of numbers."""

from typing import NamedTuple

import numpy as np


class Wave(NamedTuple):
    """u_tt = c² Δu: everything moves with speed c and keeps its energy ½ ∫ u_t² + c² |∇u|² dx."""

    c: float


class ViscousBurgers(NamedTuple):
    """u_t + (u²/2)_x = ν u_xx: fronts as thin as ν over their height."""

    nu: float


class NavierStokes(NamedTuple):
    """u_t + (u·∇)u = −∇p + Δu / Re, ∇·u = 0: a fluid of constant density, in units of the walls' speed and length."""

    reynolds: float


SpectralEquation = Wave | ViscousBurgers | NavierStokes


def check_spectral_equation(equation: SpectralEquation) -> None:
    """Raise `ValueError` unless the parameter is finite and positive."""
    name, value = equation._fields[0], equation[0]
    if not (np.isfinite(value) and value > 0.0):
        raise ValueError(f"{equation} has {name}={value}; give a finite {name} > 0.")
