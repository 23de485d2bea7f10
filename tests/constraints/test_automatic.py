"""The automatic enforcement: what it chooses, from what, and that it obeys."""

import numpy as np
import pytest
import torch

from lawbound.constraints import Conservation, enforce
from lawbound.constraints.automatic import Automatic
from lawbound.constraints.displacement import Displace
from lawbound.constraints.enforcement import Condition, Project, enforcement
from lawbound.constraints.shape import Monotone, TwoPhase
from lawbound.constraints.target import Target
from lawbound.reproduce import frozen_data
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.prediction import Prediction, from_moments

MASS = Conservation(tolerance="exact")
TWO = MASS & Monotone("falling") & TwoPhase(lower=0.0, upper=1.0)


def smooth(data, deviation=0.01):
    """The same means from a surrogate that is equally sure everywhere."""
    free = from_moments(data)
    return Prediction(free.means, Diagonal(torch.full_like(free.means, deviation**2)), free.inputs)


def test_it_has_a_name():
    assert enforcement("auto") == Automatic()


def test_where_a_front_is_unsure_it_conditions():
    free = from_moments(frozen_data("stefan").isel(sample=slice(48, 52)))
    assert Automatic().unsure_front(free.means, free.covariance.variance()).all()
    found, wanted = (
        enforce(free, MASS, how).prediction for how in (Automatic(surprised=np.inf), Condition())
    )
    torch.testing.assert_close(found.means, wanted.means, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.variance, wanted.variance, rtol=0, atol=1e-12)


def test_where_there_is_no_unsure_front_it_tempers():
    free = smooth(frozen_data("stefan").isel(sample=slice(48, 52)))
    assert not Automatic().unsure_front(free.means, free.covariance.variance()).any()
    found, wanted = (enforce(free, MASS, how).prediction for how in (Automatic(), Condition(power=0.25)))
    torch.testing.assert_close(found.means, wanted.means, rtol=0, atol=1e-13)


def test_a_law_missed_by_more_than_was_to_be_expected_moves_the_front():
    free = from_moments(frozen_data("stefan").isel(sample=slice(0, 3)))
    auto = Automatic(surprised=0.0)
    found, wanted = (enforce(free, MASS, how).prediction for how in (auto, Displace(otherwise="nearest")))
    assert torch.equal(found.means, wanted.means)
    assert torch.equal(found.sample(3, seed=2), wanted.sample(3, seed=2))
    assert torch.equal(found.variance, wanted.variance)


def test_a_profile_with_waves_is_no_front():
    free = from_moments(frozen_data("stefan").isel(sample=slice(0, 3)))
    layout = free.layout
    assert Automatic().one_front(free.means, layout).all()
    waves = free.means + 0.5 * torch.sin(20.0 * torch.linspace(0.0, 1.0, free.means.shape[-1]))
    assert not Automatic().one_front(waves, layout).any()
    wavy = Prediction(waves, free.covariance, free.inputs)
    assert Automatic(unsure=0.1).unsure_front(waves, free.covariance.variance()).all()
    found, wanted = (
        enforce(wavy, MASS, how).prediction
        for how in (Automatic(unsure=0.1, surprised=0.0), Condition(power=0.25))
    )
    torch.testing.assert_close(found.means, wanted.means, rtol=0, atol=1e-12)


def test_surprise_is_the_residual_in_standard_deviations():
    data = frozen_data("pme").isel(sample=[0, 60])
    free = from_moments(data)
    onto = Target.of(MASS.on(data), free.means.device)
    weights = data.x_weights.values
    gap = np.abs(free.mean.numpy() @ weights - data.law_conservation_rhs.values)
    wanted = gap / np.sqrt(free.variance.numpy() @ weights**2)
    found = Automatic().surprise(free.means, free.covariance.variance(), onto)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_each_sample_has_its_own_choice():
    sure, unsure = (make(frozen_data("stefan").isel(sample=[60])) for make in (smooth, from_moments))
    data = frozen_data("stefan").isel(sample=[60, 60]).assign_coords(sample=[0, 1])
    both = Prediction(
        torch.cat([sure.means, unsure.means], 1),
        Diagonal(torch.cat([sure.covariance.values, unsure.covariance.values], 1)),
        data,
    )
    found = enforce(both, MASS, "auto").prediction.means
    torch.testing.assert_close(found[:, :1], enforce(sure, MASS, "auto").prediction.means, rtol=0, atol=1e-14)
    torch.testing.assert_close(
        found[:, 1:], enforce(unsure, MASS, "auto").prediction.means, rtol=0, atol=1e-14
    )


@pytest.mark.parametrize("law", [MASS, MASS & Monotone("falling"), TWO])
def test_mean_and_samples_meet_the_total(law):
    data = frozen_data("stefan").isel(sample=[3, 70])
    lawful = enforce(from_moments(data), law, "auto").prediction
    weights, rhs = torch.from_numpy(data.x_weights.values), torch.from_numpy(data.law_conservation_rhs.values)
    assert ((lawful.mean @ weights - rhs).abs() <= 1e-14).all()
    assert ((lawful.sample(5) @ weights - rhs).abs() <= 1e-14).all()


def test_samples_of_two_phases_have_one_front():
    data = frozen_data("stefan").isel(sample=[3, 70])
    fields = enforce(from_moments(data), TWO, "auto").prediction.sample(20).numpy()
    level = data.u_star.values[:, None, None]
    between = (fields > 1e-12) & (fields < level - 1e-12)
    assert (between.sum(-1) <= 1).all()
    assert (np.diff(fields, axis=-1) <= 1e-12).all()


@pytest.mark.parametrize("law", [MASS, MASS & Monotone("falling"), TWO])
def test_the_truth_is_not_looked_at(law):
    data = frozen_data("stefan").isel(sample=[3, 70])
    found = enforce(from_moments(data), law, "auto").prediction
    blind = data.assign(u=data.u * np.nan)
    same = enforce(from_moments(blind), law, "auto").prediction
    assert torch.equal(same.means, found.means) and torch.equal(same.variance, found.variance)


def test_with_power_0_everywhere_it_projects_points():
    free = from_moments(frozen_data("pme").isel(sample=[0, 149]))
    found = enforce(free, MASS, Automatic(unsure=np.inf, power=0.0, surprised=np.inf)).prediction.means
    torch.testing.assert_close(
        found, enforce(free, MASS, Project(distance="points")).prediction.means, rtol=0, atol=1e-14
    )


@pytest.mark.parametrize(
    "wrong", [{"unsure": -1.0}, {"unsure": np.nan}, {"power": 2.0}, {"surprised": -1.0}, {"wiggles": -1.0}]
)
def test_numbers_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match="`Automatic` got"):
        Automatic(**wrong)
