"""The first row of every table: the solver itself, judged by the closed form where there is one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.datasets import schema
from lawbound.datasets.family import Family
from lawbound.datasets.plugins import UnknownName, find
from lawbound.front import front_position
from lawbound.score import NotApplicable, Outcome, Score, over_samples
from lawbound.score_list import CE, DEFAULTS, FRONT_BIAS, FRONT_RMSE
from lawbound.scores import mean_and_error
from lawbound.solvers import cell_averages

Array = NDArray[np.float64]

#: The name of the first row.
SOLVER = "solver"
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
    data: xr.Dataset,
    now: int,
    cases: Mapping[str, NDArray[np.int64]],
    *,
    scores: Sequence[Score] | None = None,
) -> list[tuple[str, str, float, float | None, None, str | None]]:
    """(case, metric, value, standard error, None, source) of the stored reference at time index `now`.

    scores: those that were asked for; the usual ones if None.
    """
    wanted = DEFAULTS if scores is None else tuple(scores)
    # Closed forms are of the first field on a line.
    family = family_of(data) if len(schema.axes(data)) == 1 else None
    rows: list[tuple[str, str, float, float | None, None, str | None]] = []
    for name, samples in cases.items():
        there = data.isel({schema.SAMPLE: samples})
        exact = None if family is None else _Exact.of(family, there, now)
        for score in wanted:
            found = _own(score, there, now, exact)
            if found is None:
                continue
            pieces, source = found
            value, error = (
                mean_and_error(pieces)
                if score.combine is over_samples
                else (float(score.combine(pieces)), None)
            )
            rows.append((name, score.name, value, error, None, source))
    return rows


@final
@dataclass(frozen=True, eq=False)
class _Exact:
    """The closed form at one time: profiles (sample, x), and fronts (sample,) where the data name a level."""

    profiles: Array
    stored: Array
    fronts: tuple[Array, Array] | None  # the stored solution's, the closed form's

    @classmethod
    def of(cls, family: Family, data: xr.Dataset, now: int) -> "_Exact":
        """Of the samples in `data`."""
        assert family.exact is not None  # `family_of` has looked
        time, x = float(data[schema.TIME].values[now]), data[schema.X].values
        values = np.stack([data[name].values for name in family.parameters], axis=1)
        seeds = data["seed"].values.tolist() if "seed" in data else [0] * len(values)
        solutions = [
            family.exact(family.of(*row, seed=seed)) for row, seed in zip(values.tolist(), seeds, strict=True)
        ]
        if f"{schema.X}_bounds" in data:
            bounds = data[f"{schema.X}_bounds"].values
            faces = np.append(bounds[:, 0], bounds[-1, 1])
            profiles = np.stack([cell_averages(solution, time, faces) for solution in solutions])
        else:
            profiles = np.stack([solution(time, x) for solution in solutions])
        stored = data[schema.state_variables(data)[0]].values[:, now].astype(np.float64)
        levels = schema.by_role(data, schema.FRONT_LEVEL)
        fronts = None
        if levels:
            true_front = np.array([solution.front(time) for solution in solutions], dtype=np.float64)
            fronts = front_position(stored, x, data[levels[0]].values), true_front
        return cls(profiles, stored, fronts)


def _own(score: Score, data: xr.Dataset, now: int, exact: _Exact | None) -> tuple[Array, str | None] | None:
    """The pieces of the solver's own row, and what they are against; None where it has none."""
    if score is CE:
        residual = schema.law_variable("conservation", "residual")
        if residual not in data:
            return None
        # The solver's own, taken in double precision before the fields were stored.
        source = data[schema.law_variable("conservation", "rhs")].attrs["lawbound_rhs_source"]
        return np.asarray(data[residual].values[:, now]), str(source)
    if score.own is not None:
        try:
            return score.own(data, now), "the solver's own"
        except NotApplicable:
            return None
    if exact is None:
        return None
    if score.closed_form:
        nothing = np.zeros_like(exact.stored)[:, None]
        outcome = Outcome(
            mean=exact.stored[:, None],
            variance=nothing,
            truth=exact.profiles[:, None],
            means=exact.stored[:, None, None],
            fields=(schema.state_variables(data)[0],),
            data=data,
            now=now,
            draw=lambda count: np.repeat(exact.stored[None, :, None], count, axis=0),
            log_density=lambda: nothing[:, 0, 0],
        )
        return score.pieces(outcome), _CLOSED_FORM
    if exact.fronts is not None and score in (FRONT_BIAS, FRONT_RMSE):
        gap = exact.fronts[0] - exact.fronts[1]
        return (gap if score is FRONT_BIAS else np.abs(gap)), _CLOSED_FORM
    return None
