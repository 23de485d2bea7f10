"""What walls prescribe, as features of each point that fade with its distance from the wall."""

from collections.abc import Sequence
from typing import Self, final

import torch
from torch import Tensor, nn

from lawbound.datasets import schema

#: How far each feature reaches, in units of the domain; the first is the series itself, everywhere.
REACHES = (float("inf"), 0.1, 0.02)


@final
class WallFeatures(nn.Module):
    """g(t) exp(−d/ℓ) for what each wall prescribes, g, points at the distance d from it, and each reach ℓ.

    Channels are those that a normalised network reads, positions −1 to 1 over the domain. Boundary layers thinner than the
    waves that a Fourier layer keeps are then no more than a product away.
    """

    reaches: Tensor

    def __init__(self, walls: Sequence[tuple[int, int, bool]]) -> None:
        """walls: of each, its channel, that of the position along its normal, and whether it is at the lower end."""
        super().__init__()
        self._walls = tuple(walls)
        self.register_buffer("reaches", torch.tensor(REACHES), persistent=False)

    @classmethod
    def of(cls, inputs: Sequence[str]) -> Self | None:
        """Those of the walls among the channels of these names; None if there are none."""
        walls = [
            (channel, inputs.index(name.split("_")[-2]), name.endswith("lo"))
            for channel, name in enumerate(inputs)
            if name.startswith("bc_") and name.split("_")[-2] in (schema.X, schema.Y)
        ]
        return cls(walls) if walls else None

    @property
    def size(self) -> int:
        """How many features a point has."""
        return len(self._walls) * len(REACHES)

    def forward(self, channels: Tensor) -> Tensor:
        """(batch, in, *grid) → (batch, *grid, features)."""
        found = []
        for wall, position, low in self._walls:
            along = channels[:, position]
            distance = 0.5 * (1.0 + along if low else 1.0 - along).clamp_min(0.0)
            found.append(channels[:, wall].unsqueeze(-1) * torch.exp(-distance.unsqueeze(-1) / self.reaches))
        return torch.cat(found, dim=-1)
