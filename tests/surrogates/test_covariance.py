"""The Gaussian process's structured covariance against the n × n matrix that it never makes."""

import numpy as np
import pytest
import torch

from lawbound.constraints.conditioning import condition
from lawbound.surrogates.covariance import Conditioned, Diagonal
from lawbound.surrogates.gaussian_process import matern
from lawbound.surrogates.grid_process import GridProcess

STORED, X, TIMES = 6, 7, (0, 2, 5)


@pytest.fixture(scope="module")
def process():
    t, x = torch.linspace(0, 1, STORED, dtype=torch.float64), torch.linspace(0, 1, X, dtype=torch.float64)
    g = torch.Generator().manual_seed(0)
    return GridProcess(
        time_kernel=1.7 * matern((t[:, None] - t).abs() / 0.4, 1.5),
        position_kernel=matern((x[:, None] - x).abs() / 0.3, 0.5),
        noise=0.05,
        context_times=torch.randint(STORED, (2, 9), generator=g),
        context_positions=torch.randint(X, (2, 9), generator=g),
        times=torch.tensor(TIMES),
    )


def dense(process):
    """Posterior covariance (sample, n, n) and gain (sample, n, c), n = (t, x) of the predicted times."""
    prior = torch.kron(process.time_kernel, process.position_kernel)
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


def test_variance_gram_response_and_mean_equal_dense_algebra(process, weights):
    full, gain = dense(process)
    g = flat_rows(weights)
    torch.testing.assert_close(process.variance()[0].flatten(1), torch.diagonal(full, dim1=-2, dim2=-1))
    torch.testing.assert_close(process.gram(weights, weights)[0, :, 0], g @ full @ g.T)
    multipliers = torch.rand(1, 2, 3, 2, dtype=torch.float64)
    wanted = full @ (g.T @ multipliers.reshape(2, -1, 1))
    torch.testing.assert_close(process.response(weights, multipliers)[0].flatten(1), wanted[..., 0])
    values = torch.rand(2, 9, dtype=torch.float64)
    torch.testing.assert_close(process.mean(values).flatten(1), (gain @ values[..., None])[..., 0])


def test_what_rows_explain_equals_dense_algebra(process, weights):
    full, _ = dense(process)
    g = flat_rows(weights)
    system = g @ full @ g.T + 0.1 * torch.eye(len(g))
    factor = torch.linalg.cholesky(system)[None, :, None]
    wanted = torch.diagonal(full @ g.T @ torch.linalg.solve(system, g @ full), dim1=-2, dim2=-1)
    torch.testing.assert_close(process.explained(weights, factor)[0].flatten(1), wanted)


def test_conditioning_on_laws_at_all_times_equals_dense_algebra(process, weights):
    full, _ = dense(process)
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


def test_samples_have_the_dense_covariance(process):
    full, _ = dense(process)
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
