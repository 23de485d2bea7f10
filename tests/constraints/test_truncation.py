"""The truncated Gaussian: exact draws in one dimension, chains against closed forms and rejection."""

import numpy as np
import pytest
import torch
from scipy import stats

from lawbound.constraints import Condition, Conservation, enforce
from lawbound.constraints.bounds import Bounds
from lawbound.constraints.projection import Equalities, Limits
from lawbound.constraints.sets import Order
from lawbound.constraints.target import Target
from lawbound.constraints.truncated_normal import between
from lawbound.constraints.truncation import truncated
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.prediction import Prediction

D = torch.float64
MANY = 4000


def onto(weights=None, rhs=(), noise=None, lower=None, upper=None):
    rows = None
    if weights is not None:
        rhs = torch.tensor(rhs, dtype=D)
        rows = Equalities(
            torch.tensor(weights, dtype=D),
            rhs,
            torch.zeros_like(rhs) if noise is None else torch.tensor(noise, dtype=D),
        )
    return Target(rows, Limits(lower, upper), None, None, ())


def drawn(means, d, target, u=None, seed=0):
    law = truncated(
        means[None, None, None], d[None, None, None], target, None if u is None else u[None, None, None]
    )
    samples = law.take(torch.zeros(MANY, dtype=torch.long)).sample(torch.Generator().manual_seed(seed))
    return law, (samples + law.means)[:, 0, 0]


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (-1, 2),
        (0.5, np.inf),
        (-np.inf, -3),
        (6, 7),
        (-40, -39.5),
        (35, np.inf),
        (-np.inf, np.inf),
        (-0.1, 90),
    ],
)
def test_a_draw_between_limits_is_the_inverse_of_the_distribution_function(low, high):
    u = torch.tensor([1e-12, 0.1, 0.5, 0.9, 1 - 1e-9], dtype=D)
    x = between(torch.full_like(u, low), torch.full_like(u, high), u).numpy()
    assert (x >= low).all() and (x <= high).all()
    if low > 0:  # mirrored: the upper tail, where the other distribution function has its digits
        low, high, x, u = -high, -low, -x, u
    least, most = stats.norm.logcdf(low), stats.norm.logcdf(high)
    share = np.exp(least - most)
    if low + high > 0:  # mirrored: from the other side
        u = 1 - u
    np.testing.assert_allclose(np.exp(stats.norm.logcdf(x) - most), share + u * (1 - share), rtol=1e-7)


def test_bounds_alone_give_the_closed_form_at_every_point():
    means, d = torch.tensor([0.5, -0.5, 1.4, 9.0], dtype=D), torch.tensor([1.0, 0.04, 0.5, 1.0], dtype=D)
    law, samples = drawn(means, d, onto(lower=torch.zeros(4, dtype=D), upper=torch.ones(4, dtype=D)))
    s = d.sqrt().numpy()
    exact = stats.truncnorm((0 - means.numpy()) / s, (1 - means.numpy()) / s, means.numpy(), s)
    np.testing.assert_allclose(samples.mean(0), exact.mean(), atol=4 * exact.std().max() / MANY**0.5)
    np.testing.assert_allclose(samples.std(0), exact.std(), rtol=0.06)
    for i in range(4):
        lone = stats.truncnorm((0 - means[i]) / s[i], (1 - means[i]) / s[i], means[i], s[i])
        assert stats.kstest(samples[:, i].numpy(), lone.cdf).pvalue > 1e-3
    # Its own moments are averages over chains.
    np.testing.assert_allclose(law.means[0, 0, 0], exact.mean(), atol=0.03)
    np.testing.assert_allclose(law.variance()[0, 0, 0].sqrt(), exact.std(), rtol=0.1)


