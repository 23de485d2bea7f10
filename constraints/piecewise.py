"""The piecewise linear equations of the kernel, at given duals: primal point, structure, residual, derivative.

    c − Uᵀ D⁻¹ (u − m − U c) = 0,      G u − b − R λ = 0,      u = P(m + U c − D Gᵀ λ)

y = (c, λ) throughout. Where the structure of P (which bound, which block) is held fixed, all is linear.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from lawbound.constraints.proximal import nearest_monotone, smoothed
from lawbound.constraints.sets import Order

EPS = float(np.finfo(np.float64).eps)
_ROUND_OFF = 32.0 * EPS
_FEW = 8  # rows whose products are kept
_PINNED = 1e200  # weight of a value that is fixed, when neighbours are pooled


class Held(NamedTuple):
    """The structure of a solution. place: −1 on the lower bound, 1 on the upper, 0 free. blocks: the first point

    of each point's block, (..., 0) if none are pooled. offset: what total variation adds to a block's mean.
    """

    place: Tensor
    blocks: Tensor
    offset: Tensor

    def take(self, index: Tensor) -> "Held":
        """Some entries of a flat batch."""
        if len(index) == len(self.place):
            return self
        return Held(self.place[index], self.blocks[index], self.offset[index])


@final
@dataclass(frozen=True, eq=False)
class Problem:
    """One batch of problems in tensors that all have the batch in front, but for shared weights."""

    target: Tensor
    metric: Tensor
    weights: Tensor  # scaled to length 1
    rhs: Tensor
    noise: Tensor
    lower: Tensor | None
    upper: Tensor | None
    strength: Tensor | None  # (..., 1)
    factors: Tensor | None
    cuts: Tensor | None  # where chains are cut, bool
    order: Order | None
    chains: tuple[np.ndarray, np.ndarray] | None

    def __len__(self) -> int:
        return len(self.target)

    def tensors(self) -> tuple[Tensor | None, ...]:
        """All that is not a chain, in the order of the fields."""
        return (
            self.target, self.metric, self.weights, self.rhs, self.noise, self.lower, self.upper, self.strength,
            self.factors, self.cuts,
        )  # fmt: skip

    @property
    def k(self) -> int:
        """Number of factors."""
        return 0 if self.factors is None else self.factors.shape[-1]

    @property
    def shared(self) -> bool:
        """Whether all batch entries have the same rows."""
        return self.weights.ndim == 2

    def take(self, index: Tensor) -> "Problem":
        """Some entries of a flat batch."""
        if len(index) == len(self):
            return self

        def picked(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor[index]

        return replace(
            self,
            target=self.target[index], metric=self.metric[index], rhs=self.rhs[index], noise=self.noise[index],
            weights=self.weights if self.shared else self.weights[index], lower=picked(self.lower),
            upper=picked(self.upper), strength=picked(self.strength), factors=picked(self.factors), cuts=picked(self.cuts),
        )  # fmt: skip

    def rows_of(self, values: Tensor) -> Tensor:
        """G u."""
        if self.shared:
            return values @ self.weights.mT
        return (self.weights @ values.unsqueeze(-1)).squeeze(-1)

    def columns(self, multipliers: Tensor) -> Tensor:
        """Gᵀ λ."""
        if self.shared:
            return multipliers @ self.weights
        return (multipliers.unsqueeze(-2) @ self.weights).squeeze(-2)

    def shifted(self, y: Tensor) -> Tensor:
        """m + U c − D Gᵀ λ."""
        out = self.target - self.metric * self.columns(y[..., self.k :])
        if self.factors is not None:
            out = out + (self.factors @ y[..., : self.k].unsqueeze(-1)).squeeze(-1)
        return out

    def pinned_weights(self) -> Tensor:
        """1 / D, for pooling; next to infinite where the value is fixed."""
        most = self.metric.amax(-1, keepdim=True).clamp_min(1e-300)
        weights = 1.0 / (self.metric / most).clamp_min(1e-100)
        if self.lower is not None and self.upper is not None:
            weights = torch.where(self.lower == self.upper, _PINNED, weights)
        return weights

    def settled(self, y: Tensor) -> tuple[Held, Tensor]:
        """The structure at these duals, and u."""
        z = self.shifted(y)
        blocks = z.new_zeros((*z.shape[:-1], 0), dtype=torch.int64)
        offset = z.new_zeros((*z.shape[:-1], 0))
        if self.order is not None or self.chains is not None:
            weights, z = self.pinned_weights(), self.onto_fixed(z)
            fitted = z
            if self.chains is not None:
                assert self.strength is not None
                # The price is per 1 / D, and the weights are in units of the largest D.
                price = self.strength[..., 0] * self.metric.amax(-1)
                fitted, blocks = smoothed(z, weights, price, *self.chains)
            if self.order is not None:
                order = self.order
                fitted, blocks = nearest_monotone(
                    fitted, weights, order.starts, order.stops, order.signs, self.cuts
                )
            if self.chains is not None:
                offset = fitted - pooled_means(z, weights, blocks)
            z = fitted
        if self.lower is None or self.upper is None:
            return Held(torch.zeros(z.shape, dtype=torch.int8, device=z.device), blocks, offset), z
        below, above = z <= self.lower, z >= self.upper
        values = torch.minimum(torch.maximum(z, self.lower), self.upper)
        return Held(above.to(torch.int8) - (below & ~above).to(torch.int8), blocks, offset), values

    def onto_fixed(self, z: Tensor) -> Tensor:
        """The same, with fixed values put in."""
        if self.lower is None or self.upper is None:
            return z
        return torch.where(self.lower == self.upper, self.lower, z)

    def primal(self, y: Tensor, held: Held) -> Tensor:
        """u, with bounds and blocks as they are."""
        z = self.shifted(y)
        if held.blocks.shape[-1]:
            z = pooled_means(self.onto_fixed(z), self.pinned_weights(), held.blocks)
        if held.offset.shape[-1]:
            z = z + held.offset
        if self.lower is not None and self.upper is not None:
            z = torch.where(held.place < 0, self.lower, torch.where(held.place > 0, self.upper, z))
        return z

    def equations(self, values: Tensor, y: Tensor, held: Held) -> Tensor:
        """The residuals of the k + q equations."""
        multipliers = y[..., self.k :]
        live = torch.isfinite(self.noise)
        noise = torch.where(live, self.noise, 1.0)
        rows = torch.where(live, self.rows_of(values) - self.rhs, 0.0) - noise * multipliers
        if self.factors is None:
            return rows
        c = y[..., : self.k]
        off = (values - self.target - (self.factors @ c.unsqueeze(-1)).squeeze(-1)) / self.metric
        if not held.blocks.shape[-1]:
            # What a free point is off by is −D Gᵀλ; said so, it divides no round-off by a small D.
            off = torch.where(held.place == 0, -self.columns(multipliers), off)
        return torch.cat([c - (off.unsqueeze(-2) @ self.factors).squeeze(-2), rows], dim=-1)

    def slopes(self, held: Held, columns: Tensor) -> Tensor:
        """The generalised derivative of P applied to columns (batch, n, ·)."""
        if held.blocks.shape[-1]:
            moved = self.onto_fixed_columns(columns)
            columns = pooled_means(
                moved.mT, self.pinned_weights().unsqueeze(-2), held.blocks.unsqueeze(-2)
            ).mT
        return torch.where((held.place == 0).unsqueeze(-1), columns, 0.0)

    def onto_fixed_columns(self, columns: Tensor) -> Tensor:
        """Fixed values do not move."""
        if self.lower is None or self.upper is None:
            return columns
        return torch.where((self.lower == self.upper).unsqueeze(-1), 0.0, columns)

    def jacobian(self, held: Held) -> Tensor:
        """The derivative of the equations, (batch, k + q, k + q)."""
        if self.factors is None and not held.blocks.shape[-1] and self.shared:
            gram = self.gram(torch.where(held.place == 0, self.metric, 0.0))
        else:
            weights = self.weights.expand(*self.target.shape[:-1], *self.weights.shape[-2:])
            response = self.slopes(held, self.metric.unsqueeze(-1) * weights.mT)  # P' D Gᵀ
            gram = weights @ response
        live = torch.isfinite(self.noise)
        both = live.unsqueeze(-1) & live.unsqueeze(-2)
        lower_right = -torch.where(both, gram, 0.0) - torch.diag_embed(torch.where(live, self.noise, 1.0))
        if self.factors is None:
            return lower_right
        moved = self.slopes(held, self.factors)  # P' U
        rest = (self.factors - moved) / self.metric.unsqueeze(-1)
        eye = torch.eye(self.k, dtype=torch.float64, device=gram.device)
        cross = torch.where(live.unsqueeze(-1), weights @ moved, 0.0)
        top = torch.cat([eye + self.factors.mT @ rest, cross.mT], dim=-1)
        return torch.cat([top, torch.cat([cross, lower_right], dim=-1)], dim=-2)

    @cached_property
    def _products(self) -> tuple[Tensor, Tensor]:
        """Pairs of rows, multiplied, (pairs, n), and which they are."""
        pairs = torch.triu_indices(len(self.weights), len(self.weights), device=self.weights.device)
        return self.weights[pairs[0]] * self.weights[pairs[1]], pairs

    def gram(self, variance: Tensor) -> Tensor:
        """G diag(v) Gᵀ for each v, (batch, q, q), for shared rows."""
        q = len(self.weights)
        if q > _FEW:
            return (self.weights * variance.unsqueeze(-2)) @ self.weights.mT
        products, pairs = self._products
        packed = variance @ products.mT
        gram = variance.new_empty(*variance.shape[:-1], q, q)
        gram[..., pairs[0], pairs[1]] = packed
        gram[..., pairs[1], pairs[0]] = packed
        return gram

    def accuracy(self, values: Tensor, y: Tensor, held: Held) -> Tensor:
        """What round-off leaves of each equation at states and duals of this size."""
        size = torch.maximum(values.abs(), self.target.abs())
        rows = replace(self, weights=self.weights.abs()).rows_of(size) + self.rhs.abs()
        if self.factors is None:
            return _ROUND_OFF * rows
        off = size / self.metric
        if not held.blocks.shape[-1]:
            pull = replace(self, weights=self.weights.abs()).columns(y[..., self.k :].abs())
            off = torch.where(held.place == 0, pull, off)
        through = (off.unsqueeze(-2) @ self.factors.abs()).squeeze(-2)
        return _ROUND_OFF * torch.cat([1.0 + through, rows], dim=-1)


def pooled_means(values: Tensor, weights: Tensor, blocks: Tensor) -> Tensor:
    """Weighted means over blocks."""
    shape = np.broadcast_shapes(values.shape, weights.shape)
    index, wide = blocks.expand(shape), weights.expand(shape)
    zero = torch.zeros(shape, dtype=values.dtype, device=values.device)
    mass = zero.scatter_add(-1, index, wide)
    return zero.scatter_add(-1, index, wide * values).gather(-1, index) / mass.gather(-1, index)
