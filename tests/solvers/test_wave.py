"""The spectral wave solver: closed forms on intervals and rectangles, and energy that stays to round-off."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawbound.solvers import (
    ChebyshevNodes,
    Dirichlet,
    Drum,
    Neumann,
    Nodes,
    Periodic,
    PeriodicNodes,
    Problem,
    Rectangle,
    ResolutionWarning,
    Robin,
    SpectralWave,
    StandingWaves,
    Walls,
    Wave,
    solver_for,
)

HELD, FREE, ROUND = Dirichlet(0.0), Neumann(0.0), Periodic()
SPEED, LOW, LENGTH = 1.3, -0.5, 2.0
#: Wall pairs, wavenumber of the fourth wave, and the wave.
AXES = {
    "held": ((HELD, HELD), 3.0 * np.pi / LENGTH, np.sin),
    "free": ((FREE, FREE), 3.0 * np.pi / LENGTH, np.cos),
    "held-free": ((HELD, FREE), 3.5 * np.pi / LENGTH, np.sin),
    "free-held": ((FREE, HELD), 3.5 * np.pi / LENGTH, np.cos),
    "round": ((ROUND, ROUND), 4.0 * np.pi / LENGTH, np.sin),
}


def grid_of(axis, kind, n):
    return (PeriodicNodes if axis == "round" else kind)(LOW, LOW + LENGTH, n)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("kind", [Nodes, ChebyshevNodes])
@pytest.mark.parametrize("n", [65, 20])
def test_a_wave_with_a_rate_turns_at_its_frequency(axis, kind, n):
    walls, kappa, shape = AXES[axis]
    grid = grid_of(axis, kind, n)
    wave = shape(kappa * (grid.points - LOW))
    problem = Problem(
        "wave", Wave(SPEED), grid, Walls(*walls), lambda x: shape(kappa * (x - LOW)), np.linspace(1.0, 2.3, 5),
        initial_rate=lambda x: 2.0 * shape(kappa * (x - LOW)),
    )  # fmt: skip
    run = SpectralWave().solve(problem)
    omega, t = SPEED * kappa, (problem.times - 1.0)[:, None]
    np.testing.assert_allclose(
        run.state, wave * (np.cos(omega * t) + 2.0 * np.sin(omega * t) / omega), atol=1e-13
    )
    np.testing.assert_allclose(
        run.others["u_t"], wave * (2.0 * np.cos(omega * t) - omega * np.sin(omega * t)), atol=1e-12
    )
    np.testing.assert_allclose(run.diagnostics["energy"], LENGTH / 4.0 * (4.0 + omega**2), rtol=1e-14)
    assert abs(run.ledger_residual).max() < 1e-14


@pytest.mark.parametrize("along_x", AXES)
@pytest.mark.parametrize("along_y", ["held", "free-held", "round"])
def test_a_standing_wave_on_a_rectangle(along_x, along_y):
    (walls_x, kx, fx), (walls_y, ky, fy) = AXES[along_x], AXES[along_y]
    grid = Rectangle(grid_of(along_x, Nodes, 30), grid_of(along_y, ChebyshevNodes, 24))
    x, y = grid.x.points[None, :], grid.y.points[:, None]

    def shape(x, y):
        return fx(kx * (x - LOW)) * fy(ky * (y - LOW))

    times = np.linspace(0.0, 2.0, 6)
    run = SpectralWave().solve(Problem("wave", Wave(SPEED), grid, Walls(*walls_x, *walls_y), shape, times))
    turned = np.cos(SPEED * np.hypot(kx, ky) * times)[:, None, None]
    np.testing.assert_allclose(run.state, turned * shape(x, y), atol=1e-12)
    np.testing.assert_allclose(run.diagnostics["energy"], run.diagnostics["energy"][0], rtol=1e-14)


def test_strings_and_drums_of_many_modes():
    string = StandingWaves(0.7, (1.0, -0.5, 0.3, 0.0, 0.2))
    grid = Nodes(0.0, 1.0, 40)
    run = SpectralWave().solve(
        Problem("s", Wave(0.7), grid, Walls(HELD, HELD), string.start, [0.0, 0.9, 7.0])
    )
    np.testing.assert_allclose(run.state[2], string(7.0, grid.points), atol=1e-13)
    np.testing.assert_allclose(run.mass, string.integral(run.problem.times, 1.0), atol=1e-14)
    drum = Drum(1.0, tuple(map(tuple, np.random.default_rng(0).normal(size=(6, 5)).tolist())))
    square = Rectangle(Nodes(0.0, 1.0, 30), Nodes(0.0, 1.0, 20))
    run = SpectralWave().solve(
        Problem("d", Wave(1.0), square, Walls(FREE, FREE, FREE, FREE), drum.start, [0.0, 1.7])
    )
    exact = drum.at(1.7, square.x.points[None, :], square.y.points[:, None])
    np.testing.assert_allclose(run.state[1], exact, atol=1e-12)


def test_a_pulse_on_a_circle_travels_both_ways():
    def pulse(x):
        return np.exp(-40.0 * np.sin(np.pi * x) ** 2)

    grid = PeriodicNodes(0.0, 1.0, 64)
    run = SpectralWave().solve(Problem("p", Wave(2.0), grid, Walls(ROUND, ROUND), pulse, [0.0, 0.11]))
    moved = 0.5 * (pulse(grid.points - 0.22) + pulse(grid.points + 0.22))
    np.testing.assert_allclose(run.state[1], moved, atol=1e-13)


def test_a_string_between_unequal_heights_swings_about_the_line_between_them():
    grid = Nodes(0.0, 2.0, 33)
    line, wave = 1.0 + grid.points, np.sin(0.5 * np.pi * grid.points)
    walls = Walls(Dirichlet(1.0), Dirichlet(3.0))
    run = SpectralWave().solve(Problem("s", Wave(1.0), grid, walls, line + wave, [0.0, 1.0, 2.0]))
    np.testing.assert_allclose(
        run.state, line + np.cos(0.5 * np.pi * run.problem.times)[:, None] * wave, atol=1e-14
    )
    np.testing.assert_allclose(run.diagnostics["energy"], 0.5 * (2.0 + np.pi**2 / 4.0), rtol=1e-14)
    assert (run.state[:, 0] == 1.0).all() and (abs(run.state[:, -1] - 3.0) < 1e-15).all()


@given(
    data=st.lists(st.floats(-1.0, 1.0), min_size=18, max_size=18),
    c=st.floats(0.2, 5.0),
    t=st.floats(0.1, 50.0),
)
@settings(max_examples=25, deadline=None)
def test_energy_stays_and_time_runs_backwards_for_random_data(data, c, t):
    grid, walls = Nodes(0.0, 1.0, 20), Walls(HELD, HELD)
    u, rate = (np.pad(part, 1) for part in np.reshape(data, (2, 9)))
    u, rate = (
        np.interp(grid.points, np.linspace(0, 1, 11), u),
        np.interp(grid.points, np.linspace(0, 1, 11), rate),
    )
    there = SpectralWave().solve(Problem("w", Wave(c), grid, walls, u, [0.0, t], initial_rate=rate))
    energy = there.diagnostics["energy"]
    assert math.isclose(energy[0], energy[1], rel_tol=1e-12, abs_tol=1e-300)
    back = SpectralWave().solve(
        Problem("w", Wave(c), grid, walls, there.state[1], [0.0, t], initial_rate=-there.others["u_t"][1])
    )
    np.testing.assert_allclose(back.state[1], u, atol=1e-11)


def test_a_batch_is_its_samples_bit_for_bit():
    grid = Nodes(0.0, 1.0, 33)
    problems = [
        Problem("w", Wave(c), grid, Walls(HELD, HELD), lambda x: x * (1 - x) * np.sin(np.pi * x), [0.0, 1.0])
        for c in (0.5, 2.0)
    ]
    with pytest.warns(ResolutionWarning):
        batch = SpectralWave().solve_batch(problems)
        single = [SpectralWave().solve(problem) for problem in problems]
    assert all((a.state == b.state).all() for a, b in zip(batch, single, strict=True))


def test_it_is_the_solver_of_waves_and_of_nothing_else():
    grid = Nodes(0.0, 1.0, 9)
    assert solver_for(Problem("w", Wave(1.0), grid, Walls(HELD, HELD), 0.0, [0.0, 1.0])) == SpectralWave()
    with pytest.raises(ValueError, match="only a wave starts with a rate"):
        from lawbound.solvers import Constant

        Problem("h", Constant(1.0), grid, Walls(HELD, HELD), 0.0, [0.0, 1.0], initial_rate=0.0)


@pytest.mark.parametrize("wall", [Robin(1.0, 0.0), Neumann(0.1), Dirichlet(np.sin)])
def test_walls_that_feed_waves_are_refused(wall):
    problem = Problem("w", Wave(1.0), Nodes(0.0, 1.0, 9), Walls(wall, HELD), 0.0, [0.0, 1.0])
    with pytest.raises(ValueError, match=r"x_lo of `w` is .*; waves are solved between Dirichlet\(0\)"):
        SpectralWave().solve(problem)


@pytest.mark.parametrize("c", [0.0, -1.0, np.nan, np.inf])
def test_a_speed_is_finite_and_positive(c):
    with pytest.raises(ValueError, match="give a finite c > 0"):
        Problem("w", Wave(c), Nodes(0.0, 1.0, 9), Walls(HELD, HELD), 0.0, [0.0, 1.0])


def test_data_that_do_not_fit_the_walls_are_solved_and_said():
    problem = Problem("w", Wave(1.0), Nodes(0.0, 1.0, 33), Walls(HELD, HELD), lambda x: 1.0 + x, [0.0, 0.1])
    with pytest.warns(ResolutionWarning, match="do not fit the walls"):
        SpectralWave().solve(problem)
