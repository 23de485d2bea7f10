"""Calibration that keeps laws: after enforcement the spread is scaled within what the laws leave free.

Scaling before enforcement would not do: what is calibrated must be what is used. A covariance that is null on the
rows stays so when multiplied by s²; samples moved onto bounds are moved again, from a wider or narrower law. So
calibrated predictions obey as exactly as before.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from lawbound.constraints.admissible import nearest_admissible
from lawbound.constraints.retraction import Pushed
from lawbound.constraints.sampled import Sampled
from lawbound.constraints.scaled import Scaled
from lawbound.surrogates.covariance import Conditioned, Covariance, Diagonal
from lawbound.surrogates.low_rank import DiagonalLowRank
from lawbound.surrogates.prediction import Prediction

FloatArray = NDArray[np.float64]

_STEPS = 30  # of a bisection of log s
_WIDEST = 1e3
#: Points whose standard deviation is this share of the largest one are known: they are neither covered nor not.
KNOWN = 1e-6


@final
@dataclass(frozen=True, eq=False)
class Scale:
    """By what the standard deviations are multiplied. values: (t,), or (1,) for all times."""

    values: FloatArray
    how: str
    samples: int

    def at(self, times: int) -> FloatArray:
        """For that many times; raises `ValueError` if it was made for another number of them."""
        if len(self.values) not in (1, times):
            raise ValueError(
                f"This scale is for {len(self.values)} times, the prediction has {times}; calibrate at the times that "
                "are predicted, or all times at once."
            )
        return np.broadcast_to(self.values, (times,))


def calibrated(prediction: Prediction, scale: Scale | float) -> Prediction:
    """The prediction with all deviations from its mean multiplied by the scale, laws kept.

    Deviations within draws and between them. Raises `ValueError` for predictions known by their samples only, except
    those moved onto their set, and for scales that are not positive.
    """
    times = prediction.means.shape[-2]
    values = scale.at(times) if isinstance(scale, Scale) else np.full(times, float(scale))
    if not (np.isfinite(values) & (values > 0.0)).all():
        raise ValueError(f"A scale got {values.min():g} to {values.max():g}; give finite numbers above 0.")
    s = torch.from_numpy(np.array(values))
    covariance = prediction.covariance

    def stretched(states: Tensor) -> Tensor:
        middle = states.mean(0, keepdim=True)
        return states if len(states) == 1 else middle + s.unsqueeze(-1) * (states - middle)

    if isinstance(covariance, Pushed):
        start = stretched(covariance.start)
        base = Scaled(covariance.base, s)
        # The nearest state does not depend on the metric's scale, and each time has its own.
        means = (
            covariance.means
            if len(start) == 1
            else nearest_admissible(start, covariance.metric, covariance.onto, covariance.factors).values
        )
        after: Covariance = Pushed(base, start, means, covariance.metric, covariance.factors, covariance.onto)
        return Prediction(means, after, prediction.inputs, prediction.fields)
    if isinstance(covariance, Sampled):
        raise ValueError(
            "The law of this prediction is known by its samples only, and a scaled sample may leave its bounds; "
            'calibrate what `Condition(inequalities="projected")` or rows alone have made.'
        )
    return Prediction(
        stretched(prediction.means), Scaled(covariance, s), prediction.inputs, prediction.fields
    )


def conformal_scale(
    prediction: Prediction, truth: FloatArray, *, level: float = 0.95, per_time: bool = False
) -> Scale:
    """The least scale at which intervals mean ± z σ cover the share `level` of points of a *new* sample, expected.

    prediction: enforced, on a calibration split of N samples that nothing was fitted to; truth: (sample, t, n). The
    share that is missed has to be at most α − (1 − α)/N on the split, α = 1 − level: then a sample exchangeable with
    them is missed by at most α on average, whatever the law (Angelopoulos et al., "Conformal risk control", ICLR
    2024, arXiv:2208.02814, theorem 1). Raises `ValueError` where N is too small for that.
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"`conformal_scale` got level={level}; give one between 0 and 1.")
    samples, alpha = prediction.means.shape[1], 1.0 - level
    allowed = alpha - (1.0 - alpha) / samples
    if allowed < 0.0:
        need = math.ceil((1.0 - alpha) / alpha)
        raise ValueError(
            f"{samples} calibration samples cannot promise to cover {level:g}; give at least {need}, or a lower level."
        )
    z = float(ndtri(1.0 - alpha / 2.0))

    def needed(ratios: FloatArray) -> float:
        """The quantile that leaves at most the allowed share above."""
        return float(np.sort(ratios)[len(ratios) - 1 - math.floor(allowed * len(ratios) + 1e-9)]) / z

    if isinstance(prediction.covariance, Pushed):
        if per_time:
            raise ValueError("Scales for each time need a covariance that scales; give per_time=False.")

        def missed(s: float) -> float:
            return float((_ratios(calibrated(prediction, s), truth, False)[0] > z).mean())

        values = np.array([_least(missed, allowed)])
    else:
        values = np.array([needed(ratios) for ratios in _ratios(prediction, truth, per_time)])
    return Scale(np.maximum(values, KNOWN), f"conformal at {level:g}", samples)


