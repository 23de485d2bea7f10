"""What must hold of the nearest lawful state, for every set of parts and metric that the table names."""

import itertools
import resource
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from lawbound.constraints import rounds
from lawbound.constraints.admissible import nearest_admissible
from lawbound.constraints.applicability import APART, entries, parts, promised
from lawbound.constraints.constraint import Admissible
from lawbound.constraints.newton import _first as _first_duals
from lawbound.constraints.newton import multipliers
from lawbound.constraints.piecewise import Problem
from lawbound.constraints.projection import Equalities, InfeasibleError, Limits, nearest
from lawbound.constraints.sets import Box, Curved, Order, Phases, Rows, Variation
from lawbound.constraints.target import Target
from lawbound.datasets.layout import Layout

D = torch.float64
EPS = 2.0**-52
T, S, N = 3, 2, 9  # times, samples, points
SEEDS = range(2)
SHAPES = ("box", "order", "variation", "phases", "curved")
STACKS = [
    stack
    for count in range(3)
    for stack in itertools.combinations(SHAPES, count)
    if not any(pair <= set(stack) for pair in APART)
]
# Rows with shapes, and every shape alone; two phases with everything is one place of the front or none.
SETS = [("rows", *stack) for stack in STACKS] + [(shape,) for shape in SHAPES]
METRICS = ("identity", "diagonal", "factors")
CASES = [
    (names, metric)
    for names in SETS
    for metric in METRICS
    # A search within a search within linearisations takes seconds; it has a test of its own.
    if not {"variation", "curved"} <= set(names)
    and (
        metric == "diagonal"
        or len(names) < 3
        or (metric == "factors" and not {"variation", "curved"} & {*names})
    )
]


def rand(g, *shape):
    return torch.rand(*shape, generator=g, dtype=D)


class Trial:
    """A random set of the given parts around a lawful state, and a metric."""

    def __init__(self, names, metric, seed, n=N):
        g = self.g = torch.Generator().manual_seed(1000 * seed + len(names))
        phases = "phases" in names
        x = torch.sort(rand(g, S, T, n), descending=True).values
        if phases:  # one mixed cell, all behind it above the level
            front = torch.randint(2, n - 2, (S, T, 1), generator=g)
            at = torch.arange(n)
            x = torch.where(at < front, 0.5 + 0.5 * x, torch.where(at == front, 0.3, 0.0)).to(D)
        self.lawful = x
        # A chain that all variation and order runs along; a second row that nothing but chance gives.
        weights = torch.full((1, n), 1.0 / n, dtype=D)
        if not phases:
            weights = torch.cat([weights, rand(g, 1, n) - 0.3])
        chain = np.array([0]), np.array([n])
        whole = (S, T, n)
        made = {
            "rows": lambda: Rows(
                weights.numpy(), (x @ weights.T).numpy(), np.zeros((S, T, len(weights))),
                ("mass", "moment")[: len(weights)],
            ),
            "box": lambda: Box(np.zeros(whole), np.ones(whole), "0 ≤ u ≤ 1"),
            "order": lambda: Order(*chain, np.array([-1]), "falling"),
            "variation": lambda: Variation(*chain, np.asarray(x.diff().abs().sum(-1) + 0.01), "variation"),
            "phases": lambda: Phases(np.full((S, T), 0.5), np.zeros((S, T)), np.ones((S, T)), True, "phases"),
            "curved": lambda: (
                Curved(lambda u: u.square().mean(-1, keepdim=True), x.square().mean(-1, keepdim=True).numpy(), ("energy",)),
            ),
        }  # fmt: skip
        self.admissible = Admissible(Layout(("u",), ("x",), (n,)), **{name: made[name]() for name in names})
        self.target = Target.of(self.admissible, torch.device("cpu"))
        self.d = torch.ones(S, T, n, dtype=D) if metric == "identity" else 0.02 + rand(g, S, T, n) ** 2
        self.u = rand(g, S, T, n, 2) - 0.5 if metric == "factors" else None
        # Curved sets are projected on from nearby: far away there may be several stationary points.
        self.spread = 0.05 if "curved" in names else 0.5

    def states(self):
        return self.lawful + self.spread * torch.randn(self.lawful.shape, generator=self.g, dtype=D)

    def moved(self, z):
        return nearest_admissible(z, self.d, self.target, self.u).values

    def inner(self, a, b):
        """aᵀ Σ⁻¹ b."""
        sigma = torch.diag_embed(self.d)
        if self.u is not None:
            sigma = sigma + self.u @ self.u.mT
        return (a * torch.linalg.solve(sigma, b)).sum(-1)

    def loose(self):
        """What a search or a series of linearisations leaves beyond round-off."""
        return 1e-9 if self.admissible.variation or self.admissible.curved else 1e-13


