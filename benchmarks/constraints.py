"""What imposing laws costs: against dense algebra, quadratic programming, and a network's forward pass.

    python benchmarks/constraints.py [--device cuda] [--output FILE]

1. One total on a diagonal covariance: the update written with n × n matrices, as the originals have it, and ours.
2. A million cells, three laws and bounds.
3. Batches: 2000 states of 201 cells, rows alone, with bounds, with bounds and order.
4. Three laws and bounds by general solvers, at matched residual: OSQP and cvxpylayers, where they are installed.
5. Three laws and bounds on a plane, beside one forward pass of a Fourier neural operator over the same field.
6. Coverage of 95 % intervals of the published networks, made lawful, before and after calibration on half of the
   layouts of context points, on the other half; and by how much the total is off at most.

Least wall time of a few tries after one that is not counted, on one thread of a CPU. Slopes are fitted in log–log.
"""

import argparse
import importlib.util
import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lawbound.constraints import Conservation, enforce
from lawbound.constraints.calibration import calibrated, conformal_scale, covered, likelihood_scale
from lawbound.constraints.conditioning import condition
from lawbound.constraints.projection import Equalities, Limits, nearest
from lawbound.constraints.sets import Order
from lawbound.reproduce import frozen_data
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.prediction import from_moments

D = torch.float64
Row = dict[str, Any]


def least(work: Callable[[], object], device: str = "cpu", budget: float = 2.0, tries: int = 20) -> float:
    """Least wall time in seconds of a few tries that take no more than the budget together."""

    def once() -> float:
        if device == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    once()
    spent = [once()]
    while len(spent) < tries and sum(spent) < budget:
        spent.append(once())
    return min(spent)


def slope(rows: list[Row], name: str) -> float:
    points = [(row["n"], row[name]) for row in rows if row.get(name)]
    return float(np.polyfit(*np.log(np.array(points).T), 1)[0])


def dense(means: Tensor, variance: Tensor, weights: Tensor, rhs: Tensor) -> tuple[Tensor, Tensor]:
    """μ − Σ Gᵀ (G Σ Gᵀ)⁻¹ (G μ − b) and Σ − Σ Gᵀ (G Σ Gᵀ)⁻¹ G Σ with Σ written out, state by state."""
    sigma = torch.diag_embed(variance)
    gain = sigma @ weights.mT @ torch.linalg.inv(weights @ sigma @ weights.mT)
    updated = means - (gain @ (means @ weights.mT - rhs).unsqueeze(-1)).squeeze(-1)
    return updated, sigma - gain @ weights @ sigma


def against_dense() -> Iterator[Row]:
    for n in (50, 100, 200, 400, 800, 1600, 10_000, 100_000, 1_000_000):
        g = torch.Generator().manual_seed(n)
        means = torch.randn(1, 1, 1, n, generator=g, dtype=D)
        variance = 0.1 + torch.rand(1, 1, 1, n, generator=g, dtype=D)
        weights = torch.full((1, n), 1.0 / n, dtype=D)
        rhs = torch.full((1, 1, 1), 0.3, dtype=D)

        def ours(means=means, variance=variance, weights=weights, rhs=rhs) -> tuple[Tensor, Tensor]:
            found = condition(means, Diagonal(variance), weights, rhs, torch.zeros_like(rhs), 0.0)
            return found.means, found.covariance.variance()

        row: Row = {"n": n, "ours": least(ours)}
        if n <= 1600:
            row["dense"] = least(lambda m=means, v=variance, w=weights, b=rhs: dense(m, v, w, b))
            mean, sigma = dense(means, variance, weights, rhs)
            off = (
                (ours()[0] - mean).abs().max(),
                (ours()[1] - torch.diagonal(sigma, dim1=-2, dim2=-1)).abs().max(),
            )
            assert max(off) < 1e-10, off
        yield row


