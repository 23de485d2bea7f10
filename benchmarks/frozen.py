"""Constraint rules on predictions that are frozen: over all stored times, which is less of a lottery than one time.

    python benchmarks/frozen.py FILE.nc … [--candidates]     # predictions by benchmarks/anp_predictions.py
    python benchmarks/frozen.py FOLDER                        # pme.nc and stefan.nc, groups `dense` and `full`

FOLDER is what tools/convert_frozen.py reads: outputs of the released networks at more times than the wheel carries. Moments
are pooled over draws. Rules are those of `lawbound.reproduce.RULES`; `--candidates` tries what they were chosen among.
Printed: MSE × 1e-4 and CRPS × 1e-3 over all times after the first, front RMSE and CRPS × 1e-3, log-likelihood, and the
largest ratio of a parameter bin's MSE to that of the prediction as it was (bins: parameter values, or sixths of the samples by
parameter).
"""

import argparse
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from lawbound import probabilistic_scores, scores
from lawbound.constraints.automatic import Automatic
from lawbound.constraints.bounds import Bounds
from lawbound.constraints.displacement import Displace
from lawbound.constraints.enforcement import Condition, Project, enforce
from lawbound.constraints.shape import Monotone, TwoPhase
from lawbound.datasets import schema
from lawbound.datasets.arrays import from_arrays
from lawbound.evidence import Imposed
from lawbound.front import front_position
from lawbound.reproduce import FALLING, MASS, rules
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.prediction import Prediction, from_moments

DOMAIN = {"stefan": "u_star", "pme": "m"}
SAMPLES = 50  # joint ones, for the front


def candidates(problem: str) -> list[Imposed]:
    """What the rules were chosen among."""
    top = 1.0 if problem == "stefan" else np.inf
    shaped = MASS & FALLING & Bounds(0.0, top)
    found = [
        Imposed(law, Condition(power=p) if p else Project(), f"{name} p={p}")
        for law, name in ((MASS, "mass"), (shaped, "mass, falling, bounded"))
        for p in (1.0, 0.75, 0.5, 0.25, 0.0)
    ]
    found += [
        Imposed(law, Displace(how, otherwise="nearest"), f"{name}, {how}")  # type: ignore[arg-type]
        for law, name in ((MASS, "mass"), (shaped, "mass, falling, bounded"))
        for how in ("stretch", "shift")
    ]
    found += [
        Imposed(law, Automatic(unsure=unsure, surprised=z), f"{name}, auto, unsure={unsure}, surprised={z}")
        for law, name in ((MASS, "mass"), (shaped, "mass, falling, bounded"))
        for unsure in (0.15, 0.2, 0.25)
        for z in (2.5, 3.5, 5.0, np.inf)
    ]
    if problem == "stefan":
        two = MASS & Monotone("falling") & TwoPhase("u_star", 0.0, 1.0, mixed_cell=True)
        depths: tuple[float | tuple[float, float], ...] = (
            0.25,
            0.5,
            0.75,
            1.0,
            (0.25, 0.75),
            (0.5, 1.0),
            (0.0, 1.0),
        )
        found += [
            Imposed(
                two, Displace(otherwise="nearest", down_to=depth, mean=mean), f"two phases {depth} {mean}"
            )  # type: ignore[arg-type]
            for depth in depths
            for mean in ("moved", "expected")
        ]
    return found


def pooled(data: xr.Dataset) -> Prediction:
    """The prediction's moments over all draws, as one Gaussian with independent points."""
    drawn = from_moments(data)
    return Prediction(drawn.mean[None], Diagonal(drawn.variance[None]), drawn.inputs)


def judged(prediction: Prediction, data: xr.Dataset) -> dict[str, np.ndarray]:
    """Scores for each sample and time, (sample, t)."""
    truth = data["u"].values.astype(np.float64)
    mean, variance = prediction.mean.numpy(), prediction.variance.numpy()
    times = range(truth.shape[1])

    def over(score) -> np.ndarray:  # type: ignore[no-untyped-def]
        return np.stack([score(mean[:, t], variance[:, t], truth[:, t]) for t in times], axis=1)

    found = {
        "mse": ((mean - truth) ** 2).mean(-1),
        "crps": over(scores.gaussian_crps),
        "ll": over(scores.log_likelihood),
    }
    levels = schema.by_role(data, schema.FRONT_LEVEL)
    if levels:
        level, x = data[levels[0]].values[:, None], data[schema.X].values
        there = front_position(truth, x, level)
        fronts = front_position(prediction.sample(SAMPLES).numpy(), x, level[None])
        found["front_rmse"] = np.sqrt(((fronts - there) ** 2).mean(0))
        found["front_bias"] = fronts.mean(0) - there
        crps = probabilistic_scores.ensemble_crps(fronts.reshape(SAMPLES, -1), there.ravel())
        found["front_crps"] = crps.reshape(there.shape)
    return found


