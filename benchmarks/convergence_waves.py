"""How fast the finite-volume solver of waves converges: smooth data, shocks, fans and an advected jump.

    python benchmarks/convergence_waves.py [--quick] [--json FILE] [--markdown FILE]

Errors are those of cell averages against integrated closed forms, so no quadrature enters; each is the mean over
several output times, as many as the last column but one says. Where a sine flows in, only the half of the domain next
to the inflow is judged: in the last cells before an outflow wall every scheme is of first order. Overshoot is how far any average leaves the range of initial and
wall values, at any output time. The ledger residual is what the total gained and the walls did not let in, relative to
what there was: the worst of all output times. Orders are least-squares slopes over all grids. A minute on one core; --quick
takes seconds.
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
    AdvectedSine,
    AdvectedStep,
    Advection,
    BurgersRamp,
    BurgersRiemann,
    BurgersSine,
    Cells,
    Dirichlet,
    FiniteVolumeWaves,
    InviscidBurgers,
    Outflow,
    Periodic,
    Problem,
    Trajectory,
    Walls,
    cell_averages,
)
from lawbound.solvers.conservation_law import ConservationLaw
from lawbound.solvers.exact import ExactSolution

FloatArray = NDArray[np.float64]

LIMITERS = ("minmod", "van-leer", "superbee")


@dataclass(frozen=True)
class Setting:
    """A closed form, its equation, walls, domain and output times."""

    name: str
    exact: ExactSolution
    law: ConservationLaw
    walls: Walls
    domain: tuple[float, float]
    times: FloatArray
    judged_to: float = np.inf  # errors are those of cells left of here

    def problem(self, n: int) -> Problem:
        grid = Cells(*self.domain, n)
        start = cell_averages(self.exact, float(self.times[0]), grid.faces)
        return Problem(self.name, self.law, grid, self.walls, start, self.times)


@dataclass(frozen=True)
class Case:
    """A setting, the solver for n cells, the grids, and what the issue asks of the L1 order, in words."""

    name: str
    setting: Setting
    solver: Callable[[int], FiniteVolumeWaves]
    grids: tuple[int, ...]
    asked: str


@dataclass(frozen=True)
class Row:
    case: str
    n: int
    l1: float
    l2: float
    max: float
    overshoot: float
    ledger: float
    times: int
    steps: int


@dataclass(frozen=True)
class Order:
    case: str
    l1: float
    l2: float
    max: float
    asked: str


def refined(coarsest: int, finest: int) -> tuple[int, ...]:
    """Grids each √2 times as fine as the last: many, because shocks converge unevenly."""
    count = 1 + round(2.0 * np.log2(finest / coarsest))
    return tuple(round(coarsest * 2.0 ** (i / 2.0)) for i in range(count))


def settings() -> dict[str, Setting]:
    period = Walls(Periodic(), Periodic())
    sine, bent = AdvectedSine(1.0), BurgersSine(0.3, 0.5)
    inflow, bent_inflow = AdvectedSine(1.0, 2.0), BurgersSine(1.0, 0.2)
    # Square roots, so that a front meets the cells in every phase and no grid is lucky.
    phases = np.sqrt(np.linspace(0.0, 1.0, 21))
    made = (
        Setting("advection, sine", sine, Advection(1.0), period, (0.0, 1.0), np.linspace(0.0, 1.0, 6)),
        Setting("Burgers, sine", bent, InviscidBurgers(), period, (0.0, 1.0), np.linspace(0.0, 0.1, 6)),
        Setting(
            "advection, sine flows in", inflow, Advection(1.0),
            Walls(Dirichlet(lambda t: inflow(t, 0.0)), Outflow()), (0.0, 1.0), np.linspace(0.0, 1.0, 6), 0.5,
        ),
        Setting(
            "Burgers, sine flows in", bent_inflow, InviscidBurgers(),
            Walls(Dirichlet(lambda t: bent_inflow(t, 0.0)), Outflow()), (0.0, 1.0), np.linspace(0.0, 0.4, 6), 0.5,
        ),
        Setting(
            "Burgers, shock", BurgersRiemann(1.0, -0.2, at=0.2137), InviscidBurgers(),
            Walls(Dirichlet(1.0), Dirichlet(-0.2)), (0.0, 1.0), phases,
        ),
        Setting(
            "Burgers, ramp that breaks, a=3", BurgersRamp(3.0), InviscidBurgers(),
            Walls(Dirichlet(3.0), Outflow()), (-1.0, 1.0), 0.6 * phases,
        ),
        Setting(
            "Burgers, sonic fan", BurgersRiemann(-1.0, 1.0, lower=-1.0), InviscidBurgers(),
            Walls(Outflow(), Outflow()), (-1.0, 1.0), np.linspace(0.0, 0.8, 6),
        ),
        Setting(
            "advection, jump", AdvectedStep(1.0), Advection(1.0),
            Walls(Dirichlet(1.0), Outflow()), (0.0, 1.0), 0.45 * phases,
        ),
    )  # fmt: skip
    return {setting.name: setting for setting in made}


def cases(quick: bool) -> Iterator[Case]:
    known = settings()

    def case(name: str, asked: str, coarsest: int, finest: int, small: bool = False, **options: str) -> Case:
        setting = known[name]
        grids = refined(coarsest, min(finest, 6 * coarsest) if quick else finest)

        def solver(n: int) -> FiniteVolumeWaves:
            # Δt ~ h^{5/3}, so that third order in time is fifth order in h; half the fixed step at 32 cells.
            step = 0.2 / 32.0 * (32.0 / n) ** (5.0 / 3.0) if small else None
            return FiniteVolumeWaves(max_step=step, **options)

        scheme = ", ".join(options.values()) + (", Δt ~ h^(5/3)" if small else "")
        return Case(f"{name}; {scheme}", setting, solver, grids, asked)

    for name in ("advection, sine", "Burgers, sine"):
        for limiter in LIMITERS:
            yield case(name, "≥ 1.9" if limiter == "van-leer" else "", 32, 1024, reconstruction=limiter)
        yield case(name, "≥ 4.8", 32, 256, small=True, reconstruction="weno5-z")
        # Where the error of the third-order method in time has outgrown that of the fifth-order one in space.
        yield case(name, "3", 256, 2048, reconstruction="weno5-z")
    for name in ("advection, sine flows in", "Burgers, sine flows in"):
        yield case(name, "", 32, 512, reconstruction="van-leer")
        yield case(name, "", 32, 256, small=True, reconstruction="weno5-z")
        yield case(name, "", 128, 1024, reconstruction="weno5-z")
    for name in ("Burgers, shock", "Burgers, ramp that breaks, a=3"):
        for reconstruction in ("none", *LIMITERS, "weno5-z"):
            yield case(name, "1", 25, 800, reconstruction=reconstruction)
    for flux in ("godunov", "rusanov", "engquist-osher"):
        yield case("Burgers, sonic fan", "", 25, 400, flux=flux, reconstruction="van-leer")
    for reconstruction in ("none", *LIMITERS, "weno5-z"):
        asked = "0.65 to 1" if reconstruction in LIMITERS else ""
        yield case("advection, jump", asked, 25, 800, reconstruction=reconstruction)


def measured(case: Case, answer: Trajectory) -> Row:
    problem = answer.problem
    grid, norms = problem.grid, []
    judged = grid.centres < case.setting.judged_to
    moments = np.linspace(problem.times[0], problem.times[-1], 2001)
    for t, state in zip(problem.times[1:], answer.state[1:], strict=True):
        error = state - cell_averages(case.setting.exact, float(t), grid.faces)
        error, weights = error[judged], grid.weights[judged]
        norms.append([np.abs(error) @ weights, np.sqrt(error**2 @ weights), np.abs(error).max()])
    l1, l2, largest = np.mean(norms, axis=0)
    seen = [problem.initial] + [
        wall.values(moments) for wall in problem.walls.sides.values() if isinstance(wall, Dirichlet)
    ]
    low, high = min(a.min() for a in seen), max(a.max() for a in seen)
    return Row(
        case.name,
        grid.n,
        float(l1),
        float(l2),
        float(largest),
        float(max(low - answer.state.min(), answer.state.max() - high, 0.0)),
        float(np.abs(answer.ledger_residual).max()),
        problem.times.size - 1,
        answer.steps,
    )


def fitted(rows: list[Row], asked: str) -> Order:
    n = np.log([row.n for row in rows])
    l1, l2, largest = -np.polyfit(n, np.log([[row.l1, row.l2, row.max] for row in rows]), 1)[0]
    return Order(rows[0].case, float(l1), float(l2), float(largest), asked)


HEADINGS = ("case", "grids", "L1 order", "asked", "L2", "max", "L1, coarsest", "finest", "overshoot", "ledger", "times", "steps")  # fmt: skip


def as_text(order: Order, rows: list[Row]) -> list[str]:
    overshoot = max(row.overshoot for row in rows)
    return [
        order.case,
        f"{len(rows)}: {rows[0].n} to {rows[-1].n}",
        f"{order.l1:.2f}",
        order.asked,
        f"{order.l2:.2f}",
        f"{order.max:.2f}",
        f"{rows[0].l1:.2e}",
        f"{rows[-1].l1:.2e}",
        f"{overshoot:.0e}" if overshoot > 0.0 else "0",
        f"{max(row.ledger for row in rows):.0e}",
        str(rows[0].times),
        str(rows[-1].steps),
    ]


def markdown(table: list[list[str]], command: str) -> str:
    lines = [
        f"`{command}`",
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "|---" + "|--:" * (len(HEADINGS) - 1) + "|",
    ]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in table)]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="stop at six times the coarsest grid")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers to FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the table to FILE")
    asked = parser.parse_args()

    console = Console(width=max(Console().width, 190))  # redirected output would be cut at 80 columns
    rows: list[Row] = []
    orders: list[Order] = []
    lines: list[list[str]] = []
    for case in cases(asked.quick):
        with console.status(case.name):
            own = [measured(case, case.solver(n).solve(case.setting.problem(n))) for n in case.grids]
        rows += own
        orders.append(fitted(own, case.asked))
        lines.append(as_text(orders[-1], own))
    table = Table(*HEADINGS, title="Convergence of FiniteVolumeWaves")
    for line in lines:
        table.add_row(*line)
    console.print(table)

    command = "python benchmarks/convergence_waves.py" + (" --quick" if asked.quick else "")
    if asked.markdown is not None:
        asked.markdown.write_text(markdown(lines, command), encoding="utf-8")
    if asked.json is not None:
        result = {
            "command": command,
            "rows": [asdict(row) for row in rows],
            "orders": [asdict(order) for order in orders],
        }
        asked.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
