"""Is `auto` never worse than leaving a prediction alone? Small trained networks of every family on an interval.

    python benchmarks/automatic.py --out OUT                   # trains what is missing, minutes each, and prints both tables
    python benchmarks/automatic.py --out OUT --candidates      # on validation: what the rule was chosen among

Imposed is the total alone (`Conservation()`), of which every family here knows the right-hand side. Each network is trained
on `--functions` samples of the split `shift-train`, its weights are chosen on 20 more; `validation` is for choosing a
rule, `test` for judging it, 60 other samples each. Printed: mean square error over all times but the first and all samples,
of the prediction as it was (× 1e-4), and of each enforcement as a share of that; `alone`: the worst single sample's share.
OUT keeps FAMILY-SURROGATE-SET.nc, the predictions.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import xarray as xr

import lawbound as lb
from lawbound.constraints.automatic import Automatic
from lawbound.constraints.conservation import Conservation
from lawbound.constraints.enforcement import Condition, Enforcement, Project, enforce
from lawbound.datasets import schema
from lawbound.datasets.store import read, write
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.fourier_surrogate import FourierNeuralOperator
from lawbound.surrogates.neural_process import AttentiveNeuralProcess
from lawbound.surrogates.prediction import Prediction, from_moments
from lawbound.surrogates.surrogate import Learner

FAMILIES = (
    "diffusion", "pme", "stefan", "advection", "burgers-inviscid", "heat-neumann", "heat-dirichlet", "heat-robin", "stokes",
    "burgers-periodic", "burgers-dirichlet", "burgers-random",
)  # fmt: skip
LEARNERS: dict[str, Learner] = {
    "fno": FourierNeuralOperator(
        parameters=True, epochs=20, batch=20, clip_norm=10.0, uncertainty="variance", loss="nll"
    ),
    "anp": AttentiveNeuralProcess(
        width=32, normalise=True, epochs=60, batch=20, learning_rate=1e-3, clip_norm=100.0, draws=10
    ),
}
SETS = ("validation", "test")
JUDGED, WEIGHTS = 60, 20  # samples of each set, and those that choose the weights
ALLOWED = 1.02  # times the error of the prediction as it was


def made(out: Path, families: Sequence[str], functions: int) -> None:
    """Train what is missing, and keep its predictions."""
    for family in families:
        missing = {
            name: learner
            for name, learner in LEARNERS.items()
            if not all(path_of(out, family, name, which).exists() for which in SETS)
        }
        if not missing:
            continue
        data = lb.generate(family, functions + WEIGHTS + 2 * JUDGED, split="shift-train", nx=48, nt=13)
        ends = np.cumsum([0, functions, WEIGHTS, JUDGED, JUDGED])
        train, weights, *judged = (data.isel({schema.SAMPLE: slice(a, b)}) for a, b in pairwise(ends))
        for name, learner in missing.items():
            began = time.process_time()
            fitted = learner.fit(train, weights, seed=0)
            for which, part in zip(SETS, judged, strict=True):
                write(moments(fitted.predict(part)), path_of(out, family, name, which))
            print(f"{family} {name}: {time.process_time() - began:.0f} s of processor time", flush=True)


def path_of(out: Path, family: str, name: str, which: str) -> Path:
    return out / f"{family}-{name}-{which}.nc"


def moments(prediction: Prediction) -> xr.Dataset:
    """The inputs with mean and standard deviation over all draws."""
    dims, common = schema.FIELD_DIMS, {"units": "1", schema.ROLE: schema.PREDICTION, "lawbound_predicts": "u"}
    return prediction.inputs.assign(
        pred_u_mean=(
            dims,
            prediction.mean.numpy(),
            {**common, "long_name": "mean", "ancillary_variables": "pred_u_std"},
        ),
        pred_u_std=(dims, prediction.variance.sqrt().numpy(), {**common, "long_name": "standard deviation"}),
    )


def given(path: Path) -> Prediction:
    """The prediction after the start, as one Gaussian with independent points."""
    drawn = from_moments(read(path).isel({schema.TIME: slice(1, None)}))
    return Prediction(drawn.mean[None], Diagonal(drawn.variance[None]), drawn.inputs)


def errors(prediction: Prediction) -> np.ndarray:
    """Mean square error of each sample."""
    truth = prediction.layout.state(prediction.inputs)
    return np.asarray(((prediction.mean.numpy() - truth) ** 2).mean((1, 2)))


def candidates() -> Iterator[tuple[str, Enforcement]]:
    """Rules to choose among."""
    yield "condition", Condition()
    yield "project", Project()
    yield "auto", Automatic()
    for unsure in (0.15, 0.25, 0.35):
        for surprised in (3.5, 5.0, np.inf):
            for wiggles in (1.1, 1.25, 1.5, 2.0, np.inf):
                yield (
                    f"unsure={unsure:g} surprised={surprised:g} wiggles={wiggles:g}",
                    Automatic(unsure=unsure, surprised=surprised, wiggles=wiggles),
                )
    for power in (0.0, 0.5):
        yield f"power={power:g}", Automatic(power=power)


def table(
    out: Path, families: Sequence[str], which: str, rules: Sequence[tuple[str, Enforcement]], wide: bool
) -> None:
    """Print each rule's share of the error that was."""
    found = {}
    for family in families:
        for name in LEARNERS:
            path = path_of(out, family, name, which)
            if path.exists():
                free = given(path)
                base = errors(free)
                got = [errors(enforce(free, Conservation(), how).prediction) for _, how in rules]
                found[family, name] = (
                    1e4 * base.mean(),
                    np.array([e.mean() / base.mean() for e in got]),
                    float((got[-1] / base).max()),
                )
    print(f"\n{which}\n")
    if wide:
        print("| family | surrogate | MSE | " + " | ".join(label for label, _ in rules) + " | alone |")
        print("|---|---|--:|" + "--:|" * (len(rules) + 1))
        for (family, name), (base, shares, alone) in found.items():
            cells = " | ".join(f"{share:.3f}" for share in shares)
            print(f"| {family} | {name} | {base:.3g} | {cells} | {alone:.2f} |")
        return
    print("| rule | geometric mean | worst | of | above |\n|---|--:|--:|---|--:|")
    where = list(found)
    for i, (label, _) in enumerate(rules):
        shares = np.array([found[one][1][i] for one in where])
        worst = int(shares.argmax())
        print(
            f"| {label} | {np.exp(np.log(shares).mean()):.4f} | {shares[worst]:.3f} | {' '.join(where[worst])} | "
            f"{int((shares > ALLOWED).sum())} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=FAMILIES)
    parser.add_argument("--functions", type=int, default=120)
    parser.add_argument("--candidates", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.out.mkdir(parents=True, exist_ok=True)
    made(asked.out, asked.families, asked.functions)
    if asked.candidates:
        table(asked.out, asked.families, "validation", list(candidates()), False)
        return
    for which in SETS:
        table(
            asked.out,
            asked.families,
            which,
            [("condition", Condition()), ("project", Project()), ("auto", Automatic())],
            True,
        )


if __name__ == "__main__":
    main()
