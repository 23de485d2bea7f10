"""The kernel's duals by semismooth Newton methods, for a whole batch, each entry until it is done.

For given c the rows' duals maximise a concave function, piecewise quadratic, whose gradient is G u − b − R λ.
For the duals so found, c minimises a convex one, whose gradient is c − Uᵀ D⁻¹ (u − m − U c). Both are Newton
with a line search that needs slopes only (Wolfe's curvature condition), so both converge from anywhere; being
piecewise linear, they end after finitely many steps (Qi, Sun, Math. Program. 58 (1993) 353).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lawbound.constraints import rounds
from lawbound.constraints.piecewise import Held, Problem

STEPS = 60  # of Newton; a handful is usual
_TRIALS = 60  # of one line search
_RIDGE = 1e-12  # added to a scaled Jacobian
_OVERSHOOT = 0.9  # of the first slope, for a whole step
_INEXACT = 0.1  # of the first slope, for one that is not
_DEFICIENT = 1e8  # times as long as rows by themselves would go
_LEAN = 1e-6  # share of the unlimited Jacobian added to a deficient one


def solved(problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """Duals y = (c, λ) of a flat batch, the number of steps, and which entries got there."""
    if problem.k == 0:
        first = _first(problem)
        # On a CPU entries that are there are left alone one by one, which is cheaper.
        if first.is_cuda and rounds.apply(problem):
            first = rounds.rounds(problem, first)
        return multipliers(problem, first)
    return _coefficients(problem)


def multipliers(problem: Problem, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The rows' duals, from y on, for a problem without factors; also steps, and which entries got there."""
    y = y.clone()
    steps = torch.zeros(len(y), dtype=torch.int64, device=y.device)
    done = torch.zeros(len(y), dtype=torch.bool, device=y.device)
    todo = torch.arange(len(y), device=y.device)
    held, values = problem.settled(y)
    size, gradient = problem.accuracy(values, y, held), problem.equations(values, y, held)
    for step in range(STEPS + 1):
        open_ = (gradient.abs() > size[todo]).any(-1)
        done[todo] = ~open_
        chosen = _chosen(open_)
        if not len(chosen) or step == STEPS:
            break
        steps[todo] += open_
        todo, held, gradient, open_ = todo[chosen], held.take(chosen), gradient[chosen], open_[chosen]
        part, start = problem.take(todo), y[todo]
        ahead = torch.where(open_[:, None], _ascent(part, held, gradient), 0.0)
        search = _Slope(part, start, ahead)
        alpha = _length(search, (gradient * ahead).sum(-1))
        y[todo] = start + alpha[:, None] * ahead
        held, gradient = search.found(alpha)
    return y, steps, done


def _ascent(problem: Problem, held: Held, gradient: Tensor) -> Tensor:
    """Newton's direction; where bounds hold all that rows could move, one that the unlimited problem scales."""
    jacobian = problem.jacobian(held)
    ahead = -divided(jacobian, gradient)
    diagonal = torch.diagonal(jacobian, dim1=-2, dim2=-1).abs()
    size, length = (gradient.square() / diagonal.clamp_min(1e-300)).sum(-1), (gradient * ahead).sum(-1)
    poor = torch.nonzero((diagonal == 0.0).any(-1) | (length > _DEFICIENT * size))[:, 0]
    if len(poor):
        part = _unlimited(problem.take(poor))
        start = torch.zeros_like(gradient[poor])
        whole = part.jacobian(part.settled(start)[0])
        ahead[poor] = -divided(jacobian[poor] + _LEAN * whole, gradient[poor])
    return ahead


