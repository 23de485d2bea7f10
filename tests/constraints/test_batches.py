"""What is found of one sample does not depend on which others are enforced beside it."""

import pytest
import torch

from lawbound.constraints import (
    Bounds,
    Condition,
    Conservation,
    Displace,
    Monotone,
    Project,
    TwoPhase,
    enforce,
)
from lawbound.reproduce import frozen_data
from lawbound.surrogates.covariance import Shared, normal, uniform
from lawbound.surrogates.prediction import from_moments

MASS = Conservation(tolerance="exact")
WAYS = [
    (MASS, Condition()),
    (MASS & Bounds(0.0, 1.0), Condition()),
    (MASS & Bounds(0.0, 1.0), Condition(inequalities="truncated")),
    (MASS & Bounds(0.0, 1.0) & Monotone("falling"), Project()),
    (MASS & Monotone("falling"), Displace(otherwise="nearest")),
    (MASS & Monotone("falling") & TwoPhase("u_star", 0.0, 1.0, mixed_cell=True), "auto"),
    (Conservation(tolerance=1e-3) & Bounds(0.0, 1.0), Condition()),
]


@pytest.mark.parametrize(("law", "how"), WAYS, ids=lambda way: getattr(way, "name", way))
def test_a_sample_is_what_it_is_alone(law, how):
    data = frozen_data("stefan").isel(sample=[0, 7, 60])
    together = enforce(from_moments(data), law, how).prediction
    alone = enforce(from_moments(data.isel(sample=[1])), law, how).prediction
    torch.testing.assert_close(together.mean[1:2], alone.mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(together.variance[1:2], alone.variance, rtol=0, atol=1e-12)


@pytest.mark.parametrize("law", [normal, uniform])
def test_shared_draws_are_the_same_for_all_samples_and_no_others(law):
    like = torch.zeros(1, dtype=torch.float64)
    drawn = law((2, 3, 4, 5), like, Shared().manual_seed(1))
    assert drawn.shape == (2, 3, 4, 5)
    assert torch.equal(drawn[:, 0], drawn[:, 2])
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[:, :, 0], drawn[:, :, 1])
    free = law((2, 3, 4, 5), like, torch.Generator().manual_seed(1))
    assert not torch.equal(free[:, 0], free[:, 2])
