"""How exact the spectral solver of Burgers' equation is, what that costs, and its orders in time.

    python benchmarks/burgers.py [--quick] [--only GROUP ...] [--json FILE] [--markdown FILE]

Groups: sine (a sine on a period, against Cole and Hopf, at t = 1), front (the travelling front between walls, all of
25 outputs; the flux is what went through the walls), random (walls and start of `burgers-random`, against the same solver at
1e-12), order (steps of fixed length: against Cole and Hopf, and between walls that move), batch (256 sines on 1 and 2 threads).
Errors are relative in L1, the worst of all outputs. Times are medians of warm solves; `spectral.py` sets them beside other packages.
Two minutes; --quick takes one.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from lawbound.datasets.random_data import Bridge, RandomFunction
from lawbound.solvers import (
    Dirichlet,
    Nodes,
    Periodic,
    PeriodicNodes,
    Problem,
    Trajectory,
    ViscousBurgers,
    Walls,
)
from lawbound.solvers.burgers import SpectralBurgers
from lawbound.solvers.compiled import use_threads
from lawbound.solvers.exact_burgers import BurgersFront, cole_hopf_sine

FloatArray = NDArray[np.float64]
GROUPS = ("sine", "front", "random", "order", "batch")


@dataclass(frozen=True)
class Row:
    group: str
    case: str
    solver: str
    error: float
    flux: float | None  # largest error of what went through a wall
    ledger: float
    steps: int
    seconds: float  # per sample


def sine(nu: float, n: int = 200) -> Problem:
    walls = Walls(Periodic(), Periodic())
    return Problem(
        "sine",
        ViscousBurgers(nu),
        PeriodicNodes(0.0, 1.0, n),
        walls,
        lambda x: np.sin(2.0 * np.pi * x),
        [0.0, 1.0],
    )


def travelling(front: BurgersFront) -> Problem:
    walls = Walls(Dirichlet(lambda t: front(t, 0.0)), Dirichlet(lambda t: front(t, 1.0)))
    times = np.linspace(0.0, 1.0, 26)
    return Problem(
        "front", ViscousBurgers(front.nu), Nodes(0.0, 1.0, 256), walls, lambda x: front(0.0, x), times
    )


def wandering(seed: int, nu: float = 0.02) -> Problem:
    draw = np.random.default_rng(seed)
    low, high, inside = (RandomFunction.drawn(draw, length) for length in (0.25, 0.25, 0.15))
    start = Bridge(inside, float(low(0.0)), float(high(0.0)))
    walls = Walls(Dirichlet(low), Dirichlet(high))
    return Problem(
        "random", ViscousBurgers(nu), Nodes(0.0, 1.0, 256), walls, start, np.linspace(0.0, 1.0, 26)
    )


def relative(u: FloatArray, exact: FloatArray) -> float:
    """Σ|u − exact| / Σ|exact|, the worst of all outputs."""
    return float((np.abs(u - exact).sum(axis=-1) / np.abs(exact).sum(axis=-1)).max())


def timed(solve: Callable[[], Any], repeats: int = 7) -> tuple[Any, float]:
    answer, seconds = solve(), []
    while len(seconds) < repeats and sum(seconds) < 3.0:
        begin = time.perf_counter()
        answer = solve()
        seconds.append(time.perf_counter() - begin)
    return answer, median(seconds)


def row(group: str, case: str, solver: SpectralBurgers, problem: Problem, exact: FloatArray) -> Row:
    answer, seconds = timed(lambda: solver.solve(problem))
    return row_of(group, case, f"{solver.tolerance:.0e}", answer, exact, seconds)


def row_of(
    group: str,
    case: str,
    solver: str,
    answer: Trajectory,
    exact: FloatArray,
    seconds: float,
    flux: float | None = None,
) -> Row:
    ledger = float(np.abs(answer.ledger_residual).max())
    return Row(group, case, solver, relative(answer.state[1:], exact), flux, ledger, answer.steps, seconds)


def sines(quick: bool) -> Iterator[Row]:
    for nu in (0.1, 0.01) if quick else (0.1, 0.01, 0.001):
        problem = sine(nu)
        exact = cole_hopf_sine(nu)(1.0, problem.grid.points)[None]  # type: ignore[union-attr]
        for tolerance in (1e-6, 3e-7, 1e-7, 5e-8, 1e-8, 1e-9, 1e-10, 1e-11):
            yield row("sine", f"ν = {nu:g}", SpectralBurgers(tolerance), problem, exact)


def fronts(quick: bool) -> Iterator[Row]:
    cases = [
        BurgersFront(1.0, 0.0, 0.35, 0.1),
        BurgersFront(1.2, -0.3, 0.3, 0.02),
        BurgersFront(1.5, 0.5, 0.2, 0.01),
    ]
    for front in cases if quick else [*cases, BurgersFront(1.5, -0.5, 0.3, 0.005)]:
        problem = travelling(front)
        times, x = problem.times, problem.grid.points  # type: ignore[union-attr]
        exact = np.array([front(t, x) for t in times[1:]])
        entered = np.stack([front.passed(times, 0.0), -front.passed(times, 1.0)], axis=1)
        for tolerance in (1e-6, 1e-8, 1e-9):
            solver = SpectralBurgers(tolerance)
            answer, seconds = timed(lambda s=solver, p=problem: s.solve(p), 3)  # type: ignore[misc]
            flux = float(np.abs(answer.inflow - entered).max())
            case = f"{front.left:g} to {front.right:g}, ν = {front.nu:g}"
            yield row_of("front", case, f"{tolerance:.0e}", answer, exact, seconds, flux)


def randoms(quick: bool) -> Iterator[Row]:
    for seed in range(2 if quick else 4):
        problem = wandering(seed)
        good = SpectralBurgers(1e-12).solve(problem)
        for tolerance in (1e-6, 1e-8, 1e-9):
            solver = SpectralBurgers(tolerance)
            answer, seconds = timed(lambda s=solver, p=problem: s.solve(p), 3)  # type: ignore[misc]
            flux = float(np.abs(answer.inflow - good.inflow).max())
            yield row_of("random", f"seed {seed}", f"{tolerance:.0e}", answer, good.state[1:], seconds, flux)


def orders(quick: bool) -> Iterator[tuple[str, int, list[float], float]]:
    """Case, order, errors at steps each 2/3 of the last, fitted order."""
    steps = 1.0 / np.array([64.0, 96.0, 144.0, 216.0])
    period, walls = sine(0.05), wandering(3, 0.1)
    exact = cole_hopf_sine(0.05)(1.0, period.grid.points)[None]  # type: ignore[union-attr]
    good = SpectralBurgers(1e-13).solve(walls).state[1:]
    for order in (4, 5) if quick else (3, 4, 5, 6):
        for case, problem, truth, modes in (
            ("sine, ν = 0.05", period, exact, 80),
            ("moving walls, ν = 0.1", walls, good, 64),
        ):
            errors = []
            for step in steps / (1.0 if problem is period else 3.0):
                solver = SpectralBurgers(np.inf, modes=modes, order=order, longest_step=step)
                errors.append(relative(solver.solve(problem).state[1:], truth))
            yield case, order, errors, float(np.polyfit(np.log(steps), np.log(errors), 1)[0])


def batches(quick: bool) -> Iterator[Row]:
    size, nu = (64 if quick else 256), 0.01
    problems = [sine(nu)] * size
    exact = cole_hopf_sine(nu)(1.0, problems[0].grid.points)[None]  # type: ignore[union-attr]
    for threads in (1, 2):
        use_threads(threads)
        for tolerance in (1e-6, 3e-7, 5e-8, 5e-9):
            solver = SpectralBurgers(tolerance)
            answers, seconds = timed(lambda s=solver: s.solve_batch(problems), 5)  # type: ignore[misc]
            case = f"{size} sines, ν = {nu:g}, {threads} thread{'s' if threads > 1 else ''}"
            yield row_of("batch", case, f"{tolerance:.0e}", answers[0], exact, seconds / size)


HEADINGS = ("case", "tolerance", "error", "flux", "ledger", "steps", "per sample")


def as_text(row: Row) -> list[str]:
    flux = "" if row.flux is None else f"{row.flux:.1e}"
    return [
        f"{row.group}: {row.case}", row.solver, f"{row.error:.1e}", flux, f"{row.ledger:.0e}", str(row.steps),
        f"{1e3 * row.seconds:.3g} ms",
    ]  # fmt: skip


def markdown(table: list[list[str]], headings: tuple[str, ...]) -> str:
    lines = ["| " + " | ".join(headings) + " |", "|---" + "|--:" * (len(headings) - 1) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in table)]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer viscosities, samples and orders")
    parser.add_argument(
        "--only", nargs="+", choices=GROUPS, default=GROUPS, metavar="GROUP", help="groups to run"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers to FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the tables to FILE")
    asked = parser.parse_args()

    console = Console(width=max(Console().width, 170))
    use_threads(1)
    rows: list[Row] = []
    for group, make in (("sine", sines), ("front", fronts), ("random", randoms), ("batch", batches)):
        if group in asked.only:
            rows += make(asked.quick)
    table, lines = Table(*HEADINGS, title="SpectralBurgers"), [as_text(row) for row in rows]
    for line in lines:
        table.add_row(*line)
    console.print(table)
    headings = ("case", "order", "errors, steps each 2/3 of the last", "fitted")
    fitted = [
        [case, str(order), ", ".join(f"{e:.1e}" for e in errors), f"{slope:.2f}"]
        for case, order, errors, slope in (orders(asked.quick) if "order" in asked.only else ())
    ]
    second = Table(*headings, title="Orders in time")
    for line in fitted:
        second.add_row(*line)
    if fitted:
        console.print(second)
    command = "python benchmarks/burgers.py" + (" --quick" if asked.quick else "")
    if asked.markdown is not None:
        text = f"`{command}`\n\n{markdown(lines, HEADINGS)}\n{markdown(fitted, headings)}"
        asked.markdown.write_text(text, encoding="utf-8")
    if asked.json is not None:
        result = {"command": command, "rows": [asdict(row) for row in rows], "orders": fitted}
        asked.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
