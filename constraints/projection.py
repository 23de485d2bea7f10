"""The one kernel: the nearest admissible state in a structured metric, batched, exact, differentiable.

    minimise ½ ‖u − m‖²_{Σ⁻¹} + ½ (G u − b)ᵀ R⁻¹ (G u − b)   over u in a box and along monotone chains,

Σ = D + U Uᵀ diagonal plus k factors; rows with R = 0 are equalities. With duals λ for the rows and c for the
factors, u = P(m + U c − D Gᵀ λ), where P is the nearest point of box and chains in the metric D alone: a cut,
or a pooling of neighbours. What is left are k + q equations,

    c − Uᵀ D⁻¹ (u − m − U c) = 0,      G u − b − R λ = 0,

piecewise linear, solved by a semismooth Newton method (Qi, Sun, Math. Program. 58 (1993) 353) in a handful of
steps of O(n (k + q)²). No n × n matrix. Everything is float64.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from lawbound.constraints.newton import inverse, solved
from lawbound.constraints.piecewise import Held, Problem
from lawbound.constraints.sets import Order

_CHUNK = 2**25  # numbers of one working array; larger batches are taken in parts
_LEAST = 1e-8  # of the largest variance: least diagonal beside factors
_TOLERATED = 1e5  # times round-off: what Newton's method may leave


class Equalities(NamedTuple):
    """G u = b up to a variance R. weights: (q, n), or (..., q, n) if they differ; rhs, noise: (..., q).

    A noise of ∞ takes the row out.
    """

    weights: Tensor
    rhs: Tensor
    noise: Tensor


@final
@dataclass(frozen=True, eq=False)
class Limits:
    """Where states may lie besides the rows. lower, upper: (..., n); order: chains; strength: (...).

    cuts: bool, (..., n), where a chain is cut: the point need not be ordered with the one before it. Along a
    chain, up to its cuts, bounds must be the same for all points that are not fixed.
    `strength` is the price of total variation along `chains`, for the kernel's own search.
    """

    lower: Tensor | None = None
    upper: Tensor | None = None
    order: Order | None = None
    cuts: Tensor | None = None
    strength: Tensor | None = None
    chains: tuple[np.ndarray, np.ndarray] | None = None


class Nearest(NamedTuple):
    """values: (..., n). multipliers λ: (..., q). free: which points lie off their bounds, (..., n). steps: (...).

    blocks: the first point of each point's block of pooled neighbours, (..., n), int64; (..., 0) without chains.
    """

    values: Tensor
    multipliers: Tensor
    free: Tensor
    steps: Tensor
    blocks: Tensor


class InfeasibleError(ValueError):
    """No state meets rows and limits; `index` names a batch entry, `certificate` (q,) the combination that proves it.

    For y = certificate, yᵀ G u ≠ yᵀ b whatever u within the limits; rows are scaled to length 1 for it.
    """

    def __init__(self, index: tuple[int, ...], certificate: Tensor) -> None:
        rows = ", ".join(f"{i}: {y:.3g}" for i, y in enumerate(certificate.tolist()) if y != 0.0)
        super().__init__(
            f"rows and limits cannot hold together at batch index {index}: no state has this combination of rows ({rows})"
        )
        self.index = index
        self.certificate = certificate


def nearest(
    target: Tensor,
    metric: Tensor,
    rows: Equalities | None = None,
    limits: Limits | None = None,
    factors: Tensor | None = None,
    *,
    strict: bool = True,
) -> Nearest:
    """The nearest admissible state to `target` in the metric D + U Uᵀ, for every batch entry.

    target: (..., n). metric: diagonal D ≥ 0, (..., n); a point with D = 0 stays, but for its bounds. factors: U,
    (..., n, k). Leading dimensions broadcast. Differentiable once, exactly, in target, metric, factors, b, R and
    the bounds, by the implicit function theorem at the solution; `vmap` works, and so does any device.
    Raises `InfeasibleError` with a certificate where no state exists; unless `strict`, answers NaN there.
    """
    limits = limits or Limits()
    lower, upper = limits.lower, limits.upper
    if (lower is None) != (upper is None):
        lower = torch.full_like(upper, -torch.inf) if lower is None else lower  # type: ignore[arg-type]
        upper = torch.full_like(lower, torch.inf) if upper is None else upper
    if rows is None:
        # Not made from the target: under vmap that would be one empty set of rows for each entry.
        none = torch.zeros(0, dtype=torch.float64, device=target.device)
        rows = Equalities(none.reshape(0, target.shape[-1]), none, none)
    own = rows.weights.ndim > 2
    given: list[Tensor | None] = [
        target, metric, rows.rhs, rows.noise, rows.weights if own else None, lower, upper,
        None if limits.strength is None else limits.strength.unsqueeze(-1), factors,
        limits.cuts,
    ]  # fmt: skip
    trailing = (1, 1, 1, 1, 2, 1, 1, 1, 2, 1)
    batch = np.broadcast_shapes(
        *(
            tensor.shape[: tensor.ndim - k]
            for tensor, k in zip(given, trailing, strict=True)
            if tensor is not None
        )
    )
    wide = [
        None if tensor is None else _double(tensor).expand(*batch, *tensor.shape[tensor.ndim - k :])
        for tensor, k in zip(given, trailing, strict=True)
    ]
    weights = wide[4] if own else rows.weights.double()
    assert weights is not None
    z, d, b, noise, lower, upper, strength, u, cuts = (wide[i] for i in (0, 1, 2, 3, 5, 6, 7, 8, 9))
    assert z is not None and d is not None and b is not None and noise is not None
    if u is not None:
        # A factor needs some diagonal to divide by: this share of the whole variance.
        d = torch.maximum(d, _LEAST * (d + u.square().sum(-1)).detach().amax(-1, keepdim=True))
    size = weights.detach().square().sum(-1).sqrt()
    size = torch.where(size > 0.0, size, 1.0)
    problem = Problem(
        z, d, weights / size.unsqueeze(-1), b / size, noise / size**2, lower, upper, strength, u, cuts,
        limits.order, limits.chains,
    )  # fmt: skip
    y, inverted, place, blocks, offset, steps = _Duals.apply(  # type: ignore[no-untyped-call]
        *problem.tensors(), problem.order, problem.chains, strict
    )
    held = Held(place, blocks, offset)
    for _ in range(2):
        # Newton steps with the structure held: they take off the last round-off, and carry the derivative.
        values = problem.primal(y, held)
        y = y - (inverted @ problem.equations(values, y, held).unsqueeze(-1)).squeeze(-1)
    values = problem.primal(y, held)
    if not strict:
        values = torch.where(y.isnan().any(-1, keepdim=True), torch.nan, values)
    return Nearest(values, y[..., problem.k :] / size, place == 0, steps, blocks)


def _double(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.bool else tensor.double()


class _Duals(torch.autograd.Function):
    """Duals and structure of the solutions. No gradient flows through it: `nearest` takes it up afterwards."""

    @staticmethod
    def forward(*args: Any) -> Any:
        *tensors, order, chains, strict = args
        problem = Problem(*tensors, order, chains)  # type: ignore[call-arg]
        batch = problem.target.shape[:-1]
        flat = _flattened(problem, len(batch))
        count, n = flat.target.shape
        width = (
            n * max(1, flat.weights.shape[-2] if not flat.shared or flat.k or order or chains else 3)
            + n * flat.k
        )
        size = max(1, _CHUNK // max(1, width))
        index = torch.arange(count, device=flat.target.device)
        parts = [_solved(flat.take(some), some, batch, strict) for some in torch.split(index, size)]
        joined = [torch.cat(column) for column in zip(*parts, strict=True)] if parts else []
        return tuple(tensor.reshape((*batch, *tensor.shape[1:])) for tensor in joined)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.mark_non_differentiable(*output)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return (None,) * 13

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        *tensors, order, chains, strict = args
        moved = []
        for place, (tensor, dim) in enumerate(zip(tensors, in_dims, strict=False)):
            if tensor is None or (dim is None and place == 2 and tensor.ndim == 2):
                moved.append(tensor)  # rows that all entries share stay shared
            else:
                moved.append(
                    tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
                )
        found = _Duals.apply(*moved, order, chains, strict)  # type: ignore[no-untyped-call]
        return found, (0,) * 6


def _flattened(problem: Problem, dims: int) -> Problem:
    count = problem.target.shape[:dims].numel()

    def flat(tensor: Tensor | None) -> Tensor | None:
        if tensor is None:
            return None
        return tensor.reshape((count, *tensor.shape[dims:]))

    z, d, weights, *rest = problem.tensors()
    assert weights is not None
    own = weights if weights.ndim == 2 else flat(weights)
    tensors: Any = [flat(z), flat(d), own, *(flat(tensor) for tensor in rest)]
    return Problem(*tensors, problem.order, problem.chains)  # type: ignore[call-arg]


def _solved(problem: Problem, numbers: Tensor, batch: tuple[int, ...], strict: bool) -> tuple[Tensor, ...]:
    """Duals, inverse Jacobian and structure of some entries of a batch."""
    y, steps, done = solved(problem)
    held, values = problem.settled(y)
    jacobian = problem.jacobian(held)
    left = problem.equations(values, y, held)
    broken = ~done & (left.abs() > _TOLERATED * problem.accuracy(values, y, held)).any(-1)
    left = left[:, problem.k :]
    if not strict:
        y[broken] = torch.nan
    elif bool(broken.any()):
        worst = int(torch.nonzero(broken)[0])
        index = tuple(int(i) for i in np.unravel_index(int(numbers[worst]), batch)) if len(batch) else ()
        proof = _certificate(problem.take(torch.nonzero(broken)[0]), held.place[worst], left[worst])
        raise InfeasibleError(index, proof)
    return (y, inverse(jacobian), *held, steps)


def _certificate(problem: Problem, place: Tensor, left: Tensor) -> Tensor:
    """The combination of rows that nothing can move: what is left of them, without what still could move."""
    weights = problem.weights if problem.shared else problem.weights[0]
    live = torch.isfinite(problem.noise[0])
    weights = torch.where(live[:, None], weights, 0.0)
    anyway = torch.where(live, weights @ problem.target[0] - problem.rhs[0], 0.0)
    free = torch.where((place == 0) & (problem.metric[0] > 0.0), weights, 0.0)
    proof = left
    for rows, gap in ((weights, anyway), (free, left)):
        values, vectors = torch.linalg.eigh(rows @ rows.mT)
        still = vectors[:, values <= 1e-12 * values.abs().max()]
        proof = still @ (still.mT @ gap)
        if proof.abs().max() > 1e-9 * gap.abs().max():
            break
        proof = left
    scaled = proof / proof.abs().max()
    return torch.where(scaled.abs() > 1e-6, scaled, 0.0)
