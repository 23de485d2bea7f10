"""Means of k over a face, for comparison with the integral mean, and the front inside a cell: compiled.

All are fluxes times the cell width, in units of Φ, positive to the right. Between cells L and R at a distance h

    integral    Φ(u_L) − Φ(u_R), which is ∫ k du: exact for steady states, blind to where in its cell a front is
    arithmetic  ½ (k_L + k_R) (u_L − u_R)
    harmonic    2 k_L k_R / (k_L + k_R) (u_L − u_R): 0 where one side does not conduct
    shock       the flux that the Rankine-Hugoniot condition asks of a front in cell R, Φ(u_L) / (½ + θ), with
                θ = u_R / u_star the part of R that lies behind it (after Maddix, Sampaio, Gerritsen,
                J. Comput. Phys. 368, 2018; derived anew)
    sub-cell    the same with a straight profile behind the front: u_R = u_star θ + ½ θ² Φ(u_L) / (½ + θ) gives θ

The last two are for k = 0 below u_star. With θ from the straight profile, the flux is continuous when a cell is
full: then Φ(u_R) = Φ(u_L) / 3, and Φ(u_L) / (3/2) is what enters and, through the next face, leaves.
"""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.coefficient import Coefficient, Constant, Custom, Phases, Power, Step, Tabulated
from lawbound.solvers.compiled import chosen_by_type, compiled
from lawbound.solvers.potential import conductivity, potential
from lawbound.solvers.wall_flux import DIRICHLET, entering

FloatArray = NDArray[np.float64]

INTEGRAL, ARITHMETIC, HARMONIC, SHOCK, SUB_CELL = 0, 1, 2, 3, 4

#: Names by which a user asks for a mean.
MEANS = {
    "integral": INTEGRAL,
    "arithmetic": ARITHMETIC,
    "harmonic": HARMONIC,
    "shock": SHOCK,
    "sub-cell": SUB_CELL,
}


@compiled
def filled_share(dry: float, wet_phi: float, u_star: float, k_max: float, straight: bool) -> float:
    """θ ≥ 0, the part of a cell with average `dry` that lies behind the front; `wet_phi` is Φ next door.

    Of ū = u_star θ + ½ θ² p / (½ + θ), p = Φ/k_max, a quadratic in θ; without a profile θ = ū / u_star.
    """
    if not straight:
        return max(dry, 0.0) / u_star
    p = wet_phi / k_max
    a, half_b = u_star + 0.5 * p, 0.25 * u_star - 0.5 * dry
    return float((np.sqrt(half_b * half_b + 0.5 * a * max(dry, 0.0)) - half_b) / a)


@compiled
def _mean(mean: int, k_left: float, k_right: float) -> float:
    if mean == ARITHMETIC:
        return 0.5 * (k_left + k_right)
    total = k_left + k_right
    return 2.0 * k_left * k_right / total if total > 0.0 else 0.0


def front_flux(
    coefficient: Coefficient, mean: int, behind: float, wet: float, dry: float, beyond: float
) -> float:
    """Flux from a conducting cell into one that the front may be in; `behind` and `beyond` are Φ on either side."""
    raise TypeError(f"{type(coefficient).__name__} has no front inside a cell.")


def _step_front_flux(
    coefficient: Step, mean: int, behind: float, wet: float, dry: float, beyond: float
) -> float:
    wet_phi, dry_phi = potential(coefficient, wet), potential(coefficient, dry)
    straight = mean == SUB_CELL
    if straight and dry_phi <= 0.0 and 3.0 * wet_phi < behind:
        return 0.0  # above u_star, but not yet full: the front is still in `wet` itself
    if beyond <= 0.0 and 3.0 * dry_phi < wet_phi and (dry_phi <= 0.0 or straight):
        share = filled_share(dry, wet_phi, coefficient.u_star, coefficient.k_max, straight)
        return wet_phi / (0.5 + min(share, 1.0))
    return wet_phi - dry_phi


def wall_front_flux(coefficient: Coefficient, mean: int, wall: float, dry: float, beyond: float) -> float:
    """The same from a Dirichlet wall, half a cell from the centre, at Φ = `wall`."""
    raise TypeError(f"{type(coefficient).__name__} has no front inside a cell.")


def _step_wall_front_flux(coefficient: Step, mean: int, wall: float, dry: float, beyond: float) -> float:
    dry_phi = potential(coefficient, dry)
    straight = mean == SUB_CELL
    if wall > 0.0 and beyond <= 0.0 and 2.0 * dry_phi < wall and (dry_phi <= 0.0 or straight):
        slope = 0.5 * wall / coefficient.k_max if straight else 0.0
        share = dry / (coefficient.u_star + slope)
        # A front right at the wall would let in anything; half a cell keeps explicit steps stable.
        return wall / min(max(share, 0.5), 1.0)
    return 2.0 * (wall - dry_phi)


def _no_front_flux(
    coefficient: Coefficient, mean: int, behind: float, wet: float, dry: float, beyond: float
) -> float:
    return potential(coefficient, wet) - potential(coefficient, dry)


def _no_wall_front_flux(coefficient: Coefficient, mean: int, wall: float, dry: float, beyond: float) -> float:
    return 2.0 * (wall - potential(coefficient, dry))


_OTHERS = (Constant, Power, Phases, Custom, Tabulated)
chosen_by_type(front_flux, {Step: _step_front_flux, **dict.fromkeys(_OTHERS, _no_front_flux)})
chosen_by_type(wall_front_flux, {Step: _step_wall_front_flux, **dict.fromkeys(_OTHERS, _no_wall_front_flux)})


@compiled
def fill_face_fluxes(
    coefficient: Coefficient,
    mean: int,
    walls: FloatArray,  # (2,) Φ at Dirichlet walls, 0 at others
    first: int,
    last: int,
    state: FloatArray,
    phi: FloatArray,
    faces: FloatArray,
) -> None:
    """faces[i] for the inner faces of cells first … last − 1; the ends of the row are the walls'."""
    n = state.size
    for i in range(max(first, 1), min(last + 1, n)):
        left, right = state[i - 1], state[i]
        if mean in (ARITHMETIC, HARMONIC):
            k = _mean(mean, conductivity(coefficient, left), conductivity(coefficient, right))
            faces[i] = k * (left - right)
            continue
        # A cell at a wall is full when its Φ is half the wall's, not a third of a neighbour's.
        before = phi[i - 2] if i > 1 else 1.5 * walls[0]
        after = phi[i + 1] if i + 1 < n else 1.5 * walls[1]
        if phi[i - 1] > phi[i]:
            faces[i] = front_flux(coefficient, mean, before, left, right, after)
        elif phi[i - 1] < phi[i]:
            faces[i] = -front_flux(coefficient, mean, after, right, left, before)
        else:
            faces[i] = 0.0


@compiled
def wall_face_flux(
    coefficient: Coefficient,
    mean: int,
    kind: int,
    transfer: float,
    value: float,
    u: float,
    phi: float,
    beyond: float,  # Φ of the next cell
    width: float,
) -> float:
    """What enters through a wall; its value and the cell's stand half a cell apart."""
    if kind != DIRICHLET:
        return entering(coefficient, kind, transfer, value, u, phi, width)
    if mean in (ARITHMETIC, HARMONIC):
        k = _mean(mean, conductivity(coefficient, value), conductivity(coefficient, u))
        return 2.0 * k * (value - u)
    return wall_front_flux(coefficient, mean, potential(coefficient, value), u, beyond)
