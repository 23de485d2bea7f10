"""How sure a score is of itself: percentile intervals from samples drawn again with replacement.

B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13. Samples are what is drawn again, never
points of one sample, which are no independent evidence.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEVEL = 0.95
#: For means, whose resamples are one matrix product; for other statistics, which are computed once each.
MEANS, STATISTICS = 1000, 200
_SEED = 20_260_101  # the same intervals for the same numbers, on every machine


def of_means(values: Array, *, level: float = LEVEL) -> Array:
    """Interval (low, high) of the mean over samples; (sample, k) → (k, 2), NaN for fewer than two samples."""
    n = len(values)
    if n < 2:
        return np.full((values.shape[1], 2), np.nan)
    means = _counts(n) @ values / n
    return np.asarray(np.quantile(means, _tails(level), axis=0).T)


def of_statistic(pieces: Array, statistic: Callable[[Array], Array], *, level: float = LEVEL) -> Array:
    """Interval (low, high) of any statistic of the pieces (sample, …); NaN for fewer than two samples.

    A statistic that few samples bias, such as RMSCE, is biased once more in what is drawn from them: its interval may
    lie above its value.
    """
    n = len(pieces)
    if n < 2:
        return np.full(2, np.nan)
    generator = np.random.default_rng(_SEED)
    found = [float(statistic(pieces[generator.integers(n, size=n)])) for _ in range(STATISTICS)]
    # Of constant draws a statistic may be undefined: those say nothing.
    found = [value for value in found if np.isfinite(value)]
    return np.asarray(np.quantile(found, _tails(level))) if found else np.full(2, np.nan)


def _tails(level: float) -> list[float]:
    return [0.5 - 0.5 * level, 0.5 + 0.5 * level]


@lru_cache(maxsize=2)
def _counts(n: int) -> Array:
    """How often each sample is drawn in each resample, (resample, sample)."""
    generator = np.random.default_rng(_SEED)
    return generator.multinomial(n, np.full(n, 1.0 / n), size=MEANS).astype(np.float64)
