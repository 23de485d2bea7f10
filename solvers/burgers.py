"""Spectral solver of Burgers' equation with viscosity, u_t + (u²/2)_x = ν u_xx, on a period or between walls."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lawbound.solvers import burgers_march
from lawbound.solvers.burgers_march import BROKEN, COARSE, Controls
from lawbound.solvers.burgers_periodic import Run, solve_periodic, trajectory
from lawbound.solvers.burgers_waves import WavePlan, modes_of, rate_of_waves, tails_of_waves
from lawbound.solvers import burgers_dirichlet
from lawbound.solvers.walls import Periodic
from lawbound.solvers.burgers_walls import WallPlan, rate_between_walls, tails_between_walls
from lawbound.solvers.compiled import chosen_by_type, over_samples
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.solver import SolverError

chosen_by_type(burgers_march.rate, {WavePlan: rate_of_waves, WallPlan: rate_between_walls})
chosen_by_type(burgers_march.tails, {WavePlan: tails_of_waves, WallPlan: tails_between_walls})


def _march(groups: int, *arguments: Any) -> None:
    over_samples(burgers_march.march, groups, *arguments)

@dataclass(frozen=True)
class SpectralBurgers:
    tolerance: float = 1e-9
    modes: int | None = None
    order: int | None = None
    longest_step: float | None = None
    tailf: float = 0.3
    name = "x"
    def solve(self, problem): return self.solve_batch([problem])[0]
    def solve_batch(self, problems):
        c = Controls(self.tolerance, self.tailf*self.tolerance, 0.03*self.tailf*self.tolerance, 0 if isinstance(problems[0].walls.x_lo, Periodic) else 24, self.longest_step or 1e300, self.order-1 if self.order else 0, problems[0].times)
        if not isinstance(problems[0].walls.x_lo, Periodic):
            runs = burgers_dirichlet.solve_between_walls(problems, c, self.modes, _march, self._judge)
            self.__dict__['runs']=runs
            return [burgers_dirichlet.trajectory(r, self.name) for r in runs]
        runs = solve_periodic(problems, c, self.modes, _march, self._judge)
        self.__dict__['runs']=runs
        return [trajectory(r, self.name) for r in runs]
    def _judge(self, run, status):
        raise SolverError(f"{status} {run.row['time']} {run.row['steps']}")
