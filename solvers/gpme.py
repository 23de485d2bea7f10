"""Explicit solver of the generalized porous medium equation u_t = (k(u) u_x)_x + s in one dimension."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.batch import LEAST_WALL_SAMPLES, Batch, subset
from lawbound.solvers.coefficient import Step
from lawbound.solvers.compiled import over_samples
from lawbound.solvers.face_mean import MEANS
from lawbound.solvers.finite_volume import BLOCK, march
from lawbound.solvers.ledger import Ledger
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.solver import SolverError
from lawbound.solvers.walls import Dirichlet, Neumann, Periodic, Robin

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Largest k·Δt/h² for which every new average is a convex combination of old values. An inner cell gives away two
#: parts of it, a cell whose wall stands half a cell away 2 + 1, a cell between a wall and a tracked front 2 + 2.
LIMIT_INSIDE, LIMIT_AT_WALL, LIMIT_AT_FRONT = 1.0 / 2.0, 1.0 / 3.0, 1.0 / 4.0

# Wall and source values are sampled for at most this many numbers at once, so memory stays flat.
_BLOCK_VALUES = 4_000_000

# Beyond this many steps between two output times a run is a mistake (or an overflow of k), not a long wait.
_MOST_STEPS = 10**8

# By how much a state that something pours into may outgrow its range before the step is chosen again.
_HEADROOM = 0.25


@dataclass(frozen=True)
class ExplicitDiffusion:
    """Conservative finite volumes, forward Euler, second order in h, with the step chosen automatically.

    Δt = diffusion_number · h² / max k, the maximum being over all values that the discrete maximum principle lets the
    solution reach before the next output time, which is hit exactly. By default the number is the largest that
    keeps every average within the range of the initial and wall values: 1/3, 1/2 without Dirichlet and Robin
    walls. `mean` is how k is averaged at a face: "integral" (the one to use), "sub-cell" (the same, with the
    front of a Stefan problem followed inside its cell), and for comparison "arithmetic", "harmonic" and "shock".
    Raises `ValueError` for a larger number, an unknown mean, or a mean that needs a front where there is none.
    """

    diffusion_number: float | None = None
    mean: str = "integral"

    def __post_init__(self) -> None:
        number = self.diffusion_number
        if number is not None and not 0.0 < number <= LIMIT_INSIDE:
            raise ValueError(
                f"diffusion_number={number} is outside (0, 1/2]; beyond 1/2 the explicit scheme is unstable, "
                "so lower it, or leave it out."
            )
        if self.mean not in MEANS:
            raise ValueError(f"mean={self.mean!r} is not known; use one of {', '.join(MEANS)}.")

    @property
    def name(self) -> str:
        """Name and version of the scheme, for provenance."""
        return (
            "explicit-diffusion 2" if self.mean == "integral" else f"explicit-diffusion 2 ({self.mean} mean)"
        )

    def solve(self, problem: Problem) -> Trajectory:
        """Solve one problem."""
        return self.solve_batch([problem])[0]

    def solve_batch(self, problems: Sequence[Problem]) -> list[Trajectory]:
        """Solve problems that share grid and output times; samples run in parallel, answers do not depend on it."""
        if not problems:
            return []
        batch = Batch.of(problems, "ExplicitDiffusion")
        numbers = np.array([self._number(problem) for problem in problems])
        run = _Run.start(batch, numbers, MEANS[self.mean])
        size, nt = len(batch), batch.times.size
        state = np.empty((size, nt, batch.grid.n))
        inflow, traffic = np.zeros((size, nt, 2)), np.zeros((size, nt, 2))
        produced = np.zeros((size, nt))
        state[:, 0] = run.state
        for k in range(1, nt):
            run.cross(float(batch.times[k - 1]), float(batch.times[k]), self.name)
            state[:, k] = run.state
            inflow[:, k], traffic[:, k], produced[:, k] = run.ledger.settled()
        return batch.trajectories(state, inflow, traffic, produced, run.taken, self.name)

    def _number(self, problem: Problem) -> float:
        """The diffusion number of a problem, checked against the limit of its walls."""
        followed = self.mean in ("shock", "sub-cell")
        if followed and not (isinstance(problem.equation, Step) and problem.equation.k_min == 0.0):
            raise ValueError(
                f"mean={self.mean!r} follows the front of a Step with k_min=0, `{problem.name}` has {problem.equation}; "
                'use mean="integral".'
            )
        walls = problem.walls.sides.values()
        if self.mean != "integral" and any(isinstance(wall, Periodic) for wall in walls):
            raise ValueError(f'mean={self.mean!r} is not offered with periodic walls; use mean="integral".')
        limit = LIMIT_AT_WALL if any(isinstance(wall, Dirichlet | Robin) for wall in walls) else LIMIT_INSIDE
        limit = LIMIT_AT_FRONT if followed else limit
        if self.diffusion_number is not None and self.diffusion_number > limit:
            raise ValueError(
                f"diffusion_number={self.diffusion_number} is above {limit:.4g}, the limit with the walls of `{problem.name}`"
                f"{' and a front that is followed' if followed else ''}; beyond it the explicit scheme loses its maximum "
                "principle, so lower it, or leave it out."
            )
        return self.diffusion_number if self.diffusion_number is not None else limit


@dataclass(frozen=True)
class _Run:
    """A batch under way: the state now and its ledger, changed in place."""

    batch: Batch
    numbers: FloatArray  # (sample,)
    mean: int
    state: FloatArray  # (sample, nx)
    more: FloatArray  # (sample, nx) what is not yet settled into the state
    ledger: Ledger
    taken: IntArray  # (sample,)

    @classmethod
    def start(cls, batch: Batch, numbers: FloatArray, mean: int) -> "_Run":
        state = np.stack([problem.initial for problem in batch.problems])
        ledger, taken = Ledger.empty(len(batch), 2), np.zeros(len(batch), dtype=np.int64)
        return cls(batch, numbers, mean, state, np.zeros_like(state), ledger, taken)

    def cross(self, start: float, stop: float, solver: str) -> None:
        """Advance all samples from one output time to the next."""
        waiting = np.arange(len(self.batch))
        guard = np.tile([-np.inf, np.inf], (waiting.size, 1))
        grows = self.batch.grows
        reach = np.full(waiting.size, _HEADROOM)
        while waiting.size:
            before = [a[waiting].copy() for a in self._changing()]
            low, high = self._extremes(waiting, start, stop)
            growing = grows[waiting]
            size = np.maximum(abs(low[growing]), abs(high[growing]))
            room = reach[waiting[growing]] * np.maximum(high[growing] - low[growing], 1e-3 * size + 1e-6)
            low[growing] -= room
            high[growing] += room
            guard[waiting[growing]] = np.stack([low, high], axis=1)[growing]
            steps = self._steps(waiting, low, high, start, stop)
            kept = self._march(waiting, steps, guard[waiting], start, stop)
            if not (kept | growing).all():
                self.batch.check(self.state, stop, solver)
            self.taken[waiting[kept]] += steps[kept]
            # What outgrew its guard starts again from the last output time with shorter steps.
            for array, old in zip(self._changing(), before, strict=True):
                array[waiting[~kept]] = old[~kept]
            waiting = waiting[~kept]
            reach[waiting] *= 2.0
            if (reach[waiting] > 1e12).any():
                i = int(waiting[0])
                raise SolverError(
                    f"Sample {i} ({self.batch.problems[i].name}) outgrows every bound between t={start} and t={stop}; "
                    "lower its source or the flux of its walls, or give closer output times."
                )
        self.batch.check(self.state, stop, solver)

    def _changing(self) -> list[FloatArray]:
        return [self.state, self.more, *self.ledger]

    def _extremes(self, chosen: IntArray, start: float, stop: float) -> tuple[FloatArray, FloatArray]:
        """Least and largest value of state and walls between two output times."""
        batch = self.batch
        shown = np.where(batch.bounding, batch.constants, np.nan)[chosen]
        for place, side, _ in self._functions(chosen):
            shown[place, side] = np.nan
        low = np.fmin(self.state[chosen].min(axis=1), np.fmin(shown[:, 0], shown[:, 1]))
        high = np.fmax(self.state[chosen].max(axis=1), np.fmax(shown[:, 0], shown[:, 1]))
        times = np.append(_step_times(start, stop, LEAST_WALL_SAMPLES, 0, LEAST_WALL_SAMPLES), stop)
        for place, _, wall in self._functions(chosen):
            _widen(low, high, place, wall.values(times))
        return low, high

    def _functions(
        self, chosen: IntArray, bounding: bool = True
    ) -> Iterator[tuple[int, int, Dirichlet | Neumann | Robin]]:
        """(place among the chosen, side, wall) of walls that change; only those that bound u, or all."""
        place = {int(i): at for at, i in enumerate(chosen)}
        for i, side, wall in self.batch.functions:
            if i in place and (not bounding or not isinstance(wall, Neumann)):
                yield place[i], side, wall

    def _steps(
        self, chosen: IntArray, low: FloatArray, high: FloatArray, start: float, stop: float
    ) -> IntArray:
        """Number of equal steps between two output times, for each of the chosen samples."""
        width = self.batch.grid.width
        coefficient = subset(self.batch.coefficient, chosen)
        counts = np.ones(chosen.size, dtype=np.int64)
        # A finer sampling of a wall may reveal larger values; repeat until the steps cover what they sample.
        while True:
            with np.errstate(over="ignore"):
                fastest = coefficient.largest(low, high)
            needed = np.ceil((stop - start) * fastest / (self.numbers[chosen] * width**2))
            if not (needed <= _MOST_STEPS).all():
                at = int(np.argmin(needed <= _MOST_STEPS))
                problem = self.batch.problems[int(chosen[at])]
                raise SolverError(
                    f"Sample {int(chosen[at])} ({problem.name}, {problem.equation}) needs {needed[at]:.3g} explicit steps from "
                    f"t={start} to t={stop}, because k(u) reaches {fastest[at]:.3g} for u in [{low[at]:.3g}, {high[at]:.3g}]; "
                    f"more than {_MOST_STEPS:.0e} are not tried, so use ImplicitDiffusion, fewer cells, smaller values or "
                    "closer times."
                )
            if (needed <= counts).all():
                return counts
            counts = np.maximum(counts, needed.astype(np.int64))
            for place, _, wall in self._functions(chosen):
                count = int(counts[place])
                _widen(low, high, place, wall.values(_step_times(start, stop, count, 0, count)))

    def _march(
        self, chosen: IntArray, steps: IntArray, guard: FloatArray, start: float, stop: float
    ) -> NDArray[np.bool_]:
        """Advance the chosen samples, a block of steps at a time; which of them kept within their guard."""
        batch, n = self.batch, self.batch.grid.n
        whole = chosen.size == len(batch)
        coefficient = batch.coefficient if whole else subset(batch.coefficient, chosen)
        arrays = self._changing() if whole else [a[chosen] for a in self._changing()]
        state, more, *rest = arrays
        kept = np.ones(chosen.size, dtype=np.bool_)
        problems = [batch.problems[i] for i in chosen]
        changing = any(callable(problem.source) for problem in problems)
        # Whole blocks of the kernel, so that where a run is cut changes no bit.
        block = BLOCK * max(1, _BLOCK_VALUES // (BLOCK * chosen.size * (n if changing else 1)))
        for first in range(0, int(steps.max()), block):
            counts = np.where(kept, np.clip(steps - first, 0, block), 0)
            lower, upper = (
                np.repeat(batch.constants[chosen, side, None], int(counts.max()), axis=1) for side in (0, 1)
            )
            for place, side, wall in self._functions(chosen, bounding=False):
                values = wall.values(
                    _step_times(start, stop, int(steps[place]), first, first + int(counts[place]))
                )
                (lower, upper)[side][place, : counts[place]] = values
            source = _source_table(problems, steps, first, counts, start, stop)
            still = np.ones(chosen.size, dtype=np.bool_)
            over_samples(
                march, chosen.size,
                coefficient, self.mean, batch.kinds[chosen], batch.transfers[chosen], lower, upper, source,
                guard, counts, (stop - start) / steps, batch.grid.width,
                state, more, Ledger(*rest), still,
            )  # fmt: skip
            kept &= still
        if not whole:
            for array, new in zip(self._changing(), arrays, strict=True):
                array[chosen] = new
        return kept


def _widen(low: FloatArray, high: FloatArray, place: int, values: FloatArray) -> None:
    low[place] = min(low[place], values.min())
    high[place] = max(high[place], values.max())


def _source_table(
    problems: Sequence[Problem], steps: IntArray, first: int, counts: IntArray, start: float, stop: float
) -> FloatArray:
    """The sources at the beginning of each of a block of steps, (sample, step, nx); one step if they are steady."""
    n = problems[0].grid.shape[0]
    if all(problem.source is None for problem in problems):
        return np.zeros((len(problems), 0, n))
    if not any(callable(problem.source) for problem in problems):
        return np.stack([problem.source_at(start)[None] for problem in problems])
    table = np.zeros((len(problems), int(counts.max()), n))
    for i, problem in enumerate(problems):
        times = _step_times(start, stop, int(steps[i]), first, first + int(counts[i]))
        for j, time in enumerate(times):
            table[i, j] = problem.source_at(float(time))
    return table


def _step_times(start: float, stop: float, count: int, first: int, last: int) -> FloatArray:
    """The times at which steps `first` up to, not including, `last` of `count` equal ones begin."""
    return np.asarray(start + (stop - start) / count * np.arange(first, last), dtype=np.float64)
