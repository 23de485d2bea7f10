"""A covariance learned from residuals: exact where they are few-dimensional, honest where they are not."""

import math

import pytest
import torch
from safetensors.torch import load, save

import lawbound as lb
from lawbound.constraints.conditioning import condition
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.pooling import pooled, with_covariance
from lawbound.surrogates.prediction import Prediction
from lawbound.surrogates.residual_covariance import ResidualCovariance, learn, residuals_of

T, X = 6, 20
TIMES = torch.linspace(0.1, 1.0, T, dtype=torch.float64)[:, None]
PLACES = torch.linspace(0.0, 1.0, X, dtype=torch.float64)
WALLS = torch.zeros(X, dtype=torch.bool)
WALLS[0] = WALLS[-1] = True


def one_parameter(count, seed):
    """Residuals that one number fixes, on a curve."""
    p = 1.0 + 2.0 * torch.rand(
        count, 1, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return 0.05 * torch.exp(-p * TIMES) * torch.sin(p * TIMES + 3.0 * PLACES)


def rich(count, seed, scale=0.1):
    """Residuals of many independent smooth modes, and rough ones."""
    g = torch.Generator().manual_seed(seed)
    smooth = torch.randn(count, T, 8, generator=g, dtype=torch.float64)
    waves = torch.stack([torch.cos(math.pi * j * PLACES) / (1.0 + 0.1 * j) for j in range(8)])
    return scale * (smooth @ waves + 0.5 * torch.randn(count, T, X, generator=g, dtype=torch.float64))


def rms(values):
    return float(values[..., ~WALLS].square().mean().sqrt())


@pytest.fixture(scope="module")
def learned():
    return learn(one_parameter(120, 0), points=WALLS)


@pytest.fixture(scope="module")
def learned_rich():
    return learn(rich(60, 0), points=WALLS)


def test_wall_data_lower_the_error_a_thousandfold_on_a_one_parameter_family(learned):
    test = one_parameter(50, 1)
    covariance = learned.covariance((1, *test.shape))
    means = learned.bias.expand(1, *test.shape)
    updated, left = covariance.conditioned_on_points(means, WALLS, test[None])
    assert rms(updated[0] - test) < 1e-3 * rms(test)
    assert updated[0][..., WALLS].equal(test[..., WALLS])
    assert left.variance()[..., ~WALLS].max() < 1e-5 * covariance.variance().max()


def test_the_same_by_rows_of_a_constraint(learned):
    test = one_parameter(50, 1)
    means = learned.bias.expand(1, *test.shape).clone()
    rows = torch.eye(X, dtype=torch.float64)[WALLS]
    rhs = test @ rows.T
    updated = condition(means, learned.covariance(means.shape), rows, rhs, torch.zeros_like(rhs), 0.0)
    assert (updated.means @ rows.T - rhs).abs().max() < 1e-12
    assert rms(updated.means[0] - test) < 1e-3 * rms(test)


def test_few_dimensions_are_counted_and_trusted(learned):
    found = learned.evidence
    assert 1.0 <= found.participation <= found.rank_99 <= 5
    assert found.carried > 0.999
    assert found.error_ratio < 1e-3
    assert learned.trusted
    assert learned.why.startswith("To be trusted")
    assert "elsewhere" in learned.why


def test_a_rich_family_is_not_trusted_and_says_why(learned_rich):
    assert not learned_rich.trusted
    assert learned_rich.why.startswith("Not to be trusted")
    assert learned_rich.evidence.rank_99 > 20
    assert learned_rich.evidence.shrinkage > 0.0 or learned_rich.evidence.rank < 10


def test_even_then_conditioning_does_little_harm(learned_rich):
    test = rich(400, 1)
    covariance = learned_rich.covariance((1, *test.shape))
    updated, _ = covariance.conditioned_on_points(learned_rich.bias.expand(1, *test.shape), WALLS, test[None])
    assert rms(updated[0] - test) < 1.02 * rms(test)


def test_independent_residuals_get_the_diagonal():
    noise = 0.1 * torch.randn(80, T, X, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = learn(noise)
    assert found.evidence.rank == 0 or found.evidence.shrinkage >= 0.8
    assert not found.trusted


def test_too_few_residuals_for_their_rank_are_not_trusted():
    modes = torch.randn(12, T * X, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    weights = torch.randn(30, 12, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    found = learn((weights @ modes).reshape(30, T, X), bias=False)
    assert not found.trusted
    assert "too few" in found.why


@pytest.mark.parametrize("over", ["x", "tx"])
def test_every_point_keeps_its_variance(over):
    residuals = rich(60, 5)
    found = learn(residuals, over=over, bias=True)
    torch.testing.assert_close(found.covariance(residuals.shape).variance()[0], residuals.var(0))
    found = learn(residuals, over=over, bias=False)
    torch.testing.assert_close(found.covariance(residuals.shape).variance()[0], residuals.square().mean(0))


def test_times_are_coupled_only_if_asked():
    assert learn(one_parameter(30, 0)).covariance((1, 1, T, X)).couples_times
    assert not learn(one_parameter(30, 0), over="x").covariance((1, 1, T, X)).couples_times


def test_a_bias_is_found_where_there_is_one():
    residuals = rich(60, 6)
    shift = 0.5 * torch.sin(PLACES).expand(T, X)
    assert learn(residuals + shift).bias.any()
    torch.testing.assert_close(learn(residuals + shift, bias=True).bias, residuals.mean(0) + shift)
    assert not learn(residuals + shift, bias=False).bias.any()
    assert not learn(residuals - residuals.mean(0)).bias.any()


def test_units_do_not_matter(learned):
    scaled = learn(1e-6 * one_parameter(120, 0), points=WALLS)
    assert (scaled.evidence.rank, scaled.evidence.shrinkage) == (
        learned.evidence.rank,
        learned.evidence.shrinkage,
    )
    torch.testing.assert_close(
        scaled.covariance((1, 1, T, X)).variance() * 1e12, learned.covariance((1, 1, T, X)).variance()
    )


def test_points_without_error_keep_almost_no_variance():
    residuals = one_parameter(60, 0)
    residuals[..., 0] = 0.0
    found = learn(residuals)
    assert found.covariance((1, 1, T, X)).variance()[..., 0].max() <= 1.01e-12 * residuals.square().mean()


def test_tensors_bring_it_back_without_pickles(learned):
    again = ResidualCovariance.from_tensors(
        load(save({k: v.contiguous() for k, v in learned.tensors().items()}))
    )
    assert again.bias.equal(learned.bias)
    assert again.values.equal(learned.values)
    assert again.modes.equal(learned.modes)
    assert again.couples_times == learned.couples_times
    assert again.evidence == learned.evidence
    assert again.why == learned.why
    with pytest.raises(ValueError, match="lacks modes"):
        ResidualCovariance.from_tensors({k: v for k, v in learned.tensors().items() if k != "modes"})


def test_bad_residuals_are_refused(learned):
    good = rich(10, 0)
    with pytest.raises(ValueError, match="four samples"):
        learn(good[:3])
    with pytest.raises(ValueError, match="'tx'"):
        learn(good, over="t")
    with pytest.raises(ValueError, match="at least 2"):
        learn(good, folds=1)
    with pytest.raises(ValueError, match="finite"):
        learn(good * math.nan)
    with pytest.raises(ValueError, match="the same"):
        learn(torch.zeros_like(good))
    with pytest.raises(ValueError, match="learn one on that grid"):
        learned.covariance((1, 1, T, X + 1))


@pytest.fixture(scope="module")
def prediction():
    data = lb.generate("diffusion", 4, nx=X, nt=T, seed=0)
    shape = (5, 4, data.sizes["t"], X)
    means = torch.randn(shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    return Prediction(means, Diagonal(torch.full(shape, 0.3, dtype=torch.float64)), data)


def test_pooled_draws_keep_mean_and_variance_and_correlate(prediction):
    one = pooled(prediction, floor=0.0, couples_times=True)
    assert one.means.shape[0] == 1
    torch.testing.assert_close(one.mean, prediction.mean)
    torch.testing.assert_close(one.variance, 0.3 + prediction.means.var(0))
    assert one.covariance.couples_times


def test_a_covariance_is_put_on_a_prediction(prediction):
    other = Diagonal(torch.ones_like(prediction.means))
    assert with_covariance(prediction, other).covariance is other
    truth = torch.zeros_like(prediction.mean)
    found = learn(residuals_of(prediction, truth), folds=2)
    corrected = found.applied_to(prediction)
    torch.testing.assert_close(corrected.mean, prediction.mean + found.bias)
    torch.testing.assert_close(
        corrected.variance[0], found.covariance((1, *prediction.mean.shape)).variance()[0, 0]
    )
