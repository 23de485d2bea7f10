"""Cost and accuracy of Gaussian processes: `gp` on lattices beside a dense Cholesky factor, its kernels on three families.

    OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 python benchmarks/gaussian_process.py cost
    OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 python benchmarks/gaussian_process.py accuracy

cost: one function of `diffusion` known at all n × n stored points; every case runs in a process of its own, after a fit on a
small lattice that loads what torch loads late. accuracy: one dataset of 120 functions (64 × 41 points) for each of three
seeds; fitted on 16 training functions, judged on the whole test split. `auto` and `any` choose by the column `valid`, the
negative log likelihood of the validation functions, and by nothing else; their rows are put together from the others'.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
import xarray as xr

import lawbound as lb
from lawbound.datasets.split import of_split
from lawbound.surrogates.gaussian_process import CHOICES, GaussianProcess
from lawbound.surrogates.prediction import Prediction

SIZES = (21, 51, 101, 201, 401)
DENSE = (21, 51, 101)
KERNELS = (
    "matern-1/2", "matern-3/2", "matern-5/2", "rbf", "rbf(t) * matern-5/2(x)", "rbf + matern-3/2", "rbf + periodic(x)",
)  # fmt: skip
FAMILIES = ("diffusion", "stefan", "burgers-periodic")


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """Seconds of the processor, so that others on the machine count less; of one thread, if so many are asked for."""
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def lattice(n: int, kernel: str) -> dict[str, float]:
    """Seconds of fitting and predicting one function by the Kronecker structure."""
    small = lb.generate("diffusion", 10, nx=20, nt=20, seed=2)
    GaussianProcess(kernel, 1, 5, context_times=20, context_positions=20).fit(small, small)
    data = lb.generate("diffusion", 10, nx=n, nt=n, seed=2)
    train, test = of_split(data, "train"), of_split(data, "test").isel(sample=[0])
    before = memory()
    learner = GaussianProcess(kernel, 1, 60, context_times=n, context_positions=n)
    fit, fitted = timed(lambda: learner.fit(train, train))
    predict, prediction = timed(lambda: with_variance(fitted.predict(test)))
    law, lawful = timed(lambda: with_variance(lb.enforce(prediction, lb.constraints.Conservation())[0]))
    sample, _ = timed(lambda: lawful.sample(10))
    mass = float((lawful.mean @ torch.from_numpy(test.x_weights.values)).abs().max())
    return {
        "fit": fit,
        "predict": predict,
        "law": law,
        "sample": sample,
        "mass": mass,
        "memory": memory() - before,
    }


def dense(n: int, kernel: str) -> dict[str, float]:
    """Seconds of the same likelihood once, and of a prediction, by one Cholesky factor of all points."""
    data = lb.generate("diffusion", 10, nx=n, nt=n, seed=2)
    u = torch.from_numpy(of_split(data, "train").u.values[0].astype(np.float64)).flatten()
    axis = torch.linspace(0, 1, n, dtype=torch.float64)
    gap = (axis[:, None] - axis).abs()
    before = memory()

    def factor() -> torch.Tensor:
        scaled = 5**0.5 * gap / 0.3
        one = (1 + scaled + scaled**2 / 3) * torch.exp(-scaled)
        return torch.linalg.cholesky(
            torch.kron(one, one).diagonal_scatter(torch.full((n * n,), 1.01).double())
        )

    likelihood, held = timed(lambda: whitened(factor(), u))
    return {"likelihood": likelihood, "memory": memory() - before, "value": float(held)}


def whitened(triangle: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    half = torch.linalg.solve_triangular(triangle, u[:, None], upper=False)
    return 0.5 * half.square().sum() + triangle.diagonal().log().sum()


def with_variance(prediction: Prediction) -> Prediction:
    assert bool((prediction.variance >= 0).all())
    return prediction


def memory() -> float:
    """The most that this process held so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def apart(case: str, n: int, kernel: str) -> dict[str, float]:
    """A case in a process of its own."""
    words = [sys.executable, "-P", __file__, "one", "--case", case, "--n", str(n), "--kernel", kernel]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return dict(json.loads(out.splitlines()[-1]))


