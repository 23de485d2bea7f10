"""The residual of the equation is small on what the solver made, at the order of the scheme, and right on known fields."""

import numpy as np
import pytest
import torch

import lawbound as lb
from lawbound.constraints import Conservation, Equation
from lawbound.constraints.applicability import require_possible
from lawbound.constraints.penalty import Penalised, Penalty
from lawbound.datasets.layout import Layout
from lawbound.imposing import imposed
from lawbound.solvers import Cells, Constant, Dirichlet, Neumann, Problem, Walls
from lawbound.specs import in_training
from lawbound.surrogates.surrogate import Given


def state(data):
    return Layout.of(data, ("u",)).state(data)


def share(data, **options):
    """What the data themselves miss, as a share of u_t."""
    (evolution,) = Equation(**options).on(data).evolutions
    return evolution.share(state(data))


@pytest.mark.parametrize("form", ["cells", "integral"])
def test_a_smooth_solution_misses_it_by_the_square_of_the_grid_s_widths(form):
    coarse, fine = (share(lb.generate("diffusion", 2, nx=n, nt=n + 1), form=form) for n in (20, 40))
    assert fine < 0.015 and 3.6 < coarse / fine < 4.4


@pytest.mark.parametrize(
    ("family", "least"),
    [("pme", 4.0), ("advection", 8.0), ("burgers-inviscid", 12.0), ("burgers-periodic", 4.0)],
)
def test_on_one_grid_data_miss_it_the_less_the_more_times_are_stored(family, least):
    """Fluxes in space are the scheme's own, or nearly so: what is left is the trapezoidal rule over a step, second order at best."""
    nx, options = (128, {"times": (0.1, 0.4)}) if family == "burgers-periodic" else (30, {})
    few, many = (share(lb.generate(family, 2, nx=nx, nt=nt, **options)) for nt in (21, 81))
    assert many < 0.05 and few / many > least


@pytest.mark.parametrize(("family", "after"), [("pme", None), ("burgers-inviscid", None), ("stefan", 0.01)])
def test_integrated_it_falls_with_the_grid_even_where_u_jumps(family, after):
    coarse, fine = (share(lb.generate(family, 2, nx=n, nt=n + 1), after=after) for n in (40, 80))
    assert fine < 0.02 and coarse / fine > 1.2


def test_steps_right_after_a_jump_are_no_lines_and_can_be_left_out(stefan):
    assert share(stefan) > 10.0 * share(stefan, after=0.02)
    with pytest.raises(ValueError, match=r"training data themselves miss `pde`.*after=T"):
        Penalised(Equation()).on(lb.generate("stefan", 2, nx=120, nt=121), ("u",))
    with pytest.raises(ValueError, match="no stored step begins then"):
        Equation(after=1.0).on(stefan)


def test_cells_and_their_integral_are_worked_out_by_hand():
    """u = x² − t on [0, 1] with k = 1: u_t = −1, −u_xx = −2, so r = −3; walls prescribe what u is there."""
    n, times = 8, np.array([0.0, 0.5, 2.0])
    edges = np.linspace(0.0, 1.0, n + 1)
    x = 0.5 * (edges[1:] + edges[:-1])
    problem = Problem("x", Constant(1.0), Cells(0.0, 1.0, n), Walls(Neumann(0.0), Neumann(2.0)), x**2, times)
    data = lb.solve(problem)
    for form, expected in (("cells", np.full(n, -3.0)), ("integral", -3.0 * edges[1:])):
        (evolution,) = Equation(form=form).on(data).evolutions
        missed, rate = evolution.both((x**2 - times[:, None])[None])
        np.testing.assert_allclose(missed, np.broadcast_to(expected, missed.shape), atol=1e-12)
        np.testing.assert_allclose(rate, missed / 3.0, atol=1e-12)


def test_the_penalty_is_its_mean_square_in_units_of_u_t_whatever_the_samples(made):
    data = made("burgers-inviscid")
    penalty, u = Penalty.of(Equation(form="cells"), data, weight=2.0), torch.from_numpy(state(data)) * 1.3
    (evolution,) = penalty.admissible.evolutions
    missed, _ = evolution.both(u.numpy())
    _, rate = evolution.both(state(data))
    expected = 2.0 * (missed**2).mean((1, 2)) / (rate**2).mean()
    np.testing.assert_allclose(penalty(u).numpy(), expected, rtol=1e-12)
    picked = torch.tensor([2, 0])
    torch.testing.assert_close(penalty(u[picked], picked), penalty(u)[picked])


