"""Batches of periodic Burgers problems: how many modes each sample has, and when it gets more or fewer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.burgers_march import ARRIVED, COARSE, FINE, RUNNING, Controls, Samples
from lawbound.solvers.burgers_waves import POINTS, modes_of, values_on, wave_plan
from lawbound.solvers.equation import ViscousBurgers
from lawbound.solvers.grid import PeriodicNodes
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.spectral import initial_values

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

_LANES = 8
# Up to so many points the number doubles when it must grow: a change costs more than the points.
_FEW = 128
# Answers of a call hold at most this many numbers; more samples wait for the next call.
_MOST_NUMBERS = 8_000_000


@dataclass
class Run:
    """A sample under way, in the frame of its mean; changed between calls of compiled code."""

    problem: Problem
    number: int
    mean: float
    points: int
    state: FloatArray  # (2, modes): real and imaginary parts; mode 0 holds ∫ mean(v²/2) dt
    scale: float
    moment: float  # of the start, see `_moment`
    row: dict[str, Any] = field(default_factory=dict)
    answers: list[tuple[int, ComplexArray]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """The number of modes now."""
        return modes_of(self.points)


def started(problem: Problem, number: int, tail: float, modes: int | None) -> Run:
    """Amplitudes of the initial state, on as many points as it asks for or the user fixed."""
    grid = problem.grid
    assert isinstance(grid, PeriodicNodes)
    _check_ends(problem)
    if modes is not None:
        points = next((p for p in POINTS if modes_of(p) > modes), POINTS[-1])
        c = _amplitudes(problem, points)
    else:
        for points in POINTS[::2]:  # doubled: a function of the user's may be slow
            c = _amplitudes(problem, points)
            v = np.abs(c[1:])
            if v[-max(2, v.size // 8) :].max() <= tail * np.sqrt(2.0 * (v**2).sum()):
                break
    state = np.stack([c.real, c.imag])
    state[:, 0] = 0.0
    scale = float(np.sqrt(2.0 * (state**2).sum()))
    # A constant state, up to round-off, has nothing to resolve.
    scale = max(scale, 1e-12 * abs(float(c[0].real)), 1e-300)
    return Run(
        problem, number, float(c[0].real), points, state, scale, float(_moment(c, grid.upper - grid.lower))
    )


def _amplitudes(problem: Problem, points: int) -> ComplexArray:
    """c_m of the initial state for m < points / 3."""
    grid = problem.grid
    assert isinstance(grid, PeriodicNodes)
    if problem.initial_function is None:
        c = np.fft.rfft(problem.initial, norm="forward")
        if grid.n % 2 == 0:
            c[-1] *= 0.5  # the sawtooth mode is shared by both signs
        kept = np.zeros(modes_of(points), dtype=np.complex128)
        kept[: min(kept.size, c.size)] = c[: kept.size]
        return kept
    # Twice the points, so that what is cut off does not alias into what stays.
    x = PeriodicNodes(grid.lower, grid.upper, 2 * points).points
    return np.asarray(np.fft.rfft(initial_values(problem, x), norm="forward"))[: modes_of(points)]


def _check_ends(problem: Problem) -> None:
    grid = problem.grid
    assert isinstance(grid, PeriodicNodes)
    if problem.initial_function is not None:
        left, right = initial_values(problem, np.array([grid.lower, grid.upper]))
        jump, usual = abs(right - left), 1e-6 * float(np.ptp(problem.initial))
    else:
        u = problem.initial
        left, right = u[0], u[-1]
        jump, usual = abs(right - left), 10.0 * float(np.abs(np.diff(u)).max())
    if jump > usual + 1e-10 * float(np.abs(problem.initial).max()):
        raise ValueError(
            f"`initial` of {problem.name} is not periodic: it is {left:.6g} at x={grid.lower:g} and {right:.6g} at the other end; "
            "make the ends meet, or give Dirichlet walls and Nodes."
        )


def solve_periodic(
    problems: Sequence[Problem],
    controls: Controls,
    modes: int | None,
    march: Callable[..., None],
    judge: Callable[[Run, int], None],
) -> list[Run]:
    """All problems to their last output; `march` steps groups, `judge` raises or warns for a sample that cannot go on."""
    runs = [started(problem, i, controls.tail, modes) for i, problem in enumerate(problems)]
    if modes is not None:
        controls = controls._replace(tail=np.inf, idle=-1.0)
    waiting = list(runs)
    while waiting:
        points = min(run.points for run in waiting)
        chosen = [run for run in waiting if run.points == points]
        most = max(_LANES, _MOST_NUMBERS // (controls.times.size * 2 * modes_of(points)))
        _march(chosen[:most], points, controls, march)
        waiting = [run for run in waiting if not _settled(run, judge)]
    return runs


def _settled(run: Run, judge: Callable[[Run, int], None]) -> bool:
    """Whether a run has ended; gives it more or fewer modes if it asks for them."""
    status = run.row.get("status", RUNNING)
    place = POINTS.index(run.points)
    if status == ARRIVED:
        return True
    if status == COARSE and run.points < POINTS[-1]:
        _resize(run, POINTS[min(place + (2 if run.points < _FEW else 1), len(POINTS) - 1)])
    elif status == FINE:
        _resize(run, run.points // 2)
    elif status != RUNNING:
        judge(run, status)
    return False


def _resize(run: Run, points: int) -> None:
    modes = modes_of(points)
    run.points, run.row["since"], run.row["status"] = points, 0, RUNNING

    def fitted(a: FloatArray) -> FloatArray:
        b = np.zeros((*a.shape[:-1], modes))
        b[..., : min(modes, a.shape[-1])] = a[..., :modes]
        return b

    run.state, run.row["past"] = fitted(run.state), fitted(run.row["past"])


def _march(runs: list[Run], points: int, controls: Controls, march: Callable[..., None]) -> None:
    """Step runs with the same number of points as far as they go."""
    grid = runs[0].problem.grid
    assert isinstance(grid, PeriodicNodes)
    wavenumber = 2.0 * np.pi / (grid.upper - grid.lower)
    lanes = 1 if len(runs) == 1 else _LANES
    plan = wave_plan(points, lanes, wavenumber)
    of = _stacked(runs, plan.modes, controls, wavenumber)
    before = of.ahead.copy()
    march(-(-len(runs) // lanes), plan, controls, of)
    for i, run in enumerate(runs):
        run.state = of.state[i]
        run.row = {name: getattr(of, name)[i] for name in Samples._fields if name not in ("answers", "state")}
        for k in range(int(before[i]), int(of.ahead[i])):
            run.answers.append((k, of.answers[i, k, 0] + 1j * of.answers[i, k, 1]))


def _stacked(runs: list[Run], modes: int, controls: Controls, wavenumber: float) -> Samples:
    n = len(runs)
    start = controls.times[0]
    nu = np.array([run.problem.equation.nu for run in runs])  # type: ignore[union-attr]
    fresh: dict[str, Any] = {
        "past": np.zeros((7, 2, modes)), "past_times": np.full(7, start), "known": 0, "values": 1, "time": start,
        "step": 0.0, "nodes": np.zeros(7), "peak": 0.0, "steps": 0, "refused": 0, "since": 0, "ahead": 1,
        "status": RUNNING, "tail": 0.0,
    }  # fmt: skip
    stacked = {name: np.array([run.row.get(name, value) for run in runs]) for name, value in fresh.items()}
    return Samples(
        state=np.array([run.state for run in runs]),
        decay=nu[:, None] * (wavenumber * np.arange(modes)) ** 2,
        nu=nu,
        scale=np.array([run.scale for run in runs]),
        answers=np.empty((n, controls.times.size, 2, modes)),
        **stacked,
    )


def trajectory(run: Run, solver: str) -> Trajectory:
    """The answer on the problem's grid, in the frame at rest."""
    problem = run.problem
    grid, times = problem.grid, problem.times
    assert isinstance(grid, PeriodicNodes) and isinstance(problem.equation, ViscousBurgers)
    length = grid.upper - grid.lower
    state, through = np.empty((times.size, grid.n)), np.zeros(times.size)
    state[0] = problem.initial
    for k, c in _alike(run.answers):
        passed = times[k] - times[0]
        pushed = 0.5 * run.mean**2 * passed + c[:, 0].real  # ∫ mean(u²/2) dt
        c = c * np.exp(np.multiply.outer(passed, -2j * np.pi / length * run.mean * np.arange(c.shape[1])))
        c[:, 0] = run.mean
        state[k] = values_on(grid.n, c)
        # d/dt ∫ u (x − x_lo)/L dx = mean flux − flux through the ends.
        through[k] = pushed - (_moment(c, length) - run.moment)
    inflow = np.stack([through, -through], axis=1)
    traffic = np.abs(np.diff(inflow, axis=0, prepend=0.0)).cumsum(axis=0)
    return Trajectory(
        problem,
        state,
        np.zeros((times.size, 2)),
        inflow,
        traffic,
        np.zeros(times.size),
        int(run.row["steps"]),
        solver,
        mass=np.full(times.size, run.mean * length),
    )


def _alike(answers: list[tuple[int, ComplexArray]]) -> Iterator[tuple[list[int], ComplexArray]]:
    """Outputs with as many modes together: their numbers, and their amplitudes, (outputs, modes)."""
    for size in sorted({c.size for _, c in answers}):
        chosen = [(k, c) for k, c in answers if c.size == size]
        yield [k for k, _ in chosen], np.array([c for _, c in chosen])


def _moment(c: ComplexArray, length: float) -> Any:
    """∫ v (x − x_lo) / L dx of all waves but the constant, Σ 2 Im c_m / k_m, (...)."""
    return (c[..., 1:].imag / np.arange(1, c.shape[-1])).sum(axis=-1) * (length / np.pi)
