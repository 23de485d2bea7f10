"""Laws that each solver of u_t = (k(u) u_x)_x + s keeps on every grid, for any data, walls and source."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lawbound.solvers import (
    Cells,
    Constant,
    Custom,
    Dirichlet,
    ExplicitDiffusion,
    ImplicitDiffusion,
    Neumann,
    Periodic,
    Phases,
    Power,
    PowerOfTime,
    Problem,
    Robin,
    Step,
    Walls,
)

SOLVERS = {
    "explicit": ExplicitDiffusion(),
    "backward-euler": ImplicitDiffusion(order=1, tolerance=1e-3),
    "sdirk": ImplicitDiffusion(tolerance=1e-3),
    "sdirk-long-steps": ImplicitDiffusion(tolerance=np.inf, longest_step=0.02),
}
every_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
ROUND_OFF = np.finfo(float).eps


@dataclass(frozen=True)
class Wave:
    """A wall that swings: amplitude · sin(rate · t)."""

    amplitude: float
    rate: float

    def __call__(self, times):
        return self.amplitude * np.sin(self.rate * times)


@dataclass(frozen=True)
class Pulse:
    """A source that swings in time and space."""

    amplitude: float

    def __call__(self, t, x):
        return self.amplitude * np.cos(20.0 * t) * np.sin(3.0 * x)


def bowl(u):
    return 0.2 + u * u


def bowl_potential(u):
    return 0.2 * u + u * u * u / 3.0


def floats(low, high):
    return st.floats(low, high, allow_subnormal=False)


values = floats(-1.2, 1.2)
of_kind = {
    Constant: st.builds(Constant, floats(0.0, 3.0)),
    Power: st.builds(Power, st.one_of(floats(0.3, 6.0), st.sampled_from([1.0, 2.0, 3.0, 6.0]))),
    Step: st.builds(Step, floats(-1.0, 1.0), floats(0.0, 2.0), st.one_of(st.just(0.0), floats(0.01, 2.0))),
    Phases: st.builds(
        Phases, st.tuples(floats(-1.0, -0.1), floats(0.0, 1.0)), st.tuples(*[floats(0.0, 2.0)] * 3)
    ),
    Custom: st.just(Custom(bowl, bowl_potential)),
}
coefficients = st.one_of(*of_kind.values())
wall_values = st.one_of(
    values,
    st.builds(PowerOfTime, floats(0.0, 1.0), floats(0.2, 3.0)),
    st.builds(Wave, values, floats(0.0, 300.0)),
)
bounding = st.one_of(st.builds(Dirichlet, wall_values), st.builds(Robin, floats(0.1, 20.0), wall_values))
any_wall = st.one_of(
    bounding, st.builds(Neumann, st.one_of(st.just(0.0), values, st.builds(Wave, values, floats(0.0, 300.0))))
)
wall_pairs = st.one_of(st.builds(Walls, any_wall, any_wall), st.just(Walls(Periodic(), Periodic())))
walled = st.builds(Walls, bounding, st.one_of(bounding, st.just(Neumann(0.0))))
bounding_pairs = st.one_of(walled, st.just(Walls(Periodic(), Periodic())))
sources = st.one_of(st.none(), values, st.builds(Pulse, values))


@st.composite
def problems(draw, walls=wall_pairs, sources=sources):
    grid = Cells(0.0, draw(floats(0.5, 2.0)), draw(st.integers(3, 12)))
    start = draw(floats(0.0, 1.0))
    gaps = draw(st.lists(floats(1e-4, 0.05), min_size=1, max_size=4))
    return Problem(
        "random",
        draw(coefficients),
        grid,
        draw(walls),
        draw(arrays(float, grid.n, elements=values)),
        start + np.cumsum([0.0, *gaps]),
        draw(sources),
    )


# Not timed: the first example of each kind of coefficient compiles the solver.
for_any_problem = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@every_solver
@for_any_problem
@given(problem=problems())
def test_the_total_gains_what_enters_through_the_walls_and_what_is_produced(solver, problem):
    answer = solver.solve(problem)
    assert abs(answer.ledger_residual).max() <= 1e-13
    assert (answer.traffic >= abs(answer.inflow) * (1.0 - 1e-12)).all()
    assert answer.state.shape == (problem.times.size, problem.grid.n)
    np.testing.assert_array_equal(answer.state[0], problem.initial)
    if isinstance(problem.walls.x_lo, Periodic):
        np.testing.assert_array_equal(answer.inflow[:, 0], -answer.inflow[:, 1])


def assert_within_what_walls_show(answer):
    problem = answer.problem
    # Every wall here is monotone, and so between its values at the start and the end, or swings about 0.
    sides = problem.walls.sides.values()
    swings = [wall.value.amplitude for wall in sides if isinstance(getattr(wall, "value", None), Wave)]
    bounded = [isinstance(wall, Dirichlet | Robin) for wall in sides]
    seen = np.concatenate([problem.initial, answer.walls[:, bounded].ravel(), swings, np.negative(swings)])
    slack = 20.0 * ROUND_OFF * abs(seen).max()
    assert seen.min() - slack <= answer.state.min()
    assert answer.state.max() <= seen.max() + slack


@every_solver
@for_any_problem
@given(problem=problems(bounding_pairs, st.none()))
def test_u_stays_between_its_initial_and_wall_values(solver, problem):
    assert_within_what_walls_show(solver.solve(problem))


@pytest.mark.parametrize("mean", ["arithmetic", "harmonic"])
@for_any_problem
@given(problem=problems(walled, st.none()))
def test_u_stays_between_its_initial_and_wall_values_for_other_means_of_k(mean, problem):
    # A mean of k is no larger than the largest k, so the limit of the step is the same.
    answer = ExplicitDiffusion(mean=mean).solve(problem)
    assert_within_what_walls_show(answer)
    assert abs(answer.ledger_residual).max() <= 1e-13


@every_solver
@for_any_problem
@given(problem=problems())
def test_a_problem_seen_in_a_mirror_has_the_mirrored_answer(solver, problem):
    assume(not callable(problem.source))
    seen = replace_in(
        problem, walls=Walls(problem.walls.x_hi, problem.walls.x_lo), initial=problem.initial[::-1]
    )
    answer, mirrored = solver.solve(problem), solver.solve(seen)
    size = np.abs(answer.state).max() + answer.traffic.max()
    np.testing.assert_allclose(mirrored.state[:, ::-1], answer.state, rtol=0, atol=1e-12 * size)
    np.testing.assert_allclose(mirrored.inflow[:, ::-1], answer.inflow, rtol=0, atol=1e-12 * size)


def replace_in(problem, **changed):
    fields = ("name", "equation", "grid", "walls", "initial", "times", "source")
    return Problem(**({name: getattr(problem, name) for name in fields} | changed))


@every_solver
@for_any_problem
@given(problem=problems(), data=st.data())
def test_an_answer_does_not_depend_on_its_batch(solver, problem, data):
    others = [
        replace_in(
            problem,
            equation=data.draw(of_kind[type(problem.equation)]),
            walls=data.draw(wall_pairs),
            initial=problem.initial[::-1],
            source=data.draw(sources),
        )
        for _ in range(2)
    ]
    batch = [others[0], problem, others[1]]
    for alone, together in zip(map(solver.solve, batch), solver.solve_batch(batch), strict=True):
        for name in ("state", "walls", "inflow", "traffic", "produced", "steps", "solver"):
            np.testing.assert_array_equal(getattr(alone, name), getattr(together, name), err_msg=name)


@every_solver
@for_any_problem
@given(coefficient=coefficients, value=values)
def test_a_uniform_state_stays_bit_for_bit(solver, coefficient, value):
    for walls in (
        Walls(Dirichlet(value), Dirichlet(value)),
        Walls(Robin(2.0, value), Neumann(0.0)),
        Walls(Periodic(), Periodic()),
    ):
        answer = solver.solve(Problem("rest", coefficient, Cells(0.0, 1.0, 8), walls, value, [0.0, 0.1, 0.2]))
        np.testing.assert_array_equal(answer.state, value)
        np.testing.assert_array_equal(answer.traffic, 0.0)


@every_solver
def test_what_was_compiled_for_a_user_s_function_is_not_kept_on_disk(solver):
    # An index on disk that names a user's module cannot be read where that module cannot be imported.
    walls = Walls(Dirichlet(1.0), Dirichlet(0.0))
    for equation in (Custom(bowl, bowl_potential), Constant(1.0)):
        solver.solve(Problem("mine", equation, Cells(0.0, 1.0, 8), walls, 0.1, [0.0, 0.01]))
    kept = list(Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.nbi"))
    assert any(path.name.startswith("finite_volume.march") for path in kept)
    assert not [path.name for path in kept if b"bowl" in path.read_bytes()]
