"""Masses from laws, walls, quadratures and regions, and how far each is trusted."""

import numpy as np
import pytest

from lawbound.constraints import Conservation
from lawbound.datasets import schema
from lawbound.datasets.layout import Layout

CELLS = ("diffusion", "pme", "stefan", "advection", "burgers-inviscid", "pme-2d")
POINTS = ("heat-neumann", "heat-dirichlet", "heat-robin", "stokes", "burgers-periodic", "burgers-dirichlet", "burgers-random", "wave-2d")  # fmt: skip


def residual(constraint, data):
    return constraint.residual(Layout.of(data, constraint.fields).state(data), data)[..., 0]


@pytest.mark.parametrize("family", CELLS + POINTS)
def test_the_solver_s_data_keep_the_mass_within_the_stored_tolerance(made, family):
    data = made(family, nx=12 if family.endswith("2d") else 24)
    rows = Conservation().rows(data)
    stored = data.law_conservation_tolerance.values
    assert (np.abs(residual(Conservation(), data)) <= stored).all()
    # Averages are integrated exactly, and b is trusted; points are trusted as far as their quadrature.
    np.testing.assert_array_equal(rows.tolerance[..., 0], 0.0 if family in CELLS else stored)
    np.testing.assert_array_equal(Conservation(tolerance="exact").rows(data).tolerance, 0.0)
    np.testing.assert_array_equal(rows.rhs[..., 0], data.law_conservation_rhs)


def test_the_mass_by_walls_is_the_mass_by_law(made):
    data = made("heat-neumann", nx=129, nt=41)
    rows = Conservation(mass="walls").rows(data)
    law = data.law_conservation_rhs.values
    gap = np.abs(rows.rhs[..., 0] - law)
    assert (gap <= rows.tolerance[..., 0] + data.law_conservation_tolerance.values[:, :1] + 1e-7).all()
    assert gap.max() < 1e-4 < np.abs(law - law[:, :1]).max()
    errors = []
    for nt in (11, 21):
        part = made("heat-neumann", nx=129, nt=nt)
        law, rhs = part.law_conservation_rhs.values, Conservation(mass="walls").rows(part).rhs[..., 0]
        errors.append(np.abs(rhs - law).max())
    assert np.log2(errors[0] / errors[1]) > 3.5  # fourth order in the time between stored fluxes


def test_between_closed_walls_the_mass_stays(made):
    rows = Conservation(mass="walls").rows(made("pme-2d", nx=12))
    np.testing.assert_array_equal(rows.rhs, rows.rhs[:, :1].repeat(rows.rhs.shape[1], axis=1))
    assert np.abs(residual(Conservation(mass="walls"), made("pme-2d", nx=12))).max() < 1e-6


def test_the_variance_of_noisy_fluxes_grows_with_the_steps(made):
    data = made("pme-2d", nx=12)
    tolerance = Conservation(mass="walls", flux_noise=0.3).rows(data).tolerance[0, :, 0]
    steps = np.diff(data.t.values)
    np.testing.assert_allclose(tolerance[1:] ** 2, 4 * 0.09 * np.cumsum(steps**2), rtol=1e-12)
    assert tolerance[0] == 0.0


def test_a_region_is_known_by_what_passes_its_ends(field_on):
    # u = x² t on [0, 1]: ∫_{1/4}^{3/4} u dx = t (27 − 1) / 192.
    data = field_on({"u": lambda t, x: t * x**2}, ("cells", 8), times=np.linspace(0.0, 2.0, 5))
    rate = np.full((1, 5), 26 / 192)
    data["through"] = (("sample", "t"), rate, {"long_name": "rate"})
    law = Conservation(region=(0.25, 0.75), mass="walls", fluxes=("through",))
    rows = law.rows(data)
    np.testing.assert_allclose(rows.rhs[0, :, 0], data.t.values * 26 / 192, atol=1e-15)
    np.testing.assert_array_equal(rows.weights[0], [0, 0, 0.125, 0.125, 0.125, 0.125, 0, 0])
    assert np.abs(residual(law, data)).max() < 1e-14
    assert law.inputs == ("u at the start", "through")
    with pytest.raises(ValueError, match=r"ends between faces; the one nearest to 0\.3 is 0\.25"):
        Conservation(region=(0.3, 0.75), mass="u_mass").rows(data.assign(u_mass=data.through))


