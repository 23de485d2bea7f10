"""What a user says: grids, walls and problems; what they promise, and what is refused at the door."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lawbound.solvers import (
    Cells,
    Constant,
    Dirichlet,
    ExplicitDiffusion,
    Neumann,
    Nodes,
    PorousMediumWave,
    Power,
    PowerOfTime,
    Problem,
    StefanSimilarity,
    Step,
    Walls,
    cell_averages,
)

WALLS = Walls(Dirichlet(1.0), Dirichlet(0.0))
GIVEN = {
    "name": "stefan",
    "equation": Step(0.6),
    "grid": Cells(0.0, 1.0, 8),
    "walls": WALLS,
    "initial": 0.0,
    "times": [0.0, 0.05, 0.1],
}


def problem(**changed):
    return Problem(**(GIVEN | changed))


bounds = st.tuples(st.floats(-10.0, 10.0), st.floats(0.1, 10.0)).map(
    lambda pair: (pair[0], pair[0] + pair[1])
)
parabola = arrays(float, 3, elements=st.floats(-3.0, 3.0)).map(np.polynomial.Polynomial)
line = arrays(float, 2, elements=st.floats(-3.0, 3.0)).map(np.polynomial.Polynomial)


# Grids


@given(bounds=bounds, n=st.integers(2, 60))
def test_cells_tile_the_domain(bounds, n):
    grid = Cells(*bounds, n)
    assert grid.faces.shape == (n + 1,)
    assert grid.centres.shape == grid.weights.shape == (n,)
    assert (grid.faces[0], grid.faces[-1]) == bounds
    np.testing.assert_allclose(np.diff(grid.faces), grid.width, rtol=1e-11)
    np.testing.assert_allclose(grid.centres - grid.faces[:-1], grid.width / 2.0, rtol=1e-11)


@given(bounds=bounds, n=st.integers(2, 60), u=parabola)
def test_weights_of_cells_integrate_averages_exactly(bounds, n, u):
    grid, total = Cells(*bounds, n), u.integ()
    averages = np.diff(total(grid.faces)) / grid.width
    assert averages @ grid.weights == pytest.approx(total(bounds[1]) - total(bounds[0]), rel=1e-11, abs=1e-9)


@given(bounds=bounds, n=st.integers(2, 60), u=line)
def test_weights_of_nodes_integrate_straight_lines_exactly(bounds, n, u):
    grid, total = Nodes(*bounds, n), u.integ()
    assert (grid.points[0], grid.points[-1]) == bounds
    assert u(grid.points) @ grid.weights == pytest.approx(
        total(bounds[1]) - total(bounds[0]), rel=1e-11, abs=1e-9
    )


@pytest.mark.parametrize(
    ("exact", "t", "n", "error", "digits"),
    [
        (PorousMediumWave(1), 0.5, 201, 0.0, 1e-12),
        (PorousMediumWave(2), 0.5, 201, -1.0e-4, 0.05e-4),
        (PorousMediumWave(3), 0.5, 201, -3.40e-4, 0.005e-4),
        (PorousMediumWave(4), 0.5, 201, -6.0e-4, 0.05e-4),
        (PorousMediumWave(5), 0.5, 201, -8.4e-4, 0.05e-4),
        (PorousMediumWave(6), 0.5, 201, -1.03e-3, 0.005e-3),
        (StefanSimilarity(0.5), 0.05, 201, 1.05e-4, 0.005e-4),
        (StefanSimilarity(0.6), 0.05, 201, 1.45e-3, 0.005e-3),
        (StefanSimilarity(0.6), 0.05, 101, -3.1e-5, 0.05e-5),
        (StefanSimilarity(0.6), 0.05, 401, 7.0e-4, 0.05e-4),
        (StefanSimilarity(0.6), 0.05, 1601, 1.4e-4, 0.05e-4),
    ],
)
def test_trapezoidal_rule_misses_the_mass_of_a_front_by_what_the_reference_says(exact, t, n, error, digits):
    grid = Nodes(0.0, 1.0, n)
    assert exact(t, grid.points) @ grid.weights - exact.integral(t, 1.0) == pytest.approx(error, abs=digits)


def test_cell_averages_of_a_front_hold_its_mass_exactly():
    grid, exact = Cells(0.0, 1.0, 200), StefanSimilarity(0.6)
    assert cell_averages(exact, 0.05, grid.faces) @ grid.weights == pytest.approx(
        exact.integral(0.05, 1.0), rel=1e-14
    )


@pytest.mark.parametrize("grid", [Cells, Nodes])
@pytest.mark.parametrize(("lower", "upper"), [(1.0, 0.0), (0.0, 0.0), (0.0, np.inf), (np.nan, 1.0)])
def test_a_domain_needs_finite_increasing_bounds(grid, lower, upper):
    with pytest.raises(ValueError, match=re.escape(f"The domain is [{lower}, {upper}]; give finite bounds")):
        grid(lower, upper, 10)


@pytest.mark.parametrize("grid", [Cells, Nodes])
@pytest.mark.parametrize("n", [1, 0, -3])
def test_a_grid_needs_two_points(grid, n):
    with pytest.raises(ValueError, match=f"nx={n} is too few points; use nx ≥ 2"):
        grid(0.0, 1.0, n)


def test_grids_are_values():
    assert Cells(0.0, 1.0, 8) == Cells(0.0, 1.0, 8)
    assert Cells(0.0, 1.0, 8) != Cells(0.0, 1.0, 9)
    assert Cells(0.0, 1.0, 8) != Nodes(0.0, 1.0, 8)
    assert len({Cells(0.0, 1.0, 8), Cells(0.0, 1.0, 8), Nodes(0.0, 1.0, 8)}) == 2


# Walls


@given(value=st.floats(-5.0, 5.0), count=st.integers(0, 9))
def test_a_constant_wall_has_its_value_at_every_time(value, count):
    np.testing.assert_array_equal(Dirichlet(value).values(np.arange(float(count))), np.full(count, value))


@given(scale=st.floats(0.0, 5.0), exponent=st.floats(0.1, 4.0))
def test_a_wall_may_follow_time(scale, exponent):
    times = np.linspace(0.0, 2.0, 5)
    np.testing.assert_array_equal(
        Dirichlet(PowerOfTime(scale, exponent)).values(times), (scale * times) ** exponent
    )


def test_a_wall_function_may_return_one_number_for_all_times():
    np.testing.assert_array_equal(Dirichlet(lambda times: 2.0).values(np.zeros(3)), [2.0, 2.0, 2.0])


def test_wall_values_may_be_changed_by_whoever_asked():
    wall, times = Dirichlet(1.0), np.zeros(3)
    wall.values(times)[:] = 7.0
    np.testing.assert_array_equal(wall.values(times), 1.0)


def test_a_wall_that_is_not_finite_says_when():
    with pytest.raises(ValueError, match=r"not finite at t=2\.0; give a finite wall value"):
        Dirichlet(lambda times: np.where(times > 1.0, np.nan, 0.0)).values(np.array([0.0, 1.0, 2.0, 3.0]))


def test_a_wall_function_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match="shape"):
        Dirichlet(lambda times: np.zeros(2)).values(np.zeros(3))


# Problems


def test_a_problem_fills_and_freezes_its_arrays():
    given = np.full(8, 0.25)
    whole = problem(initial=given, times=(0, 1))
    given[:] = 9.0
    np.testing.assert_array_equal(whole.initial, 0.25)
    assert whole == problem(initial=0.25, times=[0.0, 1.0])
    for array in (whole.initial, whole.times):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_equal_problems_have_equal_hashes():
    assert problem() == problem()
    assert hash(problem()) == hash(problem())
    assert hash(problem(initial=-0.0)) == hash(problem(initial=0.0))
    assert problem() != "stefan"


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "other"},
        {"equation": Step(0.5)},
        {"equation": Step(0.6, k_min=0.1)},
        {"grid": Cells(0.0, 2.0, 8)},
        {"walls": Walls(Dirichlet(0.0), Dirichlet(1.0))},
        {"walls": Walls(Dirichlet(PowerOfTime(1.0, 0.5)), Dirichlet(0.0))},
        {"initial": np.arange(8.0)},
        {"times": [0.0, 0.1]},
        {"times": [0.0, 0.05, 0.2]},
    ],
    ids=str,
)
def test_problems_that_differ_anywhere_are_different(changed):
    assert problem() != problem(**changed)


def test_coefficients_of_two_kinds_make_two_problems():
    assert problem(equation=Constant(2.0)) != problem(equation=Power(2.0))


def test_printing_a_problem_says_what_it_is():
    text = repr(problem(walls=Walls(Dirichlet(PowerOfTime(2.0, 0.5)), Dirichlet(0.0))))
    assert text.startswith("Problem(name='stefan', equation=Step(u_star=0.6, k_max=1.0, k_min=0.0)")
    assert "Cells(lower=0.0, upper=1.0, n=8)" in text
    assert "Dirichlet(value=PowerOfTime(scale=2.0, exponent=0.5))" in text


def one_bad_value(cell, value):
    return np.where(np.arange(8) == cell, value, 0.0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"initial": np.zeros(7)}, r"`initial` has shape \(7,\); the grid has 8 cells, so give shape \(8,\)"),
        ({"initial": np.zeros((1, 8))}, r"`initial` has shape \(1, 8\)"),
        ({"initial": one_bad_value(3, np.nan)}, r"`initial` is not finite in cell 3; give finite averages"),
        ({"initial": np.inf}, r"`initial` is not finite in cell 0"),
        (
            {"times": [0.0, 0.2, 0.1]},
            r"`times` is \[0\.  0\.2 0\.1\]; give at least two finite times that increase",
        ),
        ({"times": [0.0, 0.1, 0.1]}, r"`times` is .* that increase"),
        ({"times": [0.0]}, r"`times` is \[0\.\]; give at least two"),
        ({"times": 0.5}, r"`times` is 0\.5; give at least two"),
        ({"times": [[0.0, 1.0]]}, r"`times` is .*; give at least two"),
        ({"times": [0.0, np.nan]}, r"`times` is .*; give at least two finite"),
        ({"times": [0.0, np.inf]}, r"`times` is .*; give at least two finite"),
        ({"times": [-0.1, 0.1]}, r"`times` starts at -0\.1; give times t ≥ 0"),
        (
            {"equation": Constant(-1.0)},
            r"Constant\(k=-1\.0\) has k=-1\.0 < 0; a negative conductivity is ill-posed",
        ),
        ({"equation": Step(0.6, -1.0, -2.0)}, r"has k_max=-1\.0, k_min=-2\.0 < 0; .*use k ≥ 0"),
        (
            {"equation": Power(0.0)},
            r"Power\(m=0\.0\) has m=0\.0; k\(u\) = \|u\|\^m needs m > 0, or use `Constant`",
        ),
        ({"equation": Power(-1.0)}, r"has m=-1\.0; .* needs m > 0"),
        (
            {"equation": Power(np.nan)},
            r"Power\(m=nan\) has a parameter that is not finite; give finite numbers",
        ),
        ({"equation": Step(0.6, np.inf)}, r"has a parameter that is not finite"),
    ],
    ids=str,
)
def test_a_problem_that_makes_no_sense_is_refused_with_the_reason(changed, message):
    with pytest.raises(ValueError, match=message):
        problem(**changed)


# Conductivities


@pytest.mark.parametrize(
    "coefficient",
    [Constant(2.0), Power(0.5), Power(3.0), Step(0.3), Step(0.3, 1.0, 0.2), Step(-0.4, 0.5, 2.0)],
    ids=str,
)
@given(ends=st.tuples(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0)).map(sorted))
def test_largest_conductivity_is_the_maximum_over_the_interval(coefficient, ends):
    def k(u):
        match coefficient:
            case Constant(k=value):
                return np.full_like(u, value)
            case Power(m=m):
                return abs(u) ** m
            case Step(u_star=u_star, k_max=k_max, k_min=k_min):
                return np.where(u >= u_star, k_max, k_min)

    u = np.linspace(*ends, 1001)  # ends included, where the maximum of a monotone or even k is
    assert coefficient.largest(*ends) == pytest.approx(k(u).max(), rel=1e-14)


# Solver


@pytest.mark.parametrize("diffusion_number", [0.0, -0.1, 0.51, np.nan])
def test_a_diffusion_number_that_is_unstable_with_any_walls_is_refused(diffusion_number):
    with pytest.raises(
        ValueError, match=rf"diffusion_number={diffusion_number} is outside \(0, 1/2\]; .* so lower it"
    ):
        ExplicitDiffusion(diffusion_number)


@pytest.mark.parametrize("diffusion_number", [0.34, 0.5])
def test_a_diffusion_number_without_a_maximum_principle_at_these_walls_is_refused(diffusion_number):
    with pytest.raises(
        ValueError, match=r"is above 0\.3333, the limit with the walls of `stefan`; .* lower it"
    ):
        ExplicitDiffusion(diffusion_number).solve(problem())
    insulated = problem(walls=Walls(Neumann(), Neumann()))
    assert ExplicitDiffusion(diffusion_number).solve(insulated).steps > 0


@pytest.mark.parametrize(
    "changed", [{"grid": Cells(0.0, 1.0, 9)}, {"times": [0.0, 0.1]}, {"times": [0.0, 0.05, 0.2]}]
)
def test_a_batch_of_several_grids_or_times_is_refused(changed):
    with pytest.raises(ValueError, match=r"several grids or output times; group the problems"):
        ExplicitDiffusion().solve_batch([problem(), problem(**changed)])


def test_a_batch_of_several_kinds_of_coefficient_is_refused():
    with pytest.raises(ValueError, match=r"kinds \['Power', 'Step'\]; solve each kind in a batch of its own"):
        ExplicitDiffusion().solve_batch([problem(), problem(equation=Power(2.0))])


def test_an_empty_batch_has_no_answers():
    assert ExplicitDiffusion().solve_batch([]) == []


def test_a_wall_that_breaks_down_during_the_run_says_when():
    late = Dirichlet(lambda times: np.where(np.asarray(times) > 0.07, np.nan, 1.0))
    with pytest.raises(ValueError, match=r"not finite at t=0\.07.*; give a finite wall value"):
        ExplicitDiffusion().solve(problem(walls=Walls(late, Dirichlet(0.0))))
