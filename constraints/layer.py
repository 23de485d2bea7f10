"""A layer that makes a network's mean and variance lawful, to train through."""

from collections.abc import Callable
from typing import Any, NamedTuple, Self, final

import torch
import xarray as xr
from torch import Tensor, nn

from lawbound.constraints.applicability import entries, parts
from lawbound.constraints.constraint import Constraint, widened
from lawbound.constraints.piecewise import pooled_means
from lawbound.constraints.projection import Equalities, Limits, nearest
from lawbound.constraints.sets import Order
from lawbound.constraints.target import Target


class Lawful(NamedTuple):
    """Mean and variance of a field, each (..., n)."""

    mean: Tensor
    variance: Tensor


@final
class ConstraintLayer(nn.Module):
    """Mean m and variance d, (..., n), to the nearest lawful mean T(m) in the metric d and diag(J D Jᵀ), J = ∂T/∂m.

    With the points on a bound held and the blocks of a chain pooled, J D is M D − M D Gᵀ (G M D Gᵀ + R)⁻¹ G M D,
    where M leaves out the first and averages over the second. Derivatives of both outputs are exact where the
    structure stays; training is end to end, with any proper score, as in Utkarsh et al., ICLR 2026,
    arXiv:2506.07003, section 3, there with a diagonal metric, too. A point on a bound has no variance to first
    order: `floor` is the share of its own that each point keeps, so that scores have a slope there.

    float64 inside, whatever comes in; `dtype` is what comes out, float64 for laws to round-off.
    Raises `ValueError` for parts without a derivative (see `applicability`), `InfeasibleError` where no state exists.
    """

    def __init__(
        self,
        rows: Equalities | None = None,
        limits: Limits | None = None,
        *,
        floor: float = 1e-6,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if not 0.0 <= floor <= 1.0:
            raise ValueError(f"`ConstraintLayer` got floor={floor}; give a share from 0 to 1.")
        limits = limits or Limits()
        if limits.strength is not None:
            raise ValueError("`ConstraintLayer` takes rows, bounds and an order, no price of variation.")
        self.floor, self.dtype = floor, dtype
        self.order: Order | None = limits.order
        given = (*(rows or (None, None, None)), limits.lower, limits.upper)
        for name, tensor in zip(("weights", "rhs", "noise", "lower", "upper"), given, strict=True):
            # The data's numbers, not the network's: they do not go into its checkpoints.
            self.register_buffer(name, None if tensor is None else tensor.double(), persistent=False)

    @classmethod
    def of(
        cls,
        constraint: Constraint,
        data: xr.Dataset,
        *,
        fields: tuple[str, ...] = (),
        floor: float = 1e-6,
        dtype: torch.dtype = torch.float32,
    ) -> Self:
        """The layer of a constraint on a dataset, for states of these fields (the constraint's own unless given)."""
        admissible = widened(constraint.on(data), fields or constraint.fields)
        rough = [
            part
            for part in parts(admissible)
            if all("gradient" not in entry.promises for entry in entries("condition", part))
        ]
        if rough:
            raise ValueError(
                f"`{constraint.name}` has {' and '.join(rough)}, of which the layer has no exact derivative; train with "
                "`penalty`, and impose it on the predictions."
            )
        target = Target.of(admissible, torch.device("cpu"))
        return cls(target.rows, target.limits, floor=floor, dtype=dtype)

    def forward(self, mean: Tensor, variance: Tensor, samples: Tensor | None = None) -> Lawful:
        """Lawful mean and variance; samples: which of the dataset's samples the batch (..., sample, t, n) holds."""
        m, d = mean.double(), variance.double()
        weights, rhs, noise, lower, upper = (
            tensor if tensor is None or samples is None or name == "weights" else tensor[samples]
            for name, tensor in (
                (name, getattr(self, name)) for name in ("weights", "rhs", "noise", "lower", "upper")
            )
        )
        rows = None if weights is None else Equalities(weights, rhs, noise)
        found = nearest(m, d, rows, Limits(lower, upper, self.order))
        moving = torch.where(found.free, _pooled(d, found.blocks), 0.0)
        if weights is not None:
            moving = moving - self._explained(d, found.free, found.blocks, weights, noise)
        least = self.floor * d
        return Lawful(found.values.to(self.dtype), torch.maximum(moving, least).to(self.dtype))

    def _explained(self, d: Tensor, free: Tensor, blocks: Tensor, weights: Tensor, noise: Tensor) -> Tensor:
        """diag(M D Gᵀ (G M D Gᵀ + R)⁻¹ G M D), (..., n)."""
        live = torch.isfinite(noise)
        rows = torch.where(live.unsqueeze(-1), weights, 0.0)  # (..., q, n)
        response = d.unsqueeze(-2) * rows
        if blocks.shape[-1]:
            response = pooled_means(response, 1.0 / d.unsqueeze(-2), blocks.unsqueeze(-2))
        response = torch.where(free.unsqueeze(-2), response, 0.0)
        gram = response @ rows.mT + torch.diag_embed(torch.where(live, noise, 1.0))
        # Rows that repeat each other, or have nothing left to move, explain nothing more.
        scale = torch.diagonal(gram, dim1=-2, dim2=-1)
        scale = torch.where(scale > 0.0, scale, 1.0).rsqrt()
        scaled = gram * scale.unsqueeze(-1) * scale.unsqueeze(-2)
        inverse = torch.linalg.pinv(scaled, rtol=1e-11, hermitian=True)
        seen = response * scale.unsqueeze(-1)
        return (seen * (inverse @ seen)).sum(-2)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Go to another device, but stay float64, whatever the network becomes."""
        kept = dict(self._buffers)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, tensor in kept.items():
            moved: Any = self._buffers[name]
            self._buffers[name] = None if tensor is None else tensor.to(moved.device)
        return self


def _pooled(d: Tensor, blocks: Tensor) -> Tensor:
    """diag(M D): 1 / Σ 1/d over each block, which is the mean of d in the weights 1 / d, over the block's size."""
    if not blocks.shape[-1]:
        return d
    total = torch.zeros_like(d).scatter_add(-1, blocks, 1.0 / d)
    return 1.0 / total.gather(-1, blocks)
