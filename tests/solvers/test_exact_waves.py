"""Closed forms of waves against slow and obvious versions: quadrature, root finding, and the conservation law itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq

from lawbound.solvers.exact import cell_averages
from lawbound.solvers.exact_waves import AdvectedSine, AdvectedStep, BurgersRamp, BurgersRiemann, BurgersSine

# Name, solution, left end of the domain, flux, times, kinks of u(t, ·).
CASES = {
    "step": (AdvectedStep(3.0), 0.0, lambda u: 3.0 * u, (0.0, 0.1, 0.16), lambda e, t: [e.front(t)]),
    "ramp": (BurgersRamp(2.0), -1.0, lambda u: u * u / 2, (0.0, 0.3, 0.49), lambda e, t: [2.0 * t - 1.0, 0.0]),
    "ramp, broken": (BurgersRamp(2.0), -1.0, lambda u: u * u / 2, (0.5, 1.0, 1.4), lambda e, t: [e.front(t)]),
    "sine": (AdvectedSine(-0.7, 0.3, 1.5), 0.0, lambda u: -0.7 * u, (0.0, 0.5, 2.0), lambda e, t: []),
    "bending sine": (BurgersSine(0.4, -1.2), 0.0, lambda u: u * u / 2, (0.0, 0.05, 0.13), lambda e, t: []),
    "shock": (
        BurgersRiemann(1.0, -0.5, 0.2, -1.0, 2.0), -1.0, lambda u: u * u, (0.0, 0.3, 1.0), lambda e, t: [e.front(t)],
    ),
    "fan": (
        BurgersRiemann(-0.5, 1.0, 0.2, -1.0, 2.0), -1.0, lambda u: u * u, (0.0, 0.2, 0.3),
        lambda e, t: [0.2 - t, 0.2 + 2.0 * t],
    ),
}  # fmt: skip
named = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@named
def test_the_integral_is_the_integral_of_the_point_values(case):
    exact, lower, _, times, kinks = case
    for t in times:
        for x in (lower, lower + 0.3, lower + 0.51, 0.97):
            inside = [k for k in kinks(exact, t) if lower < k < x]
            slow, _ = quad(lambda y, t=t: float(exact(t, y)), lower, x, points=inside or None, epsabs=1e-13)
            assert float(exact.integral(t, x)) == pytest.approx(slow, abs=1e-11)


@named
def test_the_mass_between_two_positions_changes_by_what_flows_through_them(case):
    exact, lower, flux, times, _ = case
    # Midpoints: a front that passes costs a mean over so many moments at most 1/4000 of its jump.
    edges = np.linspace(times[0], times[-1], 4001)
    moments = 0.5 * (edges[1:] + edges[:-1])
    for x, y in ((lower, 0.5), (0.1, 0.9)):
        flows = [[flux(float(exact(t, at))) for t in moments] for at in (x, y)]
        entered, left = np.mean(flows, axis=1) * (times[-1] - times[0])
        held = [float(exact.integral(t, y) - exact.integral(t, x)) for t in (times[0], times[-1])]
        assert held[1] - held[0] == pytest.approx(entered - left, abs=2e-3)


@pytest.mark.parametrize("beta", [1.0, 5.0])
def test_the_advected_step_has_the_published_mass_and_front(beta):
    exact = AdvectedStep(beta)
    t = np.array([0.0, 0.03, 0.1])
    np.testing.assert_allclose(exact.integral(t, 1.0), 0.5 + beta * t, rtol=1e-15)
    assert exact.front(exact.front_time(0.9)) == pytest.approx(0.9)


@pytest.mark.parametrize("a", [1.0, 3.0])
def test_the_burgers_ramp_has_the_published_mass_before_and_after_breaking(a):
    exact = BurgersRamp(a)
    t = np.array([0.0, 0.5 / a, 1.0 / a, 2.0 / a, 2.9 / a])
    np.testing.assert_allclose(exact.integral(t, 1.0), a / 2.0 * (1.0 + a * t), rtol=1e-14)
    assert exact.front_time(1.0) == pytest.approx(3.0 / a)
    assert float(exact(0.5 / a, exact.front(0.5 / a))) == pytest.approx(a / 2.0)
    assert exact.integral(0.5, 1.0) == pytest.approx({1.0: 0.75, 3.0: 3.75}[a])


@given(
    mean=st.floats(-2.0, 2.0),
    amplitude=st.floats(0.01, 2.0),
    share=st.floats(0.0, 0.99),
    x=st.floats(-1.0, 2.0),
)
def test_the_foot_of_a_characteristic_is_found_to_round_off(mean, amplitude, share, x):
    exact = BurgersSine(mean, amplitude)
    t = share * exact.breaks
    foot = float(exact.foot(t, x))
    slow = brentq(
        lambda y: y + t * (mean + amplitude * np.sin(2 * np.pi * y)) - x, x - 5.0, x + 5.0, xtol=1e-15
    )
    # Close to breaking the equation is flat: the residual is what can be small.
    assert abs(foot + t * (mean + amplitude * np.sin(2 * np.pi * foot)) - x) <= 3e-15
    assert foot == pytest.approx(slow, abs=1e-13 / (1.0 - share))


def test_averages_over_a_period_of_a_bending_sine_keep_its_mean():
    faces = np.linspace(0.0, 1.0, 65)
    assert cell_averages(BurgersSine(0.3, 1.0), 0.15, faces).mean() == pytest.approx(0.3, abs=1e-14)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: AdvectedStep(0.0), "beta > 0"),
        (lambda: BurgersRamp(float("nan")), "a > 0"),
        (lambda: BurgersSine(0.0, 1.0)(0.16, 0.5), r"breaks at t=0\.159155.* earlier time"),
    ],
)
def test_what_is_no_solution_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()
