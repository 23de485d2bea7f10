"""From a mixture of draws to one Gaussian that remembers how the draws differ."""

from dataclasses import replace

from lawbound.surrogates.covariance import Covariance
from lawbound.surrogates.low_rank import low_rank_of
from lawbound.surrogates.prediction import Prediction


def with_covariance(prediction: Prediction, covariance: Covariance) -> Prediction:
    """The same means with another covariance of the same shape."""
    return replace(prediction, covariance=covariance)


def pooled(prediction: Prediction, *, couples_times: bool = False, floor: float = 1e-6) -> Prediction:
    """One Gaussian with the mixture's mean, and its covariance between draws as modes.

    The diagonal is the average variance within draws (marginal: correlations within a draw are left out) plus
    `floor` times the mean variance; the modes, draws − 1, are the unbiased covariance of the draws' means.
    Raises `ValueError` for a single draw.
    """
    within = prediction.covariance.variance().mean(0)[None]
    covariance = low_rank_of(
        prediction.means[:, None], within=within, floor=floor, couples_times=couples_times
    )
    return replace(prediction, means=prediction.mean[None], covariance=covariance)
