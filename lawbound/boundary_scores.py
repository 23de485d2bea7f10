"""Scores of BOON's tables: the error over all times at once, and at walls of every kind."""

import numpy as np
from numpy.typing import NDArray

from lawbound.constraints.boundary import Dirichlet, Neumann
from lawbound.constraints.wall_rows import VALUES
from lawbound.datasets import schema
from lawbound.datasets.layout import Layout
from lawbound.score import Metric, NotApplicable, Outcome, Score

Array = NDArray[np.float64]


def _over_times(outcome: Outcome) -> Array:
    """‖mean − truth‖ / ‖truth‖ over space and all judged times; (sample,)."""
    truth = Layout.of(outcome.data, outcome.fields).state(outcome.data)
    means = outcome.means.reshape(truth.shape)
    norm = (means - truth).reshape(len(truth), -1), truth.reshape(len(truth), -1)
    return np.asarray(np.linalg.norm(norm[0], axis=1) / np.linalg.norm(norm[1], axis=1))


def wall_residuals(outcome: Outcome) -> Array:
    """|L u − β| of every declared wall value and slope of the predicted fields, (sample, t, point)."""
    kinds = {
        (str(wall.attrs["lawbound_bc_variable"]), str(wall.attrs.get("lawbound_bc_type")))
        for wall in (outcome.data[name] for name in schema.by_role(outcome.data, schema.WALL))
    }
    layout = Layout.of(outcome.data, outcome.fields)
    states = outcome.means.reshape(*outcome.means.shape[:2], -1)
    found = []
    for field in outcome.fields:
        own = layout.pick(states, (field,))
        if any((field, kind) in kinds for kind in VALUES):
            found.append(Dirichlet(field).residual(own, outcome.data))
        if (field, "neumann") in kinds:
            found.append(Neumann(field).residual(own, outcome.data))
    if not found:
        raise NotApplicable("the data declare no wall values and no slopes of the predicted fields")
    return np.abs(np.concatenate(found, axis=-1))


def _worst_at_walls(outcome: Outcome) -> Array:
    """At the start nothing need fit, so it does not count; (sample,)."""
    later = outcome.data[schema.TIME].values > float(outcome.data[schema.TIME].values[0])
    residuals = wall_residuals(outcome)
    return np.asarray(residuals[:, later if later.any() else slice(None)].max(axis=(1, 2)))


REL_L2_TIMES = Score(
    Metric(
        "rel_l2_times", "rel. L2, times", "mean", "low",
        "‖mean − truth‖ / ‖truth‖ over space and all judged times at once, as BOON's tables have it.",
    ),
    _over_times,
)  # fmt: skip
WALL_MAX = Score(
    Metric(
        "wall_max", "wall max", "law", "low",
        "Largest distance from the declared wall values or slopes at any judged time after the first, mean over samples.",
    ),
    _worst_at_walls,
)  # fmt: skip
