"""Energy of waves: a nonlinear equality, in the waves that the walls allow."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, final

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from lawbound.constraints import geometry, stencils
from lawbound.constraints.constraint import Constraint, right_hand_side
from lawbound.constraints.geometry import Line
from lawbound.constraints.sets import Curved
from lawbound.datasets import schema
from lawbound.datasets.layout import Layout

FloatArray = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Energy(Constraint):
    """½ ∫ u_t² + c² |∇u|² dx = E, for u_tt = c² Δu between walls that hold u, let it go, or have a period.

    On equally spaced points u is continued beyond the walls, odd where its value is held and even where its slope is 0, and
    differentiated and integrated as the waves that it then is, which is exact for all waves that the points carry; on
    Chebyshev–Gauss–Lobatto points as the polynomial. Held values other than 0 are taken out as the straight line between
    them. E is the dataset's law `energy` (known="law") or that of its initial state (known="start"). speed: c, a number or a
    parameter's name. Does nothing about values at the walls: stack `Dirichlet`.
    L. C. Evans, Partial Differential Equations, 2nd ed., AMS 2010, section 2.4.3. Raises `ValueError` for averages, uneven
    points, walls of other kinds, and where E or c is missing.
    """

    field: str = "u"
    rate: str = "u_t"
    speed: float | str = "c"
    known: Literal["law", "start"] = "law"

    def __post_init__(self) -> None:
        if self.known not in ("law", "start"):
            raise ValueError(f'`Energy` got known={self.known!r}; say "law" or "start".')

    @property
    def name(self) -> str:
        """`energy`."""
        return "energy"

    @property
    def fields(self) -> tuple[str, ...]:
        """The displacement and its rate."""
        return (self.field, self.rate)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Where the energy is read from, the speed and the walls."""
        start = tuple(f"{field} at the start" for field in self.fields)
        known = (schema.law_variable(self.name, "rhs"),) if self.known == "law" else start
        speed = (self.speed,) if isinstance(self.speed, str) else ()
        return (*known, *speed, schema.wall_variable(self.field, "*"))

    def curved(self, data: xr.Dataset) -> tuple[Curved, ...]:
        """The energy of states (..., sample, t, n)."""
        geometry.require_fields(data, self.fields, self.name)
        layout = Layout.of(data, self.fields)
        energy = self._function(data, layout)
        if self.known == "law":
            rhs = right_hand_side(data, self.name)
        else:
            start = np.concatenate(
                [geometry.initial_state(data, field, self.name) for field in self.fields], axis=-1
            )
            states = np.repeat(start[:, None], data.sizes[schema.TIME], axis=1)
            rhs = energy(torch.from_numpy(states))[..., 0].numpy()
        return (Curved(energy, rhs[..., None], ("½ ∫ u_t² + c² |∇u|² dx",)),)

    def _function(self, data: xr.Dataset, layout: Layout) -> Callable[[Tensor], Tensor]:
        speed = geometry.number_or_parameter(data, self.speed, self.name, "speed")
        axes = [_axis(data, self.field, axis) for axis in layout.axes]
        weights = _outer([axis.weights for axis in axes])
        line, slope = _between_walls(data, self.field, layout)
        shape, place, rate = layout.shape, layout.part(self.field), layout.part(self.rate)

        def energy(states: Tensor) -> Tensor:
            like = {"dtype": states.dtype, "device": states.device}
            w, c, held = (torch.as_tensor(a, **like) for a in (weights, speed, line))  # type: ignore[arg-type]
            in_space = (*states.shape[:-1], *shape)
            u = (states[..., place] - held).reshape(in_space)
            moving = states[..., rate].reshape(in_space) ** 2
            strained = torch.zeros_like(moving)
            for i, axis in enumerate(axes):
                along = axis.slope(u.movedim(i - len(shape), -1)).movedim(-1, i - len(shape))
                strained = strained + (along + torch.as_tensor(slope, **like)) ** 2  # type: ignore[arg-type]
            density = (moving.flatten(-len(shape)), strained.flatten(-len(shape)))
            kinetic, potential = (part @ w.flatten() for part in density)
            return (0.5 * (kinetic + c**2 * potential)).unsqueeze(-1)

        return energy


