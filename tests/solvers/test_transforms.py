"""Waves and polynomials: transforms, derivatives, quadrature and interpolation are exact for what their points carry."""

import math
from itertools import product

import numpy as np
import pytest

from lawbound.solvers import (
    ChebyshevNodes,
    Constant,
    Dirichlet,
    Nodes,
    Periodic,
    PeriodicNodes,
    Problem,
    Rectangle,
    Walls,
    Wave,
    chebyshev,
    fourier,
)
from lawbound.solvers.spectral import initial_values, tail_of

KINDS = ["dirichlet", "neumann", "dirichlet-neumann", "neumann-dirichlet", "periodic"]
RANDOM = np.random.default_rng(3)


@pytest.mark.parametrize(("kind", "n"), list(product(KINDS, (2, 5, 8, 33))))
def test_a_basis_gives_amplitudes_and_values_of_its_own_waves(kind, n):
    basis = fourier.Basis(kind, n)
    amplitudes = RANDOM.normal(size=(3, n))
    values = basis.values(amplitudes)
    np.testing.assert_allclose(values, basis.evaluate(amplitudes, basis.points), atol=1e-13 * n)
    np.testing.assert_allclose(basis.amplitudes(values), amplitudes, atol=1e-14 * n)


@pytest.mark.parametrize("kind", KINDS)
def test_waves_have_the_means_norms_and_walls_of_their_kind(kind):
    basis = fourier.Basis(kind, 12)
    x, w = np.polynomial.legendre.leggauss(60)
    waves = basis.waves(0.5 * (x + 1.0))
    np.testing.assert_allclose(waves @ (0.5 * w), basis.means, atol=1e-14)
    # On an even number of periodic points, too, no two waves are alike.
    np.testing.assert_allclose((waves * (0.5 * w)) @ waves.T, np.diag(basis.norms), atol=1e-14)
    ends = basis.waves(np.array([0.0, 1.0]))
    if kind == "periodic":
        np.testing.assert_allclose(ends[:, 0], ends[:, 1], atol=1e-13)
    if kind.startswith("dirichlet"):
        assert (ends[:, 0] == 0.0).all()
    if kind in ("dirichlet", "neumann-dirichlet"):
        np.testing.assert_allclose(ends[:, 1], 0.0, atol=1e-13)


@pytest.mark.parametrize("n", [2, 3, 8, 33, 64])
def test_polynomials_are_differentiated_integrated_and_interpolated_exactly(n):
    x, p = chebyshev.nodes(n), np.polynomial.Chebyshev(RANDOM.normal(size=n))
    size = abs(p.deriv()(x)).max()
    np.testing.assert_allclose(chebyshev.differentiation_matrix(n) @ p(x), p.deriv()(x), atol=1e-13 * size)
    assert chebyshev.clenshaw_curtis(n) @ p(x) == pytest.approx(p.integ()(1.0) - p.integ()(-1.0), abs=1e-13)
    points = np.append(np.linspace(-1.0, 1.0, 9), x[1])
    np.testing.assert_allclose(chebyshev.interpolation_matrix(n, points) @ p(x), p(points), atol=1e-13 * n)
    np.testing.assert_allclose(chebyshev.coefficients(p(x)), p.coef, atol=1e-14 * n)
    np.testing.assert_allclose(chebyshev.values(p.coef), p(x), atol=1e-13 * n)


def test_chebyshev_points_mirror_each_other_to_the_last_bit():
    for n in (40, 41):
        assert (chebyshev.nodes(n) == -chebyshev.nodes(n)[::-1]).all()
        matrix = chebyshev.differentiation_matrix(n)
        assert abs(matrix + matrix[::-1, ::-1]).max() < 1e-12 * abs(matrix).max()


def test_the_tail_of_a_smooth_function_is_small_and_that_of_a_corner_is_not():
    x = chebyshev.nodes(33)
    assert tail_of(chebyshev.coefficients(np.exp(x))) < 1e-15
    assert tail_of(chebyshev.coefficients(abs(x))) > 1e-4


@pytest.mark.parametrize("order", range(2, 10))
def test_end_corrections_reach_their_order_with_positive_weights(order):
    errors = []
    for n in (31, 61):
        grid = Nodes(0.0, 1.0, n, order=order)
        assert (grid.weights > 0.0).all()
        errors.append(abs(np.exp(2.0 * grid.points) @ grid.weights - 0.5 * np.expm1(2.0)))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.5)


def test_a_quadrature_order_that_the_points_do_not_carry_is_refused():
    with pytest.raises(
        ValueError, match=r"order=10 is none of a quadrature on 50 equally spaced points; use 2 … 9"
    ):
        Nodes(0.0, 1.0, 50, order=10)
    with pytest.raises(ValueError, match=r"use 2 … 5, or more points"):
        Nodes(0.0, 1.0, 8, order=6)


@pytest.mark.parametrize(
    "grid", [Nodes(-1.0, 2.0, 40), ChebyshevNodes(-1.0, 2.0, 40), PeriodicNodes(-1.0, 2.0, 40)]
)
@pytest.mark.parametrize("plane", [False, True])
def test_initial_values_are_the_function_itself_or_what_its_values_say(grid, plane):
    def wave(*x):
        return math.prod(np.exp(np.sin(2.0 * np.pi / 3.0 * (a + 0.3))) for a in x)

    at = np.linspace(-1.0, 2.0, 17)
    periodic = isinstance(grid, PeriodicNodes)
    ends = (Periodic(), Periodic()) if periodic else (Dirichlet(0.0), Dirichlet(0.0))
    domain, walls = (Rectangle(grid, grid), Walls(*ends, *ends)) if plane else (grid, Walls(*ends))
    points = (at, at[:9]) if plane else (at,)
    where = (at[None, :], at[:9, None]) if plane else (at,)
    with_function = Problem("test", Wave(1.0), domain, walls, wave, [0.0, 1.0])
    with_values = Problem("test", Wave(1.0), domain, walls, with_function.initial, [0.0, 1.0])
    np.testing.assert_allclose(initial_values(with_function, *points), wave(*where), rtol=1e-15)
    np.testing.assert_allclose(
        initial_values(with_values, *points), wave(*where), atol=1e-6 if isinstance(grid, Nodes) else 1e-13
    )


def test_periodic_points_go_with_periodic_walls_only():
    with pytest.raises(ValueError, match=r"Periodic\(\) walls go with PeriodicNodes"):
        Problem("test", Constant(1.0), Nodes(0.0, 1.0, 9), Walls(Periodic(), Periodic()), 0.0, [0.0, 1.0])
    with pytest.raises(ValueError, match=r"Periodic\(\) walls go with PeriodicNodes"):
        walls = Walls(Dirichlet(0.0), Dirichlet(0.0))
        Problem("test", Constant(1.0), PeriodicNodes(0.0, 1.0, 9), walls, 0.0, [0.0, 1.0])
