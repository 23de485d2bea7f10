"""Deformations of x under which a profile has a given total.

A state is taken as constant on cells as wide as the row's weights (on nodes: from midpoint to midpoint). With its
cumulative integral U and length L, both maps meet ∫u = b by the root of a function that is known piece by piece:

    stretch   u(x / s):   the mean of u over [0, L / s] is b / L
    shift     u(x − δ):   U(L − δ) + δ u(0) = b,  or  U(L) − U(−δ) − δ u(L) = b  for δ < 0

so nothing is iterated, and cell averages of the moved profile are differences of U. What enters at a wall has the
value there. No new values occur: bounds, monotonicity and total variation stay.

With two phases a smeared front is taken out and one sharp front put in, where the total says (`refronted`).
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_ROUND_OFF = 4.0 * float(np.finfo(np.float64).eps)


class Displaced(NamedTuple):
    """values: (..., n). parameter: s − 1 or δ, (...). met: whether there is such a displacement, (...)."""

    values: Tensor
    parameter: Tensor
    met: Tensor


def stretched(values: Tensor, widths: Tensor, total: Tensor) -> Displaced:
    """Averages of u(x / s) over the cells, with Σ widths · averages = total; the s nearest to 1 in log s.

    values: (..., n) cell averages, the first cell at the wall that stays; widths: (..., n), > 0; total: (...).
    Where no s does it, the values come back as they were.
    """
    faces, integral = _cumulative(values, widths)
    length = faces[..., -1]
    wanted = total / length
    means = torch.cat([values[..., :1], integral[..., 1:] / faces[..., 1:]], dim=-1) - wanted[..., None]
    k, inside = _last_crossing(means)
    at_face, cell = _at(integral, k) - _at(faces, k) * _at(values, k), _at(values, k)
    inner = _quotient(at_face, wanted - cell, _at(faces, k + 1))
    inner = torch.minimum(torch.maximum(inner, _at(faces, k)), _at(faces, k + 1))
    inside &= inner > 0.0
    last = values[..., -1]
    outside = means[..., -1] * (last - wanted) < 0.0
    outer = torch.maximum(_quotient(integral[..., -1] - length * last, wanted - last, length), length)
    # Both ways out: the one that stretches less.
    far = outside & (~inside | (outer * inner <= length**2))
    reach = torch.where(far, outer, torch.where(inside, inner, length))
    sources = faces * (reach / length)[..., None]
    sources = faces * (reach / length)[..., None]
    return Displaced(
        _averages(values, faces, integral, sources[..., :-1], sources[..., 1:]),
        length / reach - 1.0,
        inside | outside,
    )


def shifted(values: Tensor, widths: Tensor, total: Tensor) -> Displaced:
    """Averages of u(x − δ) over the cells, with Σ widths · averages = total; the smallest |δ| ≤ L. As `stretched`."""
    faces, integral = _cumulative(values, widths)
    length, first, last = faces[..., -1:], values[..., :1], values[..., -1:]
    entering = integral + (length - faces) * first - total[..., None]  # as a function of L − δ
    k, forward = _last_crossing(entering)
    ahead = length[..., 0] - _linear_root(faces, entering, k)
    leaving = integral[..., -1:] - integral + faces * last - total[..., None]  # of −δ
    k, backward = _last_crossing(leaving.flip(-1))
    back = _linear_root(faces, leaving, leaving.shape[-1] - 2 - k)
    behind = backward & (~forward | (back < ahead))
    delta = torch.where(behind, -back, torch.where(forward, ahead, 0.0))
    sources = faces - delta[..., None]
    moved = _averages(values, faces, integral, sources[..., :-1], sources[..., 1:])
    return Displaced(moved, delta, forward | backward)


def refronted(
    values: Tensor,
    widths: Tensor,
    total: Tensor,
    level: Tensor,
    lower: Tensor,
    upper: Tensor,
    down_to: Tensor | float,
) -> Displaced:
    """Two phases from a profile whose front is smeared or in the wrong place: cell averages with one front at X.

    u is kept up to x_e, where it first falls below u_e = level + down_to (upper − level); from there a straight line falls
    to `level` at X, and beyond there is `lower` alone, X being where the total comes out:

        ∫_0^{x_e} u dx + (X − x_e) (u_e + level) / 2 + (L − X) lower = total.

    Where that would have X < x_e, the line starts at the wall, at `upper`. The parameter is X less where u was half way
    between level and lower. level, lower, upper: (...). Else as `stretched`.
    """
    n = values.shape[-1]
    cells = torch.arange(n, device=values.device)

    def run(least: Tensor) -> Tensor:
        """How many cells from the wall on are at or above this."""
        return (values >= least[..., None]).cumprod(-1).sum(-1)

    end = level + down_to * (upper - level)
    kept = run(end)
    capped = torch.minimum(values, upper[..., None])
    faces, integral = _cumulative(capped, widths)
    length = faces[..., -1]

    def front(from_: Tensor, held: Tensor, start: Tensor) -> Tensor:
        missing = total - held - (length - from_) * lower
        return from_ + missing / (0.5 * (start + level) - lower)

    place = front(_at(faces, kept), _at(integral, kept), end)
    alone = (kept == 0) | (place < _at(faces, kept))
    kept, end = torch.where(alone, 0, kept), torch.where(alone, upper, end)
    edge = _at(faces, kept)
    place = front(edge, _at(integral, kept), end)
    met = (place >= -_ROUND_OFF * length) & (place <= length * (1.0 + _ROUND_OFF))
    place = torch.minimum(torch.where(met, place, edge).clamp_min(0.0), length)
    stop = torch.minimum(faces[..., 1:], place[..., None])
    start = torch.minimum(faces[..., :-1], stop)
    along = (0.5 * (start + stop) - edge[..., None]) / (place - edge).clamp_min(1e-300)[..., None]
    line = end[..., None] + (level - end)[..., None] * along.clamp(0.0, 1.0)
    filled = (stop - start) / (faces[..., 1:] - faces[..., :-1])
    behind = torch.where(cells < kept[..., None], capped, line)
    found = torch.where(met[..., None], lower[..., None] + filled * (behind - lower[..., None]), values)
    # The last round-off of the total goes to the cell of the front.
    here = (filled >= 1.0).sum(-1, keepdim=True).clamp_max(n - 1)
    gap = torch.where(met, total - found @ widths, 0.0)[..., None] / widths[here]
    was = _at(faces, run(0.5 * (level + lower)))
    return Displaced(found.scatter_add(-1, here, gap), torch.where(met, place - was, 0.0), met)


def _cumulative(values: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
    """Faces from 0 and the integral up to them, (..., n + 1)."""
    zero = values.new_zeros((*values.shape[:-1], 1))
    wide = widths.expand(values.shape)
    return (
        torch.cat([zero, wide.cumsum(-1)], dim=-1),
        torch.cat([zero, (wide * values).cumsum(-1)], dim=-1),
    )


def _at(values: Tensor, index: Tensor) -> Tensor:
    return values.gather(-1, index[..., None])[..., 0]


def _quotient(above: Tensor, below: Tensor, otherwise: Tensor) -> Tensor:
    return torch.where(below != 0.0, above / torch.where(below != 0.0, below, 1.0), otherwise)


def _last_crossing(gaps: Tensor) -> tuple[Tensor, Tensor]:
    """The last interval [k, k + 1] on which a piecewise monotone function has a zero, and whether there is one."""
    crosses = (gaps[..., :-1] * gaps[..., 1:]) <= 0.0
    steps = torch.arange(crosses.shape[-1], device=gaps.device)
    k = torch.where(crosses, steps, -1).amax(-1)
    return k.clamp_min(0), k >= 0


def _linear_root(knots: Tensor, gaps: Tensor, k: Tensor) -> Tensor:
    """The zero of a piecewise linear function in [k, k + 1]; the right end where it is zero all along."""
    left, right = _at(gaps, k), _at(gaps, k + 1)
    share = _quotient(left, left - right, torch.ones_like(left)).clamp(0.0, 1.0)
    return _at(knots, k) + share * (_at(knots, k + 1) - _at(knots, k))


def _averages(values: Tensor, faces: Tensor, integral: Tensor, start: Tensor, stop: Tensor) -> Tensor:
    """Averages of u from `start` to `stop`, both (..., n); beyond a wall u is as there."""
    n = values.shape[-1]

    def cell(place: Tensor) -> Tensor:
        return (torch.searchsorted(faces.contiguous(), place.contiguous(), right=True) - 1).clamp(0, n - 1)

    left, right = cell(start), cell(stop)
    u_left, u_right = values.gather(-1, left), values.gather(-1, right)
    inner = integral.gather(-1, right) - integral.gather(-1, (left + 1).clamp_max(n))
    whole = (faces.gather(-1, left + 1) - start) * u_left + inner + (stop - faces.gather(-1, right)) * u_right
    # Within one cell there is nothing to divide, and no round-off.
    return torch.where(left == right, u_left, whole / torch.where(stop > start, stop - start, 1.0))
