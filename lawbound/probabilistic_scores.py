"""Proper scores and calibration of whole distributions: ensembles, joint scores, widths, ranks.

Members are (member, sample, n), truths (sample, n). `fair` estimators are unbiased for any number of members and
compare ensembles of different sizes; `biased` ones treat the members as the whole distribution. They differ by a
factor of up to m / (m − 1) in the spread, so each says which it is.
"""

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from lawbound.scores import VARIANCE_FLOOR

Array = NDArray[np.float64]
Estimator = Literal["fair", "biased"]

#: Probabilities at which RMSCE compares quantiles with frequencies.
RMSCE_LEVELS = np.linspace(0.0, 1.0, 11)


def _pairs(m: int, estimator: Estimator) -> int:
    if estimator == "fair" and m < 2:
        raise ValueError(f"A fair score got {m} member(s); it needs at least 2.")
    return m * (m - 1) if estimator == "fair" else m * m


def ensemble_crps(members: Array, truth: Array, *, estimator: Estimator = "fair") -> Array:
    """CRPS E|X − y| − ½ E|X − X′| of each entry, from sorted members in O(m log m); members (member, …), truth (…).

    Gneiting and Raftery, J. Am. Stat. Assoc. 2007, eq. 21; fair: C. Ferro, Q. J. R. Meteorol. Soc. 2014.
    """
    m = len(members)
    ordered = np.sort(members, axis=0)
    # Σ_{i<j} (x_j − x_i) = Σ_i (2i − m + 1) x_i for ordered x, i from 0.
    ranks = 2.0 * np.arange(m) - m + 1
    spread = np.tensordot(ranks, ordered, axes=1) / _pairs(m, estimator)
    return np.asarray(np.abs(members - truth).mean(axis=0) - spread)


def energy_score(members: Array, truth: Array, *, estimator: Estimator = "fair") -> Array:
    """Energy score E‖X − y‖ − ½ E‖X − X′‖, the CRPS of whole fields; (sample,).

    Gneiting and Raftery 2007, eq. 22, β = 1. Pairs are taken one member against the others: no (member, member, n).
    """
    m = len(members)
    near = np.linalg.norm(members - truth, axis=-1).mean(axis=0)
    apart = sum(
        (np.linalg.norm(members[i + 1 :] - members[i], axis=-1).sum(axis=0) for i in range(m - 1)),
        start=np.zeros(len(truth)),
    )
    return np.asarray(near - apart / _pairs(m, estimator))


def variogram_score(
    members: Array, truth: Array, *, power: float = 0.5, lags: Iterable[int] | None = None
) -> Array:
    """Variogram score Σ_{i≠j} (|y_i − y_j|^p − E|X_i − X_j|^p)² along the last axis; (sample,).

    lags: distances |i − j| that count, all of them if not given; weights outside are zero. It sees correlations that
    the energy score hardly does. Scheuerer and Hamill, Mon. Weather Rev. 2015, eq. 11.
    """
    total = np.zeros(truth.shape[:-1])
    for lag in range(1, truth.shape[-1]) if lags is None else lags:
        seen = np.abs(truth[..., lag:] - truth[..., :-lag]) ** power
        expected = (np.abs(members[..., lag:] - members[..., :-lag]) ** power).mean(axis=0)
        total += 2.0 * ((seen - expected) ** 2).sum(axis=-1)  # (i, j) and (j, i)
    return total


def interval_width(variance: Array, *, level: float = 0.95) -> Array:
    """Mean width 2 z σ of central Gaussian intervals over the last axis; (sample,)."""
    return np.asarray((2.0 * ndtri(0.5 + 0.5 * level) * np.sqrt(variance)).mean(axis=-1))


def interval_score(mean: Array, variance: Array, truth: Array, *, level: float = 0.95) -> Array:
    """Width plus 2/α times how far the truth is outside, α = 1 − level, mean over the last axis; (sample,).

    Gneiting and Raftery 2007, eq. 43.
    """
    half = ndtri(0.5 + 0.5 * level) * np.sqrt(variance)
    outside = np.maximum(np.abs(truth - mean) - half, 0.0)
    return np.asarray((2.0 * half + 2.0 / (1.0 - level) * outside).mean(axis=-1))


def probability_transform(mean: Array, variance: Array, truth: Array) -> Array:
    """PIT Φ((truth − mean) / σ): uniform on [0, 1] where the Gaussians mean what they say; the shape of `truth`."""
    return np.asarray(ndtr((truth - mean) / np.sqrt(np.maximum(variance, VARIANCE_FLOOR))))


def ranks_of(pit: Array) -> NDArray[np.uint8]:
    """How many of `RMSCE_LEVELS` lie strictly below each PIT: one byte a point is all that `rmsce` needs."""
    return np.searchsorted(RMSCE_LEVELS, pit, side="left").astype(np.uint8)


def rmsce(ranks: NDArray[np.uint8]) -> Array:
    """RMSCE: √(mean over p = 0, 0.1, …, 1 of (p − share of samples at or below the p-quantile)²), mean over points.

    ranks: (sample, n). At each grid point by itself, as in DiverseNO (Mouli et al., ICML 2024): few samples have a
    high one even where all is well, about √(0.15 / samples).
    """
    below = np.stack([(ranks <= k).mean(axis=0) for k in range(RMSCE_LEVELS.size)])
    return np.asarray(np.sqrt(((below - RMSCE_LEVELS[:, None]) ** 2).mean(axis=0)).mean())


def total_error_and_spread(mean: Array, variance: Array, truth: Array) -> Array:
    """Σ|truth − mean| and √(Σ variance) of each sample, (sample, 2): what `scores.n_merci` is made of."""
    return np.stack([np.abs(truth - mean).sum(axis=-1), np.sqrt(variance.sum(axis=-1))], axis=-1)
