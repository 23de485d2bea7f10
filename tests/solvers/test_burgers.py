"""The spectral solver of viscous Burgers keeps the laws, meets closed forms and says when it cannot."""

import warnings

import numpy as np
import pytest

from lawbound.solvers import (
    ChebyshevNodes,
    Dirichlet,
    Neumann,
    Nodes,
    Periodic,
    PeriodicNodes,
    Problem,
    SolverError,
    ViscousBurgers,
    Walls,
    Wave,
)
from lawbound.solvers.burgers import SpectralBurgers
from lawbound.solvers.compiled_fourier import real_transform, values_of_waves, waves_of_values
from lawbound.solvers.exact_burgers import BurgersFront, cole_hopf_sine
from lawbound.solvers.exponential import fill_phi

PERIOD = Walls(Periodic(), Periodic())
TIMES = np.linspace(0.0, 1.0, 6)


def sine(x):
    return np.sin(2.0 * np.pi * x)


def periodic(nu=0.01, initial=sine, n=128, times=TIMES):
    return Problem("periodic", ViscousBurgers(nu), PeriodicNodes(0.0, 1.0, n), PERIOD, initial, times)


def random_field(seed):
    """A smooth random field of period 1 with a mean."""
    draw = np.random.default_rng(seed)
    m = np.arange(1, 9)
    a, b = draw.standard_normal((2, 8)) * 25.0 / ((2.0 * np.pi * m) ** 2 + 25.0)
    mean = 0.3 * draw.standard_normal()

    def field(x):
        angle = 2.0 * np.pi * np.multiply.outer(np.asarray(x), m)
        return mean + np.cos(angle) @ a + np.sin(angle) @ b

    return field


def between(front, grid=None, times=TIMES):
    return Problem(
        "front",
        ViscousBurgers(front.nu),
        grid or Nodes(0.0, 1.0, 101),
        Walls(Dirichlet(lambda t: front(t, 0.0)), Dirichlet(lambda t: front(t, 1.0))),
        lambda x: front(0.0, x),
        times,
    )


def wandering(seed, nu=0.05, times=TIMES):
    """Random walls, and an initial state that agrees with them in value."""
    draw = np.random.default_rng(seed)
    rates, phases = draw.standard_normal((2, 8)) * 4.0, draw.uniform(0.0, 2.0 * np.pi, (2, 8))

    def wall(side):
        return lambda t: (
            np.cos(np.multiply.outer(np.asarray(t), rates[side]) + phases[side]).sum(axis=-1) / 4.0
        )

    def initial(x):
        inside = 4.0 * x * (1.0 - x) * np.sin(7.0 * x + seed)
        return inside + (1.0 - x) * wall(0)(0.0) + x * wall(1)(0.0)

    walls = Walls(Dirichlet(wall(0)), Dirichlet(wall(1)))
    return Problem("random", ViscousBurgers(nu), Nodes(0.0, 1.0, 65), walls, initial, times)


def relative(u, exact):
    return np.abs(u - exact).sum() / np.abs(exact).sum()


# The parts