def promise(names, metric, seed=0):
    how = "project" if metric == "identity" else "condition"
    trial = Trial(names, metric, seed)
    assert all(
        any(metric in entry.metrics for entry in entries(how, part)) for part in parts(trial.admissible)
    )
    return promised(trial.admissible, how)


def cases(wanted, but=()):
    """The cases of which the table promises this, without those that have one of some parts."""
    chosen = [case for case in CASES if wanted in promise(*case) and not {*but} & {*case[0]}]
    return pytest.mark.parametrize(
        ("names", "metric"), chosen, ids=["&".join(names) + "-" + metric for names, metric in chosen]
    )


def seeds(names):
    """One for sets that take a search."""
    return SEEDS[:1] if "variation" in names else SEEDS


def assert_lawful(trial, u):
    admissible = trial.admissible
    if admissible.rows is not None:
        weights = torch.from_numpy(admissible.rows.weights)
        rhs = torch.from_numpy(admissible.rows.rhs)
        allowed = 8 * EPS * (u.abs() @ weights.abs().T + rhs.abs())
        assert ((u @ weights.T - rhs).abs() <= allowed).all()
    if admissible.box is not None:
        assert admissible.box.violation(u.numpy()).max() == 0.0
    others = np.abs(replace(admissible, rows=None).residual(u.numpy()))
    assert others.max(initial=0.0) <= 1e-11


@cases("exact")
def test_rows_hold_to_eight_units_of_round_off_and_shapes_hold(names, metric):
    for seed in SEEDS:
        trial = Trial(names, metric, seed)
        assert_lawful(trial, trial.moved(trial.states()))


def test_a_limit_on_variation_and_a_curved_equality_hold_together():
    trial = Trial(("rows", "variation", "curved"), "diagonal", 0)
    trial.target = Target.of(_first(trial.admissible), torch.device("cpu"))
    trial.d = trial.d[:1, :1]
    moved = trial.moved(trial.states()[:1, :1])
    trial.admissible = _first(trial.admissible)
    assert_lawful(trial, moved)


@cases("idempotent")
def test_twice_is_once(names, metric):
    for seed in SEEDS:
        trial = Trial(names, metric, seed)
        once = trial.moved(trial.states())
        assert (trial.moved(once) - once).abs().max() <= max(50 * EPS * 3.0, trial.loose())


@cases("kept")
def test_a_lawful_state_is_left_alone(names, metric):
    trial = Trial(names, metric, 0)
    assert (trial.moved(trial.lawful) - trial.lawful).abs().max() <= max(50 * EPS, trial.loose())


@cases("contracts")
def test_no_lawful_state_lies_on_the_near_side(names, metric):
    # ⟨z − T z, v − T z⟩ ≤ 0 for all lawful v says that T z is the nearest, for a convex set.
    for seed in seeds(names):
        trial = Trial(names, metric, seed)
        z = trial.states()
        near = trial.moved(z)
        for v in (trial.lawful, trial.moved(trial.states()), trial.moved(trial.states())):
            scale = trial.inner(z - near, z - near).sqrt() * trial.inner(v - near, v - near).sqrt()
            assert (trial.inner(z - near, v - near) <= 1e-8 * scale + 1e-9).all()


@cases("contracts")
def test_states_never_move_apart_and_never_away_from_a_lawful_truth(names, metric):
    for seed in seeds(names):
        trial = Trial(names, metric, seed)
        x, y = trial.states(), trial.states()
        a, b = trial.moved(x), trial.moved(y)
        assert (trial.inner(a - b, a - b) <= trial.inner(a - b, x - y) + 1e-8).all()
        off, was = a - trial.lawful, x - trial.lawful
        gone = trial.inner(x - a, x - a)
        assert (trial.inner(off, off) + gone <= trial.inner(was, was) * (1 + 1e-8) + 1e-9).all()


