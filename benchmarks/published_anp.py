"""The attentive neural process at its published size and training, over seeds, judged like ProbConserv's tables.

    python benchmarks/published_anp.py --problems stefan pme --seeds 0 1 2 --device cuda --out OUT

For each problem: `points` solves 10 000 training and 100 validation functions and keeps their context and target
points (minutes on two cores); `train` (benchmarks/anp_training.py) takes 500 epochs of 40 steps, batch 250, Adam at
1e-4, once for each seed, dealt to the GPUs in turn; `judge` compares on the published test values (u* = 0.6 and 0.5;
m = 1, 3 and 6; k = 1 and 5), 50 context layouts each, at the time of interest, with dropout at prediction on (as
published) and off. `--steps` picks some of the three: they may run on different machines, OUT travelling.

OUT keeps data, `PROBLEM.npz`, run folders `PROBLEM-SEED`, `PROBLEM-SEED.json`, and `published_anp.json` with means
and standard errors over the seeds. What is there is not made again.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from pydantic import TypeAdapter
from safetensors.torch import load_file

import lawbound as lb
from lawbound.comparison import compare
from lawbound.datasets.config import configure
from lawbound.datasets.disk import temporary
from lawbound.datasets.executors import Processes
from lawbound.datasets.generate import generate_into
from lawbound.datasets.points import context_points, target_points
from lawbound.datasets.store import write_text
from lawbound.surrogates.checkpoint import CONFIG, MODEL, save
from lawbound.surrogates.neural_process import AttentiveNeuralProcess, FittedNeuralProcess
from lawbound.surrogates.surrogate import Origin

METRICS = ("ce", "ll", "mse", "crps")

#: How many test values are published.
VALUES = {"stefan": 2, "pme": 3, "diffusion": 2}

#: Choices of target points that each training function has.
CHOICES = 5

#: Unconstrained rows at the time of interest, dropout on, from the weights that ProbConserv's authors released;
#: diffusion as printed in their Table 1 (k = 1).
PUBLISHED = {
    ("stefan", "u_star=0.6"): {"ce": -1.305e-2, "ll": 3.541, "mse": 5.41e-3},
    ("stefan", "u_star=0.5"): {"ce": -3.068e-2, "ll": -0.458, "mse": 14.59e-3},
    ("pme", "m=1"): {"ce": 6.87e-3, "ll": 3.490, "mse": 1.01e-4},
    ("pme", "m=3"): {"ce": -1.18e-3, "ll": 3.672, "mse": 1.94e-4},
    ("pme", "m=6"): {"ce": -2.58e-3, "ll": 3.815, "mse": 7.62e-4},
    ("diffusion", "k=1"): {"ce": 4.68e-3, "ll": 2.72, "mse": 1.71e-4},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="+", default=["stefan"], choices=list(VALUES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", nargs="+", default=["points", "train", "judge"])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--out", type=Path, default=Path("published_anp"))
    parser.add_argument("--functions", type=int, default=10_000)
    parser.add_argument("--layouts", type=int, default=50, help="test functions for each published value")
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="stop training by then, to go on later"
    )
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    pairs = [(problem, seed) for problem in asked.problems for seed in asked.seeds]
    if "points" in asked.steps:
        for problem in asked.problems:
            points(problem, asked.functions, asked.out)
    if "train" in asked.steps:
        train(pairs, asked.epochs, asked.seconds, asked.device, asked.out)
    if "judge" in asked.steps:
        for problem, seed in pairs:
            judge(problem, seed, asked.layouts, asked.device, asked.out)
        summary = [line for problem in asked.problems for line in summarised(asked.out, problem, asked.seeds)]
        write_text(asked.out / "published_anp.json", json.dumps(summary, indent=1) + "\n")
        for line in summary:
            say(shown(line))


def say(text: str) -> None:
    print(text, flush=True)


def points(problem: str, functions: int, out: Path) -> None:
    """Solve what is not there yet, on all cores, and keep the points that training needs and where they are from."""
    if (out / f"{problem}.npz").exists():
        return
    arrays: dict[str, Any] = {}
    for number, (split, count, choices) in enumerate((("train", functions, CHOICES), ("valid", 100, 1))):
        folder = out / "data" / f"{problem}-{split}"
        family, config = configure(problem, count, seed=0, split=split, shard_size=-(-count // 64))
        generate_into(folder, family, config, executor=Processes(os.cpu_count() or 1))
        data = numbered(lb.open(folder, lazy=False), split)
        if split == "train":
            write_text(out / f"{problem}-origin.json", json.dumps(asdict(Origin.of(data, "u"))) + "\n")
        u, random = data.u.values, np.random.default_rng((0, number))
        contexts, targets = (
            context_points(data, seed=0),
            [target_points(data, random) for _ in range(choices)],
        )
        for axis in ("times", "positions"):
            arrays[f"{split}_contexts_{axis}"] = getattr(contexts, axis).astype(np.uint16)
            arrays[f"{split}_targets_{axis}"] = np.stack([getattr(one, axis) for one in targets]).astype(
                np.uint16
            )
        arrays[f"{split}_contexts_values"] = contexts.values(u).astype(np.float32)
        arrays[f"{split}_targets_values"] = np.stack([one.values(u) for one in targets]).astype(np.float32)
        arrays |= {"t": data.t.values, "x": data.x.values}
    unfinished = temporary(out / f"{problem}.npz")
    with unfinished.open("wb") as file:
        np.savez_compressed(file, **arrays)
    os.replace(unfinished, out / f"{problem}.npz")


def numbered(data: xr.Dataset, split: str) -> xr.Dataset:
    """Samples with numbers, which decide their context points, that no other split has."""
    first = {"train": 0, "valid": 1_000_000, "test": 2_000_000}[split]
    return data.assign_coords(sample=data.sample.copy(data=data.sample.values + first))


def train(pairs: list[tuple[str, int]], epochs: int, seconds: float, device: str, out: Path) -> None:
    """A process for each network, dealt to the GPUs in turn."""
    cards = max(1, torch.cuda.device_count())
    script = Path(__file__).with_name("anp_training.py")
    running = []
    for i, (problem, seed) in enumerate(pairs):
        command = [
            sys.executable,
            str(script),
            str(out / f"{problem}.npz"),
            "--out",
            str(out / f"{problem}-{seed}"),
        ]
        command += ["--seed", str(seed), "--epochs", str(epochs), "--device", device]
        command += ["--seconds", str(seconds)]
        running.append(subprocess.Popen(command, env={**os.environ, "CUDA_VISIBLE_DEVICES": str(i % cards)}))
    if failed := sum(process.wait() != 0 for process in running):
        raise SystemExit(f"{failed} of {len(running)} trainings failed; see above.")


def judge(problem: str, seed: int, layouts: int, device: str, out: Path) -> None:
    """Make a run folder a checkpoint of ours, and compare on the published values."""
    result, folder = out / f"{problem}-{seed}.json", out / f"{problem}-{seed}"
    if result.exists():
        return
    learner = AttentiveNeuralProcess()
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    if not (folder / CONFIG).exists():
        origin = TypeAdapter(Origin).validate_json((out / f"{problem}-origin.json").read_text())
        learner = replace(learner, epochs=log[-1]["epoch"])
        save(folder, learner, learner.restore(load_file(folder / MODEL), origin), seed=seed)
    fitted = lb.load(folder)
    assert isinstance(fitted, FittedNeuralProcess)
    network = fitted.network.to(device)
    data = numbered(lb.generate(problem, layouts * VALUES[problem], split="test"), "test")
    parts = {}
    for masks in (True, False):
        judged = FittedNeuralProcess(
            replace(fitted.learner, dropout_at_prediction=masks), network, fitted.origin
        )
        found = compare({"anp": judged}, data, times=1, seed=seed)
        parts["dropout on" if masks else "dropout off"] = found.to_json()
    report = {
        "problem": problem, "seed": seed, "epochs": log[-1]["epoch"], "seconds": log[-1]["seconds"],
        "best_valid": min(line["valid"] for line in log), "parts": parts,
    }  # fmt: skip
    write_text(result, json.dumps(report, indent=1) + "\n")


def summarised(out: Path, problem: str, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Mean and standard error over the seeds, for each dropout mode, method, value and metric."""
    reports = [json.loads((out / f"{problem}-{seed}.json").read_text()) for seed in seeds]
    lines = []
    for part in ("dropout on", "dropout off"):
        tables = [
            {
                (row["method"], row["case"], row["metric"]): row["value"]
                for row in report["parts"][part]["rows"]
            }
            for report in reports
        ]
        for method, case, metric in tables[0]:
            if metric not in METRICS or method == "solver":
                continue
            values = np.asarray([table[method, case, metric] for table in tables])
            error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
            known = PUBLISHED.get((problem, case), {}) if method == "anp" and part == "dropout on" else {}
            lines.append({
                "problem": problem, "dropout": part, "case": case, "method": method, "metric": metric,
                "mean": float(values.mean()), "stderr": error, "values": values.tolist(),
                "published": known.get(metric),
            })  # fmt: skip
    return lines


def shown(line: dict[str, Any]) -> str:
    error = "" if line["stderr"] is None else f" ± {line['stderr']:.2g}"
    known = "" if line["published"] is None else f"   published {line['published']:.4g}"
    where = f"{line['problem']}, {line['dropout']}, {line['case']}"
    return f"{where}: {line['method']} {line['metric']} {line['mean']:.4g}{error}{known}"


if __name__ == "__main__":
    main()
