"""The training layer: lawful mean and variance, exact derivatives, and a network that learns through it."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from lawbound.constraints import Conservation
from lawbound.constraints.bounds import Bounds
from lawbound.constraints.layer import ConstraintLayer
from lawbound.constraints.projection import Equalities, Limits
from lawbound.constraints.sets import Order
from lawbound.constraints.shape import TotalVariation

D = torch.float64
ROOT = Path(__file__).resolve().parents[2]


def trial(seed, n=7, batch=(4,)):
    g = torch.Generator().manual_seed(seed)
    weights = torch.cat([torch.full((1, n), 1.0 / n, dtype=D), torch.rand(1, n, generator=g, dtype=D)])
    x = torch.sort(torch.rand(n, generator=g, dtype=D)).values
    rows = Equalities(weights, weights @ x, torch.zeros(2, dtype=D))
    m = x + 0.6 * torch.randn(*batch, n, generator=g, dtype=D)
    return m, 0.1 + torch.rand(*batch, n, generator=g, dtype=D), rows


BOX = Limits(torch.zeros(7, dtype=D), torch.ones(7, dtype=D))


def rising():
    return Limits(BOX.lower, BOX.upper, Order(np.array([0]), np.array([7]), np.array([1]), "rising"))


@pytest.mark.parametrize("limits", [None, BOX, rising()], ids=["rows", "box", "order"])
def test_the_variance_is_the_diagonal_of_j_d_jt(limits):
    m, d, rows = trial(0)
    layer = ConstraintLayer(rows, limits, floor=0.0, dtype=D)
    found = layer(m, d)
    for i in range(len(m)):
        j = torch.autograd.functional.jacobian(lambda z, i=i: layer(z, d[i]).mean, m[i])
        torch.testing.assert_close(
            found.variance[i], torch.diagonal(j @ torch.diag(d[i]) @ j.T), rtol=1e-9, atol=1e-12
        )
        assert (found.variance[i] <= d[i] * (1 + 1e-12)).all()


def test_uncertain_rows_leave_the_variance_of_the_bayesian_update():
    m, d, rows = trial(1)
    noise = torch.tensor([0.05, torch.inf], dtype=D)
    found = ConstraintLayer(rows._replace(noise=noise), dtype=D)(m, d)
    g = rows.weights[:1]
    for i in range(len(m)):
        s = torch.diag(d[i])
        wanted = s - s @ g.T @ torch.linalg.inv(g @ s @ g.T + 0.05) @ g @ s
        torch.testing.assert_close(found.variance[i], torch.diagonal(wanted), rtol=1e-12, atol=0)


@pytest.mark.parametrize("limits", [None, BOX, rising()], ids=["rows", "box", "order"])
def test_derivatives_of_mean_and_variance_are_those_of_differences(limits):
    m, d, rows = trial(2)
    layer = ConstraintLayer(rows, limits, dtype=D)
    assert torch.autograd.gradcheck(
        lambda m, d: tuple(layer(m, d)), (m.requires_grad_(), d.requires_grad_()), eps=1e-7, atol=1e-5
    )


def test_the_same_row_twice_counts_once():
    m, d, rows = trial(3)
    once = ConstraintLayer(rows, BOX, dtype=D)(m, d)
    again = [torch.cat([tensor, tensor[:1]]) for tensor in rows]
    twice = ConstraintLayer(Equalities(*again), BOX, dtype=D)(m, d)
    torch.testing.assert_close(twice.mean, once.mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(twice.variance, once.variance, rtol=0, atol=1e-9)


def test_single_precision_comes_out_and_the_law_s_numbers_stay_double():
    m, d, rows = trial(4)
    layer = ConstraintLayer(rows, BOX).float().half()
    assert layer.weights.dtype == layer.rhs.dtype == D
    found = layer(m.float(), d.float())
    assert found.mean.dtype == found.variance.dtype == torch.float32
    assert (found.mean.double() @ rows.weights.T - rows.rhs).abs().max() < 1e-6
    assert not layer.state_dict()


def test_every_sample_has_its_own_right_hand_side(stefan):
    layer = ConstraintLayer.of(Conservation() & Bounds(0.0, 1.0), stefan, dtype=D)
    picked = torch.tensor([5, 2])
    mean = torch.rand(
        2, stefan.sizes["t"], stefan.sizes["x"], dtype=D, generator=torch.Generator().manual_seed(0)
    )
    found = layer(mean, torch.full_like(mean, 0.01), picked).mean
    total = found @ torch.from_numpy(stefan.x_weights.values)
    wanted = torch.from_numpy(stefan.law_conservation_rhs.values)[picked]
    torch.testing.assert_close(total, wanted, rtol=0, atol=1e-14)
    assert found.min() >= 0.0 and found.max() <= 1.0


def test_parts_without_a_derivative_and_senseless_numbers_are_refused(stefan):
    with pytest.raises(ValueError, match="no exact derivative"):
        ConstraintLayer.of(TotalVariation(1.0), stefan)
    with pytest.raises(ValueError, match="share from 0 to 1"):
        ConstraintLayer(floor=2.0)


def test_a_network_learns_through_the_layer_and_obeys_at_every_step():
    train = runpy.run_path(str(ROOT / "docs" / "gallery" / "train_with_a_law.py"))["train"]
    losses, misses = train(40)
    assert max(misses) < 1e-14
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    _, free = train(3, lawful=False)
    assert min(free) > 1e-3
