"""How a surrogate fares away from its own grid, and for longer: other resolutions, step by step, beyond the horizon."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound import scores
from lawbound.datasets import schema
from lawbound.datasets.config import configure
from lawbound.datasets.generate import solve_samples, told
from lawbound.datasets.layout import Layout
from lawbound.solvers import SolverError
from lawbound.surrogates.surrogate import Surrogate

Array = NDArray[np.float64]

#: An error is relative to the truth's norm at its time, and at least to this share of its root mean square over time.
FLOOR = 0.01


@final
@dataclass(frozen=True, eq=False)
class Stability:
    """A rollout beside the truth; arrays are (sample, t), the first time not among them, or (sample,).

    error: ‖mean − truth‖/‖truth‖, mean over fields. growth: factor by which it grows from one stored time to the next,
    the geometric mean. mass: ∫mean dx − b(t) of the first field, b that of the law where there is one, else the truth's.
    energy: ½∫|mean|² dx less the truth's, over the largest of the truth's. lasts: first time at which the error is above
    the threshold, infinite if it never is. horizon: the last time that the surrogate was trained on.
    """

    t: Array
    error: Array
    growth: Array
    mass: Array
    energy: Array
    lasts: Array
    threshold: float
    horizon: float

    def rows(self) -> list[dict[str, Any]]:
        """What a table shows: names, means over samples, standard errors; the share of samples that last."""
        named = {
            "error at the first step": self.error[:, 0],
            "error at the horizon": self.error[:, int(np.abs(self.t - self.horizon).argmin())],
            "error at the end": self.error[:, -1],
            "error growth per step": self.growth,
            "largest mass drift": np.abs(self.mass).max(1),
            "largest energy drift": np.abs(self.energy).max(1),
            f"share below {self.threshold:g} to the end": np.isinf(self.lasts).astype(np.float64),
        }
        ended = self.lasts[np.isfinite(self.lasts)]
        if ended.size:
            named[f"time above {self.threshold:g}, where it comes"] = ended
        return [
            {"name": name, "value": value, "stderr": error}
            for name, (value, error) in ((name, scores.mean_and_error(of)) for name, of in named.items())
        ]


def stability(surrogate: Surrogate, data: xr.Dataset, *, threshold: float = 0.5) -> Stability:
    """Error growth, drifts and how long a surrogate's prediction lasts, from the first state alone.

    `data` may go on for several times as long as the training data did, stored at the same steps: the surrogate then
    starts again from its own last state, t as at the beginning, walls as they are by then. Raises `ValueError` if the times are no
    whole number of horizons, and, beyond one, for surrogates that read points of every sample.
    """
    if not 0.0 < threshold < float("inf"):
        raise ValueError(f"threshold={threshold}; give a finite number above 0.")
    schema.require_finite(data)
    mean = rollout(surrogate, data)[:, 1:]
    layout = Layout.of(data, surrogate.origin.fields)
    truth, t = layout.state(data)[:, 1:], data[schema.TIME].values[1:].astype(np.float64)
    first = layout.part(layout.fields[0])
    weights = np.asarray(schema.weights(data), dtype=np.float64).ravel()
    rhs = schema.law_variable("conservation", "rhs")
    total = data[rhs].values[:, 1:].astype(np.float64) if rhs in data else truth[..., first] @ weights
    energy, of_truth = (
        sum(0.5 * values[..., layout.part(field)] ** 2 @ weights for field in layout.fields)
        for values in (mean, truth)
    )
    error = np.mean(
        [_relative(mean[..., part], truth[..., part]) for part in map(layout.part, layout.fields)], axis=0
    )
    above = error > threshold
    steps = max(1, error.shape[1] - 1)
    return Stability(
        t=t,
        error=error,
        growth=(error[:, -1] / np.maximum(error[:, 0], np.finfo(float).tiny)) ** (1.0 / steps),
        mass=mean[..., first] @ weights - total,
        energy=np.asarray((energy - of_truth) / np.max(of_truth, axis=1, keepdims=True)),
        lasts=np.where(above.any(1), t[above.argmax(1)], np.inf),
        threshold=threshold,
        horizon=surrogate.origin.grid[schema.TIME].last,
    )  # fmt: skip


def rollout(surrogate: Surrogate, data: xr.Dataset) -> Array:
    """The predicted states at all times of the data, (sample, t, n), as many horizons as these are long."""
    origin = surrogate.origin
    origin.refuse_others(data)
    horizons = _horizons(data, origin.grid[schema.TIME].last - origin.grid[schema.TIME].first)
    if horizons > 1 and not origin.inputs:
        raise ValueError(
            "This surrogate reads points of every sample at all of its times, so there is nothing for it to go on from; "
            "give data as long as those it was trained on."
        )
    layout = Layout.of(data, origin.fields)
    steps = (data.sizes[schema.TIME] - 1) // horizons
    span = (data[schema.TIME].values[-1] - data[schema.TIME].values[0]) / horizons
    found: list[Array] = []
    for k in range(horizons):
        part = data.isel({schema.TIME: slice(k * steps, (k + 1) * steps + 1)})
        if k:
            shifted = part[schema.TIME].copy(data=part[schema.TIME].values - k * span)
            part = _starting_from(part.assign_coords({schema.TIME: shifted}), layout, found[-1][:, -1])
        mean = surrogate.predict(part).mean.numpy()
        found.append(mean if k == 0 else mean[:, 1:])
    return np.concatenate(found, axis=1)


def resolutions(
    surrogate: Surrogate, data: xr.Dataset, nx: Sequence[int] | None = None
) -> Mapping[int, Array]:
    """Relative L2 of the same samples solved and predicted with other numbers of points, (sample,) for each of `nx`.

    Without `nx`: half, once and twice the points of the training data. All times but the first, mean over fields. Raises
    `ValueError` for data that no family of ours made.
    """
    points = surrogate.origin.grid[schema.X].points
    chosen = sorted({points // 2, points, 2 * points} if nx is None else set(nx))
    found = {}
    for n in chosen:
        again = solved_again(data, n)
        layout = Layout.of(again, surrogate.origin.fields)
        mean, truth = (
            values[:, 1:] for values in (surrogate.predict(again).mean.numpy(), layout.state(again))
        )
        of_fields = [
            scores.relative_l2(*(values[..., part].reshape(len(values), -1) for values in (mean, truth)))
            for part in map(layout.part, layout.fields)
        ]
        found[n] = np.mean(of_fields, axis=0)
    return found


def solved_again(data: xr.Dataset, nx: int) -> xr.Dataset:
    """The samples of a generated dataset, solved with another number of points stored."""
    made = json.loads(str(data.attrs["lawbound_config"]))
    try:
        family, config = configure(
            made["problem"], made["samples"], made["seed"], made["split"], nx, made["nt"], tuple(made["times"]),
            {name: tuple(span) for name, span in made["parameters"].items()}, made.get("data", "standard"),
        )  # fmt: skip
    except (KeyError, TypeError):
        raise ValueError(
            "These data were not made by `lawbound generate`, so they cannot be solved on other grids; give generated ones."
        ) from None
    numbers = [int(number) for number in data[schema.SAMPLE].values]
    if numbers and max(numbers) >= config.samples:
        raise ValueError(
            f"Sample {max(numbers)} is none of the {config.samples} of its design; give data as `lawbound generate` made them."
        )
    solved, failed = solve_samples(family, config, numbers)
    if failed or solved is None:
        raise SolverError(told(failed, len(numbers)))
    return solved


def _relative(mean: Array, truth: Array) -> Array:
    """‖mean − truth‖ / ‖truth‖ at each time, (sample, t)."""
    size = np.linalg.norm(truth, axis=-1)
    least = FLOOR * np.sqrt((size**2).mean(axis=1, keepdims=True))
    return np.asarray(np.linalg.norm(mean - truth, axis=-1) / np.maximum(size, least))


def _horizons(data: xr.Dataset, horizon: float) -> int:
    times = data[schema.TIME].values
    ratio = float(times[-1] - times[0]) / horizon
    count = max(1, round(ratio))
    if abs(ratio - count) > 1e-6 * count or (len(times) - 1) % count:
        raise ValueError(
            f"The data run over {times[-1] - times[0]:g} in {len(times) - 1} steps, {ratio:g} times the {horizon:g} that the surrogate was "
            "trained on; give a whole number of those, each in as many steps (--times, --nt)."
        )
    return count


def _starting_from(part: xr.Dataset, layout: Layout, state: Array) -> xr.Dataset:
    """The same data with another state at their first time, and nothing known of later ones."""
    dims, replaced = schema.field_dims(part), {}
    for field in layout.fields:
        values = np.zeros([part.sizes[dim] for dim in dims])
        values[:, 0] = state[:, layout.part(field)].reshape(len(state), *layout.shape)
        replaced[field] = part[field].transpose(*dims).copy(data=values)
    return part.assign(replaced)