class _Slope:
    """The slope of the rows' concave dual along a direction, for some entries at some lengths."""

    def __init__(self, problem: Problem, start: Tensor, ahead: Tensor) -> None:
        self.problem, self.start, self.ahead = problem, start, ahead
        self._last: tuple[Tensor, Held, Tensor] | None = None

    def __call__(self, some: Tensor, alpha: Tensor) -> Tensor:
        part, ahead = self.problem.take(some), self.ahead[some]
        held, gradient = self._there(part, self.start[some] + alpha[:, None] * ahead)
        if part is self.problem:
            self._last = alpha, held, gradient
        return (gradient * ahead).sum(-1)

    def _there(self, part: Problem, y: Tensor) -> tuple[Held, Tensor]:
        held, values = part.settled(y)
        return held, part.equations(values, y, held)

    def found(self, alpha: Tensor) -> tuple[Held, Tensor]:
        """Structure and gradient at the lengths chosen; mostly they were just looked at."""
        if self._last is not None and torch.equal(self._last[0], alpha):
            return self._last[1:]
        return self._there(self.problem, self.start + alpha[:, None] * self.ahead)


def _unlimited(problem: Problem) -> Problem:
    return replace(problem, order=None, chains=None, strength=None, lower=None, upper=None, factors=None)


def _chosen(mask: Tensor) -> Tensor:
    """Which entries to look at again. On a GPU all, while they are many: gathering those costs more than it saves."""
    chosen = torch.nonzero(mask)[:, 0]
    if mask.is_cuda and 4 * len(chosen) > len(mask):
        return torch.arange(len(mask), device=mask.device)
    return chosen


def _first(problem: Problem) -> Tensor:
    """The rows' duals that solve the problem without limits and factors."""
    free = _unlimited(problem)
    y = problem.target.new_zeros(len(problem), problem.weights.shape[-2])
    if not y.shape[-1]:
        return y
    held, values = free.settled(y)
    return y - divided(free.jacobian(held), free.equations(values, y, held))


