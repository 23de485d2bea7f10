"""Methods on a few samples at a time: predicted, constrained, timed, scored; and what figures need kept.

Memory does not grow with the number of samples but for a few numbers of each: fields are kept of three samples alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound import scores as formulas
from lawbound.constraints.applicability import require
from lawbound.constraints.conservation import Conservation
from lawbound.constraints.constraint import Constraint, Stack
from lawbound.constraints.enforcement import Enforced, enforce
from lawbound.datasets import schema
from lawbound.datasets.layout import Layout
from lawbound.evidence import CHANGES, NOMINAL, PIT_BINS, SHOWN, Array, Case, Evidence, Imposed, Push
from lawbound.front import front_position
from lawbound.outcomes import law_variable, outcome_of
from lawbound.probabilistic_scores import probability_transform
from lawbound.score import NotApplicable, Outcome, Pieces, Score
from lawbound.score_list import DEFAULTS
from lawbound.surrogates.prediction import Prediction

Predict = Callable[[xr.Dataset, NDArray[np.int64]], Prediction]
_ROWS = 6  # multipliers kept one by one, at most
_FRAMES = 24  # of a film, at most


@final
@dataclass(frozen=True, eq=False)
class Judged:
    """One method on a few samples; `missing` says why scores do not apply."""

    fields: tuple[str, ...]
    pieces: dict[Score, Pieces]
    missing: dict[str, str]
    error: Array  # (sample,), what samples are ranked by
    mass: Array
    fronts: Array | None
    coverage: Array
    pit: Array
    residuals: dict[str, Array]
    seconds: float
    push: Push | None


@final
@dataclass(frozen=True, eq=False)
class Picture:
    """Mean and standard deviation of the shown samples, (shown, x), and on planes the median one's film."""

    mean: Array
    std: Array
    film: Array | None


