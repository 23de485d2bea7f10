"""How a constraint is imposed on a prediction, and what that did."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lawbound.constraints.admissible import nearest_admissible
from lawbound.constraints.applicability import require
from lawbound.constraints.automatic import Automatic
from lawbound.constraints.conditioning import UnreachableError, Updated, condition
from lawbound.constraints.constraint import Admissible, Constraint, widened
from lawbound.constraints.displacement import Displace, UnbracketedError
from lawbound.constraints.fixed import fixed_as_rows
from lawbound.constraints.over_times import given_balance
from lawbound.constraints.projection import InfeasibleError
from lawbound.constraints.retraction import Pushed, moved
from lawbound.constraints.sets import Box
from lawbound.constraints.target import Target
from lawbound.constraints.truncation import truncated
from lawbound.datasets import schema
from lawbound.surrogates.covariance import Covariance, Diagonal
from lawbound.surrogates.low_rank import DiagonalLowRank
from lawbound.surrogates.prediction import Prediction

FloatArray = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Report:
    """What enforcement did to a prediction's mean.

    residual_before, residual_after: (sample, t, label), a law's G u − b, a bound's largest violation. multipliers:
    (sample, t, row) of the linear rows and, behind them, the curved ones; averaged over draws, they say which law
    was broken, where and how hard it had to be pushed. bound: share of points on a bound, (sample, t). moved: root
    mean square change of the mean, (sample, t). inputs: the variables of the dataset that were used.
    """

    constraint: str
    how: str
    labels: tuple[str, ...]
    inputs: tuple[str, ...]
    residual_before: FloatArray
    residual_after: FloatArray
    multipliers: FloatArray
    bound: FloatArray
    moved: FloatArray

    def __str__(self) -> str:
        before, after = (
            np.abs(residual).max(initial=0.0) for residual in (self.residual_before, self.residual_after)
        )
        return (
            f"{self.constraint} by {self.how}: residual {before:.3g} → {after:.3g}, "
            f"mean moved by {self.moved.mean():.3g} (rms)"
        )


class Enforced(NamedTuple):
    """A lawful prediction and the report of how it came about."""

    prediction: Prediction
    report: Report


class Enforcement(Protocol):
    """A way to impose a constraint on means and covariance together."""

    @property
    def name(self) -> str:
        """As on the command line."""
        ...

    def __call__(self, means: Tensor, covariance: Covariance, admissible: Admissible) -> Updated:
        """New means (draw, sample, t, n), covariance, multipliers and share of points on bounds."""
        ...


@final
@dataclass(frozen=True)
class Condition:
    """Update in the covariance's metric (ProbConserv): moves the mean where it is unsure.

    Rows alone, with power 1: the Bayesian update, for any covariance; the rows' tolerance is σ_G, and `relative`
    adds (relative · standard deviation of G u)² to its square, a scale that fits every problem. Both 0: exact.

    Values fixed at points (walls, initial states) are rows, too, where points are correlated: then they move what is
    around them.

    Bounds and shapes: mean and samples each become the nearest admissible state in the metric D + U Uᵀ of a
    diagonal covariance with or without factors; of other covariances the metric is their diagonal. Samples so
    moved may lie on bounds together. With inequalities="truncated" the law is instead the Gaussian given that the state
    obeys (rows and bounds only): none of its samples lies on a bound, and its mean is not the nearest state but the
    average one. Each latent draw is truncated by itself and keeps its weight.

    power: p < 1 tempers the metric to D^p, between this (1) and `Project(distance="points")` (0), where a surrogate is too sure of
    where its error is.
    """

    relative: float = 0.0
    power: float = 1.0
    inequalities: Literal["projected", "truncated"] = "projected"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.relative) and self.relative >= 0.0):
            raise ValueError(
                f"`Condition` got relative={self.relative}; give a number ≥ 0 (0 means exactly)."
            )
        if not 0.0 <= self.power <= 1.0:
            raise ValueError(f"`Condition` got power={self.power}; give a number from 0 to 1.")
        if self.inequalities not in ("projected", "truncated"):
            raise ValueError(
                f"`Condition` got inequalities={self.inequalities!r}; give `projected` or `truncated`."
            )
        if self.inequalities == "truncated" and self.power != 1.0:
            raise ValueError("`Condition` truncates the prediction's own law; leave power at 1.")

    @property
    def name(self) -> str:
        """`condition`."""
        return "condition"

    def __call__(self, means: Tensor, covariance: Covariance, admissible: Admissible) -> Updated:
        """See the class."""
        if admissible.balance is not None:
            if self != Condition():
                raise ValueError(f"{admissible.balance.label} takes `condition` without options.")
            return given_balance(means, covariance, admissible)
        if self.power == 1.0 and not isinstance(covariance, Pushed | Diagonal):
            told = fixed_as_rows(admissible)
            if admissible.box is not None and told.linear:
                return self._with_fixed(means, covariance, admissible, admissible.box, told)
        onto = Target.of(admissible, means.device)
        if (
            onto.rows is not None
            and admissible.linear
            and self.power == 1.0
            and not isinstance(covariance, Pushed)
        ):
            rows = onto.rows
            return condition(means, covariance, rows.weights, rows.rhs, rows.noise.sqrt(), self.relative)
        metric, factors = metric_of(covariance)
        if onto.rows is not None and self.relative > 0.0:
            weights = onto.rows.weights
            spread = metric @ weights.square().mT
            if factors is not None:
                spread = spread + (weights @ factors).square().sum(-1)
            noise = onto.rows.noise + self.relative**2 * spread.mean(0)
            onto = Target(onto.rows._replace(noise=noise), *onto.others())
        if self.inequalities == "truncated":
            law = truncated(means, metric, onto, factors)
            found = nearest_admissible(means, metric, onto, factors)
            return Updated(law.means, law, found.multipliers, torch.zeros_like(found.bound))
        if self.power != 1.0:
            metric, factors = metric**self.power, None
        return moved(means, covariance, admissible, onto, metric, factors)

    def _with_fixed(
        self, means: Tensor, covariance: Covariance, admissible: Admissible, box: Box, told: Admissible
    ) -> Updated:
        """Fixed values told to all points that are correlated with them; reported as the box that they are."""
        updated = self(means, covariance, told)
        laws = 0 if admissible.rows is None else len(admissible.rows.labels)
        fixed = torch.from_numpy((box.lower == box.upper).mean(-1)).to(means.device)
        return updated._replace(
            multipliers=updated.multipliers[..., :laws], bound=fixed.expand(means.shape[:-1])
        )


@final
@dataclass(frozen=True)
class Project:
    """Orthogonal projection (HardC for one law): spreads the correction evenly, whatever the covariance says.

    distance: `integral` is ∫ (u − v)² dx by the dataset's quadrature, so that a law on ∫ u dx moves all points alike,
    on any grid; `points`, as published, is Σ (u_i − v_i)², which follows the weights: little at ends that stand for half a cell,
    back and forth where a rule of high order alternates. Both are the same on equal cells.
    tolerance: `ignored`, as HardC has none: rows are exact whatever theirs is. `honoured`: the nearest state with
    |G u − b| ≤ tolerance, so that what holds within it is left alone; beside rows for bounds and orders.
    covariance: `moved` projects samples as well as the mean, so that both obey; `kept` leaves the covariance as it
    was, as published, and samples do not obey.
    """

    covariance: Literal["moved", "kept"] = "moved"
    tolerance: Literal["ignored", "honoured"] = "ignored"
    distance: Literal["integral", "points"] = "integral"

    def __post_init__(self) -> None:
        if self.distance not in ("integral", "points"):
            raise ValueError(f"`Project` got distance={self.distance!r}; give `integral` or `points`.")
        if self.tolerance not in ("ignored", "honoured"):
            raise ValueError(f"`Project` got tolerance={self.tolerance!r}; give `ignored` or `honoured`.")
        if self.covariance not in ("moved", "kept"):
            raise ValueError(f"`Project` got covariance={self.covariance!r}; give `moved` or `kept`.")

    @property
    def name(self) -> str:
        """`project`."""
        return "project"

    def __call__(self, means: Tensor, covariance: Covariance, admissible: Admissible) -> Updated:
        """See the class."""
        onto = Target.of(admissible, means.device)
        if onto.rows is not None:
            exact = torch.where(torch.isfinite(onto.rows.noise), 0.0, torch.inf)
            slab = self._slab(admissible, onto.rows.noise)
            onto = replace(onto, rows=onto.rows._replace(noise=exact), slab=slab)
        updated = moved(means, covariance, admissible, onto, self._metric(means, admissible), None)
        return updated if self.covariance == "moved" else updated._replace(covariance=covariance)

    def _metric(self, means: Tensor, admissible: Admissible) -> Tensor:
        """The inverse of the distance's weights, 1 on average; a rule with weights that are not positive is no distance."""
        w = admissible.measure
        if self.distance == "points" or w is None or not (w > 0.0).all():
            return torch.ones_like(means)
        return torch.from_numpy(w.mean() / w).to(means).expand_as(means)

    def _slab(self, admissible: Admissible, noise: Tensor) -> Tensor | None:
        if self.tolerance == "ignored" or not bool((torch.isfinite(noise) & (noise > 0.0)).any()):
            return None
        if admissible.phases is not None or admissible.variation is not None or admissible.curved:
            raise ValueError(
                '`Project(tolerance="honoured")` is for rows, bounds and orders; with two phases, limits on variation or '
                'curved equalities leave it at "ignored", or use `condition`.'
            )
        return torch.where(torch.isfinite(noise), noise, 0.0).sqrt()