def _coefficients(problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """The factors' coefficients, with the rows' duals found anew for each; as `multipliers`."""
    k = problem.k
    steps = torch.zeros(len(problem), dtype=torch.int64, device=problem.target.device)
    done = torch.zeros_like(steps, dtype=torch.bool)
    y = torch.cat([problem.target.new_zeros(len(problem), k), _first(problem)], dim=-1)
    y, gradient, fine = _followed(problem, y)
    held, values = problem.settled(y)
    size = problem.accuracy(values, y, held)[:, :k]
    todo = torch.arange(len(problem), device=y.device)
    for step in range(STEPS + 1):
        open_ = torch.nonzero((gradient.abs() > size[todo]).any(-1) & fine)[:, 0]
        steps[todo], done[todo] = step, fine
        if not len(open_):
            break
        done[todo[open_]] = False
        if step == STEPS:
            break
        todo, held, gradient = todo[open_], held.take(open_), gradient[open_]
        part = problem.take(todo)
        ahead = -_reduced(part.jacobian(held), gradient)
        search = _FollowedSlope(part, y[todo], ahead)
        alpha = _length(search, -(gradient * ahead).sum(-1))
        y[todo], gradient, fine = _followed(part, search.at(alpha))
        held, _ = part.settled(y[todo])
    return y, steps, done


def _followed(problem: Problem, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """y with the rows' duals that belong to its c, the gradient in c, and which entries got there."""
    k, factors = problem.k, problem.factors
    assert factors is not None
    target = problem.target + (factors @ y[:, :k].unsqueeze(-1)).squeeze(-1)
    found, _, fine = multipliers(replace(problem, factors=None, target=target), y[:, k:])
    y = torch.cat([y[:, :k], found], dim=-1)
    held, values = problem.settled(y)
    return y, problem.equations(values, y, held)[:, :k], fine


@dataclass(frozen=True, eq=False)
class _FollowedSlope:
    """Minus the slope of the convex function of c along a direction; it remembers the rows' duals as it goes."""

    problem: Problem
    start: Tensor
    ahead: Tensor

    def at(self, alpha: Tensor) -> Tensor:
        """y at these lengths, with the last duals known."""
        k = self.problem.k
        return torch.cat([self.start[:, :k] + alpha[:, None] * self.ahead, self.start[:, k:]], dim=-1)

    def __call__(self, some: Tensor, alpha: Tensor) -> Tensor:
        k, ahead = self.problem.k, self.ahead[some]
        moved = torch.cat([self.start[some, :k] + alpha[:, None] * ahead, self.start[some, k:]], dim=-1)
        y, gradient, _ = _followed(self.problem.take(some), moved)
        self.start[some, k:] = y[:, k:]
        return -(gradient * ahead).sum(-1)


def _reduced(jacobian: Tensor, gradient: Tensor) -> Tensor:
    """H⁻¹ g for the Schur complement H of the rows' duals: the second derivative in c alone."""
    k = gradient.shape[-1]
    residual = torch.zeros(jacobian.shape[:-1], dtype=jacobian.dtype, device=jacobian.device)
    residual[..., :k] = gradient
    return divided(jacobian, residual)[..., :k]


def _length(slope: Callable[[Tensor, Tensor], Tensor], first: Tensor) -> Tensor:
    """Step lengths α at which a slope that only falls has fallen enough, and not too far below 0."""
    alpha = torch.ones_like(first)
    low, high = torch.zeros_like(first), torch.full_like(first, torch.inf)
    todo = torch.arange(len(first), device=first.device)
    for trial in range(_TRIALS):
        at = alpha[todo]
        now, was = slope(todo, at), first[todo]
        fine = (_INEXACT if trial else _OVERSHOOT) * was
        over, under = now < -fine, now > fine
        # No masks as indices: a GPU would have to say how many there are.
        high[todo], low[todo] = torch.where(over, at, high[todo]), torch.where(under, at, low[todo])
        secant = (at * was / (was - now).clamp_min(1e-300)).clamp_min(0.1 * at)
        middle = 0.5 * (low[todo] + high[todo])
        shrunk = torch.where((low[todo] == 0.0) & (secant < 0.9 * high[todo]), secant, middle)
        grown = torch.where(torch.isfinite(high[todo]), middle, 4.0 * at)
        alpha[todo] = torch.where(over, shrunk, torch.where(under, grown, at))
        todo = todo[_chosen(over | under)]
        if not len(todo):
            break
    return alpha


def divided(jacobian: Tensor, residual: Tensor) -> Tensor:
    """J⁻¹ r, with a little of J's own scale added where it is singular."""
    if jacobian.shape[-1] == 1:
        only = jacobian[..., 0]
        return residual / torch.where(only.abs() > 0.0, only, -1.0)
    scale = _scale(jacobian)
    scaled = jacobian * scale.unsqueeze(-1) * scale.unsqueeze(-2)
    sign = torch.sign(torch.diagonal(scaled, dim1=-2, dim2=-1))
    regular = scaled + torch.diag_embed(torch.where(sign == 0.0, -1.0, sign) * _RIDGE)
    found, info = torch.linalg.solve_ex(regular, (residual * scale).unsqueeze(-1))
    return torch.where((info == 0)[:, None], found.squeeze(-1), -residual * scale) * scale


def inverse(jacobian: Tensor) -> Tensor:
    """J⁻¹, the pseudo-inverse where rows repeat each other."""
    if not jacobian.shape[-1]:
        return jacobian
    if jacobian.shape[-1] == 1:
        return torch.where(jacobian.abs() > 0.0, 1.0 / jacobian, 0.0)
    scale = _scale(jacobian)
    scaled = jacobian * scale.unsqueeze(-1) * scale.unsqueeze(-2)
    found, info = torch.linalg.inv_ex(scaled)
    poor = (info != 0) | ~torch.isfinite(found).all((-2, -1)) | (found.abs().amax((-2, -1)) > 1e9)
    if bool(poor.any()):
        found[poor] = torch.linalg.pinv(scaled[poor], rtol=1e-11, hermitian=True)
    return found * scale.unsqueeze(-1) * scale.unsqueeze(-2)


def _scale(jacobian: Tensor) -> Tensor:
    """1 / √|diagonal|; 1 where that is 0."""
    diagonal = torch.diagonal(jacobian, dim1=-2, dim2=-1).abs()
    return torch.where(diagonal > 0.0, diagonal, 1.0).rsqrt()
