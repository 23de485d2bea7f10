"""Flows without divergence, in the grid's own derivatives."""

import numpy as np
import pytest

from lawbound.constraints.boundary import Dirichlet
from lawbound.constraints.divergence import DivergenceFree
from lawbound.datasets.layout import Layout


def residual(law, data):
    return np.abs(law.residual(Layout.of(data, law.fields).state(data), data))


def swirl(field_on, kind, n):
    """u = ψ_y and v = −ψ_x of ψ = sin(2x + y) e^{y/2}."""

    def u(t, y, x):
        return (np.cos(2 * x + y) + 0.5 * np.sin(2 * x + y)) * np.exp(y / 2) + 0 * t

    def v(t, y, x):
        return -2 * np.cos(2 * x + y) * np.exp(y / 2) + 0 * t

    return field_on({"u": u, "v": v}, {"x": (kind, n), "y": (kind, n + 2)})


def test_finer_grids_and_wider_differences_see_less_divergence_in_the_solver_s_flow(made):
    worst = {
        (accuracy, n): residual(DivergenceFree(accuracy=accuracy), made("cavity", nx=n)).max()
        for accuracy in (2, 4, 6)
        for n in (17, 33)
    }
    assert worst[6, 33] < worst[4, 33] < worst[2, 33] < 0.6 * worst[2, 17]
    assert worst[6, 33] < 0.2 * worst[6, 17]


@pytest.mark.parametrize("accuracy", [2, 4])
def test_differences_of_a_smooth_flow_converge_with_their_order(field_on, accuracy):
    worst = [
        residual(DivergenceFree(accuracy=accuracy), swirl(field_on, "uniform", n)).max() for n in (12, 23)
    ]
    assert np.log2(worst[0] / worst[1]) > accuracy - 0.3


def test_chebyshev_points_see_none_in_a_smooth_flow(field_on):
    assert residual(DivergenceFree(), swirl(field_on, "chebyshev", 18)).max() < 1e-11
    assert residual(DivergenceFree(), swirl(field_on, "uniform", 18)).max() > 1e-5


def test_discrete_streamfunctions_give_flows_without_any_divergence(field_on):
    # Central differences commute, so (D_y ψ, −D_x ψ) has none inside, whatever ψ is.
    data = swirl(field_on, "uniform", 10)
    psi = np.random.default_rng(0).normal(size=(12, 10))
    law = DivergenceFree(accuracy=2)
    from lawbound.constraints import stencils
    from lawbound.constraints.geometry import Line

    of_x, of_y = (stencils.differentiation(Line.of(data, axis)) for axis in ("x", "y"))
    state = np.concatenate([(of_y @ psi).ravel(), (-psi @ of_x.T).ravel()])
    assert np.abs(law.rows(data).weights @ state).max() < 1e-12


def test_the_tolerance_by_reference_is_what_the_grid_sees(made):
    data = made("cavity", nx=12)
    law = DivergenceFree(tolerance="reference")
    assert (residual(law, data) <= law.rows(data).tolerance).all()
    assert law.inputs == ("u for the tolerance", "v for the tolerance") and DivergenceFree().inputs == ()
    np.testing.assert_array_equal(DivergenceFree(tolerance=0.2).rows(data).tolerance, 0.2)


def test_it_stacks_with_the_velocities_at_the_walls(made):
    data = made("cavity", nx=12)
    stack = Dirichlet("u") & Dirichlet("v") & DivergenceFree()
    both = stack.on(data)
    assert both.layout.fields == ("u", "v") and len(both.rows.labels) == 100
    fixed = (both.box.lower == both.box.upper).sum(axis=-1)
    assert (fixed == 2 * 44).all()


def test_on_a_coarse_grid_order_four_helps_a_noisy_flow_and_order_two_does_not(made, error_of):
    data, walls = made("cavity", nx=12, nt=5), Dirichlet("u") & Dirichlet("v")
    assert error_of(DivergenceFree() & walls, data) < 0.7 * error_of(walls, data)
    assert error_of(DivergenceFree(accuracy=2) & walls, data) > 1.5
    assert error_of(DivergenceFree(accuracy=2, tolerance="reference") & walls, data) < 1.0


def test_what_has_no_such_rows_is_refused(made, field_on):
    with pytest.raises(ValueError, match="on an interval"):
        DivergenceFree("u", "u_t").on(made("wave"))
    cells = field_on(
        {"u": lambda t, y, x: x + 0 * t, "v": lambda t, y, x: y + 0 * t},
        {"x": ("cells", 6), "y": ("cells", 6)},
    )
    with pytest.raises(ValueError, match="averages over cells"):
        DivergenceFree().on(cells)
    large = field_on(
        {"u": lambda t, y, x: x + 0 * t, "v": lambda t, y, x: y + 0 * t},
        {"x": ("uniform", 120), "y": ("uniform", 120)},
    )
    with pytest.raises(ValueError, match=r"on 120 × 120 points has .* GiB of rows"):
        DivergenceFree().on(large)
    for wrong in ({"tolerance": -1.0}, {"accuracy": 9}):
        with pytest.raises(ValueError, match="`DivergenceFree` got"):
            DivergenceFree(**wrong)
