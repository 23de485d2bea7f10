"""Networks trained together are as if trained alone; heads and members spread; last layers know their variance."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import lawbound as lb
from lawbound.datasets.split import of_split
from lawbound.surrogates import answers, losses
from lawbound.surrogates.answers import Heads, Units, mean_square_distance
from lawbound.surrogates.diverse import DiverseFourierOperator
from lawbound.surrogates.ensemble import FourierEnsemble
from lawbound.surrogates.fourier_surrogate import FourierNeuralOperator, FourierNeuralOperatorWithWalls
from lawbound.surrogates.last_layer import _evidence
from lawbound.surrogates.stacked import Stacked, clip_members
from lawbound.surrogates.streams import member_seeds

TINY = {"epochs": 4, "batch": 5, "validate_every": 1, "modes": 3, "width": 4, "blocks": 2}


@pytest.fixture(scope="module")
def data():
    return lb.generate("burgers-random", 20, nx=16, nt=7, seed=1)


@pytest.fixture(scope="module")
def splits(data):
    return of_split(data, "train"), of_split(data, "valid")


@pytest.mark.parametrize(
    "options", [{}, {"mode": "steps"}, {"clip_norm": 0.05}, {"patience": 1, "learning_rate": 0.05, "epochs": 10}]
)  # fmt: skip
def test_members_are_what_they_would_be_if_trained_alone(data, splits, options):
    test = of_split(data, "test")
    shared = {**TINY, **options}
    together = FourierEnsemble(**shared, size=3, walls=True).fit(*splits, seed=7)
    alone = [FourierNeuralOperatorWithWalls(**shared).fit(*splits, seed=seed) for seed in member_seeds(7, 3)]
    for number, one in enumerate(alone):
        for name, tensor in one.network.state_dict().items():
            torch.testing.assert_close(together.network.member(number)[name], tensor, rtol=2e-3, atol=1e-4)
    means = torch.stack([one.predict(test).mean for one in alone])
    prediction = together.predict(test)
    torch.testing.assert_close(prediction.mean, means.mean(0), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(prediction.std[:, 1:], means.std(0)[:, 1:], rtol=1e-2, atol=1e-3)


def test_gradients_are_clipped_member_by_member():
    torch.manual_seed(0)
    members = [nn.Linear(3, 2), nn.Linear(3, 2)]
    stacked, inputs = Stacked(members), torch.randn(2, 5, 3)
    scale = torch.tensor([100.0, 0.001]).view(2, 1, 1)
    (scale * stacked(inputs)).square().sum().backward()
    clip_members(stacked, 0.7)
    for i, member in enumerate(members):
        (scale[i] * member(inputs[i])).square().sum().backward()
        nn.utils.clip_grad_norm_(member.parameters(), 0.7)
        torch.testing.assert_close(stacked.get_parameter("weight").grad[i], member.weight.grad)


def test_ensembles_of_different_seeds_share_no_member():
    assert not {*member_seeds(0, 10)} & {*member_seeds(1, 10)}
    assert member_seeds(0, 10)[:3] == member_seeds(0, 3)


def test_the_distance_of_heads_is_that_of_all_pairs():
    heads = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    pairs = [(heads[i] - heads[j]).square().sum() for i in range(4) for j in range(4) if i != j]
    torch.testing.assert_close(mean_square_distance(heads), sum(pairs) / len(pairs))


class Ended(nn.Module):
    """Something whose last layer has the weights of three heads of two fields."""

    def __init__(self):
        super().__init__()
        self.network = nn.Module()
        self.network.last = nn.Linear(5, 6)


def test_diversity_counts_after_the_warm_up_once_a_batch():
    generator = torch.Generator().manual_seed(1)
    out, target = torch.randn(4, 6, 3, 8, generator=generator), torch.randn(4, 2, 3, 8, generator=generator)
    units, network = Units(torch.ones(2), torch.zeros(2), 2), Ended()
    judge = Heads(3, "relative-l2", diversity=0.3, warm_up=2)

    def total(epoch):
        return judge.loss(out, target, units, network, epoch=epoch, count=4).sum()

    each = [losses.relative_l2(out[:, 2 * h : 2 * h + 2], target, 2) for h in range(3)]
    torch.testing.assert_close(total(2), sum(each).sum() / 3)
    apart = mean_square_distance(network.network.last.weight.reshape(3, 10))
    torch.testing.assert_close(total(3), total(2) - 0.3 * apart)
    mean, variance = judge.moments(out, 2)
    torch.testing.assert_close(mean, torch.stack(out.double().split(2, 1)).mean(0))
    torch.testing.assert_close(variance, torch.stack(out.double().split(2, 1)).var(0))


def test_heads_that_are_pushed_apart_spread_more(data, splits):
    test = of_split(data, "test")
    base = DiverseFourierOperator(**{**TINY, "epochs": 8}, heads=4, warm_up=2)
    spread = {
        diversity: float(replace(base, diversity=diversity).fit(*splits, seed=0).predict(test).std.mean())
        for diversity in (0.0, 1.0)
    }
    assert spread[1.0] > 1.05 * spread[0.0]


def test_the_evidence_finds_the_noise_and_the_prior_of_a_linear_model():
    generator = torch.Generator().manual_seed(0)
    phi = torch.randn(4000, 6, dtype=torch.float64, generator=generator) * torch.tensor([3, 2, 1, 1, 1, 0.5])
    weights = 2.0 * torch.randn(6, dtype=torch.float64, generator=generator)
    y = phi @ weights + 0.3 * torch.randn(4000, dtype=torch.float64, generator=generator)
    fitted = torch.linalg.lstsq(phi, y[:, None]).solution[:, 0]
    values, vectors = torch.linalg.eigh(phi.T @ phi)
    variances, noise = _evidence(values, fitted, float((y - phi @ fitted).square().sum()), 4000)
    assert noise**0.5 == pytest.approx(0.3, rel=0.05)
    precision = float(1 / variances.max() - values.min() / noise)
    assert precision == pytest.approx(6 / float(fitted.square().sum()), rel=0.05)
    direct = torch.linalg.inv(phi.T @ phi / noise + precision * torch.eye(6))
    torch.testing.assert_close(vectors * variances @ vectors.T, direct)


def test_the_laplace_variance_is_the_posterior_s_and_grows_away_from_the_data(data, splits):
    fitted = FourierNeuralOperator(**TINY, uncertainty="laplace").fit(*splits, seed=0)
    test = of_split(data, "test")
    noise = fitted.learnt["noise"] * fitted.network.output_scale.double() ** 2
    near = fitted.predict(test).variance
    far = fitted.predict(test.assign(u=10 * test.u)).variance
    assert bool((near > noise).all())
    assert float((far - noise).mean()) > 10 * float((near - noise).mean())


def test_dropout_masks_vary_the_prediction_and_its_mean_is_near_the_network_s(data, splits):
    fitted = FourierNeuralOperator(**TINY, uncertainty="dropout", dropout=0.1, draws=400).fit(*splits, seed=0)
    test = of_split(data, "test")
    masked = fitted.predict(test)
    plain = FourierNeuralOperator(**TINY, dropout=0.1).fit(*splits, seed=0).predict(test)
    assert bool((masked.std > 0).all())
    assert float(((masked.mean - plain.mean) / masked.std).abs().max()) < 5 / 400**0.5


def test_energy_trains_heads_as_samples(data, splits):
    learner = DiverseFourierOperator(**TINY, heads=3, loss="energy", diversity=0.0)
    assert learner.answer == answers.Heads(3, "energy", 0.0, 10)
    assert bool((learner.fit(*splits, seed=0).predict(of_split(data, "test")).std > 0).all())
