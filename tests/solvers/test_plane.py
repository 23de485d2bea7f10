"""The solvers of u_t = ∇·(k(u) ∇u) + s on a rectangle converge to the closed forms, and keep the laws on every grid."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lawbound.solvers import (
    Advection,
    Barenblatt,
    Boxes,
    Cells,
    Constant,
    Custom,
    Dirichlet,
    ExplicitDiffusion,
    ExplicitPlaneDiffusion,
    ImplicitDiffusion,
    ImplicitPlaneDiffusion,
    Neumann,
    Outflow,
    Periodic,
    Power,
    Problem,
    Robin,
    SolverError,
    Step,
    Walls,
    box_averages,
)

SOLVERS = {
    "explicit": ExplicitPlaneDiffusion(),
    "backward-euler": ImplicitPlaneDiffusion(order=1, tolerance=1e-3),
    "implicit": ImplicitPlaneDiffusion(tolerance=1e-4),
}
ROUND_OFF = 4.0 * np.finfo(float).eps
INSULATED = Walls(Neumann(), Neumann(), Neumann(), Neumann())


# Problems of all kinds


@dataclass(frozen=True)
class Ripple:
    """A wall that swings in time and along itself."""

    mean: float
    amplitude: float

    def __call__(self, times, along):
        return self.mean + self.amplitude * np.sin(40.0 * times) * np.cos(3.0 * along)


@dataclass(frozen=True)
class Flicker:
    """A source that swings in time and space."""

    amplitude: float

    def __call__(self, time, x, y):
        return self.amplitude * np.cos(50.0 * time) * (x - 0.3) * np.ones_like(y)


def floats(low, high):
    return st.floats(low, high, allow_subnormal=False)


values = floats(-1.2, 1.2)
# Each class of coefficient compiles the solvers anew, so two stand for all; k_min = k_max makes `Step` linear.
coefficients = {
    Power: st.builds(Power, floats(0.5, 5.0)),
    Step: st.builds(Step, floats(-1.0, 1.0), floats(0.1, 2.0), st.one_of(st.just(0.0), floats(0.01, 2.0))),
}
LINEAR = Step(0.0, 1.0, 1.0)
pulling = st.builds(Dirichlet, st.one_of(values, st.builds(Ripple, floats(-0.6, 0.6), floats(0.0, 0.6))))
exchanging = st.builds(Robin, floats(0.1, 20.0), values)
pouring = st.builds(Neumann, st.one_of(values, st.builds(Ripple, values, values)))
closed = st.just(Neumann())


def pairs(wall):
    return st.one_of(st.just((Periodic(), Periodic())), st.tuples(wall, wall))


bounded, none = st.one_of(pulling, exchanging, closed), st.none()


@st.composite
def problems(draw, wall=bounded, sources=none, equation=None):
    grid = Boxes(
        Cells(0.0, draw(floats(0.5, 2.0)), draw(st.integers(2, 7))),
        Cells(-1.0, draw(floats(-0.5, 1.0)), draw(st.integers(2, 7))),
    )
    gaps = draw(st.lists(floats(1e-3, 0.05), min_size=1, max_size=3))
    return Problem(
        "random",
        draw(st.one_of(*coefficients.values()) if equation is None else equation),
        grid,
        Walls(*draw(pairs(wall)), *draw(pairs(wall))),
        draw(arrays(float, grid.shape, elements=values)),
        np.cumsum([0.0, *gaps]),
        draw(sources),
    )


anything = problems(
    wall=st.one_of(pulling, exchanging, pouring),
    sources=st.one_of(st.none(), values, st.builds(Flicker, values)),
)
for_any_problem = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
with_every_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)


def replaced(problem, **changed):
    fields = ("name", "equation", "grid", "walls", "initial", "times", "source")
    return Problem(**({name: getattr(problem, name) for name in fields} | changed))


# Laws that hold on every grid, for any data


@with_every_solver
@for_any_problem
@given(problem=anything)
def test_what_enters_and_is_produced_is_what_the_total_gains(solver, problem):
    answer = solver.solve(problem)
    assert abs(answer.ledger_residual).max() <= 1e-13
    assert (answer.traffic >= abs(answer.inflow) * (1.0 - 1e-12)).all()
    assert answer.state.shape == (problem.times.size, *problem.grid.shape)
    assert answer.walls.shape == answer.inflow.shape == (problem.times.size, 4)
    np.testing.assert_array_equal(answer.state[0], problem.initial)


@with_every_solver
@for_any_problem
@given(problem=problems())
def test_u_stays_between_its_initial_and_wall_values(solver, problem):
    answer = solver.solve(problem)
    seen = [problem.initial.ravel()]
    for wall in problem.walls.sides.values():
        if isinstance(wall, Dirichlet | Robin):
            g = wall.value
            seen.append([g.mean - g.amplitude, g.mean + g.amplitude] if isinstance(g, Ripple) else [g, g])
    seen = np.concatenate(seen)
    slack = 10.0 * ROUND_OFF * abs(seen).max()
    assert seen.min() - slack <= answer.state.min()
    assert answer.state.max() <= seen.max() + slack


@with_every_solver
@for_any_problem
@given(problem=problems(wall=st.one_of(st.builds(Dirichlet, values), exchanging, closed)))
def test_a_plane_seen_in_a_mirror_or_turned_has_the_same_answer(solver, problem):
    w, grid = problem.walls, problem.grid
    answer = solver.solve(problem)
    tolerance = {"rtol": 0, "atol": 1e-12}
    mirrored = solver.solve(
        replaced(problem, walls=Walls(w.x_hi, w.x_lo, w.y_lo, w.y_hi), initial=problem.initial[:, ::-1])
    )
    np.testing.assert_allclose(mirrored.state[:, :, ::-1], answer.state, **tolerance)
    np.testing.assert_allclose(mirrored.inflow[:, [1, 0, 2, 3]], answer.inflow, **tolerance)
    turned = solver.solve(
        replaced(
            problem,
            grid=Boxes(grid.y, grid.x),
            walls=Walls(w.y_lo, w.y_hi, w.x_lo, w.x_hi),
            initial=problem.initial.T,
        )
    )
    np.testing.assert_allclose(turned.state.transpose(0, 2, 1), answer.state, **tolerance)
    np.testing.assert_allclose(turned.inflow[:, [2, 3, 0, 1]], answer.inflow, **tolerance)


@with_every_solver
@for_any_problem
@given(kind=st.sampled_from(sorted(coefficients, key=str)), data=st.data())
def test_an_answer_does_not_depend_on_its_batch(solver, kind, data):
    problem = data.draw(
        problems(
            wall=st.one_of(pulling, exchanging, pouring),
            sources=st.one_of(st.none(), st.builds(Flicker, values)),
            equation=coefficients[kind],
        )
    )
    other = replaced(
        problem,
        equation=data.draw(coefficients[kind]),
        walls=Walls(data.draw(pulling), Neumann(0.3), data.draw(pulling), data.draw(pulling)),
        initial=problem.initial[::-1],
        source=data.draw(st.one_of(st.none(), values)),
    )
    batch = [other, problem, replaced(problem, initial=0.5 * problem.initial)]
    for alone, together in zip(map(solver.solve, batch), solver.solve_batch(batch), strict=True):
        for name in ("state", "walls", "inflow", "traffic", "produced", "steps", "solver"):
            np.testing.assert_array_equal(getattr(alone, name), getattr(together, name), err_msg=name)


# Against one dimension and closed forms


@pytest.mark.parametrize(
    ("plane", "line"),
    [
        (ExplicitPlaneDiffusion(), ExplicitDiffusion()),
        (ImplicitPlaneDiffusion(tolerance=1e-7), ImplicitDiffusion(tolerance=1e-7)),
    ],
    ids=["explicit", "implicit"],
)
@pytest.mark.parametrize("equation", [Power(2.0), Step(0.4), LINEAR], ids=["power", "step", "linear"])
def test_a_plane_that_does_not_vary_along_y_is_a_line(plane, line, equation):
    x, times = Cells(0.0, 1.0, 12), [0.0, 0.02, 0.05]
    lo, hi = Dirichlet(1.0), Robin(2.0, 0.1)
    start = np.linspace(0.5, 0.0, 12) ** 2
    answer = line.solve(Problem("line", equation, x, Walls(lo, hi), start, times))
    flat = Problem(
        "plane", equation, Boxes(x, Cells(0.0, 3.0, 3)), Walls(lo, hi, Neumann(), Neumann()), np.tile(start, (3, 1)), times
    )  # fmt: skip
    found = plane.solve(flat)
    np.testing.assert_allclose(found.state, np.repeat(answer.state[:, None], 3, axis=1), atol=2e-3)
    np.testing.assert_allclose(found.inflow[:, :2], 3.0 * answer.inflow, atol=3e-3)
    np.testing.assert_array_equal(found.inflow[:, 2:], 0.0)


def spreading(n, m, times):
    dome = Barenblatt.with_front(m, 0.4, 0.01, dimension=2)
    axis = Cells(-1.0, 1.0, n)
    start = box_averages(dome, times[0], axis.faces, axis.faces)
    return dome, Problem("dome", Power(m), Boxes(axis, axis), INSULATED, start, times)


@with_every_solver
@pytest.mark.parametrize("m", [2.0, 3.5])
def test_barenblatt_domes_converge_with_order_one_or_better_in_l1(solver, order, m):
    times = [0.01, 0.03, 0.1, 0.2]
    grids = [16, 24, 32, 48, 64] if solver.name.startswith("implicit") else [16, 24, 32, 40, 48]
    solver = ImplicitPlaneDiffusion(solver.order, 1e-5 / solver.order) if hasattr(solver, "order") else solver
    errors = []
    for n in grids:
        dome, problem = spreading(n, m, times)
        axis = problem.grid.x.faces
        states = solver.solve(problem).state[1:]
        exact = [box_averages(dome, t, axis, axis) for t in times[1:]]
        errors.append(
            np.mean([abs(u - e).sum() for u, e in zip(states, exact, strict=True)]) * (2.0 / n) ** 2
        )
    assert order(grids, errors) >= 1.0


def decaying(n, times):
    """u = e^{−2t} sin x cos y, u given at the walls x, the flux at the walls y."""
    grid = Boxes(Cells(0.3, 2.0, n), Cells(0.1, 1.4, n))

    def averages(t):
        along_x, along_y = -np.diff(np.cos(grid.x.faces)), np.diff(np.sin(grid.y.faces))
        return np.exp(-2.0 * t) * np.outer(along_y, along_x) / (grid.x.width * grid.y.width)

    def at(x):
        return Dirichlet(lambda t, y: np.exp(-2.0 * t) * np.sin(x) * np.cos(y))

    def through(y, sign):
        return Neumann(lambda t, x: -sign * np.exp(-2.0 * t) * np.sin(x) * np.sin(y))

    walls = Walls(at(0.3), at(2.0), through(0.1, -1.0), through(1.4, 1.0))
    return averages, Problem("decay", LINEAR, grid, walls, averages(0.0), times)


@pytest.mark.parametrize(
    "solver", [ExplicitPlaneDiffusion(), ImplicitPlaneDiffusion(tolerance=1e-6)], ids=["explicit", "implicit"]
)
def test_smooth_diffusion_converges_with_order_two_in_every_norm(solver, order):
    times, grids, errors = [0.0, 0.1, 0.25], [8, 12, 16, 24, 32], []
    for n in grids:
        averages, problem = decaying(n, times)
        error = solver.solve(problem).state[-1] - averages(times[-1])
        errors.append([abs(error).mean(), np.sqrt((error**2).mean()), abs(error).max()])
    assert order(grids, errors) == pytest.approx([2.0, 2.0, 2.0], abs=0.15)


@pytest.mark.parametrize("scheme", [1, 2])
def test_the_implicit_schemes_have_their_order_in_time(scheme):
    _, problem = decaying(8, [0.0, 0.5])
    best = ImplicitPlaneDiffusion(2, 1e-9).solve(problem).state[-1]
    answers = [ImplicitPlaneDiffusion(scheme, tolerance).solve(problem) for tolerance in (1e-4, 1e-5, 1e-6)]
    errors = [abs(answer.state[-1] - best).mean() for answer in answers]
    slope = -np.polyfit(np.log([answer.steps for answer in answers]), np.log(errors), 1)[0]
    assert slope == pytest.approx(scheme, abs=0.4)


@pytest.mark.parametrize(
    "solver", [ImplicitPlaneDiffusion(), ImplicitPlaneDiffusion(order=1)], ids=["2", "1"]
)
def test_a_steady_state_of_unlike_walls_stays(solver):
    # u = 1 + x + 2y + xy is linear along both axes, so its cell values are steady; each stage is solved to 1e-7.
    x, y = Cells(0.0, 1.0, 9), Cells(0.0, 1.0, 7)
    u = 1.0 + x.centres + 2.0 * y.centres[:, None] + x.centres * y.centres[:, None]
    walls = Walls(
        Dirichlet(lambda t, y: 1.0 + 2.0 * y),
        Dirichlet(lambda t, y: 2.0 + 3.0 * y),
        Dirichlet(lambda t, x: 1.0 + x),
        Neumann(lambda t, x: 2.0 + x),
    )
    answer = solver.solve(Problem("steady", LINEAR, Boxes(x, y), walls, u, [0.0, 50.0]))
    np.testing.assert_allclose(answer.state[-1], u, rtol=1e-6)
    assert answer.steps < 100


def test_a_round_dome_keeps_its_mass_and_stays_behind_its_front():
    dome, problem = spreading(32, 2.0, np.linspace(0.01, 1.0, 5))
    answer = ImplicitPlaneDiffusion().solve(problem)
    np.testing.assert_allclose(answer.total, dome.mass, rtol=1e-12)
    x = problem.grid.x.centres
    outside = np.hypot(x, x[:, None]) > dome.front(1.0) + 2.0 * problem.grid.x.width
    assert answer.state[-1][outside].max() == pytest.approx(0.0, abs=1e-6)
    assert answer.state.min() >= 0.0


# Bad input


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ExplicitPlaneDiffusion(0.6), r"outside \(0, 1/2\]"),
        (lambda: ImplicitPlaneDiffusion(order=3), "give 1 .* or 2"),
        (lambda: ImplicitPlaneDiffusion(tolerance=0.0), "give a number > 0"),
    ],
)
def test_options_that_make_no_scheme_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@with_every_solver
def test_problems_of_another_kind_are_refused_with_the_remedy(solver):
    line = Problem("line", Constant(1.0), Cells(0, 1, 4), Walls(Neumann(), Neumann()), 1.0, [0, 1])
    with pytest.raises(ValueError, match=r"Constant on Cells; .*`lawbound\.solve`"):
        solver.solve(line)
    boxes = Boxes(Cells(0, 1, 4), Cells(0, 1, 4))
    wave = Problem("wave", Advection(1.0), boxes, Walls(*[Outflow()] * 4), 1.0, [0, 1])
    with pytest.raises(ValueError, match="Advection on Boxes"):
        solver.solve(wave)
    one = Problem("one", Constant(1.0), boxes, INSULATED, 1.0, [0, 1])
    with pytest.raises(ValueError, match="several grids or output times"):
        solver.solve_batch([one, replaced(one, times=[0, 2])])


def test_a_step_beyond_the_limit_of_the_walls_is_refused():
    boxes = Boxes(Cells(0, 1, 4), Cells(0, 1, 4))
    pulled = Problem("pulled", Constant(1.0), boxes, Walls(*[Dirichlet(0.0)] * 4), 1.0, [0, 0.1])
    with pytest.raises(ValueError, match=r"0\.3333, the limit with the walls of `pulled`"):
        ExplicitPlaneDiffusion(0.4).solve(pulled)
    ExplicitPlaneDiffusion(0.5).solve(replaced(pulled, walls=INSULATED))


def test_a_run_that_leaves_the_table_of_its_conductivity_says_so():
    boxes = Boxes(Cells(0, 1, 4), Cells(0, 1, 4))
    table = Problem("table", Custom(lambda u: 1.0, reach=(0.0, 1.1)), boxes, INSULATED, 1.0, [0, 1], 5.0)
    with pytest.raises(SolverError, match=r"table.*reach="):
        ExplicitPlaneDiffusion().solve(table)


def test_an_explicit_run_without_end_is_refused():
    boxes = Boxes(Cells(0, 1, 4), Cells(0, 1, 4))
    with pytest.raises(SolverError, match=r"explicit steps .* ImplicitPlaneDiffusion"):
        ExplicitPlaneDiffusion().solve(Problem("long", Constant(1e9), boxes, INSULATED, 1.0, [0, 1e3]))
