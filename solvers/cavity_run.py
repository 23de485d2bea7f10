"""Runs of many cavities of one degree: the choice of steps, and what is made of the coefficients at the output times."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers import chebyshev
from lawbound.solvers.cavity_basis import clamped_basis
from lawbound.solvers.cavity_fields import (
    Quadrature,
    divergence_of,
    flow_at,
    head_at,
    spectrum_tail,
    total_head,
)
from lawbound.solvers.cavity_history import History
from lawbound.solvers.cavity_march import (
    FIRST_STEPS,
    INNER,
    INNER_NODES,
    KEPT,
    march,
)
from lawbound.solvers.cavity_rates import lid_power, put_walls, tables_of, walls_in
from lawbound.solvers.cavity_stokes import Stokes
from lawbound.solvers.cavity_walls import (
    chebyshev_points,
    fastest_speed,
    of_rectangle,
    reynolds_of,
    scales_of,
    wall_speeds,
    wall_traces,
)
from lawbound.solvers.compiled import over_samples
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.solver import SolverError
from lawbound.solvers.spectral import initial_values

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Steps between two looks at the error: so many are done again when it was too large.
_BLOCK = 8
# The first step is this part of the step that is asked for, or of the time between two outputs.
_START = 16
# The error is that of a formula of order 3, 4 in one step; a step is doubled where this part of the tolerance will do.
_ORDER, _CARE = 4, 0.7
# Steps of a given length have become unstable when their error is this part of the fastest speed.
_LOST = 0.01


class CavityRun:
    """Cavities on one grid with the same output times, all with streamfunctions of one degree."""

    def __init__(
        self, problems: Sequence[Problem], degree: int, tolerance: float, step: float | None
    ) -> None:
        self.problems, self.tolerance, self.step = problems, tolerance, step
        self.basis = clamped_basis(degree)
        # ω u·∇Φ is of degree 3 N − 1; five quarters of N points leave an alias far below the tail of the spectrum.
        self.quadrature = Quadrature.of(degree + 1 + degree // 4)
        self.tables = tables_of(self.basis, self.quadrature.points.size)
        grid = of_rectangle(problems[0])
        self.scales, self.times = scales_of(grid), problems[0].times
        self.nus = np.array([1.0 / reynolds_of(problem) for problem in problems])
        area = 4.0 / float(self.scales.prod())
        self.fastest = np.array([fastest_speed(problem) for problem in problems])
        self.speeds = self.fastest * np.sqrt(area)
        rest = Stokes(1.0, 0.0, self.scales, self.basis.a, self.basis.r)
        self.still = (rest.across, rest.along, rest.inverses)
        self.corners = np.zeros((len(problems), 2))
        self.steps = np.zeros(len(problems), dtype=np.int64)
        self.done = np.zeros((len(problems), 2))
        self.psis = np.array([self._start(problem, rest) for problem in problems])
        self.history = History.empty(len(problems), self.basis.modes)
        self.roomy = np.zeros(len(problems), dtype=bool)

    def _start(self, problem: Problem, rest: Stokes) -> FloatArray:
        """The polynomial that sticks to the walls at the start, its velocity nearest to that of the initial state."""
        basis, n = self.basis, self.basis.modes
        walls = wall_traces(problem, basis, self.times[:1])
        values = initial_values(problem, *chebyshev_points(of_rectangle(problem), basis.degree + 1))
        given = basis.from_nodes @ values @ basis.from_nodes.T
        edge = max(np.abs(values[[0, -1]]).max(), np.abs(values[:, [0, -1]]).max())
        if edge > 1e-8 * max(1.0, np.abs(values).max()):
            raise ValueError(
                f"The initial streamfunction of `{problem.name}` is {edge:.3g} on a wall, and nothing passes a wall; give one that is "
                "0 on all walls."
            )
        psi = np.zeros((n + 2, n + 2))
        put_walls(psi, walls.rows[0], walls.columns[0])
        gap = given[: n + 2, : n + 2] - psi
        m0, m1 = self.basis.products(0), self.basis.products(1)
        sx, sy = self.scales
        psi[:n, :n] = rest.solve((sx / sy) * m0 @ gap @ m1.T + (sy / sx) * m1 @ gap @ m0.T)
        return psi

    def states(self) -> tuple[FloatArray, FloatArray]:
        """ψ at the output times, (sample, nt, functions, functions), and the integrals of power and dissipation, (sample, nt, 2)."""
        kept, sums = [self.psis.copy()], [self.done.copy()]
        longest = np.full(len(self.problems), self.step or float(np.diff(self.times).min()))
        self.paces = longest / _START
        for start, stop in pairwise(self.times):
            clock = np.full(len(self.problems), start)
            left = np.maximum(np.ceil((stop - start) / self.paces * (1.0 - 1e-9)), 1.0).astype(np.int64)
            for i, count in enumerate(left.tolist()):
                self._change_pace(i, float(stop - start) / count)
            while (left > 0).any():
                self._block(clock, left, float(stop), 1e-10 * float(stop - start))
            kept.append(self.psis.copy())
            sums.append(self.done.copy())
        return np.stack(kept, axis=1), np.stack(sums, axis=1)

    def _block(self, clock: FloatArray, left: IntArray, stop: float, least: float) -> None:
        """Up to 8 steps of each sample's own length, all of them taken back where the error of one is too large."""
        for i in _where((left % 2 == 0) & (left > 0) & self.roomy & (self.history.marks[:, 1] == KEPT)):
            self._change_pace(i, 2.0 * self.paces[i])
            left[i] //= 2
        counts = np.minimum(left, _BLOCK)
        rows, columns = self._walls(clock, counts)
        before = (self.psis.copy(), self.done.copy(), self.history.copy())
        worst = np.zeros(len(counts))
        over_samples(
            march, len(counts), self.nus, self.paces, counts, self.scales, self.tables, rows, columns, self.still, self.psis,
            self.history.zs, self.history.ns, self.history.fs, self.history.marks, worst, self.done,
        )  # fmt: skip
        errors = worst / self.speeds
        for i in _where(counts > 0):
            if errors[i] <= (self.tolerance if self.step is None else _LOST):
                left[i] -= counts[i]
                clock[i] = clock[i] + self.paces[i] * counts[i] if left[i] else stop
                self.steps[i] += counts[i]
                self.roomy[i] = self._has_room(float(errors[i]), float(self.paces[i]))
                continue
            self.psis[i], self.done[i] = before[0][i], before[1][i]
            self.history.take_back(before[2], i)
            shorter = 2 if self.history.marks[i, 1] > FIRST_STEPS else 8
            self._change_pace(i, self.paces[i] / shorter)
            left[i] *= shorter
            self.roomy[i] = False
            if self.step is not None or self.paces[i] < least:
                self._give_up(i, clock[i], shorter * self.paces[i])

    def _has_room(self, error: float, pace: float) -> bool:
        """Whether a step of twice the length will do."""
        if self.step is not None:
            return 2.0 * pace <= self.step * (1.0 + 1e-9)
        return error * 2.0**_ORDER <= _CARE * self.tolerance

    def _change_pace(self, i: int, pace: float) -> None:
        """Make the step of a sample `pace`, and see its past states at that spacing."""
        self.history.respace(i, pace / self.paces[i])
        self.paces[i] = pace

    def _walls(self, clock: FloatArray, counts: IntArray) -> tuple[FloatArray, FloatArray]:
        """Walls at the inner stages of first steps and at the ends of steps, (sample, 12 + 8, 2, functions)."""
        inner = FIRST_STEPS * INNER
        shape = (len(counts), inner + _BLOCK, 2, self.basis.modes + 2)
        rows, columns = np.zeros(shape), np.zeros(shape)
        for i in _where(counts > 0):
            slow = min(int(counts[i]), FIRST_STEPS + 1 - max(int(self.history.marks[i, 1]), 1))
            within = (np.arange(max(slow, 0))[:, None] + INNER_NODES).ravel()
            moments = clock[i] + self.paces[i] * np.append(within, np.arange(1, counts[i] + 1))
            walls = wall_traces(self.problems[i], self.basis, moments)
            where = np.append(np.arange(within.size), inner + np.arange(counts[i]))
            rows[i, where], columns[i, where] = walls.rows, walls.columns
            self.corners[i] = np.maximum(self.corners[i], walls.changed / self.fastest[i])
        return rows, columns

    def _give_up(self, i: int, time: float, length: float) -> None:
        remedy = (
            "it is not stable: give a shorter `step`, half of it or less, or leave it out"
            if self.step is not None
            else "give a larger `tolerance`, more modes, or walls that change less abruptly"
        )
        raise SolverError(
            f"Sample {i} ({self.problems[i].name}, {self.problems[i].equation}) broke down after t={time:.6g} with a step of "
            f"{length:.3g} and modes={self.basis.degree}; {remedy}."
        )

    def trajectories(self, solver: str) -> list[Trajectory]:
        """One trajectory a sample."""
        states, sums = self.states()
        answers: dict[int, Trajectory] = {}

        def answer(first: int, last: int) -> None:
            for i in range(first, last):
                answers[i] = self._trajectory(i, states[i], sums[i], solver)

        over_samples(answer, len(self.problems))
        return [answers[i] for i in range(len(self.problems))]

    def _trajectory(self, i: int, psi: FloatArray, sums: FloatArray, solver: str) -> Trajectory:
        problem, basis, scales, nu = self.problems[i], self.basis, self.scales, float(self.nus[i])
        grid = of_rectangle(problem)
        x, y = (
            2.0 * (side.points - side.lower) / (side.upper - side.lower) - 1.0 for side in (grid.x, grid.y)
        )
        flow = flow_at(basis, scales, psi, x, y)
        ends, gauss = np.array([-1.0, 1.0]), self.quadrature.points
        inside = flow_at(basis, scales, psi, gauss, gauss)
        along_y, along_x = (
            flow_at(basis, scales, psi, ends, gauss).omega,
            flow_at(basis, scales, psi, gauss, ends).omega,
        )
        at_walls = (along_y[..., 0], along_y[..., 1], along_x[..., 0, :], along_x[..., 1, :])
        head = total_head(basis.degree, scales, nu, self.quadrature, inside, at_walls)
        energy = 0.5 * self.quadrature.integral(inside.u**2 + inside.v**2, scales)
        mean = 0.25 * float(scales.prod()) * energy
        pressure = head_at(head, x, y) - 0.5 * (flow.u**2 + flow.v**2) + mean[:, None, None]
        nodes = chebyshev.nodes(basis.degree + 1)
        at_nodes = flow_at(basis, scales, psi, nodes, nodes)
        zeros = np.zeros((self.times.size, 4))
        return Trajectory(
            problem, flow.u, self._wall_means(problem), zeros, zeros, zeros[:, 0], int(self.steps[i]), solver,
            others={"v": flow.v, "p": pressure, "vorticity": flow.omega, "streamfunction": flow.psi},
            diagnostics={
                "energy": energy,
                "power": np.array([nu * self._power(one) for one in psi]),
                "dissipation": nu * self.quadrature.integral(inside.omega**2, scales),
                "work": sums[:, 0],
                "dissipated": sums[:, 1],
                "divergence": divergence_of(at_nodes, scales),
                "tail": spectrum_tail(at_nodes),
            },
            mass=self.quadrature.integral(inside.u, scales),
        )  # fmt: skip

    def _power(self, psi: FloatArray) -> float:
        rows, columns = walls_in(psi)
        return float(lid_power(psi, rows, columns, self.scales, self.tables.ends, self.tables.gram))

    def _wall_means(self, problem: Problem) -> FloatArray:
        speeds = wall_speeds(problem, self.times, self.basis.degree + 1)
        return np.asarray((speeds @ (0.5 * chebyshev.clenshaw_curtis(self.basis.degree + 1))).T)


def _where(chosen: NDArray[np.bool_]) -> list[int]:
    return [int(i) for i in np.flatnonzero(chosen)]
