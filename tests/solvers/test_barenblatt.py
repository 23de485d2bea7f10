"""The Barenblatt-Pattle solution solves its equation, and its masses and averages agree with quadrature."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from lawbound.solvers import (
    Barenblatt,
    Cells,
    ExplicitDiffusion,
    Neumann,
    Power,
    Problem,
    Walls,
    box_averages,
    cell_averages,
)

exponents, dimensions = st.floats(0.3, 8.0), st.integers(1, 4)
SPHERES = {1: 2.0, 2: 2.0 * np.pi, 3: 4.0 * np.pi, 4: 2.0 * np.pi**2}


@given(m=exponents, d=dimensions, scale=st.floats(0.1, 10.0), t=st.floats(0.05, 5.0))
def test_its_mass_is_the_integral_over_all_space_at_all_times(m, d, scale, t):
    dome = Barenblatt(m, d, scale)
    shells, _ = quad(
        lambda r: SPHERES[d] * r ** (d - 1) * dome(t, r), 0.0, dome.front(t), epsabs=0.0, epsrel=1e-9
    )
    assert dome.mass == pytest.approx(shells, rel=1e-7)
    assert dome.integral(t, 1.1 * dome.front(t)) == pytest.approx(dome.mass, rel=1e-14)
    assert dome.integral(t, -1.1 * dome.front(t)) == 0.0


@given(m=exponents, d=dimensions, t=st.floats(0.1, 3.0), where=st.floats(0.05, 0.8))
def test_it_solves_the_porous_medium_equation_behind_its_front(m, d, t, where):
    dome = Barenblatt(m, d)
    r, h = where * dome.front(t), 1e-4 * dome.front(t)

    def flux(at):
        u = dome(t, at + np.array([-0.5, 0.0, 0.5]) * h)
        return at ** (d - 1) * u[1] ** m * (u[2] - u[0]) / h

    rate = (dome(t * (1.0 + 1e-5), r) - dome(t * (1.0 - 1e-5), r)) / (2e-5 * t)
    spread = (flux(r + 0.5 * h) - flux(r - 0.5 * h)) / (h * r ** (d - 1))
    # Relative to the two terms that make up the spreading, which may cancel.
    assert rate == pytest.approx(spread, abs=1e-3 * dome(t, 0.0) / t)


@given(m=exponents, d=dimensions, radius=st.floats(0.1, 3.0), t=st.floats(0.01, 3.0))
def test_its_front_is_where_it_was_asked_for_and_has_a_time(m, d, radius, t):
    dome = Barenblatt.with_front(m, radius, t, d)
    assert dome.front(t) == pytest.approx(radius)
    assert dome.front_time(-radius) == pytest.approx(t)
    assert dome(t, 1.001 * radius) == 0.0 < dome(t, 0.99 * radius)


@given(m=exponents, t=st.floats(0.2, 2.0))
def test_cell_averages_on_a_line_agree_with_quadrature(m, t):
    dome = Barenblatt(m)
    faces = np.linspace(-1.3, 1.2, 8) * dome.front(t)
    front = dome.front(t)
    wanted = [
        quad(lambda x: dome(t, x), max(a, -front), min(b, front), epsabs=1e-13, limit=200)[0] / (b - a)
        for a, b in pairwise(faces)
    ]
    np.testing.assert_allclose(cell_averages(dome, t, faces), wanted, atol=1e-8 * dome(t, 0.0))


@pytest.mark.parametrize("m", [0.5, 2.0, 3.3, 6.0])
def test_box_averages_agree_with_nested_quadrature_and_add_up_to_the_mass(m):
    dome = Barenblatt.with_front(m, 0.8, 1.0, dimension=2)
    x, y = np.linspace(-0.85, 0.95, 8), np.linspace(-1.0, 0.9, 7)
    averages = box_averages(dome, 1.0, x, y)
    assert (averages * np.outer(np.diff(y), np.diff(x))).sum() == pytest.approx(dome.mass, rel=1e-11)

    def row(at, a, b):
        # Over x at one y: (s² − x²)₊^{1/m} is a dome on a line.
        s = np.sqrt(max(0.64 - at * at, 0.0))
        a, b = max(a, -s), min(b, s)
        return quad(lambda x: dome(1.0, np.hypot(x, at)), a, b, epsabs=1e-10, limit=100)[0] if a < b else 0.0

    for j, i in [(0, 3), (3, 3), (5, 6), (1, 1), (4, 0), (3, 6)]:
        kinks = [
            k
            for k in np.r_[-0.8, 0.8, np.sqrt(np.maximum(0.64 - x[i : i + 2] ** 2, 0.0))]
            if y[j] < k < y[j + 1]
        ]
        total, _ = quad(
            row, y[j], y[j + 1], args=(x[i], x[i + 1]), points=kinks or None, epsabs=1e-8, limit=100
        )
        assert averages[j, i] == pytest.approx(total / ((y[j + 1] - y[j]) * (x[i + 1] - x[i])), abs=1e-6)


@pytest.mark.parametrize("m", [2.0, 3.0, 6.0])
def test_boxes_and_their_halves_have_the_same_integral(m):
    # The sum over finer boxes meets the front elsewhere, so what is left is the error of the quadrature.
    dome = Barenblatt.with_front(m, 0.8, 1.0, dimension=2)
    fine, coarse = (np.linspace(-1.0, 1.0, n + 1) for n in (128, 64))
    averages = box_averages(dome, 1.0, fine, fine).reshape(64, 2, 64, 2).mean(axis=(1, 3))
    error = abs(averages - box_averages(dome, 1.0, coarse, coarse)).max()
    assert error <= 1e-12 * dome(1.0, 0.0)
    assert averages.min() == 0.0


def test_boxes_need_a_solution_in_a_plane_after_its_start():
    with pytest.raises(ValueError, match="dimension=2"):
        box_averages(Barenblatt(2.0), 1.0, [0.0, 1.0], [0.0, 1.0])
    with pytest.raises(ValueError, match="give a time > 0"):
        box_averages(Barenblatt(2.0, dimension=2), 0.0, [0.0, 1.0], [0.0, 1.0])


@pytest.mark.parametrize("arguments", [(0.0,), (-1.0,), (np.nan,), (2.0, 0), (2.0, 1, 0.0), (2.0, 1, np.inf)])
def test_parameters_without_a_front_are_refused(arguments):
    with pytest.raises(ValueError, match="has no front; it needs finite m > 0"):
        Barenblatt(*arguments)


def test_a_front_that_is_none_is_refused():
    with pytest.raises(ValueError, match="give a radius > 0 at a time > 0"):
        Barenblatt.with_front(2.0, 1.0, 0.0)


def test_the_solver_on_a_line_finds_it():
    # Workload W2 of the peers' comparison: m = 3, C = 2.3, from t = 1 to 2 on [−4, 4].
    dome, grid = Barenblatt(3.0, scale=2.3), Cells(-4.0, 4.0, 128)
    start = cell_averages(dome, 1.0, grid.faces)
    problem = Problem("dome", Power(3.0), grid, Walls(Neumann(), Neumann()), start, [1.0, 2.0])
    error = ExplicitDiffusion().solve(problem).state[-1] - cell_averages(dome, 2.0, grid.faces)
    assert abs(error) @ grid.weights <= 5e-4 * dome.mass
