"""Unconstrained, constrained and reference solutions side by side, judged against the solver that made the data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound import bootstrap
from lawbound.datasets import schema
from lawbound.datasets.costs import CORE_SECONDS
from lawbound.datasets.plugins import find
from lawbound.datasets.store import open as open_dataset
from lawbound.evidence import Case, Comparison, Imposed, Row
from lawbound.imposing import imposed
from lawbound.judging import (
    Judged,
    Predict,
    Task,
    drawn_field,
    gathered,
    laws_in,
    ranked,
    refuse_what_does_not_apply,
)
from lawbound.pretrained import folder, load
from lawbound.reference import SOLVER, family_of, solver_scores
from lawbound.score import Score, over_samples
from lawbound.scores import mean_and_error
from lawbound.selection import cases_of, chosen_times, held_out_of
from lawbound.specs import label_of
from lawbound.surrogates.checkpoint import MODEL, read_config
from lawbound.surrogates.operator_surrogate import FittedOperator
from lawbound.surrogates.surrogate import Surrogate
from lawbound.verdict import verdict

__all__ = ["chosen_times", "compare", "imposed", "judge"]

_CHUNK = 4  # samples judged at once: bounds memory


def compare(
    runs: Sequence[str | Path] | Mapping[str, Surrogate],
    data: xr.Dataset | str | Path,
    constraints: Sequence[str | Imposed] = ("conservation:project", "conservation:condition"),
    *,
    times: int = 11,
    seed: int = 0,
    scores: Sequence[str | Score] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Comparison:
    """Judge surrogates, as they are and under each constraint, on the samples held out from training.

    runs: run folders (`pretrained:NAME` is one that comes with lawbound), or surrogates by name. constraints: `NAME` or `NAME:HOW`. times: how many of the stored
    times are judged, evenly spaced and the time of interest among them. scores: names from `lawbound list scores`, or
    scores; without any, the usual ones as far as they apply. Raises `ValueError` for runs trained on another problem,
    and for data without what is needed.
    """
    dataset = data if isinstance(data, xr.Dataset) else open_dataset(data)
    if dataset.sizes.get(schema.SAMPLE) == 0:
        raise ValueError("The data to compare on have no sample; give some that no surrogate was trained on.")
    schema.require(dataset, "The data to compare on")
    surrogates = dict(runs) if isinstance(runs, Mapping) else _loaded(runs)
    if not surrogates:
        raise ValueError("There is nothing to compare; give at least one run.")
    held_out = held_out_of(dataset)
    schema.require_finite(held_out)
    for surrogate in surrogates.values():
        surrogate.origin.refuse_others(held_out)
    chosen = chosen_times(held_out, times)
    hashes = {} if isinstance(runs, Mapping) else _hashes(runs)

    def predictor(surrogate: Surrogate) -> Predict:
        return lambda part, at: surrogate.predict(part, times=at)

    result = judge(
        {label: predictor(surrogate) for label, surrogate in surrogates.items()},
        held_out,
        list({item.label: item for item in map(imposed, constraints)}.values()),
        table=f"compare/{held_out.attrs['lawbound_problem']}",
        chosen=chosen,
        seed=seed,
        inputs={
            label: fitted.learner.inside.inputs
            for label, fitted in surrogates.items()
            if isinstance(fitted, FittedOperator) and fitted.learner.inside is not None
        },
        scores=None if scores is None else [scored_by(score) for score in scores],
        on_progress=on_progress,
    )
    return replace(result, hashes={**result.hashes, **hashes})


def _hashes(runs: Sequence[str | Path]) -> dict[str, str]:
    """Run folder → sha256 of its weights."""
    return {str(run): sha256((folder(run) / MODEL).read_bytes()).hexdigest() for run in runs}


def scored_by(score: str | Score) -> Score:
    """The score of that name; raises `ValueError`, with suggestions, for an unknown one, and for what is no score."""
    found = find("scores", score) if isinstance(score, str) else score
    if not isinstance(found, Score):
        raise ValueError(f"The plug-in `{score}` is {type(found).__name__}, not a `lawbound.score.Score`.")
    return found


def judge(
    predictors: Mapping[str, Predict],
    data: xr.Dataset,
    constraints: Sequence[Imposed],
    *,
    table: str,
    chosen: NDArray[np.int64] | None = None,
    seed: int = 0,
    scores: Sequence[Score] | None = None,
    inputs: Mapping[str, tuple[str, ...]] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Comparison:
    """The same, for anything that predicts; inputs: what each is told of the laws, by name."""
    at = np.arange(data.sizes[schema.TIME]) if chosen is None else chosen
    shown = data.isel({schema.TIME: at})
    now = int(np.abs(shown[schema.TIME].values - schema.time_of_interest(data)).argmin())
    refuse_what_does_not_apply(shown, constraints)
    task = Task(data, at, now, seed, tuple(constraints), scores, laws_in(data, constraints))
    members = cases_of(data)
    total, done = len(predictors) * sum(samples.size for samples in members.values()), 0
    found: dict[tuple[str, str], list[Judged]] = {}
    for base, predict in predictors.items():
        for case, samples in members.items():
            for first in range(0, samples.size, _CHUNK):
                part = samples[first : first + _CHUNK]
                judged = dict(task.judged(base, predict, part, seed + first))
                if not found:
                    _refuse_scores_of_nothing(list(judged.values()), scores)
                for label, one in judged.items():
                    found.setdefault((label, case), []).append(one)
                done += part.size
                on_progress(done, total)
    used: dict[str, tuple[str, ...]] = {SOLVER: ()}
    for base in predictors:
        told = () if inputs is None else inputs.get(base, ())
        used |= {
            base: told,
            **{item.on(base): tuple(dict.fromkeys((*told, *item.constraint.inputs))) for item in constraints},
        }
    return _compared(task, table, list(predictors.items()), members, found, used)


def _refuse_scores_of_nothing(judged: Sequence[Judged], scores: Sequence[Score] | None) -> None:
    """A score that was asked for and applies to no method is a mistake; one that applies to some leaves gaps."""
    lacking = [score.name for score in scores or () if all(score.name in one.missing for one in judged)]
    if lacking:
        told = "; ".join(f"`{name}`: {judged[0].missing[name]}" for name in lacking)
        raise ValueError(f"These scores do not apply to the data. {told}. Leave them out.")


def _compared(
    task: Task,
    table: str,
    predictors: Sequence[tuple[str, Predict]],
    members: Mapping[str, NDArray[np.int64]],
    found: Mapping[tuple[str, str], Sequence[Judged]],
    used: Mapping[str, tuple[str, ...]],
) -> Comparison:
    """What was found of all samples as a table, and the few samples that are shown."""
    data, shown = task.data, task.shown
    bases = [base for base, _ in predictors]
    cases, evidence = [], {}
    rows = [Row(SOLVER, *row) for row in solver_scores(shown, task.now, members, scores=task.scores)]
    for name, samples in members.items():
        errors = np.mean(
            [np.concatenate([part.error for part in found[base, name]]) for base in bases], axis=0
        )
        order = ranked(errors)
        field = drawn_field([found[base, name][0].fields for base in bases])
        case = task.reference(name, samples, order, field)
        seen = task.pictures(predictors, samples[order], field)
        cases.append(case)
        for label in used:
            if label != SOLVER:
                evidence[label, name] = gathered(found[label, name], seen[label])
    scored = {score.name: score for parts in found.values() for part in parts for score in part.pieces}
    for base in bases:
        for name in members:
            for label in (base, *(item.on(base) for item in task.constraints)):
                rows += _rows(label, name, found[label, name])
    rhs = schema.law_variable("conservation", "rhs")
    in_rows = {row.metric for row in rows}
    result = Comparison(
        table=table,
        rows=tuple(rows),
        methods=tuple(used),
        cases=tuple(cases),
        evidence=evidence,
        t=shown[schema.TIME].values,
        x=shown[schema.X].values,
        time_of_interest=float(shown[schema.TIME].values[task.now]),
        verdict="",
        inputs=used,
        rhs_source=str(data[rhs].attrs["lawbound_rhs_source"]) if rhs in data else "none",
        notes=_notes(data, cases),
        metrics=tuple(score.metric for name, score in scored.items() if name in in_rows),
        solver_seconds=CORE_SECONDS.get(str(data.attrs["lawbound_problem"])),
        hashes={"data": str(data.attrs["lawbound_config_sha256"])},
    )
    return replace(result, verdict=verdict(result, bases, task.constraints))


def _rows(label: str, case: str, parts: Sequence[Judged]) -> list[Row]:
    """A row for each score, with its standard error and its interval over samples."""
    pieces = {score: np.concatenate([part.pieces[score] for part in parts]) for score in parts[0].pieces}
    means = [score for score in pieces if score.combine is over_samples]
    intervals = (
        dict(zip(means, bootstrap.of_means(np.stack([pieces[s] for s in means], axis=1)), strict=True))
        if means
        else {}
    )
    rows = []
    for score, values in pieces.items():
        if score in intervals:
            value, error = mean_and_error(values)
            low, high = intervals[score]
        else:
            value, error = float(score.combine(values)), None
            low, high = bootstrap.of_statistic(values, score.combine)
        known = np.isfinite(low) and np.isfinite(high)
        rows.append(
            Row(
                label,
                case,
                score.name,
                value,
                error,
                low=float(low) if known else None,
                high=float(high) if known else None,
            )
        )
    return rows


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


def _share_a_truth(data: xr.Dataset, case: Case) -> bool:
    """Whether several samples of a case have the same solution, as those of one parameter and no random data do."""
    two = (
        data[schema.state_variables(data)[0]].isel({schema.SAMPLE: case.samples[:2], schema.TIME: -1}).values
    )
    return len(two) == 2 and np.array_equal(two[0], two[1])


def _notes(data: xr.Dataset, cases: Sequence[Case]) -> tuple[str, ...]:
    notes = (
        ["solver row: against the closed form; all others: against the solver"]
        if family_of(data) and len(schema.axes(data)) == 1
        else []
    )
    if any(_share_a_truth(data, case) for case in cases):
        notes.append(
            "samples of one parameter value share one truth: their standard error is a spread over context layouts, not over problems"
        )
    return tuple(notes)
