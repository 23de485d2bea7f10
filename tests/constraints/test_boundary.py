"""Walls: what the solver's data say of them, how fast stencils converge, corners, and what is refused."""

import numpy as np
import pytest

from lawbound.constraints.boundary import Dirichlet, Neumann, Robin
from lawbound.constraints.period import Initial, Periodic
from lawbound.datasets.layout import Layout

STORED = 2e-7  # values are stored in single precision


def residual(constraint, data):
    return np.abs(constraint.residual(Layout.of(data, constraint.fields).state(data), data))


def smooth(t, x):
    return np.sin(2.5 * x + 0.3 + t) + x**2


def slope(t, x):
    return 2.5 * np.cos(2.5 * x + 0.3 + t) + 2 * x


TIMES = np.array([0.0, 0.5, 1.0])
WALLS = {
    "dirichlet": [("u", "x_lo", "dirichlet", smooth(TIMES, 0.0)), ("u", "x_hi", "dirichlet", smooth(TIMES, 1.0))],
    "neumann": [("u", "x_lo", "neumann", -0.7 * slope(TIMES, 0.0)), ("u", "x_hi", "neumann", 0.7 * slope(TIMES, 1.0))],
    "robin": [
        ("u", "x_lo", "robin", smooth(TIMES, 0.0) - slope(TIMES, 0.0) / 2.0),
        ("u", "x_hi", "robin", smooth(TIMES, 1.0) + slope(TIMES, 1.0) / 3.0),
    ],
}  # fmt: skip
KNOWN = {"k": 0.7, "biot_lo": 2.0, "biot_hi": 3.0}


@pytest.mark.parametrize(
    "family", ["stokes", "heat-dirichlet", "burgers-dirichlet", "burgers-random", "wave"]
)
def test_the_solver_s_points_have_the_prescribed_values(made, family):
    data = made(family)
    box = Dirichlet().bounds(data)
    fixed = box.lower == box.upper
    assert fixed[..., [0, -1]].all() and not fixed[..., 1:-1].any()
    assert residual(Dirichlet(), data).max() <= STORED * np.abs(data.u.values).max()


@pytest.mark.parametrize("field", ["u", "v"])
def test_the_cavity_s_walls_and_corners_have_the_prescribed_velocities(made, field):
    data = made("cavity", nx=12)
    box = Dirichlet(field).bounds(data)
    fixed = (box.lower == box.upper).reshape(*box.lower.shape[:2], 12, 12)
    assert fixed.sum(axis=(2, 3)).max() == 4 * 11 and not fixed[..., 1:-1, 1:-1].any()
    assert residual(Dirichlet(field), data).max() <= STORED


@pytest.mark.parametrize(
    ("family", "constraint"), [("heat-neumann", Neumann), ("heat-robin", Robin), ("wave-2d", Neumann)]
)
def test_stencils_on_the_solver_s_points_converge_with_their_order(made, family, constraint):
    for accuracy in (2, 4):
        worst = [
            residual(constraint(accuracy=accuracy), made(family, nx=n))[:, 2:].max()
            for n in ((25, 49) if family == "wave-2d" else (65, 129))
        ]
        assert np.log2(worst[0] / worst[1]) > accuracy - 0.7
    # The initial state need not fit the walls, and is not held to them.
    assert residual(constraint(), made(family))[:, 0].max() == 0.0


@pytest.mark.parametrize("kind", ["uniform", "cells"])
@pytest.mark.parametrize("constraint", [Neumann, Robin])
@pytest.mark.parametrize("accuracy", [1, 2, 3])
def test_slopes_converge_with_their_order_on_points_and_averages(field_on, kind, constraint, accuracy):
    name = constraint().name
    gaps = []
    for n in (20, 40):
        data = field_on({"u": smooth}, (kind, n), WALLS[name], **KNOWN)
        rows = constraint(accuracy=accuracy, tolerance=0.0, initially=True).rows(data)
        gaps.append(np.abs(Layout.of(data, ("u",)).state(data) @ rows.weights.T - rows.rhs).max())
    assert np.log2(gaps[0] / gaps[1]) > accuracy - 0.25


@pytest.mark.parametrize("accuracy", [1, 2, 3])
def test_values_extrapolated_from_averages_converge_with_their_order(field_on, accuracy):
    gaps = []
    for n in (20, 40):
        data = field_on({"u": smooth}, ("cells", n), WALLS["dirichlet"])
        gaps.append(residual(Dirichlet(accuracy=accuracy), data).max())
        stated = Dirichlet(accuracy=accuracy).rows(data).tolerance
        assert (residual(Dirichlet(accuracy=accuracy), data) <= stated).all()
        given = Dirichlet(accuracy=accuracy, tolerance=0.1).rows(data).tolerance
        assert (given[:, 1:] == 0.1).all() and np.isinf(given[:, 0]).all()
    assert np.log2(gaps[0] / gaps[1]) > accuracy - 0.25


