"""DeepONet (Lu et al. 2021, arXiv:1910.03193): what is known of a function against where it is asked for.

u(t, x) = Σ_k b_k(known) τ_k(t, x) + c: a branch net reads the first state at fixed sensors, parameters and boundary series, a
trunk net reads coordinates. Sensors are the training grid's points; on another grid the known values are
interpolated to them, so that the network knows no resolution.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import ClassVar, Literal, final

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from lawbound.datasets import schema
from lawbound.surrogates.answers import Mean
from lawbound.surrogates.operator_options import require_positive
from lawbound.surrogates.operator_surrogate import OperatorLearner
from lawbound.surrogates.origin import Axis, Origin
from lawbound.surrogates.uncertainty import Residual


@final
class DeepOperator(nn.Module):
    """Channels on (t, [y,] x) in, channels on it out: `known` channels go to the branch, coordinates to the trunk.

    known: for each channel that the branch reads, the axes along which it varies (positions in the grid). The order of
    the channels is that of `tasks`: states, t, positions, the rest.
    """

    def __init__(
        self, fields: int, known: Sequence[Sequence[int]], outputs: int, axes: Sequence[Axis], *, width: int, depth: int,
        basis: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self._known = tuple(map(tuple, known))
        self._fields = fields
        sensors = [sensor_positions(axis) for axis in axes]
        for i, positions in enumerate(sensors):
            self.register_buffer(f"sensors_{i}", positions, persistent=False)
        read = sum(prod(len(sensors[axis]) for axis in varying) for varying in self._known)
        self.branch = _perceptron(read, outputs * basis, width, depth)
        self.trunk = _perceptron(len(axes), outputs * basis, width, depth)
        self.offset = nn.Parameter(torch.zeros(outputs))
        self._outputs = outputs

    def forward(self, channels: Tensor) -> Tensor:
        """(sample, in, *grid) → (sample, out, *grid)."""
        grid = channels.shape[2:]
        coordinates = channels[:, self._fields : self._fields + len(grid)]
        values = torch.cat([channels[:, : self._fields], channels[:, self._fields + len(grid) :]], dim=1)
        coefficients = self.branch(self._at_sensors(values, coordinates))
        coefficients = coefficients.reshape(len(values), self._outputs, -1)
        # The coordinates are those of every sample.
        functions = self.trunk(coordinates[0].flatten(1).T).reshape(-1, self._outputs, coefficients.shape[2])
        summed = torch.einsum("sok,pok->sop", coefficients, gelu(functions))
        return (summed + self.offset[:, None]).reshape(*summed.shape[:2], *grid)

    def _at_sensors(self, values: Tensor, coordinates: Tensor) -> Tensor:
        """What the branch reads, (sample, number)."""
        parts = []
        for channel, varying in enumerate(self._known):
            known = values[:, channel]
            for axis in range(values.ndim - 2):
                if axis in varying:
                    along = coordinates[0, axis].movedim(axis, 0).flatten(1)[:, 0]
                    known = _interpolated(known, axis + 1, along, self._sensors(axis))
                else:
                    known = known.narrow(axis + 1, 0, 1)
            parts.append(known.flatten(1))
        return torch.cat(parts, dim=1)

    def _sensors(self, axis: int) -> Tensor:
        positions: Tensor = getattr(self, f"sensors_{axis}")
        return positions


def sensor_positions(axis: Axis) -> Tensor:
    """Where the training grid's points are in the coordinates that a normalised network sees, −1 to 1 over the domain."""
    span = (axis.high - axis.low) or 1.0
    first, last = (2 * (end - axis.low) / span - 1 for end in (axis.first, axis.last))
    return torch.linspace(first, last, axis.points)


def _interpolated(values: Tensor, dim: int, at: Tensor, wanted: Tensor) -> Tensor:
    """Values at the positions `at` along a dimension, linearly interpolated (at the ends extrapolated) to others."""
    if len(at) == 1:
        return values.expand(*(len(wanted) if i == dim else -1 for i in range(values.ndim)))
    right = torch.searchsorted(at.contiguous(), wanted).clamp(1, len(at) - 1)
    share = (wanted - at[right - 1]) / (at[right] - at[right - 1])
    share = share.reshape(*(len(wanted) if i == dim else 1 for i in range(values.ndim)))
    return values.index_select(dim, right - 1) * (1 - share) + values.index_select(dim, right) * share


def _perceptron(inputs: int, outputs: int, width: int, depth: int) -> nn.Sequential:
    sizes = [inputs, *[width] * depth]
    layers = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.GELU())]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


@final
@dataclass(frozen=True, kw_only=True)
class DeepOperatorNetwork(OperatorLearner):
    """How to build and train a DeepONet. `walls`: read what the walls prescribe, too."""

    name: ClassVar[str] = "deeponet"
    summary: ClassVar[str] = "DeepONet: first state (and boundary series) against coordinates"

    width: int = 128
    depth: int = 3
    basis: int = 64
    walls: bool = False
    loss: Literal["relative-l2", "mse"] = "relative-l2"

    def __post_init__(self) -> None:
        require_positive(self, "width", "depth", "basis")
        OperatorLearner.__post_init__(self)
        if self.mode != "whole":
            raise ValueError("mode=steps is not what a DeepONet does; give mode=whole.")

    @property
    def reads_walls(self) -> bool:
        """If `walls`."""
        return self.walls

    @property
    def answer(self) -> Mean:
        """A value for each field."""
        return Mean(self.loss)

    @property
    def errors(self) -> Residual:
        """The mean square error over the validation samples."""
        return Residual()

    def network(
        self, inputs: tuple[str, ...], outputs: int, axes: Sequence[Axis], origin: Origin
    ) -> DeepOperator:
        """The network."""
        return DeepOperator(
            len(origin.fields), [*_varying(inputs, origin)], outputs, axes, width=self.width, depth=self.depth,
            basis=self.basis,
        )  # fmt: skip


def _varying(inputs: Sequence[str], origin: Origin) -> list[tuple[int, ...]]:
    """Of each channel that the branch reads, the axes of the grid along which it varies."""
    space = tuple(range(1, len(origin.grid)))
    found: list[tuple[int, ...]] = []
    for name in inputs:
        if name in origin.fields:
            found.append(space)
        elif name.startswith("bc_"):
            # On a plane a wall's values may vary along it: x for the sides y_lo and y_hi, y for the others.
            along = {schema.Y: schema.X, schema.X: schema.Y}[name.split("_")[-2]]
            found.append((0, *(1 + origin.axes.index(axis) for axis in origin.axes if axis == along)))
        elif name not in origin.grid:
            found.append(())
    return found