def likelihood_scale(prediction: Prediction, truth: FloatArray, *, per_time: bool = False) -> Scale:
    """s² = mean of (u − mean)² / σ² over samples and points: the most likely scale of independent Gaussians."""
    values = np.array([np.sqrt((ratios**2).mean()) for ratios in _ratios(prediction, truth, per_time)])
    return Scale(np.maximum(values, KNOWN), "likelihood", prediction.means.shape[1])


def _least(missed: Callable[[float], float], allowed: float) -> float:
    """The least scale that misses no more than allowed, by bisection of log s; it only falls."""
    low, high = 1.0 / _WIDEST, _WIDEST
    if missed(high) > allowed:
        raise ValueError(
            f"Even {_WIDEST:g} times wider the prediction does not cover what is asked for: bounds or rows that the truth "
            "breaks keep it away. Check the constraint against the data."
        )
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if missed(middle) <= allowed else (middle, high)
        if high < 1.001 * low:
            break
    return high


def _ratios(prediction: Prediction, truth: FloatArray, per_time: bool) -> list[FloatArray]:
    """|u − mean| / σ of the points that are not known, together or time by time; 1 where there are none."""
    mean, std = prediction.mean.numpy(), prediction.std.numpy()
    if truth.shape != mean.shape:
        raise ValueError(
            f"The truth has shape {truth.shape}, the prediction {mean.shape}; give (sample, t, n)."
        )
    if not np.isfinite(truth).all():
        raise ValueError("The truth is not finite; leave these samples or times out.")
    unknown = std > KNOWN * std.max(initial=0.0)
    if not unknown.any():
        raise ValueError("The prediction has no variance anywhere; there is nothing to scale.")
    ratios = np.abs(truth - mean) / np.where(unknown, std, 1.0)
    if not per_time:
        return [ratios[unknown]]
    each = [ratios[:, t][unknown[:, t]] for t in range(ratios.shape[1])]
    return [found if len(found) else np.ones(1) for found in each]


def covered(prediction: Prediction, truth: FloatArray, *, level: float = 0.95) -> FloatArray:
    """The share of unknown points within mean ± z σ, (sample,)."""
    std = prediction.std.numpy()
    unknown = std > KNOWN * std.max(initial=0.0)
    inside = np.abs(truth - prediction.mean.numpy()) <= float(ndtri(0.5 + level / 2.0)) * std
    count = np.maximum(unknown.sum((-2, -1)), 1)
    return np.asarray((inside & unknown).sum((-2, -1)) / count)


def log_density_on_rows(covariance: Covariance, deviations: Tensor) -> Tensor:
    """log density of u − mean on the states that rows allow, over all times, (...,): log N(e; 0, Σ) − log N(G e; 0, G Σ Gᵀ).

    In the measure of the (n − q)-dimensional plane, per time: −½ [(n − q) log 2π + log pdet Σ̃ + eᵀ Σ̃⁺ e], with
    log pdet Σ̃ = log|Σ| + log|G Gᵀ| − log|G Σ Gᵀ| and eᵀ Σ̃⁺ e = eᵀ Σ⁻¹ e on it. Deviations off the plane count by
    their nearest state on it. covariance: exactly conditioned, of a diagonal with or without factors, or scaled.
    Raises `ValueError` for others, and for rows that repeat each other.
    """
    if isinstance(covariance, Scaled):
        s = covariance.factor.unsqueeze(-1)
        free = deviations.shape[-1] - len(_conditioned(covariance.base).weights)
        density = log_density_on_rows(covariance.base, deviations / s)
        return density - free * covariance.factor.log().sum()
    conditioned = _conditioned(covariance)
    base, weights = conditioned.base, conditioned.weights
    gram = weights @ weights.mT
    if torch.linalg.matrix_rank(gram, rtol=1e-12) < len(weights):
        raise ValueError("Rows that repeat each other have no density on them; leave one out.")
    onto = torch.linalg.solve(gram, deviations @ weights.mT, left=False)
    e = deviations - onto @ weights
    if isinstance(base, Diagonal):
        two_pi = math.log(2.0 * math.pi)
        whole = -0.5 * (e.square() / base.values + base.values.log() + two_pi).sum((-2, -1))
    else:
        assert isinstance(base, DiagonalLowRank)
        whole = base.log_density(e)
    factor, times, q = conditioned.factor, e.shape[-2], len(weights)
    seen = torch.diagonal(factor, dim1=-2, dim2=-1).log().sum((-2, -1)) + 0.5 * times * q * math.log(
        2.0 * math.pi
    )
    return whole + seen - 0.5 * times * torch.linalg.slogdet(gram)[1]


def _conditioned(covariance: Covariance) -> Conditioned:
    if (
        not isinstance(covariance, Conditioned)
        or not isinstance(covariance.base, Diagonal | DiagonalLowRank)
        or bool(covariance.noise.any())
    ):
        raise ValueError(
            f"The density on rows is known for exact rows on a diagonal covariance with or without factors, not for "
            f"{type(covariance).__name__}; use `Prediction.log_density`, which is marginal."
        )
    return covariance
