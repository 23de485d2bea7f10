"""The published training of an ANP, a step as one CUDA graph: 6 ms instead of 25 ms on an H100.

    python benchmarks/anp_training.py POINTS.npz --seed 0 --out FOLDER

POINTS.npz is made by `benchmarks/published_anp.py`: the context points of each function and a few choices of its
target points, one of which it gets in an epoch (the published data have one). Adam at 1e-4, 500 epochs of batches
of 250, best weights by the validation loss of every tenth epoch. FOLDER gets `model.safetensors` (the best weights),
`state.pt` (to go on from: start again with the same arguments) and `log.jsonl`. Needs PyTorch, NumPy and safetensors.
"""

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from lawbound.surrogates.attentive_network import AttentiveNetwork, Batch, loss

EVERY = 10  # epochs between validations


@dataclass(frozen=True)
class Functions:
    """Contexts (function, point, 3) and choices of targets (choice, function, point, 3), points being (t, x, u)."""

    contexts: Tensor
    targets: Tensor

    @classmethod
    def read(cls, file: Any, split: str, device: str) -> "Functions":
        """One split of the points file."""
        t, x = torch.from_numpy(file["t"]), torch.from_numpy(file["x"])

        def triples(what: str) -> Tensor:
            times, positions = (
                torch.from_numpy(file[f"{split}_{what}_{axis}"].astype(np.int64))
                for axis in ("times", "positions")
            )
            grid = torch.broadcast_tensors(t[times][..., :, None], x[positions][..., None, :])
            u = torch.from_numpy(file[f"{split}_{what}_values"])
            return torch.stack([grid[0].flatten(-2).float(), grid[1].flatten(-2).float(), u], -1).to(device)

        return cls(triples("contexts"), triples("targets"))

    def epoch(self, seed: int, epoch: int, batch: int) -> list[Batch]:
        """Batches in an order, and with choices of targets, that the seed and the epoch decide."""
        random, n = np.random.default_rng((seed, epoch)), len(self.contexts)
        order = torch.from_numpy(random.permutation(n)).to(self.contexts.device)
        choice = torch.from_numpy(random.integers(len(self.targets), size=n)).to(order.device)
        whole = n - n % batch if n > batch else n  # a graph has one batch size
        contexts, targets = self.contexts[order[:whole]], self.targets[choice[:whole], order[:whole]]
        return [Batch(*pair) for pair in zip(contexts.split(batch), targets.split(batch), strict=True)]