def table(name: str, data: xr.Dataset, imposed: Sequence[Imposed]) -> None:
    """Print one table."""
    (parameter,) = schema.by_role(data, schema.PARAMETER)
    values = data[parameter].values
    free = pooled(data)
    base = judged(free, data)
    order = np.argsort(values, kind="stable")
    bins = (
        [np.flatnonzero(values == v) for v in np.unique(values)]
        if np.unique(values).size <= 6
        else np.array_split(order, 6)
    )
    few = len(bins) <= 3
    print(f"\n{name}: {values.size} samples, {data.sizes[schema.TIME]} times\n", flush=True)
    columns = ["MSE", *([f"{parameter}={values[b[0]]:.3g}" for b in bins] if few else []), "CRPS", "LL"]
    columns += ["front RMSE", "front bias", "front CRPS"] if "front_rmse" in base else []
    print("| rule | " + " | ".join(columns) + " | worst bin |")
    print("|---|" + "--:|" * (len(columns) + 1))
    for item in (None, *imposed):
        got = base if item is None else judged(enforce(free, item.constraint, item.how).prediction, data)
        cells = [f"{1e4 * got['mse'].mean():.3g}"]
        cells += [f"{1e4 * got['mse'][b].mean():.3g}" for b in bins] if few else []
        cells += [f"{1e3 * got['crps'].mean():.3g}", f"{got['ll'].mean():.2f}"]
        cells += [
            f"{1e3 * got[k].mean():.3g}" for k in ("front_rmse", "front_bias", "front_crps") if k in got
        ]
        worst = max(float(got["mse"][b].mean() / base["mse"][b].mean()) for b in bins)
        print(
            f"| {'none' if item is None else item.label} | " + " | ".join(cells) + f" | {worst:.3g} |",
            flush=True,
        )


def groups(folder: Path) -> Iterator[tuple[str, str, xr.Dataset]]:
    """(problem, name, data) of the released networks' outputs at many times."""
    for problem, parameter in DOMAIN.items():
        for group in ("dense", "full"):
            stored = xr.open_dataset(folder / f"{problem}.nc", group=group)
            # At the start there is nothing to say: the initial state is known.
            stored = stored.isel(time=slice(1, None))
            values = np.round(stored[parameter].values.astype(np.float64), 6)
            data = from_arrays(
                stored.true_solution.values, t=stored.time.values, x=np.linspace(0.0, 1.0, stored.sizes["x"]),
                mass=stored.mass.values, mass_source="analytic", parameters={parameter: values}, problem=problem,
            )  # fmt: skip
            if problem == "stefan":
                described = {"long_name": "half the jump", "units": "1", schema.ROLE: schema.FRONT_LEVEL}
                data["front_level"] = ((schema.SAMPLE,), 0.5 * values, described)
            common = {
                "units": "1",
                schema.ROLE: schema.PREDICTION,
                "lawbound_predicts": "u",
                "long_name": "moment",
            }
            yield (
                problem,
                f"{problem}, {group}",
                data.assign(
                    pred_u_mean=(schema.FIELD_DIMS, stored.blackbox_mean.values, common),
                    pred_u_std=(schema.FIELD_DIMS, stored.blackbox_std.values, common),
                ),
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--candidates", action="store_true")
    parser.add_argument("--every", type=int, default=1, help="take every so many samples")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    for path in asked.paths:
        if path.is_dir():
            for problem, name, data in groups(path):
                table(name, data, rules(problem))
            continue
        data = xr.load_dataset(path)
        problem = str(data.attrs["lawbound_problem"])
        data = data.isel({schema.TIME: slice(1, None), schema.SAMPLE: slice(None, None, asked.every)})
        table(path.stem, data, candidates(problem) if asked.candidates else rules(problem))


if __name__ == "__main__":
    main()
