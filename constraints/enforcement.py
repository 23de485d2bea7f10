"""How a constraint is imposed on a prediction, and what that did."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lawbound.constraints.conditioning import UnreachableError, Updated, condition, project
from lawbound.constraints.constraint import Admissible, Constraint, widened
from lawbound.datasets import schema
from lawbound.surrogates.covariance import Covariance
from lawbound.surrogates.prediction import Prediction

FloatArray = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Report:
    """What enforcement did to a prediction's mean.

    residual_before, residual_after, multipliers: (sample, t, row); the multipliers, averaged over draws, say
    which law was broken, where and how hard it had to be pushed. moved: root mean square change of the mean,
    (sample, t). inputs: the variables of the dataset that were used.
    """

    constraint: str
    how: str
    labels: tuple[str, ...]
    inputs: tuple[str, ...]
    residual_before: FloatArray
    residual_after: FloatArray
    multipliers: FloatArray
    moved: FloatArray

    def __str__(self) -> str:
        return (
            f"{self.constraint} by {self.how}: residual {np.abs(self.residual_before).max():.3g} → "
            f"{np.abs(self.residual_after).max():.3g}, mean moved by {self.moved.mean():.3g} (rms)"
        )


class Enforced(NamedTuple):
    """A lawful prediction and the report of how it came about."""

    prediction: Prediction
    report: Report


class Enforcement(Protocol):
    """A way to impose linear rows on means and covariance together."""

    @property
    def name(self) -> str:
        """As on the command line."""
        ...

    def __call__(
        self, means: Tensor, covariance: Covariance, weights: Tensor, rhs: Tensor, sigma: Tensor
    ) -> Updated:
        """New means, covariance and multipliers; shapes as in `projection`."""
        ...


@final
@dataclass(frozen=True)
class Condition:
    """Bayesian update in the covariance's metric (ProbConserv): moves the mean where it is unsure.

    The rows' tolerance is σ_G; `relative` adds (relative · standard deviation of G u)² to its square, a scale
    that fits every problem. Both 0: exact.
    """

    relative: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.relative) and self.relative >= 0.0):
            raise ValueError(
                f"`Condition` got relative={self.relative}; give a number ≥ 0 (0 means exactly)."
            )

    @property
    def name(self) -> str:
        """`condition`."""
        return "condition"

    def __call__(
        self, means: Tensor, covariance: Covariance, weights: Tensor, rhs: Tensor, sigma: Tensor
    ) -> Updated:
        """See `projection.condition`."""
        return condition(means, covariance, weights, rhs, sigma, self.relative)


@final
@dataclass(frozen=True)
class Project:
    """Orthogonal projection of the mean (HardC): spreads the correction evenly and keeps the covariance.

    It is exact whatever the rows' tolerance. Samples of the result do not obey the law; those of `Condition` do.
    """

    @property
    def name(self) -> str:
        """`project`."""
        return "project"

    def __call__(
        self, means: Tensor, covariance: Covariance, weights: Tensor, rhs: Tensor, sigma: Tensor
    ) -> Updated:
        """See `projection.project`."""
        return project(means, covariance, weights, rhs)


#: The enforcements that can be named.
ENFORCEMENTS: dict[str, Callable[[], Enforcement]] = {"condition": Condition, "project": Project}


def enforcement(how: str | Enforcement) -> Enforcement:
    """The enforcement of that name; raises `ValueError` for an unknown one."""
    if not isinstance(how, str):
        return how
    if how not in ENFORCEMENTS:
        raise ValueError(f"`{how}` is not an enforcement; there are {', '.join(ENFORCEMENTS)}.")
    return ENFORCEMENTS[how]()


def enforce(prediction: Prediction, constraint: Constraint, how: str | Enforcement = "condition") -> Enforced:
    """Make a prediction obey a constraint, each latent draw by itself; right-hand sides come from its inputs.

    Raises `ValueError` if the inputs lack what the constraint needs, or if it cannot be met.
    """
    chosen = enforcement(how)
    admissible = widened(constraint.on(prediction.inputs), prediction.fields)
    if admissible.rows is None or not admissible.linear:
        raise ValueError(
            f"`{constraint.name}` has more than linear rows, which `{chosen.name}` needs; use another enforcement."
        )
    rows = admissible.rows
    weights, rhs, sigma = (
        torch.from_numpy(np.ascontiguousarray(a)) for a in (rows.weights, rows.rhs, rows.tolerance)
    )
    try:
        updated = chosen(prediction.means, prediction.covariance, weights, rhs, sigma)
    except UnreachableError as error:
        raise ValueError(_unreachable(constraint, admissible, prediction, error)) from None
    lawful = Prediction(updated.means, updated.covariance, prediction.inputs, prediction.fields)
    before, after = prediction.mean.numpy(), lawful.mean.numpy()
    report = Report(
        constraint=constraint.name,
        how=chosen.name,
        labels=admissible.labels,
        inputs=constraint.inputs,
        residual_before=admissible.residual(before),
        residual_after=admissible.residual(after),
        multipliers=updated.multipliers.mean(0).numpy(),
        moved=np.sqrt(((after - before) ** 2).mean(axis=-1)),
    )
    return Enforced(lawful, report)


def _unreachable(
    constraint: Constraint, admissible: Admissible, prediction: Prediction, error: UnreachableError
) -> str:
    _, sample, time, row = error.index
    return (
        f"`{constraint.name}` ({admissible.labels[row]}) is off by {error.residual:.3g} for sample "
        f"{int(prediction.inputs[schema.SAMPLE].values[sample])} at t={float(prediction.inputs[schema.TIME].values[time]):.4g}, where the "
        "prediction has no variance to move it. Give the prediction a positive variance there, or use `project`."
    )