def three_laws(x: Tensor, *, scale: float = 1.0) -> tuple[Tensor, Tensor, Equalities, Limits]:
    """A front that leaves its bounds, its metric, three totals of a lawful profile, and bounds from 0 to 1."""
    n = x.shape[-1]
    means = (1.2 - 2.0 * x) + 0.05 * torch.sin(50.0 * x)
    weights = torch.stack([torch.ones_like(x), x, torch.cos(3.0 * x)]) / n
    rhs = weights @ (scale * (1.0 - 2.0 * x)).clamp(0.0, 1.0)
    return means, 0.01 + x**2, Equalities(weights, rhs, torch.zeros_like(rhs)), Limits(0.0 * x, 0.0 * x + 1.0)


def growing() -> Iterator[Row]:
    """Ours with bounds over sizes up to a million cells, with the growth of the process's peak memory."""
    for n in (1_000, 10_000, 100_000, 1_000_000):
        means, metric, rows, limits = three_laws((torch.arange(n, dtype=D) + 0.5) / n)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = nearest(means, metric, rows, limits)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        yield {
            "n": n, "ours": least(lambda m=means, d=metric, r=rows, b=limits: nearest(m, d, r, b)),
            "newton_steps": int(found.steps), "on_bounds": float((~found.free).double().mean()),
            "residual": float((rows.weights @ found.values - rows.rhs).abs().max()),
            "peak_vectors": 1024.0 * grown / (8.0 * n),
        }  # fmt: skip


def batches(device: str) -> Iterator[Row]:
    g = torch.Generator().manual_seed(0)
    n, count = 201, 2000
    x = torch.linspace(0.0, 1.0, n, dtype=D)
    means = ((1.2 - 2.0 * x).clamp(-0.1, 1.1) + 0.1 * torch.randn(count, n, generator=g, dtype=D)).to(device)
    metric = (0.01 + 0.1 * torch.rand(count, n, generator=g, dtype=D)).to(device)
    weights = torch.full((1, n), 1.0 / n, dtype=D, device=device)
    rhs = 0.35 + 0.1 * torch.rand(count, 1, generator=g, dtype=D).to(device)
    rows = Equalities(weights, rhs, torch.zeros_like(rhs))
    zero, one = torch.zeros(n, dtype=D, device=device), torch.ones(n, dtype=D, device=device)
    falling = Order(np.array([0]), np.array([n]), np.array([-1]), "falling")
    sets = {
        "total": None,
        "total & bounds": Limits(zero, one),
        "total & bounds & order": Limits(zero, one, falling),
    }
    for name, limits in sets.items():
        if device == "cuda" and limits is not None and limits.order is not None:
            continue  # pooling is the CPU's work
        taken = least(lambda limits=limits: nearest(means, metric, rows, limits), device)
        yield {
            "set": name,
            "states": count,
            "n": n,
            "seconds": taken,
            "microseconds_a_state": 1e6 * taken / count,
        }


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


class FourierLayer(nn.Module):
    """Complex weights on the lowest modes, beside a pointwise map."""

    def __init__(self, width: int, modes: int) -> None:
        super().__init__()
        self.modes = modes
        self.weights = nn.Parameter(torch.randn(2, width, width, modes, modes, dtype=torch.complex64) / width)
        self.beside = nn.Conv2d(width, width, 1)

    def forward(self, u: Tensor) -> Tensor:
        k, spectrum = self.modes, torch.fft.rfft2(u)
        out = torch.zeros_like(spectrum)
        for weights, rows in zip(self.weights, (slice(None, k), slice(-k, None)), strict=True):
            out[:, :, rows, :k] = torch.einsum("bixy,ioxy->boxy", spectrum[:, :, rows, :k], weights)
        return nn.functional.gelu(torch.fft.irfft2(out, s=u.shape[-2:]) + self.beside(u))


def operator(width: int = 32, modes: int = 12, depth: int = 4) -> nn.Module:
    """The usual Fourier neural operator on a plane, in single precision (Li et al., ICLR 2021)."""
    layers = [FourierLayer(width, modes) for _ in range(depth)]
    return nn.Sequential(
        nn.Conv2d(3, width, 1), *layers, nn.Conv2d(width, 128, 1), nn.GELU(), nn.Conv2d(128, 1, 1)
    )


