"""Values that are fixed at points, as rows: what a covariance with correlations can spread into the domain."""

from dataclasses import replace

import numpy as np

from lawbound.constraints.constraint import Admissible
from lawbound.constraints.sets import Rows


def fixed_as_rows(admissible: Admissible) -> Admissible:
    """The same set with a row u_i = value for each point that its box fixes, if the box does nothing else.

    As a box, a fixed value moves its own point; as a row of a Gaussian's update it moves all that are correlated
    with it. Rows apply only at the times at which the value is fixed. A box with bounds stays as it is.
    """
    box = admissible.box
    if box is None:
        return admissible
    fixed = box.lower == box.upper
    free = np.isneginf(box.lower) & np.isposinf(box.upper)
    if not (fixed | free).all():
        return admissible
    points = np.flatnonzero(fixed.any(axis=(0, 1)))
    weights = np.zeros((points.size, admissible.layout.size))
    weights[np.arange(points.size), points] = 1.0
    here = fixed[..., points]
    values = Rows(
        weights,
        np.where(here, box.lower[..., points], 0.0),
        np.where(here, 0.0, np.inf),
        tuple(f"{box.label} at point {i}" for i in points),
    )
    rows = admissible.rows
    if rows is not None:
        values = Rows(
            np.concatenate([rows.weights, values.weights]),
            np.concatenate([rows.rhs, values.rhs], axis=-1),
            np.concatenate([rows.tolerance, values.tolerance], axis=-1),
            rows.labels + values.labels,
        )
    return replace(admissible, rows=values, box=None)
