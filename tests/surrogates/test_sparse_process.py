"""Inducing points: the bound that gpytorch computes, and the structured posterior, against dense algebra."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import lawbound as lb
from lawbound.datasets.extras import MissingExtra
from lawbound.datasets.split import of_split
from lawbound.surrogates import checkpoint
from lawbound.surrogates.context_process import ContextProcess
from lawbound.surrogates.gaussian_process import GaussianProcess
from lawbound.surrogates.process_data import Context, Units
from lawbound.surrogates.separable import SeparableKernel
from lawbound.surrogates.sparse_process import SparseEvidence, inducing_lattice
from lawbound.surrogates.surrogate import Origin

KERNEL = "matern-3/2 + periodic(x)"
LEARNER = GaussianProcess(kernel=KERNEL, functions=2, iterations=5, inducing=20)


@pytest.fixture(scope="module")
def data():
    return lb.generate("diffusion", 20, nx=12, nt=10, seed=2)


@pytest.fixture(scope="module")
def process(data):
    """Not fitted, so that gpytorch is not needed."""
    train = of_split(data, "train")
    return ContextProcess.blank(Origin.of(train, "u"), Context(0, 10, 10), Units.of(train, "u"), KERNEL, 20)


TIMES = np.array([0, 3, 9])


@pytest.fixture(scope="module")
def dense(process, data):
    """Mean and covariance by K_*Z (K_ZZ + S)⁻¹ and K_** − K_*Z (K_ZZ⁻¹ − (K_ZZ + S)⁻¹) K_Z*, S = K_ZX K_XZ / τ²."""
    test = of_split(data, "test").isel(sample=slice(2))
    t, x = (torch.linspace(0, 1, n, dtype=torch.float64) for n in (10, 12))
    z = torch.stack((t[inducing_lattice(20, 10, 12)[0]], x[inducing_lattice(20, 10, 12)[1]]), -1)
    here = torch.cartesian_prod(t[TIMES], x)
    evidence = replace(process, inducing=None).evidence(test, 2)
    numbers = process.kernel.numbers(process.logs)
    noise = process.kernel.noise(numbers)

    def k(a, b):
        return process.kernel.between(numbers, a, b)

    inner = k(z, z) + 2e-8 * 0.5 * torch.eye(len(z))  # the ridge: 1e-8 times both amplitudes' squares
    means, covariances = [], []
    for where, values in zip(evidence.where, evidence.values, strict=True):
        system = inner + k(z, where) @ k(where, z) / noise
        means.append(k(here, z) @ torch.linalg.solve(system, k(z, where) @ values / noise))
        known = torch.linalg.inv(inner) - torch.linalg.inv(system)
        prior = k(here, here) + noise * torch.eye(len(here))
        covariances.append(prior - k(here, z) @ known @ k(z, here))
    return test, torch.stack(means), torch.stack(covariances)


def test_mean_and_covariance_are_those_of_dense_algebra(process, dense):
    test, mean, full = dense
    prediction, scale = process.predict(test, times=TIMES), process.units.scale
    ours = (prediction.means[0].flatten(1) - process.units.offset) / scale
    torch.testing.assert_close(ours, mean, rtol=1e-6, atol=1e-7)
    variance = torch.diagonal(full, dim1=-2, dim2=-1)
    torch.testing.assert_close(prediction.variance.flatten(1) / scale**2, variance, rtol=1e-5, atol=1e-8)
    many = prediction.covariance.take(torch.zeros(20_000, dtype=torch.long))
    draws = many.sample(torch.Generator().manual_seed(0)).transpose(0, 1).flatten(2) / scale
    for sampled, wanted in zip(draws, full, strict=True):
        bound = 6.0 * (2.0 / 20_000) ** 0.5 * torch.outer(wanted.diagonal().sqrt(), wanted.diagonal().sqrt())
        assert ((sampled.mT @ sampled / 20_000 - wanted).abs() <= bound).all()


def test_laws_hold_to_round_off(process, data):
    test = of_split(data, "test")
    lawful, report = lb.enforce(process.predict(test), lb.constraints.Conservation())
    assert np.abs(report.residual_after).max() <= 1e-12
    assert (lawful.sample(3, seed=0) @ torch.from_numpy(test.x_weights.values)).abs().max() < 1e-11


def test_as_many_inducing_points_as_the_grid_has_give_the_exact_process(process, data):
    test = of_split(data, "test").isel(sample=slice(2))
    exact = replace(process, inducing=None).predict(test)
    every = replace(process, inducing=144).predict(test)
    torch.testing.assert_close(every.means, exact.means, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(every.variance, exact.variance, rtol=1e-4, atol=1e-5)


def test_without_gpytorch_it_says_how_to_install_it(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "gpytorch", None)
    with pytest.raises(MissingExtra, match=r"`gpytorch`, which is not installed.*lawbound\[gp\]"):
        LEARNER.fit(data, data)
    with pytest.raises(ValueError, match="inducing=20 with parameters=true"):
        replace(LEARNER, parameters=True)


def test_gpytorch_computes_the_bound_and_its_gradient():
    pytest.importorskip("gpytorch")
    kernel = SeparableKernel.of(KERNEL, ("t", "x"))
    generator = torch.Generator().manual_seed(0)
    where = torch.rand(2, 15, 2, generator=generator, dtype=torch.float64)
    values = torch.rand(2, 15, generator=generator, dtype=torch.float64)
    inducing = torch.rand(6, 2, generator=generator, dtype=torch.float64)
    evidence = SparseEvidence(kernel, inducing, where, values)
    logs = kernel.start({"t": 1.0, "x": 1.0}).requires_grad_(True)
    numbers = kernel.numbers(logs)
    total = sum(kernel.amplitudes(numbers))
    inner = kernel.between(numbers, inducing, inducing) + 1e-8 * total * torch.eye(6)
    across = kernel.between(numbers, where, inducing)
    low = across @ torch.linalg.solve(inner, across.mT)
    noise = kernel.noise(numbers)
    density = torch.distributions.MultivariateNormal(torch.zeros(15).double(), low + noise * torch.eye(15))
    missing = (15 * total - torch.diagonal(low, dim1=-2, dim2=-1).sum(-1)) / (2 * noise)
    wanted = ((missing - density.log_prob(values)) / 15).mean()
    (gradient,) = torch.autograd.grad(wanted, logs)
    torch.testing.assert_close(evidence.loss(logs), wanted, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(evidence.loss_with_gradient(logs), wanted.detach(), rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(logs.grad, gradient, rtol=1e-5, atol=1e-7)


def test_it_is_fitted_and_comes_back_from_its_folder(process, data, tmp_path):
    pytest.importorskip("gpytorch")
    train, test = of_split(data, "train"), of_split(data, "test")
    fitted = LEARNER.fit(train, of_split(data, "valid"))
    assert fitted.surprise(train, 2) < process.surprise(train, 2)
    checkpoint.save(tmp_path, LEARNER, fitted, seed=0)
    assert torch.equal(lb.load(tmp_path).predict(test).means, fitted.predict(test).means)
