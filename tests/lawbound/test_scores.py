import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from lawbound import scores

RANDOM = np.random.default_rng(0)


def fields(n=3, x=11):
    truth, mean = RANDOM.normal(size=(2, n, x))
    return mean, RANDOM.uniform(0.1, 2.0, size=(n, x)), truth


def test_gaussian_crps_is_the_integral_over_thresholds():
    mean, variance, truth = 0.3, 0.49, -0.8

    def integrand(z):
        return (stats.norm.cdf(z, mean, np.sqrt(variance)) - (z >= truth)) ** 2

    wanted = integrate.quad(integrand, -9, truth)[0] + integrate.quad(integrand, truth, 9)[0]
    got = scores.gaussian_crps(np.array([[mean]]), np.array([[variance]]), np.array([[truth]]))
    assert got[0] == pytest.approx(wanted, rel=1e-8)


def test_fair_ensemble_crps_is_the_double_sum_and_is_unbiased_for_a_gaussian():
    members, truth = RANDOM.normal(size=(7, 3)), RANDOM.normal(size=3)
    pairs = np.abs(members[:, None] - members[None]).sum((0, 1)) / (7 * 6)
    np.testing.assert_allclose(
        scores.ensemble_crps(members, truth), np.abs(members - truth).mean(0) - 0.5 * pairs, rtol=1e-12
    )
    many = scores.ensemble_crps(RANDOM.normal(size=(5, 200_000)), np.full(200_000, 0.7)).mean()
    exact = scores.gaussian_crps(np.zeros((1, 1)), np.ones((1, 1)), np.full((1, 1), 0.7))[0]
    assert many == pytest.approx(exact, abs=4e-3)


def test_log_likelihood_is_the_average_marginal_density_with_a_floor():
    mean, variance, truth = fields()
    wanted = stats.norm.logpdf(truth, mean, np.sqrt(variance)).mean(-1)
    np.testing.assert_allclose(scores.log_likelihood(mean, variance, truth), wanted)
    certain = scores.log_likelihood(truth, np.zeros_like(variance), truth)
    np.testing.assert_allclose(certain, -0.5 * np.log(2 * np.pi * 1e-8))


def test_coverage_of_a_calibrated_prediction_is_nominal():
    nominal = np.array([0.1, 0.5, 0.95])
    truth = RANDOM.normal(1.0, 2.0, size=(1, 200_000))
    got = scores.coverage(np.ones_like(truth), np.full_like(truth, 4.0), truth, nominal)[0]
    np.testing.assert_allclose(got, nominal, atol=5e-3)


def test_errors_are_their_formulas_and_signed_where_they_should_be():
    mean, _, truth = fields(1, 4)
    w = np.full(4, 0.25)
    assert scores.conservation_error(mean, w, np.array([2.0]))[0] == pytest.approx(mean.mean() - 2.0)
    assert scores.mse(mean, truth)[0] == pytest.approx(((mean - truth) ** 2).mean())
    assert scores.relative_l2(mean, truth)[0] == pytest.approx(
        np.linalg.norm(mean - truth) / np.linalg.norm(truth)
    )


@given(shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
def test_crps_moves_with_the_units(shift, scale):
    mean, variance, truth = fields()
    base = scores.gaussian_crps(mean, variance, truth)
    np.testing.assert_allclose(
        scores.gaussian_crps(scale * mean + shift, scale**2 * variance, scale * truth + shift),
        scale * base,
        rtol=1e-9,
    )


def test_a_standard_error_is_none_where_there_is_no_spread():
    assert scores.mean_and_error(np.array([2.0])) == (2.0, None)
    assert scores.mean_and_error(np.array([2.0, 2.0])) == (2.0, None)
    assert scores.mean_and_error(np.array([1.0, 3.0])) == (2.0, pytest.approx(1.0))


def test_rank_correlation_is_spearmans_and_says_nothing_of_constants():
    error, spread = RANDOM.normal(size=(2, 3, 40)).round(1)  # with ties
    wanted = [stats.spearmanr(*pair).statistic for pair in zip(error, spread, strict=True)]
    np.testing.assert_allclose(scores.rank_correlation(error, spread), wanted, rtol=1e-12)
    assert np.isnan(scores.rank_correlation(error[0], np.ones(40)))


def test_rank_correlation_sees_order_alone():
    error = RANDOM.exponential(size=50)
    assert scores.rank_correlation(error, np.exp(3 * error)) == pytest.approx(1.0)
    assert scores.rank_correlation(error, -error) == pytest.approx(-1.0)


def test_n_merci_is_0_where_spreads_follow_errors_in_whatever_unit():
    error = RANDOM.exponential(size=50)
    assert scores.n_merci(error, 7.0 * error) == pytest.approx(0.0, abs=1e-12)
    other = RANDOM.exponential(size=50)
    assert scores.n_merci(error, 3.0 * other) == pytest.approx(scores.n_merci(error, other), rel=1e-12)


def test_n_merci_of_one_spread_for_all_is_that_of_the_95_percent_quantile():
    error = RANDOM.exponential(size=50)
    wanted = (np.quantile(error, 0.95) - error.mean()) / (error.max() - error.mean())
    assert scores.n_merci(error, np.full(50, 0.3)) == pytest.approx(wanted, rel=1e-12)
    assert np.isnan(scores.n_merci(np.ones(4), np.ones(4)))