class Training:
    """Network, optimiser and the captured step."""

    def __init__(self, seed: int, first: Batch, device: str) -> None:
        torch.manual_seed(seed)
        self.network = AttentiveNetwork(128, 4, 0.1).to(device).train()
        self.cuda = device == "cuda"
        self.optimiser = torch.optim.Adam(
            self.network.parameters(), lr=1e-4, fused=self.cuda, capturable=self.cuda
        )
        self.batch = Batch(first.contexts.clone(), first.targets.clone())
        self.total = torch.zeros((), device=device, dtype=torch.float64)
        self.objective = torch.compile(loss) if self.cuda else loss
        initial = [parameter.detach().clone() for parameter in self.network.parameters()]
        self.replay: Callable[[], None] = self._captured() if self.cuda else self._warm()
        with torch.no_grad():  # what the first steps did is undone
            for tensor in self.tensors():
                tensor.zero_()
            for parameter, value in zip(self.network.parameters(), initial, strict=True):
                parameter.copy_(value)

    def _eager(self) -> None:
        total = self.objective(self.network, self.batch).sum()
        self.optimiser.zero_grad(set_to_none=False)
        total.backward()
        self.optimiser.step()
        self.total += total.detach()

    def _warm(self) -> Callable[[], None]:
        self._eager()
        return self._eager

    def _captured(self) -> Callable[[], None]:
        torch.cuda.synchronize()
        with torch.cuda.stream(torch.cuda.Stream()):
            for _ in range(5):
                self._eager()
        torch.cuda.synchronize()
        for _ in range(3):
            self._eager()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._eager()
        torch.cuda.synchronize()
        return graph.replay

    def tensors(self) -> list[Tensor]:
        """All that a step changes, in a fixed order."""
        parameters = list(self.network.parameters())
        kept = [
            self.optimiser.state[p][name] for p in parameters for name in ("step", "exp_avg", "exp_avg_sq")
        ]
        return [*(parameter.detach() for parameter in parameters), *kept]

    def epoch(self, batches: list[Batch], seed: int) -> float:
        """The sum of the losses of an epoch."""
        torch.manual_seed(seed)
        self.total.zero_()
        for batch in batches:
            self.batch.contexts.copy_(batch.contexts)
            self.batch.targets.copy_(batch.targets)
            self.replay()
        return float(self.total)

    def validated(self, functions: Functions) -> float:
        """The mean loss in evaluation mode, with the same random numbers each time."""
        self.network.eval()
        torch.manual_seed(0)
        with torch.no_grad():
            value = float(loss(self.network, Batch(functions.contexts, functions.targets[0])).double().mean())
        self.network.train()
        return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("points", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--batch", type=int, default=250)
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop by then, to be gone on from")
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda"])
    asked = parser.parse_args()
    began = time.perf_counter()
    torch.set_float32_matmul_precision("high")  # TF32 products
    asked.out.mkdir(parents=True, exist_ok=True)
    with np.load(asked.points) as file:
        train, valid = (Functions.read(file, split, asked.device) for split in ("train", "valid"))
    training = Training(asked.seed, train.epoch(asked.seed, 0, asked.batch)[0], asked.device)
    state: dict[str, Any] = {"epoch": 0, "valid": math.inf, "best": {}, "seconds": 0.0}
    if (asked.out / "state.pt").exists():
        state = torch.load(asked.out / "state.pt", map_location=asked.device, weights_only=True)
        for tensor, value in zip(training.tensors(), state.pop("tensors"), strict=True):
            tensor.copy_(value)
    print(
        f"{asked.out}: from epoch {state['epoch']}, ready after {time.perf_counter() - began:.0f} s",
        flush=True,
    )

    started, before = time.perf_counter(), state["seconds"]
    for epoch in range(state["epoch"] + 1, asked.epochs + 1):
        batches = train.epoch(asked.seed, epoch, asked.batch)
        total = training.epoch(batches, asked.seed * 1_000_003 + epoch)
        if epoch % EVERY and epoch < asked.epochs:
            continue
        value = training.validated(valid)
        if not math.isfinite(total + value):
            raise SystemExit(f"Epoch {epoch}: the loss is {total}, of validation {value}.")
        state["epoch"], state["seconds"] = epoch, before + time.perf_counter() - started
        if value < state["valid"]:
            best = {name: tensor.detach().clone() for name, tensor in training.network.state_dict().items()}
            state |= {"valid": value, "best": best}
        line = {
            "epoch": epoch, "train": total / (len(batches) * asked.batch), "valid": value, "seconds": state["seconds"],
        }  # fmt: skip
        with (asked.out / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        late = time.perf_counter() - began > asked.seconds
        if epoch % (10 * EVERY) == 0 or late or epoch == asked.epochs:
            print(f"{asked.out}: {line}", flush=True)
            _keep(asked.out, state, training)
        if late:
            break


def _keep(folder: Path, state: dict[str, Any], training: Training) -> None:
    unfinished = folder / f".{os.getpid()}.tmp"
    save_file({name: tensor.cpu().contiguous() for name, tensor in state["best"].items()}, unfinished)
    os.replace(unfinished, folder / "model.safetensors")
    torch.save({**state, "tensors": training.tensors()}, unfinished)
    os.replace(unfinished, folder / "state.pt")


if __name__ == "__main__":
    main()
