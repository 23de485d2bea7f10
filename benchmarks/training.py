"""Time of a training step of a Fourier neural operator, against a plain implementation in the original style.

    python benchmarks/training.py                              # small, on the CPU
    python benchmarks/training.py --device cuda --out DIR      # the size of the published runs

Both networks have the same architecture, the same initial weights and see the same batches; the plain one transforms
whole fields, multiplies complex weights by einsum and is stepped by Adam as PyTorch comes. Printed are milliseconds of
a step (median), the ratio to plain, and how far the loss curves are apart; TRAINING.json beside it holds them.
"""

import argparse
import json
import math
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from lawbound.surrogates import training
from lawbound.surrogates.fourier_operator import FourierOperator
from lawbound.surrogates.losses import relative_l2
from lawbound.surrogates.origin import Axis
from lawbound.surrogates.stacked import Stacked

SIZES = {
    "cpu": {"batch": 8, "times": 17, "points": 64, "modes": 8, "width": 16, "members": 4},
    "cuda": {"batch": 20, "times": 25, "points": 256, "modes": 12, "width": 32, "members": 10},
}
BLOCKS, PADDING, CURVE = 4, 0.125, 60


class PlainConvolution(nn.Module):
    """Complex weights for positive and for negative frequencies of the first axis."""

    def __init__(self, width: int, modes: int) -> None:
        super().__init__()
        self.modes = modes
        shape = (width, width, modes, modes)
        self.positive = nn.Parameter(torch.rand(shape, dtype=torch.cfloat) / width**2)
        self.negative = nn.Parameter(torch.rand(shape, dtype=torch.cfloat) / width**2)

    def forward(self, u: Tensor) -> Tensor:
        m = self.modes
        spectrum = torch.fft.rfft2(u)
        out = torch.zeros_like(spectrum)
        out[:, :, :m, :m] = torch.einsum("bixy,ioxy->boxy", spectrum[:, :, :m, :m], self.positive)
        out[:, :, -m:, :m] = torch.einsum("bixy,ioxy->boxy", spectrum[:, :, -m:, :m], self.negative)
        return torch.fft.irfft2(out, s=u.shape[-2:])


