"""The demo's small network over training seeds, on the demo's validation functions; and what a published step costs.

    python benchmarks/demo_network.py

Judged at t = 0.05 on the functions that also chose the best weights, so the numbers flatter a little; they are
for choosing settings, not for reporting accuracy.
"""

import time
from dataclasses import replace

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import lawbound as lb
from lawbound import scores
from lawbound.datasets.split import of_split
from lawbound.demo import LEARNERS, NT, NX, SAMPLES
from lawbound.surrogates.neural_process import AttentiveNeuralProcess


def main() -> None:
    data = lb.generate("stefan", SAMPLES, seed=0, nx=NX, nt=NT)
    train, valid = of_split(data, "train"), of_split(data, "valid")
    now = int(np.abs(valid.t.values - 0.05).argmin())
    truth = valid.u.values[:, now].astype(np.float64)
    weights, rhs = valid.x_weights.values, valid.law_conservation_rhs.values[:, now]
    columns = ("seed", "seconds", "MSE ×1e-3", "rel. L2", "CE ×1e-2", "LL")
    table = Table(
        *columns, title=f"{train.sizes['sample']} training, {valid.sizes['sample']} validation functions"
    )
    (learner,) = (one for one in LEARNERS if isinstance(one, AttentiveNeuralProcess))
    torch.set_num_threads(1)
    for seed in (0, 1, 2):
        began = time.perf_counter()
        prediction = learner.fit(train, valid, seed=seed).predict(valid, times=np.array([now]))
        mean, variance = prediction.mean[:, 0].numpy(), prediction.variance[:, 0].numpy()
        table.add_row(
            str(seed),
            f"{time.perf_counter() - began:.1f}",
            f"{1e3 * scores.mse(mean, truth).mean():.1f}",
            f"{scores.relative_l2(mean, truth).mean():.2f}",
            f"{1e2 * scores.conservation_error(mean, weights, rhs).mean():+.1f}",
            f"{scores.log_likelihood(mean, variance, truth).mean():.2f}",
        )
    Console().print(table)

    torch.set_num_threads(2)
    many = lb.generate("stefan", 250, split="train", nx=NX, nt=NT)
    began = time.perf_counter()
    replace(AttentiveNeuralProcess(), epochs=1, validate_every=1).fit(many, valid)
    print(f"one step of the published size, batch 250, and a validation: {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
