"""A Stefan front is found inside its cell, and means of k are what their names say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawbound.solvers import (
    Cells,
    Constant,
    Dirichlet,
    ExplicitDiffusion,
    ImplicitDiffusion,
    Neumann,
    Periodic,
    Problem,
    StefanSimilarity,
    Step,
    Walls,
    cell_averages,
)
from lawbound.solvers.front import front_position

WALLS = Walls(Dirichlet(1.0), Dirichlet(0.0))


def problem(n, u_star=0.6, times=(0.0, 0.1), walls=WALLS):
    return Problem("stefan", Step(u_star), Cells(0.0, 1.0, n), walls, 0.0, times)


@given(
    front=st.floats(0.03, 0.97),
    u_star=st.floats(0.2, 0.8),
    slope=st.floats(0.01, 2.0),
    mirrored=st.booleans(),
)
def test_a_straight_profile_s_front_is_found_exactly(front, u_star, slope, mirrored):
    grid = Cells(0.0, 1.0, 20)

    def held(x):  # ∫ of u_star + slope (front − x) up to the front, 0 beyond
        x = np.minimum(x, front)
        return u_star * x + slope * (front * x - 0.5 * x * x)

    u = np.diff(held(grid.faces)) / grid.width
    walls = [u_star + slope * front, 0.0]
    if mirrored:
        u, walls = u[::-1], walls[::-1]
    found = front_position(Step(u_star), grid, u[None], np.array([walls]))[0]
    # A front that lies just across a face may be seen from the other side of it, where the same content
    # fills a sliver less.
    allowed = 1e-9
    share = (front / grid.width) % 1.0
    if min(share, 1.0 - share) < 1e-6:
        allowed = 0.51 * grid.width
    assert found == pytest.approx(1.0 - front if mirrored else front, abs=allowed)


@pytest.mark.parametrize("u_star", [0.5, 0.6, 0.7])
@pytest.mark.parametrize("n", [50, 100, 200])
def test_the_front_is_within_a_twentieth_of_a_cell_with_the_sub_cell_front(u_star, n):
    times = 0.1 * np.linspace(0.0, 1.0, 41) ** 2
    answer = ExplicitDiffusion(mean="sub-cell").solve(problem(n, u_star, times))
    exact = [StefanSimilarity(u_star).front(t) for t in times]
    late = np.array(exact) > 5.0 * answer.problem.grid.width
    assert late.sum() > 20
    assert abs(answer.front - exact)[late].max() <= 0.05 * answer.problem.grid.width


@pytest.mark.parametrize("solver", [ExplicitDiffusion(), ImplicitDiffusion()], ids=["explicit", "sdirk"])
def test_without_it_the_front_is_within_a_tenth_of_a_cell(solver):
    times = 0.1 * np.linspace(0.0, 1.0, 41) ** 2
    answer = solver.solve(problem(50, 0.6, times))
    exact = np.array([StefanSimilarity(0.6).front(t) for t in times])
    assert abs(answer.front - exact)[10:].max() <= 0.1 * answer.problem.grid.width
    assert (np.diff(answer.front) >= -0.02 * answer.problem.grid.width).all()


def test_only_a_one_phase_problem_has_a_front_inside_a_cell():
    calm = Problem("", Constant(1.0), Cells(0.0, 1.0, 8), WALLS, 0.0, [0.0, 0.1])
    assert ExplicitDiffusion().solve(calm).front is None
    with pytest.raises(ValueError, match=r"k_min=0\.1; a front inside a cell needs k_min=0"):
        front_position(Step(0.5, 1.0, 0.1), Cells(0.0, 1.0, 8), np.zeros((1, 8)), np.zeros((1, 2)))


def test_where_nothing_or_all_is_filled_there_is_no_front():
    found = front_position(
        Step(0.5), Cells(0.0, 1.0, 8), np.array([np.zeros(8), np.ones(8)]), np.zeros((2, 2))
    )
    assert np.isnan(found).all()


# Means


def errors(mean, n):
    answer = ExplicitDiffusion(mean=mean).solve(problem(n, 0.5))
    exact = cell_averages(StefanSimilarity(0.5), 0.1, answer.problem.grid.faces)
    return abs(answer.state[-1] - exact) @ answer.problem.grid.weights / (exact @ answer.problem.grid.weights)


def test_the_harmonic_mean_locks_the_arithmetic_one_is_coarse_and_a_followed_front_is_best():
    found = {mean: errors(mean, 100) for mean in ("integral", "sub-cell", "shock", "arithmetic", "harmonic")}
    assert found["harmonic"] > 0.9
    assert found["arithmetic"] > 10.0 * found["integral"]
    assert found["sub-cell"] < 0.5 * found["integral"]
    assert found["shock"] < 0.5 * found["integral"]


def test_following_the_front_takes_the_staircase_out_of_u():
    # How much u(t) − exact goes up and down in a cell that the front has passed.
    def wobble(mean):
        times = np.linspace(0.0, 0.1, 801)
        answer = ExplicitDiffusion(mean=mean).solve(problem(50, 0.5, times))
        grid = answer.problem.grid
        exact = np.array([cell_averages(StefanSimilarity(0.5), float(t), grid.faces)[8] for t in times])
        passed = int(np.argmax(exact > 0.55))
        return abs(np.diff((answer.state[:, 8] - exact)[passed:])).sum()

    assert wobble("sub-cell") < 0.15 * wobble("integral")


@pytest.mark.parametrize("mean", ["sub-cell", "shock", "arithmetic", "harmonic"])
def test_every_mean_keeps_the_ledger_and_the_mirror(mean):
    start = np.linspace(0.0, 1.0, 20) ** 3
    seen = Problem(
        "", Step(0.4), Cells(0.0, 1.0, 20), Walls(Neumann(), Dirichlet(1.2)), start, [0.0, 0.05, 0.1]
    )
    mirror = Problem(
        "", Step(0.4), Cells(0.0, 1.0, 20), Walls(Dirichlet(1.2), Neumann()), start[::-1], seen.times
    )
    one, two = (ExplicitDiffusion(mean=mean).solve(p) for p in (seen, mirror))
    assert abs(one.ledger_residual).max() <= 1e-14
    np.testing.assert_allclose(two.state[:, ::-1], one.state, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("mean", "equation", "walls", "message"),
    [
        ("median", Step(0.5), WALLS, "mean='median' is not known; use one of integral, arithmetic"),
        ("sub-cell", Step(0.5, 1.0, 0.1), WALLS, "follows the front of a Step with k_min=0"),
        ("shock", Constant(1.0), WALLS, "follows the front of a Step with k_min=0"),
        ("harmonic", Step(0.5), Walls(Periodic(), Periodic()), "not offered with periodic walls"),
    ],
)
def test_a_mean_that_does_not_fit_is_refused(mean, equation, walls, message):
    with pytest.raises(ValueError, match=message):
        ExplicitDiffusion(mean=mean).solve(Problem("", equation, Cells(0.0, 1.0, 8), walls, 0.0, [0.0, 0.1]))
    with pytest.raises(ValueError, match=r"above 0\.25, the limit .* and a front that is followed"):
        ExplicitDiffusion(0.3, "sub-cell").solve(problem(8))
