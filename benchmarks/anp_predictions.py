"""Predictions of a trained ANP on functions that nothing was trained or chosen on, to choose constraints by and to score them.

    python benchmarks/anp_predictions.py RUN --out FOLDER --sets validation test

`validation` and `validation-shift` are for choosing, `test` and `test-shift` for scoring once; the ranges of the shifts do
not overlap. A file RUN-SET-dropout-on.nc holds the dataset at the chosen times (truth, weights, walls, laws)
with `pred_u_mean` and `pred_u_std`, (realization, sample, t, x), a realization for each draw.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

import lawbound as lb
from lawbound.comparison import chosen_times
from lawbound.datasets import schema
from lawbound.datasets.split import concatenated
from lawbound.datasets.store import write
from lawbound.surrogates.neural_process import FittedNeuralProcess
from lawbound.surrogates.prediction import Prediction

#: Parameter, and the ranges out of training's for choosing and for scoring.
SHIFTS = {
    "stefan": (
        "u_star",
        {"validation-shift": [(0.45, 0.5), (0.75, 0.8)], "test-shift": [(0.5, 0.55), (0.7, 0.75)]},
    ),
    "pme": ("m", {"validation-shift": [(7.0, 8.0)], "test-shift": [(6.0, 7.0)]}),
}

#: The numbers that samples bear (they decide the context points) start here, those of training at 0.
FIRST = {"validation": 1_000_000, "test": 3_000_000, "validation-shift": 4_000_000, "test-shift": 5_000_000}

USED = 100  # validation functions that chose the weights


def functions(problem: str, name: str, count: int) -> xr.Dataset:
    """The functions of a set; those of `validation` come after the ones that chose the weights."""
    if name == "validation":
        data = lb.generate(problem, USED + count, split="valid").isel({schema.SAMPLE: slice(USED, None)})
    elif name == "test":
        data = lb.generate(problem, count, split="in-range")
    else:
        parameter, ranges = SHIFTS[problem]
        each = -(-count // len(ranges[name]))
        # The seed keeps the shifts apart from one another and from `test`.
        parts = [
            lb.generate(problem, each, split="in-range", seed=FIRST[name] + i, parameters={parameter: span})
            for i, span in enumerate(ranges[name])
        ]
        data = concatenated([_numbered(part, i * each) for i, part in enumerate(parts)])
    return _numbered(data, FIRST[name])


def _numbered(data: xr.Dataset, first: int) -> xr.Dataset:
    return data.assign_coords(sample=data.sample.copy(data=data.sample.values + first))


def rounded(values: np.ndarray) -> np.ndarray:
    """Float32 to 17 significant bits, 4e-6 of a value: half the bytes once compressed."""
    bits = values.astype(np.float32).view(np.int32)
    answer: np.ndarray = ((bits + 0x40) & ~0x7F).view(np.float32)
    return answer


def moments(prediction: Prediction, comment: str) -> xr.Dataset:
    """The inputs with the moments of each draw."""
    dims = (schema.REALIZATION, *schema.FIELD_DIMS)
    common = {"units": "1", schema.ROLE: schema.PREDICTION, "lawbound_predicts": "u"}
    std = prediction.covariance.variance().sqrt()
    return prediction.inputs.assign(
        pred_u_mean=(
            dims, rounded(prediction.means.numpy()),
            {**common, "long_name": "predictive mean of u", "ancillary_variables": "pred_u_std"},
        ),
        pred_u_std=(
            dims, rounded(std.numpy()),
            {**common, "long_name": "predictive standard deviation of u"},
        ),
    ).assign_attrs(comment=comment)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=["validation", "test"], choices=list(FIRST))
    parser.add_argument("--dropout", nargs="+", default=["on", "off"], choices=["on", "off"])
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    fitted = lb.load(asked.run)
    assert isinstance(fitted, FittedNeuralProcess)
    for name in asked.sets:
        data = functions(fitted.origin.problem, name, asked.count)
        times = chosen_times(data, 11)
        for dropout in asked.dropout:
            path = asked.out / f"{asked.run.name}-{name}-dropout-{dropout}.nc"
            if path.exists():
                continue
            began = time.perf_counter()
            learner = replace(fitted.learner, draws=asked.draws, dropout_at_prediction=dropout == "on")
            judged = FittedNeuralProcess(learner, fitted.network.to(asked.device), fitted.origin)
            # A dozen samples at a time: bounds memory.
            parts = [
                moments(judged.predict(data.isel({schema.SAMPLE: slice(i, i + 12)}), times=times), f"{name}, dropout {dropout}")
                for i in range(0, data.sizes[schema.SAMPLE], 12)
            ]  # fmt: skip
            write(xr.concat(parts, schema.SAMPLE, data_vars="minimal", coords="minimal", compat="equals",
                            join="exact", combine_attrs="override"), path)  # fmt: skip
            print(f"{path.name}: {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
