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
from scipy.linalg import qr
from torch import Tensor, nn

from lawbound.constraints.constraint import Admissible
from lawbound.datasets.layout import Layout

FloatArray = NDArray[np.float64]
Kernel = Literal["exponential", "matern-5/2"]

_RANK = 1e-10  # rows that repeat others to this share of their size are left out
_REPEATED = 1e-9  # and must agree with them to this share


class Conditions(NamedTuple):
    """Linear conditions L u = β: weights (m, n), rhs (sample, t, m), NaN where one does not apply; a label each."""

    weights: FloatArray
    rhs: FloatArray
    labels: tuple[str, ...]


def conditions(admissible: Admissible) -> Conditions:
    """The equalities of an admissible set: its rows, and a row for each value fixed at all times; none twice.

    Raises `ValueError` for a set that has none, and, by name, for conditions that repeat each other with other right-hand sides (corners that do not agree).
    """
    weights, rhs, labels = _gathered(admissible)
    size = np.linalg.norm(weights, axis=1)
    scaled, b = weights / size[:, None], rhs / size
    _, triangle, order = qr(scaled.T, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(triangle))
    rank = int((diagonal > _RANK * diagonal[0]).sum())
    kept, rest = np.sort(order[:rank]), np.sort(order[rank:])
    if rest.size:
        combination = np.linalg.lstsq(scaled[kept].T, scaled[rest].T, rcond=None)[0]  # (kept, rest)
        off = np.abs(b[..., rest] - b[..., kept] @ combination)
        allowed = _REPEATED * (1.0 + np.abs(b[..., kept]) @ np.abs(combination))
        if (off > allowed).any():
            sample, time, row = (int(i) for i in np.argwhere(off > allowed)[0])
            others = [labels[kept[i]] for i in np.flatnonzero(np.abs(combination[:, row]) > 1e-6)]
            raise ValueError(
                f"`{labels[rest[row]]}` contradicts {', '.join(f'`{name}`' for name in others)} by "
                f"{off[sample, time, row]:.3g} at (sample, t) index {(sample, time)}: they share points (a corner) but "
                "not values. Make the boundary data agree there, or leave one out."
            )
    return Conditions(scaled[kept], b[..., kept], tuple(labels[i] for i in kept))


def _gathered(admissible: Admissible) -> tuple[FloatArray, FloatArray, list[str]]:
    layout = admissible.layout
    weights: list[FloatArray] = []
    rhs: list[FloatArray] = []
    labels: list[str] = []
    if admissible.rows is not None:
        weights.append(admissible.rows.weights)
        rhs.append(np.where(admissible.rows.applies, admissible.rows.rhs, np.nan))
        labels += admissible.rows.labels
    if admissible.box is not None:
        fixed = admissible.box.lower == admissible.box.upper
        always = np.flatnonzero(fixed.all(axis=(0, 1)))
        weights.append(np.eye(layout.size)[always] if always.size < layout.size else np.eye(layout.size))
        rhs.append(admissible.box.lower[..., always])
        labels += [f"{admissible.box.label} at point {i}" for i in always]
    if not labels:
        raise ValueError("The constraint has no equality that holds at all times; an operator needs one.")
    return np.concatenate(weights), np.concatenate(rhs, axis=-1), labels


@final
class KernelLift(nn.Module):
    """u = v + C Lᵀ (L C Lᵀ)⁻¹ (β − L v) for states (…, t, n).

    C is the same at all times, independent between fields, a product over the axes of kernels in physical
    distance; its lengths, one for each field and axis, are learned, so that a trained lift can be put on another
    grid. `exponential` kernels suit values; conditions on derivatives need `matern-5/2`, which is smooth enough
    for them to converge under refinement.
    """

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
        points = math.prod(len(axis) for axis in coordinates)
        if weights.ndim != 2 or weights.shape[1] != fields * points:
            raise ValueError(
                f"A lift got rows of shape {weights.shape} for {fields} field(s) on {points} points; needed are "
                f"(m, {fields * points})."
            )
        if kernel not in ("exponential", "matern-5/2"):
            raise ValueError(f"`{kernel}` is not a kernel of the lift; give exponential or matern-5/2.")
        if not 0.0 < length < math.inf:
            raise ValueError(f"A lift got length={length}; give a share of the domain above 0, such as 0.05.")
        self.kernel, self.fields, self.shape = kernel, fields, tuple(len(axis) for axis in coordinates)
        self.register_buffer("weights", torch.as_tensor(weights, dtype=torch.float64), persistent=False)
        for i, axis in enumerate(coordinates):
            x = torch.tensor(np.asarray(axis, dtype=np.float64))
            gap = (x[:, None] - x[None, :]).abs()
            self.register_buffer(f"distance_{i}", gap, persistent=False)
        spans = [float(axis[-1] - axis[0]) for axis in coordinates]
        begin = torch.tensor([[math.log(length * span) for span in spans]] * fields, dtype=torch.float64)
        self.log_length = nn.Parameter(begin)

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

    def forward(self, states: Tensor, rhs: Tensor) -> Tensor:
        """Lawful states; in float64 inside, so that float32 states meet their conditions to float32."""
        columns, factor = self._columns()
        u = states.double()
        for _ in range(2):  # the second takes off round-off
            gap = (rhs.double() - u @ self.weights.mT).nan_to_num(nan=0.0)  # NaN: does not apply
            u = u + torch.cholesky_solve(gap.flatten(0, -2).mT, factor).mT.reshape(gap.shape) @ columns.mT
        return u.to(states.dtype)

    def _columns(self) -> tuple[Tensor, Tensor]:
        """C Lᵀ, (n, m), and the Cholesky factor of L C Lᵀ."""
        m = len(self.weights)
        rows = self.weights.reshape(m, self.fields, *self.shape)
        parts = []
        for field in range(self.fields):
            part = rows[:, field]
            for i in range(len(self.shape)):
                kernel = self._kernel(getattr(self, f"distance_{i}"), self.log_length[field, i].exp())
                part = torch.tensordot(
                    part, kernel, dims=([1], [0])
                )  # axes rotate: after all, in order again
            parts.append(part.reshape(m, -1))
        columns = torch.cat(parts, dim=-1).mT
        gram = self.weights @ columns
        jitter = 1e-13 * gram.diagonal().mean() * torch.eye(m, dtype=gram.dtype, device=gram.device)
        return columns, torch.linalg.cholesky(gram + jitter)

    def _kernel(self, gap: Tensor, length: Tensor) -> Tensor:
        r = gap / length
        if self.kernel == "exponential":
            return torch.exp(-r)
        r = math.sqrt(5.0) * r
        return (1.0 + r + r.square() / 3.0) * torch.exp(-r)
