"""Bounds that are given and bounds that follow from initial and wall data."""

import numpy as np
import pytest

from lawbound.constraints.bounds import Bounds, MaximumPrinciple
from lawbound.datasets.layout import Layout

STORED = 2e-7  # values are stored in single precision

#: Families of one scalar that is carried or diffused, with the data that are drawn for them.
SCALAR = [
    *((family, "standard") for family in ("diffusion", "pme", "stefan", "advection", "burgers-inviscid", "pme-2d")),
    *((family, "standard") for family in ("heat-dirichlet", "heat-robin", "stokes")),
    *((family, "standard") for family in ("burgers-periodic", "burgers-dirichlet", "burgers-random")),
    *((family, "random") for family in ("diffusion", "pme", "stefan", "advection", "burgers-inviscid", "pme-2d")),
]  # fmt: skip


def size(family):
    return {"nx": 12 if family.endswith("2d") or family == "cavity" else 24}


def residual(constraint, data):
    return constraint.residual(Layout.of(data, constraint.fields).state(data), data)


@pytest.mark.parametrize(("family", "kind"), SCALAR)
def test_the_solver_s_data_keep_the_maximum_principle(made, family, kind):
    data = made(family, data=kind, **size(family))
    off = residual(MaximumPrinciple(), data)
    assert off.max() <= STORED * np.abs(data.u.values).max()
    box = MaximumPrinciple().bounds(data)
    assert (np.diff(box.upper, axis=1) >= 0).all() and (np.diff(box.lower, axis=1) <= 0).all()


def test_the_bounds_are_those_of_the_data_where_these_jump_or_stay(made):
    box = MaximumPrinciple().bounds(made("stefan"))
    np.testing.assert_array_equal(box.upper, 1.0)
    np.testing.assert_array_equal(box.lower, 0.0)


def test_a_top_between_points_is_within_the_bounds(field_on):
    walls = [("u", "x_lo", "periodic", np.zeros(5)), ("u", "x_hi", "periodic", np.zeros(5))]
    for shift in (0.0, 0.4, 0.5):
        data = field_on(
            {"u": lambda t, x, shift=shift: np.cos(2 * np.pi * (x - t - shift / 16))}, ("period", 16), walls,
            times=np.linspace(0.0, 1.0, 5) / 13.0,
        )  # fmt: skip
        assert data.u.values.max() > data.u.values[:, 0].max() or shift == 0.0
        assert residual(MaximumPrinciple(), data).max() == 0.0
        assert MaximumPrinciple().bounds(data).upper.max() < 1.05


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("heat-neumann", "the x_hi wall of `u` lets a flux in"),
        ("wave", "for one quantity .* these data have u, u_t"),
        ("cavity", "these data have u, v, p"),
    ],
)
def test_data_that_imply_no_bounds_are_refused(made, family, message):
    with pytest.raises(ValueError, match=message):
        MaximumPrinciple().on(made(family, **size(family)))


def test_bounds_are_numbers_or_variables(made):
    data = made("stefan")
    assert residual(Bounds(), data).max() <= STORED
    assert residual(Bounds(upper="u_star"), data).max() == pytest.approx(
        1.0 - data.u_star.values.min(), rel=0.1
    )
    assert residual(Bounds(0.25, np.inf), data).max() == pytest.approx(0.25)
    assert Bounds(upper="u_star").inputs == ("u_star",) and Bounds(-1.0, 1.0).inputs == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((1.0, 0.0), "swap them"), ((np.nan, 1.0), "got NaN"), ((0.0, np.nan), "got NaN")],
)
def test_wrong_numbers_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Bounds(*arguments)


def test_wrong_variables_are_refused_with_sample_and_time(made):
    data = made("stefan")
    with pytest.raises(ValueError, match="upper bound from `top`, which the dataset does not carry"):
        Bounds(upper="top").on(data)
    with pytest.raises(ValueError, match="has dimensions"):
        Bounds(upper="u").on(data)
    with pytest.raises(ValueError, match=r"bounds of u are empty for sample 0 at t=0: 0\.9 > 0"):
        Bounds(0.9, "u_star").on(data)
    with pytest.raises(ValueError, match="not finite for sample 1"):
        Bounds(upper="u_star").on(data.assign(u_star=data.u_star.where(data.sample != 1)))


@pytest.mark.parametrize(
    ("constraint", "family"), [(MaximumPrinciple(), "heat-robin"), (Bounds(0.0, "u_star"), "stefan")]
)
def test_nothing_is_read_but_the_inputs(made, inputs_only, same_set, constraint, family):
    data = made(family)
    same_set(constraint.on(inputs_only(data, constraint)), constraint.on(data))
