"""Kernel correction as the released code of BOON does it (2023), each deviation from the method behind a name.

For comparison with published behaviour only: use `boon.Corrected`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor

from lawbound.constraints.wall_closure import End, Kind, Stencil, closed, interior, slope
from lawbound.surrogates.surrogate import KernelLayer

_NEAR = 4  # layers next to a wall that are smoothed


@final
@dataclass(frozen=True)
class Quirks:
    """What the released code does; all False, and signs kept, is the scalar scheme as it was meant.

    first_channel: pivots are read at the first output channel and sample, for all. pointwise: W u + b is probed, corrected
    and closed like K u, so that hidden walls hold the data twice. bias: W's probes and products hold b, as if it were linear.
    probed_twice: each probe is made twice. first_index: the right step starts from twice the input at the left wall.
    first_line: on a plane, pivots are those of the first y. activated_walls: σ acts at walls, too. smoothed: the four layers
    next to Dirichlet walls become means over three. right_only: slopes are eliminated at the right wall only. halved: branches
    closed with slopes are halved. unit_slope: on the left u_0 = u_1 + slope, without its −h; False: third order, as on the right.
    zero_padded: data are zero beyond the domain. guard: pivots below `tolerance` in size become +tolerance (`size`), or all
    pivots below it, negative ones of any size too (`value`), or keep their sign (`sign`).
    """

    first_channel: bool = False
    pointwise: bool = False
    bias: bool = False
    probed_twice: bool = False
    first_index: bool = False
    first_line: bool = False
    activated_walls: bool = False
    smoothed: bool = False
    right_only: bool = False
    halved: bool = False
    unit_slope: bool = False
    zero_padded: bool = False
    guard: Literal["size", "value", "sign"] = "sign"
    tolerance: float = 1e-7

    def __post_init__(self) -> None:
        if not self.tolerance > 0.0:
            raise ValueError(f"tolerance={self.tolerance}; give a number above 0, such as 1e-7.")

    @classmethod
    def released(cls, dimensions: int) -> "Quirks":
        """Those of the code for grids of one axis (x), two (t, x) or three (t, y, x)."""
        line = dimensions == 1
        return cls(
            first_channel=True, pointwise=True, bias=True, probed_twice=True, first_index=not line,
            first_line=dimensions > 2, activated_walls=line, smoothed=dimensions == 2, right_only=line, halved=True,
            unit_slope=True, zero_padded=True, guard="value" if dimensions == 2 else "size",
            tolerance=1e-7 if line else 1e-4,
        )  # fmt: skip


@final
@dataclass(frozen=True)
class AsReleased:
    """The rule of the released code: scalar pivots, two steps of elimination in three products, four probes.

    Both walls of x have the same kind, those of y values; periods are closed by means and nothing else.
    """

    quirks: Quirks

    @property
    def zero_padded(self) -> bool:
        """As the quirk says."""
        return self.quirks.zero_padded

    @property
    def reach(self) -> int:
        """Third order."""
        return 3

    def refuse(self, conditions: Mapping[str, Kind], dimensions: int) -> None:
        """Raise `ValueError` for what the released code breaks down on, or has no code for."""
        kinds = {conditions.get(side) for side in ("x_lo", "x_hi")}
        if None in kinds or len(kinds) > 1:
            raise ValueError(
                f"The released BOON needs both walls of x, of one kind, and got {dict(conditions)}; take the corrected one."
            )
        if dimensions > 2 and set(conditions.values()) != {"dirichlet"}:
            raise ValueError(
                "The released BOON knows only `dirichlet` on a plane in time; take the corrected one."
            )
        if dimensions < 3 and any(side.startswith("y") for side in conditions):
            raise ValueError("The released BOON has no planes without time; take the corrected one.")

    def layer(self, layer: KernelLayer, u: Tensor, ends: Sequence[End]) -> Tensor:
        """T₁ K T₂ u + T₁ W T₂ u."""
        if self.quirks.pointwise:
            bias = layer.pointwise(torch.zeros_like(u[:1])) if not self.quirks.bias else None

            def around(v: Tensor) -> Tensor:
                return layer.pointwise(v) if bias is None else layer.pointwise(v) - bias

            return self._branch(layer.kernel, u, ends) + self._branch(around, u, ends, bias)
        both = self.eliminated(layer.kernel, u, ends[:2]) + layer.pointwise(u)
        return self._smooth(closed(both, ends, self._stencil), ends)

    def activated(self, u: Tensor, activate: Callable[[Tensor], Tensor], ends: Sequence[End]) -> Tensor:
        """σ, at walls only as the quirk says."""
        return activate(u) if self.quirks.activated_walls else torch.where(interior(u, ends), activate(u), u)

    def output(self, u: Tensor, ends: Sequence[End]) -> Tensor:
        """Closed, then smoothed next to the walls."""
        return self._smooth(closed(u, ends, self._stencil), ends)

    def eliminated(self, product: Callable[[Tensor], Tensor], u: Tensor, ends: Sequence[End]) -> Tensor:
        """K a'', from probes e of the size of the batch, K a, K a' and K a''."""
        if ends[0].kind == "periodic":
            return product(u)
        low, high = ends
        probes = [self._probe(product, u, end) for end in (low, high)]
        if self.quirks.probed_twice:
            probes = [self._probe(product, u, end) for end in (low, high)]
        (k00, kn0), (k0n, knn) = ((self._pivot(low, p), self._pivot(high, p)) for p in probes)
        knn = self._guarded(knn)
        image, first = product(u), low.layer(u)
        changed = u
        if not (low.kind == "neumann" and self.quirks.right_only):
            schur = self._guarded(self._guarded(k00) - k0n * kn0 / knn)
            gap = low.layer(image) - k0n / knn * high.layer(image) + k0n * high.layer(u)
            changed = low.with_layer(u, 2.0 * first - gap / schur)
            image = product(changed)
        start = low.layer(changed) if self.quirks.first_index else high.layer(changed)
        return product(high.with_layer(changed, 2.0 * start - high.layer(image) / knn))

    def _branch(
        self, product: Callable[[Tensor], Tensor], u: Tensor, ends: Sequence[End], rest: Tensor | None = None
    ) -> Tensor:
        out = self.eliminated(product, u, ends[:2])
        out = out if rest is None else out + rest
        slopes = ends[0].kind == "neumann" and self.quirks.halved
        out = closed(out, ends, self._stencil)
        # All of it, so that the slopes of both branches add up to the data.
        return self._smooth(0.5 * out if slopes else out, ends)

    def _probe(self, product: Callable[[Tensor], Tensor], u: Tensor, end: End) -> Tensor:
        return product(end.with_layer(torch.zeros_like(u), torch.ones((), dtype=u.dtype, device=u.device)))

    def _pivot(self, end: End, probed: Tensor) -> Tensor:
        """K at a wall, as values there: sums over the channels, and over times, of a row of the kernel."""
        row = end.layer(probed)[:1]
        if self.quirks.first_channel:
            row = row[..., :1]
        return row[..., :1, :] if self.quirks.first_line and row.ndim > 3 else row

    def _guarded(self, pivot: Tensor) -> Tensor:
        least = torch.full_like(pivot, self.quirks.tolerance)
        small = pivot < least if self.quirks.guard == "value" else pivot.abs() < least
        return torch.where(small, least.copysign(pivot) if self.quirks.guard == "sign" else least, pivot)

    def _smooth(self, u: Tensor, ends: Sequence[End]) -> Tensor:
        """Means over three of the layers next to walls with values, all from the same u."""
        smoothed = u
        for end in ends:
            if self.quirks.smoothed and end.kind == "dirichlet":
                for depth in range(1, min(_NEAR, u.shape[end.dim] - 2) + 1):
                    mean = torch.stack([end.layer(u, depth + k) for k in (-1, 0, 1)]).mean(0)
                    smoothed = smoothed.select_scatter(mean, end.dim, end.index + end.inwards * depth)
        return smoothed

    @property
    def _stencil(self) -> Stencil:
        third = slope(3)

        def weights(end: End) -> Sequence[float]:
            # u_0 = u_1 + α·1 where u_0 = u_1 − h α is meant.
            return (1.0, -1.0) if end.low and self.quirks.unit_slope else third(end)

        return weights
