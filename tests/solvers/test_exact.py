"""The closed forms solve their equations, and give the tabulated constants, fronts and masses to the last digit."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import erf

from lawbound.solvers import DecayingSine, PorousMediumWave, StefanSimilarity, cell_averages

# u*, z₁, α, c₁, x*(0.05), x*(0.1), U(0.05), U(0.1)
STEFAN = [
    (0.50, 0.620063, 1.240125, 0.807155, 0.27730, 0.39216, 0.203656, 0.288013),
    (0.55, 0.572148, 1.144296, 0.773774, 0.25587, 0.36186, 0.195233, 0.276102),
    (0.60, 0.525670, 1.051340, 0.736966, 0.23509, 0.33246, 0.185946, 0.262968),
    (0.65, 0.479964, 0.959929, 0.696216, 0.21465, 0.30356, 0.175664, 0.248427),
    (0.70, 0.434355, 0.868711, 0.650810, 0.19425, 0.27471, 0.164208, 0.232225),
    (0.75, 0.388067, 0.776134, 0.599716, 0.17355, 0.24544, 0.151316, 0.213994),
]
PME_MASS_AT_HALF = {1: 0.125, 2: 0.333333, 3: 0.429268, 4: 0.475683, 5: 0.500469, 6: 0.514687}

# From a strong second conductor to one so weak that erfc of the front's position underflows.
K_MIN = [0.5, 1e-1, 1e-2, 1e-3, 4e-4, 1e-4, 1e-6]

# A solution, a time, and the right end of a domain on which it is known.
SOLUTIONS = [
    (DecayingSine(1.0), 0.5, 2.0 * np.pi),
    (DecayingSine(5.0), 0.1, 2.0 * np.pi),
    (PorousMediumWave(1.0), 0.5, 1.0),
    (PorousMediumWave(2.5), 0.3, 1.0),
    (PorousMediumWave(6.0), 0.5, 1.0),
    (StefanSimilarity(0.5), 0.05, 1.0),
    (StefanSimilarity(0.7, k_max=2.0), 0.03, 1.0),
    *[(StefanSimilarity(0.6, k_min=k_min), 0.05, 1.0) for k_min in K_MIN],
]


def conductivity(exact, u):
    match exact:
        case DecayingSine(k=k):
            return np.full_like(u, k)
        case PorousMediumWave(m=m):
            return u**m
        case StefanSimilarity():
            return np.where(u >= exact.u_star, exact.k_max, exact.k_min)


def potential(exact, u):
    """Φ(u) up to a constant on either side of the front."""
    return u ** (exact.m + 1.0) / (exact.m + 1.0) if hasattr(exact, "m") else conductivity(exact, u) * u


@pytest.mark.parametrize(("u_star", "z1", "alpha", "c1", "x05", "x10", "mass05", "mass10"), STEFAN)
def test_stefan_constants_fronts_and_masses_are_those_of_the_reference(
    u_star, z1, alpha, c1, x05, x10, mass05, mass10
):
    exact = StefanSimilarity(u_star)
    six_digits = 0.51e-6
    assert exact.alpha / 2.0 == pytest.approx(z1, abs=six_digits)
    assert exact.alpha == pytest.approx(alpha, abs=six_digits)
    assert exact.c1 == pytest.approx(c1, abs=six_digits)
    assert exact.front(0.05) == pytest.approx(x05, abs=0.51e-5)
    assert exact.front(0.1) == pytest.approx(x10, abs=0.51e-5)
    assert exact.integral(0.05, 1.0) == pytest.approx(mass05, abs=six_digits)
    assert exact.integral(0.1, 1.0) == pytest.approx(mass10, abs=six_digits)


@pytest.mark.parametrize(("u_star", "leaves"), [(0.5, 0.650), (0.55, 0.764), (0.6, 0.905), (0.65, 1.085)])
def test_stefan_front_leaves_the_unit_interval_when_the_reference_says(u_star, leaves):
    assert StefanSimilarity(u_star).front_time(1.0) == pytest.approx(leaves, abs=0.51e-3)


def test_stefan_front_has_unit_speed_constant_where_the_reference_says():
    assert StefanSimilarity(0.628024).alpha == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(("m", "mass"), PME_MASS_AT_HALF.items())
def test_pme_masses_are_those_of_the_reference(m, mass):
    assert PorousMediumWave(m).integral(0.5, 1.0) == pytest.approx(mass, abs=0.51e-6)


@given(m=st.floats(0.5, 8.0), t=st.floats(0.0, 1.0))
def test_pme_integral_over_the_domain_is_the_mass_formula(m, t):
    mass = m ** (1.0 + 1.0 / m) / (m + 1.0) * t ** (1.0 + 1.0 / m)
    assert PorousMediumWave(m).integral(t, 1.0) == pytest.approx(mass, rel=1e-13)


@given(u_star=st.floats(0.05, 0.95), k_max=st.floats(0.1, 10.0), t=st.floats(1e-6, 1.0))
def test_stefan_integral_over_the_domain_is_the_mass_formula(u_star, k_max, t):
    exact = StefanSimilarity(u_star, k_max)
    beyond_front = 1.1 * exact.front(t)
    mass = 2.0 * exact.c1 * np.sqrt(k_max * t / np.pi)
    assert exact.integral(t, beyond_front) == pytest.approx(mass, rel=1e-12)


@given(k=st.floats(0.0, 5.0), t=st.floats(0.0, 1.0))
def test_sine_has_no_mass(k, t):
    assert DecayingSine(k).integral(t, 2.0 * np.pi) == pytest.approx(0.0, abs=1e-30)


@given(u_star=st.floats(0.01, 0.99), k_max=st.floats(0.1, 10.0))
def test_stefan_alpha_solves_the_published_root_equation(u_star, k_max):
    z = StefanSimilarity(u_star, k_max).alpha / (2.0 * np.sqrt(k_max))
    assert u_star * erf(z) * z * np.exp(z * z) == pytest.approx((1.0 - u_star) / np.sqrt(np.pi), rel=1e-12)


def test_stefan_front_tends_to_that_of_the_jump_as_k_min_vanishes():
    limit = StefanSimilarity(0.6).alpha
    k_min = np.logspace(-3, -8, 26)
    gaps = np.array([StefanSimilarity(0.6, k_min=k).alpha - limit for k in k_min])
    # The gap is linear in k_min; a switch of formulas on the way would show as a jump of its slope.
    np.testing.assert_allclose(gaps / k_min, gaps[-1] / k_min[-1], rtol=1e-2)


@pytest.mark.parametrize(("exact", "t", "upper"), SOLUTIONS, ids=str)
def test_cell_averages_are_those_of_quadrature(exact, t, upper):
    front, faces = exact.front(t), np.linspace(0.0, upper, 14)
    # The quadrature is told where the front is, and given panels fine enough for a thin layer ahead of it.
    kinks = np.array([]) if front is None else front + np.append(0.0, 10.0 ** np.arange(-9.0, 0.0))
    expected = []
    for left, right in pairwise(faces):
        inside = np.sort(kinks[(kinks > left) & (kinks < right)])
        pieces = np.concatenate([[left], inside, [right]])
        area = sum(quad(lambda x: float(exact(t, x)), a, b, epsabs=1e-13)[0] for a, b in pairwise(pieces))
        expected.append(area / (right - left))
    np.testing.assert_allclose(cell_averages(exact, t, faces), expected, rtol=0, atol=2e-9)


@pytest.mark.parametrize(("exact", "t", "upper"), SOLUTIONS, ids=str)
def test_integral_starts_from_zero(exact, t, upper):
    assert exact.integral(t, 0.0) == 0.0


@pytest.mark.parametrize(("exact", "t", "upper"), SOLUTIONS, ids=str)
def test_u_obeys_the_equation_away_from_the_front(exact, t, upper):
    # Ahead of a front into a weak conductor u lives in a layer of thickness k_min / speed, so steps shrink to that.
    front = exact.front(t)
    if front is None:
        x, scale = np.linspace(0.1, 0.9, 9) * upper, upper
    else:
        layer = getattr(exact, "k_min", 0.0) * 2.0 * t / front
        depth = min(layer, upper - front) if layer > 0.0 else (upper - front) / 3.0
        x = np.append(np.linspace(0.1, 0.8, 8) * front, front + np.linspace(0.2, 2.0, 8) * depth)
        scale = np.where(x < front, front, depth)
    dx = 1e-3 * scale
    dt = 1e-3 * t * np.min(scale / (front or upper))
    left, here, right = (potential(exact, exact(t, x + side * dx)) for side in (-1.0, 0.0, 1.0))
    u_t = (exact(t + dt, x) - exact(t - dt, x)) / (2.0 * dt)
    np.testing.assert_allclose(
        u_t, (left - 2.0 * here + right) / dx**2, rtol=1e-3, atol=1e-5 * abs(u_t).max()
    )


def one_sided_slope(exact, t, x, step):
    """u_x at x from the side towards which `step` points, second order; x itself is not evaluated."""
    u1, u2, u3 = (float(exact(t, x + i * step)) for i in (1, 2, 3))
    return (-2.5 * u1 + 4.0 * u2 - 1.5 * u3) / step


@pytest.mark.parametrize("k_min", [0.0, *K_MIN])
@pytest.mark.parametrize("u_star", [0.5, 0.7])
def test_stefan_front_takes_up_the_difference_of_the_fluxes(u_star, k_min):
    exact, t = StefanSimilarity(u_star, k_min=k_min), 0.05
    front = exact.front(t)
    speed = exact.alpha / (2.0 * np.sqrt(t))
    layer = k_min / speed if k_min > 0.0 else front
    arriving = -exact.k_max * one_sided_slope(exact, t, front, -1e-4 * front)
    leaving = -k_min * one_sided_slope(exact, t, front, 1e-4 * layer)
    jump = float(exact(t, front) - exact(t, front * (1.0 + 1e-15)))
    assert jump == pytest.approx(u_star if k_min == 0.0 else 0.0, abs=1e-6)
    taken_up = speed * (u_star if k_min == 0.0 else 0.0)
    assert arriving - leaving == pytest.approx(taken_up, abs=1e-5 * arriving)


@pytest.mark.parametrize(("exact", "t", "upper"), SOLUTIONS, ids=str)
def test_mass_changes_by_the_flux_through_the_walls(exact, t, upper):
    dt = 1e-4 * t
    growth = float(exact.integral(t + dt, upper) - exact.integral(t - dt, upper)) / (2.0 * dt)
    # 1e-4 of the depth keeps truncation and cancellation near 1e-8.
    step = 1e-4 * (exact.front(t) or upper)
    k_lo, k_hi = conductivity(exact, np.asarray(exact(t, np.array([0.0, upper]))))
    enters_lo = -k_lo * one_sided_slope(exact, t, 0.0, step)
    enters_hi = k_hi * one_sided_slope(exact, t, upper, -step)
    assert growth == pytest.approx(enters_lo + enters_hi, rel=1e-5, abs=1e-6)


@given(u_star=st.floats(0.05, 0.95), x=st.floats(0.0, 2.0))
def test_front_is_at_x_at_the_time_it_reaches_x(u_star, x):
    for exact in (StefanSimilarity(u_star), StefanSimilarity(u_star, k_min=0.01), PorousMediumWave(2.0)):
        assert exact.front(exact.front_time(x)) == pytest.approx(x, rel=1e-14, abs=1e-150)


def test_a_sine_has_no_front():
    assert DecayingSine(1.0).front(0.5) is None
    assert DecayingSine(1.0).front_time(0.5) == np.inf


@pytest.mark.parametrize("t", [1e-6, 0.1, 0.5])
def test_wall_values_are_those_of_the_problem(t):
    assert StefanSimilarity(0.6)(t, 0.0) == 1.0
    assert StefanSimilarity(0.6, k_min=0.01)(t, 0.0) == 1.0
    assert PorousMediumWave(3.0)(t, 0.0) == (3.0 * t) ** (1.0 / 3.0)
    assert DecayingSine(2.0)(t, np.array([0.0, 2.0 * np.pi])) == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize(
    "exact", [StefanSimilarity(0.6), StefanSimilarity(0.6, k_min=0.1), PorousMediumWave(3.0)]
)
def test_everything_starts_at_rest(exact):
    x = np.linspace(0.1, 1.0, 10)
    assert not exact(0.0, x).any()
    assert not exact.integral(0.0, x).any()
    assert exact.front(0.0) == 0.0


@pytest.mark.parametrize("u_star", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_stefan_needs_a_jump_between_the_wall_values(u_star):
    with pytest.raises(ValueError, match=r"u_star=.* has no front; it needs 0 < u_star < 1"):
        StefanSimilarity(u_star)


@pytest.mark.parametrize(
    ("k_max", "k_min"), [(1.0, 1.0), (1.0, 2.0), (1.0, -0.1), (0.0, 0.0), (1.0, float("nan"))]
)
def test_stefan_needs_a_better_conductor_above_the_jump(k_max, k_min):
    with pytest.raises(ValueError, match="0 ≤ k_min < k_max"):
        StefanSimilarity(0.6, k_max, k_min)