@final
@dataclass(frozen=True, eq=False)
class Task:
    """What is judged: held-out data, at which of its times, and how."""

    data: xr.Dataset
    at: NDArray[np.int64]
    now: int
    seed: int
    constraints: tuple[Imposed, ...]
    scores: Sequence[Score] | None
    laws: Mapping[str, Constraint]

    @cached_property
    def shown(self) -> xr.Dataset:
        """The data at the judged times."""
        return self.data.isel({schema.TIME: self.at})

    def judged(
        self, base: str, predict: Predict, samples: NDArray[np.int64], seed: int
    ) -> Iterator[tuple[str, Judged]]:
        """(label, what was found) for the surrogate as it is and under each constraint."""
        part = self.data.isel({schema.SAMPLE: samples})
        there = part.isel({schema.TIME: self.at})
        sets = {law: constraint.on(there) for law, constraint in self.laws.items()}

        def found(prediction: Prediction, seconds: float, enforced: Enforced | None) -> Judged:
            outcome = outcome_of(prediction, there, self.now, seed)
            pieces, missing = self._pieces(outcome)
            layout, means = prediction.layout, prediction.mean.numpy()
            mean, variance, truth = (outcome.flat(v) for v in (outcome.mean, outcome.variance, outcome.truth))
            pit = probability_transform(mean, variance, truth)
            return Judged(
                fields=layout.fields,
                pieces=pieces,
                missing=missing,
                error=formulas.mse(mean, truth),
                mass=means[..., layout.part(layout.fields[0])] @ outcome.weights.ravel(),
                fronts=_fronts(outcome),
                coverage=formulas.coverage(mean, variance, truth, NOMINAL),
                pit=np.stack([np.histogram(row, PIT_BINS, (0.0, 1.0))[0] / row.size for row in pit]),
                residuals={
                    law: np.abs(inside.residual(layout.pick(means, inside.layout.fields))).max(
                        axis=-1, initial=0.0
                    )
                    for law, inside in sets.items()
                    if set(inside.layout.fields) <= set(layout.fields)
                },
                seconds=seconds / samples.size,
                push=None if enforced is None else _push(free, enforced, self.now),
            )

        start = perf_counter()
        free = predict(part, self.at)
        spent = perf_counter() - start
        yield base, found(free, spent, None)
        for item in self.constraints:
            start = perf_counter()
            enforced = enforce(free, item.constraint, item.how)
            yield item.on(base), found(enforced.prediction, spent + perf_counter() - start, enforced)

    def _pieces(self, outcome: Outcome) -> tuple[dict[Score, Pieces], dict[str, str]]:
        pieces, missing = {}, {}
        for score in DEFAULTS if self.scores is None else self.scores:
            try:
                pieces[score] = score.pieces(outcome)
            except NotApplicable as reason:
                missing[score.name] = str(reason)
        return pieces, missing

    def pictures(
        self, predictors: Sequence[tuple[str, Predict]], samples: NDArray[np.int64], field: str
    ) -> dict[str, Picture]:
        """What is drawn of each method: a field of the few samples that are shown, once more."""
        part = self.data.isel({schema.SAMPLE: samples})
        drawn = {}
        for base, predict in predictors:
            free = predict(part, self.at)
            drawn[base] = self._picture(free, field)
            for item in self.constraints:
                lawful = enforce(free, item.constraint, item.how).prediction
                drawn[item.on(base)] = self._picture(lawful, field)
        return drawn

    def _picture(self, prediction: Prediction, field: str) -> Picture:
        layout = prediction.layout
        mean, std = prediction.mean.numpy(), prediction.std.numpy()
        return Picture(
            profile(layout, mean[:, self.now], field),
            profile(layout, std[:, self.now], field),
            film(layout, mean[middle(mean)], field),
        )

    def reference(self, name: str, samples: NDArray[np.int64], order: NDArray[np.int64], field: str) -> Case:
        """The stored solution of a case; `order` says which of its samples are shown, `field` of which field."""
        layout = Layout.of(self.data, (field,))
        there = self.shown.isel({schema.SAMPLE: samples})
        truth = layout.state(there)
        levels = schema.by_role(self.data, schema.FRONT_LEVEL)
        mass = truth @ schema.weights(self.data).ravel()
        rhs = law_variable(there, "conservation", "rhs")
        front = None
        if levels and len(layout.axes) == 1:
            front = front_position(truth[:, self.now], self.data[schema.X].values, there[levels[0]].values)
        floors = {law: law_variable(there, law, "residual") for law in self.laws}
        return Case(
            name=name,
            samples=samples,
            truth=profile(layout, truth[order, self.now]),
            mass=mass,
            rhs=mass if rhs is None else rhs,
            front=front,
            shown=order,
            residuals=self._own_residuals(there),
            floors={law: np.abs(values) for law, values in floors.items() if values is not None},
            tolerance=law_variable(there, "conservation", "tolerance"),
            film=film(layout, truth[order[middle(order)]], field),
            field=field,
        )

    def _own_residuals(self, there: xr.Dataset) -> dict[str, Array]:
        fields = tuple(schema.state_variables(there))
        layout, found = Layout.of(there, fields), {}
        stored = layout.state(there)
        for law, constraint in self.laws.items():
            if set(constraint.fields) <= set(fields):
                inside = constraint.on(there)
                gap = np.abs(inside.residual(layout.pick(stored, constraint.fields)))
                found[law] = gap.max(axis=-1, initial=0.0)
        return found


def laws_in(data: xr.Dataset, constraints: Sequence[Imposed]) -> dict[str, Constraint]:
    """The laws whose residual is followed over time: what is imposed, part by part, and conservation where it is known."""
    parts = [part for item in constraints for part in _parts(item.constraint)]
    if schema.law_variable("conservation", "rhs") in data:
        parts.insert(0, Conservation(schema.state_variables(data)[0], tolerance="exact"))
    laws: dict[str, Constraint] = {}
    for part in parts:
        laws.setdefault(part.name, part)
    return laws


def refuse_what_does_not_apply(data: xr.Dataset, constraints: Sequence[Imposed]) -> None:
    """Raise `ValueError`, naming every constraint that data or enforcement cannot carry, before any work is done."""
    one, wrong = data.isel({schema.SAMPLE: slice(1)}), []
    for item in constraints:
        try:
            require(item.constraint.on(one), item.how.name, f"`{item.constraint.name}`")
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        raise ValueError("\n".join(dict.fromkeys(wrong)))


