"""Solver of the scalar conservation law u_t + f(u)_x = s in one dimension: advection and the inviscid Burgers equation."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.compiled import over_samples
from lawbound.solvers.conservation_law import ConservationLaw
from lawbound.solvers.fluxes import FIRST_ORDER_LIMITS, FLUXES, speed_per_state, speeds
from lawbound.solvers.grid import Cells
from lawbound.solvers.hyperbolic_kernel import OUTSIDE, march_all
from lawbound.solvers.inflow import KINDS, at_stages, stage_times
from lawbound.solvers.ledger import Ledger
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.reconstruction import NONE, RECONSTRUCTIONS, WENO5_Z
from lawbound.solvers.solver import SolverError
from lawbound.solvers.walls import Dirichlet, Neumann

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# The step is chosen anew after so many; where walls or sources change, their values at all stages are kept until then.
_BLOCK, _BLOCK_OF_CHANGE = 512, 64

# Tables of such values hold at most this many numbers at once; larger batches are solved in groups.
_TABLE_VALUES = 4_000_000

# Beyond this many steps between two output times a run is a mistake, not a long wait.
_MOST_STEPS = 10**8

# Linear stability of SSP-RK3 with the ideal weights of WENO5 ends near 1.4; nothing is promised beyond 1.
_WENO_LIMIT, _WENO_CFL = 1.0, 0.5

# By how much of their range states may outgrow it, by round-off or by the overshoots of WENO, before the step is shortened.
_ROUNDING, _WENO_ROOM = 1e-12, 0.02


@dataclass(frozen=True)
class FiniteVolumeWaves:
    """Conservative finite volumes with upwind fluxes, limited reconstruction and SSP-RK3, the step chosen automatically.

    Δt = cfl · h / max|f'|, shortened to hit output times exactly and never above `max_step`. `flux` is "godunov",
    "rusanov" or "engquist-osher"; `reconstruction` is "none" (first order), "minmod", "van-leer" or "superbee" (second
    order), or "weno5-z" (fifth order in space, third in time). But for the last, no average ever leaves the range of
    initial and wall values, up to round-off; WENO5-Z may overshoot where jumps are a few cells apart. By default cfl
    is the largest that keeps that promise: 1/2 with a limiter, 1 without, times 2/3 for Rusanov; and 1/2 for WENO5-Z.
    For fifth order in convergence studies ask for a `max_step` that shrinks as h^{5/3}.

    Time is always stepped by Shu and Osher's strong-stability-preserving Runge–Kutta method of third order (J. Comput.
    Phys. 77, 1988, pp. 439-471), also where second order would do: forward Euler with unlimited slopes is unstable
    at any fixed Δt/h, and where the limiter holds it, it turns smooth waves into stairs.

    Walls. Dirichlet values and the fluxes of Neumann walls are taken at the times of the stages, so that what enters
    by advection is integrated by Simpson's rule. Where characteristics leave, a Dirichlet value is upwinded away.
    Inflow that changes smoothly costs the limited schemes nothing in L1 (their slope in the first cell is of first
    order). For WENO5-Z the stages see values consistent with their own order (Carpenter, Gottlieb, Abarbanel, Don,
    SIAM J. Sci. Comput. 16, 1995, pp. 1241-1252) and averages beyond the wall that follow the characteristics back, so
    that order 5, or 3 at a fixed cfl, is kept at an inflow wall. Through outflow walls u continues constant: in the
    last cells every scheme is of first order, which costs WENO5-Z its order there only, since nothing travels back.

    Raises `ValueError` for an unknown name, a cfl beyond the limit of the scheme, or a max_step ≤ 0.
    """

    flux: str = "godunov"
    reconstruction: str = "van-leer"
    cfl: float | None = None
    max_step: float | None = None

    def __post_init__(self) -> None:
        for option, known in (("flux", FLUXES), ("reconstruction", RECONSTRUCTIONS)):
            if getattr(self, option) not in known:
                raise ValueError(
                    f"{option}={getattr(self, option)!r} is not known; use one of {', '.join(known)}."
                )
        if self.cfl is not None and not 0.0 < self.cfl <= self.limit:
            bound = "free of overshoots" if self.bounded else "stable"
            raise ValueError(
                f"cfl={self.cfl} is outside (0, {self.limit:.4g}]; {self.reconstruction} with {self.flux} is {bound} "
                f"up to {self.limit:.4g}, so lower it, or leave it out."
            )
        if self.max_step is not None and not self.max_step > 0.0:
            raise ValueError(f"max_step={self.max_step} lets no time pass; give a step > 0, or leave it out.")

    @property
    def bounded(self) -> bool:
        """Whether averages never leave the range of initial and wall values, where nothing else pours in."""
        return RECONSTRUCTIONS[self.reconstruction] != WENO5_Z

    @property
    def limit(self) -> float:
        """The largest cfl that is allowed; `fluxes.py` derives it."""
        if not self.bounded:
            return _WENO_LIMIT
        first_order = FIRST_ORDER_LIMITS[self.flux]
        return first_order if RECONSTRUCTIONS[self.reconstruction] == NONE else 0.5 * first_order

    @property
    def courant(self) -> float:
        """The cfl in use."""
        if self.cfl is not None:
            return self.cfl
        return self.limit if self.bounded else _WENO_CFL

    @property
    def name(self) -> str:
        """Name and version of the scheme, for provenance."""
        return f"finite-volume-waves 1 ({self.flux} flux, {self.reconstruction} reconstruction, ssp-rk3)"

    def solve(self, problem: Problem) -> Trajectory:
        """Solve one problem."""
        return self.solve_batch([problem])[0]

    def solve_batch(self, problems: Sequence[Problem]) -> list[Trajectory]:
        """Solve problems that share grid and output times; samples run in parallel, answers do not depend on it."""
        _check(problems)
        answers: dict[int, Trajectory] = {}
        for group in _groups(problems):
            run = _Run.start(self, [problems[i] for i in group], group)
            answers |= dict(zip(group, run.finish(), strict=True))
        return [answers[i] for i in range(len(problems))]


def _check(problems: Sequence[Problem]) -> None:
    for problem in problems:
        if not isinstance(problem.grid, Cells) or not isinstance(problem.equation, ConservationLaw):
            raise ValueError(
                f"`{problem.name}` is {type(problem.equation).__name__} on {type(problem.grid).__name__}; FiniteVolumeWaves "
                "solves u_t + f(u)_x = s on Cells. `lawbound.solve` picks the solver that fits."
            )
        first = problems[0]
        if problem.grid != first.grid or not np.array_equal(problem.times, first.times):
            raise ValueError(
                "A batch got several grids or output times; group the problems by grid and times."
            )


def _changes(problem: Problem) -> bool:
    return callable(problem.source) or any(
        callable(getattr(w, "value", None)) for w in problem.walls.sides.values()
    )


def _groups(problems: Sequence[Problem]) -> list[list[int]]:
    """Samples that one call of compiled code takes: of one law, all or none with a source, their tables of bounded size."""
    alike: dict[tuple[type, bool, bool], list[int]] = {}
    for i, problem in enumerate(problems):
        alike.setdefault((type(problem.equation), problem.source is None, _changes(problem)), []).append(i)
    groups = []
    for (_, unsourced, changing), chosen in alike.items():
        row = 2 * (OUTSIDE + 1) + (0 if unsourced else problems[0].grid.shape[0])
        most = max(1, _TABLE_VALUES // (3 * _BLOCK_OF_CHANGE * row)) if changing else len(chosen)
        groups += [chosen[first : first + most] for first in range(0, len(chosen), most)]
    return groups


@dataclass(frozen=True)
class _Run:
    """A group of samples under way: the states now and their ledger, changed in place."""

    solver: FiniteVolumeWaves
    problems: list[Problem]
    numbers: list[int]  # of the samples in the user's batch
    state: FloatArray  # (sample, nx)
    carry: FloatArray  # (sample, nx)
    ledger: Ledger
    steps: IntArray  # (sample,)

    @classmethod
    def start(cls, solver: FiniteVolumeWaves, problems: list[Problem], numbers: list[int]) -> "_Run":
        state, size = np.stack([problem.initial for problem in problems]), len(problems)
        return cls(
            solver,
            problems,
            numbers,
            state,
            carry=np.zeros_like(state),
            ledger=Ledger.empty(size, 2),
            steps=np.zeros(size, dtype=np.int64),
        )

    @cached_property
    def width(self) -> float:
        grid = self.problems[0].grid
        assert isinstance(grid, Cells)
        return grid.width

    @cached_property
    def law(self) -> Any:
        """The law of all samples, its numbers being arrays."""
        laws = [problem.equation for problem in self.problems]
        return type(laws[0])(*np.array(laws, dtype=np.float64).T.copy())

    @cached_property
    def kinds(self) -> IntArray:
        sides = [[KINDS[type(wall)] for wall in problem.walls.sides.values()] for problem in self.problems]
        return np.array(sides, dtype=np.int64)

    @cached_property
    def changing(self) -> bool:
        return _changes(self.problems[0])

    @cached_property
    def still(self) -> list["_Surroundings"]:
        """What surrounds each sample, where that does not change."""
        return [self._surroundings(i, 0.0, 0.0, 0, 0.0) for i in range(len(self.problems))]

    def finish(self) -> list[Trajectory]:
        """Run to the end; one trajectory a sample."""
        times, size = self.problems[0].times, len(self.problems)
        state = np.empty((size, times.size, self.state.shape[1]))
        inflow, traffic = np.zeros((size, times.size, 2)), np.zeros((size, times.size, 2))
        produced = np.zeros((size, times.size))
        state[:, 0] = self.state
        for k in range(1, times.size):
            self._cross(float(times[k - 1]), float(times[k]))
            state[:, k] = self.state
            inflow[:, k], traffic[:, k], produced[:, k] = self.ledger.settled()
        return [
            Trajectory(
                problem,
                state[i],
                np.stack([wall.values(times) for wall in problem.walls.sides.values()], axis=1),
                inflow[i],
                traffic[i],
                produced[i],
                int(self.steps[i]),
                self.solver.name,
            )
            for i, problem in enumerate(self.problems)
        ]

    def _cross(self, start: float, stop: float) -> None:
        """Advance all samples from one output time to the next, a block of steps at a time."""
        now = np.full(len(self.problems), start)
        waiting = np.arange(len(self.problems))
        while waiting.size:
            left, dt, guard, around = self._plan(waiting, now[waiting], stop)
            most = _BLOCK_OF_CHANGE if self.changing else _BLOCK
            taken = self._march(waiting, np.minimum(left, most), dt, guard, around)
            self.steps[waiting] += taken
            now[waiting] = np.where(taken == left, stop, now[waiting] + taken * dt)
            self._check(waiting, now)
            waiting = waiting[taken < left]

    def _plan(
        self, chosen: IntArray, now: FloatArray, stop: float
    ) -> tuple[IntArray, FloatArray, FloatArray, list["_Surroundings"]]:
        """Steps left and their length, the states that this length allows for, and what surrounds the samples meanwhile.

        What walls and sources do depends on the length, and the length on what they do: both are refined until they agree.
        """
        low, high = self.state[chosen].min(axis=1), self.state[chosen].max(axis=1)
        pour = np.zeros(chosen.size)
        around = [] if self.changing else [self.still[i] for i in chosen]
        while True:
            for place, seen in enumerate(around):
                low[place], high[place] = min(low[place], seen.low), max(high[place], seen.high)
                pour[place] = max(pour[place], seen.pour)
            guard = self._with_room(chosen, low, high, pour)
            left, dt, fastest = self._lengths(chosen, guard, now, stop)
            if not self.changing:
                return left, dt, guard, around
            around = [
                self._surroundings(
                    int(i),
                    float(now[k]),
                    float(dt[k]),
                    min(int(left[k]), _BLOCK_OF_CHANGE),
                    float(fastest[k]),
                )
                for k, i in enumerate(chosen)
            ]
            if all(
                low[k] <= seen.low and seen.high <= high[k] and seen.pour <= pour[k]
                for k, seen in enumerate(around)
            ):
                return left, dt, guard, around

    def _with_room(self, chosen: IntArray, low: FloatArray, high: FloatArray, pour: FloatArray) -> FloatArray:
        """The range of states and walls, wider by what round-off, overshoots and what pours in may add, (chosen, 2)."""
        bend = speed_per_state(self._law_of(chosen))
        if not np.any(bend):
            largest = np.finfo(np.float64).max  # the speed does not depend on the state
            return np.tile([-largest, largest], (chosen.size, 1))
        share = _ROUNDING if self.solver.bounded else _WENO_ROOM
        with np.errstate(over="ignore", invalid="ignore"):
            room = share * (high - low) + _ROUNDING * np.maximum(abs(low), abs(high))
            # A step adds at most r = pour · Δt, and Δt ≤ cfl · h / (f'' · r): so r² = pour · cfl · h / f'' is enough.
            room += np.sqrt(pour * self.solver.courant * self.width / bend)
            return np.stack([low - room, high + room], axis=1)

    def _lengths(
        self, chosen: IntArray, guard: FloatArray, now: FloatArray, stop: float
    ) -> tuple[IntArray, FloatArray, FloatArray]:
        """Number and length of the steps left until `stop`, and the fastest speed; f' is monotone, so ends of ranges decide."""
        law = self._law_of(chosen)
        with np.errstate(over="ignore", invalid="ignore"):
            fastest = np.maximum(abs(speeds(law, guard[:, 0])), abs(speeds(law, guard[:, 1])))
            needed = (stop - now) * fastest / (self.solver.courant * self.width)
        if self.solver.max_step is not None:
            needed = np.maximum(needed, (stop - now) / self.solver.max_step)
        if not (needed <= _MOST_STEPS).all():
            at = int(np.argmin(needed <= _MOST_STEPS))
            raise SolverError(
                f"{self._called(int(chosen[at]))} needs {needed[at]:.3g} more steps from t={now[at]:.6g} (step "
                f"{self.steps[chosen[at]]}) to t={stop:.6g} at speed {fastest[at]:.3g}; more than {_MOST_STEPS:.0e} are not "
                "tried, so lower its speed, its values or its source, or use fewer cells, a larger max_step or closer times."
            )
        left = np.maximum(np.ceil(needed), 1.0).astype(np.int64)
        return left, (stop - now) / left, fastest

    def _surroundings(
        self, sample: int, now: float, dt: float, steps: int, fastest: float
    ) -> "_Surroundings":
        """Walls and source of a sample at the stages of the steps to come; with 0 steps, of one that never change."""
        problem = self.problems[sample]
        sides = [
            at_stages(problem, side, now, dt, steps, fastest, consistent=not self.solver.bounded)
            for side in problem.walls.sides
        ]
        source = np.empty((0, problem.grid.shape[0]))
        if problem.source is not None:
            times = (
                stage_times(problem, now, dt, steps).ravel() if callable(problem.source) else np.array([now])
            )
            source = np.stack([problem.source_at(float(time)) for time in times])
        states = [
            table
            for table, wall in zip(sides, problem.walls.sides.values(), strict=True)
            if isinstance(wall, Dirichlet)
        ]
        entering = [
            table
            for table, wall in zip(sides, problem.walls.sides.values(), strict=True)
            if isinstance(wall, Neumann)
        ]
        return _Surroundings(
            sides[0],
            sides[1],
            source,
            low=min((float(table.min()) for table in states), default=np.inf),
            high=max((float(table.max()) for table in states), default=-np.inf),
            pour=float(abs(source).max(initial=0.0))
            + sum(float(abs(table).max()) for table in entering) / self.width,
        )

    def _march(
        self,
        chosen: IntArray,
        steps: IntArray,
        dt: FloatArray,
        guard: FloatArray,
        around: list["_Surroundings"],
    ) -> IntArray:
        """Take steps; how many were taken before a state left its guard."""
        flux, reconstruction = FLUXES[self.solver.flux], RECONSTRUCTIONS[self.solver.reconstruction]
        changing = [self.state, self.carry, *self.ledger]
        whole = chosen.size == len(self.problems)
        arrays = changing if whole else [a[chosen] for a in changing]
        state, carry, *rest = arrays
        lower, upper, source = (
            _stacked([getattr(seen, what) for seen in around]) for what in ("lower", "upper", "source")
        )
        all_taken = np.zeros(chosen.size, dtype=np.int64)
        over_samples(
            march_all, chosen.size,
            self._law_of(chosen), flux, reconstruction, self.kinds[chosen], lower, upper, source, guard,
            steps, dt, self.width, state, carry, Ledger(*rest), all_taken,
        )  # fmt: skip
        if not whole:
            for array, new in zip(changing, arrays, strict=True):
                array[chosen] = new
        return all_taken

    def _law_of(self, chosen: IntArray) -> Any:
        return type(self.law)(*(values[chosen] for values in self.law))

    def _called(self, sample: int) -> str:
        problem = self.problems[sample]
        return f"Sample {self.numbers[sample]} ({problem.name}, {problem.equation})"

    def _check(self, chosen: IntArray, now: FloatArray) -> None:
        finite = np.isfinite(self.state[chosen]).all(axis=1)
        if not finite.all():
            i = int(chosen[np.argmin(finite)])
            raise SolverError(
                f"{self._called(i)} stopped being finite before t={now[i]:.6g}, by step {self.steps[i]}; lower cfl (now "
                f"{self.solver.courant:.4g}) or give a max_step, and check its initial and wall values and its source."
            )


@dataclass(frozen=True)
class _Surroundings:
    """Walls and source of a sample during some steps, and how large they are."""

    lower: FloatArray  # (1 or 3 · steps, 4)
    upper: FloatArray
    source: FloatArray  # (0, 1 or 3 · steps, nx)
    low: float  # least and largest state at a wall
    high: float
    pour: float  # most that source and given fluxes add to a cell, per time


def _stacked(tables: list[FloatArray]) -> FloatArray:
    """Tables of several samples as one; the last row of a short one is repeated, which compiled code never gets to see."""
    longest = max(len(table) for table in tables)
    if all(len(table) == longest for table in tables):
        return np.stack(tables)
    return np.stack([np.pad(table, ((0, longest - len(table)), (0, 0)), mode="edge") for table in tables])
