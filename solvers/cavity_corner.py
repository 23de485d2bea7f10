"""Where a sliding wall meets a resting one: the flow that carries the jump of speed.

In a right angle at the origin, X along the wall that slides with speed U and Y into the fluid, creeping flow has

    ψ = U (B Y + (C X + D Y) θ),   θ = atan2(Y, X),   C = 1 / (1 − π²/4),   D = C π/2,   B = −C π²/4,

which fulfils both walls' conditions and Δ²ψ = 0 exactly: G. I. Taylor's scraper (On scraping viscous fluid from a plane
surface, 1962; G. K. Batchelor, An Introduction to Fluid Dynamics, section 4.8). Vorticity and pressure grow like 1 / r. What
is left of the flow when it is taken away is smoother by one power of r, as in O. Botella, R. Peyret, Computers & Fluids 27,
1998.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.cavity_fields import Flow
from lawbound.solvers.grid import Rectangle

FloatArray = NDArray[np.float64]

_C = 1.0 / (1.0 - 0.25 * np.pi**2)
_D = 0.5 * np.pi * _C
_B = -0.25 * np.pi**2 * _C

SIDES = ("x_lo", "x_hi", "y_lo", "y_hi")


@dataclass(frozen=True)
class Scraper:
    """The creeping flow at one end of a wall; `speed` is that of the wall there, along x or y.

    `side` is the wall's name, `far` whether the corner is at its upper end.
    """

    grid: Rectangle
    side: str
    far: bool
    speed: float

    @property
    def corner(self) -> tuple[float, float]:
        """Where it is."""
        x, y = self.grid.x, self.grid.y
        upper = self.side.endswith("hi")
        at_x, at_y = (upper, self.far) if self.side[0] == "x" else (self.far, upper)
        return (x.upper if at_x else x.lower), (y.upper if at_y else y.lower)

    @property
    def meets(self) -> str:
        """The other wall at this corner."""
        return ("y" if self.side[0] == "x" else "x") + ("_hi" if self.far else "_lo")

    def at(self, x: FloatArray, y: FloatArray, nu: float) -> tuple[Flow, FloatArray]:
        """The flow and its pressure, 2 ν U (C X + D Y) / r², at points x and y; infinite vorticity and pressure at the corner."""
        corner_x, corner_y = self.corner
        sign_x = 1.0 if corner_x == self.grid.x.lower else -1.0
        sign_y = 1.0 if corner_y == self.grid.y.lower else -1.0
        from_x, from_y = sign_x * (x - corner_x), sign_y * (y - corner_y)
        on_x = self.side[0] == "y"
        along, into = (from_x, from_y) if on_x else (from_y, from_x)
        speed = self.speed * (sign_x if on_x else sign_y)
        # (X, Y) has the sense of (x, y) or the opposite one; ψ changes its sign with it.
        sense = sign_x * sign_y * (1.0 if on_x else -1.0) * speed
        psi, psi_along, psi_into, bend, push = _creeping(along, into)
        by_x, by_y = (
            (psi_along * sign_x, psi_into * sign_y) if on_x else (psi_into * sign_x, psi_along * sign_y)
        )
        flow = Flow(sense * psi, sense * by_y, -sense * by_x, -sense * bend)
        return flow, 2.0 * nu * speed * push

    def trace(self, side: str, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """ψ and its derivative along x or y across a wall, at positions along that wall."""
        if side == self.meets:
            return np.zeros(points.size), np.zeros(points.size)
        if side == self.side:
            slope = self.speed if side[0] == "y" else -self.speed
            return np.zeros(points.size), np.full(points.size, slope)
        ends = self.grid.x if side[0] == "x" else self.grid.y
        where = np.full(points.size, ends.upper if side.endswith("hi") else ends.lower)
        flow, _ = self.at(where, points, 0.0) if side[0] == "x" else self.at(points, where, 0.0)
        return flow.psi, flow.u if side[0] == "y" else -flow.v


def _creeping(along: FloatArray, into: FloatArray) -> tuple[FloatArray, ...]:
    """ψ, ψ_X, ψ_Y, Δψ and (C X + D Y) / r² for U = 1; at the corner the values along the sliding wall."""
    along, into = np.broadcast_arrays(along, into)
    square = along**2 + into**2
    angle, mixed = np.arctan2(into, along), _C * along + _D * into
    corner = square == 0.0
    inverse = 1.0 / np.where(corner, 1.0, square)
    psi_along = _C * angle - mixed * into * inverse
    psi_into = _B + _D * angle + np.where(corner, _C, mixed * along * inverse)
    bend = np.where(corner, -np.inf, 2.0 * (_D * along - _C * into) * inverse)
    push = np.where(corner, -np.inf, mixed * inverse)
    return _B * into + mixed * angle, psi_along, psi_into, bend, push


def scrapers(grid: Rectangle, speeds: FloatArray) -> list[Scraper]:
    """One for each end of a wall that slides there, from the walls' speeds in the order of `SIDES`, (4, points)."""
    found = []
    for side, values in zip(SIDES, speeds, strict=True):
        for far in (False, True):
            speed = float(values[-1 if far else 0])
            if abs(speed) > 1e-12 * max(1.0, float(np.abs(speeds).max())):
                found.append(Scraper(grid, side, far, speed))
    return found


def sum_of(found: Sequence[Scraper], x: FloatArray, y: FloatArray, nu: float) -> tuple[Flow, FloatArray]:
    """All their flows and pressures on the grid of the points x and y, (ny, nx)."""
    zero = np.zeros((y.size, x.size))
    flow, pressure = Flow(zero, zero, zero, zero), zero
    for one in found:
        more, push = one.at(x[None, :], y[:, None], nu)
        flow, pressure = flow + more, pressure + push
    return flow, pressure