@cases("nearest")
def test_an_independent_solver_finds_nothing_nearer(names, metric):
    if "phases" in names and "order" in names:
        return  # one more place of the front for each chain: the case without order says it
    trial = Trial(names, metric, 5)
    z = trial.states()[:1, :1]
    trial.target = Target.of(_first(trial.admissible), torch.device("cpu"))
    trial.d, trial.u = trial.d[:1, :1], None if trial.u is None else trial.u[:1, :1]
    mine = trial.moved(z)
    sigma = torch.diag_embed(trial.d)[0, 0].numpy()
    if trial.u is not None:
        sigma = sigma + (trial.u @ trial.u.mT)[0, 0].numpy()
    least = min(
        _least(_first(trial.admissible), z[0, 0].numpy(), sigma, trial.lawful[0, 0].numpy(), box)
        for box in _boxes(_first(trial.admissible))
    )
    assert float(trial.inner(z - mine, z - mine).item()) <= least * (1 + 1e-6) + 1e-9


def _first(admissible):
    """The set of the first sample and time."""

    def cut(part):
        if part is None or isinstance(part, Order):
            return part
        names = ("rhs", "tolerance", "lower", "upper", "level", "most")
        return replace(part, **{k: getattr(part, k)[:1, :1] for k in names if hasattr(part, k)})

    parts_ = ("rows", "box", "order", "phases", "variation")
    curved = tuple(cut(part) for part in admissible.curved)
    return replace(admissible, curved=curved, **{name: cut(getattr(admissible, name)) for name in parts_})


def _boxes(admissible):
    """Every box that two phases allow; the set's own otherwise."""
    lower, upper = np.full(N, -np.inf), np.full(N, np.inf)
    if admissible.box is not None:
        lower, upper = admissible.box.lower[0, 0], admissible.box.upper[0, 0]
    if admissible.phases is None:
        return [(lower, upper)]
    at = np.arange(N)
    return [
        (
            np.maximum(lower, np.where(at < front, 0.5, 0.0)),
            np.minimum(upper, np.where(at < front, 1.0, np.where(at > front, 0.0, 0.5))),
        )
        for front in range(N)
    ]


def _least(admissible, z, sigma, start, box):
    """The least distance² by SLSQP over u and, for total variation, the sizes of its steps; ∞ if there is none."""
    precision = np.linalg.inv(sigma)
    steps = np.diff(np.eye(N), axis=0)
    limited = admissible.variation is not None
    extra = N - 1 if limited else 0
    pad = np.zeros((N - 1, extra))
    linear = []
    if admissible.rows is not None:
        weights = np.hstack([admissible.rows.weights, np.zeros((len(admissible.rows.weights), extra))])
        linear.append(("eq", weights, admissible.rows.rhs[0, 0]))
    if admissible.order is not None:
        linear.append(("ineq", np.hstack([-steps, pad]), np.zeros(N - 1)))
    if limited:
        eye = np.eye(N - 1)
        linear += [("ineq", np.hstack([s * steps, eye]), np.zeros(N - 1)) for s in (-1.0, 1.0)]
        most = np.r_[np.zeros(N), -np.ones(extra)][None]
        linear.append(("ineq", most, -admissible.variation.most[0]))
    constraints = [
        {"type": kind, "fun": lambda v, a=a, b=b: a @ v - b, "jac": lambda v, a=a: a} for kind, a, b in linear
    ]
    begin = np.r_[np.clip(start, *box), np.abs(np.diff(start)) if limited else []]
    found = minimize(
        lambda v: (v[:N] - z) @ precision @ (v[:N] - z),
        begin,
        jac=lambda v: np.r_[2 * precision @ (v[:N] - z), np.zeros(extra)],
        bounds=[*zip(*box, strict=True), *[(0.0, None)] * extra],
        constraints=constraints,
        method="SLSQP",
        options={"maxiter": 2000, "ftol": 1e-15},
    )
    gaps = [
        np.abs(a @ found.x - b).max() if kind == "eq" else np.maximum(b - a @ found.x, 0.0).max()
        for kind, a, b in linear
    ]
    return found.fun if max(gaps, default=0.0) < 1e-8 else np.inf


