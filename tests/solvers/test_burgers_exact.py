"""Closed forms of Burgers' equation with viscosity against slow versions and the equation itself."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ive

from lawbound.solvers.exact_burgers import BurgersFront, ColeHopf, cole_hopf_sine


def test_the_sine_is_the_ratio_of_its_heat_series():
    # φ = I_0(a) + 2 Σ (−1)^m … with e^{a cos} = I_0 + 2 Σ I_m cos: the series of a heat equation, where it still converges.
    nu, t, x = 0.05, 0.3, np.linspace(0.0, 1.0, 33)
    a, m = 1.0 / (4.0 * np.pi * nu), np.arange(1, 60)
    decay = 2.0 * ive(m, a) * np.exp(-nu * (2.0 * np.pi * m) ** 2 * t)
    phi = ive(0, a) + decay @ np.cos(2.0 * np.pi * np.outer(m, x))
    slope = -(2.0 * np.pi * m * decay) @ np.sin(2.0 * np.pi * np.outer(m, x))
    np.testing.assert_allclose(cole_hopf_sine(nu)(t, x), -2.0 * nu * slope / phi, atol=1e-13)


@pytest.mark.parametrize(
    ("exact", "t"),
    [
        (cole_hopf_sine(0.01), 0.4),
        (cole_hopf_sine(0.001, 0.7), 1.0),
        (ColeHopf(0.02, np.tanh, lambda y: np.logaddexp(y, -y), 4.0, 1.0), 0.5),
        (BurgersFront(1.3, -0.2, 0.4, 0.02), 0.3),
    ],
)
def test_the_integral_is_the_integral_of_the_point_values(exact, t):
    for x in (0.1, 0.47, 0.9):
        slow, _ = quad(lambda y: float(exact(t, y)), 0.0, x, epsabs=1e-13, epsrel=1e-13, limit=400)
        assert float(exact.integral(t, x)) == pytest.approx(slow, abs=1e-11)


@pytest.mark.parametrize("exact", [cole_hopf_sine(0.02), BurgersFront(1.0, -0.4, 0.3, 0.02)])
def test_the_equation_holds(exact):
    t, h, x = 0.3, 1e-3, np.linspace(0.1, 0.9, 41)
    five = np.array([1.0, -8.0, 0.0, 8.0, -1.0]) / (12.0 * h)
    steps = h * np.arange(-2, 3)
    u_t = five @ np.array([exact(t + d, x) for d in steps])
    flux = np.array([0.5 * exact(t, x + d) ** 2 for d in steps])
    second = np.array([-1.0, 16.0, -30.0, 16.0, -1.0]) / (12.0 * h * h)
    u_xx = second @ np.array([exact(t, x + d) for d in steps])
    np.testing.assert_allclose(u_t + five @ flux, 0.02 * u_xx, atol=2e-5)


def test_thin_layers_are_finite_and_odd_about_the_shock():
    exact, x = cole_hopf_sine(0.001), np.linspace(0.0, 0.5, 101)
    u = exact(1.0, x)
    assert np.isfinite(u).all() and u.max() > 0.4
    np.testing.assert_allclose(exact(1.0, 1.0 - x), -u, atol=1e-13)


def test_what_passes_a_point_is_the_integral_of_the_flux():
    front = BurgersFront(1.2, -0.3, 0.3, 0.03)
    for x in (0.0, 0.6):
        slow, _ = quad(lambda t, x=x: float(front.flux(t, x)), 0.0, 0.8, epsabs=1e-13)
        assert float(front.passed(0.8, x)) == pytest.approx(slow, abs=1e-12)
    assert front.front(front.front_time(0.9)) == pytest.approx(0.9)
    assert front.front_time(0.1) == np.inf


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: BurgersFront(0.0, 1.0, 0.5, 0.1), "left > right"),
        (lambda: BurgersFront(1.0, 0.0, 0.5, -0.1), "nu > 0"),
        (lambda: cole_hopf_sine(0.0), "nu > 0"),
        (lambda: cole_hopf_sine(0.1)(-1.0, 0.5), "t ≥ 0"),
    ],
)
def test_what_is_no_solution_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()
