"""One call by which a constraint, ours or a stranger's, proves itself against data and enforcement."""

import re
from collections.abc import Mapping
from dataclasses import fields as dataclass_fields
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from lawbound.constraints.applicability import Promise, promised
from lawbound.constraints.constraint import Admissible, Constraint
from lawbound.constraints.enforcement import Condition, Enforced, enforce
from lawbound.constraints.layer import ConstraintLayer
from lawbound.constraints.penalty import Penalty
from lawbound.datasets import schema
from lawbound.datasets.layout import Layout
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.prediction import Prediction

FloatArray = NDArray[np.float64]

_ROUND_OFF = 64.0 * float(np.finfo(np.float64).eps)
_SEARCHED = 1e-9  # of the state's size: what a search or a series of linearisations leaves
_CURVED_SPREAD = 0.1  # of the usual one: curved sets are looked for nearby


def check_constraint(
    constraint: Constraint, data: xr.Dataset, *, tolerance: float | None = None, seed: int = 0
) -> None:
    """Raise `AssertionError` unless the constraint behaves on this dataset.

    Its set has the data's shape and reads of the fields only what it lists; the stored reference obeys it (within
    `law_<name>_tolerance`, or `tolerance` if given). Then all that `applicability` promises of its parts under
    `condition`: an unlawful prediction and its samples become exact, twice is once, a lawful mean is left alone, none
    lies on the near side of the answer (convex sets), variance never grows (rows), derivatives are finite. Stacked on
    itself it is itself. An equation, which is nothing but a term of a loss, costs the reference less than what is near it,
    each sample by itself, with derivatives that are finite.
    """
    admissible = constraint.on(data)
    _describes(constraint, admissible, data)
    truth = Layout.of(data, constraint.fields).state(data)
    stored = schema.law_variable(constraint.name, "tolerance")
    allowed = data[stored].values[..., None] if tolerance is None and stored in data else (tolerance or 0.0)
    off = np.abs(admissible.residual(truth))
    assert (off <= allowed).all(), f"the reference itself breaks `{constraint.name}` by {off.max():.3g}"

    if admissible.evolutions:
        _can_be_weighed(constraint, truth, data)
        return
    promises = promised(admissible, "condition")
    unlawful = _unlawful(constraint, admissible, truth, data, seed)
    once = enforce(unlawful, constraint, Condition())
    _keeps_promises(constraint, admissible, unlawful, once, promises, seed)
    if "contracts" in promises:
        other = enforce(_unlawful(constraint, admissible, truth, data, seed + 1), constraint, Condition())
        _is_nearest(constraint, unlawful, once, other)
    if "gradient" in promises:
        _has_derivatives(constraint, data, unlawful)
    if admissible.phases is None and admissible.variation is None and admissible.balance is None:
        stacked = enforce(unlawful, constraint & constraint, Condition()).prediction.means
        assert _close(stacked, once.prediction.means, 1e-9), f"`{constraint.name}` twice is not itself"


def _describes(constraint: Constraint, admissible: Admissible, data: xr.Dataset) -> None:
    """The set has the data's shape, says what it is, and does not read the truth unless it says so."""
    name = constraint.name
    assert name and name == name.lower(), f"`{name}` should be lower case"
    assert admissible.labels, f"`{name}` constrains nothing on this dataset"
    shape = data.sizes[schema.SAMPLE], data.sizes[schema.TIME]
    size = Layout.of(data, constraint.fields).size
    residual = admissible.residual(np.zeros((*shape, size)))
    assert residual.shape == (*shape, len(admissible.labels)), (
        f"`{name}` answers with residuals of shape {residual.shape} for labels {admissible.labels}"
    )
    if admissible.rows is not None:
        assert admissible.rows.weights.shape[1] == size, f"the rows of `{name}` are not of length n = {size}"
        assert np.isfinite(admissible.rows.rhs[admissible.rows.applies]).all(), (
            f"`{name}` has right-hand sides that are not finite"
        )
    blind = constraint.on(_hidden(data, constraint.inputs))
    for part in ("rows", "box", "order", "phases", "variation"):
        seen, unseen = _numbers(getattr(admissible, part)), _numbers(getattr(blind, part))
        assert seen.keys() == unseen.keys() and all(
            np.array_equal(seen[key], unseen[key], equal_nan=True) for key in seen
        ), f"`{name}` reads more of the fields than it lists among its inputs"


def _hidden(data: xr.Dataset, inputs: tuple[str, ...]) -> xr.Dataset:
    """The data without what is not listed of their fields; "u at the start" lists the first time of u."""
    for field in schema.state_variables(data):
        listed = [entry for entry in inputs if field in re.findall(r"\w+", entry)]
        if not listed:
            data = data.assign({field: data[field] * np.nan})
        elif all(entry.endswith("at the start") for entry in listed):
            first = np.arange(data.sizes[schema.TIME]) == 0
            data = data.assign({field: data[field].where(xr.DataArray(first, dims=schema.TIME))})
    return data


def _numbers(part: Any) -> Mapping[str, FloatArray]:
    if part is None:
        return {}
    named = {field.name: getattr(part, field.name) for field in dataclass_fields(part)}
    return {key: value for key, value in named.items() if isinstance(value, np.ndarray)}