@pytest.mark.parametrize("points", [16, 24, 32, 96, 256])
@pytest.mark.parametrize("lanes", [1, 4])
def test_compiled_transforms_are_those_of_numpy(points, lanes):
    modes, draw = points // 3, np.random.default_rng(points)
    c = draw.standard_normal((modes, lanes)) + 1j * draw.standard_normal((modes, lanes))
    c[0] = 0.0
    plan, work = real_transform(points, lanes), np.zeros((8, lanes * points // 2))
    even, odd, free, other = values_of_waves(plan, modes, c.real.ravel(), c.imag.ravel(), work)
    u = np.stack([even.reshape(-1, lanes), odd.reshape(-1, lanes)], axis=1).reshape(points, lanes)
    np.testing.assert_allclose(u, np.fft.irfft(c, n=points, axis=0, norm="forward"), atol=1e-12)
    re, im = waves_of_values(plan, modes, even, odd, free, other, work[2:6])
    found = (re + 1j * im).reshape(modes, lanes)
    np.testing.assert_allclose(found, 2.0 * np.fft.rfft(u, axis=0)[:modes], atol=1e-11)


def test_phi_functions_are_integrals_of_exponentials():
    z = -np.concatenate([[0.0], np.logspace(-8, 3, 45)])
    phi = np.empty((8, z.size))
    fill_phi(z, 7, phi)
    # φ_j(z) = ∫₀¹ e^{(1−s)z} s^{j−1}/(j−1)! ds, on pieces that shrink towards the end where e^{(1−s)z} lives.
    nodes, weights = np.polynomial.legendre.leggauss(24)
    edges = np.concatenate([[0.0], 1.0 - 0.5 ** np.arange(1, 14), [1.0]])
    s = (0.5 * (edges[:-1] + edges[1:])[:, None] + 0.5 * np.diff(edges)[:, None] * nodes).ravel()
    w = (0.5 * np.diff(edges)[:, None] * weights).ravel()
    factorial = 1.0
    for j in range(1, 8):
        factorial *= max(1, j - 1)
        exact = np.exp(np.multiply.outer(z, 1.0 - s)) @ (w * s ** (j - 1) / factorial)
        np.testing.assert_allclose(phi[j], exact, rtol=1e-12, atol=1e-14 / factorial)


# Closed forms


@pytest.mark.parametrize(("nu", "tolerance"), [(0.1, 1e-10), (0.01, 1e-9), (0.003, 1e-8)])
def test_a_sine_follows_cole_and_hopf_at_every_output(nu, tolerance):
    answer, exact = SpectralBurgers(tolerance).solve(periodic(nu)), cole_hopf_sine(nu)
    for t, u in zip(TIMES[1:], answer.state[1:], strict=True):
        assert relative(u, exact(t, answer.problem.grid.points)) < 10.0 * tolerance


@pytest.mark.parametrize("front", [BurgersFront(1.0, 0.0, 0.35, 0.1), BurgersFront(1.2, -0.3, 0.3, 0.02)])
@pytest.mark.parametrize("grid", [Nodes(0.0, 1.0, 101), ChebyshevNodes(0.0, 1.0, 64)])
def test_a_front_travels_between_walls_as_it_should(front, grid):
    answer = SpectralBurgers(1e-9).solve(between(front, grid))
    for t, u in zip(TIMES, answer.state, strict=True):
        assert relative(u, front(t, grid.points)) < 1e-8
    np.testing.assert_array_equal(answer.state[1:, [0, -1]], answer.walls[1:])
    entered = np.stack([front.passed(TIMES, 0.0), -front.passed(TIMES, 1.0)], axis=1)
    np.testing.assert_allclose(answer.inflow, entered, atol=1e-8)
    np.testing.assert_allclose(answer.mass, front.integral(TIMES, 1.0), atol=1e-8)


@pytest.mark.parametrize("order", [4, 5, 6])
def test_steps_of_fixed_length_converge_with_their_order(order):
    exact, errors = cole_hopf_sine(0.05), []
    steps = 1.0 / np.array([64.0, 96.0, 144.0])
    for step in steps:
        solver = SpectralBurgers(np.inf, modes=80, order=order, longest_step=step)
        answer = solver.solve(periodic(0.05, times=[0.0, 0.5]))
        errors.append(relative(answer.state[-1], exact(0.5, answer.problem.grid.points)))
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] > order - 0.5


@pytest.mark.parametrize("order", [4, 5])
def test_walls_that_move_cost_no_order(order):
    problem, steps, errors = wandering(3, 0.1), 1.0 / np.array([100.0, 150.0, 225.0]), []
    good = SpectralBurgers(1e-12).solve(problem).state[-1]
    for step in steps:
        solver = SpectralBurgers(np.inf, modes=48, order=order, longest_step=step)
        errors.append(np.abs(solver.solve(problem).state[-1] - good).max())
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] > order - 0.6


