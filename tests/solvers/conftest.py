"""The three published families with their closed forms, and how errors and orders are measured."""

from dataclasses import dataclass

import numpy as np
import pytest

from lawbound.solvers import (
    Cells,
    Constant,
    DecayingSine,
    Dirichlet,
    ExplicitDiffusion,
    PorousMediumWave,
    Power,
    PowerOfTime,
    Problem,
    StefanSimilarity,
    Step,
    Walls,
    cell_averages,
)


@dataclass(frozen=True)
class Family:
    """A problem for each parameter, number of cells and output times, and its closed form."""

    make: object
    exact: object

    def errors(self, parameter, n, times, solver=None):
        """L1, L2 and max norm of the error of the cell averages, each the mean over `times` after the first."""
        answer = (solver or ExplicitDiffusion()).solve(self.make(parameter, n, times))
        return distances(answer, self.exact(parameter))


def distances(answer, exact):
    grid = answer.problem.grid
    norms = []
    for t, state in zip(answer.problem.times[1:], answer.state[1:], strict=True):
        error = state - cell_averages(exact, t, grid.faces)
        norms.append([abs(error) @ grid.weights, np.sqrt(error**2 @ grid.weights), abs(error).max()])
    return np.mean(norms, axis=0)


def fitted_order(grids, errors):
    """Least-squares slope of −log error against log n, for each column of errors."""
    return -np.polyfit(np.log(grids), np.log(errors), 1)[0]


def _diffusion(k, n, times):
    grid = Cells(0.0, 2.0 * np.pi, n)
    walls = Walls(Dirichlet(0.0), Dirichlet(0.0))
    start = cell_averages(DecayingSine(k), 0.0, grid.faces)
    return Problem("diffusion", Constant(k), grid, walls, start, times)


def _pme(m, n, times):
    walls = Walls(Dirichlet(PowerOfTime(m, 1.0 / m)), Dirichlet(0.0))
    return Problem("pme", Power(m), Cells(0.0, 1.0, n), walls, 0.0, times)


def _stefan(u_star, n, times):
    walls = Walls(Dirichlet(1.0), Dirichlet(0.0))
    return Problem("stefan", Step(u_star), Cells(0.0, 1.0, n), walls, 0.0, times)


# Session scope: hypothesis runs one test many times and refuses fixtures that it would have to rebuild.
@pytest.fixture(scope="session")
def diffusion():
    return Family(_diffusion, DecayingSine)


@pytest.fixture(scope="session")
def pme():
    return Family(_pme, PorousMediumWave)


@pytest.fixture(scope="session")
def stefan():
    return Family(_stefan, StefanSimilarity)


@pytest.fixture(scope="session")
def order():
    return fitted_order


@pytest.fixture(scope="session")
def error_norms():
    return distances
