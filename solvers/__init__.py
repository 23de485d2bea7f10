"""Solvers: problems in, trajectories out. Knows numpy, scipy and numba, and nothing of labels or learning."""

from lawbound.solvers.barenblatt import Barenblatt, box_averages
from lawbound.solvers.choice import solver_for
from lawbound.solvers.coefficient import Constant, Custom, Phases, Power, Step
from lawbound.solvers.conservation_law import Advection, InviscidBurgers
from lawbound.solvers.exact import DecayingSine, PorousMediumWave, StefanSimilarity, cell_averages
from lawbound.solvers.exact_waves import AdvectedSine, AdvectedStep, BurgersRamp, BurgersRiemann, BurgersSine
from lawbound.solvers.gpme import ExplicitDiffusion
from lawbound.solvers.grid import Boxes, Cells, Nodes
from lawbound.solvers.hyperbolic import FiniteVolumeWaves
from lawbound.solvers.implicit_diffusion import ImplicitDiffusion
from lawbound.solvers.plane import ExplicitPlaneDiffusion, ImplicitPlaneDiffusion
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.solver import Solver, SolverError
from lawbound.solvers.walls import Dirichlet, Neumann, Outflow, Periodic, PowerOfTime, Robin, Walls

__all__ = [
    "AdvectedSine",
    "AdvectedStep",
    "Advection",
    "Barenblatt",
    "Boxes",
    "BurgersRamp",
    "BurgersRiemann",
    "BurgersSine",
    "Cells",
    "Constant",
    "Custom",
    "DecayingSine",
    "Dirichlet",
    "ExplicitDiffusion",
    "ExplicitPlaneDiffusion",
    "FiniteVolumeWaves",
    "ImplicitDiffusion",
    "ImplicitPlaneDiffusion",
    "InviscidBurgers",
    "Neumann",
    "Nodes",
    "Outflow",
    "Periodic",
    "Phases",
    "PorousMediumWave",
    "Power",
    "PowerOfTime",
    "Problem",
    "Robin",
    "Solver",
    "SolverError",
    "StefanSimilarity",
    "Step",
    "Trajectory",
    "Walls",
    "box_averages",
    "cell_averages",
    "solver_for",
]
