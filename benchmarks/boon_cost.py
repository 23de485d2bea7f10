"""What boundary-exact networks cost: a Fourier operator alone, with BOON's corrections, and with a lift at its output.

    python benchmarks/boon_cost.py [--sizes line interval plane] [--device cuda] [--output FILE]

Milliseconds of a forward pass, and of one with its gradient, medians over rounds in which all methods take turns; the
largest deviation from the walls' data, and the jump next to a wall over that of the network alone. Random weights.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lawbound.constraints.boon import Corrected
from lawbound.constraints.boon_quirks import AsReleased, Quirks
from lawbound.constraints.kernel_correction import KernelCorrection
from lawbound.constraints.operator import KernelLift
from lawbound.surrogates.fourier_operator import FourierOperator
from lawbound.surrogates.origin import Axis

BLOCKS = 4


@dataclass(frozen=True)
class Size:
    """A network and a batch; grids are (x,), (t, x) and (t, y, x)."""

    grid: tuple[int, ...]
    modes: int
    width: int
    batch: int


#: The published networks' widths and modes on the CPU's small grids; their grids and batches on a GPU.
SMALL = {
    "line": Size((128,), 16, 64, 20),
    "interval": Size((13, 65), 6, 16, 8),
    "plane": Size((6, 17, 17), 3, 8, 4),
}
PUBLISHED = {
    "line": Size((500,), 16, 64, 20),
    "interval": Size((25, 500), 12, 32, 20),
    "plane": Size((25, 50, 50), 8, 20, 10),
}


def sides(size: Size) -> tuple[str, ...]:
    return ("x_lo", "x_hi", "y_lo", "y_hi") if len(size.grid) > 2 else ("x_lo", "x_hi")


def wall(u: Tensor, side: str, depth: int = 0) -> Tensor:
    index = depth if side.endswith("lo") else -1 - depth
    return u.select(-1 if side[0] == "x" else -2, index)


def lift_of(size: Size, device: str) -> tuple[KernelLift, Callable[[dict[str, Tensor]], Tensor]]:
    """The lift for values at all walls, each point once, and its right-hand side (sample, t, m) from walls' data."""
    space = size.grid[1:] if len(size.grid) > 1 else size.grid
    numbers = torch.arange(int(np.prod(space))).reshape(space)
    near = torch.cat([wall(numbers, side).flatten() for side in sides(size)])
    points, first = np.unique(near.numpy(), return_index=True)
    rows = np.eye(numbers.numel())[points]
    kept = torch.from_numpy(first).to(device)
    axes = [np.linspace(0.0, 1.0, n) for n in space]

    def rhs(data: dict[str, Tensor]) -> Tensor:
        times = size.grid[0] if len(size.grid) > 1 else 1
        each = [data[side].reshape(size.batch, times, -1) for side in sides(size)]
        return torch.cat(each, -1)[..., kept]

    return KernelLift(rows, axes).to(device), rhs


def methods(
    size: Size, device: str
) -> tuple[dict[str, Callable[[], Tensor]], FourierOperator, dict[str, Tensor]]:
    torch.manual_seed(0)
    axes = [Axis(n, 0.0, 1.0) for n in size.grid]
    network = FourierOperator(
        len(axes) + 1, 1, axes, modes=size.modes, width=size.width, blocks=BLOCKS, padding=0.125
    ).to(device)
    channels = torch.randn(size.batch, len(axes) + 1, *size.grid, device=device)
    # Walls of one smooth field, so that corners agree.
    grids = torch.meshgrid(*[torch.linspace(0.0, 1.0, n, device=device) for n in size.grid], indexing="ij")
    field = torch.stack(
        [sum(torch.cos(s + (k + 1) * g) for k, g in enumerate(grids)) for s in range(size.batch)]
    )
    data = {side: wall(field, side).contiguous() for side in sides(size)}
    kinds = dict.fromkeys(sides(size), "dirichlet")
    released = KernelCorrection(network, kinds, AsReleased(Quirks.released(len(axes))))
    corrected = KernelCorrection(network, kinds, Corrected())
    lift, rhs = lift_of(size, device)
    space = size.grid[1:] if len(size.grid) > 1 else size.grid

    def lifted() -> Tensor:
        states = network(channels).reshape(size.batch, -1, int(np.prod(space)))
        return lift(states, rhs(data)).reshape(size.batch, 1, *size.grid)

    found = {
        "fno": lambda: network(channels),
        "boon, as released": lambda: released(channels, data),
        "boon, corrected": lambda: corrected(channels, data),
        "lift": lifted,
    }
    return found, network, data


def timed(work: Callable[[], object], device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - began)


def forward(method: Callable[[], Tensor]) -> None:
    with torch.no_grad():
        method()


def training(method: Callable[[], Tensor]) -> None:
    method().square().mean().backward()


def measured(name: str, size: Size, device: str, rounds: int) -> list[dict[str, object]]:
    found, network, data = methods(size, device)
    times = {(method, way): [] for method in found for way in ("forward", "gradient")}
    peaks = {}
    for turn in range(rounds + 2):  # two to warm up
        for method, call in found.items():
            for way, work in (("forward", forward), ("gradient", training)):
                network.zero_grad()
                if device == "cuda":
                    torch.cuda.reset_peak_memory_stats()
                took = timed(lambda call=call, work=work: work(call), device)
                if turn > 1:
                    times[method, way].append(took)
                if device == "cuda" and way == "gradient":
                    peaks[method] = torch.cuda.max_memory_allocated() / 2**20
    rows = []
    for method, call in found.items():
        with torch.no_grad():
            out = call()[:, 0].double()
        # Corners belong to two walls; data agree there up to float32.
        off = max(float((wall(out, side) - data[side]).abs().max()) for side in data)
        jump = statistics.median(float((wall(out, side) - wall(out, side, 1)).abs().mean()) for side in data)
        row = {
            "size": name,
            "method": method,
            **{w: statistics.median(times[method, w]) for w in ("forward", "gradient")},
        }
        row |= {f"{w} / fno": row[w] / statistics.median(times["fno", w]) for w in ("forward", "gradient")}
        row |= {"off walls": off, "jump": jump}
        rows.append(row | ({"MiB": peaks[method]} if peaks else {}))
    return rows


def table(rows: list[dict[str, object]]) -> None:
    names = list(rows[0])
    cells = [names] + [[f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    for line in cells:
        print(
            "  " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)), flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=list(SMALL), default=list(SMALL))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--published", action="store_true", help="published grids and batches on the CPU as well"
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--output", type=Path, default=Path("build/boon_cost.json"))
    given = parser.parse_args()
    sizes = PUBLISHED if given.device == "cuda" or given.published else SMALL
    rows = [row for name in given.sizes for row in measured(name, sizes[name], given.device, given.rounds)]
    table(rows)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    partial = given.output.with_suffix(".part")
    machine = (
        torch.cuda.get_device_name() if given.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    )
    partial.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1), encoding="utf-8")
    partial.replace(given.output)


if __name__ == "__main__":
    main()
