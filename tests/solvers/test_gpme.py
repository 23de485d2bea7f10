"""The solver of u_t = (k(u) u_x)_x converges to the closed forms, and keeps the laws on every grid."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import quad

from lawbound.solvers import (
    Cells,
    Constant,
    Dirichlet,
    ExplicitDiffusion,
    Power,
    PowerOfTime,
    Problem,
    SolverError,
    StefanSimilarity,
    Step,
    Walls,
    cell_averages,
)

solve = ExplicitDiffusion().solve
solve_batch = ExplicitDiffusion().solve_batch
ROUND_OFF = 4.0 * np.finfo(float).eps


# Convergence


@pytest.mark.parametrize("k", [1.0, 5.0])
def test_diffusion_converges_with_order_two_in_every_norm(diffusion, order, k):
    grids = [25, 50, 100, 200, 400]
    errors = [diffusion.errors(k, n, np.linspace(0.0, 1.0, 5)) for n in grids]
    assert order(grids, errors) == pytest.approx([2.0, 2.0, 2.0], abs=0.1)


@dataclass(frozen=True)
class DecayingCosine:
    """u = e^{−t} cos x: linear diffusion with u_xx ≠ 0 at walls that follow a function of time."""

    def integral(self, t, x):
        return np.exp(-t) * np.sin(x)


def test_diffusion_converges_with_order_two_at_walls_where_u_bends(order, error_norms):
    def errors(n):
        grid = Cells(0.0, 2.0, n)
        walls = Walls(Dirichlet(lambda t: np.exp(-t)), Dirichlet(lambda t: np.exp(-t) * np.cos(2.0)))
        start = cell_averages(DecayingCosine(), 0.0, grid.faces)
        problem = Problem("cosine", Constant(1.0), grid, walls, start, [0.0, 0.5, 1.0])
        return error_norms(solve(problem), DecayingCosine())

    grids = [10, 20, 40, 80, 160]
    assert order(grids, [errors(n) for n in grids]) == pytest.approx([2.0, 2.0, 2.0], abs=0.1)


@pytest.mark.parametrize("m", [2.0, 3.0, 6.0])
def test_pme_converges_in_l1_with_order_one_plus_one_over_m(pme, order, m):
    # A front like (t − x)^{1/m} that is off by a share of a cell is wrong by h^{1/m} over a width h.
    grids = [20, 40, 60, 90, 140]
    errors = [pme.errors(m, n, np.linspace(0.0, 0.6, 7)) for n in grids]
    assert 1.0 + 1.0 / m - 0.1 <= order(grids, errors)[0] <= 1.0 + 1.0 / m + 0.3


@pytest.mark.parametrize("u_star", [0.5, 0.6, 0.7])
def test_stefan_converges_with_order_one_in_l1(stefan, order, u_star):
    grids = [25, 50, 100, 200, 400]
    errors = [stefan.errors(u_star, n, np.linspace(0.0, 0.1, 11)) for n in grids]
    assert 1.0 <= order(grids, errors)[0] <= 1.8


@pytest.mark.parametrize("k_min", [0.3, 0.05])
def test_stefan_converges_when_both_sides_conduct(order, error_norms, k_min):
    def errors(n):
        # Long enough that what the far wall absorbs, erfc(2 / 2√(k_min t)) < 1e-15, is below round-off.
        walls = Walls(Dirichlet(1.0), Dirichlet(0.0))
        problem = Problem(
            "", Step(0.6, 1.0, k_min), Cells(0.0, 2.0, n), walls, 0.0, np.linspace(0.0, 0.1, 11)
        )
        return error_norms(solve(problem), StefanSimilarity(0.6, 1.0, k_min))

    grids = [50, 100, 200, 400, 800]
    assert (order(grids, [errors(n) for n in grids])[:2] >= 1.0).all()


# Laws that hold on every grid, for any data


@dataclass(frozen=True)
class Wave:
    """A wall that swings: amplitude · sin(rate · t)."""

    amplitude: float
    rate: float

    def __call__(self, times):
        return self.amplitude * np.sin(self.rate * times)


def floats(low, high):
    return st.floats(low, high, allow_subnormal=False)


values = floats(-1.2, 1.2)
of_kind = {
    Constant: st.builds(Constant, floats(0.0, 3.0)),
    Power: st.builds(Power, floats(0.3, 6.0)),
    Step: st.builds(Step, floats(-1.0, 1.0), floats(0.0, 2.0), st.one_of(st.just(0.0), floats(0.01, 2.0))),
}
coefficients = st.one_of(*of_kind.values())
walls = st.builds(
    Dirichlet,
    st.one_of(
        values,
        st.builds(PowerOfTime, floats(0.0, 1.0), floats(0.2, 3.0)),
        st.builds(Wave, values, floats(0.0, 300.0)),
    ),
)


@st.composite
def problems(draw):
    grid = Cells(0.0, draw(floats(0.5, 2.0)), draw(st.integers(2, 12)))
    start = draw(floats(0.0, 1.0))
    gaps = draw(st.lists(floats(1e-4, 0.05), min_size=1, max_size=4))
    return Problem(
        "random",
        draw(coefficients),
        grid,
        Walls(draw(walls), draw(walls)),
        draw(arrays(float, grid.n, elements=values)),
        start + np.cumsum([0.0, *gaps]),
    )


# Not timed: the first example of each kind of coefficient compiles the solver.
for_any_problem = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("reach", [0.33, 0.34, 0.36, 0.49, 0.99])
@pytest.mark.parametrize("spike", [0, 1])
def test_no_step_takes_more_out_of_a_spike_than_it_holds(spike, reach):
    # Right at the limit: a cell at a wall gives away 3 k Δt / h² of what it holds in one step, an inner cell 2.
    grid, start = Cells(0.0, 1.0, 4), np.zeros(4)
    start[spike] = 1.0
    problem = Problem(
        "spike",
        Constant(1.0),
        grid,
        Walls(Dirichlet(0.0), Dirichlet(0.0)),
        start,
        [0.0, reach * grid.width**2],
    )
    assert solve(problem).state.min() >= 0.0


def replace_in(problem, **changed):
    fields = ("name", "equation", "grid", "walls", "initial", "times")
    return Problem(**({name: getattr(problem, name) for name in fields} | changed))


def assert_same_bits(one, other):
    for name in ("state", "walls", "inflow", "traffic", "produced", "steps", "solver"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize("values", [1, 7, 100])
def test_an_answer_does_not_depend_on_how_many_steps_are_taken_at_once(pme, monkeypatch, values):
    # Large batches are marched in shorter blocks of steps, so this is the same law for a batch of thousands.
    problem = pme.make(3.0, 20, [0.0, 0.1, 0.2])
    whole = solve(problem)
    monkeypatch.setattr("lawbound.solvers.gpme._BLOCK_VALUES", values)
    assert_same_bits(solve(problem), whole)


def test_an_answer_does_not_depend_on_threads_that_solve_at_the_same_time(stefan):
    problem = stefan.make(0.6, 40, [0.0, 0.05, 0.1])
    alone = solve(problem)
    with ThreadPoolExecutor(4) as threads:
        for answer in threads.map(solve, [problem] * 8):
            assert_same_bits(answer, alone)


def test_the_ledger_closes_after_hundreds_of_thousands_of_steps():
    # A plain sum of so many small terms would be off by a hundred times as much.
    walls = Walls(Dirichlet(1.0), Dirichlet(0.0))
    answer = solve(Problem("long", Constant(1.0), Cells(0.0, 100.0, 100), walls, 0.0, [0.0, 1e5]))
    assert answer.steps >= 300_000
    assert abs(answer.ledger_residual).max() <= ROUND_OFF


@pytest.mark.parametrize("coefficient", [Constant(1.3), Power(2.5), Step(0.4, 1.0, 0.2)], ids=str)
def test_the_first_step_lets_in_the_integral_of_the_conductivity(coefficient):
    def k(u):
        match coefficient:
            case Constant(k=value):
                return value
            case Power(m=m):
                return abs(u) ** m
            case Step(u_star=u_star, k_max=k_max, k_min=k_min):
                return k_max if u >= u_star else k_min

    # Half a cell from wall to centre, so one step lets in Δt ∫k du / (h / 2).
    for inside, wall in [(0.0, 0.9), (0.7, -0.2), (-0.5, 0.6)]:
        grid, dt = Cells(0.0, 1.0, 4), 1e-3
        answer = solve(
            Problem("", coefficient, grid, Walls(Dirichlet(wall), Dirichlet(inside)), inside, [0.0, dt])
        )
        assert answer.steps == 1
        potential, _ = quad(k, inside, wall, points=[0.0, 0.4])
        assert answer.inflow[-1] == pytest.approx([dt * potential / (grid.width / 2.0), 0.0], rel=1e-12)


# States that stay


@pytest.mark.parametrize(
    ("coefficient", "u_of_potential", "lower", "upper"),
    [
        (Constant(2.0), lambda phi: phi / 2.0, 0.4, -1.0),
        (Power(1.0), lambda phi: np.sign(phi) * np.sqrt(2.0 * abs(phi)), 0.5, -0.2),
        (Power(3.0), lambda phi: (4.0 * phi) ** 0.25, 0.25, 0.01),
        (Step(0.5, 1.0, 0.1), lambda phi: np.where(phi < 0.05, phi / 0.1, 0.5 + phi - 0.05), 0.5, 0.0),
        (Step(0.5, 1.0, 0.0), lambda phi: 0.5 + phi, 0.5, 0.1),
    ],
    ids=["constant", "m=1", "m=3", "step", "step-degenerate"],
)
def test_a_state_whose_flux_is_uniform_stays(coefficient, u_of_potential, lower, upper):
    # The flux is −Φ(u)_x, so any state whose Φ is a straight line is at rest, kinks and all.
    grid = Cells(0.0, 1.0, 16)
    start = u_of_potential(lower + (upper - lower) * grid.centres)
    walls = Walls(*(Dirichlet(float(u_of_potential(np.array(end)))) for end in (lower, upper)))
    answer = solve(Problem("rest", coefficient, grid, walls, start, [0.0, 0.3, 1.0]))
    np.testing.assert_allclose(answer.state, [start] * 3, rtol=0, atol=1e-14)
    np.testing.assert_allclose(answer.inflow[-1], [lower - upper, upper - lower], rtol=1e-12)


@for_any_problem
@given(coefficient=coefficients, value=values)
def test_a_uniform_state_stays_bit_for_bit(coefficient, value):
    walls = Walls(Dirichlet(value), Dirichlet(value))
    answer = solve(Problem("rest", coefficient, Cells(0.0, 1.0, 8), walls, value, [0.0, 0.1, 0.2]))
    np.testing.assert_array_equal(answer.state, value)
    np.testing.assert_array_equal(answer.traffic, 0.0)


@pytest.mark.parametrize(
    ("coefficient", "wall"),
    [(Constant(0.0), 1.0), (Step(0.6, 1.0, 0.0), 0.59), (Step(-2.0, 0.0, 1.0), 1.0)],
    ids=str,
)
def test_what_never_conducts_never_moves(coefficient, wall):
    start = np.linspace(-1.0, 0.5, 8)
    walls = Walls(Dirichlet(wall), Dirichlet(lambda t: wall * np.cos(t)))
    answer = solve(Problem("rest", coefficient, Cells(0.0, 1.0, 8), walls, start, [0.0, 1.0, 50.0]))
    np.testing.assert_array_equal(answer.state, [start] * 3)
    np.testing.assert_array_equal(answer.inflow, 0.0)
    np.testing.assert_array_equal(answer.ledger_residual, 0.0)


# Time


@pytest.mark.parametrize(
    ("family", "parameter", "end"), [("diffusion", 2.0, 1.0), ("pme", 3.0, 0.6), ("stefan", 0.6, 0.1)]
)
def test_more_output_times_change_the_answer_by_less_than_its_error(
    request, error_norms, family, parameter, end
):
    family = request.getfixturevalue(family)
    few, many = (solve(family.make(parameter, 50, np.linspace(0.0, end, nt))) for nt in (3, 33))
    error = error_norms(few, family.exact(family.of(parameter)))
    change = abs(many.state[::16] - few.state)[1:].mean(axis=0) @ few.problem.grid.weights
    assert 0.0 < change < 0.2 * error[0]


@pytest.mark.parametrize("scale", [0.25, 4.0])
def test_pme_answers_scale_as_the_equation_does(scale):
    # u → s u and t → s^{−m} t leave u_t = (|u|^m u_x)_x as it is; powers of two cost no rounding for m = 2.
    def scaled_by(s):
        walls = Walls(Dirichlet(s), Dirichlet(-0.5 * s))
        return Problem("pme", Power(2.0), Cells(0.0, 1.0, 30), walls, 0.0, np.array([0.0, 0.5, 1.0]) / s**2)

    np.testing.assert_allclose(
        solve(scaled_by(scale)).state, scale * solve(scaled_by(1.0)).state, rtol=1e-12, atol=1e-14
    )


def test_a_plain_function_and_a_power_of_time_give_the_same_bits(pme):
    problem = pme.make(3.0, 40, [0.0, 0.2, 0.5])
    plain = replace_in(problem, walls=Walls(Dirichlet(lambda t: (3.0 * t) ** (1.0 / 3.0)), Dirichlet(0.0)))
    assert_same_bits(solve(plain), solve(problem))


def test_a_short_pulse_at_the_wall_does_not_break_the_maximum_principle():
    # Few steps are chosen for the calm data, and one of them may land on a pulse that a fixed sampling misses.
    def pulse(times):
        return np.where(abs(times - 1.0 / 3.0) < 1e-4, 100.0, 0.0)

    steps = []
    for start in np.linspace(0.1, 0.9, 17):
        walls = Walls(Dirichlet(pulse), Dirichlet(0.0))
        answer = solve(Problem("pulse", Power(2.0), Cells(0.0, 1.0, 4), walls, start, [0.0, 1.0]))
        assert 0.0 <= answer.state.min() <= answer.state.max() <= 100.0
        steps.append(answer.steps)
    assert max(steps) > 1000 * min(steps)  # some runs saw the pulse, some did not


def test_a_lower_diffusion_number_number_takes_more_steps_to_nearly_the_same_answer(diffusion):
    problem = diffusion.make(1.0, 50, [0.0, 0.5])
    coarse, fine = solve(problem), ExplicitDiffusion(diffusion_number=1.0 / 12.0).solve(problem)
    assert fine.steps == pytest.approx(4 * coarse.steps, abs=4)
    np.testing.assert_allclose(fine.state, coarse.state, atol=1e-3)


# Runs that cannot be finished


def test_a_run_that_overflows_says_which_sample_when_and_what_to_change():
    # k = 1 is harmless, but neighbours that differ by more than the largest float have an infinite flux.
    calm = Problem(
        "calm", Constant(1.0), Cells(0.0, 1.0, 4), Walls(Dirichlet(0.0), Dirichlet(0.0)), 0.0, [0.0, 0.5]
    )
    huge = replace_in(calm, name="huge", initial=[1.5e308, -1.5e308, 1.5e308, -1.5e308])
    message = r"Sample 1 \(huge, Constant\(k=1\.0\)\) stopped being finite before t=0\.5; check its initial"
    with pytest.raises(SolverError, match=message):
        solve_batch([calm, huge])


@pytest.mark.parametrize(("wall", "steps"), [(1e30, r"3e\+182"), (1e100, "inf")])
def test_a_run_of_absurdly_many_steps_is_not_begun(wall, steps):
    problem = Problem(
        "wild", Power(6.0), Cells(0.0, 1.0, 10), Walls(Dirichlet(wall), Dirichlet(0.0)), 0.0, [0.0, 1.0]
    )
    with pytest.raises(
        SolverError,
        match=rf"\(wild, Power\(m=6\.0\)\) needs {steps} explicit steps .* use ImplicitDiffusion, fewer cells",
    ):
        solve(problem)
