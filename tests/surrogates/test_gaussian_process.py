import numpy as np
import pytest
import torch

import lawbound as lb
from lawbound.datasets.points import context_points
from lawbound.datasets.split import of_split
from lawbound.surrogates import checkpoint, context_process
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
    products = [name for name in CHOICES[choice] if "+" not in name]
    assert list(GaussianProcess(choice, parameters=True).choices) == products
    assert list(GaussianProcess(choice, context_times=100, context_positions=100).choices) == products


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


KERNELS = ("rbf", "matern-1/2", "periodic + rbf", "rbf(t) * (matern-3/2(x) + periodic(x))")


@pytest.fixture(scope="module", params=[*KERNELS, "matern-5/2 on lattices"])
def other(request, data):
    """A learner and its process: every kind of kernel, and a context of 18 × 18 points."""
    kernel, _, lattices = request.param.partition(" on ")
    size = {"context_times": 18, "context_positions": 18} if lattices else {}
    learner = GaussianProcess(kernel=kernel, functions=2, iterations=6, **size)
    return learner, learner.fit(of_split(data, "train"), of_split(data, "valid"))


def test_laws_hold_to_round_off_with_every_kernel(other, data):
    _, fitted = other
    test = of_split(data, "test")
    free = fitted.predict(test)
    lawful, report = lb.enforce(free, lb.constraints.Conservation())
    assert np.abs(report.residual_after).max() <= 1e-12
    weights = torch.from_numpy(test.x_weights.values)
    assert (lawful.mean @ weights).abs().max() <= 1e-12  # diffusion's mass is 0
    assert (lawful.sample(3, seed=0) @ weights).abs().max() < 1e-11
    assert (lawful.variance <= free.variance * (1 + 1e-9) + 1e-12).all()


def test_every_kernel_comes_back_from_its_folder(other, data, tmp_path):
    learner, fitted = other
    checkpoint.save(tmp_path, learner, fitted, seed=0)
    again, test = lb.load(tmp_path), of_split(data, "test")
    assert again.kernel == fitted.kernel
    assert torch.equal(again.predict(test).means, fitted.predict(test).means)


def test_a_lattice_of_context_gives_what_one_factor_gives(data, monkeypatch):
    learner = GaussianProcess(kernel="rbf * matern-1/2", functions=2, iterations=6, context_times=17)
    train, test = of_split(data, "train"), of_split(data, "test")
    points = learner.fit(train, train)
    wanted, loss = points.predict(test, times=np.array([0, 5, 19])), points.surprise(train, 3)
    monkeypatch.setattr(context_process, "_FEW", 100)
    assert points.on_lattices
    got = points.predict(test, times=np.array([0, 5, 19]))
    assert points.surprise(train, 3) == pytest.approx(loss, rel=1e-9)
    torch.testing.assert_close(got.means, wanted.means, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(got.variance, wanted.variance, rtol=1e-6, atol=1e-9)


def test_a_whole_grid_of_context_takes_no_matrix_of_its_points(data):
    """480 points a function; the dense factor of one would be the largest array by far."""
    learner = GaussianProcess(
        kernel="matern-3/2", functions=2, iterations=4, context_times=20, context_positions=24
    )
    fitted = learner.fit(of_split(data, "train"), of_split(data, "valid"))
    test = of_split(data, "test")
    prediction = fitted.predict(test)
    held = [
        value
        for line in (prediction.covariance.time, prediction.covariance.position)
        for value in vars(line).values()
    ]
    sizes = [part.numel() for value in held for part in (value if isinstance(value, tuple) else (value,))]
    assert max(sizes) <= max(test.sizes["sample"], 24) * 24 * 24
    error = prediction.mean - torch.from_numpy(test.u.values.astype(np.float64))
    assert error.abs().max() < 6 * float(fitted.logs.exp()[-1]) * fitted.units.scale + 1e-3


def test_constant_fields_are_refused(data):
    flat = data.copy(deep=True)
    flat["u"].values[:] = 0.3
    with pytest.raises(
        ValueError, match=r"`u` of the training data is 0.3 everywhere.*Give training data that vary"
    ):
        GaussianProcess().fit(flat, flat)