@pytest.mark.parametrize("constraint", [Neumann(), Robin()])
def test_chebyshev_points_have_spectral_slopes(field_on, constraint):
    data = field_on({"u": smooth}, ("chebyshev", 24), WALLS[constraint.name], **KNOWN)
    assert residual(constraint, data).max() < 1e-11
    uniform = field_on({"u": smooth}, ("uniform", 24), WALLS[constraint.name], **KNOWN)
    assert residual(constraint, uniform).max() > 1e-4


def test_samples_with_biot_numbers_of_their_own_have_rows_of_their_own(made):
    data = made("heat-robin")
    rows = Robin(initially=True).rows(data)
    assert (rows.applies.sum(-1) == 2).all()  # one for each end
    assert len(rows.labels) == 2 * 3
    alike = Robin(biot=(2.0, 2.0), initially=True).rows(data)
    assert len(alike.labels) == 2 and alike.applies.all()


def test_the_tolerance_on_averages_is_small_once_the_solution_is_smooth_at_the_wall(made):
    tolerance = Dirichlet().rows(made("stefan", nx=40)).tolerance
    assert np.isinf(tolerance[:, 0]).all()  # the initial state does not fit the wall, and is not forced to
    assert (tolerance[:, 2:, 0] < 5e-3).all()


def corner(first, second):
    along = np.broadcast_to(np.linspace(0.0, 1.0, 6), (3, 6))
    return [("u", "x_lo", "dirichlet", first + along, "y"), ("u", "y_lo", "dirichlet", second + along, "x")]


def plane(t, y, x):
    return x + y + 0 * t


PLANE = {"x": ("uniform", 6), "y": ("uniform", 6)}


def test_values_at_a_corner_that_fit_are_taken_once_and_others_are_refused_by_name(field_on):
    fitting = field_on({"u": plane}, PLANE, corner(0.0, 0.0))
    assert residual(Dirichlet(), fitting).max() == 0.0
    bad = field_on({"u": plane}, PLANE, corner(0.0, 0.25), samples=2)
    with pytest.raises(
        ValueError, match=r"`bc_u_x_lo` and `bc_u_y_lo` meet at a corner .* 0 and 0\.25, for sample 0 at t=0"
    ):
        Dirichlet().bounds(bad)
    assert Dirichlet(sides=("x_lo",)).bounds(bad) is not None
    with pytest.raises(ValueError, match=r"u at x_lo & u at y_lo"):
        (Dirichlet(sides=("x_lo",)) & Dirichlet(sides=("y_lo",))).on(bad)


def slopes(mixed_x, mixed_y):
    """∂u/∂x along x_lo and ∂u/∂y along y_lo of u = m x y, with m of their own."""
    along = np.broadcast_to(np.linspace(0.0, 1.0, 6), (3, 6))
    return [("u", "x_lo", "neumann", -mixed_x * along, "y"), ("u", "y_lo", "neumann", -mixed_y * along, "x")]


def test_slopes_at_a_corner_that_fit_have_independent_rows_and_others_are_refused_by_name(field_on):
    data = field_on({"u": lambda t, y, x: x * y + 0 * t}, PLANE, slopes(1.0, 1.0), k=1.0)
    rows = Neumann(initially=True).rows(data)
    assert np.linalg.matrix_rank(rows.weights) == len(rows.weights) == 6 + 5
    assert residual(Neumann(), data).max() < 1e-13
    bad = field_on({"u": plane}, PLANE, slopes(1.0, 2.0), k=1.0)
    with pytest.raises(
        ValueError, match="slopes of `bc_u_x_lo` and `bc_u_y_lo` contradict each other at the corner"
    ):
        Neumann().rows(bad)


def test_all_slopes_around_a_square_have_independent_rows(made):
    for family in ("wave-2d", "pme-2d"):
        weights = Neumann().rows(made(family, nx=12)).weights
        assert np.linalg.matrix_rank(weights) == len(weights) == 4 * 12 - 4


def test_a_wall_with_values_keeps_its_corner_from_one_with_slopes(field_on):
    walls = [("u", "x_lo", "dirichlet", np.zeros(3)), ("u", "y_lo", "neumann", np.zeros(3))]
    data = field_on({"u": lambda t, y, x: x + 0 * t}, PLANE, walls)
    both = (Dirichlet() & Neumann()).on(data)
    assert len(both.rows.labels) == 5
    assert np.abs(both.residual(Layout.of(data, ("u",)).state(data))).max() < 1e-15


def test_a_period_with_both_ends_stored_is_imposed_on_values_and_slopes(field_on):
    walls = [("u", side, "periodic", np.zeros(3)) for side in ("x_lo", "x_hi", "y_lo", "y_hi")]

    def wave(t, y, x):
        return np.sin(2 * np.pi * (x - t)) * np.cos(2 * np.pi * y)

    data = field_on({"u": wave}, {"x": ("uniform", 17), "y": ("uniform", 13)}, walls)
    values = Periodic().rows(data)
    assert np.linalg.matrix_rank(values.weights) == len(values.weights) == 17 + 13 - 1
    assert residual(Periodic(), data).max() < 1e-14
    both = Periodic(slopes=True, accuracy=6).rows(data)
    assert np.linalg.matrix_rank(both.weights) == len(both.weights) == 17 + 13 - 1 + 15 + 12
    assert residual(Periodic(slopes=True, accuracy=6), data).max() < 0.05
    odd = field_on({"u": lambda t, y, x: x + 0 * t}, {"x": ("uniform", 17), "y": ("uniform", 13)}, walls)
    assert (
        residual(Periodic(axes=("x",)), odd).max() == 1.0
        and residual(Periodic(axes=("y",)), odd).max() == 0.0
    )


