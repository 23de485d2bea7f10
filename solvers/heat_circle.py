"""The heat equation on a circle without sources: one transform, one factor a wave and time, one transform back."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers import fourier
from lawbound.solvers.coefficient import Constant
from lawbound.solvers.grid import PeriodicNodes
from lawbound.solvers.problem import Problem
from lawbound.solvers.spectral import initial_values, tail_of

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

#: Points at which an initial function is sampled: at first, and at most.
_FIRST, _MOST = 64, 4096
#: Samples that are transformed together; more of them leave the processor's cache.
_TOGETHER = 16


def sampled(problem: Problem, tolerance: float, points: int | None) -> tuple[ComplexArray, float]:
    """The initial state's waves and how large the end of their spectrum is: of an array those that its grid carries, of a
    function as many as it has, or those that so many `points` carry."""
    grid = problem.grid
    assert isinstance(grid, PeriodicNodes)
    if problem.initial_function is None:
        return fourier.coefficients(problem.initial), 0.0
    count, most = points or _FIRST, points or _MOST
    while True:
        where = np.linspace(grid.lower, grid.upper, count, endpoint=False)
        c = fourier.coefficients(initial_values(problem, where))
        tail = tail_of(c)
        if tail <= tolerance or 2 * count > most:
            return c, tail
        count *= 2


def waves_of(
    problems: Sequence[Problem], tolerance: float, points: int | None
) -> list[tuple[ComplexArray, float]]:
    """`sampled` of each problem; arrays of one grid are transformed together."""
    if any(problem.initial_function is not None for problem in problems):
        return [sampled(problem, tolerance, points) for problem in problems]
    return [(c, 0.0) for c in fourier.coefficients(np.stack([problem.initial for problem in problems]))]


def together(problems: Sequence[Problem]) -> Iterator[list[Problem]]:
    """Neighbours that share grid and times, a few at a time."""
    if len(problems) == 1:
        yield list(problems)
        return
    for _, same in groupby(problems, key=lambda p: (p.grid, p.times.tobytes())):
        group = list(same)
        yield from (group[i : i + _TOGETHER] for i in range(0, len(group), _TOGETHER))


def decayed_waves(problems: Sequence[Problem], waves: Sequence[ComplexArray]) -> FloatArray:
    """States at the output times, (sample, nt, nx), of problems that share grid and times."""
    grid, times = problems[0].grid, problems[0].times
    assert isinstance(grid, PeriodicNodes)
    state = np.empty((len(problems), times.size, grid.n))
    state[:, 0] = [p.initial for p in problems]
    carried = grid.n // 2 + 1
    few = [i for i, c in enumerate(waves) if c.size <= carried]
    for chosen in _alike(waves, few):
        c = np.stack([waves[i] for i in chosen])
        decay = np.exp(_exponents([problems[i] for i in chosen], c.shape[1]))
        state[chosen, 1:] = fourier.values(c[:, None] * decay, grid.n)
    for i in set(range(len(waves))) - set(few):
        # Waves that the grid's points do not carry are still there between them.
        c_t = waves[i] * np.exp(_exponents([problems[i]], waves[i].size)[0])
        state[i, 1:] = fourier.evaluate(c_t, np.arange(grid.n) / grid.n)
    return state


def _alike(waves: Sequence[ComplexArray], few: list[int]) -> Iterator[list[int]]:
    """Samples with equally many waves, as those of arrays are."""
    for _, same in groupby(sorted(few, key=lambda i: waves[i].size), key=lambda i: waves[i].size):
        yield list(same)


def _exponents(problems: Sequence[Problem], waves: int) -> FloatArray:
    """−k κ² t for each wave and time after the start, (sample or 1, nt − 1, waves)."""
    grid, times = problems[0].grid, problems[0].times
    assert isinstance(grid, PeriodicNodes)
    k = np.array([p.equation.k for p in problems if isinstance(p.equation, Constant)])
    k = k[:1] if (k == k[0]).all() else k
    squares = (2.0 * np.pi / (grid.upper - grid.lower) * np.arange(waves)) ** 2
    return np.asarray(k[:, None, None] * (times[0] - times[1:])[:, None] * squares)
