"""Fitting surrogates by name, and run folders."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from lawbound import weights
from lawbound.datasets.check import check
from lawbound.datasets.plugins import find
from lawbound.datasets.split import of_split, splits_of
from lawbound.pretrained import load
from lawbound.specs import constrained
from lawbound.surrogates import checkpoint, distributed
from lawbound.surrogates.surrogate import InLoss, Inside, Learner, Progress, Surrogate
from lawbound.weights import open_weights, with_chosen_weights

__all__ = ["fit", "load"]


def fit(
    surrogate: str | Learner,
    data: xr.Dataset,
    *,
    seed: int = 0,
    device: str = "cpu",
    folder: str | Path | None = None,
    resume: bool = False,
    options: Mapping[str, Any] | None = None,
    constraints: Sequence[str | Inside | InLoss] = (),
    unchecked: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Surrogate:
    """Fit a surrogate on the `train` split, chosen by the `valid` split; with `folder`, keep it there.

    `surrogate` is a name (`gp`, `anp`, `fno`, …, or a plug-in's), with `options` for its hyperparameters, or a learner.
    constraints: what is part of training, as on the command line (`dirichlet:operator`) or as objects
    (`constraints.inside.Operator`, `constraints.penalty.Penalised`).
    Under `torchrun` all processes fit it together, and the first one writes.
    Raises `ValueError` for unknown names or options, for data that lack a split, and, unless `unchecked`, for data that
    fail `lawbound.check`.
    """
    learner = constrained(learner_of(surrogate, options or {}), constraints)
    if seed < 0:
        raise ValueError(f"seed={seed}; give an integer ≥ 0.")
    if not unchecked:
        _require_checked(data)
    missing = [name for name in ("train", "valid") if name not in splits_of(data)]
    if missing:
        raise ValueError(
            f"The dataset has no {' and no '.join(f'`{name}`' for name in missing)} samples, which training needs (it has "
            f"{', '.join(splits_of(data))}); generate without --split, with 10 samples or more."
        )
    where = Path(folder) if folder is not None else None
    distributed.join(device)
    ours = where if distributed.rank() == 0 else None
    made = ours is not None and not ours.exists()
    if ours is not None:
        _claim(ours, learner, resume)
    distributed.wait_for_all()
    try:
        train, valid = of_split(data, "train"), of_split(data, "valid")

        def fit_in(learner: Learner, folder: Path | None, note: Callable[[Progress], None]) -> Surrogate:
            kept = resume and folder is not None
            return learner.fit(
                train, valid, seed=seed, device=device, folder=folder, resume=kept, on_progress=note
            )

        if open_weights(learner):
            learner = with_chosen_weights(learner, train, fit_in, where, seed=seed, resume=resume)
        fitted = learner.fit(
            train, valid, seed=seed, device=device, folder=where, resume=resume, on_progress=on_progress
        )
        if ours is not None:
            checkpoint.save(ours, learner, fitted, seed=seed)
    except BaseException:
        if ours is not None and made and not any(ours.iterdir()):
            ours.rmdir()
        raise
    return fitted


def _require_checked(data: xr.Dataset) -> None:
    try:
        check(data).raise_if_failed()
    except ValueError as error:
        raise ValueError(f"{error} Or train on it as it is: --unchecked (unchecked=True).") from None


def learner_of(surrogate: str | Learner, options: Mapping[str, Any]) -> Learner:
    """The learner of that name with these hyperparameters; raises `ValueError` for options it does not have."""
    if not isinstance(surrogate, str):
        return surrogate
    kind = find("surrogates", surrogate)
    known = dict(kind().options())
    wrong = [name for name in options if name not in known]
    if wrong:
        raise ValueError(f"`{surrogate}` has no option {', '.join(wrong)}; it has {', '.join(known)}.")
    checkpoint.check_types(kind, options)
    learner: Learner = kind(**options)
    return learner


def _claim(folder: Path, learner: Learner, resume: bool) -> None:
    """Refuse to write into a folder that is not ours, or over another run."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; give a folder that is new or empty (-o).")
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        return
    finished, begun = (
        (folder / checkpoint.CONFIG).exists(),
        any((folder / name).exists() for name in (checkpoint.TRAIN_STATE, weights.FILE)),
    )
    if not (finished or begun):
        raise ValueError(f"{folder} holds files and no run of ours; give a new folder (-o).")
    if not resume:
        raise ValueError(
            f"{folder} already holds a run; go on with it by --resume, or give a new folder (-o)."
        )
    if not begun:
        raise ValueError(
            f"{folder} holds a finished run without a state of training to go on from; give a new folder (-o)."
        )
    if finished and checkpoint.read_config(folder).surrogate != learner.name:
        kept = checkpoint.read_config(folder).surrogate
        raise ValueError(
            f"{folder} holds a run of `{kept}`, not of `{learner.name}`; give a new folder (-o)."
        )
