"""Dedalus: any equation, spectral in space, implicit-explicit in time; the whole problem is built before it is solved."""

import logging
from typing import Any

import dedalus.public as d3
import numpy as np

from peers.spectral_workloads import Spectral
from peers.timing import timed


def run(work: Spectral, n: int, steps: int, batch: int = 1) -> dict[str, Any]:
    logging.disable(logging.CRITICAL)
    solve = lambda: _burgers(work, n, steps)  # noqa: E731
    answer, cold = timed(solve)
    warm = [timed(solve)[1] for _ in range(5)]
    return {"cold": cold, "warm": warm, "error": work.error(answer)}


def _burgers(work: Spectral, n: int, steps: int) -> np.ndarray:
    coordinate = d3.Coordinate("x")
    distributor = d3.Distributor(coordinate, dtype=np.float64)
    basis = d3.RealFourier(coordinate, size=n, bounds=(0.0, work.length), dealias=3 / 2)
    u = distributor.Field(name="u", bases=basis)
    names = {"u": u, "dx": lambda f: d3.Differentiate(f, coordinate), "nu": work.nu}
    problem = d3.IVP([u], namespace=names)
    problem.add_equation("dt(u) - nu*dx(dx(u)) = -u*dx(u)")
    solver = problem.build_solver(d3.RK443)
    u["g"] = work.start(distributor.local_grid(basis))
    for _ in range(steps):
        solver.step(work.end / steps)
    u.change_scales(1)
    return np.array(u["g"])
