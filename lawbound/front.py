"""Where a front is: the first fall of a profile below a level, at sub-cell accuracy."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def front_position(
    profiles: NDArray[np.float64], x: NDArray[np.float64], level: ArrayLike
) -> NDArray[np.float64]:
    """Position of the first fall below `level`, linear between the stored points.

    profiles: (..., x); level: broadcasts against (...). A profile that starts below has its front at x[0], one
    that never falls below at x[-1].

    >>> front_position(np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.0, 1.0, 2.0, 3.0]), 0.5)
    array(1.5)
    """
    limit = np.asarray(level, dtype=np.float64)[..., None]
    below = profiles < limit
    first = np.where(below.any(axis=-1), below.argmax(axis=-1), profiles.shape[-1] - 1)
    right, left = first, np.maximum(first - 1, 0)
    u_left, u_right = (np.take_along_axis(profiles, i[..., None], axis=-1)[..., 0] for i in (left, right))
    drop = u_left - u_right
    share = np.where(drop > 0, (u_left - limit[..., 0]) / np.where(drop > 0, drop, 1.0), 1.0)
    return np.asarray(x[left] + np.clip(share, 0.0, 1.0) * (x[right] - x[left]))


def first_node_at_or_below_zero(profiles: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The published rule (ProbConserv's code): the first stored point with u ≤ 0; x[0] if there is none."""
    return np.asarray(x[(profiles <= 0.0).argmax(axis=-1)])