@cases("gradient")
def test_the_derivative_at_a_lawful_state_inside_is_the_projection_of_rows(names, metric):
    # Where no bound holds, T is z − Σ Gᵀ (G Σ Gᵀ)⁻¹ (G z − b); its derivative is that projector, not zero.
    if "rows" not in names:
        return
    trial = Trial(names, metric, 1)
    z = trial.lawful.clone().requires_grad_()
    if trial.admissible.box is not None and not bool(((z > 0) & (z < 1)).all()):
        pytest.fail("the trial's lawful state should lie inside")
    seen = torch.randn(z.shape, generator=trial.g, dtype=D)
    (gradient,) = torch.autograd.grad((trial.moved(z) * seen).sum(), z)
    sigma = torch.diag_embed(trial.d)
    if trial.u is not None:
        sigma = sigma + trial.u @ trial.u.mT
    weights = torch.from_numpy(trial.admissible.rows.weights)
    gain = sigma @ weights.T @ torch.linalg.inv(weights @ sigma @ weights.T)
    projector = torch.eye(N, dtype=D) - gain @ weights
    torch.testing.assert_close(gradient, (projector.mT @ seen.unsqueeze(-1)).squeeze(-1), rtol=0, atol=1e-9)


@cases("gradient")
def test_derivatives_in_state_metric_and_right_hand_side_are_those_of_differences(names, metric):
    trial = Trial(names, metric, 2)
    z = trial.states()[:1, :2]
    limits = trial.target.limits
    if limits.lower is not None:
        limits = replace(limits, lower=limits.lower[:1, :2], upper=limits.upper[:1, :2])
    given = [z, trial.d[:1, :2], trial.target.rows and trial.target.rows.rhs[:1, :2]]
    given.append(None if trial.u is None else trial.u[:1, :2])

    def moved(z, d, rhs, u):
        rows = None if rhs is None else Equalities(trial.target.rows.weights, rhs, torch.zeros_like(rhs))
        return nearest(z, d, rows, limits, u).values

    inputs = [None if tensor is None else tensor.clone().requires_grad_() for tensor in given]
    assert torch.autograd.gradcheck(moved, inputs, eps=1e-7, atol=1e-5)


@cases("exact", but=("order", "variation", "curved", "phases"))
def test_scaling_every_point_and_mirroring_the_line_move_the_answer_along(names, metric):
    # Not for chains: their order and their length are not kept when points are scaled each by itself.
    trial = Trial(names, metric, 3)
    z = trial.states()
    scale = 0.2 + 2 * rand(trial.g, N)
    plain = trial.moved(z)
    limits, rows = trial.target.limits, trial.target.rows
    wide = Limits(
        None if limits.lower is None else (limits.lower * scale).flip(-1),
        None if limits.upper is None else (limits.upper * scale).flip(-1),
    )
    other = nearest(
        (z * scale).flip(-1), (trial.d * scale**2).flip(-1),
        rows and Equalities((rows.weights / scale).flip(-1), rows.rhs, rows.noise), wide,
        None if trial.u is None else (trial.u * scale[:, None]).flip(-2),
    ).values  # fmt: skip
    torch.testing.assert_close(other, (plain * scale).flip(-1), rtol=0, atol=1e-12)


@cases("exact", but=("curved",))
def test_units_do_not_matter(names, metric):
    trial = Trial(names, metric, 4)
    z = trial.states()
    plain = trial.moved(z)
    unit = 1e-4
    admissible = trial.admissible

    def scaled(part, *fields):
        return part and replace(part, **{name: getattr(part, name) * unit for name in fields})

    trial.target = Target.of(
        replace(
            admissible,
            rows=scaled(admissible.rows, "rhs"),
            box=scaled(admissible.box, "lower", "upper"),
            phases=scaled(admissible.phases, "level", "lower", "upper"),
            variation=scaled(admissible.variation, "most"),
        ),
        torch.device("cpu"),
    )
    trial.d = trial.d * unit**2
    trial.u = None if trial.u is None else trial.u * unit
    torch.testing.assert_close(trial.moved(z * unit) / unit, plain, rtol=0, atol=1e-8)


