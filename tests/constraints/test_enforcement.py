"""The structured updates against dense linear algebra, and against the published formulas."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lawbound as lb
from lawbound.constraints import (
    Bounds,
    Condition,
    Conservation,
    Constrained,
    Dirichlet,
    DivergenceFree,
    Initial,
    Project,
    enforce,
)
from lawbound.constraints.conditioning import condition
from lawbound.constraints.constraint import Admissible
from lawbound.constraints.sets import Rows
from lawbound.datasets.layout import Layout
from lawbound.surrogates.covariance import Conditioned, Diagonal
from lawbound.surrogates.prediction import Prediction, from_moments

T, X, Q = 3, 12, 2


def problem(seed, draws=2, samples=2, q=Q):
    g = torch.Generator().manual_seed(seed)
    means = torch.randn(draws, samples, T, X, generator=g, dtype=torch.float64)
    variance = torch.rand(draws, samples, T, X, generator=g, dtype=torch.float64) + 0.05
    weights = torch.rand(q, X, generator=g, dtype=torch.float64)
    rhs = torch.randn(samples, T, q, generator=g, dtype=torch.float64)
    sigma = torch.rand(samples, T, q, generator=g, dtype=torch.float64)
    return means, variance, weights, rhs, sigma


def project(means, covariance, weights, rhs):
    """`Project`, as published: the covariance is kept."""
    rows = Rows(weights.numpy(), rhs.numpy(), np.zeros(rhs.shape), tuple("abc"[: len(weights)]))
    return Project("kept")(means, covariance, Admissible(Layout(("u",), ("x",), means.shape[-1:]), rows))


def dense(mean, variance, weights, rhs, noise):
    """The textbook update of one Gaussian over x with n × n matrices."""
    cov, g = np.diag(variance), weights
    gain = cov @ g.T @ np.linalg.inv(g @ cov @ g.T + np.diag(noise))
    return mean - gain @ (g @ mean - rhs), cov - gain @ g @ cov


@given(seed=st.integers(0, 10_000), exact=st.booleans(), relative=st.sampled_from([0.0, 0.5]))
def test_conditioning_a_diagonal_covariance_equals_the_dense_update(seed, exact, relative):
    means, variance, weights, rhs, sigma = problem(seed)
    sigma = torch.zeros_like(sigma) if exact else sigma
    updated = condition(means, Diagonal(variance), weights, rhs, sigma, relative)
    new = updated.covariance.variance()
    for d, s, t in np.ndindex(*means.shape[:3]):
        v, g = variance[d, s, t].numpy(), weights.numpy()
        noise = sigma[s, t].numpy() ** 2 + relative**2 * np.diag(g @ np.diag(v) @ g.T)
        mean, cov = dense(means[d, s, t].numpy(), v, g, rhs[s, t].numpy(), noise)
        np.testing.assert_allclose(updated.means[d, s, t], mean, atol=1e-10)
        np.testing.assert_allclose(new[d, s, t], np.diag(cov), atol=1e-12)


@given(seed=st.integers(0, 10_000))
def test_one_exact_row_is_the_published_scalar_formula(seed):
    means, variance, weights, rhs, _ = problem(seed, q=1)
    updated = condition(
        means, Diagonal(variance), weights, rhs, torch.zeros(2, T, 1, dtype=torch.float64), 0.0
    )
    w = weights[0]
    r, s = (means @ w - rhs[..., 0])[..., None], (variance @ w**2)[..., None]
    torch.testing.assert_close(updated.means, means - variance * w * r / s, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(
        updated.covariance.variance(), variance - (variance * w) ** 2 / s, rtol=0, atol=1e-12
    )


@given(seed=st.integers(0, 10_000))
def test_the_residual_shrinks_by_the_share_of_noise(seed):
    means, variance, weights, rhs, sigma = problem(seed, q=1)
    updated = condition(means, Diagonal(variance), weights, rhs, sigma, 0.0)
    gram = variance @ weights[0] ** 2
    share = sigma[..., 0] ** 2 / (sigma[..., 0] ** 2 + gram)
    torch.testing.assert_close(
        updated.means @ weights[0] - rhs[..., 0], share * (means @ weights[0] - rhs[..., 0])
    )


@given(seed=st.integers(0, 10_000))
def test_projection_is_the_nearest_field_and_keeps_the_covariance(seed):
    means, variance, weights, rhs, _ = problem(seed)
    updated = project(means, Diagonal(variance), weights, rhs)
    torch.testing.assert_close(updated.means @ weights.T, rhs.expand(2, -1, -1, -1), rtol=0, atol=1e-12)
    moved = updated.means - means
    null = torch.linalg.svd(weights)[2][Q:]  # directions that no row sees
    assert (moved @ null.T).abs().max() < 1e-12
    assert updated.covariance.variance() is variance


@given(seed=st.integers(0, 10_000))
def test_conditioning_equals_projection_when_all_points_are_equally_unsure(seed):
    means, variance, weights, rhs, sigma = problem(seed)
    oblique = condition(
        means, Diagonal(torch.ones_like(variance)), weights, rhs, torch.zeros_like(sigma), 0.0
    )
    torch.testing.assert_close(
        oblique.means, project(means, Diagonal(variance), weights, rhs).means, rtol=0, atol=1e-12
    )


@given(seed=st.integers(0, 10_000))
def test_an_exact_truth_is_never_farther_in_the_covariance_s_own_norm(seed):
    means, variance, weights, rhs, sigma = problem(seed)
    truth = project(torch.randn_like(means), Diagonal(variance), weights, rhs).means
    updated = condition(means, Diagonal(variance), weights, rhs, torch.zeros_like(sigma), 0.0)

    def distance(u):
        return ((u - truth) ** 2 / variance).sum(-1)

    assert (distance(updated.means) <= distance(means) + 1e-9).all()


def test_rows_one_after_the_other_equal_rows_together():
    means, variance, weights, rhs, sigma = problem(0)
    none = torch.zeros_like(sigma)
    joint = condition(means, Diagonal(variance), weights, rhs, none, 0.0)
    first = condition(means, Diagonal(variance), weights[:1], rhs[..., :1], none[..., :1], 0.0)
    second = condition(first.means, first.covariance, weights[1:], rhs[..., 1:], none[..., 1:], 0.0)
    torch.testing.assert_close(second.means, joint.means, rtol=0, atol=1e-12)
    torch.testing.assert_close(second.covariance.variance(), joint.covariance.variance(), rtol=0, atol=1e-12)


def test_samples_of_a_conditioned_covariance_have_its_moments_and_obey():
    means, variance, weights, rhs, sigma = problem(1, draws=1, samples=1)
    covariance = condition(means, Diagonal(variance), weights, rhs, torch.zeros_like(sigma), 0.0).covariance
    many = covariance.take(torch.zeros(40_000, dtype=torch.long)).sample(torch.Generator().manual_seed(0))[
        :, 0
    ]
    assert (many @ weights.T).abs().max() < 1e-12
    for t in range(T):
        _, cov = dense(
            means[0, 0, t].numpy(), variance[0, 0, t].numpy(), weights.numpy(), rhs[0, t].numpy(), np.zeros(Q)
        )
        np.testing.assert_allclose(np.cov(many[:, t].T.numpy()), cov, atol=0.04)


def test_samples_with_a_noisy_law_have_the_noisy_posterior_s_spread():
    means, variance, weights, rhs, sigma = problem(2, draws=1, samples=1, q=1)
    covariance = condition(means, Diagonal(variance), weights, rhs, sigma, 0.0).covariance
    many = covariance.take(torch.zeros(40_000, dtype=torch.long)).sample(torch.Generator().manual_seed(0))[
        :, 0
    ]
    gram, noise = variance[0, 0] @ weights[0] ** 2, sigma[0, :, 0] ** 2
    wanted = gram * noise / (gram + noise)
    np.testing.assert_allclose((many @ weights[0]).var(0), wanted, rtol=0.05)


def test_no_array_of_n_by_n_is_made():
    n = 200_000  # n × n float64 would be 320 GB
    means = torch.zeros(1, 1, 1, n, dtype=torch.float64)
    weights = torch.full((1, n), 1.0 / n, dtype=torch.float64)
    rhs = torch.ones(1, 1, 1, dtype=torch.float64)
    updated = condition(means, Diagonal(torch.ones_like(means)), weights, rhs, torch.zeros_like(rhs), 0.0)
    assert abs(float((updated.means @ weights.T).squeeze()) - 1.0) < 1e-12
    assert updated.covariance.variance().shape == means.shape


def prediction(data, seed=0, draws=3):
    g = torch.Generator().manual_seed(seed)
    u = torch.from_numpy(data.u.values.astype(np.float64)).expand(draws, -1, -1, -1)
    spread = 0.05 + 0.1 * torch.rand(u.shape, generator=g, dtype=u.dtype)
    return Prediction(
        u + spread * torch.randn(u.shape, generator=g, dtype=u.dtype), Diagonal(spread**2), data
    )


def test_every_draw_obeys_and_the_mixture_s_variance_includes_the_spread_between_draws(stefan_test):
    lawful, report = enforce(prediction(stefan_test), Conservation())
    w, b = torch.from_numpy(stefan_test.x_weights.values), stefan_test.law_conservation_rhs.values
    np.testing.assert_allclose(lawful.means @ w, np.broadcast_to(b, (3, *b.shape)), atol=1e-13)
    within = lawful.covariance.variance().mean(0)
    torch.testing.assert_close(lawful.variance, within + lawful.means.var(0, correction=0))
    assert (lawful.variance > within).all()
    samples = lawful.sample(64, seed=1)
    np.testing.assert_allclose(samples @ w, np.broadcast_to(b, (64, *b.shape)), atol=1e-12)
    assert np.abs(report.residual_before).max() > 1e-3 and np.abs(report.residual_after).max() < 1e-13


def test_the_multipliers_say_which_sample_and_time_broke_the_law(stefan_test):
    lawful = enforce(prediction(stefan_test), Conservation()).prediction
    means = lawful.means.clone()
    means[:, 2, 5] += 0.1
    report = enforce(Prediction(means, Diagonal(torch.ones_like(means)), stefan_test), Conservation()).report
    assert np.unravel_index(np.abs(report.multipliers).argmax(), report.multipliers.shape) == (2, 5, 0)
    assert np.unravel_index(report.moved.argmax(), report.moved.shape) == (2, 5)


def test_a_relative_tolerance_is_the_same_share_of_the_residual_everywhere(stefan_test):
    given_ = prediction(stefan_test, draws=1)
    report = enforce(given_, Conservation(), Condition(relative=1.0)).report
    np.testing.assert_allclose(report.residual_after, 0.5 * report.residual_before, rtol=1e-9)


def test_an_absolute_tolerance_far_above_the_spread_leaves_the_prediction_alone(stefan_test):
    given_ = prediction(stefan_test, draws=1)
    lawful = enforce(given_, Conservation(tolerance=1e6)).prediction
    torch.testing.assert_close(lawful.means, given_.means, rtol=0, atol=1e-9)


def test_a_constrained_surrogate_is_a_surrogate(stefan_test):
    class Fixed:
        origin = None

        def predict(self, inputs, *, times=None):
            return prediction(inputs if times is None else inputs.isel(t=times))

        def tensors(self):
            return {}

    bound = Constrained(Fixed(), Conservation(), Project())
    part = bound.predict(stefan_test, times=np.array([3, 7]))
    w = torch.from_numpy(stefan_test.x_weights.values)
    np.testing.assert_allclose(part.mean @ w, stefan_test.law_conservation_rhs.values[:, [3, 7]], atol=1e-13)
    assert bound.origin is None and bound.tensors() == {}


def test_a_point_without_variance_is_not_moved(stefan_test):
    given_ = prediction(stefan_test, draws=1)
    variance = given_.covariance.values.clone()
    variance[..., 7] = 0.0
    lawful = enforce(Prediction(given_.means, Diagonal(variance), stefan_test), Conservation()).prediction
    torch.testing.assert_close(lawful.means[..., 7], given_.means[..., 7], rtol=0, atol=1e-13)
    assert lawful.variance[..., 7].abs().max() == 0.0


def test_a_law_that_nothing_can_move_is_reported_with_sample_and_time(stefan_test):
    given_ = prediction(stefan_test, draws=1)
    still = Prediction(given_.means, Diagonal(torch.zeros_like(given_.means)), stefan_test)
    with pytest.raises(
        ValueError, match=r"`conservation` .* for sample 0 at t=0, where the prediction has no variance"
    ):
        enforce(still, Conservation())
    assert isinstance(enforce(still, Conservation(), "project").prediction, Prediction)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop_vars("law_conservation_rhs"), "needs the variable `law_conservation_rhs`"),
        (
            lambda d: d.assign(law_conservation_rhs=d.law_conservation_rhs.where(d.t < 0.05)),
            r"not finite for sample 0 at t=0\.05",
        ),
    ],
)
def test_a_missing_or_unknown_right_hand_side_is_refused(stefan_test, change, message):
    with pytest.raises(ValueError, match=message):
        enforce(prediction(change(stefan_test)), Conservation())


def test_wrong_names_and_numbers_are_refused(stefan_test):
    with pytest.raises(ValueError, match="`wish` is not an enforcement"):
        enforce(prediction(stefan_test), Conservation(), "wish")
    for bad in (-1.0, np.nan):
        with pytest.raises(ValueError, match="≥ 0"):
            Conservation(tolerance=bad)
        with pytest.raises(ValueError, match="≥ 0"):
            Condition(relative=bad)


@pytest.mark.parametrize("how", ["condition", "project"])
def test_the_same_row_twice_counts_once(stefan_test, how):
    given_ = prediction(stefan_test, draws=1)
    doubled = enforce(given_, Conservation() & Conservation(), how).prediction
    once = enforce(given_, Conservation(), how).prediction
    torch.testing.assert_close(doubled.means, once.means, rtol=0, atol=1e-9)
    torch.testing.assert_close(doubled.variance, once.variance, rtol=0, atol=1e-9)


@pytest.mark.parametrize("how", [condition, lambda m, c, w, b, s, r: project(m, c, w, b)])
def test_rows_that_contradict_each_other_are_refused(how):
    means, variance, weights, rhs, sigma = problem(3)
    twice = torch.cat([weights[:1], weights[:1]])
    with pytest.raises(ValueError, match="cannot hold together"):
        how(means, Diagonal(variance), twice, rhs, torch.zeros_like(sigma), 0.0)


def test_nested_conditioning_explains_what_dense_algebra_does():
    means, variance, weights, rhs, sigma = problem(5, draws=1, samples=1)
    once = condition(means, Diagonal(variance), weights[:1], rhs[..., :1], sigma[..., :1], 0.0).covariance
    assert isinstance(once, Conditioned)
    twice = condition(means, once, weights[1:], rhs[..., 1:], sigma[..., 1:], 0.0).covariance
    for t in range(T):
        g, noise = weights.numpy(), sigma[0, t].numpy() ** 2
        _, cov = dense(np.zeros(X), variance[0, 0, t].numpy(), g, np.zeros(Q), noise)
        np.testing.assert_allclose(twice.variance()[0, 0, t], np.diag(cov), atol=1e-12)


def test_a_constraint_of_another_field_is_refused(stefan_test):
    with pytest.raises(ValueError, match="constraint is on v, the state holds u"):
        enforce(prediction(stefan_test), Conservation("v"))


def test_rows_that_do_not_apply_leave_variance_and_samples_alone():
    means = torch.zeros(1, 1, 2, 3, dtype=torch.float64)
    covariance = Diagonal(torch.full_like(means, 0.5))
    weights = torch.eye(3, dtype=torch.float64)[:1]
    sigma = torch.tensor([[[torch.inf], [0.0]]], dtype=torch.float64)
    updated = condition(means, covariance, weights, torch.ones(1, 2, 1).double(), sigma, 0.0)
    assert updated.covariance.variance()[0, 0, :, 0].tolist() == pytest.approx([0.5, 0.0], abs=1e-15)
    samples = updated.means + updated.covariance.sample(torch.Generator().manual_seed(0))
    assert float(samples[0, 0, 1, 0]) == pytest.approx(1.0) and abs(float(samples[0, 0, 0, 0])) > 1e-3


def _off_by(data, much):
    fields = {f"pred_{u}_mean": data[u] + much for u in ("u",)}
    return from_moments(data.assign(**fields, pred_u_std=0.0 * data.u + 0.1))


@pytest.mark.parametrize("family", ["heat-dirichlet", "burgers-periodic", "stefan"])
def test_a_projection_onto_an_integral_moves_all_points_alike(family):
    # The weights of the rule at a wall go up and down; the answer does not.
    data = lb.generate(family, 2, nx=33, nt=3)
    free = _off_by(data, 0.1)
    change = (enforce(free, Conservation(tolerance="exact"), "project").prediction.mean - free.mean).numpy()
    assert np.ptp(change, axis=-1).max() < 1e-14
    # An error that is even is gone, up to what the rule misses of the data's own integral.
    np.testing.assert_allclose(change, -0.1, atol=0.01)


def test_a_projection_is_the_nearest_by_the_integral_and_as_published_by_points():
    data = lb.generate("heat-dirichlet", 1, nx=17, nt=2)
    w = data.x_weights.values
    lower, upper = float(data.u.min()) - 0.01, float(data.u.max()) + 0.01
    free, law = _off_by(data, 0.1), Conservation(tolerance="exact") & Bounds(lower, upper)
    best = {
        distance: enforce(free, law, Project(distance=distance)).prediction.mean.numpy()
        for distance in ("integral", "points")
    }
    squares = {name: (found - free.mean.numpy()) ** 2 for name, found in best.items()}
    assert (squares["integral"] @ w < squares["points"] @ w).all()
    assert (squares["points"].sum(-1) < squares["integral"].sum(-1)).all()
    with pytest.raises(ValueError, match="distance='l1'"):
        Project(distance="l1")


def test_weights_that_are_no_distance_leave_points_alike():
    data = lb.generate("heat-dirichlet", 1, nx=17, nt=2)
    data["x_weights"] = data.x_weights - data.x_weights.min()
    free, law = _off_by(data, 0.1), Initial()
    assert torch.equal(
        enforce(free, law, "project").prediction.mean,
        enforce(free, law, Project(distance="points")).prediction.mean,
    )


def test_the_measure_follows_the_fields_of_a_stack():
    data = lb.generate("cavity", 1, nx=6, nt=2)
    both = (DivergenceFree() & Dirichlet("v")).on(data)
    assert both.measure.shape == (both.layout.size,)
    np.testing.assert_array_equal(both.measure[: both.layout.points], both.measure[both.layout.part("v")])


@pytest.mark.parametrize("family", ["stokes", "heat-dirichlet", "burgers-dirichlet", "wave"])
def test_walls_and_initial_states_that_differ_by_their_storage_stack(family):
    data = lb.generate(family, 2, nx=17, nt=3)
    walls, start = Dirichlet(), Initial()
    one, other = (walls & start).on(data).box, (start & walls).on(data).box
    np.testing.assert_array_equal(one.lower, other.lower)
    np.testing.assert_array_equal(one.upper, other.upper)
    first = walls.on(data).box
    fixed = first.lower == first.upper
    # What is stored in double holds; two that are not meet between.
    np.testing.assert_allclose(
        one.lower[fixed], first.lower[fixed], rtol=0, atol=0 if family != "wave" else 1e-15
    )
    apart = data.assign(bc_u_x_lo=data.bc_u_x_lo + 1e-4)
    with pytest.raises(ValueError, match="is empty"):
        (walls & start).on(apart)