def cost() -> None:
    print("| points | kernel | fit | mean and variance | law, variance | 10 samples | mass | memory |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    for n in SIZES:
        for kernel in ("matern-5/2", "rbf"):
            r = apart("lattice", n, kernel)
            seconds = " | ".join(f"{r[key]:.2f} s" for key in ("fit", "predict", "law", "sample"))
            print(
                f"| {n} × {n} | {kernel} | {seconds} | {r['mass']:.0e} | {r['memory']:.0f} MB |", flush=True
            )
    print("\n| points | dense: one likelihood | memory |\n|---|--:|--:|")
    for n in DENSE:
        r = apart("dense", n, "matern-5/2")
        print(f"| {n} × {n} | {r['likelihood']:.2f} s | {r['memory']:.0f} MB |", flush=True)


def judged(learner: GaussianProcess, data: xr.Dataset) -> tuple[float, ...]:
    """Relative error, coverage of 95 % intervals, and negative log likelihood of the validation functions."""
    train, valid, test = (of_split(data, split) for split in ("train", "valid", "test"))
    fitted = learner.fit(train, valid)
    prediction, truth = fitted.predict(test), torch.from_numpy(test.u.values.astype(np.float64))
    error = prediction.mean - truth
    relative = (error.flatten(1).norm(dim=1) / truth.flatten(1).norm(dim=1)).mean()
    inside = (error.abs() <= 1.96 * prediction.std).double().mean()
    return float(relative), float(inside), fitted.surprise(valid, 16)


def accuracy(seeds: int) -> None:
    print("| family | known | kernel | rel. L2 | coverage | valid |\n|---|---|---|--:|--:|--:|")
    for family in FAMILIES:
        sets = [lb.generate(family, 120, nx=64, nt=41, seed=seed) for seed in range(seeds)]
        for parameters in (False, True):
            size = 20 if parameters else 10
            known = "16 functions, parameters" if parameters else "10 × 10 points"
            of_kernel = {}
            for kernel in ("matern-5/2", "rbf") if parameters else KERNELS:
                learner = GaussianProcess(kernel, 16, 60, 0, size, size, parameters)
                of_kernel[kernel] = np.array([judged(learner, data) for data in sets])
                show(family, known, kernel, of_kernel[kernel])
            for choice, kernels in CHOICES.items() if not parameters else ():
                show(family, known, choice, chosen([of_kernel[kernel] for kernel in kernels]))


def chosen(found: list[np.ndarray]) -> np.ndarray:
    """What a choice among fits by their likelihood on validation functions gives, seed by seed."""
    every = np.stack(found)  # (kernel, seed, figure)
    return every[every[..., 2].argmin(0), np.arange(every.shape[1])]


def show(family: str, known: str, kernel: str, found: np.ndarray) -> None:
    mean, error = found.mean(0), found.std(0, ddof=1) / len(found) ** 0.5
    print(
        f"| {family} | {known} | {kernel} | {mean[0]:.4f} ± {error[0]:.4f} | {mean[1]:.3f} ± {error[1]:.3f} | "
        f"{mean[2]:.2f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("cost", "accuracy", "one"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--case", choices=("lattice", "dense"), default="lattice")
    parser.add_argument("--n", type=int, default=51)
    parser.add_argument("--kernel", default="matern-5/2")
    arguments = parser.parse_args()
    if arguments.what == "one":
        print(json.dumps({"lattice": lattice, "dense": dense}[arguments.case](arguments.n, arguments.kernel)))
    elif arguments.what == "cost":
        cost()
    else:
        accuracy(arguments.seeds)


if __name__ == "__main__":
    main()
