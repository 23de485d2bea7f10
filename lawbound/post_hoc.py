"""A frozen surrogate told what its walls (or laws) say, through what its own errors have been.

On held-out samples a surrogate's residuals show which points err together. Where few parameters make a family, what
is known at the walls then fixes the error nearly everywhere; where many do, the residuals mislead, and a smooth lift
next to the walls is all that can be had. Which of them it is, is decided by cross-validation on the samples held out
for it, never on those that are judged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lawbound.constraints.constraint import Constraint
from lawbound.constraints.enforcement import Condition, Enforced, enforce
from lawbound.constraints.inside import Operator
from lawbound.constraints.operator import Lift
from lawbound.datasets.schema import SAMPLE
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.prediction import Prediction
from lawbound.surrogates.residual_covariance import ResidualCovariance, learn

IntArray = NDArray[np.int64]
Way = Literal["space-time", "each time", "local", "pointwise"]

#: Reaches of a local lift that are tried, in shares of the domain.
LENGTHS = (0.01, 0.03, 0.1, 0.3)


@final
@dataclass(frozen=True)
class PostHoc:
    """What was chosen, and how it did: root mean square errors of held-out samples by each way, `none` as they were."""

    constraint: Constraint
    way: Way
    errors: Mapping[str, float]
    residuals: ResidualCovariance | None = None
    length: float | None = None

    def __call__(self, prediction: Prediction) -> Enforced:
        """The prediction made lawful in the chosen way; raises what `enforce` raises."""
        match self.way:
            case "local":
                prediction = _lifted(prediction, self.constraint, self.length or LENGTHS[0])
            case "pointwise":
                pass
            case _:
                assert self.residuals is not None
                prediction = self.residuals.applied_to(prediction)
        return enforce(prediction, self.constraint, Condition())


def post_hoc(
    prediction: Prediction, truth: Tensor, constraint: Constraint, *, folds: int = 4, seed: int = 0
) -> PostHoc:
    """Choose how to impose a constraint on a frozen surrogate, from its predictions of held-out samples and the truth.

    truth: (sample, t, n). Tried are the covariance of the residuals over space and time together, the same at each
    time, local lifts of several lengths, and the prediction's own covariance; the least error on folds held
    out of these samples wins, and is learned again from all of them. Raises `ValueError` for fewer than 8 samples.
    """
    count = len(truth)
    if count < 8:
        raise ValueError(f"{count} samples to choose from; give 8 or more that training has not seen.")
    order: IntArray = np.random.default_rng(seed).permutation(count)
    parts = np.array_split(order, folds)
    ways: dict[str, Callable[[IntArray], PostHoc]] = {
        "space-time": lambda rows: _learned(prediction, truth, constraint, rows, "space-time"),
        "each time": lambda rows: _learned(prediction, truth, constraint, rows, "each time"),
        "pointwise": lambda rows: PostHoc(constraint, "pointwise", {}),
        **{f"local {length:g}": _local(constraint, length) for length in LENGTHS},
    }
    errors = {"none": float((prediction.mean - truth).square().mean().sqrt())}
    for name, way in ways.items():
        off = 0.0
        for part in parts:
            rest = np.setdiff1d(order, part)
            mean = way(rest)(_some(prediction, part)).prediction.mean
            off += float((mean - truth[part]).square().sum())
        errors[name] = float(np.sqrt(off / truth.numel()))
    best = min(ways, key=lambda name: errors[name])
    return replace(ways[best](order), errors=errors)


def _local(constraint: Constraint, length: float) -> Callable[[IntArray], PostHoc]:
    return lambda rows: PostHoc(constraint, "local", {}, length=length)


def _learned(
    prediction: Prediction, truth: Tensor, constraint: Constraint, rows: IntArray, way: Way
) -> PostHoc:
    residuals = (truth - prediction.mean)[np.sort(rows)]
    found = learn(residuals, over="tx" if way == "space-time" else "x")
    return PostHoc(constraint, way, {}, residuals=found)


def _lifted(prediction: Prediction, constraint: Constraint, length: float) -> Prediction:
    """The same with each draw's mean lifted next to where the conditions are."""
    series, tables = Operator(constraint).read(prediction.inputs, prediction.fields)
    rows, *axes = tables[0], *tables[2:]
    values = bool(((rows != 0.0).sum(-1) == 1).all())
    spans = [float(axis[-1] - axis[0]) for axis in axes]
    lift = Lift(
        spans, len(prediction.fields), kernel="exponential" if values else "matern-5/2", length=length
    )
    with torch.no_grad():
        means = lift(prediction.means, series, tables)
    return replace(prediction, means=means)


def _some(prediction: Prediction, rows: IntArray) -> Prediction:
    """These samples, draws pooled and points independent."""
    inputs = prediction.inputs.isel({SAMPLE: rows})
    variance = Diagonal(prediction.variance[rows][None])
    return Prediction(prediction.mean[rows][None], variance, inputs, prediction.fields)