def test_a_region_of_a_plane_has_the_weights_of_both_axes(field_on):
    data = field_on({"u": lambda t, y, x: 1.0 + 0 * x}, {"x": ("cells", 8), "y": ("uniform", 5)})
    data["mass"] = (("sample", "t"), np.full((1, 3), 0.25 * 0.5), {"long_name": "mass"})
    law = Conservation(region=((0.25, 0.5), (0.5, 1.0)), mass="mass", tolerance=0.0)
    assert np.abs(residual(law, data)).max() < 1e-15


def test_a_quadrature_on_points_is_trusted_to_half_a_cell_of_the_sharpest_jump(field_on):
    for n in (21, 41):
        data = field_on({"u": lambda t, x: 3.0 * (x < 0.52)}, ("uniform", n))
        data["mass"] = (("sample", "t"), np.full((1, 3), 3.0 * 0.52), {"long_name": "mass"})
        tolerance = Conservation(mass="mass").rows(data).tolerance
        np.testing.assert_allclose(tolerance, 0.5 * 3.0 / (n - 1))
        assert (np.abs(residual(Conservation(mass="mass"), data)) <= tolerance[..., 0]).all()
        smooth = field_on({"u": lambda t, x: np.sin(3 * x)}, ("uniform", n)).assign(mass=data.mass)
        assert Conservation(mass="mass").rows(smooth).tolerance.max() < 1.6 / (n - 1) ** 2


def test_the_mass_by_quadrature_is_what_the_grid_sees(made):
    data = made("stokes")
    law = Conservation(mass="quadrature")
    np.testing.assert_allclose(
        law.rows(data).rhs[..., 0], schema.integral(data, data.u.values.astype(float)), atol=1e-14
    )
    assert law.inputs == ("u",) and np.abs(residual(law, data)).max() < 1e-14


def test_a_sum_of_fields_has_one_mass(field_on):
    data = field_on({"u": lambda t, x: t * x, "v": lambda t, x: 1.0 - t * x}, ("cells", 6))
    data["both"] = (("sample", "t"), np.ones((1, 3)), {"long_name": "mass"})
    law = Conservation(("u", "v"), mass="both")
    assert np.abs(residual(law, data)).max() < 1e-15 and law.on(data).labels == ("∫(u + v) dx",)


@pytest.mark.parametrize(
    ("law", "family"),
    [
        (Conservation(), "stefan"),
        (Conservation(), "stokes"),
        (Conservation(tolerance="exact"), "stokes"),
        (Conservation(mass="walls"), "heat-neumann"),
        (Conservation(mass="inflow_u"), "heat-neumann"),
        (Conservation(mass="quadrature"), "stokes"),
    ],
)
def test_nothing_is_read_but_the_inputs(made, inputs_only, same_set, law, family):
    same_set(law.on(inputs_only(made(family), law)), law.on(made(family)))


@pytest.mark.parametrize(
    ("law", "family", "message"),
    [
        (
            Conservation(mass="walls"),
            "stokes",
            "the x_lo wall of `u` is dirichlet, so that its flux is not known",
        ),
        (Conservation(mass="walls", fluxes=("q",)), "stokes", "needs the flux `q` over .* which is missing"),
        (Conservation(mass="walls", fluxes=("nu",)), "stokes", "has dimensions"),
        (Conservation(mass="total"), "stokes", "from `total`, which the dataset does not carry"),
        (Conservation(mass="nu"), "stokes", "it needs"),
        (Conservation(region=((0.0, 1.0), (0.0, 1.0)), mass="inflow_u"), "stokes", "this domain needs"),
        (Conservation(region=(0.5, 0.25), mass="inflow_u"), "stefan", "is empty"),
    ],
)
def test_what_is_missing_is_named(made, law, family, message):
    with pytest.raises(ValueError, match=message):
        law.on(made(family))


@pytest.mark.parametrize(
    "arguments",
    [
        {"tolerance": "none"}, {"tolerance": np.nan}, {"flux_noise": -1.0, "mass": "walls"}, {"region": (0.0, 0.5)},
        {"fluxes": ("q",)}, {"region": (0.0, 0.5), "mass": "walls"}, {"flux_noise": 1.0},
        {"tolerance": "exact", "mass": "walls", "flux_noise": 1.0},
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit_together_are_refused(arguments):
    with pytest.raises(ValueError, match="`Conservation`"):
        Conservation(**arguments)


def test_points_without_a_stored_tolerance_are_refused(made):
    with pytest.raises(ValueError, match="needs `law_conservation_tolerance`"):
        Conservation().on(made("stokes").drop_vars("law_conservation_tolerance"))
