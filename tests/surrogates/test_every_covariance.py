"""Every structured covariance against the full matrix that it never makes."""

import pytest
import torch

from lawbound.constraints.conditioning import condition
from lawbound.surrogates.banded import BandedPrecision, edge_stopping, exponential, rescaled, smoothed
from lawbound.surrogates.covariance import Conditioned, Diagonal, lean, taken
from lawbound.surrogates.dense import Dense
from lawbound.surrogates.kalman import MarkovTimes, autoregressive, smoothed_in_time
from lawbound.surrogates.kronecker import Kronecker
from lawbound.surrogates.low_rank import DiagonalLowRank, low_rank_of

T, X = 3, 7
BATCH = (2, 2)
SHAPE = (*BATCH, T, X)


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


VALUES = 0.2 + rand(*SHAPE)
FACTORS = randn(*SHAPE, 2, seed=1)


def low_rank(coupled):
    def make():
        u = FACTORS.flatten(2, 3) if coupled else FACTORS
        d = VALUES.flatten(2) if coupled else VALUES
        return DiagonalLowRank(VALUES, FACTORS, coupled), torch.diag_embed(d) + u @ u.mT

    return make


def shared_low_rank():
    d, u = VALUES[:1, :1], FACTORS[:1, :1]
    full = (torch.diag_embed(d.flatten(2)) + u.flatten(2, 3) @ u.flatten(2, 3).mT).expand(*BATCH, -1, -1)
    return DiagonalLowRank(d.expand(SHAPE), u, True), full


def full_of_bands(bands):
    half, size = bands.shape[-2] - 1, bands.shape[-1]
    precision = torch.diag_embed(bands[..., 0, :])
    for j in range(1, min(half, size - 1) + 1):
        band = torch.diag_embed(bands[..., j, : size - j], offset=-j)
        precision = precision + band + band.mT
    return precision


def banded(half):
    def make():
        bands = 0.3 * randn(*BATCH, T, half + 1, X, seed=2)
        bands[..., 0, :] += 3.0
        return BandedPrecision(bands), torch.linalg.inv(full_of_bands(bands))

    return make


def markov():
    rho = 2.0 * rand(*BATCH, T - 1, X, seed=3) - 1.0
    full = torch.zeros(*BATCH, T, X, T, X, dtype=torch.float64)
    for t in range(T):
        for s in range(t + 1):
            product = rho[..., s:t, :].prod(-2) * (VALUES[..., t, :] * VALUES[..., s, :]).sqrt()
            full[..., t, :, s, :] = full[..., s, :, t, :] = torch.diag_embed(product)
    return MarkovTimes(VALUES, rho), full.reshape(*BATCH, T * X, T * X)


def gram_of(size, seed, *batch):
    root = randn(*batch, size, size + 1, seed=seed)
    return root @ root.mT / size


def kronecker(noise, shared):
    def make():
        batch = () if shared else BATCH
        time, space = gram_of(T, 4, *batch), gram_of(X, 5, *batch)
        full = torch.einsum("...ts,...xy->...txsy", time, space).reshape(*batch, T * X, T * X)
        full = (full + noise * torch.eye(T * X, dtype=torch.float64)).expand(*BATCH, -1, -1)
        return Kronecker(time.expand(*BATCH, -1, -1), space.expand(*BATCH, -1, -1), noise), full

    return make


def dense(coupled):
    def make():
        full = gram_of(T * X, 6, *BATCH) if coupled else gram_of(X, 6, *BATCH, T)
        return Dense(full, T if coupled else None), full

    return make


EVERY = {
    "diagonal": lambda: (Diagonal(VALUES), torch.diag_embed(VALUES)),
    "low rank": low_rank(False),
    "low rank over times": low_rank(True),
    "low rank shared": shared_low_rank,
    "diagonal precision": banded(0),
    "tridiagonal precision": banded(1),
    "pentadiagonal precision": banded(2),
    "wide precision": banded(4),
    "Markov times": markov,
    "Kronecker": kronecker(0.0, False),
    "Kronecker with noise": kronecker(0.3, False),
    "Kronecker shared": kronecker(0.3, True),
    "dense": dense(False),
    "dense over times": dense(True),
}


@pytest.fixture(params=EVERY, scope="module")
def case(request):
    """The covariance, the matrix of its blocks (..., blocks, n, n), and G for a block as a function of the weights."""
    covariance, full = EVERY[request.param]()
    coupled = covariance.couples_times
    blocks = full.unsqueeze(-3) if coupled else full

    def rows(weights):
        return torch.kron(torch.eye(T, dtype=torch.float64), weights) if coupled else weights

    return covariance, blocks, rows


