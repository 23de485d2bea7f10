"""Solvers: problems in, trajectories out. Knows numpy, scipy and numba, and nothing of labels or learning."""

from lawbound.solvers.barenblatt import Barenblatt, box_averages
from lawbound.solvers.burgers import SpectralBurgers
from lawbound.solvers.cavity import SpectralCavity
from lawbound.solvers.cavity_steady import SteadyCavity, SteadyFlow
from lawbound.solvers.choice import solver_for
from lawbound.solvers.coefficient import Constant, Custom, Phases, Power, Step
from lawbound.solvers.conservation_law import Advection, InviscidBurgers
from lawbound.solvers.equation import NavierStokes, ViscousBurgers, Wave
from lawbound.solvers.exact import DecayingSine, PorousMediumWave, StefanSimilarity, cell_averages
from lawbound.solvers.exact_burgers import BurgersFront, ColeHopf, cole_hopf_sine
from lawbound.solvers.exact_heat import HeatedRod, StokesLayer
from lawbound.solvers.exact_vibrations import Drum, StandingWaves
from lawbound.solvers.exact_waves import AdvectedSine, AdvectedStep, BurgersRamp, BurgersRiemann, BurgersSine
from lawbound.solvers.functions import AtPoint, AtTime, PowerOfTime, SineOfTime
from lawbound.solvers.gpme import ExplicitDiffusion
from lawbound.solvers.grid import Boxes, Cells, ChebyshevNodes, Grid, Nodes, PeriodicNodes, Rectangle
from lawbound.solvers.heat import SpectralHeat
from lawbound.solvers.hyperbolic import FiniteVolumeWaves
from lawbound.solvers.implicit_diffusion import ImplicitDiffusion
from lawbound.solvers.plane import ExplicitPlaneDiffusion, ImplicitPlaneDiffusion
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.solver import ResolutionWarning, Solver, SolverError
from lawbound.solvers.walls import Dirichlet, Neumann, NoSlip, Outflow, Periodic, Robin, Walls
from lawbound.solvers.wave import SpectralWave

__all__ = [
    "AdvectedSine",
    "AdvectedStep",
    "Advection",
    "AtPoint",
    "AtTime",
    "Barenblatt",
    "Boxes",
    "BurgersFront",
    "BurgersRamp",
    "BurgersRiemann",
    "BurgersSine",
    "Cells",
    "ChebyshevNodes",
    "ColeHopf",
    "Constant",
    "Custom",
    "DecayingSine",
    "Dirichlet",
    "Drum",
    "ExplicitDiffusion",
    "ExplicitPlaneDiffusion",
    "FiniteVolumeWaves",
    "Grid",
    "HeatedRod",
    "ImplicitDiffusion",
    "ImplicitPlaneDiffusion",
    "InviscidBurgers",
    "NavierStokes",
    "Neumann",
    "NoSlip",
    "Nodes",
    "Outflow",
    "Periodic",
    "PeriodicNodes",
    "Phases",
    "PorousMediumWave",
    "Power",
    "PowerOfTime",
    "Problem",
    "Rectangle",
    "ResolutionWarning",
    "Robin",
    "SineOfTime",
    "Solver",
    "SolverError",
    "SpectralBurgers",
    "SpectralCavity",
    "SpectralHeat",
    "SpectralWave",
    "StandingWaves",
    "SteadyCavity",
    "SteadyFlow",
    "StefanSimilarity",
    "Step",
    "StokesLayer",
    "Trajectory",
    "ViscousBurgers",
    "Walls",
    "Wave",
    "box_averages",
    "cell_averages",
    "cole_hopf_sine",
    "solver_for",
]
