"""One call by which a constraint, ours or a stranger's, proves itself against data and enforcement."""

import numpy as np
import torch
import xarray as xr

from lawbound.constraints.constraint import Constraint
from lawbound.constraints.enforcement import Condition, enforce
from lawbound.datasets import schema
from lawbound.datasets.layout import Layout
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.prediction import Prediction


def check_constraint(
    constraint: Constraint, data: xr.Dataset, *, tolerance: float | None = None, seed: int = 0
) -> None:
    """Raise `AssertionError` unless the constraint behaves on this dataset.

    The stored reference obeys it (within `law_<name>_tolerance`, or `tolerance` if given); conditioning an
    unlawful prediction makes it exact, enforcing twice is enforcing once, a lawful mean is left alone,
    variance never grows, and samples obey.
    """
    field = schema.state_variables(data)[0]
    truth = Layout.of(data, (field,)).state(data)
    stored = schema.law_variable(constraint.name, "tolerance")
    allowed = data[stored].values[..., None] if tolerance is None and stored in data else (tolerance or 0.0)
    off = np.abs(constraint.residual(truth, data))
    assert (off <= allowed).all(), f"the reference itself breaks `{constraint.name}` by {off.max():.3g}"

    random = torch.Generator().manual_seed(seed)
    u = torch.from_numpy(truth)
    spread = u.std() * (0.01 + 0.1 * torch.rand(u.shape, generator=random, dtype=u.dtype))
    unlawful = Prediction(
        (u + spread * torch.randn(u.shape, generator=random, dtype=u.dtype))[None],
        Diagonal(spread[None] ** 2),
        data,
        (field,),
    )
    once = enforce(unlawful, constraint, Condition())
    scale = np.abs(truth).max() + 1.0
    assert np.abs(once.report.residual_before).max() > 1e-6 * scale, (
        "the trial prediction was lawful by accident"
    )
    assert np.abs(once.report.residual_after).max() <= 1e-12 * scale, (
        f"left {np.abs(once.report.residual_after).max():.3g} after enforcement"
    )
    twice = enforce(once.prediction, constraint, Condition()).prediction
    assert torch.allclose(twice.means, once.prediction.means, rtol=0.0, atol=1e-12 * scale), (
        "enforcing twice moves the mean again"
    )
    free = enforce(
        Prediction(once.prediction.means, unlawful.covariance, data, (field,)), constraint, Condition()
    ).prediction
    assert torch.allclose(free.means, once.prediction.means, rtol=0.0, atol=1e-12 * scale), (
        "a lawful mean is moved"
    )
    assert (once.prediction.variance <= unlawful.variance * (1 + 1e-12)).all(), "variance grows"
    drawn = constraint.residual(once.prediction.sample(2, seed=seed)[0].numpy(), data)
    assert np.abs(drawn).max() <= 1e-11 * scale, f"samples miss it by {np.abs(drawn).max():.3g}"
