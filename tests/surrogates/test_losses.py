"""Losses against their definitions: by quadrature, by sampling, by hand."""

import math

import pytest
import torch
from torch.distributions import Normal

from lawbound.surrogates import losses


def drawn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


TARGET, GUESS = drawn(3, 2, 4, 5), drawn(3, 2, 4, 5, seed=1)
SCALE = torch.tensor([2.0, 0.5], dtype=torch.float64)


def test_relative_l2_is_the_ratio_of_norms_averaged_over_fields():
    by_hand = [
        sum(float((GUESS[s, f] - TARGET[s, f]).norm() / TARGET[s, f].norm()) for f in range(2)) / 2
        for s in range(3)
    ]
    torch.testing.assert_close(
        losses.relative_l2(GUESS, TARGET, 2), torch.tensor(by_hand, dtype=torch.float64)
    )
    assert float(losses.relative_l2(TARGET, TARGET, 2).max()) == 0.0
    # The unit does not matter.
    torch.testing.assert_close(
        losses.relative_l2(7 * GUESS, 7 * TARGET, 2), losses.relative_l2(GUESS, TARGET, 2)
    )


def test_a_floor_keeps_a_sample_of_zeros_finite():
    zero = torch.zeros(1, 1, 4, 5)
    assert float(losses.relative_l2(zero + 0.1, zero, 2, torch.tensor([0.2]))[0]) == pytest.approx(0.5)


def test_mean_square_counts_each_field_in_its_own_unit():
    by_hand = ((GUESS - TARGET) / SCALE[:, None, None]).square().mean((1, 2, 3))
    torch.testing.assert_close(losses.mean_square(GUESS, TARGET, 2, SCALE), by_hand)


def test_nll_is_minus_the_log_density_and_least_at_the_true_moments():
    variance = drawn(3, 2, 4, 5, seed=2).exp()
    by_hand = -Normal(GUESS, variance.sqrt()).log_prob(TARGET).mean((1, 2, 3))
    torch.testing.assert_close(losses.gaussian_nll(GUESS, variance, TARGET, 2), by_hand)
    # In units of a scale, densities are larger by that scale.
    shifted = losses.gaussian_nll(GUESS, variance, TARGET, 2, 3.0) + math.log(3.0)
    torch.testing.assert_close(shifted, by_hand)


def test_crps_is_the_integral_over_thresholds():
    mean, std, value = 0.3, 0.8, 1.1
    y = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    integrand = (Normal(mean, std).cdf(y) - (y >= value).double()) ** 2
    whole = torch.trapezoid(integrand, y)
    one = [torch.full((1, 1, 1), entry, dtype=torch.float64) for entry in (mean, std**2, value)]
    assert float(losses.gaussian_crps(*one, 1)[0]) == pytest.approx(float(whole), rel=1e-4)
    torch.testing.assert_close(
        losses.gaussian_crps(5 * one[0], 25 * one[1], 5 * one[2], 1, 5.0), losses.gaussian_crps(*one, 1)
    )


def test_energy_is_its_definition_and_least_in_expectation_for_the_true_law():
    samples, target = drawn(4, 6, 2, 3, seed=3), drawn(4, 2, 3, seed=4)
    flat, truth = samples.flatten(2), target.flatten(1)
    for s in range(4):
        near = (flat[s] - truth[s]).norm(dim=1).mean()
        pairs = [(flat[s, i] - flat[s, j]).norm() for i in range(6) for j in range(6) if i != j]
        wanted = (near - 0.5 * sum(pairs) / len(pairs)) / 6**0.5
        torch.testing.assert_close(losses.energy(samples, target, 1)[s], wanted)
    truths, spread = drawn(4000, 1, 2, seed=5), drawn(4000, 8, 1, 2, seed=6)
    score = {std: float(losses.energy(std * spread, truths, 1).mean()) for std in (0.5, 1.0, 1.5)}
    assert score[1.0] < min(score[0.5], score[1.5])
    one = losses.energy(samples[:, :1], target, 1)
    torch.testing.assert_close(one, (flat[:, 0] - truth).norm(dim=1) / 6**0.5)


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_leading_dimensions_are_batches(lead):
    target, guess = (drawn(*lead, 3, 2, 4, seed=seed) for seed in (7, 8))
    variance = drawn(*lead, 3, 2, 4, seed=9).exp()
    for value in (
        losses.relative_l2(guess, target, 1),
        losses.mean_square(guess, target, 1, SCALE),
        losses.gaussian_nll(guess, variance, target, 1, SCALE),
        losses.gaussian_crps(guess, variance, target, 1, SCALE),
    ):
        assert value.shape == (*lead, 3)
