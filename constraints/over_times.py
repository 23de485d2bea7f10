"""Conditioning on balances that couple times, with rows of single times beside them."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from lawbound.constraints.conditioning import Updated
from lawbound.constraints.constraint import Admissible
from lawbound.constraints.sets import Balance, Rows
from lawbound.surrogates.covariance import Covariance, Diagonal

FloatArray = NDArray[np.float64]

_DEPENDENT = 1e-9  # of a row's own length: what is left of it beside others if it says nothing new
_STORED = 1e-6  # of its terms: what such a row may miss, values being stored in single precision


class SingleTimes(NamedTuple):
    """Rows of single times over (t, n), without those that say nothing new; where: time and row of each; shape: (t, q)."""

    weights: "sparse.csr_matrix"
    rhs: FloatArray
    noise: FloatArray
    where: tuple[NDArray[np.int64], NDArray[np.int64]]
    shape: tuple[int, int]


def given_balance(means: Tensor, covariance: Covariance, admissible: Admissible) -> Updated:
    """Means and marginal variances given a balance and the rows beside it, each draw and sample by itself.

    Correlations between points are neither used nor kept. A value that its box fixes is set, and has no variance. Raises
    `ValueError` for bounds and shapes, and for rows that contradict each other.
    """
    balance = _alone(admissible)
    u = means.detach().cpu().numpy().astype(np.float64)
    v = np.array(np.broadcast_to(covariance.variance().detach().cpu().numpy(), u.shape), dtype=np.float64)
    bound = np.zeros(u.shape[:-1])
    if admissible.box is not None:
        fixed = np.broadcast_to(admissible.box.lower == admissible.box.upper, u.shape)
        u, v = np.where(fixed, admissible.box.lower, u), np.where(fixed, 0.0, v)
        bound = fixed.mean(-1)
    q = 0 if admissible.rows is None else len(admissible.rows.labels)
    multipliers = np.zeros((*u.shape[:-1], q))
    for draw, sample in np.ndindex(*u.shape[:2]):
        found = balance.given(sample, u[draw, sample], v[draw, sample], admissible.rows)
        u[draw, sample], v[draw, sample], multipliers[draw, sample] = found
    made = (torch.from_numpy(part).to(means.device) for part in (u, v, multipliers, bound))
    new_means, new_variance, pull, on_bound = made
    return Updated(new_means, Diagonal(new_variance), pull, on_bound)


def _alone(admissible: Admissible) -> Balance:
    """The balance, if the kernel's other parts leave it alone."""
    balance, box = admissible.balance, admissible.box
    assert balance is not None
    bounded = box is not None and bool(
        (np.isfinite(box.lower) | np.isfinite(box.upper))[box.lower != box.upper].any()
    )
    shapes = (box if bounded else None, admissible.order, admissible.phases, admissible.variation)
    named = [part.label for part in shapes if part is not None]
    named += [label for part in admissible.curved for label in part.labels]
    if named:
        raise ValueError(
            f"The {balance.label} couples all times of a sample, {' & '.join(named)} holds at each time by itself, and no "
            "kernel here does both. Impose one after the other: what comes out of the balance, with the total once more, "
            "enforce(enforce(prediction, flux).prediction, conservation & bounds)."
        )
    return balance


def single_times(rows: Rows | None, sample: int, mean: FloatArray, variance: FloatArray) -> SingleTimes:
    """The rows of a sample that apply. Exact ones that depend on others, or have nothing to move, must hold, and are left out."""
    nt, n = mean.shape
    if rows is None:
        none = np.zeros(0, dtype=np.int64)
        return SingleTimes(sparse.csr_matrix((0, nt * n)), np.zeros(0), np.zeros(0), (none, none), (nt, 0))
    kept = []
    for t in range(nt):
        tolerance, rhs = rows.tolerance[sample, t], rows.rhs[sample, t]
        chosen: list[int] = []
        root = np.sqrt(variance[t])
        for row in np.flatnonzero(tolerance == 0.0):
            basis, own = rows.weights[chosen] * root, rows.weights[row] * root
            share = np.linalg.lstsq(basis.T, own, rcond=None)[0] if chosen else np.zeros(0)
            if (
                np.linalg.norm(own - share @ basis)
                > _DEPENDENT * np.linalg.norm(rows.weights[row]) * root.max()
            ):
                chosen.append(int(row))
                continue
            # Its value follows from the others' and from where nothing moves.
            left = rows.weights[row] - share @ rows.weights[chosen]
            off = left @ mean[t] - (rhs[row] - share @ rhs[chosen])
            size = (
                np.abs(rows.weights[row]) @ np.abs(mean[t]) + np.abs(rhs[row]) + np.abs(rhs).max(initial=0.0)
            )
            if abs(off) > _STORED * size:
                raise ValueError(
                    f"{rows.labels[row]} contradicts other rows, or what is fixed, at time {t} of sample {sample}, by {abs(off):.3g}; "
                    "leave one of them out."
                )
        uncertain = np.flatnonzero((tolerance > 0.0) & np.isfinite(tolerance))
        kept += [(t, row) for row in sorted([*chosen, *uncertain.tolist()])]
    times, which = (
        np.array(column, dtype=np.int64) for column in (zip(*kept, strict=True) if kept else ((), ()))
    )
    columns = times[:, None] * n + np.arange(n)
    starts = np.arange(len(times) + 1) * n
    weights = sparse.csr_matrix(
        (rows.weights[which].ravel(), columns.ravel(), starts), shape=(len(times), nt * n)
    )
    weights.eliminate_zeros()
    return SingleTimes(
        weights, rows.rhs[sample][times, which], rows.tolerance[sample][times, which] ** 2, (times, which), (nt, len(rows.labels))
    )  # fmt: skip
