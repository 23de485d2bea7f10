"""Three laws and bounds on one state: ours beside general solvers of convex problems, at matched residual.

    python benchmarks/general_solvers.py [--output FILE]

OSQP and cvxpylayers are measured where they are installed (pip install osqp cvxpylayers). Never at fixed numbers of
iterations: each line says how far rows and bounds are missed, and how far the answer is from ours. Least wall time of a
few tries after one that is not counted, on one thread.
"""

import argparse
import importlib.util
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lawbound.constraints.projection import Equalities, Limits, nearest

D = torch.float64
Row = dict[str, Any]


def least(work: Callable[[], object], budget: float = 2.0, tries: int = 20) -> float:
    """Least wall time in seconds of a few tries that take no more than the budget together."""

    def once() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    once()
    spent = [once()]
    while len(spent) < tries and sum(spent) < budget:
        spent.append(once())
    return min(spent)


def three_laws(x: Tensor) -> tuple[Tensor, Tensor, Equalities, Limits]:
    """A front that leaves its bounds, its metric, three totals of a lawful profile, and bounds from 0 to 1."""
    n = x.shape[-1]
    means = (1.2 - 2.0 * x) + 0.05 * torch.sin(50.0 * x)
    weights = torch.stack([torch.ones_like(x), x, torch.cos(3.0 * x)]) / n
    rhs = weights @ (1.0 - 2.0 * x).clamp(0.0, 1.0)
    return means, 0.01 + x**2, Equalities(weights, rhs, torch.zeros_like(rhs)), Limits(0.0 * x, 0.0 * x + 1.0)


def with_osqp(n: int) -> Callable[[float], tuple[np.ndarray, float]]:
    import osqp
    from scipy import sparse

    means, metric, rows, _ = three_laws((torch.arange(n, dtype=D) + 0.5) / n)
    inverse = 1.0 / metric.numpy()
    # Rows of length 1, as ours makes them: it gives up on short ones.
    size = rows.weights.norm(dim=-1, keepdim=True)
    scaled, rhs = (rows.weights / size).numpy(), (rows.rhs / size[:, 0]).numpy()
    matrix = sparse.vstack([sparse.csc_matrix(scaled), sparse.eye(n)], format="csc")
    lower, upper = np.r_[rhs, np.zeros(n)], np.r_[rhs, np.ones(n)]

    def run(accuracy: float) -> tuple[np.ndarray, float]:
        began = time.perf_counter()
        solver = osqp.OSQP()
        solver.setup(
            sparse.diags(inverse, format="csc"), -inverse * means.numpy(), matrix, lower, upper,
            eps_abs=accuracy, eps_rel=accuracy, verbose=False, max_iter=100_000, polishing=True,
        )  # fmt: skip
        found = solver.solve()
        # What it leaves behind when it gives up are no numbers.
        answer = np.asarray(found.x) if found.info.status == "solved" else np.full(n, np.nan)
        return answer, time.perf_counter() - began

    return run


def with_cvxpylayers(n: int) -> Callable[[], tuple[Tensor, float]]:
    import cvxpy as cp
    from cvxpylayers.torch import CvxpyLayer

    means, metric, rows, _ = three_laws((torch.arange(n, dtype=D) + 0.5) / n)
    root = metric.rsqrt()
    u, m = cp.Variable(n), cp.Parameter(n)
    problem = cp.Problem(
        cp.Minimize(cp.sum_squares(cp.multiply(root.numpy(), u) - m)),
        [rows.weights.numpy() @ u == rows.rhs.numpy(), u >= 0, u <= 1],
    )
    layer = CvxpyLayer(problem, parameters=[m], variables=[u])

    def run() -> tuple[Tensor, float]:
        z = (root * means).requires_grad_()
        began = time.perf_counter()
        (found,) = layer(z)
        found.square().sum().backward()
        return found.detach(), time.perf_counter() - began

    return run


def measured(u: np.ndarray, n: int) -> Row:
    """How far a solver's answer misses rows and bounds, and how far it is from ours."""
    means, metric, rows, limits = three_laws((torch.arange(n, dtype=D) + 0.5) / n)
    mine = nearest(means, metric, rows, limits).values.numpy()
    rows_off = np.abs(rows.weights.numpy() @ u - rows.rhs.numpy()).max()
    return {
        "residual": float(max(rows_off, (-u).max(), (u - 1.0).max())),
        "off": float(np.abs(u - mine).max()),
    }


def against_solvers() -> Iterator[Row]:
    for n in (100, 1_000, 10_000):
        x = (torch.arange(n, dtype=D) + 0.5) / n
        means, metric, rows, limits = three_laws(x)

        def both(means=means, metric=metric, rows=rows, limits=limits) -> None:
            nearest(means.requires_grad_(), metric, rows, limits).values.square().sum().backward()

        with torch.no_grad():
            taken = least(lambda m=means, d=metric, r=rows, b=limits: nearest(m, d, r, b))
            found = nearest(means, metric, rows, limits).values.numpy()
        yield {"solver": "ours", "n": n, "seconds": taken, **measured(found, n)}
        yield {"solver": "ours, with derivative", "n": n, "seconds": least(both), **measured(found, n)}
        if importlib.util.find_spec("osqp"):
            run = with_osqp(n)
            for accuracy in (1e-4, 1e-8, 1e-12):
                tries = [run(accuracy) for _ in range(3)]
                u, seconds = tries[0][0], min(seconds for _, seconds in tries)
                yield {"solver": f"OSQP, {accuracy:g}", "n": n, "seconds": seconds, **measured(u, n)}
        if importlib.util.find_spec("cvxpylayers") and n <= 1_000:
            layer = with_cvxpylayers(n)
            tries_ = [layer() for _ in range(3)]
            yield {
                "solver": "cvxpylayers, with derivative", "n": n, "seconds": min(s for _, s in tries_),
                **measured(tries_[0][0].numpy(), n),
            }  # fmt: skip


def table(title: str, rows: list[Row]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names] + [[_shown(row.get(name)) for name in names] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    print(f"\n{title}")
    for line in cells:
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def _shown(value: Any) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("build/general-solvers.json"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = list(against_solvers())
    table(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", rows)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
