"""The attentive neural process at its published size and training, over seeds, judged like ProbConserv's tables.

    python benchmarks/published_anp.py --problems stefan pme --seeds 0 1 2 --device cuda --out OUT

10 000 training functions, 100 for validation, 500 epochs of 40 steps (batch 250), Adam at 1e-4, for each problem and
seed: about a quarter of an hour for three seeds of one problem on a GPU, days on two cores. Every training is a process of its own,
dealt to the GPUs in turn. Judged on the published test values (u* = 0.6 and 0.5; m = 1, 3 and 6; k = 1 and 5), 50
context layouts each, at the time of interest, with dropout at prediction on (as published) and off.

OUT keeps data, run folders and `PROBLEM-SEED.json`, and `published_anp.json` with means and standard errors over
the seeds. What is there is not made again: stop it whenever you like, and start it again with the same arguments.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

import lawbound as lb
from lawbound.comparison import compare
from lawbound.datasets.config import configure
from lawbound.datasets.executors import Processes
from lawbound.datasets.generate import generate_into
from lawbound.datasets.split import concatenated
from lawbound.datasets.store import write_text
from lawbound.surrogates.checkpoint import CONFIG
from lawbound.surrogates.neural_process import AttentiveNeuralProcess, FittedNeuralProcess
from lawbound.surrogates.surrogate import Progress

METRICS = ("ce", "ll", "mse", "crps")

#: Test functions: 50 context layouts for each published value.
TEST = {"stefan": 100, "pme": 150, "diffusion": 100}

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
    parser.add_argument("--problems", nargs="+", default=["stefan"], choices=list(TEST))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--out", type=Path, default=Path("published_anp"))
    parser.add_argument("--functions", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument(
        "--precision", default="high", choices=["highest", "high"], help="high: TF32 products"
    )
    parser.add_argument("--compiled", action="store_true", help="train a compiled loss: faster on GPUs")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)

    gpus = torch.cuda.device_count() if asked.device == "cuda" else 0
    processes = []
    for problem in asked.problems:
        began = time.perf_counter()
        prepare(problem, asked.functions, asked.out)
        say(f"{problem}: data after {time.perf_counter() - began:.0f} s")
        for seed in asked.seeds:
            card = len(processes) % gpus if gpus else None
            process = get_context("spawn").Process(target=one, args=(problem, seed, card, asked))
            process.start()
            processes.append(process)
    for process in processes:
        process.join()
    if failed := sum(process.exitcode != 0 for process in processes):
        raise SystemExit(f"{failed} of {len(processes)} trainings failed; see above.")
    summary = [line for problem in asked.problems for line in summarised(asked.out, problem, asked.seeds)]
    write_text(asked.out / "published_anp.json", json.dumps(summary, indent=1) + "\n")
    for line in summary:
        say(shown(line))


def say(text: str) -> None:
    print(text, flush=True)


def prepare(problem: str, functions: int, out: Path) -> None:
    """Solve what is not there yet, on all cores."""
    jobs = Processes(os.cpu_count() or 1)
    for split, count in {"train": functions, "valid": 100, "test": TEST[problem]}.items():
        family, config = configure(problem, count, seed=0, split=split, shard_size=-(-count // 64))
        generate_into(out / "data" / f"{problem}-{split}", family, config, executor=jobs)


def opened(problem: str, out: Path) -> xr.Dataset:
    """The three splits as one dataset."""
    folders = [out / "data" / f"{problem}-{split}" for split in ("train", "valid", "test")]
    data = concatenated([lb.open(folder, lazy=False) for folder in folders])
    # Numbers name samples; three designs were joined, so number them through.
    return data.assign_coords(sample=data.sample.copy(data=range(data.sizes["sample"])))


def one(problem: str, seed: int, card: int | None, asked: argparse.Namespace) -> None:
    """Train one network, or take it from where it was left, and judge it."""
    result = asked.out / f"{problem}-{seed}.json"
    if result.exists():
        return
    if card is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(card)
    torch.set_float32_matmul_precision(asked.precision)
    data, folder = opened(problem, asked.out), asked.out / f"{problem}-{seed}"

    def progress(state: Progress) -> None:
        if state.epoch % 50 == 0 or state.epoch == state.epochs:
            say(
                f"{problem} {seed}: epoch {state.epoch}/{state.epochs} train {state.train:.1f} "
                f"valid {state.valid:.1f} after {state.seconds:.0f} s"
            )

    learner = AttentiveNeuralProcess(epochs=asked.epochs, compiled=asked.compiled)
    if (folder / CONFIG).exists():
        fitted = lb.load(folder)
    else:
        fitted = lb.fit(
            learner, data, seed=seed, device=asked.device, folder=folder, resume=True, unchecked=True,
            on_progress=progress,
        )  # fmt: skip
    assert isinstance(fitted, FittedNeuralProcess)
    network = fitted.network.to(asked.device)
    parts = {}
    for masks in (True, False):
        judged = FittedNeuralProcess(replace(learner, dropout_at_prediction=masks), network, fitted.origin)
        found = compare({"anp": judged}, data, times=1, seed=seed)
        parts["dropout on" if masks else "dropout off"] = found.to_json()
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    report = {
        "problem": problem, "seed": seed, "epochs": asked.epochs, "functions": asked.functions,
        "precision": asked.precision, "compiled": asked.compiled, "device": asked.device,
        "seconds": log[-1]["seconds"], "best_valid": min(line["valid"] for line in log), "parts": parts,
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
