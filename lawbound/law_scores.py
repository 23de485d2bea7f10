"""By how much a field breaks the laws and walls that its dataset declares, and by how much the solver's own does."""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.constraints.boundary import Dirichlet
from lawbound.constraints.constraint import Constraint
from lawbound.constraints.wall_rows import VALUES
from lawbound.datasets import schema
from lawbound.datasets.layout import Layout
from lawbound.datasets.plugins import UnknownName, find
from lawbound.score import NotApplicable, Outcome

Array = NDArray[np.float64]


def conservation_error(outcome: Outcome) -> Array:
    """CE = ∫mean dx − b at the time of interest, signed, before any cast; (sample,)."""
    rhs = schema.law_variable("conservation", "rhs")
    if rhs not in outcome.data:
        raise NotApplicable("the data declare no conservation law")
    total = outcome.flat(outcome.mean[:, :1]) @ outcome.weights.ravel()
    return np.asarray(total - outcome.data[rhs].values[:, outcome.now])


def law_error(outcome: Outcome) -> Array:
    """max over laws and judged times of |residual| / max_t |b|, of all laws that the data declare; (sample,).

    A law whose right-hand side is zero throughout has no scale of its own and counts as it is.
    """
    worst = [
        np.abs(residual).max(axis=(1, 2)) / _scale(outcome.data, law)
        for law, residual in law_residuals(outcome.means, outcome.fields, outcome.data)
    ]
    if not worst:
        raise NotApplicable("the data declare no law of the predicted fields")
    return np.asarray(np.max(worst, axis=0))


def own_law_error(data: xr.Dataset, now: int) -> Array:
    """The same of the solver: its residuals in double precision, before its fields were stored; (sample,)."""
    worst = [
        np.abs(data[name].values).max(axis=1) / _scale(data, law)
        for law in schema.laws(data)
        if (name := schema.law_variable(law, "residual")) in data
    ]
    if not worst:
        raise NotApplicable("the data hold no residual of the solver")
    return np.asarray(np.max(worst, axis=0))


def law_residuals(
    means: Array, fields: tuple[str, ...], data: xr.Dataset
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """(law, residual (sample, t, label)) of means (sample, t, field, [y,] x), for each law that the data declare."""
    states = means.reshape(*means.shape[:2], -1)
    layout = Layout.of(data, fields)
    for law in schema.laws(data):
        try:
            constraint: Constraint = find("constraints", law)()
        except UnknownName:
            continue  # a stranger's law without its package
        if set(constraint.fields) <= set(fields):
            yield law, constraint.residual(layout.pick(states, constraint.fields), data)


def wall_error(outcome: Outcome) -> Array:
    """Largest distance from the declared wall values at the time of interest, all fields; (sample,).

    On cells the value at a wall is extrapolated from the nearest averages: the solver's row says what that costs.
    """
    return _wall_error(outcome.means, outcome.fields, outcome.data, outcome.now)


def own_wall_error(data: xr.Dataset, now: int) -> Array:
    """The same of the stored solution; (sample,)."""
    fields = tuple(schema.state_variables(data))
    return _wall_error(Layout.of(data, fields).state(data), fields, data, now)


def _wall_error(means: Array, fields: tuple[str, ...], data: xr.Dataset, now: int) -> Array:
    declared = {
        str(data[name].attrs["lawbound_bc_variable"])
        for name in schema.by_role(data, schema.WALL)
        if data[name].attrs.get("lawbound_bc_type") in VALUES
    }
    states, layout = means.reshape(*means.shape[:2], -1), Layout.of(data, fields)
    worst = [
        np.abs(Dirichlet(field).residual(layout.pick(states, (field,)), data)[:, now]).max(axis=-1)
        for field in fields
        if field in declared
    ]
    if not worst:
        raise NotApplicable("the data declare no wall values of the predicted fields")
    return np.asarray(np.max(worst, axis=0))


def _scale(data: xr.Dataset, law: str) -> Array:
    largest = np.abs(data[schema.law_variable(law, "rhs")].values).max(axis=1)
    return np.where(largest > 0.0, largest, 1.0)
