import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawbound.front import first_node_at_or_below_zero, front_position
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
