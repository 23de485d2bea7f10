"""What a wall lets in, for compiled code: a flux times the cell width, in units of Φ, and how it answers to the cell.

Between the wall and the nearest centre lies half a cell, so a Dirichlet wall at value g lets in
2 (Φ(g) − Φ(u)) / h. A Robin wall lets in transfer · (g − w), w being the state at the wall itself, which solves
transfer · (g − w) = 2 (Φ(w) − Φ(u)) / h: the left side falls with w, the right side rises, so w is unique.
"""

from lawbound.solvers.coefficient import Coefficient
from lawbound.solvers.compiled import compiled
from lawbound.solvers.potential import conductivity, potential
from lawbound.solvers.walls import Dirichlet, Neumann, Periodic, Robin, Wall

DIRICHLET, NEUMANN, ROBIN, PERIODIC = 0, 1, 2, 3

_CODES = {Dirichlet: DIRICHLET, Neumann: NEUMANN, Robin: ROBIN, Periodic: PERIODIC}
_MOST_ITERATIONS = 200


def code_of(wall: Wall) -> int:
    """The number by which compiled code knows the kind of a wall."""
    return _CODES[type(wall)]


def transfer_of(wall: Wall) -> float:
    """The transfer coefficient of a Robin wall, 0 for others."""
    return wall.transfer if isinstance(wall, Robin) else 0.0


@compiled
def _at_robin_wall(coefficient: Coefficient, exchange: float, value: float, u: float, phi: float) -> float:
    """The state w between u and value with exchange · (value − w) = 2 (Φ(w) − Φ(u)); Newton, kept in a bracket."""
    low, high = min(u, value), max(u, value)
    w = u
    for _ in range(_MOST_ITERATIONS):
        gap = exchange * (value - w) - 2.0 * (potential(coefficient, w) - phi)
        if gap > 0.0:
            low = w
        elif gap < 0.0:
            high = w
        else:
            return w
        step = gap / (exchange + 2.0 * conductivity(coefficient, w))
        new = w + step
        if not low < new < high:
            new = 0.5 * (low + high)
        if abs(new - w) <= 1e-16 * (abs(w) + abs(value)):
            return new
        w = new
    return w


@compiled
def entering(
    coefficient: Coefficient,
    kind: int,
    transfer: float,
    value: float,
    u: float,
    phi: float,
    width: float,
) -> float:
    """Flux that enters through a wall, times the cell width; 0 at a periodic wall, which has a neighbour instead."""
    if kind == DIRICHLET:
        return 2.0 * (potential(coefficient, value) - phi)
    if kind == NEUMANN:
        return value * width
    if kind == ROBIN:
        exchange = transfer * width
        return exchange * (value - _at_robin_wall(coefficient, exchange, value, u, phi))
    return 0.0


@compiled
def resistance(
    coefficient: Coefficient,
    kind: int,
    transfer: float,
    value: float,
    u: float,
    phi: float,
    k: float,
    width: float,
) -> float:
    """−d entering / du ≥ 0, k being k(u) of the cell at the wall."""
    if kind == DIRICHLET:
        return 2.0 * k
    if kind == ROBIN:
        exchange = transfer * width
        at_wall = _at_robin_wall(coefficient, exchange, value, u, phi)
        return 2.0 * k * exchange / (exchange + 2.0 * conductivity(coefficient, at_wall))
    return 0.0