class _Axis(NamedTuple):
    """Quadrature weights, and the derivative of values along the last dimension."""

    weights: FloatArray
    slope: Callable[[Tensor], Tensor]


def _axis(data: xr.Dataset, field: str, axis: str) -> _Axis:
    line = Line.of(data, axis)
    signs = tuple(_sign(data, field, f"{axis}_{end}") for end in ("lo", "hi"))
    if line.kind == "chebyshev" and 0 not in signs:
        matrix = stencils.differentiation(line)
        return _Axis(line.weights, lambda u: u @ torch.as_tensor(matrix.T, dtype=u.dtype, device=u.device))
    if line.kind != "uniform" or (0 in signs and line.repeats):
        raise ValueError(
            f"`energy` differentiates on equally spaced or Chebyshev points; along {axis} these data have "
            f"{'cells' if line.kind == 'cells' else f'{line.kind} points, with both ends of a period' if 0 in signs else 'uneven points'}."
        )
    step = float(line.points[1] - line.points[0])
    weights = np.full(line.points.size, step)
    if 0 not in signs:
        weights[[0, -1]] *= 0.5
    return _Axis(weights, lambda u: _wave_slope(u, step, *signs))


def _sign(data: xr.Dataset, field: str, side: str) -> int:
    """How u continues beyond a wall: odd (−1), even (+1), or as it came in (0)."""
    kind = geometry.kind_of(data, field, side)
    if kind == "neumann" and not geometry.wall_of(data, field, side).values.any():
        return 1
    if kind in ("dirichlet", "periodic"):
        return -1 if kind == "dirichlet" else 0
    raise ValueError(
        f"`energy` is kept between walls that hold u, let it go, or have a period; the {side} wall of `{field}` is "
        f"{kind or 'not given'}{' and lets a flux in' if kind == 'neumann' else ''}."
    )


def _wave_slope(u: Tensor, step: float, low: int, high: int) -> Tensor:
    """∂u/∂x of the waves through equally spaced values, (..., n), continued with these signs beyond both ends."""
    n = u.shape[-1]
    waves = u
    if low:
        # f(2L − x) = high · f(x) and f(−x) = low · f(x), so that f(x + 2L) = low · high · f(x).
        waves = torch.cat([u, high * u[..., 1:-1].flip(-1)], dim=-1)
        if low != high:
            waves = torch.cat([waves, -waves], dim=-1)
    m = waves.shape[-1]
    numbers = 2.0 * torch.pi / (m * step) * torch.arange(m // 2 + 1, dtype=u.dtype, device=u.device)
    if m % 2 == 0:
        numbers[-1] = 0.0  # the shortest wave has no slope at the points
    return torch.fft.irfft(1j * numbers * torch.fft.rfft(waves), n=m)[..., :n]


def _between_walls(data: xr.Dataset, field: str, layout: Layout) -> tuple[FloatArray, FloatArray]:
    """The straight line between held values, (sample, t, points), and its slope, broadcastable over states in space."""
    if len(layout.axes) == 2:
        for side in geometry.SIDES:
            if (
                geometry.kind_of(data, field, side) == "dirichlet"
                and geometry.wall_of(data, field, side).values.any()
            ):
                raise ValueError(
                    f"`energy` on a plane needs u = 0 where it is held; the {side} wall has other values."
                )
        return np.zeros(1), np.zeros(1)
    held = [
        geometry.wall_of(data, field, side).values
        if geometry.kind_of(data, field, side) == "dirichlet"
        else None
        for side in ("x_lo", "x_hi")
    ]
    low, high = (held[0] if held[0] is not None else held[1]), (held[1] if held[1] is not None else held[0])
    if low is None or high is None:
        return np.zeros(1), np.zeros(1)
    line = Line.of(data, schema.X)
    slope = (high - low) / line.length
    return low + slope * (line.points - line.points[0]), slope


def _outer(weights: list[FloatArray]) -> FloatArray:
    return weights[0] if len(weights) == 1 else np.multiply.outer(*weights)