@cases("exact", but=("variation", "curved"))
def test_rows_in_another_order_or_twice_change_nothing(names, metric):
    if "rows" not in names:
        return
    trial = Trial(names, metric, 6)
    z = trial.states()
    plain = trial.moved(z)
    rows = trial.admissible.rows
    count = len(rows.labels)
    for order in ([*range(count)][::-1], [*range(count), 0]):
        again = Rows(
            rows.weights[order], rows.rhs[..., order], rows.tolerance[..., order], tuple("abc"[: len(order)])
        )
        trial.target = Target.of(replace(trial.admissible, rows=again), torch.device("cpu"))
        torch.testing.assert_close(trial.moved(z), plain, rtol=0, atol=max(1e-11, trial.loose()))


@cases("exact", but=("variation",))
def test_a_batch_is_its_entries_one_by_one_and_order_does_not_matter(names, metric):
    trial = Trial(names, metric, 7)
    z = torch.stack([trial.states(), trial.states()])  # two draws
    whole = trial.moved(z)
    for draw in range(2):
        torch.testing.assert_close(
            trial.moved(z[draw]), whole[draw], rtol=0, atol=max(8 * EPS, trial.loose())
        )
    torch.testing.assert_close(
        trial.moved(z.flip(0)), whole.flip(0), rtol=0, atol=max(16 * EPS, trial.loose())
    )


@cases("exact", but=("variation", "curved"))
def test_the_input_is_not_written_to_and_need_not_be_contiguous(names, metric):
    trial = Trial(names, metric, 8)
    z = trial.states()
    spread = torch.empty(S, T, 2 * N, dtype=D)[..., ::2].copy_(z)
    before = spread.clone()
    torch.testing.assert_close(trial.moved(spread), trial.moved(z), rtol=0, atol=max(16 * EPS, trial.loose()))
    assert torch.equal(spread, before)


@cases("exact", but=("variation", "curved"))
def test_single_and_half_precision_come_in_and_double_goes_out(names, metric):
    for dtype in (torch.float32, torch.bfloat16):
        trial = Trial(names, metric, 9)
        z = trial.states().to(dtype)
        moved = trial.moved(z)
        assert moved.dtype == D
        torch.testing.assert_close(moved, trial.moved(z.double()), rtol=0, atol=max(16 * EPS, trial.loose()))
        assert_lawful(trial, moved)


@cases("exact", but=("variation",))
def test_an_empty_batch_is_empty(names, metric):
    trial = Trial(names, metric, 0)
    assert trial.moved(trial.states().expand(0, S, T, N)).shape == (0, S, T, N)


@cases("gradient")
def test_vmap_and_compile_agree_with_the_batch(names, metric):
    trial = Trial(names, metric, 10)
    z = trial.states()
    rows, limits = trial.target.rows, trial.target.limits

    def one(z, d, u, rhs, lower, upper):
        own = None if rhs is None else Equalities(rows.weights, rhs, torch.zeros_like(rhs))
        return nearest(z, d, own, replace(limits, lower=lower, upper=upper), u).values

    given = (z, trial.d, trial.u, rows and rows.rhs, limits.lower, limits.upper)
    dims = tuple(None if tensor is None else 0 for tensor in given)
    torch.testing.assert_close(torch.func.vmap(one, dims)(*given), trial.moved(z), rtol=0, atol=1e-14)


@pytest.mark.filterwarnings("ignore")
def test_compile_runs_with_breaks_in_the_graph():
    trial = Trial(("rows", "box"), "factors", 11)
    z, target = trial.states(), trial.target

    @torch.compile(backend="eager")
    def twice(z):
        return 2.0 * nearest(z + 0.1, trial.d, target.rows, target.limits, trial.u).values

    torch.testing.assert_close(twice(z), 2.0 * trial.moved(z + 0.1), rtol=0, atol=1e-15)


def simple(n=5, **kwargs):
    weights = torch.full((1, n), 1.0 / n, dtype=D)
    return {"target": torch.linspace(0, 1, n, dtype=D), "metric": torch.ones(n, dtype=D)}, weights, kwargs


def equal(weights, *rhs):
    rhs = torch.tensor(rhs, dtype=D)
    return Equalities(weights, rhs, torch.zeros_like(rhs))


def test_rows_that_contradict_each_other_come_with_the_combination_that_proves_it():
    given, weights, _ = simple()
    with pytest.raises(InfeasibleError) as caught:
        nearest(**given, rows=equal(torch.cat([weights, 2 * weights]), 0.5, 1.2))
    y = caught.value.certificate
    scaled = torch.cat([weights, weights]) / weights.norm()
    assert (y @ scaled).abs().max() < 1e-12 and y.abs().max() == 1.0
    assert abs(float(y @ torch.tensor([0.5, 0.6], dtype=D))) > 0.05