def ranked(errors: Array) -> NDArray[np.int64]:
    """Which samples are shown: of the least, the median and the largest error, each once."""
    order = np.argsort(errors, kind="stable")
    chosen = [order[0], order[(len(order) - 1) // 2], order[-1]]
    return np.array(list(dict.fromkeys(int(i) for i in chosen)), dtype=np.int64)


def names_of_shown(count: int) -> tuple[str, ...]:
    """What `ranked` samples are called."""
    return {1: ("only",), 2: (SHOWN[0], SHOWN[2])}.get(count, SHOWN)


def middle(shown: Array | NDArray[np.int64]) -> int:
    """The place of the median sample among those shown."""
    return len(shown) // 2


def gathered(parts: Sequence[Judged], picture: Picture) -> Evidence:
    """All samples of a case."""
    sizes = [len(part.mass) for part in parts]
    pushes = [part.push for part in parts if part.push is not None]
    drawn = [part.fronts for part in parts if part.fronts is not None]
    return Evidence(
        mass=np.concatenate([part.mass for part in parts]),
        fronts=np.concatenate(drawn, axis=1) if drawn else None,
        coverage=np.concatenate([part.coverage for part in parts]).mean(axis=0),
        pit=np.concatenate([part.pit for part in parts]).mean(axis=0),
        residuals={
            law: np.concatenate([part.residuals[law] for part in parts]) for law in parts[0].residuals
        },
        seconds=float(np.average([part.seconds for part in parts], weights=sizes)),
        mean=picture.mean,
        std=picture.std,
        film=picture.film,
        push=Push(
            shift=np.average([push.shift for push in pushes], axis=0, weights=sizes),
            changes=np.concatenate([push.changes for push in pushes[:CHANGES]])[:CHANGES],
            labels=pushes[0].labels,
            multipliers=np.concatenate([push.multipliers for push in pushes]),
        )
        if pushes
        else None,
    )


def _push(free: Prediction, enforced: Enforced, now: int) -> Push:
    layout, lawful = free.layout, enforced.prediction
    change = profile(layout, (lawful.mean[:, now] - free.mean[:, now]).numpy())
    multipliers = enforced.report.multipliers
    labels = enforced.report.labels[: multipliers.shape[-1]]
    if multipliers.shape[-1] > _ROWS:
        labels = (f"largest of {multipliers.shape[-1]} rows",)
        multipliers = np.abs(multipliers).max(axis=-1, keepdims=True)
    return Push(change.mean(axis=0), change, labels, multipliers)


def _fronts(outcome: Outcome) -> Array | None:
    try:
        return outcome.fronts.drawn
    except NotApplicable:
        return None


def _parts(constraint: Constraint) -> tuple[Constraint, ...]:
    return constraint.parts if isinstance(constraint, Stack) else (constraint,)


def drawn_field(fields: Sequence[tuple[str, ...]]) -> str:
    """The field that is drawn of all methods: the first one that all of them predict, else the first one's first."""
    shared = [name for name in fields[0] if all(name in others for others in fields)]
    return (shared or list(fields[0]))[0]


def profile(layout: Layout, states: Array, field: str | None = None) -> Array:
    """What is drawn of states (sample, n): a field, the first if None, on a plane its middle line in x; (sample, x)."""
    first = _field(layout, states, field)
    return first if first.ndim == 2 else first[:, first.shape[1] // 2]


def film(layout: Layout, states: Array, field: str) -> Array | None:
    """A field of states (t, n) on a plane, (t, y, x), at most so many times; None on a line."""
    if len(layout.shape) == 1:
        return None
    first = _field(layout, states, field)
    kept = np.unique(np.linspace(0, len(first) - 1, min(_FRAMES, len(first))).round().astype(int))
    return np.asarray(first[kept])


def _field(layout: Layout, states: Array, field: str | None) -> Array:
    """(row, [y,] x) of states (row, n); NaN for a field that is not among them."""
    name = layout.fields[0] if field is None else field
    if name not in layout.fields:
        return np.full((len(states), *layout.shape), np.nan)
    return np.asarray(states[..., layout.part(name)].reshape(-1, *layout.shape))