def metric_of(covariance: Covariance) -> tuple[Tensor, Tensor | None]:
    """Diagonal and factors of the metric that goes with a covariance; its own diagonal unless it has that form."""
    if isinstance(covariance, Diagonal):
        return covariance.values, None
    if isinstance(covariance, DiagonalLowRank) and not covariance.couples_times:
        return covariance.values, covariance.factors
    return covariance.variance(), None


#: The enforcements that can be named.
ENFORCEMENTS: dict[str, Callable[..., Enforcement]] = {
    "condition": Condition,
    "project": Project,
    "displace": Displace,
    "auto": Automatic,
}


def enforcement(how: str | Enforcement) -> Enforcement:
    """The enforcement of that name, with its own choices; raises `ValueError` for an unknown one."""
    return enforcement_class(how)() if isinstance(how, str) else how


def enforcement_class(name: str) -> Callable[..., Enforcement]:
    """What makes enforcements of that name; raises `ValueError` for an unknown one."""
    if name not in ENFORCEMENTS:
        raise ValueError(
            f"`{name}` is not an enforcement; there are {', '.join(ENFORCEMENTS)}, and in training operator and penalty."
        )
    return ENFORCEMENTS[name]


def enforce(prediction: Prediction, constraint: Constraint, how: str | Enforcement = "condition") -> Enforced:
    """Make a prediction obey a constraint, each latent draw by itself; right-hand sides come from its inputs.

    Raises `ValueError` if the inputs lack what the constraint needs, if it is none for this enforcement (see
    `applicability`), or if it cannot be met.
    """
    chosen = enforcement(how)
    admissible = widened(constraint.on(prediction.inputs), prediction.fields)
    require(admissible, chosen.name, f"`{constraint.name}`")
    try:
        updated = chosen(prediction.means, prediction.covariance, admissible)
    except UnreachableError as error:
        raise ValueError(_unreachable(constraint, admissible, prediction, error)) from None
    except InfeasibleError as error:
        raise ValueError(_infeasible(constraint, admissible, prediction, error)) from None
    except UnbracketedError as error:
        raise ValueError(_unbracketed(constraint, admissible, prediction, error)) from None
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
        bound=updated.bound.mean(0).numpy(),
        moved=np.sqrt(((after - before) ** 2).mean(axis=-1)),
    )
    return Enforced(lawful, report)