class Plain(nn.Module):
    """Channels first, a convolution of one point beside every Fourier layer."""

    def __init__(self, inputs: int, modes: int, width: int, padded: tuple[int, int]) -> None:
        super().__init__()
        self.padded = padded
        self.lift = nn.Linear(inputs, width)
        self.spectral = nn.ModuleList(PlainConvolution(width, modes) for _ in range(BLOCKS))
        self.pointwise = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(BLOCKS))
        self.first, self.second = nn.Linear(width, 128), nn.Linear(128, 1)

    def forward(self, channels: Tensor) -> Tensor:
        t, x = channels.shape[-2:]
        u = self.lift(channels.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        u = pad(u, (0, self.padded[1] - x, 0, self.padded[0] - t))
        for i, (spectral, pointwise) in enumerate(zip(self.spectral, self.pointwise, strict=True)):
            u = spectral(u) + pointwise(u)
            if i < BLOCKS - 1:
                u = gelu(u)
        u = u[..., :t, :x].permute(0, 2, 3, 1)
        return self.second(gelu(self.first(u))).permute(0, 3, 1, 2)


def copy_weights(plain: Plain, ours: FourierOperator) -> None:
    """The plain network's weights, so that both start as the same function."""
    pairs = [(ours.lift, plain.lift), (ours.project, plain.first), (ours.last, plain.second)]
    with torch.no_grad():
        for mine, theirs in pairs:
            mine.load_state_dict(theirs.state_dict())
        for convolution, around, spectral, pointwise in zip(
            ours.convolutions, ours.around, plain.spectral, plain.pointwise, strict=True
        ):
            around.weight.copy_(pointwise.weight[:, :, 0, 0])
            around.bias.copy_(pointwise.bias)
            weights = torch.cat(
                [spectral.positive, spectral.negative], dim=2
            )  # (in, out, frequency, frequency)
            flat = weights.permute(2, 3, 0, 1).flatten(0, 1)
            convolution.weight.copy_(torch.cat([flat.real, flat.imag], dim=-1))


def data(batch: int, times: int, points: int, device: str, batches: int = 8) -> list[tuple[Tensor, Tensor]]:
    """Random sums of decaying waves: channels u(0, x), t, x, and u(t, x)."""
    generator = torch.Generator().manual_seed(0)
    t, x = torch.linspace(0, 1, times), torch.linspace(0, 1, points)
    k = torch.arange(1, 7)
    made = []
    for _ in range(batches):
        amplitudes = torch.randn(batch, 6, generator=generator) / k
        decay = torch.exp(-0.05 * (math.pi * k[:, None]) ** 2 * t)
        u = torch.einsum("bk,kt,kx->btx", amplitudes, decay, torch.sin(math.pi * k[:, None] * x))
        u = u + 0.3 * torch.randn(batch, 1, 1, generator=generator)
        channels = torch.stack(
            [u[:, :1].expand(u.shape), t[:, None].expand(u.shape), x.expand(u.shape)], dim=1
        )
        made.append((channels.to(device), u[:, None].to(device)))
    return made


def loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Relative L2 of each sample (and member)."""
    channels, target = batch
    return relative_l2(network(channels), target, 2)


class Run:
    """A network with its optimiser and the way its loss is computed."""

    def __init__(
        self, network: nn.Module, optimiser: torch.optim.Optimizer, judge: Callable[..., Tensor], device: str
    ) -> None:
        self.network, self.optimiser, self.judge, self.device = network, optimiser, judge, device

    def step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        self.optimiser.zero_grad()
        total = self.judge(self.network, batch).sum()
        total.backward()
        self.optimiser.step()
        return total.detach()

    def curve(self, batches: list[tuple[Tensor, Tensor]], steps: int) -> Tensor:
        return torch.stack([self.step(batches[i % len(batches)]) for i in range(steps)]).cpu()

    def milliseconds(self, batches: list[tuple[Tensor, Tensor]], rounds: int, steps: int) -> float:
        """Median over rounds of the mean over steps, after a round to warm up."""
        times = []
        for _ in range(rounds + 1):
            self._wait()
            began = time.perf_counter()
            for i in range(steps):
                self.step(batches[i % len(batches)])
            self._wait()
            times.append((time.perf_counter() - began) / steps)
        return 1e3 * statistics.median(times[1:])

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()


def networks(size: dict[str, int], count: int, device: str) -> tuple[list[Plain], list[FourierOperator]]:
    """Pairs of equal networks."""
    axes = (Axis(size["times"], 0.0, 1.0), Axis(size["points"], 0.0, 1.0))
    padded = tuple(round((1 + PADDING) * axis.intervals) for axis in axes)
    theirs, ours = [], []
    for seed in range(count):
        torch.manual_seed(seed)
        plain = Plain(3, size["modes"], size["width"], padded)
        mine = FourierOperator(
            3, 1, axes, modes=size["modes"], width=size["width"], blocks=BLOCKS, padding=PADDING
        )
        copy_weights(plain, mine)
        theirs.append(plain.to(device))
        ours.append(mine.to(device))
    return theirs, ours


def variants(size: dict[str, int], device: str, compiling: bool) -> dict[str, Callable[[], Run]]:
    """Ways to train one network, and all members together, by name; each starts from the same weights."""

    def plain() -> Run:
        network = networks(size, 1, device)[0][0]
        return Run(network, torch.optim.Adam(network.parameters(), lr=1e-3), loss, device)

    def ours(members: int | None, compile: bool) -> Run:
        made = networks(size, members or 1, device)[1]
        network = made[0] if members is None else Stacked(made).to(device)
        optimiser = training.Settings(1, learning_rate=1e-3, fused=True).optimiser(network)
        judge = training.compiled(loss, torch.device(device)) if compile else loss
        return Run(network, optimiser, judge, device)

    members = size["members"]
    found = {
        "plain": plain,
        "ours": lambda: ours(None, False),
        f"ours, {members} members": lambda: ours(members, False),
    }
    if compiling:
        found["ours, compiled"] = lambda: ours(None, True)
        found[f"ours, {members} members, compiled"] = lambda: ours(members, True)
    return found


def measured(size: dict[str, int], device: str, compiling: bool) -> list[dict[str, object]]:
    """A row for each variant."""
    batches = data(size["batch"], size["times"], size["points"], device)
    wide = [
        tuple(part.expand(size["members"], *part.shape).contiguous() for part in batch) for batch in batches
    ]
    rows: list[dict[str, object]] = []
    curve = time_of_plain = None
    for name, begin in variants(size, device, compiling).items():
        seen = wide if "members" in name else batches
        run = begin()
        began = time.perf_counter()
        try:
            losses = run.curve(seen, CURVE)
        except RuntimeError as error:  # a compiler that is not there: the other rows still count
            print(f"{name:32s} failed: {error}", flush=True)
            rows.append({"variant": name, "failed": str(error)})
            continue
        first = time.perf_counter() - began
        ms = run.milliseconds(seen, rounds=7, steps=5 if device == "cpu" else 50)
        if curve is None:
            curve, time_of_plain = losses, ms
        apart = None if "members" in name else float(((losses - curve) / curve).abs().max())
        rows.append(
            {
                "variant": name, "ms": ms, "over plain": ms / time_of_plain, "first loss": float(losses[0]),
                "last loss": float(losses[-1]), "largest relative difference of losses": apart,
                "seconds for the first steps": first,
            }
        )  # fmt: skip
        print(
            f"{name:32s} {ms:9.3f} ms   {time_of_plain / ms:6.2f} × plain   losses {float(losses[0]):8.3f} → "
            f"{float(losses[-1]):8.3f}   apart {'–' if apart is None else f'{apart:.1e}'}   first {first:.1f} s",
            flush=True,
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    compiling = given.device == "cuda" if given.compile is None else given.compile
    size = SIZES[given.device]
    where = torch.cuda.get_device_name() if given.device == "cuda" else platform.processor() or "cpu"
    print(f"{where}, torch {torch.__version__}, {torch.get_num_threads()} threads, {size}")
    rows = measured(size, given.device, compiling)
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"device": where, "torch": torch.__version__, "size": size, "rows": rows}, indent=1)
        (given.out / "TRAINING.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