def _unlawful(
    constraint: Constraint, admissible: Admissible, truth: FloatArray, data: xr.Dataset, seed: int
) -> Prediction:
    """The reference and noise, more of it if it is lawful still."""
    random = torch.Generator().manual_seed(seed)
    u = torch.from_numpy(truth)
    size = u.std() * (_CURVED_SPREAD if admissible.curved else 1.0)
    spread = size * (0.01 + 0.1 * torch.rand(u.shape, generator=random, dtype=u.dtype))
    noise = torch.randn(u.shape, generator=random, dtype=u.dtype)
    for more in (1.0, 10.0, 100.0):
        means = u + more * spread * noise
        if np.abs(admissible.residual(means.numpy())).max() > 1e-6 * (np.abs(truth).max() + 1.0):
            return Prediction(means[None], Diagonal((more * spread[None]) ** 2), data, constraint.fields)
    raise AssertionError(
        f"nothing near the reference breaks `{constraint.name}`: the trial prediction was lawful by accident"
    )


def _left(admissible: Admissible, states: FloatArray) -> tuple[float, str]:
    """By how many times more than round-off allows states miss the set, and in which entry most."""
    residual = np.abs(admissible.residual(states)).reshape(-1, len(admissible.labels))
    size = np.abs(states).max() + 1.0
    searched = admissible.variation is not None or admissible.phases is not None or bool(admissible.curved)
    allowed = np.full(residual.shape, size * (_SEARCHED if searched else 1e-12))
    if admissible.rows is not None:
        rows = admissible.rows
        terms = np.abs(states) @ np.abs(rows.weights).T + np.abs(np.where(rows.applies, rows.rhs, 0.0))
        allowed[:, : len(rows.labels)] = _ROUND_OFF * (terms.reshape(-1, len(rows.labels)) + size)
    worst = (residual / allowed).max(axis=0)
    return float(worst.max()), admissible.labels[int(worst.argmax())]


def _keeps_promises(
    constraint: Constraint,
    admissible: Admissible,
    unlawful: Prediction,
    once: Enforced,
    promises: frozenset[Promise],
    seed: int,
) -> None:
    means = once.prediction.means
    if "exact" in promises:
        left, label = _left(admissible, means[0].numpy())
        assert left <= 1.0, f"after enforcement `{label}` is left {left:.3g} times more than round-off"
        drawn, label = _left(admissible, once.prediction.sample(2, seed=seed)[0].numpy())
        assert drawn <= 1e3, f"samples miss `{label}` by {drawn:.3g} times more than round-off"
    else:
        before, after = (
            np.abs(residual).mean() for residual in (once.report.residual_before, once.report.residual_after)
        )
        assert after <= before, "an uncertain law is missed by more than before"
    if "idempotent" in promises:
        twice = enforce(once.prediction, constraint, Condition()).prediction.means
        assert _close(twice, means, _SEARCHED), "enforcing twice moves the mean again"
    if "kept" in promises:
        lawful = Prediction(means, unlawful.covariance, unlawful.inputs, unlawful.fields)
        kept = enforce(lawful, constraint, Condition()).prediction.means
        assert _close(kept, means, _SEARCHED), "a lawful mean is moved"
    if "variance" in promises:
        assert (once.prediction.variance <= unlawful.variance * (1 + 1e-12)).all(), "variance grows"


def _is_nearest(constraint: Constraint, unlawful: Prediction, once: Enforced, other: Enforced) -> None:
    """⟨z − T z, v − T z⟩ ≤ 0 in the metric for another lawful v."""
    near, v = once.prediction.means, other.prediction.means
    metric = unlawful.covariance.variance()
    gone, ahead = unlawful.means - near, v - near
    inner = (gone * ahead / metric).sum(-1)
    scale = (gone.square() / metric).sum(-1).sqrt() * (ahead.square() / metric).sum(-1).sqrt()
    assert bool((inner <= 1e-6 * scale + 1e-9).all()), (
        f"another state that obeys `{constraint.name}` is nearer than the one found"
    )


def _can_be_weighed(constraint: Constraint, truth: FloatArray, data: xr.Dataset) -> None:
    penalty, u = Penalty.of(constraint, data), torch.from_numpy(truth)
    wavy = (u + 0.1 * u.std() * torch.cos(torch.arange(u.shape[-1]))).requires_grad_()
    cost = penalty(wavy)
    cost.sum().backward()  # type: ignore[no-untyped-call]
    assert wavy.grad is not None and bool(torch.isfinite(wavy.grad).all()), (
        f"the derivative of the penalty on `{constraint.name}` is not finite"
    )
    assert bool((penalty(u) < cost).all()), (
        f"the reference costs `{constraint.name}` more than what is near it"
    )
    last = torch.tensor([len(u) - 1])
    assert _close(penalty(u[last], last), penalty(u)[last], 1e-9), f"`{constraint.name}` mixes samples"


def _has_derivatives(constraint: Constraint, data: xr.Dataset, unlawful: Prediction) -> None:
    mean = unlawful.means[0].clone().requires_grad_()
    variance = unlawful.covariance.variance()[0].clone().requires_grad_()
    lawful = ConstraintLayer.of(constraint, data, dtype=torch.float64)(mean, variance)
    (lawful.mean.square().sum() + lawful.variance.sum()).backward()
    for what, tensor in (("mean", mean), ("variance", variance)):
        assert tensor.grad is not None and bool(torch.isfinite(tensor.grad).all()), (
            f"the derivative by the {what} is not finite"
        )


def _close(one: Tensor, other: Tensor, share: float) -> bool:
    return bool((one - other).abs().max() <= share * (other.abs().max() + 1.0))
