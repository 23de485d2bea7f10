"""A constraint as a term in the loss (SoftC): by how much states miss it, squared, in units of their own size."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from lawbound.constraints.constraint import Admissible, Constraint, widened
from lawbound.datasets.layout import Layout


@final
@dataclass(frozen=True, eq=False)
class Penalty:
    """weight · mean (residual / scale)² of predicted states; differentiable, and no more than a wish.

    The residuals are those of `Admissible.residual`: G u − b for rows, what is outside for bounds, steps in the
    wrong direction for monotone chains, the excess for total variation, h(u) − rhs for curved parts. scale: what
    states as large as the training data's (root mean square) could make of each, (label,), so that one weight
    suits every law. Hansen et al., ICML 2023,
    arXiv:2302.11002, section 3 calls this SoftC, there with the equation's own residual.
    """

    admissible: Admissible
    scale: Tensor
    weight: float = 1.0

    @classmethod
    def of(
        cls, constraint: Constraint, data: xr.Dataset, *, weight: float = 1.0, fields: tuple[str, ...] = ()
    ) -> "Penalty":
        """The penalty on states of these fields (the constraint's own unless given) of this dataset's samples.

        Raises `ValueError` for a weight that is not positive and finite, for two phases, which have no slope to
        follow, and where the data lack what the constraint needs.
        """
        if not 0.0 < weight < np.inf:
            raise ValueError(f"A penalty got weight={weight}; give a finite number above 0.")
        state = fields or constraint.fields
        admissible = widened(constraint.on(data), state)
        if admissible.phases is not None:
            raise ValueError(
                f"`{constraint.name}` has two phases, which a penalty cannot pull towards; use `condition`."
            )
        return cls(admissible, _scale(admissible, Layout.of(data, state).state(data)), weight)

    def __call__(self, states: Tensor, samples: Tensor | None = None) -> Tensor:
        """The penalty of each sample, (sample,), for states (sample, t, n); samples: which of the dataset's they are."""
        index = slice(None) if samples is None else samples.cpu()
        off = torch.cat(_residuals(self.admissible, states, index), dim=-1)
        return self.weight * (off / self.scale.to(off)).square().mean((-2, -1))


def _residuals(admissible: Admissible, u: Tensor, index: slice | Tensor) -> list[Tensor]:
    """The parts' residuals, each (sample, t, ·)."""

    def given(array: np.ndarray) -> Tensor:
        return torch.as_tensor(array)[index].to(u)

    found = []
    if admissible.rows is not None:
        rows = admissible.rows
        rhs = given(np.where(rows.applies, rows.rhs, 0.0))
        applies = torch.as_tensor(rows.applies)[index].to(u.device)
        gap = u @ torch.as_tensor(rows.weights).to(u).mT - rhs
        found.append(torch.where(applies, gap, 0.0))
    if admissible.box is not None:
        below, above = given(admissible.box.lower) - u, u - given(admissible.box.upper)
        out = torch.maximum(below, above).clamp_min(0.0)
        found.append(out.square().mean(-1, keepdim=True).clamp_min(1e-30).sqrt())
    if admissible.order is not None:
        order = admissible.order
        wrong = [
            (-sign * u[..., i:j].diff(dim=-1)).clamp_min(0.0)
            for i, j, sign in zip(order.starts, order.stops, order.signs, strict=True)
        ]
        found.append(torch.cat(wrong, -1).sum(-1, keepdim=True))
    if admissible.variation is not None:
        part = admissible.variation
        total = sum(
            u[..., i:j].diff(dim=-1).abs().sum(-1) for i, j in zip(part.starts, part.stops, strict=True)
        )
        found.append((total - given(part.most)).clamp_min(0.0).unsqueeze(-1))
    for curved in admissible.curved:
        gap = curved.function(u) - given(curved.rhs)
        found.append(gap.clamp_min(0.0) if curved.at_most else gap)
    return found


def _scale(admissible: Admissible, states: np.ndarray) -> Tensor:
    """Typical size of each residual: rows of the data's size; the data's own size for the rest; (label,)."""
    size = float(np.sqrt((states**2).mean())) or 1.0
    sizes = []
    if admissible.rows is not None:
        through = np.abs(admissible.rows.weights).sum(-1) * size
        sizes += [float(value) or 1.0 for value in through]
    others = (admissible.box, admissible.order, admissible.variation)
    sizes += [size for part in others if part is not None]
    for curved in admissible.curved:
        sizes += [float(value) or 1.0 for value in np.sqrt((curved.rhs**2).mean((0, 1)))]
    return torch.tensor(sizes, dtype=torch.float64)
