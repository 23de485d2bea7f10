"""The first row of every table: the solver itself, judged by the closed form where there is one."""

import json
from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound import scores
from lawbound.datasets import schema
from lawbound.datasets.family import Family
from lawbound.datasets.plugins import UnknownName, find
from lawbound.front import front_position
from lawbound.solvers import cell_averages

_CLOSED_FORM = "against the closed form"


def family_of(data: xr.Dataset) -> Family | None:
    """The family of the dataset's problem, if it is installed, has a closed form, and the data are of that."""
    try:
        family = find("problems", str(data.attrs["lawbound_problem"]))
    except UnknownName:
        return None
    if not isinstance(family, Family) or family.exact is None or not set(family.parameters) <= set(data):
        return None
    config = json.loads(str(data.attrs["lawbound_config"]))
    return None if config.get("data") == "random" else family


def solver_scores(
    data: xr.Dataset, now: int, cases: Sequence[tuple[str, NDArray[np.int64]]]
) -> list[tuple[str, str, float, float | None, None, str | None]]:
    """(case, metric, value, standard error, None, source) of the stored reference at time index `now`."""
    state = schema.state_variables(data)[0]
    residual, rhs = (schema.law_variable("conservation", what) for what in ("residual", "rhs"))
    rows: list[tuple[str, str, float, float | None, None, str | None]] = []
    # Closed forms are of the first field on a line.
    family = family_of(data) if len(schema.axes(data)) == 1 else None
    for name, samples in cases:
        truth = data[state].values[samples, now].astype(np.float64)
        found: dict[str, NDArray[np.float64]] = {}
        if residual in data:
            # The solver's own, taken in double precision before the fields were stored.
            rows.append(
                (
                    name,
                    "ce",
                    *scores.mean_and_error(data[residual].values[samples, now]),
                    None,
                    data[rhs].attrs["lawbound_rhs_source"],
                )
            )
        if family is not None:
            found |= _against(family, data, truth, samples, float(data[schema.TIME].values[now]))
        rows += [
            (name, metric, *scores.mean_and_error(values), None, _CLOSED_FORM)
            for metric, values in found.items()
        ]
    return rows


def _against(
    family: Family,
    data: xr.Dataset,
    truth: NDArray[np.float64],
    samples: NDArray[np.int64],
    time: float,
) -> dict[str, NDArray[np.float64]]:
    assert family.exact is not None  # `family_of` has looked
    values = np.stack([data[name].values[samples] for name in family.parameters], axis=1)
    x = data[schema.X].values
    seeds = data["seed"].values[samples].tolist() if "seed" in data else [0] * samples.size
    solutions = [
        family.exact(family.of(*row, seed=seed)) for row, seed in zip(values.tolist(), seeds, strict=True)
    ]
    if f"{schema.X}_bounds" in data:
        bounds = data[f"{schema.X}_bounds"].values
        faces = np.append(bounds[:, 0], bounds[-1, 1])
        profiles = np.stack([cell_averages(solution, time, faces) for solution in solutions])
    else:
        profiles = np.stack([solution(time, x) for solution in solutions])
    found = {"mse": scores.mse(truth, profiles), "rel_l2": scores.relative_l2(truth, profiles)}
    levels = schema.by_role(data, schema.FRONT_LEVEL)
    if levels:
        true_front = np.array([solution.front(time) for solution in solutions], dtype=np.float64)
        gap = front_position(truth, x, data[levels[0]].values[samples]) - true_front
        found |= {"front_bias": gap, "front_rmse": np.abs(gap)}
    return found