def test_a_sum_that_bounds_do_not_reach_is_refused_and_its_neighbours_in_the_batch_can_be_had():
    given, weights, _ = simple()
    limits = Limits(torch.zeros(5, dtype=D), torch.ones(5, dtype=D))
    rhs = torch.tensor([[0.5], [1.5], [0.0], [1.0]], dtype=D)
    with pytest.raises(InfeasibleError) as caught:
        nearest(**given, rows=Equalities(weights, rhs, torch.zeros_like(rhs)), limits=limits)
    assert caught.value.index == (1,)
    rest = nearest(**given, rows=Equalities(weights, rhs, torch.zeros_like(rhs)), limits=limits, strict=False)
    assert rest.values[1].isnan().any()
    torch.testing.assert_close(rest.values[[0, 2, 3]].mean(-1), torch.tensor([0.5, 0.0, 1.0], dtype=D))


def test_one_point_is_what_the_row_says():
    weights = torch.ones(1, 1, dtype=D)
    found = nearest(torch.zeros(1, dtype=D), torch.ones(1, dtype=D), equal(weights, 0.3))
    assert found.values.item() == 0.3 and found.multipliers.item() == pytest.approx(-0.3)


@pytest.mark.parametrize("factors", [None, torch.ones(5, 1, dtype=D) * 0.3])
def test_a_fixed_value_on_a_bound_stays_and_has_no_derivative(factors):
    # The maximum principle makes a wall's value lie on a bound: the normal case.
    given, weights, _ = simple()
    lower, upper = torch.zeros(5, dtype=D), torch.ones(5, dtype=D)
    upper[0] = 0.0
    z = given["target"].clone().requires_grad_()
    found = nearest(z, given["metric"], equal(weights, 0.6), Limits(lower, upper), factors)
    assert found.values[0] == 0.0 and abs(found.values.mean().item() - 0.6) < 1e-15
    (gradient,) = torch.autograd.grad(found.values.square().sum(), z)
    assert torch.isfinite(gradient).all()


def test_values_that_lie_on_their_bounds_have_finite_derivatives():
    z = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.5], dtype=D, requires_grad=True)
    found = nearest(
        z, torch.ones(5, dtype=D), equal(torch.full((1, 5), 0.2, dtype=D), 0.5),
        Limits(torch.zeros(5, dtype=D), torch.ones(5, dtype=D)),
    )  # fmt: skip
    torch.testing.assert_close(found.values, z.detach(), rtol=0, atol=4 * EPS)
    (gradient,) = torch.autograd.grad(found.values.sum(), z)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("k", [0, 2])
def test_points_without_variance_stay_on_what_factors_allow(seed, k):
    g = torch.Generator().manual_seed(seed)
    m, d = 2 * rand(g, 10) - 0.5, 0.05 + rand(g, 10)
    d[rand(g, 10) < 0.3] = 0.0
    u = rand(g, 10, k) - 0.5 if k else None
    weights = rand(g, 2, 10) - 0.3
    x = torch.where(d == 0.0, m, rand(g, 10))
    found = nearest(m, d, Equalities(weights, weights @ x, torch.zeros(2, dtype=D)), None, u).values
    sigma = torch.diag(d) if u is None else torch.diag(d) + u @ u.T
    through = sigma @ weights.T
    wanted = m - through @ torch.linalg.solve(weights @ through, weights @ (m - x))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)
    assert (weights @ (found - x)).abs().max() < 1e-13


def test_bounds_that_hold_all_that_rows_could_move_are_left_again():
    # Newton's first step ends where every point is on a bound and no Jacobian says where to go.
    g = torch.Generator().manual_seed(143)
    m, d = 2 * rand(g, 10) - 0.5, 0.05 + rand(g, 10)
    d[rand(g, 10) < 0.3] = 0.0
    x = rand(g, 10)
    x[d == 0.0] = m[d == 0.0].clamp(0, 1)
    weights = rand(g, 2, 10) - 0.3
    limits = Limits(torch.zeros(10, dtype=D), torch.ones(10, dtype=D))
    found = nearest(m, d, Equalities(weights, weights @ x, torch.zeros(2, dtype=D)), limits)
    assert (weights @ (found.values - x)).abs().max() < 1e-14 and found.steps < 20


