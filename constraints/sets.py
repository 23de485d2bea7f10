"""The parts that an admissible set is made of: rows, boxes, orders, phases, variations, curved equalities, balances, evolutions.

All of them speak about states u(t) of n values (`lawbound.datasets.layout`), in float64, without torch, except
the curved ones and evolutions, whose derivatives torch takes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FloatArray = NDArray[np.float64]

_STORED = 4 * float(np.finfo(np.float32).eps)  # of the largest value: what single precision leaves unsaid


@final
@dataclass(frozen=True, eq=False)
class Rows:
    """Linear equalities Σ_n weights[q, n] u[s, t, n] = rhs[s, t, q], known up to a standard deviation.

    weights: (q, n). rhs and tolerance: (sample, t, q); a tolerance of 0 means exactly, one of ∞ that the row
    does not apply there. labels: one a row.
    """

    weights: FloatArray
    rhs: FloatArray
    tolerance: FloatArray
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        q = len(self.labels)
        if (
            self.weights.ndim != 2
            or len(self.weights) != q
            or self.rhs.ndim != 3
            or self.rhs.shape[2:] != (q,)
            or self.tolerance.shape != self.rhs.shape
        ):
            raise ValueError(
                f"Rows {self.labels} got weights {self.weights.shape}, rhs {self.rhs.shape} and tolerance "
                f"{self.tolerance.shape}; needed are ({q}, n), (sample, t, {q}) and (sample, t, {q})."
            )
        if not np.isfinite(self.weights).all():
            raise ValueError(f"Rows {self.labels} have weights that are not finite.")
        if np.isnan(self.tolerance).any() or (self.tolerance < 0).any():
            raise ValueError(f"Rows {self.labels} have a tolerance that is negative or NaN; give one ≥ 0.")

    @property
    def applies(self) -> NDArray[np.bool_]:
        """Where the rows say something, (sample, t, q)."""
        return np.isfinite(self.tolerance)


@final
@dataclass(frozen=True, eq=False)
class Box:
    """Bounds lower ≤ u ≤ upper at every point, (sample, t, n); ∓∞ where there is none.

    Where both are the same the value is fixed: a boundary or initial value is a box without width.
    label: what the bounds are, for messages.
    """

    lower: FloatArray
    upper: FloatArray
    label: str

    def __post_init__(self) -> None:
        if self.lower.ndim != 3 or self.lower.shape != self.upper.shape:
            raise ValueError(
                f"The box `{self.label}` got bounds of shapes {self.lower.shape} and {self.upper.shape}; "
                "both must be (sample, t, n)."
            )
        if np.isnan(self.lower).any() or np.isnan(self.upper).any():
            raise ValueError(
                f"The box `{self.label}` has NaN among its bounds; use ∓inf where there is none."
            )
        crossed = self.lower > self.upper
        if crossed.any():
            sample, time, point = (int(i) for i in np.argwhere(crossed)[0])
            raise ValueError(
                f"The box `{self.label}` is empty at (sample, t, n) index {(sample, time, point)}: "
                f"{self.lower[sample, time, point]:g} > {self.upper[sample, time, point]:g}."
            )

    def violation(self, values: FloatArray) -> FloatArray:
        """By how much states leave the box at worst, (sample, t, 1), ≥ 0."""
        out = np.maximum(np.maximum(self.lower - values, values - self.upper), 0.0)
        return np.asarray(out.max(axis=-1, keepdims=True))

    def __and__(self, other: "Box") -> "Box":
        """Both at once; raises `ValueError` where nothing is left.

        Where they miss each other by no more than single precision, as a wall's series does an initial state that was
        stored shorter, the end with more digits is what is left, or what lies between two of a kind.
        """
        lower, upper = np.maximum(self.lower, other.lower), np.minimum(self.upper, other.upper)
        nearly = (lower > upper) & (lower - upper <= _STORED * _largest(self, other))
        lower[nearly] = upper[nearly] = _finer(lower[nearly], upper[nearly])
        return Box(lower, upper, f"{self.label} & {other.label}")


def _finer(a: FloatArray, b: FloatArray) -> FloatArray:
    """Of each pair of ends the one that single precision does not hold; their middle if it holds both, or neither."""
    short_a, short_b = (end == end.astype(np.float32) for end in (a, b))
    return np.where(short_a == short_b, 0.5 * (a + b), np.where(short_a, b, a))


def _largest(*boxes: Box) -> FloatArray:
    """The largest finite bound of each sample, (sample, 1, 1)."""
    ends = [np.abs(end) for box in boxes for end in (box.lower, box.upper)]
    return np.max([np.where(np.isfinite(end), end, 0.0).max((1, 2), keepdims=True) for end in ends], axis=0)


@final
@dataclass(frozen=True, eq=False)
class Order:
    """Chains of neighbours along which the state only falls (sign −1) or only rises (+1).

    starts, stops: (chain,), parts of the state vector [start, stop); signs: (chain,).
    """

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    signs: NDArray[np.int64]
    label: str

    def violation(self, values: FloatArray) -> FloatArray:
        """The largest step in the wrong direction, (sample, t, 1), ≥ 0."""
        worst = np.zeros((*values.shape[:-1], 1))
        for start, stop, sign in zip(self.starts, self.stops, self.signs, strict=True):
            if stop - start > 1:
                steps = -sign * np.diff(values[..., start:stop], axis=-1)
                worst = np.maximum(worst, steps.max(axis=-1, keepdims=True))
        return worst

    def __and__(self, other: "Order") -> "Order":
        """Chains of both; raises `ValueError` if they share points."""
        joined = Order(
            np.concatenate([self.starts, other.starts]),
            np.concatenate([self.stops, other.stops]),
            np.concatenate([self.signs, other.signs]),
            f"{self.label} & {other.label}",
        )
        same = {*zip(joined.starts, joined.stops, joined.signs, strict=True)}
        order = sorted(same)
        if any(left[1] > right[0] for left, right in pairwise(order)):
            raise ValueError(
                f"The orders {self.label} and {other.label} are on the same points; leave one out."
            )
        starts, stops, signs = (np.array(column, dtype=np.int64) for column in zip(*order, strict=True))
        return Order(starts, stops, signs, joined.label)


@final
@dataclass(frozen=True, eq=False)
class Phases:
    """Two phases along x, one front: u ∈ [level, upper] behind it, u = lower ahead of it.

    level, lower, upper: (sample, t). On cell averages the one cell that holds the front has a value in between
    (`mixed_cell`); on nodes there is none. Values in (lower, level) do not occur otherwise.
    """

    level: FloatArray
    lower: FloatArray
    upper: FloatArray
    mixed_cell: bool
    label: str

    def violation(self, values: FloatArray) -> FloatArray:
        """The distance to the nearest two-phase profile's values, point by point, at worst, (sample, t, 1)."""
        level, lower, upper = (a[..., None] for a in (self.level, self.lower, self.upper))
        behind = values >= 0.5 * (level + lower)
        count = np.logical_and.accumulate(behind, axis=-1).sum(-1, keepdims=True)
        at = np.arange(values.shape[-1])
        first = np.maximum(np.maximum(level - values, values - upper), 0.0)
        second = np.abs(values - lower)
        between = np.maximum(np.maximum(lower - values, values - level), 0.0)
        # With a mixed cell, either the last point behind the front or the first ahead of it may be that cell.
        options = [np.where(at < count, first, second)]
        if self.mixed_cell:
            for cell in (count - 1, count):
                options.append(np.where(at == cell, between, np.where(at < cell, first, second)))
        return np.asarray(np.min([option.max(-1, keepdims=True) for option in options], axis=0))


