"""What enforcement promises of means, covariances and samples together, over every structure of covariance."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lawbound.constraints import Condition, Conservation, Project, enforce
from lawbound.constraints.applicability import TABLE, entries, promised
from lawbound.constraints.bounds import Bounds
from lawbound.constraints.conservation import Conservation as Total
from lawbound.constraints.constraint import Admissible
from lawbound.constraints.penalty import Penalty
from lawbound.constraints.sets import Box, Order, Phases, Rows
from lawbound.constraints.shape import TotalVariation, TwoPhase
from lawbound.datasets.layout import Layout
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.dense import Dense
from lawbound.surrogates.kalman import MarkovTimes
from lawbound.surrogates.low_rank import DiagonalLowRank
from lawbound.surrogates.prediction import Prediction

D = torch.float64
T, N, Q = 3, 8, 2
SHAPE = (1, 2, T, N)


def rand(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)


def dense(seed):
    root = rand(seed, *SHAPE[:-1], N, N + 2) - 0.5
    return Dense(root @ root.mT)


COVARIANCES = {
    "diagonal": lambda s: Diagonal(0.02 + rand(s, *SHAPE) ** 2),
    "factors": lambda s: DiagonalLowRank(0.02 + rand(s, *SHAPE) ** 2, rand(s + 1, *SHAPE, 2) - 0.5),
    "coupled factors": lambda s: DiagonalLowRank(0.02 + rand(s, *SHAPE), rand(s + 1, *SHAPE, 2) - 0.5, True),
    "markov": lambda s: MarkovTimes(0.02 + rand(s, *SHAPE), 0.9 * rand(s + 1, 1, 2, T - 1, N)),
    "dense": dense,
}
HOWS = {"condition": Condition(), "project": Project()}
every = pytest.mark.parametrize("kind", COVARIANCES)
both = pytest.mark.parametrize("how", HOWS)


def trial(seed, kind):
    means, covariance = 2 * rand(seed, *SHAPE) - 0.5, COVARIANCES[kind](seed + 10)
    weights = np.vstack([np.full(N, 1.0 / N), rand(seed + 20, N).numpy()])
    rows = Rows(weights, rand(seed + 30, 2, T, Q).numpy(), np.zeros((2, T, Q)), ("mass", "moment"))
    return means, covariance, Admissible(Layout(("u",), ("x",), (N,)), rows)


def full(covariance):
    """Σ over (t, n), (..., T N, T N)."""
    eye = torch.eye(N, dtype=D)
    blocks = covariance.gram(eye, eye)
    if covariance.couples_times:
        return blocks.squeeze(-3)
    out = torch.zeros(*SHAPE[:2], T, N, T, N, dtype=D)
    for t in range(T):
        out[..., t, :, t, :] = blocks[..., t, :, :]
    return out.reshape(*SHAPE[:2], T * N, T * N)


def over_times(weights):
    return torch.block_diag(*[torch.from_numpy(weights)] * T)


@every
@both
def test_the_covariance_left_is_the_projected_one_psd_and_null_on_the_rows(kind, how):
    means, covariance, admissible = trial(0, kind)
    updated = HOWS[how](means, covariance, admissible)
    g, sigma = over_times(admissible.rows.weights), full(covariance)
    if how == "condition":
        gain = sigma @ g.T @ torch.linalg.inv(g @ sigma @ g.T)
    else:
        gain = g.T @ torch.linalg.inv(g @ g.T)
    keep = torch.eye(T * N, dtype=D) - gain @ g
    wanted = keep @ sigma @ keep.mT
    left = full(updated.covariance)
    torch.testing.assert_close(left, wanted, rtol=0, atol=1e-11)
    torch.testing.assert_close(
        updated.covariance.variance().flatten(2), torch.diagonal(left, dim1=-2, dim2=-1), rtol=0, atol=1e-11
    )
    assert (g @ left).abs().max() < 1e-11
    eigenvalues = torch.linalg.eigvalsh(0.5 * (left + left.mT))
    assert eigenvalues.min() > -1e-11
    assert ((eigenvalues > 1e-9).sum(-1) == T * (N - Q)).all()
    # The mean by the same dense algebra.
    b = torch.from_numpy(admissible.rows.rhs).flatten(1)
    flat = means.flatten(2)
    moved = flat - ((flat @ g.T - b).unsqueeze(-2) @ gain.mT).squeeze(-2)
    torch.testing.assert_close(updated.means.flatten(2), moved, rtol=0, atol=1e-11)


@every
def test_conditioning_never_widens_a_direction_let_alone_a_point(kind):
    means, covariance, admissible = trial(1, kind)
    updated = Condition()(means, covariance, admissible)
    assert (updated.covariance.variance() <= covariance.variance() * (1 + 1e-12)).all()
    assert torch.linalg.eigvalsh(full(covariance) - full(updated.covariance)).min() > -1e-11


def test_an_orthogonal_projection_may_widen_a_point_that_was_sure():
    means, _, admissible = trial(2, "diagonal")
    d = torch.full(SHAPE, 1.0, dtype=D)
    d[..., 0] = 1e-4
    updated = Project()(means, Diagonal(d), admissible)
    assert (updated.covariance.variance()[..., 0] > 10 * d[..., 0]).all()
    assert "variance" not in promised(admissible, "project") and "variance" in promised(
        admissible, "condition"
    )


@every
@both
def test_every_sample_obeys_and_samples_have_the_covariance_s_moments(kind, how):
    means, covariance, admissible = trial(3, kind)
    updated = HOWS[how](means, covariance, admissible)
    many = updated.covariance.take(torch.zeros(4000, dtype=torch.long)).sample(
        torch.Generator().manual_seed(0)
    )
    off = (many + updated.means) @ torch.from_numpy(admissible.rows.weights).T
    assert (off - torch.from_numpy(admissible.rows.rhs)).abs().max() < 1e-12
    for sample in range(2):
        found = torch.from_numpy(np.cov(many[:, sample].flatten(1).T.numpy()))
        wanted = full(updated.covariance)[0, sample]
        scale = torch.outer(torch.diagonal(wanted), torch.diagonal(wanted)).clamp_min(0.0).sqrt()
        assert ((found - wanted).abs() <= 0.09 * scale + 1e-12).all()


@every
def test_any_linear_change_of_the_state_carries_the_update_along(kind):
    # z → M z, G → G M⁻¹, Σ → M Σ Mᵀ.
    means, covariance, admissible = trial(4, kind)
    change = torch.eye(N, dtype=D) + 0.3 * (rand(5, N, N) - 0.5)
    wide = torch.block_diag(*[change] * T)
    rows = admissible.rows
    other = Rows(
        (torch.from_numpy(rows.weights) @ torch.linalg.inv(change)).numpy(),
        rows.rhs,
        rows.tolerance,
        rows.labels,
    )
    plain = Condition()(means, covariance, admissible)
    carried = Condition()(
        means @ change.T, Dense(wide @ full(covariance) @ wide.T, T), Admissible(admissible.layout, other)
    )
    torch.testing.assert_close(carried.means, plain.means @ change.T, rtol=0, atol=1e-10)
    torch.testing.assert_close(
        full(carried.covariance), wide @ full(plain.covariance) @ wide.T, rtol=0, atol=1e-10
    )


def given(data, seed=0, draws=2):
    u = torch.from_numpy(data.u.values.astype(np.float64)).expand(draws, -1, -1, -1)
    spread = 0.02 + 0.1 * rand(seed, *u.shape)
    noise = torch.randn(u.shape, generator=torch.Generator().manual_seed(seed), dtype=D)
    return Prediction(u + spread * noise, Diagonal(spread**2), data)


@both
def test_a_and_b_is_b_and_a_is_both_at_once(stefan_test, how):
    a, b = Conservation(), Bounds(0.0, 1.0)
    one, other = (enforce(given(stefan_test), law, HOWS[how]).prediction for law in (a & b, b & a))
    torch.testing.assert_close(one.means, other.means, rtol=0, atol=1e-14)
    assert torch.equal(one.sample(3, seed=1), other.sample(3, seed=1))
    # Chaining is not stacking: bounds after the total break the total.
    chained = enforce(enforce(given(stefan_test), a, HOWS[how]).prediction, b, HOWS[how]).prediction
    total = chained.means @ torch.from_numpy(stefan_test.x_weights.values)
    assert (total - torch.from_numpy(stefan_test.law_conservation_rhs.values)).abs().max() > 1e-4


def test_the_spread_of_samples_onto_a_convex_set_does_not_grow_in_the_metric(stefan_test):
    before = given(stefan_test, draws=1)
    after = enforce(before, Conservation() & Bounds(0.0, 1.0)).prediction
    metric = before.covariance.values
    moved = after.covariance.variance() / metric
    assert (moved.sum(-1) <= metric.shape[-1] * 1.3).all()  # from 64 samples


def test_a_tolerance_leaves_a_share_and_a_projection_takes_it_all(stefan_test):
    law = Total(tolerance=0.05)
    soft = enforce(given(stefan_test), law).report
    hard = enforce(given(stefan_test), law, "project").report
    assert np.abs(soft.residual_after).max() > 1e-3
    assert np.abs(hard.residual_after).max() < 1e-13
    assert "exact" not in promised(law.on(stefan_test), "condition")
    assert "exact" in promised(law.on(stefan_test), "project")


@pytest.mark.parametrize("shape", ["rows", "box", "order"])
def test_a_projection_that_honours_tolerances_is_the_nearest_within_them(shape):
    # Against one that is given the same set as inequalities, the tolerance being twice what most rows are off by or half.
    means, covariance, plain = trial(7, "diagonal")
    lawful = torch.sort(rand(8, 2, T, N)).values.numpy()
    plain = replace(plain, rows=replace(plain.rows, rhs=lawful @ plain.rows.weights.T))
    gap = np.abs(plain.residual(means[0].numpy()))
    width = gap * np.where(np.arange(T)[:, None] % 2, 2.0, 0.5)
    rows = Rows(plain.rows.weights, plain.rows.rhs, width, plain.rows.labels)
    chain, whole = (np.array([0]), np.array([N])), (2, T, N)
    extra = {
        "rows": {},
        "box": {"box": Box(np.full(whole, -0.4), np.full(whole, 1.3), "box")},
        "order": {"order": Order(*chain, np.array([1]), "rising")},
    }[shape]
    admissible = Admissible(plain.layout, rows, **extra)
    honoured = Project(tolerance="honoured")
    updated = honoured(means, covariance, admissible)
    found = updated.means[0].numpy()
    slack = np.abs(admissible.residual(found)[..., :Q]) - width
    assert slack.max() < 1e-12
    assert np.abs(admissible.residual(found)[..., Q:]).max(initial=0.0) < 1e-9
    twice = honoured(updated.means, covariance, admissible).means[0].numpy()
    np.testing.assert_allclose(twice, found, atol=1e-9)
    drawn = (updated.means + updated.covariance.sample(torch.Generator().manual_seed(0)))[0].numpy()
    assert (np.abs(admissible.residual(drawn)[..., :Q]) - width).max() < 1e-11
    if shape == "rows":
        assert (np.abs(found - means[0].numpy())[:, 1] < 1e-14).all()  # within it already
    # Nothing lawful lies on the near side: ⟨m − T m, v − T m⟩ ≤ 0.
    for seed in range(8):
        v = honoured(means + 0.5 * rand(seed, *SHAPE) - 0.25, covariance, admissible).means
        inner = ((means - updated.means) * (v - updated.means)).sum(-1)
        assert inner.max() < 1e-8


def test_a_projection_says_what_it_does_with_tolerances(stefan_test):
    law = Total(tolerance=0.05)
    within = enforce(given(stefan_test, draws=1), law, Project(tolerance="honoured")).report
    before, after = (np.abs(a) for a in (within.residual_before, within.residual_after))
    assert (after <= 0.05 + 1e-12).all() and (within.moved[..., None][before < 0.05] == 0.0).all()
    with pytest.raises(ValueError, match="`ignored` or `honoured`"):
        Project(tolerance="soft")
    for shape in (TotalVariation(), TwoPhase(lower=0.0, upper=1.0)):
        with pytest.raises(ValueError, match="is for rows, bounds and orders"):
            enforce(given(stefan_test, draws=1), law & shape, Project(tolerance="honoured"))


def test_a_penalty_is_a_wish(stefan_test):
    law = Conservation()
    assert "exact" not in promised(law.on(stefan_test), "penalty")
    assert Penalty.of(law, stefan_test)(given(stefan_test).means[0]).min() > 0.0


def test_the_table_refuses_what_does_not_go_together():
    shape = (1, 1)
    phases = Phases(np.full(shape, 0.5), np.zeros(shape), np.ones(shape), True, "phases")
    alone = Admissible(Layout(("u",), ("x",), (N,)), phases=phases)
    with pytest.raises(
        ValueError,
        match=r"`penalty` cannot impose phases, which this constraint has: two phases have no slope.*condition, project, displace, auto can",
    ):
        promised(alone, "penalty")
    box = Box(np.zeros((1, 1, N)), np.ones((1, 1, N)), "box")
    both_ = Admissible(alone.layout, box=box, phases=phases)
    assert promised(both_, "condition") == {"exact", "idempotent", "kept", "nearest"}


def test_every_line_of_the_table_is_looked_at_by_a_test():
    # The cases of test_projection.py (the kernel) and test_applicability.py (the enforcements) go by metric and by line.
    seen = {"own", "diagonal", "factors", "identity", "none"}
    assert {metric for entry in TABLE for metric in entry.metrics} <= seen
    assert {entry.enforcement for entry in TABLE} == {"condition", "project", "displace", "auto", "penalty"}
    assert len({(entry.part, entry.enforcement) for entry in TABLE}) == len(TABLE)
    assert all(entries(entry.enforcement, entry.part) == (entry,) for entry in TABLE)
