"""Cost of enforcement: a dense update as the originals', ours up to a million cells, a network's forward pass.

    python benchmarks/constraints.py [--device cuda] [--threads 1] [--out OUT] [--json FILE]

dense   one Gaussian update of one law with n × n matrices (the formula of ProbConserv's update, one time slice),
        against ours on the same input, n = 50 … 1600; ours alone up to 10⁶. Slopes in log-log over the last decade.
large   10⁶ cells, three laws, bounds 0 ≤ u ≤ 1, a third of them active.
batch   a batch of space-time fields, one law and bounds at each time, beside one forward pass of a Fourier neural
        operator (width 32, 12 × 12 modes, four blocks) over the same fields, float32 in both.

Medians of repeated calls. Writes OUT/constraints-DEVICE.json and prints a table.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lawbound.constraints.conditioning import condition
from lawbound.constraints.projection import Equalities, Limits, nearest
from lawbound.surrogates.covariance import Diagonal


def median(work: Callable[[], Any], device: str, *, least: float = 0.4) -> float:
    """Seconds a call, after one that does not count; on a CPU of processor time, so that a busy machine changes little."""
    clock = time.perf_counter if device == "cuda" else time.process_time
    work()
    seen: list[float] = []
    while sum(seen) < least or len(seen) < 3:
        if device == "cuda":
            torch.cuda.synchronize()
        began = clock()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        seen.append(clock() - began)
    return statistics.median(seen)


def front(n: int, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """A smeared front, its variances, and the true mass; one time slice."""
    x = (torch.arange(n, dtype=torch.float64, device=device) + 0.5) / n
    mean = torch.sigmoid((0.35 - x) / 0.03)
    return (
        mean,
        1e-4 + 0.02 * torch.exp(-(((x - 0.35) / 0.05) ** 2)),
        torch.tensor(0.33, dtype=torch.float64, device=device),
    )


def dense_update(mean: Tensor, variance: Tensor, g: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """mean − Σ gᵀ (g Σ gᵀ)⁻¹ (g mean − b), Σ − Σ gᵀ (g Σ gᵀ)⁻¹ g Σ, with Σ as an n × n matrix throughout."""
    full = torch.diag(variance)
    row = g[None]
    gain = full @ row.mT @ torch.linalg.inv(row @ full @ row.mT)
    identity = torch.eye(len(mean), dtype=mean.dtype, device=mean.device)
    return mean - gain @ (row @ mean - b), (identity - gain @ row) @ full


def compared_with_dense(device: str) -> list[dict[str, float]]:
    found = []
    for n in (50, 100, 200, 400, 800, 1600, 10_000, 100_000, 1_000_000):
        mean, variance, mass = front(n, device)
        g = torch.full((n,), 1.0 / n, dtype=torch.float64, device=device)
        rhs = mass.double().reshape(1, 1, 1)
        none = torch.zeros_like(rhs)

        def ours(mean=mean, variance=variance, g=g, rhs=rhs, none=none) -> Tensor:
            updated = condition(
                mean[None, None, None], Diagonal(variance[None, None, None]), g[None], rhs, none, 0.0
            )
            return updated.means + updated.covariance.variance()

        row = {"n": n, "ours": median(ours, device)}
        if n <= 1600:

            def dense(mean=mean, variance=variance, g=g, mass=mass) -> tuple[Tensor, Tensor]:
                return dense_update(mean, variance, g, mass)

            row["dense"] = median(dense, device)
            together, apart = ours()[0, 0, 0], dense()
            row["difference"] = float((together - apart[0] - apart[1].diagonal()).abs().max())
        found.append(row)
    return found


def slope(rows: list[dict[str, float]], name: str, first: int) -> float:
    points = [(math.log(row["n"]), math.log(row[name])) for row in rows if name in row and row["n"] >= first]
    return float(np.polyfit(*zip(*points, strict=True), 1)[0])


def large(device: str, n: int = 1_000_000) -> dict[str, float]:
    x = (torch.arange(n, dtype=torch.float64, device=device) + 0.5) / n
    truth = (1.0 - 2.0 * x).clamp_min(0.0)
    start, metric = 1.25 - 2.0 * x + 0.05 * torch.sin(50.0 * x), 0.01 + x**2
    g = torch.stack([torch.full_like(x, 1.0 / n), x / n, torch.cos(3.0 * x) / n])
    rows, box = Equalities(g, g @ truth, x.new_zeros(3)), Limits(torch.zeros_like(x), torch.ones_like(x))
    found = nearest(start, metric, rows, box)
    size = g.abs() @ found.values.abs() + rows.rhs.abs()
    return {
        "n": n,
        "seconds": median(lambda: nearest(start, metric, rows, box), device),
        "steps": int(found.steps),
        "active": 1.0 - float(found.free.double().mean()),
        "residual": float(((g @ found.values - rows.rhs).abs() / size).max()),
        "outside": float(torch.maximum(-found.values, found.values - 1.0).max().clamp_min(0.0)),
    }


class Spectral(nn.Module):
    """A block of a Fourier neural operator: modes mixed between channels, and a pointwise branch."""

    def __init__(self, width: int, modes: int) -> None:
        super().__init__()
        self.modes = modes
        self.weights = nn.Parameter(torch.rand(2, width, width, modes, modes, dtype=torch.cfloat) / width**2)
        self.point = nn.Conv2d(width, width, 1)

    def forward(self, v: Tensor) -> Tensor:
        m = self.modes
        spectrum = torch.fft.rfft2(v)
        out = torch.zeros_like(spectrum)
        out[:, :, :m, :m] = torch.einsum("bixy,ioxy->boxy", spectrum[:, :, :m, :m], self.weights[0])
        out[:, :, -m:, :m] = torch.einsum("bixy,ioxy->boxy", spectrum[:, :, -m:, :m], self.weights[1])
        return nn.functional.gelu(torch.fft.irfft2(out, s=v.shape[-2:]) + self.point(v))


def operator(width: int = 32, modes: int = 12, blocks: int = 4) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, width, 1),
        *(Spectral(width, modes) for _ in range(blocks)),
        nn.Conv2d(width, 128, 1), nn.GELU(), nn.Conv2d(128, 1, 1),
    )  # fmt: skip


def batch(device: str) -> list[dict[str, float]]:
    found = []
    for samples, nt, n in ((20, 32, 256), (20, 32, 1024), (100, 32, 256)):
        network = operator().to(device).eval()
        fields = torch.rand(samples, 3, nt, n, device=device)
        mean, variance, mass = (part.float() for part in front(n, device))
        start = (mean + 0.05 * torch.randn(samples, nt, n, device=device)).contiguous()
        rows = Equalities(
            torch.full((1, n), 1.0 / n, device=device), mass.expand(1), torch.zeros(1, device=device)
        )
        box = Limits(torch.zeros(n, device=device), torch.ones(n, device=device))

        def forward(network=network, fields=fields) -> Tensor:
            with torch.no_grad():
                return network(fields)

        def enforced(start=start, variance=variance, rows=rows, box=box) -> Tensor:
            return nearest(start, variance.expand_as(start), rows, box).values.float()

        def law(start=start, variance=variance, rows=rows) -> Tensor:
            return nearest(start, variance.expand_as(start), rows).values.float()

        found.append(
            {
                "samples": samples, "t": nt, "n": n, "forward": median(forward, device),
                "law and bounds": median(enforced, device), "law": median(law, device),
            }
        )  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("constraints-benchmark"))
    parser.add_argument("--json", type=Path, help="this file instead of one in OUT")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    name = torch.cuda.get_device_name() if asked.device == "cuda" else f"CPU, {asked.threads} thread(s)"
    rows = compared_with_dense(asked.device)
    report = {
        "device": name, "torch": torch.__version__, "dense": rows,
        "slope of dense": slope(rows, "dense", 200), "slope of ours": slope(rows, "ours", 10_000),
        "large": large(asked.device), "batch": batch(asked.device),
    }  # fmt: skip
    print(json.dumps(report, indent=1))
    path = asked.json or asked.out / f"constraints-{asked.device}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
