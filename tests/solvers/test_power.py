"""Powers of whole rows are those of the library, and those of single numbers to the bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawbound.solvers.power import power, powers


@given(
    a=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=600),
    m=st.one_of(st.floats(0.1, 8.0), st.sampled_from([0.5, 1.0, 2.0, 3.0])),
)
def test_a_row_of_powers_is_what_longdouble_says(a, m):
    a = np.array(a)
    found = np.empty_like(a)
    powers(a, m, found)
    with np.errstate(under="ignore"):
        exact = np.abs(a.astype(np.longdouble)) ** np.longdouble(m)
    # The exponent m log₂|a| is rounded to 2⁻⁵³ of itself.
    size = 1.0 + abs(m * np.log2(np.maximum(abs(a), 1e-300)))
    ordinary = abs(a) > max(2.0 ** (-1000.0 / m), 1e-300)
    np.testing.assert_array_less(abs(found - exact)[ordinary], (4e-16 * size * exact)[ordinary])
    np.testing.assert_array_equal(found[~ordinary], 0.0)
    np.testing.assert_array_equal(found, [power(value, m) for value in a])


def test_what_is_not_a_number_stays_so():
    found = np.empty(3)
    powers(np.array([np.nan, 0.0, 1.0]), 2.5, found)
    np.testing.assert_array_equal(found, [np.nan, 0.0, 1.0])
    assert np.isnan(power(np.nan, 2.5))


@pytest.mark.parametrize("m", [0.3, 1.7, 6.3])
def test_powers_rise_with_their_base(m):
    a = np.linspace(0.0, 2.0, 5001)
    found = np.empty_like(a)
    powers(a, m, found)
    assert (np.diff(found) > 0.0).all()
