"""Numerical fluxes F(a, b) between a state a on the left and b on the right of a face, and the loops over faces.

For a convex f, whose smallest value is at the sonic point u*,

    Godunov          max(f(max(a, u*)), f(min(b, u*))): the flux of the Riemann problem, solved exactly
    Engquist–Osher   f(max(a, u*)) + f(min(b, u*)) − f(u*): what moves right from the left, and left from the right
    Rusanov          ½ (f(a) + f(b)) − ½ α (b − a), α the larger of |f'(a)| and |f'(b)|: no knowledge of u* needed

(LeVeque, Finite Volume Methods for Hyperbolic Problems, 2002, chapter 12.) All three are consistent,
F(u, u) = f(u), and monotone, so none keeps a rarefaction shock at a sonic point.

**The step that keeps bounds.** A cell whose average is the mean of its edge values p and q, as in every MUSCL scheme,
gains −λ (F(q, ·) − F(·, p)), λ = Δt/h. Adding and subtracting F(p, q) makes that the mean of two first-order steps of
length 2λ from p and q (Zhang, Shu, J. Comput. Phys. 229, 2010, section 2), so half the first-order limit keeps every
average within the range of its neighbours' edge values. First order: with Godunov and Engquist–Osher a new average
rises with each of its three old ones if λ max|f'| ≤ 1, because ∂F/∂a = f'⁺(a) at most and ∂F/∂b = −f'⁻(b) at least; with
Rusanov it is a convex combination of them if λ (½ (α − s) + ½ (α + r)) ≤ 1, r and s being the slopes of the chords of f
left and right, r − s ≤ max|f'| for a quadratic f, hence λ max|f'| ≤ 2/3. The three stages of SSP-RK3 are convex combinations of
forward Euler steps of the same length, so the limits stay as they are (Gottlieb, Shu, Tadmor, SIAM Review 43, 2001).
"""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.compiled import chosen_by_type, compiled
from lawbound.solvers.conservation_law import Advection, ConservationLaw, InviscidBurgers

FloatArray = NDArray[np.float64]

GODUNOV, RUSANOV, ENGQUIST_OSHER = 0, 1, 2

#: Names by which a user asks for a flux.
FLUXES = {"godunov": GODUNOV, "rusanov": RUSANOV, "engquist-osher": ENGQUIST_OSHER}

#: Largest λ max|f'| of a first-order step that keeps averages within the range of their neighbours.
FIRST_ORDER_LIMITS = {"godunov": 1.0, "rusanov": 2.0 / 3.0, "engquist-osher": 1.0}


def flux(law: ConservationLaw, u: float) -> float:
    """f(u)."""
    raise TypeError(f"No flux is known for {type(law).__name__}; add it to solvers/fluxes.py.")


def speed(law: ConservationLaw, u: float) -> float:
    """f'(u), the speed of the characteristics, positive to the right."""
    raise TypeError(f"No speed is known for {type(law).__name__}; add it to solvers/fluxes.py.")


def godunov(law: ConservationLaw, a: float, b: float) -> float:
    """The flux of the Riemann problem between a and b."""
    raise TypeError(f"No Godunov flux is known for {type(law).__name__}; add it to solvers/fluxes.py.")


def engquist_osher(law: ConservationLaw, a: float, b: float) -> float:
    """∫f'⁺ up to a plus ∫f'⁻ up to b."""
    raise TypeError(f"No Engquist–Osher flux is known for {type(law).__name__}; add it to solvers/fluxes.py.")


def law_of_sample(batch: ConservationLaw, sample: int) -> ConservationLaw:
    """The law of one sample of a batch."""
    raise TypeError(f"{type(batch).__name__} cannot be batched; add it to solvers/fluxes.py.")


# Advection. Upwinding is all there is to Godunov's and to Engquist and Osher's flux.


def _advection_flux(law: Advection, u: float) -> float:
    return law.beta * u


def _advection_speed(law: Advection, u: float) -> float:
    return law.beta


def _upwind(law: Advection, a: float, b: float) -> float:
    return max(law.beta, 0.0) * a + min(law.beta, 0.0) * b


def _advection_of_sample(batch, sample):  # type: ignore[no-untyped-def]  # fields are arrays here
    return Advection(batch.beta[sample])


# Burgers. The sonic point is 0, and f(0) = 0.


def _burgers_flux(law: InviscidBurgers, u: float) -> float:
    return 0.5 * law.scale * u * u


def _burgers_speed(law: InviscidBurgers, u: float) -> float:
    return law.scale * u


def _burgers_godunov(law: InviscidBurgers, a: float, b: float) -> float:
    right, left = max(a, 0.0), min(b, 0.0)
    return 0.5 * law.scale * max(right * right, left * left)


def _burgers_engquist_osher(law: InviscidBurgers, a: float, b: float) -> float:
    right, left = max(a, 0.0), min(b, 0.0)
    return 0.5 * law.scale * (right * right + left * left)


def _burgers_of_sample(batch, sample):  # type: ignore[no-untyped-def]
    return InviscidBurgers(batch.scale[sample])


chosen_by_type(flux, {Advection: _advection_flux, InviscidBurgers: _burgers_flux})
chosen_by_type(speed, {Advection: _advection_speed, InviscidBurgers: _burgers_speed})
chosen_by_type(godunov, {Advection: _upwind, InviscidBurgers: _burgers_godunov})
chosen_by_type(engquist_osher, {Advection: _upwind, InviscidBurgers: _burgers_engquist_osher})
chosen_by_type(law_of_sample, {Advection: _advection_of_sample, InviscidBurgers: _burgers_of_sample})


@compiled
def rusanov(law: ConservationLaw, a: float, b: float) -> float:
    """The mean flux, less as much diffusion as the fastest characteristic needs."""
    fastest = max(abs(speed(law, a)), abs(speed(law, b)))
    return 0.5 * (flux(law, a) + flux(law, b)) - 0.5 * fastest * (b - a)


@compiled
def fill_fluxes(
    kind: int, law: ConservationLaw, left: FloatArray, right: FloatArray, faces: FloatArray
) -> None:
    """faces[i] = F(left[i], right[i])."""
    # One loop a kind: a choice inside the loop would keep it from using vector instructions.
    if kind == GODUNOV:
        for i in range(faces.size):
            faces[i] = godunov(law, left[i], right[i])
    elif kind == RUSANOV:
        for i in range(faces.size):
            faces[i] = rusanov(law, left[i], right[i])
    else:
        for i in range(faces.size):
            faces[i] = engquist_osher(law, left[i], right[i])


def speeds(law: ConservationLaw, u: FloatArray) -> FloatArray:
    """f' at each u."""
    return np.full(np.shape(u), law.beta) if isinstance(law, Advection) else law.scale * np.asarray(u)


def speed_per_state(law: ConservationLaw) -> float:
    """f'', by how much characteristics are faster where u is larger by 1."""
    return 0.0 if isinstance(law, Advection) else law.scale
