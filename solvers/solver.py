"""The interface of a solver, and what a run that broke down says."""

from collections.abc import Sequence
from typing import Protocol

from lawbound.solvers.problem import Problem, Trajectory


class Solver(Protocol):
    """Turns problems into trajectories."""

    @property
    def name(self) -> str:
        """Name and version of the scheme with its settings, for provenance."""
        ...

    def solve(self, problem: Problem) -> Trajectory:
        """Solve one problem."""
        ...

    def solve_batch(self, problems: Sequence[Problem]) -> list[Trajectory]:
        """Solve problems that share a grid and output times together; each answer equals `solve` bit for bit."""
        ...


class SolverError(RuntimeError):
    """A run that could not be finished; the message names the time and what to change."""


class ResolutionWarning(UserWarning):
    """A solution that its modes do not resolve; the message says how far they are from it and how many are needed."""
