"""BOON's kernel correction as an enforcement inside a network, beside the lift of `inside.Operator`."""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from lawbound.constraints.boon import Corrected
from lawbound.constraints.boon_quirks import AsReleased, Quirks
from lawbound.constraints.boundary import Dirichlet, Neumann
from lawbound.constraints.constraint import Constraint, Stack
from lawbound.constraints.geometry import Line
from lawbound.constraints.inside import Operator
from lawbound.constraints.kernel_correction import KernelCorrection, Rule
from lawbound.constraints.operator import Kernel
from lawbound.constraints.spec import spec_of
from lawbound.constraints.wall_closure import SIDES, Kind
from lawbound.surrogates.covariance import Covariance
from lawbound.surrogates.surrogate import Given, Inside, Layered, Origin

Method = Literal["lift", "boon", "boon-as-released"]
_KINDS: tuple[Kind, Kind] = ("dirichlet", "neumann")


def operator(
    constraint: Constraint, *, method: Method = "lift", kernel: Kernel = "exponential", length: float = 0.05,
    floor: float = 0.1,
) -> Inside:  # fmt: skip
    """What `NAME:operator(…)` names: a lift, or BOON's correction of the layers, whose small pivots `floor` damps."""
    if method == "lift":
        return Operator(constraint, kernel, length)
    if method not in ("boon", "boon-as-released"):
        raise ValueError(f"method={method!r}; give lift, boon or boon-as-released.")
    return Boon(constraint, method, floor)


@final
@dataclass(frozen=True)
class Boon:
    """Kernel correction (Saad et al., ICLR 2023, arXiv:2212.07477) inside a Fourier operator, walls closed at its output.

    For values and slopes of one field at points; see `boon.Corrected` and `boon_quirks.AsReleased`. Walls hold to the
    rounding of the network's numbers, float32. The released code's slopes have stencils of its own, so that those of the
    constraint are missed by what both differ. `read` raises `ValueError` for any other constraint, and for cells.
    """

    constraint: Constraint
    method: Literal["boon", "boon-as-released"] = "boon"
    floor: float = 0.1

    def __post_init__(self) -> None:
        parts = self.constraint.parts if isinstance(self.constraint, Stack) else (self.constraint,)
        wrong = [part.name for part in parts if not isinstance(part, Dirichlet | Neumann)]
        if wrong:
            raise ValueError(
                f"BOON corrects kernels for dirichlet and neumann walls, not for {', '.join(wrong)}; take the lift "
                "(method=lift), which takes any linear law."
            )
        if len({part.fields for part in parts}) > 1:
            raise ValueError("BOON corrects one field; take the lift (method=lift) for several.")

    @property
    def spec(self) -> str:
        """As on the command line."""
        damped = f", floor={self.floor:g}" if self.method == "boon" and self.floor != 0.1 else ""
        return f'{spec_of(self.constraint)}:operator(method="{self.method}"{damped})'

    @property
    def inputs(self) -> tuple[str, ...]:
        """The constraint's."""
        return self.constraint.inputs

    @property
    def _parts(self) -> tuple[Dirichlet | Neumann, ...]:
        parts = self.constraint.parts if isinstance(self.constraint, Stack) else (self.constraint,)
        return tuple(part for part in parts if isinstance(part, Dirichlet | Neumann))

    def read(self, data: xr.Dataset, fields: tuple[str, ...]) -> Given:
        """As the lift, and behind it values, then slopes, of each side, (sample, t, m), m = 0 where there are none."""
        if len(fields) > 1:
            raise ValueError(
                f"BOON corrects one field, not {', '.join(fields)}; take the lift (method=lift)."
            )
        first = self._parts[0].fields[0]
        axes = {side[0] for side in SIDES if f"bc_{first}_{side}" in data}
        if any(Line.of(data, axis).faces is not None for axis in axes):
            raise ValueError(
                "BOON corrects walls that points lie on; these data are cell averages. Take the lift."
            )
        lift = Operator(self.constraint).read(data, fields)
        nothing = torch.zeros(data.sizes["sample"], data.sizes["t"], 0, dtype=torch.float64)
        slots = {(kind, side): nothing for kind in _KINDS for side in SIDES}
        for part in self._parts:
            for wall, kind, sign in part.prescribed(data):
                slots[kind, wall.side] = torch.from_numpy(np.array(sign * wall.values))
        return Given((*lift.series, *slots.values()), lift.tables)

    def wrap(self, network: nn.Module, origin: Origin) -> nn.Module:
        """The network, its layers corrected.

        Raises `TypeError` for one that cannot be opened, and `ValueError` in steps, where it says by how much states change.
        """
        if not isinstance(network, Layered):
            raise TypeError(
                f"{type(network).__name__} does not show its layers; take the lift (method=lift)."
            )
        axes = network.opened().axes
        if len(axes) < len(origin.grid):
            raise ValueError(
                "BOON's walls are those of states, not of their steps; take mode=whole, or the lift (method=lift)."
            )
        accuracy = next((part.accuracy for part in self._parts if part.accuracy is not None), 2)
        rule: Rule = Corrected(accuracy=accuracy, floor=self.floor)
        if self.method == "boon-as-released":
            rule = AsReleased(Quirks.released(len(axes)))
        return _InTraining(network, rule)

    def outputs(self, origin: Origin) -> nn.Module:
        """They obey already."""
        return _AsTheyAre()

    def left(self, variances: Tensor, given: Given) -> Covariance:
        """That of independent errors, given the rows."""
        return Operator(self.constraint).left(variances, Given(given.series[:2], given.tables))


@final
class _InTraining(nn.Module):
    """(channels, series, tables) → what obeys at the walls that the series have data for."""

    def __init__(self, network: nn.Module, rule: Rule) -> None:
        super().__init__()
        self.network = network
        self._rule = rule

    def forward(self, channels: Tensor, series: tuple[Tensor, ...], tables: tuple[Tensor, ...]) -> Tensor:
        slots = zip([(kind, side) for kind in _KINDS for side in SIDES], series[2:], strict=True)
        there = {side: (kind, values) for (kind, side), values in slots if values.shape[-1]}
        conditions: dict[str, Kind] = {side: kind for side, (kind, _) in there.items()}
        correction = KernelCorrection(self.network, conditions, self._rule)
        grid = channels.shape[2:]
        data = {
            side: values.reshape(len(channels), *(n for i, n in enumerate(grid) if i != len(grid) + SIDES[side]))
            for side, (_, values) in there.items()
        }  # fmt: skip
        return correction(channels, data)


@final
class _AsTheyAre(nn.Module):
    def forward(self, states: Tensor, series: tuple[Tensor, ...], tables: tuple[Tensor, ...]) -> Tensor:
        return states
