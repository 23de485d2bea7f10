"""The Gaussian process's structured covariance against the n × n matrix that it never makes."""

import numpy as np
import pytest
import torch

from lawbound.constraints.conditioning import condition
from lawbound.surrogates.covariance import Conditioned, Diagonal
from lawbound.surrogates.grid_process import GridProcess
from lawbound.surrogates.kernels import matern, periodic
from lawbound.surrogates.lattice_process import Functions, LatticeProcess, Line
from lawbound.surrogates.separable import gaps

STORED, X, TIMES = 6, 7, (0, 2, 5)


@pytest.fixture(scope="module", params=["product", "sum", "lattice"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def exact(kind):
    """Regression on nine points of two functions, a lattice of them for `lattice`; a kernel of two terms for `sum`."""
    t, x = torch.linspace(0, 1, STORED, dtype=torch.float64), torch.linspace(0, 1, X, dtype=torch.float64)
    g = torch.Generator().manual_seed(0)
    times, positions = torch.randint(STORED, (2, 9), generator=g), torch.randint(X, (2, 9), generator=g)
    if kind == "lattice":
        times = torch.tensor([[0, 3, 4], [1, 2, 5]]).repeat_interleave(3, dim=1)
        positions = torch.tensor([[0, 2, 6], [1, 3, 4]]).repeat(1, 3)
    terms = 2 if kind == "sum" else 1
    return GridProcess(
        time_kernels=(
            1.7 * matern(gaps(t) / 0.4, 1.5),
            0.3 * torch.ones(STORED, STORED, dtype=torch.float64),
        )[:terms],
        position_kernels=(matern(gaps(x) / 0.3, 0.5), periodic(gaps(x), 1.0, 0.5))[:terms],
        noise=0.05,
        context_times=times,
        context_positions=positions,
        times=torch.tensor(TIMES),
    )


@pytest.fixture(scope="module")
def process(exact, kind):
    if kind != "lattice":
        return exact
    (in_time,), (in_space,) = exact.time_kernels, exact.position_kernels
    return LatticeProcess(
        Line(in_time, exact.times, exact.context_times[:, ::3]),
        Line(in_space, torch.arange(X), exact.context_positions[:, :3]),
        Functions.itself(2),
        exact.noise,
    )


def dense(process):
    """Posterior covariance (sample, n, n) and gain (sample, n, c), n = (t, x) of the predicted times."""
    prior = sum(map(torch.kron, process.time_kernels, process.position_kernels))
    chosen = torch.tensor([t * X + x for t in TIMES for x in range(X)])
    covariances, gains = [], []
    for times, positions in zip(process.context_times, process.context_positions, strict=True):
        seen = times * X + positions
        gain = prior[chosen][:, seen] @ torch.linalg.inv(prior[seen][:, seen] + process.noise * torch.eye(9))
        covariances.append(
            prior[chosen][:, chosen] + process.noise * torch.eye(len(chosen)) - gain @ prior[seen][:, chosen]
        )
        gains.append(gain)
    return torch.stack(covariances), torch.stack(gains)


def flat_rows(weights):
    return torch.kron(torch.eye(len(TIMES), dtype=torch.float64), weights)


@pytest.fixture(scope="module")
def weights():
    return torch.rand(2, X, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_variance_gram_response_and_mean_equal_dense_algebra(process, exact, weights):
    full, gain = dense(exact)
    g = flat_rows(weights)
    torch.testing.assert_close(process.variance()[0].flatten(1), torch.diagonal(full, dim1=-2, dim2=-1))
    torch.testing.assert_close(process.gram(weights, weights)[0, :, 0], g @ full @ g.T)
    multipliers = torch.rand(1, 2, 3, 2, dtype=torch.float64)
    wanted = full @ (g.T @ multipliers.reshape(2, -1, 1))
    torch.testing.assert_close(process.response(weights, multipliers)[0].flatten(1), wanted[..., 0])
    values = torch.rand(2, 9, dtype=torch.float64)
    given = values if process is exact else process.into(values.unflatten(1, (3, 3)))
    torch.testing.assert_close(process.mean(given).flatten(1), (gain @ values[..., None])[..., 0])


def test_what_rows_explain_equals_dense_algebra(process, exact, weights):
    full, _ = dense(exact)
    g = flat_rows(weights)
    system = g @ full @ g.T + 0.1 * torch.eye(len(g))
    factor = torch.linalg.cholesky(system)[None, :, None]
    wanted = torch.diagonal(full @ g.T @ torch.linalg.solve(system, g @ full), dim1=-2, dim2=-1)
    torch.testing.assert_close(process.explained(weights, factor)[0].flatten(1), wanted)


def test_conditioning_on_laws_at_all_times_equals_dense_algebra(process, exact, weights):
    full, _ = dense(exact)
    g = flat_rows(weights)
    means = torch.rand(1, 2, 3, X, dtype=torch.float64)
    rhs = torch.rand(2, 3, 2, dtype=torch.float64)
    sigma = 0.1 * torch.rand(2, 3, 2, dtype=torch.float64)
    for noise in (sigma, torch.zeros_like(sigma)):
        updated = condition(means, process, weights, rhs, noise, 0.0)
        for s in range(2):
            gain = full[s] @ g.T @ torch.linalg.inv(g @ full[s] @ g.T + torch.diag(noise[s].flatten() ** 2))
            mean = means[0, s].flatten() - gain @ (g @ means[0, s].flatten() - rhs[s].flatten())
            torch.testing.assert_close(updated.means[0, s].flatten(), mean)
            variance = torch.diagonal(full[s] - gain @ g @ full[s])
            torch.testing.assert_close(
                updated.covariance.variance()[0, s].flatten(), variance, rtol=1e-7, atol=1e-10
            )


def test_samples_have_the_dense_covariance(process, exact):
    full, _ = dense(exact)
    many = process.take(torch.zeros(40_000, dtype=torch.long)).sample(torch.Generator().manual_seed(0))
    for s in range(2):
        np.testing.assert_allclose(np.cov(many[:, s].flatten(1).T.numpy()), full[s].numpy(), atol=0.06)


def test_samples_under_a_law_obey_it_and_have_the_stated_variance(process, weights):
    zero = torch.zeros(2, 3, 2, dtype=torch.float64)
    covariance = condition(
        torch.zeros(1, 2, 3, X, dtype=torch.float64), process, weights, zero, zero, 0.0
    ).covariance
    assert isinstance(covariance, Conditioned)
    many = covariance.take(torch.zeros(20_000, dtype=torch.long)).sample(torch.Generator().manual_seed(0))
    assert (many @ weights.T).abs().max() < 1e-12
    np.testing.assert_allclose(many.var(0), covariance.variance()[0], atol=0.05)


def test_a_diagonal_covariance_is_its_dense_self():
    values = torch.rand(2, 2, 3, X, dtype=torch.float64)
    left, right = torch.rand(2, X, dtype=torch.float64), torch.rand(3, X, dtype=torch.float64)
    covariance = Diagonal(values)
    torch.testing.assert_close(covariance.gram(left, right), left @ torch.diag_embed(values) @ right.T)
    multipliers = torch.rand(2, 2, 3, 2, dtype=torch.float64)
    wanted = (torch.diag_embed(values) @ left.T @ multipliers[..., None])[..., 0]
    torch.testing.assert_close(covariance.response(left, multipliers), wanted)
    assert covariance.take(torch.tensor([1, 1, 0])).shape == (3, 2, 3, X)
