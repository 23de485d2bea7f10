"""Constraints inside a network: its states obey in every pass of its training, and in every prediction."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from lawbound.constraints.constraint import Constraint, widened
from lawbound.constraints.operator import Kernel, Lift
from lawbound.constraints.row_sets import equalities, row_sets
from lawbound.constraints.spec import spec_of, worded
from lawbound.constraints.tied import TiedDiagonal
from lawbound.datasets import schema
from lawbound.surrogates.covariance import Covariance
from lawbound.surrogates.surrogate import Given, Origin


@final
@dataclass(frozen=True)
class Operator:
    """Linear equalities built into a network by a lift at its output: u = v + C Lᵀ (L C Lᵀ)⁻¹ (β − L v).

    See `operator.Lift`, which is trained with the network: kernel and length are where it begins. Walls of any kind,
    initial states and laws, at points or on cells, go together in one stack; each sample has its own right-hand sides,
    and may have rows of its own (Robin walls). As with `project`, rows are exact whatever their tolerance. Predictions
    have no variance in what they obey: it is that of independent errors, given the rows.

    Only declared inputs are read, of the fields no more than the first state, in training as in prediction. `read` raises
    `ValueError` for anything but linear equalities, where the data lack what the constraint needs, and where it reads the field itself.
    """

    constraint: Constraint
    kernel: Kernel = "exponential"
    length: float = 0.05

    def __post_init__(self) -> None:
        Lift((1.0,), kernel=self.kernel, length=self.length)  # refuses what makes no sense

    @property
    def spec(self) -> str:
        """As on the command line."""
        return f"{spec_of(self.constraint)}:{worded('operator', self)}"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The constraint's."""
        return self.constraint.inputs

    def read(self, data: xr.Dataset, fields: tuple[str, ...]) -> Given:
        """Right-hand sides, (sample, t, m), and sets of rows, (sample, t, 1); rows, their sets and coordinates."""
        known = [name for name in self.constraint.inputs if name in data and name in fields]
        if known:
            raise ValueError(
                f"`{self.constraint.name}` reads {', '.join(known)}, all of it, which is what the network is to predict; "
                "take right-hand sides that are known (mass=law, mass=walls, or a variable of the data)."
            )
        admissible = widened(self.constraint.on(_as_started(data, fields)), fields)
        sets = row_sets(equalities(admissible))
        axes = [np.asarray(data[axis].values, dtype=np.float64) for axis in admissible.layout.axes]
        rhs, which, *tables = (
            torch.from_numpy(np.array(values))
            for values in (sets.rhs, sets.which[..., None], sets.rows, sets.choices, *axes)
        )
        return Given((rhs, which), tuple(tables))

    def wrap(self, network: nn.Module, origin: Origin) -> nn.Module | None:
        """The network stays as it is."""
        return None

    def outputs(self, origin: Origin) -> Lift:
        """The lift, on the training domain's axes."""
        spans = [origin.grid[axis].high - origin.grid[axis].low for axis in origin.axes]
        return Lift(spans, len(origin.fields), kernel=self.kernel, length=self.length)

    def left(self, variances: Tensor, given: Given) -> Covariance:
        """That of independent errors, given the rows."""
        (_, which), (rows, choices, *_) = given
        return TiedDiagonal.of(variances, rows, choices, which.squeeze(-1))


def _as_started(data: xr.Dataset, fields: tuple[str, ...]) -> xr.Dataset:
    """The data with every field standing still: what a surrogate knows of them is the first state."""
    first = {name: data[name].isel({schema.TIME: 0}, drop=True) for name in fields}
    still = {
        name: state.expand_dims({schema.TIME: data[schema.TIME]}).transpose(*data[name].dims)
        for name, state in first.items()
    }
    return data.assign({name: values.assign_attrs(data[name].attrs) for name, values in still.items()})