def rejection(means, sigma, weights, rhs, noise, lower, upper, seed=1, count=400_000):
    """Draws from the Gaussian given rows by linear algebra, thrown away unless within bounds."""
    gain = sigma @ weights.T @ np.linalg.inv(weights @ sigma @ weights.T + np.diag(noise))
    mean, cov = means - gain @ (weights @ means - rhs), sigma - gain @ weights @ sigma
    values, vectors = np.linalg.eigh(cov)
    white = np.random.default_rng(seed).standard_normal((count, len(means)))
    u = mean + (white * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    kept = u[((u >= lower - 1e-12) & (u <= upper + 1e-12)).all(-1)]
    assert len(kept) > 2000
    return kept


@pytest.mark.parametrize("factors", [0.0, 0.4, 5.0])
@pytest.mark.parametrize("noise", [(0.0, 0.0), (0.02, 0.0), (0.01, np.inf)])
def test_rows_bounds_and_factors_agree_with_rejection(factors, noise):
    g = torch.Generator().manual_seed(3)
    n = 6
    means = torch.rand(n, generator=g, dtype=D)
    d = 0.02 + 0.2 * torch.rand(n, generator=g, dtype=D)
    u = factors * (torch.rand(n, 2, generator=g, dtype=D) - 0.5) if factors else None
    weights = np.vstack([np.full(n, 1.0 / n), np.linspace(-1, 1, n)])
    rhs = np.array([0.45, -0.1])
    lower, upper = torch.zeros(n, dtype=D), torch.ones(n, dtype=D)
    _, samples = drawn(means, d, onto(weights, rhs, noise, lower, upper), u)
    sigma = torch.diag(d) if u is None else torch.diag(d) + u @ u.T
    finite = np.isfinite(noise)
    kept = rejection(
        means.numpy(), sigma.numpy(), weights[finite], rhs[finite], np.array(noise)[finite], 0.0, 1.0
    )
    assert samples.min() >= 0.0 and samples.max() <= 1.0
    exact = [i for i in range(2) if noise[i] == 0.0]
    assert (samples.numpy() @ weights.T - rhs)[:, exact].__abs__().max(initial=0.0) < 1e-14
    error = kept.std(0) * (1 / MANY + 1 / len(kept)) ** 0.5
    assert (np.abs(samples.mean(0).numpy() - kept.mean(0)) < 4.5 * error).all()
    np.testing.assert_allclose(np.cov(samples.T.numpy()), np.cov(kept.T), atol=0.12 * kept.var(0).max())


def test_no_sample_lies_on_a_bound_and_fixed_points_stay():
    means = torch.tensor([-1.0, 0.2, 0.3, 2.0, 0.4], dtype=D)
    d = torch.tensor([0.1, 0.1, 0.0, 0.1, 0.1], dtype=D)
    lower, upper = torch.zeros(5, dtype=D), torch.ones(5, dtype=D)
    upper[4] = 0.0
    _, samples = drawn(means, d, onto(np.full((1, 5), 0.2), [0.4], None, lower, upper))
    free = samples[:, [0, 1, 3]]
    assert ((free > 0) & (free < 1)).all()
    assert (samples[:, 2] == 0.3).all() and (samples[:, 4] == 0.0).all()
    assert free.std(0).min() > 0.01


def test_the_mean_of_the_law_is_lawful_and_seeds_are_kept():
    g = torch.Generator().manual_seed(0)
    means, d = torch.rand(3, 2, 4, 30, generator=g, dtype=D), torch.full((3, 2, 4, 30), 0.1, dtype=D)
    target = onto(np.full((1, 30), 1 / 30), [0.2], None, torch.zeros(30, dtype=D), torch.ones(30, dtype=D))
    one, two = truncated(means, d, target), truncated(means, d, target)
    assert torch.equal(one.means, two.means) and torch.equal(one.variance(), two.variance())
    assert (one.means.mean(-1) - 0.2).abs().max() < 1e-15 and one.means.min() > 0.0
    draw = [one.sample(torch.Generator().manual_seed(4)) for _ in range(2)]
    assert torch.equal(*draw)


def test_other_shapes_are_refused_with_what_works():
    target = Target(
        None, Limits(None, None, Order(*map(np.array, ([0], [3], [1])), "rising")), None, None, ()
    )
    with pytest.raises(ValueError, match="projected"):
        truncated(torch.zeros(1, 1, 1, 3, dtype=D), torch.ones(1, 1, 1, 3, dtype=D), target)


def test_conditioning_projects_or_truncates_by_name(stefan_test):
    # Near the bounds a projected law has atoms there and the nearest state as its mean; a truncated one has neither.
    stefan_test = stefan_test.isel(sample=[0, 1], t=[0, 4, 9, 16])
    u = torch.from_numpy(stefan_test.u.values.astype(np.float64)).expand(2, -1, -1, -1)
    spread = torch.full_like(u, 0.1)
    given = Prediction(u + 0.05, Diagonal(spread**2), stefan_test)
    law = Conservation() & Bounds(0.0, 1.0)
    projected, truncated_ = (
        enforce(given, law, Condition(inequalities=name)) for name in ("projected", "truncated")
    )
    w = torch.from_numpy(stefan_test.x_weights.values)
    later = slice(1, None)  # at first there is nothing: all points lie on the lower bound
    for found in (projected, truncated_):
        samples = found.prediction.sample(8, seed=1)
        total = (samples @ w).numpy() - stefan_test.law_conservation_rhs.values
        assert np.abs(total).max() < 1e-13
        assert samples.min() >= 0.0 and samples.max() <= 1.0
        assert np.abs(found.report.residual_after).max() < 1e-13
    assert (projected.prediction.sample(8)[:, :, later] == 0.0).double().mean() > 0.1
    assert (truncated_.prediction.sample(8)[:, :, later] == 0.0).double().mean() < 1e-3
    # Far from the front the truncated mean lies farther inside than the nearest state.
    far = (..., later, -1)
    assert (truncated_.prediction.mean[far] > projected.prediction.mean[far] + 0.01).double().mean() > 0.9
    with pytest.raises(ValueError, match="known by its samples only"):
        enforce(truncated_.prediction, Conservation())
    for bad in ({"inequalities": "wished"}, {"inequalities": "truncated", "power": 0.5}):
        with pytest.raises(ValueError, match="`Condition`"):
            Condition(**bad)