def test_a_window_of_times_is_weighed_by_its_own_times(made):
    data = made("advection")
    term = Penalised(Equation(form="cells")).on(data, ("u",))
    u = torch.from_numpy(state(data)) ** 2
    series, tables = term.given
    pairs = [
        term(u[:, i : i + 2], [one[:, i : i + 2] for one in series], tables) for i in range(u.shape[1] - 1)
    ]
    torch.testing.assert_close(torch.stack(pairs).mean(0), term(u, series, tables))


def test_in_single_precision_the_steps_are_not_lost(made):
    data = made("diffusion").assign_coords(t=made("diffusion").t + 100.0)
    penalty, u = Penalty.of(Equation(), data), torch.from_numpy(state(data))
    torch.testing.assert_close(penalty((1.1 * u).float()), penalty(1.1 * u).float(), rtol=1e-2, atol=0.0)


def test_it_goes_in_a_stack_and_as_a_field_among_others(made):
    data = made("diffusion")
    both = Penalty.of(Equation() & Conservation(tolerance="exact"), data)
    u = 1.2 * torch.from_numpy(state(data))
    apart = [Penalty.of(one, data)(u) for one in (Equation(), Conservation(tolerance="exact"))]
    torch.testing.assert_close(both(u), torch.stack(apart).mean(0))
    assert isinstance(both.given, Given) and len(both.admissible.labels) == 2


def test_nothing_but_a_penalty_imposes_it_and_every_door_says_so():
    for how in ("condition", "project", "displace", "auto"):
        with pytest.raises(
            ValueError, match=rf"`{how}` cannot impose evolution, which `pde` has: no solution.*penalty can"
        ):
            imposed(f"pde:{how}")
        with pytest.raises(ValueError, match=f"`{how}` cannot impose evolution"):
            require_possible(Equation() & Conservation(), how)
    with pytest.raises(ValueError, match=r"`operator` imposes linear equalities, which `pde`.*`penalty`"):
        in_training("pde:operator")
    with pytest.raises(ValueError, match=r"`penalty` cannot impose balance.*condition can"):
        in_training("flux-conservation:penalty")
    assert in_training("pde(form=cells):penalty(weight=0.1)") == Penalised(Equation("cells"), 0.1)


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("pme-2d", "about a plane"),
        ("burgers-dirichlet", "points between walls|uneven"),
        ("heat-robin", "uneven|no flux for the x_lo wall, which is robin"),
        ("wave", "points between walls|uneven|tells none"),
    ],
)
def test_families_that_it_cannot_express_are_refused_with_what_they_lack(made, family, said):
    with pytest.raises(ValueError, match=said):
        Equation().on(made(family, nx=16, nt=4))


def test_what_makes_no_sense_is_refused(made):
    data = made("pme")
    for options, said in (
        ({"form": "weak"}, "cells or integral"),
        ({"implicit": 2.0}, "0 to 1"),
        ({"after": np.nan}, "a time"),
    ):
        with pytest.raises(ValueError, match=said):
            Equation(**options)
    untold = data.copy()
    del untold.attrs["lawbound_conductivity"]
    strange = data.assign_attrs(lawbound_flux="cubic")
    with_source = lb.solve(
        Problem(
            "x", Constant(1.0), Cells(0.0, 1.0, 8), Walls(Dirichlet(0.0), Dirichlet(0.0)), np.zeros(8),
            np.array([0.0, 0.1]), source=lambda t, x: 1.0 + 0.0 * x,
        )
    )  # fmt: skip
    for wrong, said in (
        (untold, "the dataset tells none"),
        (strange, "cannot read lawbound_flux='cubic'"),
        (data.assign_attrs(lawbound_conductivity="power q"), "reads its conductivity's parameter from `q`"),
        (data.isel(t=[0]), "two stored times"),
        (with_source, "the dataset tells none"),
    ):
        with pytest.raises(ValueError, match=said):
            Equation().on(wrong)
