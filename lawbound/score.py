"""What a score is: what it sees of a prediction, what it makes of each sample, and how samples become one number."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.datasets import schema
from lawbound.front import Fronts

Array = NDArray[np.float64]
#: What a score keeps of samples: numbers of any kind, the sample first.
Pieces = NDArray[Any]


class NotApplicable(ValueError):
    """A score that has no meaning for these data; the message says what is missing."""


@final
@dataclass(frozen=True)
class Metric:
    """What a column shows. `aim` is where its best value lies, None where there is no such thing."""

    key: str
    label: str
    group: Literal["mean", "spread", "front", "law", "other"]
    aim: Literal["low", "high"] | float | None
    meaning: str

    @property
    def arrow(self) -> str:
        """Which way is better."""
        if self.aim is None or isinstance(self.aim, str):
            return {"low": "↓", "high": "↑", None: ""}[self.aim]
        return f"→{self.aim:g}"

    def regret(self, value: float) -> float:
        """How far from best, up to a constant; infinite where nothing is best."""
        if self.aim is None or not np.isfinite(value):
            return float("inf")
        if isinstance(self.aim, str):
            return value if self.aim == "low" else -value
        return abs(value - self.aim)


@final
@dataclass(frozen=True, eq=False)
class Outcome:
    """What a score sees: one method on a few samples, as NumPy arrays, float64.

    mean, variance, truth: at the time of interest, (sample, field, [y,] x). means: the mean at all judged times,
    (sample, t, field, [y,] x). data: the samples at those times, with weights, walls, laws and parameters; `now` is
    the index of the time of interest. draw: so many joint samples, (member, sample, field, [y,] x).
    log_density: per sample, joint over the judged times and per degree of freedom, (sample,); raises
    `NotApplicable` where a prediction has none.
    """

    mean: Array
    variance: Array
    truth: Array
    means: Array
    fields: tuple[str, ...]
    data: xr.Dataset
    now: int
    draw: Callable[[int], Array]
    log_density: Callable[[], Array]
    members: int = 100

    @property
    def weights(self) -> Array:
        """Quadrature weights in space, ([y,] x)."""
        return np.asarray(schema.weights(self.data))

    @cached_property
    def ensemble(self) -> Array:
        """`members` joint samples, drawn once for all scores, (member, sample, field, [y,] x)."""
        return self.draw(self.members)

    @cached_property
    def fronts(self) -> Fronts:
        """Where the first field's front is; raises `NotApplicable` for data without a front's level, and on planes."""
        return self.fronts_by("half-jump")

    def fronts_by(self, rule: str) -> Fronts:
        """The same by a rule of `front.RULES`."""
        levels = schema.by_role(self.data, schema.FRONT_LEVEL)
        if not levels or len(schema.axes(self.data)) != 1:
            raise NotApplicable("the data name no level of a front on a line")
        x, level = self.data[schema.X].values, self.data[levels[0]].values
        return Fronts.of(self.ensemble[:, :, 0], self.mean[:, 0], self.truth[:, 0], x, level, rule=rule)

    def flat(self, values: Array) -> Array:
        """(…, field, [y,] x) as (…, n), the fields one after the other."""
        return values.reshape(*values.shape[: values.ndim - self.mean.ndim + 1], -1)


def over_samples(pieces: Pieces) -> Array:
    """The mean over samples, (sample,)."""
    return np.asarray(pieces.mean(axis=0))


@final
@dataclass(frozen=True)
class Score:
    """A number for each method: `pieces` of every sample, (sample, …), and `combine`, which makes one number of them.

    Where `combine` is the mean, pieces are (sample,). `pieces` raises `NotApplicable` for data that lack what it reads.
    The solver's own row: closed_form for scores of a mean against a truth, which is then the closed form; `own` for
    laws, which need no truth, the pieces of the stored solution itself, given the data and the index of the time.
    """

    metric: Metric
    pieces: Callable[[Outcome], Pieces]
    combine: Callable[[Pieces], Array] = over_samples
    closed_form: bool = False
    own: Callable[[xr.Dataset, int], Pieces] | None = None

    @property
    def name(self) -> str:
        """As on the command line and in files."""
        return self.metric.key
