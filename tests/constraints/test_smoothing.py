"""The second-derivative variant against the published formula with full matrices."""

import numpy as np
import pytest
import torch

from lawbound.constraints import Conservation, enforce
from lawbound.constraints.smoothing import SmoothCondition
from lawbound.reproduce import frozen_data
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.prediction import Prediction, from_moments

MASS = Conservation(tolerance="exact")


def published(mean, variance, weights, rhs, alpha):
    n, s = len(mean), np.sqrt(variance)
    d2 = np.zeros((n - 2, n))
    for i in range(n - 2):
        d2[i, i : i + 3] = 1.0, -2.0, 1.0
    v0, v1, v2, s0, s1, s2 = variance[:-2], variance[1:-1], variance[2:], s[:-2], s[1:-1], s[2:]
    spread = v0 + 4 * v1 + v2 - 4 * alpha * s0 * s1 + 2 * alpha**2 * s0 * s2 - 4 * alpha * s1 * s2
    cov = np.diag(variance)
    for rows, noise, wanted in (
        (d2, np.diag(spread), np.zeros(n - 2)),
        (weights[None], np.zeros((1, 1)), rhs),
    ):
        gain = cov @ rows.T @ np.linalg.inv(rows @ cov @ rows.T + noise)
        mean, cov = mean - gain @ (rows @ mean - wanted), cov - gain @ rows @ cov
    return mean, np.diag(cov)


@pytest.mark.parametrize("alpha", [0.9, 0.0])
def test_it_is_the_published_update(alpha):
    data = frozen_data("pme").isel(sample=[0, 60, 149])
    free = from_moments(data)
    lawful = enforce(free, MASS, SmoothCondition(alpha)).prediction
    for i in range(3):
        mean, variance = published(
            free.means[0, i, 0].numpy(), free.variance[i, 0].numpy(), data.x_weights.values,
            data.law_conservation_rhs.values[i], alpha,
        )  # fmt: skip
        np.testing.assert_allclose(lawful.mean[i, 0], mean, atol=1e-9)
        np.testing.assert_allclose(lawful.variance[i, 0], variance, atol=1e-9)


def test_the_total_is_exact_and_no_variance_grows():
    free = from_moments(frozen_data("stefan").isel(sample=[0, 99]))
    lawful, report = enforce(free, MASS, SmoothCondition())
    assert np.abs(report.residual_after).max() <= 1e-12
    assert (lawful.variance <= free.variance + 1e-12).all()


def test_points_without_variance_are_refused():
    free = from_moments(frozen_data("pme").isel(sample=[0]))
    still = Prediction(free.means, Diagonal(torch.zeros_like(free.means)), free.inputs)
    with pytest.raises(ValueError, match="variances above 0"):
        enforce(still, MASS, SmoothCondition())


def test_a_correlation_of_one_is_refused():
    with pytest.raises(ValueError, match="correlation=1"):
        SmoothCondition(1.0)
