"""From a prediction with labels to the arrays that scores see."""

import math

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from lawbound.constraints.calibration import log_density_on_rows
from lawbound.constraints.scaled import Scaled
from lawbound.datasets import schema
from lawbound.evidence import Array
from lawbound.score import NotApplicable, Outcome
from lawbound.scores import VARIANCE_FLOOR
from lawbound.surrogates.covariance import Conditioned, Covariance, Diagonal
from lawbound.surrogates.low_rank import DiagonalLowRank
from lawbound.surrogates.prediction import Prediction


def outcome_of(prediction: Prediction, shown: xr.Dataset, now: int, seed: int) -> Outcome:
    """A prediction of the samples in `shown`, at all its times, as a score sees it; `now` is the time of interest."""
    layout = prediction.layout
    space = (len(layout.fields), *layout.shape)
    means, variances = prediction.mean.numpy(), prediction.variance.numpy()
    truth = layout.state(shown)

    def arranged(states: Array) -> Array:
        return states.reshape(*states.shape[:-1], *space)

    return Outcome(
        mean=arranged(means[:, now]),
        variance=arranged(variances[:, now]),
        truth=arranged(truth[:, now]),
        means=arranged(means),
        fields=layout.fields,
        data=shown,
        now=now,
        draw=lambda count: arranged(prediction.sample(count, seed=seed)[:, :, now].numpy()),
        log_density=lambda: joint_log_density(prediction, truth),
    )


def joint_log_density(prediction: Prediction, truth: Array) -> Array:
    """log of the mixture's joint density at the truth (sample, t, n), over all times, per degree of freedom; (sample,).

    Rows that hold exactly take their degrees of freedom away: the density is that on the plane which they leave.
    Raises `NotApplicable` for covariances that have no density, such as samples moved onto bounds.
    """
    deviations = torch.from_numpy(np.ascontiguousarray(truth)) - prediction.means
    try:
        densities, rows = _log_densities(prediction.covariance, deviations)
    except ValueError as error:
        raise NotApplicable(str(error).rstrip(".")) from None
    mixed = torch.logsumexp(densities, dim=0) - math.log(len(densities))
    times, n = deviations.shape[-2:]
    return np.asarray((mixed / (times * (n - rows))).numpy())


def _log_densities(covariance: Covariance, deviations: Tensor) -> tuple[Tensor, int]:
    """(draw, sample), and how many rows are held exactly."""
    if isinstance(covariance, Diagonal):
        variance = covariance.values.clamp_min(VARIANCE_FLOOR)
        each = deviations.square() / variance + variance.log() + math.log(2.0 * math.pi)
        return -0.5 * each.sum((-2, -1)), 0
    if isinstance(covariance, DiagonalLowRank):
        return covariance.log_density(deviations), 0
    inner = covariance.base if isinstance(covariance, Scaled) else covariance
    rows = len(inner.weights) if isinstance(inner, Conditioned) else 0
    return log_density_on_rows(covariance, deviations), rows


def law_variable(data: xr.Dataset, law: str, what: str) -> Array | None:
    """`law_<id>_<what>` of a dataset, (sample, t), None where it carries none."""
    name = schema.law_variable(law, what)
    return np.asarray(data[name].values, dtype=np.float64) if name in data else None