def as_state(vector):
    return vector.reshape(*vector.shape[:2], T, X)


LEFT, RIGHT = randn(2, X, seed=7), randn(3, X, seed=8)


def test_shape_and_variance_are_those_of_the_full_matrix(case):
    covariance, full, _ = case
    assert covariance.shape == SHAPE
    torch.testing.assert_close(covariance.variance(), as_state(torch.diagonal(full, dim1=-2, dim2=-1)))


def test_gram_is_that_of_the_full_matrix_and_positive_semidefinite(case):
    covariance, full, rows = case
    torch.testing.assert_close(covariance.gram(LEFT, RIGHT), rows(LEFT) @ full @ rows(RIGHT).T)
    own = covariance.gram(RIGHT, RIGHT)
    torch.testing.assert_close(own, own.mT)
    assert torch.linalg.eigvalsh(own).min() > -1e-12 * own.abs().max()


def test_response_is_that_of_the_full_matrix(case):
    covariance, full, rows = case
    multipliers = randn(*BATCH, T, 3, seed=9)
    blocks = multipliers.flatten(2).unsqueeze(2) if covariance.couples_times else multipliers
    wanted = (full @ rows(RIGHT).T @ blocks.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(covariance.response(RIGHT, multipliers), as_state(wanted))


def test_what_rows_explain_is_that_of_the_full_matrix(case):
    covariance, full, rows = case
    g = rows(RIGHT)
    system = g @ full @ g.T + 0.1 * torch.eye(len(g), dtype=torch.float64)
    wanted = torch.diagonal(full @ g.T @ torch.linalg.solve(system, g @ full), dim1=-2, dim2=-1)
    got = covariance.explained(RIGHT, torch.linalg.cholesky(system))
    torch.testing.assert_close(got, as_state(wanted))


def test_more_rows_than_points_change_nothing_of_that(case):
    covariance, full, rows = case
    many = randn(2 * X, X, seed=10)
    g = rows(many)
    system = g @ full @ g.T + 0.1 * torch.eye(len(g), dtype=torch.float64)
    wanted = torch.diagonal(full @ g.T @ torch.linalg.solve(system, g @ full), dim1=-2, dim2=-1)
    torch.testing.assert_close(covariance.explained(many, torch.linalg.cholesky(system)), as_state(wanted))


def test_samples_have_the_covariance_of_the_full_matrix(case):
    covariance, full, _ = case
    count = 40_000
    draws = covariance.take(torch.zeros(count, dtype=torch.long)).sample(torch.Generator().manual_seed(0))
    assert draws.shape == (count, *SHAPE[1:])
    flat = draws[:, 0].flatten(1).unsqueeze(-2) if covariance.couples_times else draws[:, 0]
    sampled = torch.einsum("btx,bty->txy", flat, flat) / count
    deviation = torch.diagonal(full[0, 0], dim1=-2, dim2=-1).sqrt()
    # The standard error of a sample covariance is at most √(2 / count) σ σ'.
    bound = 6.0 * (2.0 / count) ** 0.5 * deviation.unsqueeze(-1) * deviation.unsqueeze(-2)
    assert ((sampled - full[0, 0]).abs() <= bound + 1e-12).all()


def test_the_seed_decides_the_sample(case):
    covariance, _, _ = case
    one, same, other = (covariance.sample(torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert one.equal(same)
    assert not one.equal(other)


def test_entries_taken_are_those_entries(case):
    covariance, _, _ = case
    index = torch.tensor([1, 0, 1])
    part = covariance.take(index)
    assert part.shape == (3, *SHAPE[1:])
    torch.testing.assert_close(part.variance(), covariance.variance()[index])
    torch.testing.assert_close(part.gram(LEFT, RIGHT), covariance.gram(LEFT, RIGHT)[index])


MASS = torch.full((1, X), 1.0 / X, dtype=torch.float64)
WALL = torch.eye(X, dtype=torch.float64)[:1]


def exact(means, covariance, weights, rhs):
    return condition(means, covariance, weights, rhs, torch.zeros_like(rhs), 0.0)


def of_dense(full, coupled):
    return Dense(full.squeeze(-3), T) if coupled else Dense(full)


def test_laws_hold_exactly_and_the_update_is_that_of_the_full_matrix(case):
    covariance, full, _ = case
    weights = torch.cat((MASS, WALL))
    means, rhs = randn(*SHAPE, seed=11), randn(BATCH[1], T, 2, seed=12)
    got = exact(means, covariance, weights, rhs)
    wanted = exact(means, of_dense(full, covariance.couples_times), weights, rhs)
    assert (got.means @ weights.T - rhs).abs().max() < 1e-12
    torch.testing.assert_close(got.means, wanted.means, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(got.covariance.variance(), wanted.covariance.variance(), rtol=1e-9, atol=1e-11)
    assert (got.covariance.variance() <= covariance.variance() + 1e-12).all()
    assert got.covariance.variance()[..., 0].max() < 1e-12


def test_two_laws_in_either_order_are_both_at_once(case):
    covariance, _, _ = case
    means, mass, wall = randn(*SHAPE, seed=11), randn(BATCH[1], T, 1, seed=13), randn(BATCH[1], T, 1, seed=14)
    joint = exact(means, covariance, torch.cat((MASS, WALL)), torch.cat((mass, wall), -1))
    for first, second in (((MASS, mass), (WALL, wall)), ((WALL, wall), (MASS, mass))):
        once = exact(means, covariance, *first)
        twice = exact(once.means, once.covariance, *second)
        torch.testing.assert_close(twice.means, joint.means, rtol=1e-8, atol=1e-9)
        torch.testing.assert_close(
            twice.covariance.variance(), joint.covariance.variance(), rtol=1e-8, atol=1e-10
        )
        multipliers = randn(*BATCH, T, 2, seed=15)
        torch.testing.assert_close(
            twice.covariance.response(LEFT, multipliers),
            joint.covariance.response(LEFT, multipliers),
            rtol=1e-8,
            atol=1e-9,
        )


def test_samples_under_a_law_obey_it(case):
    covariance, _, _ = case
    zero = torch.zeros(BATCH[1], T, 1, dtype=torch.float64)
    left = exact(torch.zeros(SHAPE, dtype=torch.float64), covariance, MASS, zero).covariance
    assert isinstance(left, Conditioned)
    drawn = left.sample(torch.Generator().manual_seed(3))
    assert (drawn @ MASS.T).abs().max() < 1e-12
    assert drawn.abs().max() > 0.1


# -- diagonal plus low rank -------------------------------------------------------------------------------------


@pytest.mark.parametrize("coupled", [False, True])
def test_the_density_is_that_of_the_full_matrix(coupled):
    covariance, full = low_rank(coupled)()
    deviations = randn(*SHAPE, seed=16)
    flat = deviations.flatten(2) if coupled else deviations
    wanted = torch.distributions.MultivariateNormal(torch.zeros_like(flat), full).log_prob(flat)
    torch.testing.assert_close(covariance.log_density(deviations), wanted if coupled else wanted.sum(-1))


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize("coupled", [False, True])
def test_known_points_leave_diagonal_plus_low_rank(coupled, noise):
    covariance, full = low_rank(coupled)()
    mask = torch.zeros(T, X, dtype=torch.bool)
    mask[0, :2] = mask[2, 0] = mask[2, 6] = True
    means, values = randn(*SHAPE, seed=17), randn(*SHAPE, seed=18)
    updated, left = covariance.conditioned_on_points(means, mask, values, noise=noise)
    matrix = torch.zeros(*BATCH, T * X, T * X, dtype=torch.float64)
    for t in range(T):
        part = slice(t * X, (t + 1) * X)
        matrix[..., part, part] = torch.eye(X) if coupled else full[..., t, :, :]
    matrix = full if coupled else matrix
    seen = mask.flatten().nonzero()[:, 0]
    system = matrix[..., seen, :][..., seen] + noise * torch.eye(len(seen))
    gain = matrix[..., seen] @ torch.linalg.inv(system)
    wanted = means.flatten(2) + (gain @ (values - means).flatten(2)[..., seen, None])[..., 0]
    rest = matrix - gain @ matrix[..., seen, :]
    torch.testing.assert_close(updated.flatten(2), wanted)
    got = torch.diag_embed(left.values.flatten(2))
    for t in range(T):
        for s in range(T):
            if coupled or s == t:
                block = left.factors[..., t, :, :] @ left.factors[..., s, :, :].mT
                got[..., t * X : (t + 1) * X, s * X : (s + 1) * X] += block
    torch.testing.assert_close(got, rest, rtol=1e-7, atol=1e-12)
    if noise == 0.0:
        assert updated[..., mask].equal(values[..., mask])
        assert left.variance()[..., mask].max() == 0.0
        again, same = left.conditioned_on_points(updated, mask, values)
        torch.testing.assert_close(again, updated)
        torch.testing.assert_close(same.variance(), left.variance())


def test_points_pin_the_modes_down_although_the_diagonal_is_a_millionth_of_a_millionth():
    modes = torch.stack([torch.sin((j + 1.0) * torch.linspace(0.1, 3.0, T * X)) for j in range(3)], -1)
    factors = modes.double().reshape(1, T, X, 3)
    covariance = DiagonalLowRank(torch.full((1, T, X), 1e-12, dtype=torch.float64), factors, True)
    truth = factors @ torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    mask = torch.zeros(X, dtype=torch.bool)
    mask[0] = mask[-1] = True
    updated, left = covariance.conditioned_on_points(torch.zeros_like(truth), mask, truth)
    assert (updated - truth).abs().max() < 1e-8
    assert left.variance().max() < 1e-9
    walls = torch.eye(X, dtype=torch.float64)[[0, -1]]
    by_rows = exact(
        torch.zeros(1, 1, T, X, dtype=torch.float64), covariance_in_batch(covariance), walls, truth @ walls.T
    )
    torch.testing.assert_close(by_rows.means[0], updated, atol=1e-7, rtol=0.0)


def covariance_in_batch(covariance):
    return DiagonalLowRank(covariance.values[None], covariance.factors[None], covariance.couples_times)


def test_a_point_with_modes_and_no_variance_of_its_own_is_refused():
    covariance = DiagonalLowRank(VALUES * 0.0, FACTORS)
    with pytest.raises(ValueError, match="floor"):
        covariance.conditioned_on_points(VALUES, torch.ones(X, dtype=torch.bool), VALUES)


def test_a_known_point_that_is_told_another_value_is_refused():
    covariance = DiagonalLowRank(VALUES * 0.0, FACTORS * 0.0)
    with pytest.raises(ValueError, match="known already"):
        covariance.conditioned_on_points(VALUES, torch.ones(X, dtype=torch.bool), VALUES + 1.0)


@pytest.mark.parametrize("coupled", [False, True])
def test_members_give_their_sample_covariance_with_one_mode_fewer(coupled):
    members = randn(5, *SHAPE, seed=19)
    covariance = low_rank_of(members, floor=0.0, couples_times=coupled)
    assert covariance.rank == 4
    torch.testing.assert_close(covariance.variance(), members.var(0))
    left, right = (members @ w.T for w in (LEFT, RIGHT))
    if coupled:
        left, right = left.flatten(-2).unsqueeze(-2), right.flatten(-2).unsqueeze(-2)
    left, right = left - left.mean(0), right - right.mean(0)
    wanted = torch.einsum("m...q,m...r->...qr", left, right) / 4.0
    torch.testing.assert_close(covariance.gram(LEFT, RIGHT), wanted)


def test_bad_low_rank_input_is_refused():
    with pytest.raises(ValueError, match="two or more"):
        low_rank_of(VALUES[None])
    with pytest.raises(ValueError, match="shape"):
        DiagonalLowRank(VALUES, FACTORS[..., 1:, :])
    with pytest.raises(ValueError, match="≥ 0"):
        DiagonalLowRank(-VALUES, FACTORS)
    with pytest.raises(ValueError, match="floor"):
        DiagonalLowRank(VALUES * 0.0, FACTORS).log_density(VALUES)


# -- banded precision -------------------------------------------------------------------------------------------


def test_a_chain_of_neighbours_has_the_stated_variances_and_correlations():
    rho = 1.8 * rand(X - 1, seed=20) - 0.9
    covariance = torch.linalg.inv(full_of_bands(exponential(VALUES, rho).bands))
    torch.testing.assert_close(exponential(VALUES, rho).variance(), VALUES)
    for i in range(X):
        for j in range(i, X):
            wanted = rho[i:j].prod() * (VALUES[..., i] * VALUES[..., j]).sqrt()
            torch.testing.assert_close(covariance[..., i, j], wanted)


def test_second_differences_smooth_as_the_dense_formula_does():
    means, alpha = randn(*SHAPE, seed=21), 0.9
    second = torch.zeros(X - 2, X, dtype=torch.float64)
    for j in range(X - 2):
        second[j, j : j + 3] = torch.tensor([1.0, -2.0, 1.0])
    s = VALUES.sqrt()
    neighbours = torch.eye(3, dtype=torch.float64)
    neighbours[0, 1] = neighbours[1, 0] = neighbours[1, 2] = neighbours[2, 1] = alpha
    neighbours[0, 2] = neighbours[2, 0] = alpha**2
    stencil = torch.tensor([1.0, -2.0, 1.0], dtype=torch.float64)
    triple = torch.stack([s[..., :-2], s[..., 1:-1], s[..., 2:]], -1) * stencil
    noise = torch.einsum("...i,ij,...j->...", triple, neighbours, triple)
    prior = torch.diag_embed(VALUES)
    gain = prior @ second.T @ torch.linalg.inv(torch.diag_embed(noise) + second @ prior @ second.T)
    updated, precision = smoothed(means, VALUES, correlation=alpha)
    torch.testing.assert_close(updated, means - (gain @ (second @ means[..., None]))[..., 0])
    rest = prior - gain @ second @ prior
    torch.testing.assert_close(torch.linalg.inv(full_of_bands(precision.bands)), rest)
    torch.testing.assert_close(precision.variance(), torch.diagonal(rest, dim1=-2, dim2=-1))


def test_lines_of_a_plane_do_not_know_each_other():
    size = 4
    variance, means = 0.5 + rand(1, 3 * size, seed=22), randn(1, 3 * size, seed=23)
    together, precision = smoothed(means, variance, line=size)
    for i in range(3):
        part = slice(i * size, (i + 1) * size)
        alone, own = smoothed(means[:, part], variance[:, part])
        torch.testing.assert_close(together[:, part], alone)
        torch.testing.assert_close(precision.variance()[:, part], own.variance())


def test_corrections_spread_along_smooth_pieces_and_stop_at_fronts():
    size = 40
    means = torch.where(torch.arange(size) < 20, 1.0, 0.0).double()[None]
    covariance = edge_stopping(means, torch.full((1, size), 1e-4, dtype=torch.float64), strength=20.0)
    moved = covariance.response(
        torch.eye(size, dtype=torch.float64)[[15]], torch.ones(1, 1, dtype=torch.float64)
    )[0]
    assert moved[16] > 0.5 * moved[15]
    assert moved[20] < 0.01 * moved[19]


def test_rescaling_keeps_correlations_and_gives_the_variances_asked_for():
    precision, full = banded(2)()
    new = rescaled(precision, VALUES)
    torch.testing.assert_close(new.variance(), VALUES)
    scale = (VALUES / torch.diagonal(full, dim1=-2, dim2=-1)).sqrt()
    wanted = full * scale[..., None] * scale[..., None, :]
    torch.testing.assert_close(torch.linalg.inv(full_of_bands(new.bands)), wanted)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9, 16, 31])
@pytest.mark.parametrize("half", [1, 2, 3])
def test_lines_of_any_length_are_factorised(size, half):
    bands = 0.2 * randn(1, half + 1, size, seed=size)
    bands[..., 0, :] += 2.0
    precision, full = BandedPrecision(bands), full_of_bands(bands)
    field = randn(1, size, seed=24)
    torch.testing.assert_close(precision.solve(field)[0], torch.linalg.solve(full[0], field[0]))
    torch.testing.assert_close(precision.variance()[0], torch.linalg.inv(full[0]).diagonal())


def test_precisions_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="above 0"):
        exponential(VALUES * 0.0, 0.5)
    with pytest.raises(ValueError, match="inside"):
        exponential(VALUES, 1.0)
    with pytest.raises(ValueError, match="above 0"):
        smoothed(VALUES, VALUES * 0.0)
    for half in (1, 2):
        with pytest.raises(ValueError, match="positive definite"):
            BandedPrecision(torch.ones(1, half + 1, X, dtype=torch.float64)).variance()


# -- times ------------------------------------------------------------------------------------------------------


def test_smoothing_in_time_is_conditioning_the_dense_chain():
    times, phi, q = 5, 0.8, 0.3
    means, variance = randn(1, times, 2, seed=25), 0.2 + rand(1, times, 2, seed=26)
    updated, chain = smoothed_in_time(means, variance, transition=phi, innovation=q)
    step = torch.eye(times, dtype=torch.float64)[1:] - phi * torch.eye(times, dtype=torch.float64)[:-1]
    for x in range(2):
        # Nothing is known of the first time, so the prior precision is that of the innovations alone.
        precision = step.T @ step / q + torch.diag(1.0 / variance[0, :, x])
        full = torch.linalg.inv(precision)
        torch.testing.assert_close(updated[0, :, x], full @ (means[0, :, x] / variance[0, :, x]))
        torch.testing.assert_close(chain.values[0, :, x], full.diagonal())
        lag = full.diagonal(1) / (full.diagonal()[1:] * full.diagonal()[:-1]).sqrt()
        torch.testing.assert_close(chain.correlations[0, :, x], lag)


def test_times_that_are_known_or_never_change_need_no_inverse():
    means, variance = randn(1, 4, 2, seed=27), rand(1, 4, 2, seed=28)
    variance[:, 1] = 0.0
    updated, chain = smoothed_in_time(means, variance, transition=1.0, innovation=0.0)
    torch.testing.assert_close(updated, means[:, 1:2].expand(1, 4, 2))
    assert chain.variance().max() < 1e-15
    stiff = autoregressive(variance, 1.0).sample(torch.Generator().manual_seed(0))
    torch.testing.assert_close(stiff[:, 2] / variance[:, 2].sqrt(), stiff[:, 0] / variance[:, 0].sqrt())


def test_bad_times_and_kernels_are_refused():
    with pytest.raises(ValueError, match="correlations"):
        MarkovTimes(VALUES, VALUES)
    with pytest.raises(ValueError, match=r"\[−1, 1\]"):
        autoregressive(VALUES, 1.5)
    with pytest.raises(ValueError, match="≥ 0"):
        smoothed_in_time(VALUES, VALUES, transition=1.0, innovation=-1.0)
    with pytest.raises(ValueError, match="same batch"):
        Kronecker(torch.eye(3)[None], torch.eye(4))
    with pytest.raises(ValueError, match="eigenvalue"):
        Kronecker(-torch.eye(3), torch.eye(4)).sample(torch.Generator())
    with pytest.raises(ValueError, match="times=2"):
        Dense(torch.eye(5), 2)


# -- size -------------------------------------------------------------------------------------------------------

LARGE = 200_000


def large(name):
    d = torch.full((1, 1, 1, LARGE), 0.1, dtype=torch.float64)
    if name == "low rank":
        return DiagonalLowRank(d, torch.ones(1, 1, 1, LARGE, 4, dtype=torch.float64))
    if name == "low rank over times":
        return DiagonalLowRank(d, torch.ones(1, 1, 1, LARGE, 4, dtype=torch.float64), True)
    if name == "exponential":
        return exponential(d, 0.9)
    if name == "pentadiagonal":
        return smoothed(d, d)[1]
    return autoregressive(d.reshape(1, 1, 4, LARGE // 4), 0.9)


@pytest.mark.parametrize(
    "name", ["low rank", "low rank over times", "exponential", "pentadiagonal", "Markov times"]
)
def test_no_tensor_is_much_larger_than_the_state(name):
    covariance = large(name)
    weights = torch.full((2, covariance.shape[-1]), 1.0 / LARGE, dtype=torch.float64)
    weights[1] *= torch.linspace(0.0, 1.0, covariance.shape[-1], dtype=torch.float64)
    means = torch.zeros(covariance.shape, dtype=torch.float64)
    rhs = torch.ones(1, covariance.shape[-2], 2, dtype=torch.float64)
    with LargestTensor() as largest:
        updated = exact(means, covariance, weights, rhs)
        updated.covariance.variance()
        updated.covariance.sample(torch.Generator().manual_seed(0))
    assert (updated.means @ weights.T - rhs).abs().max() < 1e-12
    assert largest.numel <= 16 * LARGE


class LargestTensor(torch.utils._python_dispatch.TorchDispatchMode):
    """Notes the largest storage that any operation makes."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, list | tuple) else (out,):
            if isinstance(tensor, torch.Tensor):
                self.numel = max(self.numel, tensor.untyped_storage().nbytes() // 8)
        return out


def test_what_a_batch_shares_is_kept_once():
    shared = torch.rand(1, 1, T, X).expand(1000, 5, T, X)
    assert lean(shared, 2).shape == (1, 1, T, X)
    again = taken(shared, torch.arange(500))
    assert again.shape == (500, 5, T, X)
    assert again.untyped_storage().nbytes() == T * X * 4
    factors = torch.rand(1, 1, T, X, 3).double()
    covariance = DiagonalLowRank(shared.double()[:1].expand(1000, 5, T, X), factors, True)
    with LargestTensor() as largest:
        covariance.gram(LEFT, RIGHT)
        covariance.response(LEFT, torch.ones(1000, 5, T, 2, dtype=torch.float64))
    assert largest.numel <= 1000 * 5 * T * X
