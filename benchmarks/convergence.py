"""How fast the finite-volume solver converges to the closed forms of diffusion, porous medium and Stefan problems.

    python benchmarks/convergence.py [--quick] [--json FILE] [--markdown FILE]

Errors are those of cell averages against integrated closed forms, so no quadrature enters; each is the mean over
ten output times. The front is where u first falls below a level (u*/2 for Stefan, 10⁻³ for the porous medium),
interpolated between cell centres, and its error is given in cells, positive when the computed front is ahead.
The ledger residual is what the total gained and the walls did not let in, relative to what there was: the worst of
all output times. Orders are least-squares slopes over all grids. A minute on one core; --quick takes seconds.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

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
    Trajectory,
    Walls,
    cell_averages,
)
from lawbound.solvers.exact import ExactSolution

FloatArray = NDArray[np.float64]

PME_LEVEL = 1e-3


@dataclass(frozen=True)
class Case:
    """One parameter of one family: its problem on n cells, closed form, and level that defines the front."""

    name: str
    problem: Callable[[int], Problem]
    exact: ExactSolution
    level: float | None
    front: Callable[[float], float]  # where the exact solution crosses the level, from the time
    finest: int


@dataclass(frozen=True)
class Row:
    case: str
    n: int
    l1: float
    l2: float
    max: float
    front_cells: float | None
    front_cells_worst: float | None
    ledger: float
    steps: int


@dataclass(frozen=True)
class Order:
    case: str
    l1: float
    l2: float
    max: float


def cases() -> Iterator[Case]:
    still = Dirichlet(0.0)
    # Square roots, so that a front at x = t meets the cells in every phase and no grid is lucky.
    pme_times = 0.9 * np.sqrt(np.linspace(0.0, 1.0, 11))
    for k in (1.0, 5.0):
        sine, times = DecayingSine(k), np.linspace(0.0, 1.0, 11)

        def diffusion(n: int, sine: DecayingSine = sine, times: FloatArray = times) -> Problem:
            grid = Cells(0.0, 2.0 * np.pi, n)
            start = cell_averages(sine, 0.0, grid.faces)
            return Problem("diffusion", Constant(sine.k), grid, Walls(still, still), start, times)

        yield Case(f"diffusion k={k:g}", diffusion, sine, None, lambda t: np.nan, 800)
    for m in (1.0, 2.0, 3.0, 6.0):

        def pme(n: int, m: float = m) -> Problem:
            walls = Walls(Dirichlet(PowerOfTime(m, 1.0 / m)), still)
            return Problem("pme", Power(m), Cells(0.0, 1.0, n), walls, 0.0, pme_times)

        def crossing(t: float, m: float = m) -> float:
            return float(t - PME_LEVEL**m / m)  # where u = (m (t − x))^{1/m} is PME_LEVEL

        yield Case(f"pme m={m:g}", pme, PorousMediumWave(m), PME_LEVEL, crossing, 400)
    for u_star in (0.5, 0.6, 0.7):

        def stefan(n: int, u_star: float = u_star) -> Problem:
            walls = Walls(Dirichlet(1.0), still)
            return Problem("stefan", Step(u_star), Cells(0.0, 1.0, n), walls, 0.0, np.linspace(0.0, 0.1, 11))

        similarity = StefanSimilarity(u_star)
        yield Case(f"stefan u*={u_star:g}", stefan, similarity, u_star / 2.0, similarity.front, 800)


def grids(finest: int) -> list[int]:
    """25 to `finest` cells, each grid √2 times as fine as the last: many grids, because fronts converge unevenly."""
    count = 1 + round(2.0 * np.log2(finest / 25.0))
    return [round(25.0 * 2.0 ** (i / 2.0)) for i in range(count)]


def first_fall_below(level: float, centres: FloatArray, state: FloatArray) -> float:
    """Position of the first fall below the level, linear between cell centres; nan where there is none."""
    falls = np.flatnonzero((state[:-1] >= level) & (state[1:] < level))
    if falls.size == 0:
        return float("nan")
    i = falls[0]
    share = (state[i] - level) / (state[i] - state[i + 1])
    return float(centres[i] + share * (centres[i + 1] - centres[i]))


def measured(case: Case, answer: Trajectory) -> Row:
    grid = answer.problem.grid
    norms, fronts = [], []
    for t, state in zip(answer.problem.times[1:], answer.state[1:], strict=True):
        error = state - cell_averages(case.exact, float(t), grid.faces)
        norms.append([np.abs(error) @ grid.weights, np.sqrt(error**2 @ grid.weights), np.abs(error).max()])
        if case.level is not None:
            found = first_fall_below(case.level, grid.centres, state)
            fronts.append((found - case.front(float(t))) / grid.width)
    l1, l2, largest = np.mean(norms, axis=0)
    return Row(
        case.name,
        grid.n,
        float(l1),
        float(l2),
        float(largest),
        float(np.mean(fronts)) if fronts else None,
        float(fronts[int(np.argmax(np.abs(fronts)))]) if fronts else None,
        float(np.abs(answer.ledger_residual).max()),
        answer.steps,
    )


def fitted(rows: list[Row]) -> Order:
    n = np.log([row.n for row in rows])
    errors = np.log([[row.l1, row.l2, row.max] for row in rows])
    l1, l2, largest = -np.polyfit(n, errors, 1)[0]
    return Order(rows[0].case, float(l1), float(l2), float(largest))


def cells_off(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"


HEADINGS = ("case", "n", "L1", "L2", "max", "front, cells", "worst front", "ledger", "steps")


def as_text(row: Row) -> list[str]:
    norms = [f"{value:.2e}" for value in (row.l1, row.l2, row.max)]
    fronts = [cells_off(row.front_cells), cells_off(row.front_cells_worst)]
    return [row.case, str(row.n), *norms, *fronts, f"{row.ledger:.0e}", str(row.steps)]


def order_as_text(order: Order) -> list[str]:
    return [
        order.case,
        "order",
        *(f"{value:.2f}" for value in (order.l1, order.l2, order.max)),
        "",
        "",
        "",
        "",
    ]


def markdown(rows: list[Row], orders: list[Order], command: str) -> str:
    lines = [
        f"`{command}`",
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "|---" + "|--:" * (len(HEADINGS) - 1) + "|",
    ]
    for order in orders:
        lines += ["| " + " | ".join(as_text(row)) + " |" for row in rows if row.case == order.case]
        lines.append("| " + " | ".join(f"**{cell}**" if cell else "" for cell in order_as_text(order)) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="stop at 141 cells")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers to FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the table to FILE")
    asked = parser.parse_args()

    solver = ExplicitDiffusion()
    console = Console(width=max(Console().width, 106))  # redirected output would be cut at 80 columns
    rows: list[Row] = []
    orders: list[Order] = []
    table = Table(*HEADINGS, title=f"Convergence of {solver.name}")
    for case in cases():
        with console.status(case.name):
            finest = min(case.finest, 141) if asked.quick else case.finest
            own = [measured(case, solver.solve(case.problem(n))) for n in grids(finest)]
        rows += own
        orders.append(fitted(own))
        for row in own:
            table.add_row(*as_text(row))
        table.add_row(*order_as_text(orders[-1]), style="bold", end_section=True)
    console.print(table)

    command = "python benchmarks/convergence.py" + (" --quick" if asked.quick else "")
    if asked.markdown is not None:
        asked.markdown.write_text(markdown(rows, orders, command), encoding="utf-8")
    if asked.json is not None:
        result = {
            "command": command,
            "solver": solver.name,
            "rows": [asdict(row) for row in rows],
            "orders": [asdict(order) for order in orders],
        }
        asked.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