def _unreachable(
    constraint: Constraint, admissible: Admissible, prediction: Prediction, error: UnreachableError
) -> str:
    _, sample, time, row = error.index
    return (
        f"`{constraint.name}` ({admissible.labels[row]}) is off by {error.residual:.3g} for "
        f"{_place(prediction, sample, time)}, where the prediction has no variance to move it. Give the prediction a "
        "positive variance there, or use `project`."
    )


def _infeasible(
    constraint: Constraint, admissible: Admissible, prediction: Prediction, error: InfeasibleError
) -> str:
    _, sample, time = error.index
    proof = [
        f"{weight:.3g} × ({label})"
        for label, weight in zip(admissible.labels, error.certificate.tolist(), strict=False)
        if weight != 0.0
    ]
    limits = [
        part.label for part in (admissible.box, admissible.order, admissible.phases) if part is not None
    ]
    within = f" within {' & '.join(limits)}" if limits else ""
    return (
        f"`{constraint.name}` cannot hold for {_place(prediction, sample, time)}: no state{within} has "
        f"{' + '.join(proof)} as asked for, or the prediction has no variance to move there. Check the right-hand "
        "sides, or leave out one of the constraints that contradict each other."
    )


def _unbracketed(
    constraint: Constraint, admissible: Admissible, prediction: Prediction, error: UnbracketedError
) -> str:
    _, sample, time = error.index
    return (
        f"`{constraint.name}` ({admissible.labels[error.row]} = {error.wanted:.6g}) cannot be met for "
        f"{_place(prediction, sample, time)} by moving the profile: it reaches {error.least:.6g} to {error.most:.6g}. "
        'Use `Displace(otherwise="nearest")`, or `condition`.'
    )


def _place(prediction: Prediction, sample: int, time: int) -> str:
    number = int(prediction.inputs[schema.SAMPLE].values[sample])
    return f"sample {number} at t={float(prediction.inputs[schema.TIME].values[time]):.4g}"
