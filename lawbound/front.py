"""Where a front is, at sub-cell accuracy, and how well a distribution over fields knows it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lawbound.probabilistic_scores import ensemble_crps

Array = NDArray[np.float64]
#: Where profiles (…, x) on points x have their front, given a level.
Rule = Callable[[Array, Array, ArrayLike], Array]


def front_position(profiles: Array, x: Array, level: ArrayLike) -> Array:
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


def first_node_at_or_below_zero(profiles: Array, x: Array, level: ArrayLike = 0.0) -> Array:
    """The published rule (ProbConserv's code): the first stored point with u ≤ 0; x[0] if there is none.

    `level` is ignored: of a noisy sample this is the first point where noise reaches zero, not where the front is.
    """
    return np.asarray(x[(profiles <= 0.0).argmax(axis=-1)])


#: Rules by name: the first fall below half the jump, and the published one.
RULES: dict[str, Rule] = {"half-jump": front_position, "published": first_node_at_or_below_zero}


@final
@dataclass(frozen=True, eq=False)
class Fronts:
    """Front positions at one time. truth: the reference's, of_mean: the mean field's, (sample,); drawn: those of joint samples, (draw, sample)."""

    truth: Array
    of_mean: Array
    drawn: Array

    @classmethod
    def of(
        cls,
        ensemble: Array,
        mean: Array,
        truth: Array,
        x: Array,
        level: ArrayLike,
        *,
        rule: str = "half-jump",
    ) -> "Fronts":
        """Fronts of profiles: ensemble (draw, sample, x), mean and truth (sample, x), level (sample,).

        Raises `ValueError` for a rule that is not in `RULES`.
        """
        if rule not in RULES:
            raise ValueError(f"`{rule}` is not a rule for fronts; there are {', '.join(RULES)}.")
        position = RULES[rule]
        return cls(position(truth, x, level), position(mean, x, level), position(ensemble, x, level))

    @property
    def bias(self) -> Array:
        """Mean position in joint samples minus the true one, (sample,)."""
        return np.asarray(self.drawn.mean(axis=0) - self.truth)

    @property
    def bias_of_mean(self) -> Array:
        """The mean field's front minus the true one, (sample,): a mean smears the front that samples have."""
        return np.asarray(self.of_mean - self.truth)

    @property
    def spread(self) -> Array:
        """Standard deviation of the position in joint samples, (sample,)."""
        return np.asarray(self.drawn.std(axis=0, ddof=1))

    @property
    def rmse(self) -> Array:
        """√ of the mean square distance of joint samples' fronts from the true one, (sample,)."""
        return np.asarray(np.sqrt(((self.drawn - self.truth) ** 2).mean(axis=0)))

    @property
    def crps(self) -> Array:
        """Fair CRPS of the position, (sample,)."""
        return ensemble_crps(self.drawn, self.truth)

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Central interval of the position among joint samples: low and high, each (sample,)."""
        low, high = np.quantile(self.drawn, [0.5 - 0.5 * level, 0.5 + 0.5 * level], axis=0)
        return np.asarray(low), np.asarray(high)

    def coverage(self, level: float = 0.95) -> Array:
        """1 where the true front lies in the central interval, else 0; (sample,)."""
        low, high = self.interval(level)
        return np.asarray((low <= self.truth) & (self.truth <= high), dtype=np.float64)

    def histogram(self, edges: Array) -> Array:
        """The posterior of the position: share of joint samples in each bin, (sample, bin); what lies outside is left out."""
        bins = np.searchsorted(edges, self.drawn, side="right") - 1
        bins[self.drawn == edges[-1]] = edges.size - 2
        shares = [(bins == i).mean(axis=0) for i in range(edges.size - 1)]
        return np.stack(shares, axis=-1)
