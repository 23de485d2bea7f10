"""Boundary-exact operators: a lift that makes any network's output meet linear conditions, trained end to end.

    u = v + C Lᵀ (L C Lᵀ)⁻¹ (β − L v)

v: what the network says; L u = β: walls (values, derivatives, Robin combinations, periods), whole laws too, of
any number of fields, on a line or a plane; C: a kernel with learned lengths, which carries the correction into
the domain. For a wall value and an exponential kernel this is a boundary layer exp(−x/ℓ); it is continuous at the
wall under refinement, unlike a value that is overwritten. One small matrix a forward pass, whatever the network.
This is the update of Gaussian conditioning with C fixed beforehand; cf. BOON (Saad et al., ICLR 2023,
arXiv:2212.07477), which corrects each layer's kernel and overwrites the ends.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, final

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor, nn

from lawbound.constraints.constraint import Admissible
from lawbound.constraints.row_sets import equalities, row_sets
from lawbound.datasets.layout import Layout

FloatArray = NDArray[np.float64]
Kernel = Literal["exponential", "matern-5/2"]


class Conditions(NamedTuple):
    """Linear conditions L u = β that hold at all times: weights (m, n), rhs (sample, t, m)."""

    weights: FloatArray
    rhs: FloatArray


def conditions(admissible: Admissible) -> Conditions:
    """The equalities of an admissible set: its rows, and a row for each value fixed at all times; none twice.

    Raises `ValueError` for a set that has none, or anything else, for rows that do not apply at all times, and, by
    name, for conditions that repeat each other with other right-hand sides (corners that do not agree).
    """
    found = equalities(admissible)
    if not found.applies.all():
        always = np.asarray(found.applies.all(axis=(0, 1)))
        some = [found.labels[i] for i in np.flatnonzero(~always)]
        raise ValueError(f"{', '.join(some)} do not apply at all times; use `constraints.inside.Operator`.")
    sets = row_sets(found)
    return Conditions(sets.choices[0] @ sets.rows, sets.rhs)


class Lift(nn.Module):
    """u = v + C Lᵀ (L C Lᵀ)⁻¹ (β − L v), with conditions, grid and states given to it: what it holds is learned.

    C is the same at all times, independent between fields, a product over the axes of kernels in physical
    distance; its lengths, one for each field and axis, are learned, so that a trained lift can be put on another
    grid. `exponential` kernels suit values; conditions on derivatives need `matern-5/2`, which is smooth enough
    for them to converge under refinement.
    """

    def __init__(
        self, spans: Sequence[float], fields: int = 1, *, kernel: Kernel = "exponential", length: float = 0.05
    ) -> None:
        """spans: length of the domain along each axis, y before x. length: to begin with, in units of each span."""
        super().__init__()
        if kernel not in ("exponential", "matern-5/2"):
            raise ValueError(f"`{kernel}` is not a kernel of the lift; give exponential or matern-5/2.")
        if not 0.0 < length < math.inf:
            raise ValueError(f"A lift got length={length}; give a share of the domain above 0, such as 0.05.")
        self.kernel = kernel
        self.log_length = nn.Parameter(torch.tensor([[math.log(length * span) for span in spans]] * fields))

    def forward(self, states: Tensor, series: tuple[Tensor, ...], tables: tuple[Tensor, ...]) -> Tensor:
        """Lawful states (…, t, n); in float64 inside, so that float32 states meet their conditions to float32.

        series: β (…, t, m), and which set of rows, (…, t, 1). tables: rows (r, n), sets (set, m, r) of their combinations,
        and the coordinates of each axis (`RowSets`).
        """
        (rhs, which), (rows, choices, *axes) = series, tables
        columns = self.columns(rows, axes)
        gain = _gain(choices, rows @ columns)
        if len(choices) == 1:  # the same rows everywhere: no copies of them for each sample and time
            choices, gain = choices[0], gain[0]
        else:
            choices, gain = choices[which.squeeze(-1)], gain[which.squeeze(-1)]
        u = states.double()
        for _ in range(2):  # the second takes off round-off
            gap = rhs - _applied(choices, u @ rows.mT)
            u = u + _applied(gain, gap) @ columns.mT
        return u.to(states.dtype)

    def columns(self, rows: Tensor, axes: Sequence[Tensor]) -> Tensor:
        """C Lᵀ, (n, r)."""
        count, shape = len(rows), [len(axis) for axis in axes]
        lengths = self.log_length.double().exp()
        parts = []
        for field, part in enumerate(rows.reshape(count, len(lengths), *shape).unbind(1)):
            for i, axis in enumerate(axes):
                gap = (axis[:, None] - axis[None, :]).abs()
                # Axes rotate: after all, they are in order again.
                part = torch.tensordot(part, self._kernel(gap, lengths[field, i]), dims=([1], [0]))
            parts.append(part.reshape(count, -1))
        return torch.cat(parts, dim=-1).mT

    def _kernel(self, gap: Tensor, length: Tensor) -> Tensor:
        r = gap / length
        if self.kernel == "exponential":
            return torch.exp(-r)
        r = math.sqrt(5.0) * r
        return (1.0 + r + r.square() / 3.0) * torch.exp(-r)


def _gain(choices: Tensor, gram: Tensor) -> Tensor:
    """Aᵀ (A G A ᵀ)⁻¹ of each set A, (set, r, m); its rows of zeros have none."""
    reach = choices @ gram @ choices.mT
    absent = (choices == 0.0).all(-1)
    jitter = 1e-13 * torch.diagonal(reach, dim1=-2, dim2=-1).amax(-1, keepdim=True)
    system = reach + torch.diag_embed(torch.where(absent, 1.0, jitter))
    # Without a look at the info, for which a GPU would have to wait: what is not finite is found by the loss.
    factor, _ = torch.linalg.cholesky_ex(system)
    return torch.cholesky_solve(choices, factor).mT


def _applied(matrix: Tensor, vectors: Tensor) -> Tensor:
    """M v for vectors (…, t, i), one matrix for all, (o, i), or one each, (…, t, o, i)."""
    if matrix.ndim == 2:
        return vectors @ matrix.mT
    return (matrix @ vectors.unsqueeze(-1)).squeeze(-1)


@final
class KernelLift(nn.Module):
    """A lift with its conditions and grid, for a network of one's own: (states (…, t, n), β (…, t, m)) → lawful states."""

    weights: Tensor

    def __init__(
        self,
        weights: FloatArray,
        coordinates: Sequence[FloatArray],
        fields: int = 1,
        *,
        kernel: Kernel = "exponential",
        length: float = 0.05,
    ) -> None:
        """weights: L, (m, n). coordinates: of each axis, y before x. length: to begin with, in units of each span."""
        super().__init__()
        spans = [float(axis[-1] - axis[0]) for axis in coordinates]
        self.lift = Lift(spans, fields, kernel=kernel, length=length)
        points = math.prod(len(axis) for axis in coordinates)
        if weights.ndim != 2 or weights.shape[1] != fields * points:
            raise ValueError(
                f"A lift got rows of shape {weights.shape} for {fields} field(s) on {points} points; needed are "
                f"(m, {fields * points})."
            )
        self.register_buffer("weights", torch.as_tensor(weights, dtype=torch.float64), persistent=False)
        self._axes = len(coordinates)
        for i, axis in enumerate(coordinates):
            values = torch.as_tensor(np.array(axis, dtype=np.float64))
            self.register_buffer(f"axis_{i}", values, persistent=False)

    @classmethod
    def of(
        cls,
        found: Conditions,
        data: xr.Dataset,
        layout: Layout,
        *,
        kernel: Kernel = "exponential",
        length: float = 0.05,
    ) -> "KernelLift":
        """The lift for these conditions on the dataset's grid."""
        coordinates = [np.asarray(data[axis].values, dtype=np.float64) for axis in layout.axes]
        return cls(found.weights, coordinates, len(layout.fields), kernel=kernel, length=length)

    @property
    def log_length(self) -> nn.Parameter:
        """Logarithms of the kernel's lengths, (field, axis)."""
        return self.lift.log_length

    def forward(self, states: Tensor, rhs: Tensor) -> Tensor:
        """Lawful states, of the dtype that they come in."""
        axes: list[Tensor] = [getattr(self, f"axis_{i}") for i in range(self._axes)]
        one = torch.eye(len(self.weights), dtype=torch.float64, device=rhs.device)[None]
        lawful: Tensor = self.lift(states, (rhs.double(), torch.empty(0)), (self.weights, one, *axes))
        return lawful
