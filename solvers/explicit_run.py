"""A batch of diffusion problems on its way from one output time to the next, by explicit steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.batch import LEAST_WALL_SAMPLES, Batch, subset
from lawbound.solvers.compiled import over_samples
from lawbound.solvers.finite_volume import BLOCK, march
from lawbound.solvers.ledger import Ledger
from lawbound.solvers.problem import Problem
from lawbound.solvers.solver import SolverError
from lawbound.solvers.walls import Dirichlet, Neumann, Robin

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Wall and source values are sampled for at most this many numbers at once, so memory stays flat.
_BLOCK_VALUES = 4_000_000

# Beyond this many steps between two output times a run is a mistake (or an overflow of k), not a long wait.
_MOST_STEPS = 10**8

# By how much a state that something pours into may outgrow its range before the step is chosen again.
_HEADROOM = 0.25


@dataclass(frozen=True)
class _Chosen:
    """Samples of a batch that are advanced together, and what stays the same of them; made once, for speed."""

    batch: Batch
    numbers: FloatArray  # diffusion numbers, (sample,)
    places: IntArray  # of the samples in the batch, (sample,)

    @cached_property
    def problems(self) -> list[Problem]:
        return [self.batch.problems[i] for i in self.places]

    @cached_property
    def coefficient(self) -> Any:
        return subset(self.batch.coefficient, self.places)

    @cached_property
    def kinds(self) -> IntArray:
        return self.batch.kinds[self.places]

    @cached_property
    def transfers(self) -> FloatArray:
        return self.batch.transfers[self.places]

    @cached_property
    def constants(self) -> FloatArray:
        return self.batch.constants[self.places]

    @cached_property
    def functions(self) -> list[tuple[int, int, Dirichlet | Neumann | Robin]]:
        """(place among the chosen, side, wall) of walls that change."""
        place = {int(i): at for at, i in enumerate(self.places)}
        return [(place[i], side, wall) for i, side, wall in self.batch.functions if i in place]

    @cached_property
    def moving(self) -> list[tuple[int, Dirichlet | Neumann | Robin]]:
        """(place among the chosen, wall) of walls that change and bound u."""
        return [(place, wall) for place, _, wall in self.functions if not isinstance(wall, Neumann)]

    @cached_property
    def shown(self) -> tuple[FloatArray, FloatArray]:
        """Least and largest value of walls that bound u and do not change, nan where there are none, (sample,)."""
        shown = np.where(self.batch.bounding, self.batch.constants, np.nan)[self.places]
        for place, side, _ in self.functions:
            shown[place, side] = np.nan
        return np.fmin(shown[:, 0], shown[:, 1]), np.fmax(shown[:, 0], shown[:, 1])

    @cached_property
    def grows(self) -> NDArray[np.bool_]:
        return self.batch.grows[self.places]

    @cached_property
    def any_grows(self) -> bool:
        return bool(self.grows.any())

    @cached_property
    def unguarded(self) -> FloatArray:
        return np.tile([-np.inf, np.inf], (self.places.size, 1))

    @cached_property
    def changing(self) -> bool:
        """Whether a source is a function of time."""
        return any(callable(problem.source) for problem in self.problems)

    @cached_property
    def steady_source(self) -> FloatArray:
        """The sources where none changes, (sample, 0 or 1, nx)."""
        if all(problem.source is None for problem in self.problems):
            return np.zeros((self.places.size, 0, self.batch.grid.n))
        return np.stack([problem.source_at(float(self.batch.times[0]))[None] for problem in self.problems])


@dataclass(frozen=True)
class ExplicitRun:
    """A batch under way: the state now and its ledger, changed in place."""

    batch: Batch
    everyone: _Chosen
    mean: int
    state: FloatArray  # (sample, nx)
    more: FloatArray  # (sample, nx) what is not yet settled into the state
    ledger: Ledger
    taken: IntArray  # (sample,)

    @classmethod
    def start(cls, batch: Batch, numbers: FloatArray, mean: int) -> "ExplicitRun":
        """A batch at its first output time; `numbers` are the samples' diffusion numbers, `mean` how k is averaged."""
        state, everyone = np.stack([p.initial for p in batch.problems]), np.arange(len(batch))
        ledger, taken = Ledger.empty(len(batch), 2), np.zeros(len(batch), dtype=np.int64)
        chosen = _Chosen(batch, numbers, everyone)
        return cls(batch, chosen, mean, state, np.zeros_like(state), ledger, taken)

    def cross(self, start: float, stop: float, solver: str) -> None:
        """Advance all samples from one output time to the next."""
        chosen, reach = self.everyone, _HEADROOM
        while chosen.places.size:
            if reach > 1e12:
                i = int(chosen.places[0])
                raise SolverError(
                    f"Sample {i} ({self.batch.problems[i].name}) outgrows every bound between t={start} and t={stop}; "
                    "lower its source or the flux of its walls, or give closer output times."
                )
            outgrown = self._attempt(chosen, reach, start, stop, solver)
            if not outgrown.any():
                break
            chosen = _Chosen(self.batch, chosen.numbers[outgrown], chosen.places[outgrown])
            reach *= 2.0
        self.batch.check(self.state, stop, solver)

    def _attempt(
        self, chosen: _Chosen, reach: float, start: float, stop: float, solver: str
    ) -> NDArray[np.bool_]:
        """Advance the chosen samples; those that outgrow the range that their steps allow for stay where they were."""
        places, guard, before = chosen.places, chosen.unguarded, []
        low, high = self._extremes(chosen, start, stop)
        if chosen.any_grows:
            before = [a[places] for a in self._changing()]
            size = np.maximum(abs(low), abs(high))
            room = np.where(chosen.grows, reach * np.maximum(high - low, 1e-3 * size + 1e-6), 0.0)
            low, high = low - room, high + room
            guard = np.where(chosen.grows[:, None], np.stack([low, high], axis=1), guard)
        steps = self._steps(chosen, low, high, start, stop)
        kept = self._march(chosen, steps, guard, start, stop)
        self.taken[places] += np.where(kept, steps, 0)
        outgrown = ~kept
        if outgrown.any():
            if not (kept | chosen.grows).all():
                self.batch.check(self.state, stop, solver)
            for array, old in zip(self._changing(), before, strict=True):
                array[places[outgrown]] = old[outgrown]
        return outgrown

    def _changing(self) -> list[FloatArray]:
        return [self.state, self.more, *self.ledger]

    def _extremes(self, chosen: _Chosen, start: float, stop: float) -> tuple[FloatArray, FloatArray]:
        """Least and largest value of state and walls between two output times."""
        state = self.state if chosen is self.everyone else self.state[chosen.places]
        low = np.fmin(state.min(axis=1), chosen.shown[0])
        high = np.fmax(state.max(axis=1), chosen.shown[1])
        if chosen.moving:
            times = np.append(_step_times(start, stop, LEAST_WALL_SAMPLES, 0, LEAST_WALL_SAMPLES), stop)
            for place, wall in chosen.moving:
                _widen(low, high, place, wall.values(times))
        return low, high

    def _steps(
        self, chosen: _Chosen, low: FloatArray, high: FloatArray, start: float, stop: float
    ) -> IntArray:
        """Number of equal steps between two output times, for each of the chosen samples."""
        counts = np.ones(chosen.places.size, dtype=np.int64)
        # A finer sampling of a wall may reveal larger values; repeat until the steps cover what they sample.
        while True:
            with np.errstate(over="ignore"):
                fastest = chosen.coefficient.largest(low, high)
            needed = np.ceil((stop - start) * fastest / (chosen.numbers * self.batch.grid.width**2))
            if not (needed <= _MOST_STEPS).all():
                at = int(np.argmin(needed <= _MOST_STEPS))
                problem = chosen.problems[at]
                raise SolverError(
                    f"Sample {int(chosen.places[at])} ({problem.name}, {problem.equation}) needs {needed[at]:.3g} explicit steps "
                    f"from t={start} to t={stop}, because k(u) reaches {fastest[at]:.3g} for u in [{low[at]:.3g}, {high[at]:.3g}]; "
                    f"more than {_MOST_STEPS:.0e} are not tried, so use ImplicitDiffusion, fewer cells, smaller values or "
                    "closer times."
                )
            if (needed <= counts).all():
                return counts
            counts = np.asarray(np.maximum(counts, needed.astype(np.int64)))
            if not chosen.moving:
                return counts
            for place, wall in chosen.moving:
                count = int(counts[place])
                _widen(low, high, place, wall.values(_step_times(start, stop, count, 0, count)))

    def _march(
        self, chosen: _Chosen, steps: IntArray, guard: FloatArray, start: float, stop: float
    ) -> NDArray[np.bool_]:
        """Advance the chosen samples, a block of steps at a time; which of them kept within their guard."""
        whole, size, n = chosen is self.everyone, chosen.places.size, self.batch.grid.n
        arrays = self._changing() if whole else [a[chosen.places] for a in self._changing()]
        state, more, *rest = arrays
        kept, still = np.ones(size, dtype=np.bool_), np.empty(size, dtype=np.bool_)
        # Whole blocks of the kernel, so that where a run is cut changes no bit.
        block = BLOCK * max(1, _BLOCK_VALUES // (BLOCK * size * (n if chosen.changing else 1)))
        for first in range(0, int(steps.max()), block):
            counts = np.minimum(np.maximum(steps - first, 0), block) * kept
            lower, upper = _wall_tables(chosen, steps, first, counts, start, stop)
            source = chosen.steady_source
            if chosen.changing:
                source = _source_table(chosen.problems, steps, first, counts, start, stop)
            over_samples(
                march, size,
                chosen.coefficient, self.mean, chosen.kinds, chosen.transfers, lower, upper, source,
                guard, counts, (stop - start) / steps, self.batch.grid.width, state, more, Ledger(*rest), still,
            )  # fmt: skip
            kept &= still
        if not whole:
            for array, new in zip(self._changing(), arrays, strict=True):
                array[chosen.places] = new
        return kept


def _wall_tables(
    chosen: _Chosen, steps: IntArray, first: int, counts: IntArray, start: float, stop: float
) -> tuple[FloatArray, FloatArray]:
    """The walls' values at the beginning of each of a block of steps, (sample, step) for either side."""
    tables = np.empty((2, counts.size, int(counts.max())))
    tables[:] = chosen.constants.T[:, :, None]
    for place, side, wall in chosen.functions:
        times = _step_times(start, stop, int(steps[place]), first, first + int(counts[place]))
        tables[side, place, : counts[place]] = wall.values(times)
    return tables[0], tables[1]


def _widen(low: FloatArray, high: FloatArray, place: int, values: FloatArray) -> None:
    low[place] = min(low[place], values.min())
    high[place] = max(high[place], values.max())


def _source_table(
    problems: Sequence[Problem], steps: IntArray, first: int, counts: IntArray, start: float, stop: float
) -> FloatArray:
    """The sources at the beginning of each of a block of steps, (sample, step, nx)."""
    n = problems[0].grid.shape[0]
    table = np.zeros((len(problems), int(counts.max()), n))
    for i, problem in enumerate(problems):
        times = _step_times(start, stop, int(steps[i]), first, first + int(counts[i]))
        for j, time in enumerate(times):
            table[i, j] = problem.source_at(float(time))
    return table


def _step_times(start: float, stop: float, count: int, first: int, last: int) -> FloatArray:
    """The times at which steps `first` up to, not including, `last` of `count` equal ones begin."""
    return np.asarray(start + (stop - start) / count * np.arange(first, last), dtype=np.float64)
