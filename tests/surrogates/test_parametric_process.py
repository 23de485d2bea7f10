"""The process over (t, x, parameters) against one dense matrix of all training points."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import lawbound as lb
from lawbound.datasets import schema
from lawbound.datasets.split import of_split
from lawbound.surrogates import checkpoint
from lawbound.surrogates.gaussian_process import GaussianProcess
from lawbound.surrogates.process_data import domain_axes

LEARNER = GaussianProcess(
    kernel="rbf(t) * matern-5/2(x, k) * rbf(k)",
    functions=5, iterations=8, context_times=4, context_positions=6, parameters=True,
)  # fmt: skip


@pytest.fixture(scope="module")
def data():
    return lb.generate("diffusion", 30, nx=12, nt=10, seed=2)


@pytest.fixture(scope="module")
def fitted(data):
    found = LEARNER.fit(of_split(data, "train"), of_split(data, "valid"))
    # More noise than diffusion has, so that dense algebra keeps enough digits to be compared with.
    return replace(
        found, logs=torch.cat((found.logs[:-1], torch.log(torch.tensor([0.05], dtype=torch.float64))))
    )


@pytest.fixture(scope="module")
def test(data):
    return of_split(data, "test").isel(sample=slice(2))


TIMES = np.array([1, 4, 9])


def points(t, x, parameter):
    return torch.stack([p.flatten() for p in torch.meshgrid(t, x, parameter, indexing="ij")], dim=-1)


@pytest.fixture(scope="module")
def dense(fitted, test):
    """Mean and covariance, (sample, n) and (sample, n, n), by one factorisation of 120 training points."""
    t, x = domain_axes(fitted.origin, test)
    low, high = fitted.ranges[:, 0]
    seen = torch.cat([points(fitted.times, fitted.positions, p) for p in fitted.functions])
    means, covariances = [], []
    for k in torch.from_numpy(test["k"].values.astype(np.float64)):
        here = points(t[TIMES], x, ((k - low) / (high - low))[None])
        joint = fitted.kernel.matrix(fitted.logs, torch.cat((seen, here)))
        n = len(seen)
        gain = torch.linalg.solve(joint[:n, :n], joint[:n, n:]).mT
        means.append(gain @ fitted.values.flatten())
        covariances.append(joint[n:, n:] - gain @ joint[:n, n:])
    return torch.stack(means), torch.stack(covariances)


def test_mean_and_covariance_are_those_of_one_dense_matrix(fitted, test, dense):
    prediction = fitted.predict(test, times=TIMES)
    mean, full = dense
    scale = fitted.units.scale
    torch.testing.assert_close(
        (prediction.means[0].flatten(1) - fitted.units.offset) / scale, mean, rtol=1e-8, atol=1e-9
    )
    variance = torch.diagonal(full, dim1=-2, dim2=-1)
    torch.testing.assert_close(prediction.covariance.variance()[0].flatten(1) / scale**2, variance)
    weights = torch.rand(2, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = torch.kron(torch.eye(3, dtype=torch.float64), weights)
    gram = prediction.covariance.gram(weights, weights)[0, :, 0] / scale**2
    torch.testing.assert_close(gram, rows @ full @ rows.T)


def test_samples_have_the_dense_covariance(fitted, test, dense):
    _, full = dense
    covariance = fitted.predict(test, times=TIMES).covariance
    many = covariance.take(torch.zeros(20_000, dtype=torch.long)).sample(torch.Generator().manual_seed(0))
    for sampled, wanted in zip(many.transpose(0, 1).flatten(2) / fitted.units.scale, full, strict=True):
        deviation = wanted.diagonal().sqrt()
        bound = 6.0 * (2.0 / 20_000) ** 0.5 * torch.outer(deviation, deviation)
        assert ((sampled.mT @ sampled / 20_000 - wanted).abs() <= bound).all()


def test_the_likelihood_is_that_of_one_dense_matrix(fitted):
    seen = torch.cat([points(fitted.times, fitted.positions, p) for p in fitted.functions])
    covariance = fitted.kernel.matrix(fitted.logs, seen)
    density = torch.distributions.MultivariateNormal(torch.zeros(len(seen), dtype=torch.float64), covariance)
    wanted = -density.log_prob(fitted.values.flatten()) / len(seen)
    torch.testing.assert_close(fitted.evidence.loss(fitted.logs), wanted)


def test_it_predicts_new_functions_without_reading_them_and_on_other_grids(data):
    learner = replace(
        LEARNER, kernel="rbf", functions=16, iterations=30, context_times=10, context_positions=12
    )
    fitted = learner.fit(of_split(data, "train"), of_split(data, "valid"))
    fine = of_split(lb.generate("diffusion", 30, nx=40, nt=25, seed=2), "test")
    truth = torch.from_numpy(fine.u.values.astype(np.float64))
    hidden = fine.copy(deep=True)
    hidden["u"].values[:] = np.nan
    prediction = fitted.predict(hidden)
    assert (prediction.mean - truth).norm() < 0.1 * truth.norm()


def test_laws_hold_to_round_off_and_it_comes_back_from_its_folder(fitted, data, tmp_path):
    test = of_split(data, "test")
    lawful, report = lb.enforce(fitted.predict(test), lb.constraints.Conservation())
    assert np.abs(report.residual_after).max() <= 1e-12
    weights = torch.from_numpy(test.x_weights.values)
    assert (lawful.sample(3, seed=0) @ weights).abs().max() < 1e-11
    checkpoint.save(tmp_path, LEARNER, fitted, seed=0)
    again = lb.load(tmp_path)
    assert again.kernel == fitted.kernel and again.origin == fitted.origin
    assert torch.equal(again.predict(test).means, fitted.predict(test).means)


def test_what_it_cannot_do_is_refused(fitted, data):
    with pytest.raises(ValueError, match="exact for products only"):
        replace(LEARNER, kernel="rbf + periodic").fit(data, data)
    one = data.isel(sample=[0, 0])
    with pytest.raises(ValueError, match="Of the parameters k none varies"):
        LEARNER.fit(one, one)
    broken = data.copy(deep=True)
    broken["k"].values[1] = np.nan
    with pytest.raises(ValueError, match="`k`, which is missing or not finite"):
        fitted.predict(broken)
    assert schema.by_role(data, schema.PARAMETER) == ["k"]


def test_planes_are_refused():
    plane = lb.generate("pme-2d", 3, nx=8, nt=3, seed=0)
    with pytest.raises(ValueError, match="has the axes y, x; the process is over"):
        LEARNER.fit(plane, plane)
