"""Displacement: the total exact, nothing new in the profile, each state by itself."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lawbound.constraints import Conservation, enforce
from lawbound.constraints.constraint import Admissible, Constraint
from lawbound.constraints.deformation import refronted, shifted, stretched
from lawbound.constraints.displacement import Displace
from lawbound.constraints.sets import Box, Order, Phases, Rows
from lawbound.datasets.layout import Layout
from lawbound.reproduce import frozen_data
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.prediction import Prediction, from_moments

MAPS = {"stretch": stretched, "shift": shifted}
EPS = np.finfo(float).eps
seeds = st.integers(0, 10_000)


def profiles(seed, count=6, n=17, *, monotone=True):
    """Profiles on uneven cells, and totals that a displacement reaches."""
    g = torch.Generator().manual_seed(seed)
    u = torch.rand(count, n, generator=g, dtype=torch.float64)
    u = u.sort(-1, descending=True).values if monotone else u
    widths = torch.rand(n, generator=g, dtype=torch.float64) + 0.1
    share = 0.01 + 0.98 * torch.rand(count, generator=g, dtype=torch.float64)
    length = widths.sum()
    return u, widths, length * (u[:, -1] + share * (u[:, 0] - u[:, -1]))


def admissible(widths, rhs, **parts):
    n = len(widths)
    rows = Rows(widths.numpy()[None], rhs.numpy()[..., None], np.zeros((*rhs.shape, 1)), ("∫u dx",))
    return Admissible(Layout(("u",), ("x",), (n,)), rows, **parts)


def displace(u, widths, rhs, variance=None, how=None, **parts):
    """Through the enforcement: u (draw, sample, t, n), rhs (sample, t)."""
    covariance = Diagonal(torch.full_like(u, 1e-4) if variance is None else variance)
    return (how or Displace())(u, covariance, admissible(widths, rhs, **parts))


def round_off(u, widths, rhs):
    return 8 * EPS * (u.abs() @ widths + rhs.abs())


@pytest.mark.parametrize("how", MAPS)
@pytest.mark.parametrize("monotone", [True, False])
@given(seed=seeds)
def test_the_total_comes_out_to_round_off(how, monotone, seed):
    u, widths, total = profiles(seed, monotone=monotone)
    found = displace(u[None, :, None], widths, total[:, None], how=Displace(how)).means[0, :, 0]
    assert ((found @ widths - total).abs() <= round_off(found, widths, total)).all()


@pytest.mark.parametrize("how", MAPS)
@given(seed=seeds)
def test_no_value_beyond_the_profile_s_own_range(how, seed):
    u, widths, total = profiles(seed, monotone=False)
    found = displace(u[None, :, None], widths, total[:, None], how=Displace(how)).means[0, :, 0]
    assert (found <= u.amax(-1, keepdim=True)).all() and (found >= u.amin(-1, keepdim=True)).all()


@pytest.mark.parametrize("how", MAPS)
@pytest.mark.parametrize("monotone", [True, False])
@given(seed=seeds)
def test_total_variation_does_not_grow(how, monotone, seed):
    u, widths, total = profiles(seed, monotone=monotone)
    found = displace(u[None, :, None], widths, total[:, None], how=Displace(how)).means[0, :, 0]
    before, after = (v.diff(dim=-1).abs().sum(-1) for v in (u, found))
    assert (after <= before + 1e-13).all()


@pytest.mark.parametrize("how", MAPS)
@given(seed=seeds)
def test_a_falling_profile_stays_falling_exactly_with_the_order_stacked(how, seed):
    u, widths, total = profiles(seed)
    n = u.shape[-1]
    order = Order(np.array([0]), np.array([n]), np.array([-1]), "falls")
    found = displace(u[None, :, None], widths, total[:, None], how=Displace(how), order=order).means
    assert (found.diff(dim=-1) <= 1e-14).all()
    assert ((found[0, :, 0] @ widths - total).abs() <= round_off(found[0, :, 0], widths, total)).all()


@pytest.mark.parametrize("how", MAPS)
@given(seed=seeds, monotone=st.booleans())
def test_a_profile_whose_total_is_right_is_not_touched(how, seed, monotone):
    u, widths, _ = profiles(seed, monotone=monotone)
    right = (u @ widths)[:, None]
    updated = displace(u[None, :, None], widths, right, how=Displace(how))
    assert torch.equal(updated.means[0, :, 0], u) and not updated.multipliers.any()


@pytest.mark.parametrize("how", MAPS)
@given(seed=seeds)
def test_displacing_twice_is_displacing_once(how, seed):
    u, widths, total = profiles(seed)
    once = displace(u[None, :, None], widths, total[:, None], how=Displace(how)).means
    twice = displace(once, widths, total[:, None], how=Displace(how)).means
    torch.testing.assert_close(twice, once, rtol=0, atol=1e-13)


@pytest.mark.parametrize("how", MAPS)
def test_a_batch_is_a_loop(how):
    u, widths, total = profiles(3, monotone=False)
    found = MAPS[how](u, widths, total)
    for i in range(len(u)):
        alone = MAPS[how](u[i], widths, total[i])
        assert torch.equal(alone.values, found.values[i])
        assert torch.equal(alone.parameter, found.parameter[i])


@pytest.mark.parametrize("how", MAPS)
@given(seed=seeds)
def test_the_mirror_of_a_profile_gives_the_mirror(how, seed):
    u, widths, total = profiles(seed)
    there = displace(u[None, :, None], widths, total[:, None], how=Displace(how)).means
    back = displace(u.flip(-1)[None, :, None], widths.flip(-1), total[:, None], how=Displace(how)).means
    torch.testing.assert_close(back.flip(-1), there, rtol=0, atol=1e-14)


@pytest.mark.parametrize("how", MAPS)
@pytest.mark.parametrize("by", [-0.11, 0.07])
def test_a_step_goes_to_where_the_total_puts_it(how, by):
    n, front = 200, 0.4
    faces = torch.linspace(0, 1, n + 1, dtype=torch.float64)

    def step(place):
        return ((place - faces[:-1]) * n).clamp(0.0, 1.0)

    total = torch.tensor(front + by, dtype=torch.float64)
    found = MAPS[how](step(front), torch.full((n,), 1 / n, dtype=torch.float64), total)
    torch.testing.assert_close(found.values, step(front + by), rtol=0, atol=1e-12)
    wanted = by if how == "shift" else by / front
    assert float(found.parameter) == pytest.approx(wanted, rel=1e-12)


@given(seed=seeds)
def test_stretching_is_a_change_of_coordinates(seed):
    # Averages of u(x / s) against a fine sum.
    u, widths, total = profiles(seed, count=1, n=6)
    found = stretched(u, widths, total)
    s = 1.0 + float(found.parameter[0])
    faces = np.append(0.0, np.cumsum(widths.numpy()))
    for i in range(6):
        x = np.linspace(faces[i], faces[i + 1], 4001)
        x = 0.5 * (x[1:] + x[:-1])
        cell = np.clip(np.searchsorted(faces, x / s, side="right") - 1, 0, 5)
        assert float(found.values[0, i]) == pytest.approx(u[0].numpy()[cell].mean(), abs=2e-3)


@pytest.mark.parametrize("how", MAPS)
def test_gradients_are_those_of_finite_differences(how):
    u, widths, total = profiles(11, count=2, n=7)
    u.requires_grad_()
    total.requires_grad_()
    assert torch.autograd.gradcheck(lambda v, b: MAPS[how](v, widths, b).values, (u, total), eps=1e-7)


def test_bounds_are_honoured_first_and_kept():
    u, widths, total = profiles(5, monotone=False)
    total = 0.5 * widths.sum().expand(len(u))
    low, high = np.full((len(u), 1, u.shape[-1]), 0.3), np.full((len(u), 1, u.shape[-1]), 0.7)
    order = Order(np.array([0]), np.array([u.shape[-1]]), np.array([-1]), "falls")
    box = Box(low, high, "bounds")
    u[:, 0], u[:, -1] = 1.2, -0.2
    found = displace(u[None, :, None], widths, total[:, None], box=box, order=order)
    values = found.means[0, :, 0]
    assert (values >= 0.3).all() and (values <= 0.7).all()
    assert ((values @ widths - total).abs() <= round_off(values, widths, total)).all()


def test_a_fixed_value_at_the_wall_is_kept():
    u, widths, total = profiles(6)
    low, high = np.full((len(u), 1, u.shape[-1]), -np.inf), np.full((len(u), 1, u.shape[-1]), np.inf)
    low[..., 0] = high[..., 0] = 1.5
    found = displace(u[None, :, None], widths, total[:, None], box=Box(low, high, "wall")).means[0, :, 0]
    assert (found[:, 0] == 1.5).all()
    assert ((found @ widths - total).abs() <= round_off(found, widths, total)).all()


@pytest.mark.parametrize("how", MAPS)
def test_every_sample_obeys_and_the_spread_is_that_of_the_samples(how):
    data = frozen_data("stefan").isel(sample=slice(48, 52))
    lawful = enforce(from_moments(data), Conservation(tolerance="exact"), Displace(how)).prediction
    fields = lawful.sample(400, seed=1)
    rhs = torch.from_numpy(data.law_conservation_rhs.values)
    weights = torch.from_numpy(data.x_weights.values)
    assert ((fields @ weights - rhs).abs() <= 1e-14).all()
    spread = ((fields - lawful.mean) ** 2).mean(0).sqrt()
    torch.testing.assert_close(spread.mean(), lawful.std.mean(), rtol=0.1, atol=0)


class _Total(Constraint):
    """A total that nothing reaches, or rows that are none."""

    def __init__(self, weights, rhs):
        self._weights, self._rhs = weights, rhs

    @property
    def name(self):
        return "total"

    @property
    def inputs(self):
        return ()

    def rows(self, data):
        rhs = np.broadcast_to(self._rhs, (data.sizes["sample"], data.sizes["t"], 1)).copy()
        return Rows(self._weights[None], rhs, np.zeros_like(rhs), ("total",))


def test_a_total_out_of_reach_is_named_with_sample_and_time_or_met_by_the_nearest_state():
    data = frozen_data("stefan").isel(sample=[7, 60])
    law = _Total(data.x_weights.values, 1.4)
    free = from_moments(data)
    with pytest.raises(ValueError, match=r"sample 7 at t=0\.05 by moving the profile: it reaches"):
        enforce(free, law, "displace")
    report = enforce(free, law, Displace(otherwise="nearest")).report
    assert np.abs(report.residual_after).max() < 1e-14


def test_rows_that_are_not_totals_are_refused_with_the_way_out():
    data = frozen_data("stefan").isel(sample=[0])
    slope = np.zeros(data.sizes["x"])
    slope[:2] = -1.0, 1.0
    with pytest.raises(ValueError, match="Use `condition` or `project`"):
        enforce(from_moments(data), _Total(slope, 0.0), "displace")


def test_unknown_words_are_refused():
    with pytest.raises(ValueError, match="how='twist'"):
        Displace("twist")


def test_a_displaced_prediction_is_not_conditioned_again_in_silence():
    data = frozen_data("stefan").isel(sample=[0])
    once = enforce(from_moments(data), Conservation(), "displace").prediction
    with pytest.raises(ValueError, match="known by its samples only"):
        enforce(once, Conservation(), "condition")


def test_each_row_displaces_its_own_stretch():
    u, widths, _ = profiles(8, count=2, n=10)
    both = torch.cat([u, u.flip(-1)], dim=-1)
    left, right = (torch.cat(pair) for pair in ((widths, 0 * widths), (0 * widths, widths.flip(-1))))
    weights = torch.stack([left, right])
    rhs = (both @ weights.T + torch.tensor([0.01, -0.01], dtype=torch.float64))[:, None]
    rows = Rows(weights.numpy(), rhs.numpy(), np.zeros(rhs.shape), ("left", "right"))
    states = both[None, :, None]
    found = Displace(wall="higher")(
        states, Diagonal(torch.ones_like(states)), Admissible(Layout(("u", "v"), ("x",), (10,)), rows)
    )
    assert (found.means @ weights.T - rhs).abs().max() < 1e-14
    assert (found.multipliers[0, :, 0, 0] > 0).all() and (found.multipliers[0, :, 0, 1] < 0).all()


def test_predictions_of_several_draws_are_displaced_draw_by_draw():
    data = frozen_data("stefan", draws=True).isel(realization=slice(0, 5), sample=[0, 4])
    free = from_moments(data)
    lawful = enforce(free, Conservation(tolerance="exact"), "displace").prediction
    one = Prediction(free.means[3:4], free.covariance.take(torch.tensor([3])), free.inputs)
    alone = Displace(wall="lo")(one.means, one.covariance, Conservation(tolerance="exact").on(free.inputs))
    torch.testing.assert_close(lawful.means[3], alone.means[0], rtol=0, atol=1e-14)


def two_phases(shape, *, level=0.5, lower=0.0, upper=0.95, mixed=True):
    return Phases(*(np.full(shape, value) for value in (level, lower, upper)), mixed, "two phases")


@given(seed=seeds, smeared=st.booleans())
def test_two_phases_have_one_front_where_the_total_puts_it(seed, smeared):
    u, widths, _ = profiles(seed, monotone=smeared)
    total = widths.sum() * torch.linspace(0.02, 0.45, len(u), dtype=torch.float64)
    phases = two_phases((len(u), 1))
    found = displace(u[None, :, None], widths, total[:, None], phases=phases).means
    assert phases.violation(found[0].numpy()).max() <= 1e-15
    assert ((found[0, :, 0] @ widths - total).abs() <= round_off(found[0, :, 0], widths, total)).all()
    again = displace(found, widths, total[:, None], phases=phases).means
    assert torch.equal(again, found)


@pytest.mark.parametrize("late", [-0.08, 0.0, 0.08])
def test_a_smeared_linear_profile_gets_its_front_back_exactly(late):
    # u falls from 1 to u* = 0.6 at 0.3; a network smears the jump over 0.1 and has it in the wrong place.
    n, front = 200, 0.3
    faces = torch.linspace(0, 1, n + 1, dtype=torch.float64)
    x = 0.5 * (faces[1:] + faces[:-1])
    wide = torch.full((n,), 1 / n, dtype=torch.float64)
    smeared = torch.minimum(1.0 - 0.4 * x / front, (0.9 * (front + 0.05 + late - x) / 0.1).clamp_min(0.0))
    level, zero, one = (torch.tensor(a, dtype=torch.float64) for a in (0.6, 0.0, 1.0))
    total = torch.tensor(0.8 * front, dtype=torch.float64)
    found = refronted(smeared, wide, total, level, zero, one, 0.5)
    exact = torch.where(x < front, 1.0 - 0.4 * x / front, 0.0)
    torch.testing.assert_close(found.values, exact, rtol=0, atol=1e-12)


def test_the_front_leaves_with_the_total_and_is_at_the_wall_without_one():
    u, widths, _ = profiles(4, count=1)
    some = displace(
        u[None, :, None], widths, torch.zeros(1, 1, dtype=torch.float64), phases=two_phases((1, 1))
    )
    assert not some.means.any()
    with pytest.raises(ValueError, match="moving the profile there reaches"):
        displace(u[None, :, None], widths, widths.sum()[None, None], phases=two_phases((1, 1)))


def test_two_phases_without_a_mixed_cell_are_refused():
    u, widths, _ = profiles(4, count=1)
    with pytest.raises(ValueError, match="mixed_cell=True"):
        displace(u[None, :, None], widths, torch.ones(1, 1), phases=two_phases((1, 1), mixed=False))
