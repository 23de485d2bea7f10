"""Unconstrained, constrained and reference solutions side by side, judged against the solver that made the data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound import scores
from lawbound.arguments import apart
from lawbound.constraints.applicability import require, require_possible
from lawbound.constraints.conservation import Conservation
from lawbound.constraints.enforcement import Condition, Project, enforce, enforcement_class
from lawbound.datasets import schema
from lawbound.datasets.layout import Layout
from lawbound.datasets.split import members_of, of_split, splits_of
from lawbound.datasets.store import open as open_dataset
from lawbound.evidence import FRONT_SAMPLES, NOMINAL, Array, Case, Comparison, Evidence, Imposed, Row
from lawbound.front import front_position
from lawbound.pretrained import folder, load
from lawbound.reference import family_of, solver_scores
from lawbound.specs import label_of, made, stacked
from lawbound.surrogates.checkpoint import read_config
from lawbound.surrogates.operator_surrogate import FittedOperator
from lawbound.surrogates.prediction import Prediction
from lawbound.surrogates.surrogate import Surrogate
from lawbound.verdict import verdict

Predict = Callable[[xr.Dataset, NDArray[np.int64]], Prediction]

_CHUNK = 4  # samples judged at once: bounds memory
_FEW_VALUES = 4  # a parameter with at most so many values makes each of them a case


def compare(
    runs: Sequence[str | Path] | Mapping[str, Surrogate],
    data: xr.Dataset | str | Path,
    constraints: Sequence[str | Imposed] = ("conservation:project", "conservation:condition"),
    *,
    times: int = 11,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Comparison:
    """Judge surrogates, as they are and under each constraint, on the samples held out from training.

    runs: run folders (`pretrained:NAME` is one that comes with lawbound), or surrogates by name. constraints: `NAME` or `NAME:HOW`. times: how many of the stored
    times are judged, evenly spaced and the time of interest among them. Raises `ValueError` for runs trained
    on another problem and for data without what is needed.
    """
    dataset = data if isinstance(data, xr.Dataset) else open_dataset(data)
    schema.require(dataset, "The data to compare on")
    surrogates = dict(runs) if isinstance(runs, Mapping) else _loaded(runs)
    if not surrogates:
        raise ValueError("There is nothing to compare; give at least one run.")
    held_out = _held_out(dataset)
    schema.require_finite(held_out)
    for surrogate in surrogates.values():
        surrogate.origin.refuse_others(held_out)
    chosen = chosen_times(held_out, times)

    def predictor(surrogate: Surrogate) -> Predict:
        return lambda part, at: surrogate.predict(part, times=at)

    return judge(
        {label: predictor(surrogate) for label, surrogate in surrogates.items()},
        held_out,
        list({item.label: item for item in map(imposed, constraints)}.values()),
        table=f"compare/{held_out.attrs['lawbound_problem']}",
        chosen=chosen,
        seed=seed,
        on_progress=on_progress,
        inputs={
            label: fitted.learner.inside.inputs
            for label, fitted in surrogates.items()
            if isinstance(fitted, FittedOperator) and fitted.learner.inside is not None
        },
    )


def judge(
    predictors: Mapping[str, Predict],
    data: xr.Dataset,
    constraints: Sequence[Imposed],
    *,
    table: str,
    chosen: NDArray[np.int64] | None = None,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    inputs: Mapping[str, tuple[str, ...]] | None = None,
) -> Comparison:
    """The same, for anything that predicts; inputs: what each is told of the laws, by name."""
    at = np.arange(data.sizes[schema.TIME]) if chosen is None else chosen
    shown = data.isel({schema.TIME: at})
    now = int(np.abs(shown[schema.TIME].values - schema.time_of_interest(data)).argmin())
    cases = [_reference(data, shown, now, name, samples) for name, samples in _cases(data).items()]
    rows = [
        Row("solver", *row)
        for row in solver_scores(shown, now, [(case.name, case.samples) for case in cases])
    ]
    _require_applicable(data, constraints)
    evidence: dict[tuple[str, str], Evidence] = {}
    methods = ["solver"]
    used: dict[str, tuple[str, ...]] = {"solver": ()}
    total, done = len(predictors) * data.sizes[schema.SAMPLE], 0
    for base, predict in predictors.items():
        labels = [base, *(item.on(base) for item in constraints)]
        methods += labels
        told = () if inputs is None else inputs.get(base, ())
        used |= {
            base: told,
            **{item.on(base): tuple(dict.fromkeys((*told, *item.constraint.inputs))) for item in constraints},
        }
        for case in cases:
            collected: dict[str, list[_Judged]] = {label: [] for label in labels}
            for first in range(0, case.samples.size, _CHUNK):
                samples = case.samples[first : first + _CHUNK]
                part = data.isel({schema.SAMPLE: samples})
                free = predict(part, at)
                lawful = [
                    free,
                    *(enforce(free, item.constraint, item.how).prediction for item in constraints),
                ]
                for label, prediction in zip(labels, lawful, strict=True):
                    collected[label].append(
                        _judge(prediction, part.isel({schema.TIME: at}), now, seed + first)
                    )
                done += samples.size
                on_progress(done, total)
            for label in labels:
                scored, found = _gathered(collected[label], case)
                rows += [
                    Row(label, case.name, metric, *scores.mean_and_error(values))
                    for metric, values in scored.items()
                ]
                evidence[label, case.name] = found
    rhs = schema.law_variable("conservation", "rhs")
    result = Comparison(
        table=table,
        rows=tuple(rows),
        methods=tuple(methods),
        cases=tuple(cases),
        evidence=evidence,
        t=shown[schema.TIME].values,
        x=shown[schema.X].values,
        time_of_interest=float(shown[schema.TIME].values[now]),
        verdict="",
        inputs=used,
        rhs_source=str(data[rhs].attrs["lawbound_rhs_source"]) if rhs in data else "none",
        notes=_notes(data, cases),
    )
    return replace(result, verdict=verdict(result, list(predictors), constraints))


def _require_applicable(data: xr.Dataset, constraints: Sequence[Imposed]) -> None:
    """Refuse what does not go together before anything is predicted."""
    first = data.isel({schema.SAMPLE: slice(1)})
    for item in constraints:
        require(item.constraint.on(first), item.how.name, f"`{item.constraint.name}`")


def imposed(spec: str | Imposed) -> Imposed:
    """`NAME[&NAME…][:HOW]` as objects, each with options in brackets where it takes any.

    `conservation:project` and `conservation:condition` alone are HardC and ProbConserv as published. Raises
    `ValueError`, with suggestions, for unknown names and options.
    """
    if isinstance(spec, Imposed):
        return spec
    laws, *how = apart(spec, ":")
    if len(how) > 1:
        raise ValueError(f"{spec} names more than one enforcement; write NAME&NAME:HOW.")
    manner = how[0].strip() if how else "condition"
    if (laws, manner) in _PUBLISHED:
        return _PUBLISHED[laws, manner]
    chosen, constraint = made(manner, enforcement_class), stacked(laws)
    require_possible(constraint, chosen.name)
    return Imposed(constraint, chosen, laws if manner == "condition" else f"{laws}:{manner}")


# The variance stays as it was in HardC, and b is imposed through any quadrature as it is in both.
_PUBLISHED = {
    ("conservation", "project"): Imposed(
        Conservation(tolerance="exact"), Project(covariance="kept"), "hardc"
    ),
    ("conservation", "condition"): Imposed(Conservation(tolerance="exact"), Condition(), "probconserv"),
}


@dataclass(frozen=True, eq=False)
class _Judged:
    """One method on a few samples."""

    scores: dict[str, Array]
    mass: Array
    fronts: Array | None
    coverage: Array
    mean: Array
    std: Array


def _judge(prediction: Prediction, part: xr.Dataset, now: int, seed: int) -> _Judged:
    layout = prediction.layout
    truth = layout.state(part)[:, now]
    w, x = schema.weights(part).ravel(), part[schema.X].values
    means, variances = prediction.mean.numpy(), prediction.variance.numpy()
    first = layout.part(layout.fields[0])
    totals = means[..., first] @ w
    mean, variance = means[:, now], variances[:, now]
    covered = scores.coverage(mean, variance, truth, NOMINAL)
    found = {
        "mse": scores.mse(mean, truth),
        "rel_l2": scores.relative_l2(mean, truth),
        "ll": scores.log_likelihood(mean, variance, truth),
        "crps": scores.gaussian_crps(mean, variance, truth),
        "coverage95": covered[:, list(NOMINAL).index(0.95)],
    }
    rhs = schema.law_variable("conservation", "rhs")
    if rhs in part:
        found = {"ce": scores.conservation_error(mean[..., first], w, part[rhs].values[:, now]), **found}
    fronts = None
    levels = schema.by_role(part, schema.FRONT_LEVEL)
    if levels and len(layout.axes) == 1:
        level = part[levels[0]].values
        truth_front = front_position(truth, x, level)
        fields = prediction.sample(FRONT_SAMPLES, seed=seed)[:, :, now].numpy()
        fronts = front_position(fields, x, level)
        found["front_mean"] = fronts.mean(axis=0)
        found["front_bias"] = fronts.mean(axis=0) - truth_front
        found["front_sd"] = fronts.std(axis=0, ddof=1)
        found["front_rmse"] = np.sqrt(((fronts - truth_front) ** 2).mean(axis=0))
        found["front_crps"] = scores.ensemble_crps(fronts, truth_front)
    return _Judged(
        found, totals, fronts, covered, _profile(layout, mean), _profile(layout, np.sqrt(variance))
    )


def _profile(layout: Layout, states: Array) -> Array:
    """What is drawn of states (sample, n): the first field, on a plane its middle line in x; (sample, x)."""
    first = states[..., layout.part(layout.fields[0])].reshape(-1, *layout.shape)
    return first if first.ndim == 2 else first[:, first.shape[1] // 2]


def _gathered(parts: Sequence[_Judged], case: Case) -> tuple[dict[str, Array], Evidence]:
    scored = {metric: np.concatenate([part.scores[metric] for part in parts]) for metric in parts[0].scores}
    fronts = (
        None
        if parts[0].fronts is None
        else np.concatenate([part.fronts for part in parts if part.fronts is not None], axis=1)
    )
    return scored, Evidence(
        mass=np.concatenate([part.mass for part in parts]),
        fronts=fronts,
        coverage=np.concatenate([part.coverage for part in parts]).mean(axis=0),
        mean=parts[0].mean[0],
        std=parts[0].std[0],
    )


def _reference(data: xr.Dataset, shown: xr.Dataset, now: int, name: str, samples: NDArray[np.int64]) -> Case:
    layout = Layout.of(data, schema.state_variables(data)[:1])
    truth = layout.state(shown.isel({schema.SAMPLE: samples}))
    rhs_name = schema.law_variable("conservation", "rhs")
    levels = schema.by_role(data, schema.FRONT_LEVEL)
    mass = truth @ schema.weights(data).ravel()
    front = (
        front_position(truth[:, now], data[schema.X].values, data[levels[0]].values[samples])
        if levels and len(layout.axes) == 1
        else None
    )
    return Case(
        name=name,
        samples=samples,
        truth=_profile(layout, truth[:1, now])[0],
        mass=mass,
        rhs=shown[rhs_name].values[samples] if rhs_name in data else mass,
        front=front,
    )


def _cases(data: xr.Dataset) -> dict[str, NDArray[np.int64]]:
    """Split by the parameter where a split uses a handful of values of it, else by the split's name."""
    found: dict[str, NDArray[np.int64]] = {}
    parameters = schema.by_role(data, schema.PARAMETER)
    present = splits_of(data)
    for split in present:
        members = members_of(data, split)
        values = data[parameters[0]].values[members] if len(parameters) == 1 else np.arange(members.size)
        distinct = np.unique(values)
        few = distinct.size <= _FEW_VALUES and (distinct.size < members.size or members.size == 1)
        if len(parameters) != 1 or not few:
            found[split] = members
            continue
        for value in distinct:
            name = f"{parameters[0]}={value:.12g}"
            found[name if len(present) == 1 else f"{split}, {name}"] = members[values == value]
    return found


