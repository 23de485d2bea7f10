import numpy as np
import pytest

from lawbound import bootstrap

RANDOM = np.random.default_rng(5)


def test_the_interval_of_a_mean_is_as_wide_as_theory_says():
    values = RANDOM.normal(3.0, 2.0, size=(400, 2))
    low, high = bootstrap.of_means(values)[0]
    assert low < values[:, 0].mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values[:, 0].std() / 20, rel=0.1)


def test_intervals_of_means_cover_the_true_mean_as_often_as_they_say():
    inside = [low <= 0.0 <= high for low, high in bootstrap.of_means(RANDOM.normal(size=(60, 1000)))]
    assert np.mean(inside) == pytest.approx(0.94, abs=0.03)


def test_a_statistic_that_is_a_mean_has_the_interval_of_one():
    values = RANDOM.normal(size=300)
    one = bootstrap.of_statistic(values, lambda pieces: pieces.mean(axis=0))
    np.testing.assert_allclose(one, bootstrap.of_means(values[:, None])[0], atol=0.03)


def test_one_sample_has_no_interval_and_intervals_are_the_same_every_time():
    assert np.isnan(bootstrap.of_means(np.ones((1, 2)))).all()
    assert np.isnan(bootstrap.of_statistic(np.ones(1), np.mean)).all()
    values = RANDOM.normal(size=(20, 1))
    np.testing.assert_array_equal(bootstrap.of_means(values), bootstrap.of_means(values.copy()))


def test_a_number_that_is_none_makes_its_interval_none():
    assert np.isnan(bootstrap.of_means(np.array([[1.0], [np.nan], [2.0]]))).all()
