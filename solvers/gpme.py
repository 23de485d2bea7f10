"""Explicit solver of the generalized porous medium equation u_t = (k(u) u_x)_x + s in one dimension."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.batch import Batch
from lawbound.solvers.coefficient import Step
from lawbound.solvers.explicit_run import ExplicitRun
from lawbound.solvers.face_mean import MEANS
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.walls import Dirichlet, Periodic, Robin

FloatArray = NDArray[np.float64]

#: Largest k·Δt/h² for which every new average is a convex combination of old values. An inner cell gives away two
#: parts of it, a cell whose wall stands half a cell away 2 + 1, a cell between a wall and a tracked front 2 + 2.
LIMIT_INSIDE, LIMIT_AT_WALL, LIMIT_AT_FRONT = 1.0 / 2.0, 1.0 / 3.0, 1.0 / 4.0


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
        run = ExplicitRun.start(batch, numbers, MEANS[self.mean])
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