def _held_out(data: xr.Dataset) -> xr.Dataset:
    """Everything that no surrogate was trained or chosen on."""
    present = splits_of(data)
    if present == ["all"]:
        return data
    kept = [name for name in present if name not in ("train", "valid")]
    if not kept:
        raise ValueError(
            f"The data have samples of {', '.join(present)} only, which surrogates are trained and chosen on; "
            "compare on held-out ones (generate with --split test)."
        )
    numbers = np.concatenate([of_split(data, name)[schema.SAMPLE].values for name in kept])
    return data.isel({schema.SAMPLE: np.isin(data[schema.SAMPLE].values, numbers)})


def chosen_times(data: xr.Dataset, count: int) -> NDArray[np.int64]:
    """Indices of `count` evenly spaced stored times and of the time of interest."""
    if count < 1:
        raise ValueError(f"times={count}; judge at least one of the stored times.")
    nt = data.sizes[schema.TIME]
    spaced = np.linspace(0, nt - 1, min(count, nt)).round().astype(np.int64)
    now = int(np.abs(data[schema.TIME].values - schema.time_of_interest(data)).argmin())
    return np.unique(np.append(spaced if count > 1 else [], now)).astype(np.int64)


def _loaded(runs: Sequence[str | Path]) -> dict[str, Surrogate]:
    """Surrogates by name; by folder where a name is taken."""
    found: dict[str, Surrogate] = {}
    for run in runs:
        where = folder(run)
        config = read_config(where)
        name = "+".join((config.surrogate, *map(label_of, config.constraints)))
        label = name if name not in found else where.name
        if label in found:
            raise ValueError(f"Two runs would both be called `{label}`; rename the folder of one.")
        found[label] = load(run)
    return found


def _notes(data: xr.Dataset, cases: Sequence[Case]) -> tuple[str, ...]:
    notes = ["solver row: against the closed form; all others: against the solver"] if family_of(data) else []
    if any("=" in case.name and case.samples.size > 1 for case in cases):
        notes.append(
            "samples of one parameter value share one truth: their standard error is a spread over context layouts, not over problems"
        )
    return tuple(notes)