# Laws


@pytest.mark.parametrize("seed", range(3))
def test_mass_stays_on_a_period_to_the_last_bits(seed):
    answer = SpectralBurgers(1e-7).solve(periodic(initial=random_field(seed)))
    assert np.ptp(answer.mass) == 0.0
    np.testing.assert_allclose(answer.total, answer.mass, atol=4e-15)
    np.testing.assert_array_equal(answer.inflow.sum(axis=1), 0.0)


def test_what_passes_the_ends_of_a_period_is_the_integral_of_the_flux():
    times = np.linspace(0.0, 0.5, 401)
    answer = SpectralBurgers(1e-10).solve(periodic(0.05, random_field(4), 256, times))
    u = answer.state
    slope = np.fft.irfft(np.fft.rfft(u) * 2j * np.pi * np.arange(129), n=256)[:, 0]
    flux = 0.5 * u[:, 0] ** 2 - 0.05 * slope
    simpson = (flux[0] + 4.0 * flux[1::2].sum() + 2.0 * flux[2:-1:2].sum() + flux[-1]) * (times[1] / 3.0)
    assert answer.inflow[-1, 0] == pytest.approx(simpson, abs=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_the_ledger_between_walls_closes_to_round_off(seed):
    assert np.abs(SpectralBurgers(1e-6).solve(wandering(seed)).ledger_residual).max() < 1e-14


def test_energy_never_grows_on_a_period():
    answer = SpectralBurgers(1e-8).solve(periodic(initial=random_field(1), times=np.linspace(0.0, 1.0, 40)))
    assert (np.diff((answer.state**2).sum(axis=1)) < 1e-9).all()


def test_adding_a_speed_moves_the_answer_along():
    still, moving = (
        SpectralBurgers(1e-8).solve(periodic(initial=lambda x, c=c: c + sine(x), times=[0.0, 0.5]))
        for c in (0.0, 2.0)
    )
    np.testing.assert_allclose(moving.state[-1] - 2.0, still.state[-1], atol=1e-13)  # 0.5 · 2 is one period


def test_mirrored_problems_have_mirrored_answers():
    def mirrored(problem):
        low, high = problem.walls.x_lo.value, problem.walls.x_hi.value
        walls = Walls(Dirichlet(lambda t: -high(t)), Dirichlet(lambda t: -low(t)))
        initial = problem.initial_function
        return Problem(
            "mirror", problem.equation, problem.grid, walls, lambda x: -initial(1.0 - x), problem.times
        )

    problem, solver = wandering(5), SpectralBurgers(1e-8)
    there, back = solver.solve(problem), solver.solve(mirrored(problem))
    np.testing.assert_allclose(-back.state[:, ::-1], there.state, atol=1e-8)


@pytest.mark.parametrize("size", [3, 11])
def test_a_batch_gives_the_answers_of_single_solves(size):
    for make in (lambda i: periodic(0.01 * (1 + i % 3), random_field(i), 64), lambda i: wandering(i, 0.05)):
        problems, solver = [make(i) for i in range(size)], SpectralBurgers(1e-6)
        for problem, answer in zip(problems, solver.solve_batch(problems), strict=True):
            alone = solver.solve(problem)
            np.testing.assert_array_equal(answer.state, alone.state)
            np.testing.assert_array_equal(answer.inflow, alone.inflow)
            assert answer.steps == alone.steps


def test_outputs_do_not_depend_on_how_many_there_are():
    few, many = (
        SpectralBurgers(1e-9).solve(periodic(0.02, times=np.linspace(0.0, 1.0, n))) for n in (3, 101)
    )
    np.testing.assert_allclose(many.state[::50], few.state, atol=1e-14)


def test_values_on_the_grid_are_the_waves_through_them():
    by_function = SpectralBurgers(1e-9).solve(periodic(0.02))
    by_values = SpectralBurgers(1e-9).solve(periodic(0.02, by_function.problem.initial))
    np.testing.assert_allclose(by_values.state, by_function.state, atol=1e-12)


@pytest.mark.parametrize("value", [0.0, 1.5])
def test_constants_stay(value):
    walls = Walls(Dirichlet(value), Dirichlet(value))
    for problem in (
        periodic(initial=value),
        Problem("still", ViscousBurgers(0.01), Nodes(0.0, 1.0, 33), walls, value, TIMES),
    ):
        np.testing.assert_allclose(SpectralBurgers().solve(problem).state, value, atol=1e-10)


# Data that cannot be right, and runs that break


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: SpectralBurgers().solve(periodic(initial=lambda x: x)), "not periodic.*make the ends meet"),
        (lambda: SpectralBurgers().solve(periodic(initial=np.linspace(0.0, 1.0, 128))), "not periodic"),
        (lambda: periodic(nu=-0.1), "finite nu > 0"),
        (lambda: periodic(nu=np.nan), "finite nu > 0"),
        (lambda: SpectralBurgers(0.0), "below round-off"),
        (lambda: SpectralBurgers(order=9), "order=9"),
        (lambda: SpectralBurgers(np.inf), "longest_step"),
        (lambda: SpectralBurgers(longest_step=-1.0), "step > 0"),
        (lambda: SpectralBurgers(modes=0), "modes=0"),
        (
            lambda: SpectralBurgers().solve(
                Problem("w", Wave(1.0), PeriodicNodes(0.0, 1.0, 8), PERIOD, 0.0, [0.0, 1.0])
            ),
            "ViscousBurgers",
        ),
        (
            lambda: SpectralBurgers().solve(
                Problem(
                    "n", ViscousBurgers(0.1), Nodes(0.0, 1.0, 9), Walls(Neumann(), Neumann()), 0.0, [0.0, 1.0]
                )
            ),
            "Dirichlet or Periodic",
        ),
        (
            lambda: SpectralBurgers().solve(
                Problem(
                    "n",
                    ViscousBurgers(0.1),
                    Nodes(0.0, 1.0, 9),
                    Walls(Dirichlet(lambda t: np.where(t > 0.5, np.nan, t)), Dirichlet(0.0)),
                    0.0,
                    [0.0, 1.0],
                )
            ),
            "not finite at t=",
        ),
        (lambda: SpectralBurgers().solve_batch([periodic(n=32), periodic(n=64)]), "several grids"),
    ],
)
def test_what_cannot_be_solved_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


