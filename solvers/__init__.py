"""Solvers: problems in, trajectories out. Knows numpy, scipy and numba, and nothing of labels or learning."""

from lawbound.solvers.coefficient import Constant, Power, Step
from lawbound.solvers.exact import DecayingSine, PorousMediumWave, StefanSimilarity, cell_averages
from lawbound.solvers.gpme import ExplicitDiffusion
from lawbound.solvers.grid import Cells, Nodes
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.solver import Solver, SolverError
from lawbound.solvers.walls import Dirichlet, PowerOfTime, Walls

__all__ = [
    "Cells",
    "Constant",
    "DecayingSine",
    "Dirichlet",
    "ExplicitDiffusion",
    "Nodes",
    "PorousMediumWave",
    "Power",
    "PowerOfTime",
    "Problem",
    "Solver",
    "SolverError",
    "StefanSimilarity",
    "Step",
    "Trajectory",
    "Walls",
    "cell_averages",
]