@final
@dataclass(frozen=True, eq=False)
class Variation:
    """Total variation Σ |u[i+1] − u[i]| along chains of neighbours is at most `most`, (sample, t)."""

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    most: FloatArray
    label: str

    def measure(self, values: FloatArray) -> FloatArray:
        """The total variation of states, (sample, t)."""
        total = np.zeros(values.shape[:-1])
        for start, stop in zip(self.starts, self.stops, strict=True):
            total += np.abs(np.diff(values[..., start:stop], axis=-1)).sum(-1)
        return total

    def violation(self, values: FloatArray) -> FloatArray:
        """How much more the states vary than they may, (sample, t, 1), ≥ 0."""
        return np.maximum(self.measure(values) - self.most, 0.0)[..., None]


class Given(NamedTuple):
    """What states are, given balances and rows: means and variances, (t, n), and the rows' multipliers, (t, q)."""

    means: FloatArray
    variances: FloatArray
    multipliers: FloatArray


@final
@dataclass(frozen=True, eq=False)
class Balance:
    """Uncertain rows that couple all times of a sample: what changes between two times is what flowed.

    given: (sample, means (t, n), variances (t, n), rows beside it) → means, variances and multipliers given all of them.
    unbalanced: states (..., sample, t, n) → by how much they miss a balance at worst, (..., sample, t, 1), ≥ 0.
    """

    given: Callable[[int, FloatArray, FloatArray, Rows | None], Given]
    unbalanced: Callable[[FloatArray], FloatArray]
    label: str


@final
@dataclass(frozen=True, eq=False)
class Curved:
    """Nonlinear equalities h(u) = rhs, or h(u) ≤ rhs if `at_most`; rhs: (sample, t, q), labels: one each.

    function: states (..., sample, t, n) → (..., sample, t, q), of torch tensors, differentiable, each state by
    itself; it may know parameters of the samples, and gets all samples and times of the dataset, in their order.
    """

    function: Callable[[Tensor], Tensor]
    rhs: FloatArray
    labels: tuple[str, ...]
    at_most: bool = False


@final
@dataclass(frozen=True, eq=False)
class Evolution:
    """An equation between neighbouring times, which no state obeys to round-off: something to weigh, not to impose.

    function: states (..., t, n) and series, each (..., t, ·), broadcast → what is missed and the u_t (or what else it is to
    be small beside), both (..., t − 1, ·), of torch tensors, differentiable; it reads series alone of what samples are.
    series: what belongs to this dataset's samples and times, each (sample, t, ·).
    """

    function: Callable[[Tensor, Sequence[Tensor]], tuple[Tensor, Tensor]]
    series: tuple[FloatArray, ...]
    label: str

    def both(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What states (..., sample, t, n) of this dataset miss, and their u_t, (..., sample, t − 1, ·)."""
        found = self.function(
            torch.from_numpy(np.array(values)), [torch.from_numpy(np.array(one)) for one in self.series]
        )
        return found[0].numpy(), found[1].numpy()

    def share(self, values: FloatArray) -> float:
        """What states of this dataset miss, as a share of their u_t, both root mean square; 0 if nothing moves."""
        missed, rate = (float((found**2).mean()) for found in self.both(values))
        return float(np.sqrt(missed / rate)) if rate > 0.0 else 0.0

    def missed(self, values: FloatArray) -> FloatArray:
        """By how much states miss it at worst since the time before, (..., sample, t, 1), ≥ 0; 0 at the first time."""
        out = np.zeros((*values.shape[:-1], 1))
        out[..., 1:, 0] = np.abs(self.both(values)[0]).max(axis=-1)
        return out