def test_too_few_modes_are_reported_with_the_number_needed():
    with pytest.warns(UserWarning, match="use about (4|5|6|7|8|9|10|11|12)[0-9] modes"):
        SpectralBurgers(1e-6, modes=20).solve(periodic(0.01))
    with pytest.warns(UserWarning, match="use about [0-9]+ modes"):
        SpectralBurgers(1e-6, modes=24).solve(between(BurgersFront(1.2, -0.3, 0.3, 0.02)))


def test_steps_that_are_too_long_end_in_an_error_that_names_time_and_step():
    with pytest.raises(SolverError, match=r"broke down at t=[0-9.e-]+ \(step [0-9]+\).*lower `longest_step`"):
        SpectralBurgers(np.inf, modes=300, order=7, longest_step=0.1).solve(periodic(1e-3))


def test_a_wall_that_disagrees_with_the_start_is_reported_once_and_solved():
    walls = Walls(Dirichlet(1.0), Dirichlet(0.0))
    problem = Problem("jump", ViscousBurgers(0.05), Nodes(0.0, 1.0, 33), walls, 0.0, TIMES)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        answer = SpectralBurgers(1e-6).solve(problem)
    assert len(seen) == 1 and "x_lo" in str(seen[0].message)
    assert (
        np.isfinite(answer.state).all() and answer.state[1:].min() > -1e-3 and answer.state[1:].max() < 1.001
    )
