"""Scores that only tables of the papers have."""

import numpy as np
from numpy.typing import NDArray

from lawbound import law_scores
from lawbound.score import Metric, Outcome, Score

Array = NDArray[np.float64]


def _mass_variance(outcome: Outcome) -> Array:
    """Σ w² v of independent points; (sample,)."""
    return np.asarray(outcome.flat(outcome.variance[:, :1]) @ outcome.weights.ravel() ** 2)


CE_SQUARED = Score(
    Metric("ce_squared", "CE²", "mean", "low", "Square of the conservation error, averaged over samples."),
    lambda outcome: law_scores.conservation_error(outcome) ** 2,
)
MASS_VARIANCE = Score(
    Metric(
        "mass_variance", "var. of mass", "law", None,
        "Σ w² v, the variance of ∫u dx if the points of the prediction were independent.",
    ),
    _mass_variance,
)  # fmt: skip
FRONT_MEAN_PUBLISHED = Score(
    Metric(
        "front_mean_published", "front, node", "front", None,
        "Mean over joint samples of the first stored point with u ≤ 0.",
    ),
    lambda outcome: outcome.fronts_by("published").drawn.mean(axis=0),
)  # fmt: skip
FRONT_SD_PUBLISHED = Score(
    Metric(
        "front_sd_published", "front sd, node", "front", None,
        "Standard deviation over joint samples of the first stored point with u ≤ 0.",
    ),
    lambda outcome: outcome.fronts_by("published").spread,
)  # fmt: skip
