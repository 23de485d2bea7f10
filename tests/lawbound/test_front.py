import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawbound.front import Fronts, first_node_at_or_below_zero, front_position
from lawbound.solvers import Cells, StefanSimilarity, cell_averages

X = np.linspace(0.0, 1.0, 11)


def test_a_straight_fall_is_found_where_it_crosses_the_level():
    assert front_position(1.0 - X, X, 0.33) == pytest.approx(0.67)


@given(position=st.floats(0.02, 0.98))
def test_the_front_of_a_ramp_is_found_to_round_off(position):
    assert abs(front_position((position - X) / 0.2 + 0.5, X, 0.5) - position) < 1e-12


def test_only_the_first_fall_counts():
    profile = np.array([1.0, 0.0, 1.0, 0.0])
    assert front_position(profile, np.arange(4.0), 0.5) == 0.5


def test_a_profile_that_starts_below_or_never_falls_has_its_front_at_an_end():
    assert front_position(np.zeros(11), X, 0.5) == 0.0
    assert front_position(np.ones(11), X, 0.5) == 1.0


def test_levels_and_profiles_broadcast():
    profiles = np.stack([1.0 - X, 2.0 - 2.0 * X])
    np.testing.assert_allclose(front_position(np.stack([profiles, profiles]), X, np.array([0.5, 1.0])), 0.5)


def test_the_front_of_stefan_cell_averages_is_within_a_cell():
    grid, exact = Cells(0.0, 1.0, 200), StefanSimilarity(0.6)
    averages = cell_averages(exact, 0.05, grid.faces)
    assert abs(front_position(averages, grid.centres, 0.3) - exact.front(0.05)) < grid.width


def test_the_published_rule_puts_the_exact_front_of_u_star_06_at_the_next_node():
    x = np.linspace(0.0, 1.0, 201)
    assert first_node_at_or_below_zero(StefanSimilarity(0.6)(0.05, x), x) == x[48]  # 0.240


def ramps(positions):
    return (np.asarray(positions)[..., None] - X) / 0.2 + 0.5


def test_fronts_of_joint_samples_are_scored_by_hand():
    drawn = np.array([[0.3], [0.4], [0.5], [0.6]])
    fronts = Fronts.of(ramps(drawn), ramps([0.45]), ramps([0.4]), X, np.array([0.5]))
    assert fronts.bias[0] == pytest.approx(0.05) and fronts.bias_of_mean[0] == pytest.approx(0.05)
    assert fronts.rmse[0] == pytest.approx(np.sqrt(np.mean([0.01, 0.0, 0.01, 0.04])))
    assert fronts.spread[0] == pytest.approx(np.std([0.3, 0.4, 0.5, 0.6], ddof=1))
    between = np.mean([abs(a - b) for a in drawn for b in drawn if a != b])
    assert fronts.crps[0] == pytest.approx(0.1 - 0.5 * between)
    assert fronts.coverage()[0] == 1.0
    assert Fronts(np.array([0.9]), np.array([0.9]), drawn).coverage()[0] == 0.0


def test_the_posterior_histogram_has_a_share_for_every_draw():
    drawn = np.array([[0.1, 0.5], [0.2, 0.6], [0.2, 0.7], [0.4, 1.0]])
    shares = Fronts(np.zeros(2), np.zeros(2), drawn).histogram(np.linspace(0.0, 1.0, 5))
    np.testing.assert_allclose(shares, [[0.75, 0.25, 0.0, 0.0], [0.0, 0.0, 0.75, 0.25]])


def test_intervals_of_a_calibrated_front_cover_as_often_as_they_say():
    random = np.random.default_rng(0)
    fronts = Fronts(random.normal(size=4000), np.zeros(4000), random.normal(size=(200, 4000)))
    assert fronts.coverage(0.8).mean() == pytest.approx(0.8, abs=0.03)
    assert fronts.crps.mean() == pytest.approx(1 / np.sqrt(np.pi), rel=0.05)


def test_rules_are_named_and_the_published_one_takes_noise_for_the_front():
    profile = ramps([0.5]).clip(0.0, 1.0)
    noisy = profile + np.where(np.arange(11) == 3, -2.0, 0.0)
    fronts = Fronts.of(noisy[None], profile, profile, X, np.array([0.5]), rule="published")
    assert fronts.drawn[0, 0] == X[3] and fronts.truth[0] == X[6]
    with pytest.raises(ValueError, match="there are half-jump, published"):
        Fronts.of(noisy[None], profile, profile, X, 0.5, rule="steepest")
