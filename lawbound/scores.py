"""Scores of predictions, per sample, by formulas that are each one line.

Predictions are scored through their pooled moments, as Gaussians, also where they are mixtures of draws.
Arrays are (sample, x) at one time; `weights` integrate over x. Averages over x are plain averages over the
stored points, as in ProbConserv's tables.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

Array = NDArray[np.float64]

#: Variances below this count as this, in ProbConserv's code and here.
VARIANCE_FLOOR = 1e-8


def conservation_error(mean: Array, weights: Array, rhs: Array) -> Array:
    """CE = ∫mean dx − b, signed, before any cast; (sample,)."""
    return np.asarray(mean @ weights - rhs)


def mse(mean: Array, truth: Array) -> Array:
    """Mean over x of (mean − truth)²; (sample,)."""
    return np.asarray(((mean - truth) ** 2).mean(axis=-1))


def relative_l2(mean: Array, truth: Array) -> Array:
    """‖mean − truth‖ / ‖truth‖ over x; (sample,)."""
    return np.asarray(np.linalg.norm(mean - truth, axis=-1) / np.linalg.norm(truth, axis=-1))


def log_likelihood(mean: Array, variance: Array, truth: Array) -> Array:
    """LL: mean over x of log N(truth; mean, variance), marginal, not joint; (sample,)."""
    v = np.maximum(variance, VARIANCE_FLOOR)
    return np.asarray((-0.5 * ((truth - mean) ** 2 / v + np.log(2 * np.pi * v))).mean(axis=-1))


def gaussian_crps(mean: Array, variance: Array, truth: Array) -> Array:
    """Mean over x of the CRPS of N(mean, variance), σ (z (2Φ(z) − 1) + 2φ(z) − 1/√π), z = (truth − mean) / σ.

    Gneiting and Raftery, J. Am. Stat. Assoc. 2007, eq. 21 with the sign turned: 0 is best; (sample,).
    """
    sigma = np.sqrt(np.maximum(variance, VARIANCE_FLOOR))
    z = (truth - mean) / sigma
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return np.asarray((sigma * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))).mean(axis=-1))


def ensemble_crps(members: Array, truth: Array) -> Array:
    """Fair CRPS of an ensemble, E|X − y| − ½ E|X − X′| without the pairs X = X′; members (member, sample)."""
    m = len(members)
    ordered = np.sort(members, axis=0)
    # Σ_{i<j} (x_j − x_i) = Σ_i (2i − m + 1) x_i for ordered x, i from 0.
    ranks = 2 * np.arange(m) - m + 1
    spread = np.tensordot(ranks, ordered, axes=1) / (m * (m - 1))
    return np.asarray(np.abs(members - truth).mean(axis=0) - spread)


def coverage(mean: Array, variance: Array, truth: Array, nominal: Array) -> Array:
    """Share of points inside the central intervals of the given nominal probabilities; (sample, nominal)."""
    z = np.abs(truth - mean) / np.sqrt(np.maximum(variance, VARIANCE_FLOOR))
    return np.asarray((z[..., None] <= ndtri(0.5 + 0.5 * nominal)).mean(axis=1))


def rank_correlation(error: Array, spread: Array) -> Array:
    """Spearman's ρ between errors and predicted spreads along the last axis; NaN where either is the same everywhere."""
    ranks = [rankdata(values, axis=-1) for values in (error, spread)]
    a, b = (rank - rank.mean(axis=-1, keepdims=True) for rank in ranks)
    scale = np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1))
    return np.asarray(np.where(scale > 0, (a * b).sum(axis=-1) / np.where(scale > 0, scale, 1.0), np.nan))


def n_merci(error: Array, spread: Array) -> float:
    """n-MeRCI of errors E and spreads S > 0, one each a sample: (mean(q S) − mean(E)) / (max(E) − mean(E)).

    q is the 95 % quantile of E/S. 0: spreads follow the errors; about 1: no better than one spread for all that covers
    the largest error. Moukari et al., ICIP 2019, as in Mouli et al., ICML 2024, arXiv:2403.10642, with
    E = Σ|mean − truth| and S = √Σvariance. NaN where all errors are the same.
    """
    scaled = float(np.quantile(error / spread, 0.95)) * spread
    room = float(error.max() - error.mean())
    return float(scaled.mean() - error.mean()) / room if room > 0 else float("nan")


def mean_and_error(values: Array) -> tuple[float, float | None]:
    """Mean over samples and its standard error, sd / √n; None where there is no spread to speak of."""
    error = float(values.std(ddof=1) / np.sqrt(values.size)) if np.unique(values).size > 1 else None
    return float(values.mean()), error