def test_a_period_stored_once_leaves_nothing_to_impose(made, field_on):
    walls = [("u", side, "periodic", np.zeros(3)) for side in ("x_lo", "x_hi")]
    for data in (made("burgers-periodic"), field_on({"u": smooth}, ("cells", 8), walls)):
        with pytest.raises(ValueError, match="stores each point of the period once"):
            Periodic().on(data)
    with pytest.raises(ValueError, match="found no period of `u`: x is dirichlet"):
        Periodic().on(made("stokes"))
    with pytest.raises(ValueError, match="along y: the walls there are not there"):
        Periodic(axes=("y",)).on(made("burgers-periodic"))


def test_the_initial_state_is_fixed_at_the_start_only(made):
    data = made("wave")
    box = Initial(("u", "u_t")).bounds(data)
    assert (box.lower[:, 0] == box.upper[:, 0]).all() and np.isinf(box.lower[:, 1:]).all()
    assert residual(Initial(("u", "u_t")), data).max() == 0.0
    with pytest.raises(ValueError, match=r"first stored time, t=0\.25, is not the start"):
        Initial().bounds(data.isel(t=slice(1, None)))


@pytest.mark.parametrize(
    ("constraint", "family"),
    [
        (Dirichlet(), "stokes"),
        (Dirichlet(), "stefan"),
        (Dirichlet("v"), "cavity"),
        (Neumann(), "heat-neumann"),
        (Neumann(sides=("y_hi",)), "wave-2d"),
        (Robin(sides=("x_hi",)), "heat-robin"),
        (Robin(tolerance="reference"), "heat-robin"),
        (Initial(("u", "u_t")), "wave"),
    ],
    ids=lambda one: getattr(one, "name", one),
)
def test_nothing_is_read_but_the_inputs(made, inputs_only, same_set, constraint, family):
    data = made(family, nx=12) if family in ("cavity", "wave-2d") else made(family)
    same_set(constraint.on(inputs_only(data, constraint)), constraint.on(data))


@pytest.mark.parametrize(
    ("constraint", "family", "message"),
    [
        (Dirichlet(), "heat-neumann", "found no dirichlet wall of `u`: x_lo is neumann, x_hi is neumann"),
        (Dirichlet(sides=("x_lo",)), "heat-robin", "the wall of `u` there is robin, not dirichlet"),
        (Dirichlet(sides=("y_lo",)), "stokes", "got the side 'y_lo'; this domain has x_lo, x_hi"),
        (Neumann(accuracy=8), "heat-neumann", "needs 9 points along x, the grid has 8"),
        (
            Neumann(conductivity="nu"),
            "heat-neumann",
            "reads its conductivity from `nu`, which the dataset does not carry",
        ),
        (Robin(biot=(1.0, -2.0)), "heat-robin", "Biot number of -2 at x_hi"),
        (Dirichlet(accuracy=4), "stefan", "extrapolated with order 1, 2 or 3"),
        (Dirichlet("p"), "cavity", "found no dirichlet wall of `p`"),
    ],
)
def test_what_does_not_fit_is_refused(made, constraint, family, message):
    with pytest.raises(ValueError, match=message):
        constraint.on(made(family, nx=8) if family != "cavity" else made(family, nx=12))


def test_missing_and_broken_wall_data_are_refused(made):
    data = made("stokes")
    with pytest.raises(ValueError, match="needs the values at the x_lo wall, `bc_u_x_lo`"):
        Dirichlet(sides=("x_lo",)).on(data.drop_vars("bc_u_x_lo"))
    broken = data.assign(bc_u_x_hi=data.bc_u_x_hi.where(data.t < 1.0))
    with pytest.raises(ValueError, match=r"`bc_u_x_hi` is not finite for sample 0 at t=1;"):
        Dirichlet().on(broken)


def test_on_a_coarse_grid_wider_stencils_or_a_tolerance_help_most(made, error_of):
    data = made("wave-2d", n=2, nx=12, nt=5)  # waves of which some are hardly resolved
    wide, trusted = error_of(Neumann(accuracy=4), data), error_of(Neumann(tolerance="reference"), data)
    assert error_of(Neumann(), data) > 1.2 and max(wide, trusted) < 0.95
    assert error_of(Neumann(), made("wave-2d", n=2, nx=24, nt=5)) < 0.95


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sides": "x_lo"}, r"give a tuple, such as \('x_lo',\)"),
        ({"sides": ("left",)}, "there are x_lo, x_hi, y_lo, y_hi"),
        ({"accuracy": 0}, "orders 1 … 8"),
        ({"tolerance": -1.0}, "deviation ≥ 0"),
        ({"tolerance": "none"}, "deviation ≥ 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Neumann(**arguments)
