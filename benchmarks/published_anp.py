"""The attentive neural process at its published size and training, judged like ProbConserv's Table for Stefan.

    python benchmarks/published_anp.py --device cuda --out OUT

10 000 training functions, 100 for validation, 500 epochs of 40 steps (batch 250), Adam at 1e-4: minutes on a
GPU, most of a day on two cores. Judged on the published test values u* = 0.6 and 0.5, 50 context layouts each,
at t = 0.05, with dropout at prediction on (as published) and off. Writes OUT/published_anp-SEED.json.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import lawbound as lb
from lawbound.comparison import compare
from lawbound.datasets.split import concatenated
from lawbound.surrogates.neural_process import AttentiveNeuralProcess, FittedNeuralProcess
from lawbound.surrogates.surrogate import Progress


def say(progress: Progress) -> None:
    print(
        f"epoch {progress.epoch}/{progress.epochs} train {progress.train:.1f} valid {progress.valid:.1f} "
        f"after {progress.seconds:.0f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--out", type=Path, default=Path("published_anp"))
    parser.add_argument("--functions", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)

    began = time.perf_counter()
    counts = {"train": asked.functions, "valid": 100, "test": 100}
    data = concatenated([lb.generate("stefan", n, split=split, seed=0) for split, n in counts.items()])
    # Numbers name samples; three designs were joined, so number them through.
    data = data.assign_coords(sample=data.sample.copy(data=range(data.sizes["sample"])))
    print(f"{data.sizes['sample']} functions in {time.perf_counter() - began:.0f} s", flush=True)

    for seed in asked.seeds:
        began = time.perf_counter()
        learner = AttentiveNeuralProcess(epochs=asked.epochs)
        fitted = lb.fit(learner, data, seed=seed, device=asked.device, on_progress=say)
        seconds = time.perf_counter() - began
        parts = {}
        for masks in (True, False):
            judged = FittedNeuralProcess(
                replace(learner, dropout_at_prediction=masks), fitted.network, fitted.origin
            )
            result = compare({"anp": judged}, data, times=1, seed=seed)
            parts["dropout on" if masks else "dropout off"] = result.to_json()
            for row in result.rows:
                if row.metric in ("ce", "ll", "mse", "crps", "front_rmse"):
                    print(
                        seed,
                        masks,
                        row.method,
                        row.case,
                        row.metric,
                        f"{row.value:.5g}",
                        row.stderr,
                        flush=True,
                    )
        report = {
            "seed": seed,
            "epochs": asked.epochs,
            "functions": asked.functions,
            "seconds": seconds,
            "parts": parts,
        }
        (asked.out / f"published_anp-{seed}.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
