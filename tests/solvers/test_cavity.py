"""The flow in a box with sliding walls: an exact vortex, laws that hold to round-off, orders, and accepted numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawbound.solvers import (
    ChebyshevNodes,
    NavierStokes,
    Nodes,
    NoSlip,
    Problem,
    Rectangle,
    ResolutionWarning,
    SolverError,
    Walls,
    chebyshev,
)
from lawbound.solvers.cavity import SpectralCavity
from lawbound.solvers.cavity_corner import Scraper
from lawbound.solvers.cavity_steady import SteadyCavity

SQUARE = Rectangle(Nodes(0.0, 1.0, 21), Nodes(0.0, 1.0, 21))
REST = NoSlip(0.0)
#: u_min on x = 1/2, v_max and v_min on y = 1/2 of the lid of constant speed (O. Botella, R. Peyret 1998 for Re = 1000).
ACCEPTED = {100.0: (-0.2140424, 0.1795728, -0.2538030), 1000.0: (-0.3885698, 0.3769447, -0.5270771)}


def lid(t, x):
    """A lid that starts smoothly and stands still at its ends."""
    return (1.0 + 0.4 * np.sin(3.0 * t)) * -np.expm1(-((t / 0.3) ** 4)) * 16.0 * x**2 * (1.0 - x) ** 2


def shape(_, x):
    return 16.0 * x**2 * (1.0 - x) ** 2


def problem(reynolds=100.0, value=lid, times=(0.0, 0.25, 0.5), grid=SQUARE, side="y_hi", **more):
    walls = {"x_lo": REST, "x_hi": REST, "y_lo": REST, "y_hi": REST} | {side: NoSlip(value)}
    return Problem("cavity", NavierStokes(reynolds), grid, Walls(**walls), 0.0, times, **more)


def fields(run):
    return {"u": run.state, **run.others}


def distance(one, other):
    """The largest difference of any field, relative to that field."""
    return max(
        np.abs(a - b).max() / np.abs(b).max()
        for a, b in zip(fields(one).values(), fields(other).values(), strict=True)
    )


def vortex(grid, reynolds, times):
    """ψ = sin kx sin ly e^{−(k² + l²) t / Re}, a solution of the full equations that slides along its walls."""
    x0, y0 = grid.x.lower, grid.y.lower
    k, m = np.pi / (grid.x.upper - x0), np.pi / (grid.y.upper - y0)

    def decay(t):
        return np.exp(-(k * k + m * m) * np.asarray(t) / reynolds)

    walls = Walls(
        NoSlip(lambda t, y: -k * decay(t) * np.sin(m * (y - y0))),
        NoSlip(lambda t, y: k * decay(t) * np.sin(m * (y - y0))),
        NoSlip(lambda t, x: m * decay(t) * np.sin(k * (x - x0))),
        NoSlip(lambda t, x: -m * decay(t) * np.sin(k * (x - x0))),
    )

    def start(x, y):
        return np.sin(k * (x - x0)) * np.sin(m * (y - y0)) * decay(times[0])

    given = Problem("vortex", NavierStokes(reynolds), grid, walls, start, times)
    x, y = grid.x.points[None, :] - x0, grid.y.points[:, None] - y0
    e = decay(times)[:, None, None]
    exact = {
        "u": m * np.sin(k * x) * np.cos(m * y) * e,
        "v": -k * np.cos(k * x) * np.sin(m * y) * e,
        "p": 0.25 * (m * m * np.cos(2.0 * k * x) + k * k * np.cos(2.0 * m * y)) * e**2,
        "vorticity": (k * k + m * m) * np.sin(k * x) * np.sin(m * y) * e,
        "streamfunction": np.sin(k * x) * np.sin(m * y) * e,
    }
    return given, exact


@pytest.mark.parametrize(
    "grid",
    [SQUARE, Rectangle(ChebyshevNodes(-1.0, 1.5, 15), Nodes(2.0, 3.2, 11))],
    ids=["square", "rectangle"],
)
def test_a_decaying_vortex_is_exact_in_all_fields(grid):
    given, exact = vortex(grid, 30.0, np.array([0.5, 0.9, 1.6]))
    run = SpectralCavity(modes=24, tolerance=1e-12, resolution=1e-9).solve(given)
    for name, values in fields(run).items():
        np.testing.assert_allclose(values, exact[name], atol=1e-10 * np.abs(exact[name]).max(), err_msg=name)


@given(start=st.floats(0.0, 3.0), reynolds=st.floats(1.0, 300.0))
@settings(max_examples=10, deadline=None)
def test_the_error_follows_the_tolerance(start, reynolds):
    given, exact = vortex(SQUARE, reynolds, np.array([start, start + 0.4]))
    run = SpectralCavity(modes=24, tolerance=1e-8).solve(given)
    np.testing.assert_allclose(run.state, exact["u"], atol=5e-7)


def test_every_field_is_of_order_four_in_time():
    fine = SpectralCavity(modes=20, step=1 / 768, resolution=1e-2).solve(problem())
    steps = np.array([1 / 64, 1 / 128, 1 / 256])
    runs = [SpectralCavity(modes=20, step=step, resolution=1e-2).solve(problem()) for step in steps]
    for name, values in fields(fine).items():
        errors = [np.abs(fields(run)[name] - values).max() for run in runs]
        order = np.polyfit(np.log(steps), np.log(errors), 1)[0]
        assert 3.5 < order < 4.7, (name, order, errors)


def test_more_modes_converge_fast():
    grid = Rectangle(ChebyshevNodes(0.0, 1.0, 33), ChebyshevNodes(0.0, 1.0, 33))
    runs = [
        SpectralCavity(modes=n, tolerance=1e-9, resolution=1e-1).solve(problem(grid=grid))
        for n in (12, 18, 27, 40)
    ]
    errors = [np.abs(run.state - runs[-1].state).max() for run in runs[:-1]]
    assert errors[0] > 8.0 * errors[1] > 64.0 * errors[2]
    assert errors[2] < 1e-5


@pytest.fixture(scope="module")
def family_run():
    nodes = ChebyshevNodes(0.0, 1.0, 33)
    return SpectralCavity(modes=32, resolution=1e-4).solve(problem(150.0, grid=Rectangle(nodes, nodes)))


def test_the_velocity_has_no_divergence(family_run):
    assert family_run.diagnostics["divergence"].max() < 1e-11
    along = 2.0 * chebyshev.differentiation_matrix(33)
    divergence = family_run.state @ along.T + along @ family_run.others["v"]
    assert np.abs(divergence).max() < 1e-10


def test_the_velocity_sticks_to_the_walls(family_run):
    u, v = family_run.state, family_run.others["v"]
    x, times = family_run.problem.grid.x.points, family_run.problem.times[:, None]
    np.testing.assert_allclose(u[:, -1], lid(times, x), atol=1e-13)
    for wall in (u[:, 0], u[:, :, 0], u[:, :, -1], v[:, 0], v[:, -1], v[:, :, 0], v[:, :, -1]):
        assert np.abs(wall).max() < 1e-13
    np.testing.assert_allclose(
        family_run.walls[:, 3], lid(family_run.problem.times, 0.5) * 8 / 15, rtol=1e-12
    )
    assert np.abs(family_run.ledger_residual).max() < 1e-13


def test_the_energy_budget_closes(family_run):
    # ½ ∫ u² changes by what the walls work minus what is dissipated, up to the step's error and the modes that are missing.
    d = family_run.diagnostics
    gap = d["energy"] - d["energy"][0] - d["work"] + d["dissipated"]
    assert np.abs(gap).max() < 1e-6 * d["work"].max()
    w, run = family_run.problem.grid.weights, family_run
    energy = 0.5 * ((run.state**2 + run.others["v"] ** 2) * w).sum(axis=(1, 2))
    np.testing.assert_allclose(d["energy"], energy, rtol=1e-5, atol=1e-12)
    assert (d["dissipation"][1:] > 0.0).all()


def test_pressure_balances_the_momentum():
    nodes, h = ChebyshevNodes(0.0, 1.0, 33), 1e-3
    run = SpectralCavity(modes=40, tolerance=1e-9).solve(
        problem(50.0, grid=Rectangle(nodes, nodes), times=[0.0, 0.5 - h, 0.5, 0.5 + h])
    )
    d = 2.0 * chebyshev.differentiation_matrix(33)
    u, v, p = run.state[2], run.others["v"][2], run.others["p"][2]
    for now, field, slope in ((u, run.state, p @ d.T), (v, run.others["v"], d @ p)):
        rate = (field[3] - field[1]) / (2.0 * h)
        spread = now @ d.T @ d.T + d @ d @ now
        residual = rate + u * (now @ d.T) + v * (d @ now) + slope - spread / 50.0
        # Second derivatives next to the corners are the least exact.
        assert np.abs(residual[4:-4, 4:-4]).max() < 1e-4 * np.abs(slope).max()
    assert abs((p * run.problem.grid.weights).sum()) < 1e-7


def turned(run, side):
    """u and v of a box whose lid is another side, seen with the lid on top."""
    u, v = run.state, run.others["v"]
    return {
        "y_hi": (u, v),
        "y_lo": (u[:, ::-1], -v[:, ::-1]),
        "x_hi": (v.swapaxes(1, 2), u.swapaxes(1, 2)),
        "x_lo": (v[:, :, ::-1].swapaxes(1, 2), -u[:, :, ::-1].swapaxes(1, 2)),
    }[side]


@pytest.mark.parametrize("side", ["y_lo", "x_hi", "x_lo"])
def test_a_box_may_be_turned(side):
    solver = SpectralCavity(modes=21, resolution=1e-2)
    top, other = solver.solve(problem()), solver.solve(problem(side=side))
    for one, two in zip(turned(other, side), turned(top, "y_hi"), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-12)
    assert other.diagnostics["energy"] == pytest.approx(top.diagnostics["energy"], rel=1e-10)
    assert other.diagnostics["work"] == pytest.approx(top.diagnostics["work"], rel=1e-10)


def test_a_batch_gives_the_bits_of_single_runs():
    problems = [problem(re, times=(0.0, 0.1, 0.3)) for re in (50.0, 77.0, 200.0)]
    problems.append(problem(100.0, value=lambda t, x: -2.0 * lid(t, x), times=(0.0, 0.1, 0.3)))
    solver = SpectralCavity(tolerance=1e-6, resolution=1e-4)
    for together, one in zip(solver.solve_batch(problems), problems, strict=True):
        alone = solver.solve(one)
        assert together.steps == alone.steps
        assert all(
            (a == b).all() for a, b in zip(fields(together).values(), fields(alone).values(), strict=True)
        )
        assert all((together.diagnostics[k] == alone.diagnostics[k]).all() for k in alone.diagnostics)


def test_fluid_at_rest_stays_at_rest():
    run = SpectralCavity(modes=12).solve(problem(value=0.0))
    assert not any(values.any() for values in fields(run).values())


def test_output_times_do_not_matter():
    few = SpectralCavity(modes=24, resolution=1e-2).solve(problem(times=(0.0, 0.5)))
    many = SpectralCavity(modes=24, resolution=1e-2).solve(problem(times=(0.0, 0.07, 0.1, 0.31, 0.5)))
    np.testing.assert_allclose(many.state[-1], few.state[-1], atol=2e-6)


def extrema(flow):
    """u_min on the vertical centre line, v_max and v_min on the horizontal one."""
    s, half = np.linspace(0.0, 1.0, 4001), np.array([0.5])
    u, v = flow.fields(half, s)["u"][:, 0], flow.fields(s, half)["v"][0]
    return u.min(), v.max(), v.min()


@pytest.mark.parametrize(("reynolds", "modes", "bound"), [(100.0, 28, 2e-5), (1000.0, 48, 2e-5)])
def test_a_lid_of_constant_speed_gives_the_accepted_extrema(reynolds, modes, bound):
    flow = SteadyCavity(modes=modes).solve(problem(reynolds, value=1.0))
    np.testing.assert_allclose(extrema(flow), ACCEPTED[reynolds], atol=bound)
    assert flow.divergence < 1e-10


def test_the_steady_flow_is_where_time_leads():
    steady = SteadyCavity(modes=24).solve(problem(40.0, value=shape))
    run = SpectralCavity(modes=24, resolution=1e-2).solve(
        problem(40.0, value=lambda t, x: np.tanh(t) ** 4 * shape(t, x), times=(0.0, 25.0, 50.0))
    )
    at = SQUARE.x.points
    for name, values in steady.fields(at, at).items():
        np.testing.assert_allclose(
            fields(run)[name][-1], values, atol=5e-6 * np.abs(values).max(), err_msg=name
        )
    d = run.diagnostics
    assert d["power"][-1] == pytest.approx(d["dissipation"][-1], rel=1e-4)


def test_creeping_flow_is_its_own_mirror_image():
    x, y = np.linspace(0.0, 1.0, 15), np.array([0.3, 0.75])
    flow = SteadyCavity(modes=24).solve(problem(1e-3, value=1.0)).fields(x, y)
    np.testing.assert_allclose(flow["u"], flow["u"][:, ::-1], atol=1e-4)
    np.testing.assert_allclose(flow["v"], -flow["v"][:, ::-1], atol=1e-4)


@pytest.mark.parametrize("side", ["x_lo", "x_hi", "y_lo", "y_hi"])
@pytest.mark.parametrize("far", [False, True])
def test_the_creeping_flow_of_a_corner_obeys_both_walls_and_its_own_derivatives(side, far):
    grid = Rectangle(Nodes(-1.0, 1.0, 3), Nodes(0.0, 3.0, 3))
    one, h, nu = Scraper(grid, side, far, 0.7), 1e-4, 0.1

    def at(x, y):
        flow, p = one.at(np.array([x]), np.array([y]), nu)
        return np.array([flow.psi[0], flow.u[0], flow.v[0], flow.omega[0], p[0]])

    x, y = 0.3, 1.1
    by_x = (at(x + h, y) - at(x - h, y)) / (2.0 * h)
    by_y = (at(x, y + h) - at(x, y - h)) / (2.0 * h)
    here = at(x, y)
    np.testing.assert_allclose([by_y[0], -by_x[0]], here[1:3], atol=1e-7)
    assert by_x[2] - by_y[1] == pytest.approx(here[3], abs=1e-7)
    # Δu = ∇p / ν, and Δu = (−ω_y, ω_x).
    np.testing.assert_allclose([-nu * by_y[3], nu * by_x[3]], [by_x[4], by_y[4]], atol=1e-7)
    along = np.linspace(0.05, 0.95, 5)
    for wall in (side, one.meets):
        ends = grid.y if wall[0] == "x" else grid.x
        points = ends.lower + (ends.upper - ends.lower) * along
        across = grid.x if wall[0] == "x" else grid.y
        fixed = np.full(5, across.upper if wall.endswith("hi") else across.lower)
        flow, _ = one.at(fixed, points, nu) if wall[0] == "x" else one.at(points, fixed, nu)
        tangential, normal = (flow.v, flow.u) if wall[0] == "x" else (flow.u, flow.v)
        np.testing.assert_allclose(tangential, 0.7 if wall == side else 0.0, atol=1e-14)
        np.testing.assert_allclose(normal, 0.0, atol=1e-14)


def test_an_impulsive_start_of_a_constant_lid_warns_and_runs():
    with pytest.warns(ResolutionWarning) as told:
        run = SpectralCavity(modes=20).solve(problem(value=1.0))
    assert "disagree at a corner by 1 of the fastest" in str(told[0].message)
    assert np.isfinite(run.state).all()
    assert (np.diff(run.diagnostics["energy"]) > 0.0).all()


def test_shear_that_does_not_fit_at_a_corner_warns():
    with pytest.warns(ResolutionWarning, match="gradients of two walls' speeds disagree"):
        SpectralCavity(modes=16, resolution=0.1).solve(
            problem(value=lambda t, x: lid(t, 0.5) * np.sin(np.pi * x))
        )


def test_too_few_modes_warn_with_the_number_needed():
    with pytest.warns(ResolutionWarning, match=r"above 1e-05; use modes=\d+ or more"):
        SpectralCavity(modes=16).solve(problem())
    with pytest.warns(ResolutionWarning, match="modes=12"):
        SteadyCavity(modes=12).solve(problem(value=1.0))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (problem(value=lambda t, x: np.where(t > 0.2, np.nan, 0.0) * x), "not finite at t="),
        (problem(3e4, value=shape), "Reynolds number of 3e.04"),
        (problem(source=1.0), "has a source"),
        (
            Problem("flow", NavierStokes(1.0), SQUARE, Walls(REST, REST, REST, REST), 1.0, [0.0, 1.0]),
            "nothing passes a wall",
        ),
    ],
    ids=["not finite", "Reynolds", "source", "through a wall"],
)
def test_what_does_not_fit_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        SpectralCavity(modes=12).solve(given)


def test_batches_and_settings_are_checked():
    with pytest.raises(ValueError, match="several grids or output times"):
        SpectralCavity().solve_batch([problem(), problem(times=(0.0, 1.0))])
    for wrong in ({"modes": 5}, {"step": 0.0}, {"tolerance": np.nan}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            SpectralCavity(**wrong)
    with pytest.raises(ValueError, match="SteadyCavity goes up to 10000"):
        SteadyCavity().solve(problem(2e4, value=1.0))
    assert SpectralCavity().solve_batch([]) == []
    assert "step 0.01" in SpectralCavity(step=0.01).name


def test_a_step_that_is_too_long_is_an_error_not_a_number():
    fast = problem(2400.0, value=lambda t, x: 2.0 * np.tanh(t) * shape(t, x), times=(0.0, 10.0, 20.0))
    with pytest.raises(SolverError, match="give a shorter `step`"):
        SpectralCavity(modes=32, step=0.5, resolution=1.0).solve(fast)


@pytest.mark.slow
@pytest.mark.parametrize(("reynolds", "few", "many"), [(5000.0, 80, 112), (10_000.0, 104, 128)])
def test_steady_flows_at_high_reynolds_numbers_do_not_depend_on_the_modes(reynolds, few, many):
    given = problem(reynolds, value=1.0)
    one, two = SteadyCavity(modes=few).solve(given), SteadyCavity(modes=many).solve(given)
    np.testing.assert_allclose(extrema(one), extrema(two), atol=2e-5)
    assert max(one.divergence, two.divergence) < 1e-10
