import numpy as np
import pytest
import torch

import lawbound as lb
from lawbound.constraints import Dirichlet, Neumann
from lawbound.constraints.enforcement import Condition, enforce
from lawbound.datasets.layout import Layout
from lawbound.post_hoc import post_hoc
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.low_rank import DiagonalLowRank
from lawbound.surrogates.prediction import Prediction


def data_of(problem, count=24, split="in-range", **given):
    return lb.generate(problem, count, split=split, nx=32, nt=5, **given)


def wrong(data, seed, modes):
    """Predictions that are off by a random combination of a few shapes, a little noise on top."""
    truth = torch.from_numpy(Layout.of(data, ("u",)).state(data))
    generator = torch.Generator().manual_seed(seed)
    amplitudes = torch.randn(len(truth), len(modes), generator=generator, dtype=torch.float64)
    off = torch.einsum("sk,kn->sn", amplitudes, modes)[:, None].expand_as(truth)
    noise = 1e-4 * torch.randn(truth.shape, generator=generator, dtype=torch.float64)
    means = (truth + off + noise)[None]
    return Prediction(means, Diagonal(torch.full_like(means, 0.1)), data), truth


def smooth_modes(points=32):
    x = torch.linspace(0, 1, points, dtype=torch.float64)
    return torch.stack([1 - x, x])


def test_errors_of_few_dimensions_are_fixed_by_the_walls_through_their_own_covariance():
    calibration, test = data_of("heat-dirichlet"), data_of("heat-dirichlet", 8, "test")
    chosen = post_hoc(*wrong(calibration, 0, smooth_modes()), Dirichlet())
    assert chosen.way in ("space-time", "each time")
    prediction, truth = wrong(test, 1, smooth_modes())
    before = (prediction.mean - truth).square().mean()
    after = chosen(prediction).prediction.mean
    assert (after - truth).square().mean() < 1e-4 * before
    assert np.abs(Dirichlet().residual(after.numpy(), test)).max() < 1e-12


def test_errors_next_to_walls_of_more_shapes_than_samples_show_are_lifted_next_to_walls():
    x = torch.linspace(0, 1, 32, dtype=torch.float64)
    generator = torch.Generator().manual_seed(3)

    def layered(data):
        """Off by a layer exp(−d/0.1) at each wall whose size is new at every time, and by noise of rank n."""
        truth = torch.from_numpy(Layout.of(data, ("u",)).state(data))
        sizes = torch.randn(*truth.shape[:2], 2, generator=generator, dtype=torch.float64)
        off = sizes @ torch.stack([torch.exp(-x / 0.1), torch.exp(-(1 - x) / 0.1)])
        noise = 0.05 * torch.randn(truth.shape, generator=generator, dtype=torch.float64)
        means = (truth + off + noise)[None]
        return Prediction(means, Diagonal(torch.full_like(means, 0.1)), data), truth

    chosen = post_hoc(*layered(data_of("heat-dirichlet", 8)), Dirichlet())
    assert (chosen.way, chosen.length) == ("local", 0.1)
    prediction, truth = layered(data_of("heat-dirichlet", 8, "test"))
    inside = (chosen(prediction).prediction.mean - truth)[..., 1:-1].square().mean()
    assert inside < 0.2 * (prediction.mean - truth)[..., 1:-1].square().mean()


def test_slopes_hold_after_every_way():
    calibration = data_of("heat-neumann")
    prediction, truth = wrong(calibration, 0, smooth_modes())
    chosen = post_hoc(prediction, truth, Neumann())
    for way in (chosen, post_hoc(prediction, truth, Neumann(), seed=1)):
        lawful = way(prediction).prediction
        assert np.abs(Neumann().residual(lawful.mean.numpy(), calibration)).max() < 1e-9


def test_too_few_samples_to_choose_from_are_refused():
    calibration = data_of("heat-dirichlet", 4)
    with pytest.raises(ValueError, match="4 samples to choose from; give 8"):
        post_hoc(*wrong(calibration, 0, smooth_modes()), Dirichlet())


def test_a_fixed_value_moves_what_is_correlated_with_it_and_leaves_no_variance_at_its_point():
    data = data_of("heat-dirichlet", 3)
    truth = torch.from_numpy(Layout.of(data, ("u",)).state(data))
    factors = smooth_modes().mT.expand(1, *truth.shape, 2)
    covariance = DiagonalLowRank(torch.full((1, *truth.shape), 1e-12, dtype=torch.float64), factors, False)
    off = truth + 0.3 * smooth_modes().sum(0)
    lawful, report = enforce(Prediction(off[None], covariance, data), Dirichlet(), Condition())
    assert float((lawful.mean - truth).abs().max()) < 1e-6
    assert float(lawful.variance[..., [0, -1]].abs().max()) < 1e-12
    assert report.bound == pytest.approx(2 / 32)
    assert report.residual_after.max() <= 1e-12
