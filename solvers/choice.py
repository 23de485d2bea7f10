"""Which solver takes a problem when the user does not say."""

from lawbound.solvers.burgers import SpectralBurgers
from lawbound.solvers.cavity import SpectralCavity
from lawbound.solvers.conservation_law import ConservationLaw
from lawbound.solvers.equation import NavierStokes, ViscousBurgers, Wave
from lawbound.solvers.grid import Boxes, of_points
from lawbound.solvers.heat import SpectralHeat
from lawbound.solvers.hyperbolic import FiniteVolumeWaves
from lawbound.solvers.implicit_diffusion import ImplicitDiffusion
from lawbound.solvers.plane import ImplicitPlaneDiffusion
from lawbound.solvers.problem import Problem
from lawbound.solvers.solver import Solver
from lawbound.solvers.wave import SpectralWave


def solver_for(problem: Problem) -> Solver:
    """A solver that fits the equation and the grid, with its default accuracy."""
    if isinstance(problem.equation, ConservationLaw):
        return FiniteVolumeWaves()
    if isinstance(problem.equation, Wave):
        return SpectralWave()
    if isinstance(problem.equation, ViscousBurgers):
        return SpectralBurgers()
    if isinstance(problem.equation, NavierStokes):
        return SpectralCavity()
    if of_points(problem.grid):
        return SpectralHeat()
    if isinstance(problem.grid, Boxes):
        return ImplicitPlaneDiffusion()
    return ImplicitDiffusion()