def test_a_million_points_take_a_few_vectors_of_memory():
    # In a process of its own, whose peak says what the kernel took: an n × n array would be 8 TB.
    script = (
        "import resource, torch; from lawbound.constraints.projection import *; torch.set_num_threads(1)\n"
        "n = 1_000_000; D = torch.float64; x = torch.linspace(0, 1, n, dtype=D)\n"
        "small = torch.linspace(0, 1, 9, dtype=D)\n"
        "def go(x):\n"
        "    w = torch.stack([torch.ones_like(x), x, torch.cos(3 * x)]) / len(x)\n"
        "    b = w @ (1 - 2 * x).clamp(0, 1)\n"
        "    r = nearest(1.2 - 2 * x, 0.01 + x**2, Equalities(w, b, 0 * b), Limits(0 * x, 0 * x + 1))\n"
        "    return (w @ r.values - b).abs().max()\n"
        "go(small); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "off = go(x); print(float(off), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    off, kilobytes = (float(word) for word in done.stdout.split())
    assert off < 1e-13
    assert kilobytes * 1024 < 100 * 8e6


@pytest.mark.parametrize("soft", [0.0, 0.02, "some"])
def test_rounds_without_questions_come_to_where_the_search_comes(soft):
    # What a GPU does before it asks which entries are left; here on the CPU, by itself.
    g = torch.Generator().manual_seed(3)
    count, n = 400, 40
    x = torch.linspace(0.0, 1.0, n, dtype=D)
    place = 0.2 + 0.6 * rand(g, count, 1)
    target = torch.sigmoid((place - x) / 0.03) + 0.3 * torch.randn(count, n, generator=g, dtype=D)
    metric = 1e-4 + rand(g, count, n) ** 4
    weights = (0.2 + rand(g, 1, n)) * (1.0 if soft != 0.02 else torch.sign(rand(g, 1, n) - 0.3))
    weights = weights / weights.norm()
    lawful = rand(g, count, n)
    noise = torch.full((count, 1), 0.0 if soft == "some" else soft, dtype=D)
    if soft == "some":
        noise[::3] = torch.inf
    problem = Problem(
        target, metric, weights, lawful @ weights.T, noise, torch.zeros(count, n, dtype=D), torch.ones(count, n, dtype=D),
        None, None, None, None, None,
    )  # fmt: skip
    assert rounds.apply(problem)
    y = rounds.rounds(problem, _first_duals(problem), 60)
    wanted, _, done = multipliers(problem, _first_duals(problem))
    assert done.all()
    held, values = problem.settled(y)
    gap = problem.equations(values, y, held).abs()
    assert (gap <= 10 * problem.accuracy(values, y, held)).all()
    torch.testing.assert_close(values, problem.settled(wanted)[1], rtol=0, atol=1e-12)
    # The usual number of rounds leaves few, and the search from there ends where it does from anywhere.
    some = rounds.rounds(problem, _first_duals(problem))
    held, values = problem.settled(some)
    there = (problem.equations(values, some, held).abs() <= problem.accuracy(values, some, held)).all(-1)
    assert there.double().mean() > 0.8
    finished = multipliers(problem, some)[0]
    torch.testing.assert_close(problem.settled(finished)[1], problem.settled(wanted)[1], rtol=0, atol=1e-12)


def test_rounds_are_for_one_row_with_bounds():
    row, state = torch.ones(1, 3, dtype=D), torch.zeros(2, 3, dtype=D)
    rest = (torch.zeros(2, 1, dtype=D), torch.zeros(2, 1, dtype=D))
    bounded = Problem(state, state + 1, row, *rest, state, state, None, None, None, None, None)
    assert rounds.apply(bounded)
    for other in (
        replace(bounded, lower=None, upper=None),
        replace(bounded, weights=torch.ones(2, 3, dtype=D)),
        replace(bounded, weights=torch.ones(2, 1, 3, dtype=D)),
        replace(bounded, factors=torch.ones(2, 3, 1, dtype=D)),
        replace(bounded, order=Order(np.array([0]), np.array([3]), np.array([1]), "rising")),
    ):
        assert not rounds.apply(other)
