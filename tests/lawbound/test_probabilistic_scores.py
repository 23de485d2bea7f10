"""Scores of distributions against double sums, quadrature and SciPy's own densities."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from lawbound import probabilistic_scores as scores
from lawbound.constraints.conservation import Conservation
from lawbound.constraints.enforcement import enforce
from lawbound.outcomes import joint_log_density
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.low_rank import DiagonalLowRank
from lawbound.surrogates.prediction import Prediction

RANDOM = np.random.default_rng(1)
MEMBERS, TRUTH = RANDOM.normal(size=(6, 4, 9)), RANDOM.normal(size=(4, 9))


@pytest.mark.parametrize(("estimator", "pairs"), [("fair", 6 * 5), ("biased", 6 * 6)])
def test_crps_and_energy_are_their_double_sums(estimator, pairs):
    between = np.abs(MEMBERS[:, None] - MEMBERS[None])
    wanted = np.abs(MEMBERS - TRUTH).mean(0) - 0.5 * between.sum((0, 1)) / pairs
    np.testing.assert_allclose(scores.ensemble_crps(MEMBERS, TRUTH, estimator=estimator), wanted, rtol=1e-12)
    between = np.linalg.norm(MEMBERS[:, None] - MEMBERS[None], axis=-1)
    wanted = np.linalg.norm(MEMBERS - TRUTH, axis=-1).mean(0) - 0.5 * between.sum((0, 1)) / pairs
    np.testing.assert_allclose(scores.energy_score(MEMBERS, TRUTH, estimator=estimator), wanted, rtol=1e-12)


def test_biased_crps_is_the_integral_of_the_empirical_distribution():
    members, truth = MEMBERS[:, 0, 0], float(TRUTH[0, 0])
    knots = np.sort([*members, truth])
    total = 0.0
    for low, high in itertools.pairwise(knots):
        middle = 0.5 * (low + high)
        total += (high - low) * ((members <= middle).mean() - (truth <= middle)) ** 2
    assert scores.ensemble_crps(members, np.array(truth), estimator="biased") == pytest.approx(total)


def test_one_member_has_no_fair_score_and_its_biased_one_is_the_distance():
    with pytest.raises(ValueError, match=r"got 1 member\(s\)"):
        scores.energy_score(MEMBERS[:1], TRUTH)
    np.testing.assert_allclose(
        scores.energy_score(MEMBERS[:1], TRUTH, estimator="biased"),
        np.linalg.norm(MEMBERS[0] - TRUTH, axis=-1),
    )


def test_the_energy_score_of_one_point_is_the_crps():
    np.testing.assert_allclose(
        scores.energy_score(MEMBERS[..., :1], TRUTH[..., :1]), scores.ensemble_crps(MEMBERS, TRUTH)[:, 0]
    )


def test_the_variogram_score_is_its_sum_over_pairs_near_or_all():
    def pairs(keep):
        return [
            sum(
                (abs(y[i] - y[j]) ** 0.5 - np.mean([abs(x[i] - x[j]) ** 0.5 for x in MEMBERS[:, s]])) ** 2
                for i in range(9)
                for j in range(9)
                if i != j and keep(abs(i - j))
            )
            for s, y in enumerate(TRUTH)
        ]

    np.testing.assert_allclose(scores.variogram_score(MEMBERS, TRUTH), pairs(lambda lag: True))
    np.testing.assert_allclose(
        scores.variogram_score(MEMBERS, TRUTH, lags=[1, 3]), pairs(lambda lag: lag in (1, 3))
    )


def test_the_variogram_score_sees_a_correlation_that_marginal_scores_cannot():
    smooth = np.repeat(RANDOM.normal(size=(200, 50, 1)), 6, axis=-1)  # each field level
    rough = RANDOM.normal(size=(200, 50, 6))
    truth = np.repeat(RANDOM.normal(size=(50, 1)), 6, axis=-1)
    assert scores.variogram_score(smooth, truth).mean() < 0.1 * scores.variogram_score(rough, truth).mean()
    np.testing.assert_allclose(
        scores.ensemble_crps(smooth, truth).mean(), scores.ensemble_crps(rough, truth).mean(), rtol=0.1
    )


def test_the_interval_score_is_the_sum_of_two_quantile_losses():
    mean, variance, truth = RANDOM.normal(size=(1, 7)), np.full((1, 7), 0.5), 3 * RANDOM.normal(size=(1, 7))
    low, high = stats.norm.interval(0.95, mean, np.sqrt(0.5))
    pinball = [
        np.where(truth >= q, t * (truth - q), (1 - t) * (q - truth)) for q, t in ((low, 0.025), (high, 0.975))
    ]
    assert scores.interval_score(mean, variance, truth)[0] == pytest.approx(
        (2 / 0.05 * (pinball[0] + pinball[1])).mean()
    )
    assert scores.interval_width(variance)[0] == pytest.approx((high - low).mean())


def test_the_probability_transform_of_a_calibrated_prediction_is_uniform_and_rmsce_falls_with_samples():
    found = []
    for n in (50, 5000):
        truth = RANDOM.normal(1.0, 2.0, size=(n, 40))
        pit = scores.probability_transform(np.ones((n, 40)), np.full((n, 40), 4.0), truth)
        found.append(float(scores.rmsce(scores.ranks_of(pit))))
        assert found[-1] == pytest.approx(np.sqrt(0.15 / n), rel=0.15)
    assert stats.kstest(pit.ravel(), "uniform").pvalue > 1e-3


def test_rmsce_is_its_formula():
    mean, variance, truth = RANDOM.normal(size=(3, 8, 5))
    variance = variance**2 + 0.1
    total = []
    for x in range(5):
        gaps = []
        for p in np.linspace(0, 1, 11):
            quantile = stats.norm.ppf(p, mean[:, x], np.sqrt(variance[:, x]))
            gaps.append(p - np.mean(truth[:, x] <= quantile))
        total.append(np.sqrt(np.mean(np.square(gaps))))
    pit = scores.probability_transform(mean, variance, truth)
    assert scores.rmsce(scores.ranks_of(pit)) == pytest.approx(np.mean(total))


@given(scale=st.floats(0.1, 10), shift=st.floats(-5, 5))
def test_scores_of_joint_samples_move_with_the_units(scale, shift):
    for score in (scores.energy_score, lambda m, y: scores.variogram_score(m, y, power=1.0) ** 0.5):
        np.testing.assert_allclose(
            score(scale * MEMBERS + shift, scale * TRUTH + shift), scale * score(MEMBERS, TRUTH), rtol=1e-8
        )


# The density on the states that a law leaves.


def prediction_of(data, draws=1, factors=None):
    part = data.isel(sample=slice(2), t=slice(3, 5))
    truth = torch.from_numpy(part.u.values.astype(np.float64))
    generator = torch.Generator().manual_seed(0)
    means = truth + 0.05 * torch.randn((draws, *truth.shape), generator=generator, dtype=torch.float64)
    values = 0.01 + 0.02 * torch.rand(means.shape, generator=generator, dtype=torch.float64)
    if factors is None:
        return part, truth.numpy(), Prediction(means, Diagonal(values), part)
    loads = 0.1 * torch.randn((*means.shape, factors), generator=generator, dtype=torch.float64)
    return part, truth.numpy(), Prediction(means, DiagonalLowRank(values, loads, couples_times=False), part)


@pytest.mark.parametrize("factors", [None, 2])
def test_under_an_exact_law_the_log_score_is_the_density_of_the_degenerate_gaussian(stefan_test, factors):
    part, _, free = prediction_of(stefan_test, factors=factors)
    lawful = enforce(free, Conservation(tolerance="exact"), "condition").prediction
    truth = lawful.sample(1, seed=3)[0].numpy()  # lawful itself: the density of a state that the law allows
    got = joint_log_density(lawful, truth)
    w = part.x_weights.values
    for sample in range(2):
        total = 0.0
        for t in range(2):
            sigma = np.diag(free.covariance.values[0, sample, t].numpy())
            if factors:
                u = free.covariance.factors[0, sample, t].numpy()
                sigma = sigma + u @ u.T
            after = sigma - np.outer(sigma @ w, sigma @ w) / (w @ sigma @ w)
            total += stats.multivariate_normal(
                lawful.mean[sample, t].numpy(), after, allow_singular=True
            ).logpdf(truth[sample, t])
        assert got[sample] == pytest.approx(total / (2 * (w.size - 1)), rel=1e-8)


def test_the_density_on_a_plane_integrates_to_one():
    # Two points, one law: what is left is a line, along which the density is one-dimensional.
    import lawbound as lb

    data = lb.from_arrays(
        np.full((1, 1, 2), 0.5),
        t=np.array([0.0]),
        x=np.array([0.0, 1.0]),
        mass=np.array([[0.5]]),
        split=["test"],
    )
    free = Prediction(
        torch.tensor([[[[0.2, 0.7]]]], dtype=torch.float64),
        Diagonal(torch.tensor([[[[0.04, 0.01]]]], dtype=torch.float64)),
        data,
    )
    lawful = enforce(free, Conservation(tolerance="exact"), "condition").prediction
    centre = lawful.mean.numpy()
    w = data.x_weights.values
    along = np.array([w[1], -w[0]]) / np.linalg.norm(w)

    def density(s):
        return float(np.exp(joint_log_density(lawful, centre + s * along)[0]))

    assert integrate.quad(density, -2, 2)[0] == pytest.approx(1.0, abs=1e-6)


def test_the_joint_density_of_draws_is_that_of_their_mixture(stefan_test):
    _, truth, free = prediction_of(stefan_test, draws=3)
    each = np.stack(
        [
            stats.norm.logpdf(truth, free.means[d].numpy(), free.covariance.values[d].sqrt().numpy()).sum(
                (-2, -1)
            )
            for d in range(3)
        ]
    )
    wanted = np.log(np.exp(each - each.max(0)).mean(0)) + each.max(0)
    np.testing.assert_allclose(joint_log_density(free, truth), wanted / truth[0].size)
