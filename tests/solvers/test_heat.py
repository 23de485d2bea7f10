"""The spectral heat solver: closed forms, every kind of wall, data that do not fit, and the balance of what went through."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from lawbound.solvers import (
    AtPoint,
    AtTime,
    ChebyshevNodes,
    Constant,
    Dirichlet,
    HeatedRod,
    Neumann,
    Nodes,
    Periodic,
    PeriodicNodes,
    Power,
    Problem,
    ResolutionWarning,
    Robin,
    SineOfTime,
    SpectralHeat,
    StokesLayer,
    Walls,
    solver_for,
)
from lawbound.solvers.duhamel import STAGES, decayed, integrals_of_moments, moments, panels
from lawbound.solvers.eigenmodes import End, eigenmodes, legendre_values

HELD, FREE = Dirichlet(0.0), Neumann(0.0)


def heat(walls, initial, times, *, k=1.0, grid=None, source=None):
    return Problem(
        "heat", Constant(k), grid or Nodes(0.0, 1.0, 65, order=8), walls, initial, times, source=source
    )


# Modes


@pytest.mark.parametrize(
    ("lower", "upper", "first"),
    [
        (End(1, 0), End(1, 0), np.pi * np.arange(1, 30)),
        (End(0, 1), End(0, 1), np.pi * np.arange(29)),
        (End(1, 0), End(0, 1), np.pi * (np.arange(29) + 0.5)),
        (End(0, 1), End(1, 0), np.pi * (np.arange(29) + 0.5)),
    ],
)
def test_low_eigenvalues_are_those_of_sines_and_cosines(lower, upper, first):
    modes = eigenmodes(lower, upper, 64)
    np.testing.assert_allclose(modes.eigenvalues[:29], first**2, rtol=1e-12, atol=1e-12)


def test_eigenvalues_between_walls_that_exchange_heat_solve_their_equation():
    lower, upper = 2.0, 0.7

    def condition(s):
        return (s * s - lower * upper) * np.sin(s) - (lower + upper) * s * np.cos(s)

    roots = [
        brentq(condition, np.pi * m + 1e-9 + 0.1 * (m == 0), np.pi * (m + 1) - 1e-9, xtol=1e-15)
        for m in range(20)
    ]
    modes = eigenmodes(End(lower, 1.0), End(upper, 1.0), 64)
    np.testing.assert_allclose(modes.eigenvalues[:20], np.square(roots), rtol=1e-12)


@pytest.mark.parametrize("ends", [(End(1, 0), End(0, 1)), (End(0, 1), End(0, 1)), (End(3.0, 1.0), End(1, 0))])
def test_modes_are_orthonormal_and_satisfy_their_walls(ends):
    modes = eigenmodes(*ends, 40)
    values = legendre_values(42, modes.points) @ modes.polynomials.T
    np.testing.assert_allclose((values * modes.gauss[:, None]).T @ values, np.eye(40), atol=1e-12)
    for y, sign, end in ((0.0, -1.0, ends[0]), (1.0, 1.0, ends[1])):
        for row, size in zip(modes.polynomials[:20], np.sqrt(modes.eigenvalues[:20] + 1.0), strict=True):
            mode = np.polynomial.Legendre(row, domain=[0.0, 1.0])
            assert abs(end.value * mode(y) + end.slope * sign * mode.deriv()(y)) < 1e-11 * size


# Time


@given(z=st.floats(0.0, 1e6), k=st.integers(0, STAGES - 1))
@settings(max_examples=60, deadline=None)
def test_moments_are_the_integrals_that_they_are_said_to_be(z, k):
    # On pieces that halve towards the end of the panel, which is all that a fast mode remembers.
    ends = 1.0 - np.append(0.5 ** np.arange(25), 0.0)
    x, w = np.polynomial.legendre.leggauss(24)
    tau = (0.5 * (ends[1:] + ends[:-1])[:, None] + 0.5 * np.diff(ends)[:, None] * x).ravel()
    weights = (0.5 * np.diff(ends)[:, None] * w).ravel()
    forcing = np.cos(k * np.arccos(np.clip(2.0 * tau - 1.0, -1.0, 1.0)))
    mine = moments(np.array([z]))
    assert mine[0, k] == pytest.approx(weights @ (np.exp(-z * (1.0 - tau)) * forcing), abs=1e-14)
    built = (1.0 - tau) * decayed(z * (1.0 - tau))
    assert integrals_of_moments(np.array([z]), mine)[0, k] == pytest.approx(
        weights @ (built * forcing), abs=1e-14
    )


def test_a_forcing_that_jumps_makes_short_panels_where_it_does_and_only_there():
    (found,) = panels(lambda t: np.where(t < 0.3, 0.0, 1.0)[:, None], np.array([0.0, 1.0]), np.ones(1))
    assert 10 < len(found) < 60
    assert sum(p.length for p in found) == pytest.approx(1.0, abs=1e-15)
    assert all(abs(p.start - 0.3) <= 2.0 * p.length for p in found if p.length < 1e-3)
    assert sum(p.integral[0] for p in found) == pytest.approx(0.7, abs=1e-7)


# Closed forms


@pytest.mark.parametrize("nu", [0.1, 0.02, 0.005, 0.002, 0.001])
@pytest.mark.parametrize("omega", [3.0, 3.7])
def test_stokes_second_problem(nu, omega):
    layer, grid = StokesLayer(nu, omega), Nodes(0.0, 1.0, 101)
    walls = Walls(Dirichlet(AtPoint(layer, 0.0)), Dirichlet(AtPoint(layer, 1.0)))
    run = SpectralHeat().solve(heat(walls, AtTime(layer, 0.0), np.linspace(0.0, 2.0, 9), k=nu, grid=grid))
    exact = layer(run.problem.times[:, None], grid.points)
    assert abs(run.state - exact).max() < 1e-12
    np.testing.assert_allclose(run.mass, layer.integral(run.problem.times, 1.0), atol=1e-13)


@pytest.mark.parametrize("omega", [2.01, 2.37, 3.0, 3.99])
def test_a_rod_whose_heater_and_start_do_not_fit_each_other(omega):
    rod, grid = HeatedRod(omega), Nodes(0.0, 1.0, 101)
    times = np.array([0.0, 0.01, 0.02, 0.1, 0.5, 1.0, 2.0])
    walls = Walls(FREE, Neumann(SineOfTime(0.05, np.pi)))
    run = SpectralHeat().solve(heat(walls, AtTime(rod, 0.0), times, k=0.01, grid=grid))
    assert abs(run.state - rod(times, grid.points)).max() < 1e-11
    np.testing.assert_allclose(run.mass, rod.integral(times, 1.0), atol=1e-13)
    assert abs(run.ledger_residual).max() < 1e-12


def test_the_rod_s_error_falls_faster_than_any_power_of_the_modes_and_slower_the_closer_to_the_start():
    rod, grid = HeatedRod(2.37), Nodes(0.0, 1.0, 101)
    times = np.array([0.0, 1e-3, 0.02, 0.5])
    problem = heat(Walls(FREE, Neumann(SineOfTime(0.05, np.pi))), AtTime(rod, 0.0), times, k=0.01, grid=grid)
    exact = rod(times, grid.points)
    errors = []
    for modes in (24, 48, 96):
        with pytest.warns(ResolutionWarning, match=f"not resolved by {modes} modes"):
            errors.append(abs(SpectralHeat(modes=modes).solve(problem).state - exact).max(axis=1)[1:])
    early, later, late = np.array(errors).T
    assert late[1] < 1e-12
    assert later[1] < 1e-3 * later[0] ** 0.5 and later[2] < 1e-11
    assert 1e-8 < early[2] < early[1] < early[0]


def test_steady_states_between_robin_walls():
    # k u' = h (g − u) at both ends: a straight line.
    k, h, low, high = 0.5, (2.0, 3.0), 1.0, 4.0
    flux = (high - low) / (1.0 / h[0] + 1.0 / h[1] + 1.0 / k)
    grid = ChebyshevNodes(0.0, 1.0, 33)
    run = SpectralHeat().solve(
        heat(Walls(Robin(h[0], low), Robin(h[1], high)), 0.0, [0.0, 1.0, 60.0], k=k, grid=grid)
    )
    np.testing.assert_allclose(run.state[-1], low + flux / h[0] + flux / k * grid.points, atol=1e-13)
    assert abs(run.ledger_residual).max() < 1e-12
    assert np.diff(run.inflow[1:], axis=0)[0].sum() == pytest.approx(run.mass[2] - run.mass[1], abs=1e-12)


def test_a_mode_of_walls_that_exchange_heat_decays_at_its_own_rate():
    modes = eigenmodes(End(1.5, 1.0), End(0.0, 1.0), 64)
    third = np.polynomial.Legendre(modes.polynomials[2], domain=[0.0, 1.0])
    grid = Nodes(-1.0, 1.0, 65)  # twice as long: rates are a quarter
    walls = Walls(Robin(0.75 * 0.2, 0.0), FREE)
    problem = heat(walls, lambda x: third(0.5 * (x + 1.0)), [0.0, 0.3, 1.0], k=0.2, grid=grid)
    run = SpectralHeat().solve(problem)
    decay = np.exp(-0.05 * modes.eigenvalues[2] * problem.times)
    np.testing.assert_allclose(run.state, decay[:, None] * third(0.5 * (grid.points + 1.0)), atol=1e-13)


def test_sources_in_space_and_time_are_integrated_exactly():
    # u = sin πx · cos 3t solves u_t = u_xx + s.
    def source(t, x):
        return np.sin(np.pi * x) * (np.pi**2 * np.cos(3.0 * t) - 3.0 * np.sin(3.0 * t))

    run = SpectralHeat().solve(
        heat(Walls(HELD, HELD), lambda x: np.sin(np.pi * x), np.linspace(0, 2, 5), source=source)
    )
    exact = np.cos(3.0 * run.problem.times)[:, None] * np.sin(np.pi * run.problem.grid.points)
    assert abs(run.state - exact).max() < 1e-13
    assert abs(run.ledger_residual).max() < 1e-13
    steady = SpectralHeat().solve(heat(Walls(HELD, HELD), 0.0, [0.0, 20.0], source=2.0))
    x = steady.problem.grid.points
    np.testing.assert_allclose(steady.state[-1], x * (1.0 - x), atol=1e-14)


def test_sources_on_a_circle():
    grid = PeriodicNodes(0.0, 2.0, 32)
    walls = Walls(Periodic(), Periodic())
    source = np.cos(np.pi * grid.points)
    run = SpectralHeat().solve(heat(walls, 1.0, [0.0, 0.5, 30.0], grid=grid, source=source))
    np.testing.assert_allclose(run.state[-1], 1.0 + source / np.pi**2, atol=1e-13)


@pytest.mark.parametrize("n", [16, 17, 512])
def test_waves_on_a_circle_decay_exactly(n):
    grid = PeriodicNodes(0.0, 2.0 * np.pi, n)
    walls, times = Walls(Periodic(), Periodic()), [0.0, 0.3, 1.0]
    run = SpectralHeat().solve(heat(walls, lambda x: np.exp(np.sin(x)), times, grid=grid))
    fine = SpectralHeat().solve(
        heat(walls, lambda x: np.exp(np.sin(x)), times, grid=PeriodicNodes(0.0, 2.0 * np.pi, 4 * n))
    )
    np.testing.assert_allclose(run.state, fine.state[:, ::4], atol=1e-14)
    np.testing.assert_allclose(run.mass, 2.0 * np.pi * np.i0(1.0), atol=1e-13)
    waves = heat(walls, np.cos(3.0 * grid.points), times, grid=grid)
    np.testing.assert_allclose(
        SpectralHeat().solve(waves).state, np.exp(-9.0 * waves.times)[:, None] * waves.initial, atol=1e-14
    )


# Balance


@given(
    kinds=st.tuples(*[st.sampled_from(["dirichlet", "neumann", "robin"])] * 2),
    k=st.floats(0.02, 2.0),
    waves=st.tuples(*[st.floats(-2.0, 2.0)] * 4),
    length=st.floats(0.5, 3.0),
)
@settings(max_examples=25, deadline=None)
def test_what_is_there_is_what_was_there_and_what_the_walls_let_in(kinds, k, waves, length):
    make = {"dirichlet": Dirichlet, "neumann": Neumann, "robin": lambda g: Robin(1.3, g)}
    walls = Walls(*(make[kind](SineOfTime(a, 4.0)) for kind, a in zip(kinds, waves[:2], strict=True)))
    grid = Nodes(0.0, length, 129, order=8)
    problem = heat(
        walls,
        lambda x: waves[2] + waves[3] * np.cos(3.0 * x / length),
        np.linspace(0.2, 1.2, 6),
        k=k,
        grid=grid,
    )
    run = SpectralHeat(modes=192).solve(problem)
    assert abs(run.ledger_residual).max() < 1e-11
    assert abs(run.total - run.mass)[1:].max() < 1e-6 * (1.0 + abs(run.state).max())


def test_the_flux_through_a_held_wall_is_that_of_the_closed_form():
    # u = e^{−π²t} sin πx loses π e^{−π²t} through each wall.
    run = SpectralHeat().solve(heat(Walls(HELD, HELD), lambda x: np.sin(np.pi * x), np.linspace(0.0, 1.0, 5)))
    lost = -np.expm1(-(np.pi**2) * run.problem.times) / np.pi
    np.testing.assert_allclose(run.inflow, -np.stack([lost, lost], axis=1), atol=1e-14)


def test_a_batch_is_its_samples_bit_for_bit():
    problems = [
        heat(Walls(Dirichlet(SineOfTime(a, 5.0)), FREE), lambda x, a=a: a + x**2, [0.0, 0.1, 0.5], k=0.1 + a)
        for a in (0.0, 0.3, 1.0)
    ]
    for problem, run in zip(problems, SpectralHeat().solve_batch(problems), strict=True):
        assert (run.state == SpectralHeat().solve(problem).state).all()


# What is refused, and what is said


def test_it_is_the_solver_of_heat_on_points():
    assert solver_for(heat(Walls(HELD, HELD), 0.0, [0.0, 1.0])) == SpectralHeat()


@pytest.mark.parametrize("equation", [Power(2.0)])
def test_other_equations_on_points_are_refused_at_the_door(equation):
    with pytest.raises(ValueError, match="it is solved in averages, on Cells"):
        Problem("pme", equation, Nodes(0.0, 1.0, 9), Walls(HELD, HELD), 0.0, [0.0, 1.0])


def test_a_start_that_its_modes_do_not_resolve_is_said():
    walls = Walls(Periodic(), Periodic())
    jump = heat(walls, lambda x: np.sign(x - 0.5), [0.0, 1e-9], grid=PeriodicNodes(0.0, 1.0, 16))
    with pytest.warns(
        ResolutionWarning, match=r"`heat` is not resolved by \d+ modes: the end of its spectrum is"
    ):
        SpectralHeat().solve(jump)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tolerance": 0.0}, "give a number between 0 and 1"),
        ({"modes": 4}, "give at least 8, or leave it out"),
    ],
)
def test_options_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        SpectralHeat(**arguments)


def test_walls_and_sources_that_are_not_finite_are_refused():
    late = Dirichlet(lambda t: np.where(np.asarray(t) > 0.5, np.nan, 0.0))
    with pytest.raises(ValueError, match="give a finite wall value"):
        SpectralHeat().solve(heat(Walls(late, HELD), 0.0, [0.0, 1.0]))
    with pytest.raises(ValueError, match="not finite at t=0"):
        SpectralHeat().solve(
            heat(Walls(HELD, HELD), 0.0, [0.0, 1.0], source=lambda t, x: x + (np.inf if t == 0 else 0))
        )
