import numpy as np
import pytest
import torch

import lawbound as lb
from lawbound.datasets.points import context_points
from lawbound.datasets.split import of_split
from lawbound.surrogates import checkpoint
from lawbound.surrogates.gaussian_process import CHOICES, GaussianProcess
from lawbound.surrogates.kernels import matern


@pytest.fixture(scope="module")
def data():
    return lb.generate("diffusion", 30, nx=24, nt=20, seed=2)


@pytest.fixture(scope="module")
def learner():
    return GaussianProcess(kernel="matern-5/2", functions=6, iterations=20)


@pytest.fixture(scope="module")
def fitted(data, learner):
    return learner.fit(of_split(data, "train"), of_split(data, "valid"))


def test_the_gradient_that_skips_the_factorisation_is_the_gradient(fitted, data):
    logs = (fitted.logs + 0.1).clone().requires_grad_(True)
    evidence = fitted.evidence(data, 3)
    value = evidence.loss_with_gradient(logs)
    loss = evidence.loss(logs)
    (direct,) = torch.autograd.grad(loss, logs)
    torch.testing.assert_close(value, loss.detach())
    torch.testing.assert_close(logs.grad, direct)


def test_the_loss_is_minus_the_log_density_of_the_context(fitted, data):
    evidence = fitted.evidence(data, 2)
    where, values = evidence.where, evidence.values
    length_t, length_x, amplitude, noise = fitted.logs.exp()
    total = 0.0
    for points, u in zip(where, values, strict=True):
        t, x = points.T
        kernel = matern((t[:, None] - t).abs() / length_t, 2.5) * matern(
            (x[:, None] - x).abs() / length_x, 2.5
        )
        cov = amplitude**2 * kernel + (noise**2 + 1e-8 * amplitude**2) * torch.eye(len(t))
        total -= float(
            torch.distributions.MultivariateNormal(torch.zeros(len(t), dtype=torch.float64), cov).log_prob(u)
        )
    assert float(evidence.loss(fitted.logs)) == pytest.approx(total / 2 / 100, rel=1e-6)


def test_fitting_raises_the_likelihood_and_predicts_better_than_the_mean(fitted, data, learner):
    train = of_split(data, "train")
    start = type(fitted).blank(fitted.origin, fitted.context, fitted.units, "matern-5/2")
    assert fitted.surprise(train, 6) < start.surprise(train, 6) - 0.5
    test = of_split(data, "test")
    u = test.u.values.astype(np.float64)
    error = fitted.predict(test).mean.numpy() - u
    assert (error**2).mean() < 0.05 * u.var()


def test_it_interpolates_its_context_as_closely_as_its_noise_says(fitted, data):
    test = of_split(data, "test")
    prediction, points = fitted.predict(test), context_points(test)
    gap = points.values(prediction.mean.numpy()) - points.values(test.u.values)
    assert np.abs(gap).max() < 6 * float(fitted.logs.exp()[3]) * fitted.units.scale + 1e-3


def test_it_reads_nothing_of_the_field_but_the_context(fitted, data):
    test = of_split(data, "test")
    hidden = test.copy(deep=True)
    points, keep = context_points(test), np.zeros(test.u.shape, dtype=bool)
    for s in range(test.sizes["sample"]):
        keep[s][np.ix_(points.times[s], points.positions[s])] = True
    hidden["u"].values[~keep] = np.nan
    torch.testing.assert_close(fitted.predict(hidden).means, fitted.predict(test).means)


def test_predicting_some_times_is_predicting_all_and_picking(fitted, data):
    test, times = of_split(data, "test"), np.array([1, 7, 19])
    some, whole = fitted.predict(test, times=times), fitted.predict(test)
    torch.testing.assert_close(some.means, whole.means[:, :, times])
    torch.testing.assert_close(some.variance, whole.variance[:, times])


@pytest.mark.parametrize("choice", CHOICES)
def test_the_kernel_is_chosen_by_the_validation_functions(choice, data):
    train, valid = of_split(data, "train"), of_split(data, "valid")
    free = GaussianProcess(choice, 4, 8).fit(train, valid)
    losses = {
        name: GaussianProcess(name, 4, 8).fit(train, valid).surprise(valid, 4) for name in CHOICES[choice]
    }
    assert free.kernel.formula.text == min(losses, key=losses.__getitem__)


def test_the_law_improves_it_and_holds_to_round_off_jointly_over_times(fitted, data):
    test = of_split(data, "test")
    free = fitted.predict(test)
    lawful, report = lb.enforce(free, lb.constraints.Conservation())
    u = torch.from_numpy(test.u.values.astype(np.float64))
    assert np.abs(report.residual_after).max() <= 1e-12
    assert ((lawful.mean - u) ** 2).mean() < ((free.mean - u) ** 2).mean()
    assert (lawful.variance <= free.variance * (1 + 1e-9)).all()
    w = torch.from_numpy(test.x_weights.values)
    assert (lawful.sample(3, seed=0) @ w).abs().max() < 1e-11  # diffusion's mass is 0


def test_a_saved_process_predicts_the_same_bits(fitted, data, learner, tmp_path):
    checkpoint.save(tmp_path, learner, fitted, seed=0)
    again = lb.load(tmp_path)
    test = of_split(data, "test")
    assert torch.equal(again.predict(test).means, fitted.predict(test).means)
    assert again.origin == fitted.origin


def test_wrong_options_and_foreign_data_are_refused(fitted, stefan, learner):
    with pytest.raises(ValueError, match="kernel='matern-2': 'matern-2' is no kernel"):
        GaussianProcess(kernel="matern-2")
    with pytest.raises(ValueError, match=r"over y, the process over t, x"):
        GaussianProcess(kernel="rbf(y)").fit(stefan, stefan)
    with pytest.raises(ValueError, match="at least 1"):
        GaussianProcess(functions=0)
    with pytest.raises(ValueError, match="trained on `diffusion`, the data are of `stefan`"):
        fitted.predict(stefan)
    with pytest.raises(ValueError, match="runs on the cpu"):
        learner.fit(stefan, stefan, device="cuda")


def test_nan_at_a_context_point_is_refused_with_the_sample(fitted, data):
    test = of_split(data, "test").copy(deep=True)
    test["u"].values[1] = np.nan
    with pytest.raises(ValueError, match=f"sample {int(test.sample[1])} is not finite"):
        fitted.predict(test)