def against_operator(device: str) -> Iterator[Row]:
    network = operator().to(device)
    for size, count in ((128, 32), (256, 16), (1024, 1)) if device == "cuda" else ((128, 4), (512, 1)):
        n = size * size
        x = (torch.arange(n, dtype=D, device=device) + 0.5) / n
        means, metric, rows, limits = three_laws(x)
        noise = 0.05 * torch.randn(count, n, dtype=D, device=device)
        field = torch.randn(count, 3, size, size, device=device)
        with torch.no_grad():
            ours = least(lambda m=means + noise, d=metric, r=rows, b=limits: nearest(m, d, r, b), device)
            totals = least(lambda m=means + noise, d=metric, r=rows: nearest(m, d, r), device)
            forward = least(lambda f=field: network(f), device)
        yield {
            "states": count,
            "grid": f"{size} x {size}",
            "fno": forward,
            "laws": totals,
            "laws & bounds": ours,
        }


def calibration() -> Iterator[Row]:
    for problem, parameter in (("stefan", "u_star"), ("pme", "m")):
        data = frozen_data(problem)
        for value in np.unique(data[parameter].values):
            of = data.isel(sample=np.isclose(data[parameter].values, value))
            order = np.random.default_rng(0).permutation(of.sizes["sample"])
            halves = [of.isel(sample=np.sort(part)) for part in np.array_split(order, 2)]
            (first, truth), (second, other) = (
                (
                    enforce(from_moments(half), Conservation(tolerance="exact")).prediction,
                    half.u.values.astype(float),
                )
                for half in halves
            )
            row: Row = {"case": f"{problem}, {parameter} = {value:g}", "layouts": of.sizes["sample"]}
            row["before"] = float(covered(second, other).mean())
            for name, make in (("conformal", conformal_scale), ("likelihood", likelihood_scale)):
                scale = make(first, truth)
                after = calibrated(second, scale)
                total = after.sample(16) @ torch.from_numpy(second.inputs.x_weights.values)
                off = total - torch.from_numpy(second.inputs.law_conservation_rhs.values)
                row |= {f"{name} scale": float(scale.values[0]), name: float(covered(after, other).mean())}
                row["total off"] = max(row.get("total off", 0.0), float(off.abs().max()))
            yield row


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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--output", type=Path, default=Path("build/constraints.json"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    found: dict[str, Any] = {"load": load, "cores": os.cpu_count(), "torch": torch.__version__}
    if given.device == "cuda":
        found["device"] = torch.cuda.get_device_name()
    print(f"load {load:.1f} on {os.cpu_count()} cores; {found.get('device', 'CPU, one thread')}")
    sections: dict[str, Callable[[], Iterator[Row]]] = {
        "batches, seconds": lambda: batches(given.device),
        "one forward pass, seconds": lambda: against_operator(given.device),
    }
    if given.device == "cpu":
        sections = {
            "one total, seconds": against_dense,
            "three laws and bounds, seconds": growing,
            **sections,
            "general solvers, seconds": against_solvers,
            "coverage of 95 % intervals": calibration,
        }
    for title, section in sections.items():
        rows = list(section())
        found[title] = rows
        table(title, rows)
    if given.device == "cpu":
        first = found["one total, seconds"]
        found["slopes"] = {
            # Below some ten thousand cells a call's fixed cost is all there is.
            "ours, n ≥ 10⁴": slope([row for row in first if row["n"] >= 10_000], "ours"),
            "ours, all n": slope(first, "ours"),
            "dense, n ≥ 400": slope([row for row in first if row["n"] >= 400], "dense"),
            "ours with bounds, n ≥ 10⁴": slope(found["three laws and bounds, seconds"][1:], "ours"),
        }
        print("\nslopes in log–log: " + ", ".join(f"{k}: {v:.2f}" for k, v in found["slopes"].items()))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")
    print(f"\nwritten: {given.output}")


if __name__ == "__main__":
    main()
