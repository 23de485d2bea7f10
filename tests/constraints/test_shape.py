"""Monotone profiles, two phases and total variation: on the solver's data, and where they do not follow."""

import numpy as np
import pytest

from lawbound.constraints.shape import Monotone, TotalVariation, TwoPhase
from lawbound.datasets.layout import Layout

STORED = 2e-7  # values are stored in single precision
SCALAR = [
    *((family, "standard") for family in ("diffusion", "pme", "stefan", "advection", "burgers-inviscid")),
    *((family, "standard") for family in ("heat-dirichlet", "stokes")),
    *((family, "standard") for family in ("burgers-periodic", "burgers-dirichlet", "burgers-random")),
    *((family, "random") for family in ("diffusion", "pme", "stefan", "advection", "burgers-inviscid")),
]  # fmt: skip


def residual(constraint, data):
    return constraint.residual(Layout.of(data, constraint.fields).state(data), data)


@pytest.mark.parametrize("family", ["pme", "stefan", "advection", "burgers-inviscid"])
def test_fronts_of_the_solver_fall_and_the_data_say_so(made, family):
    data = made(family)
    assert residual(Monotone(), data).max() <= STORED * np.abs(data.u.values).max()
    assert (Monotone().order(data).signs == -1).all()
    assert residual(Monotone("rising"), data).max() > 0.1


def test_what_rises_is_found_as_the_mirror_of_what_falls(field_on):
    walls = [("u", "x_lo", "dirichlet", [0.0, -0.5, -0.5]), ("u", "x_hi", "dirichlet", [1.0, 1.0, 2.0])]
    data = field_on({"u": lambda t, x: x**3 + 0 * t}, ("uniform", 9), walls)
    assert (Monotone().order(data).signs == 1).all()
    data["bc_u_x_hi"].values[:] = 0.5  # below what was there
    with pytest.raises(ValueError, match="imply neither for sample 0"):
        Monotone().order(data)


def test_lines_of_a_plane_are_chains(field_on):
    data = field_on({"u": lambda t, y, x: np.sin(9 * y) - x + 0 * t}, {"x": ("cells", 6), "y": ("cells", 5)})
    order = Monotone("falling").order(data)
    assert order.starts.tolist() == [0, 6, 12, 18, 24] and order.stops.tolist() == [6, 12, 18, 24, 30]
    assert residual(Monotone("falling"), data).max() == 0.0
    assert residual(TotalVariation(most=10.0), data).max() == 0.0
    np.testing.assert_allclose(residual(TotalVariation(most=1.0), data), 5 * 5 / 6 - 1.0)


def test_samples_that_fall_and_samples_that_rise_are_refused_together(field_on):
    data = field_on({"u": lambda t, x: -x + 0 * t}, ("uniform", 9), samples=2)
    for side in ("x_lo", "x_hi"):
        data[f"bc_u_{side}"] = (("sample", "t"), np.zeros((2, 3)), {"lawbound_bc_type": "outflow"})
    data["u"].values[1] *= -1.0
    with pytest.raises(ValueError, match="imply not the same for all samples"):
        Monotone().order(data)
    assert Monotone().order(data.isel(sample=[1])).signs == [1]


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("stokes", "imply neither"),
        ("burgers-periodic", "what has a period does not fall or rise"),
        ("heat-neumann", "lets a flux in"),
        ("wave", "for one quantity"),
        ("pme-2d", "on an interval only"),
    ],
)
def test_a_direction_that_does_not_follow_from_the_data_is_refused(made, family, message):
    with pytest.raises(ValueError, match=message):
        Monotone().order(made(family, nx=12))


@pytest.mark.parametrize("nx", [12, 24, 40])
def test_the_solver_s_stefan_data_have_two_phases_and_one_mixed_cell(made, nx):
    data = made("stefan", nx=nx)
    assert residual(TwoPhase(), data).max() <= STORED
    assert residual(TwoPhase(mixed_cell=False), data).max() > 0.01
    phases = TwoPhase().phases(data)
    np.testing.assert_array_equal(phases.level, data.u_star.values[:, None].repeat(9, axis=1))
    assert phases.mixed_cell and (phases.upper == 1.0).all() and (phases.lower == 0.0).all()


def test_data_without_two_phases_are_refused(made):
    with pytest.raises(ValueError, match="initial state of sample 0 has other values than one phase"):
        TwoPhase().on(made("stefan", data="random"))
    with pytest.raises(ValueError, match="reads its level from `u_star`, which the dataset does not carry"):
        TwoPhase().on(made("pme"))
    with pytest.raises(
        ValueError, match=r"needs lower < level ≤ upper, and has 0, 1\.5, 1 for sample 0 at t=0\."
    ):
        TwoPhase(level=1.5).on(made("stefan"))
    with pytest.raises(ValueError, match="on a plane"):
        TwoPhase(level=0.5).on(made("pme-2d", nx=12))


@pytest.mark.parametrize(("family", "kind"), SCALAR)
def test_the_solver_s_data_vary_no_more_than_initial_and_wall_data_allow(made, family, kind):
    data = made(family, data=kind)
    assert residual(TotalVariation(), data).max() <= 2e-6 * np.abs(data.u.values).max()
    most = TotalVariation().variation(data).most
    assert (np.diff(most, axis=1) >= -1e-15).all()
    # It says something: a field that oscillates is outside.
    wild = Layout.of(data, ("u",)).state(data) + most[..., None] * (-1.0) ** np.arange(24)
    assert (TotalVariation().variation(data).violation(wild)[most > 0] > 0).all()


def test_a_jump_that_enters_is_counted_once(made):
    np.testing.assert_allclose(TotalVariation().variation(made("stefan")).most, 1.0)


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("heat-robin", "exchanges with its surroundings"),
        ("pme-2d", "on an interval only"),
        ("cavity", "u, v, p"),
    ],
)
def test_a_variation_that_does_not_follow_from_the_data_is_refused(made, family, message):
    with pytest.raises(ValueError, match=message):
        TotalVariation().on(made(family, nx=12))


@pytest.mark.parametrize(
    ("constraint", "family"),
    [
        (Monotone(), "pme"), (Monotone("falling"), "pme"), (TwoPhase(), "stefan"), (TwoPhase(0.6, 0.0, 1.0), "stefan"),
        (TotalVariation(), "burgers-random"), (TotalVariation(most="u_star"), "stefan"),
    ],
)  # fmt: skip
def test_nothing_is_read_but_the_inputs(made, inputs_only, same_set, constraint, family):
    same_set(constraint.on(inputs_only(made(family), constraint)), constraint.on(made(family)))


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match='"falling", "rising" or "auto"'):
        Monotone("up")
    with pytest.raises(ValueError, match="≥ 0"):
        TotalVariation(most=-1.0)
