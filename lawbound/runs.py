"""Fitting surrogates by name, and run folders."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from lawbound.datasets.check import check
from lawbound.datasets.plugins import find
from lawbound.datasets.split import of_split, splits_of
from lawbound.surrogates import checkpoint
from lawbound.surrogates.checkpoint import load
from lawbound.surrogates.surrogate import Learner, Progress, Surrogate

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
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Surrogate:
    """Fit a surrogate on the `train` split, chosen by the `valid` split; with `folder`, keep it there.

    `surrogate` is a name (`gp`, `anp`, or a plug-in's), with `options` for its hyperparameters, or a learner.
    Raises `ValueError` for unknown names or options, and for data that fail `lawbound.check` or lack a split.
    """
    learner = learner_of(surrogate, options or {})
    check(data).raise_if_failed()
    missing = [name for name in ("train", "valid") if name not in splits_of(data)]
    if missing:
        raise ValueError(
            f"The dataset has no {' and no '.join(f'`{name}`' for name in missing)} samples, which training needs (it has "
            f"{', '.join(splits_of(data))}); generate without --split, with 10 samples or more."
        )
    where = Path(folder) if folder is not None else None
    if where is not None:
        _claim(where, resume)
    fitted = learner.fit(
        of_split(data, "train"),
        of_split(data, "valid"),
        seed=seed,
        device=device,
        folder=where,
        resume=resume,
        on_progress=on_progress,
    )
    if where is not None:
        checkpoint.save(where, learner, fitted, seed=seed)
    return fitted


def learner_of(surrogate: str | Learner, options: Mapping[str, Any]) -> Learner:
    """The learner of that name with these hyperparameters; raises `ValueError` for options it does not have."""
    if not isinstance(surrogate, str):
        return surrogate
    kind = find("surrogates", surrogate)
    known = dict(kind().options())
    wrong = [name for name in options if name not in known]
    if wrong:
        raise ValueError(f"`{surrogate}` has no option {', '.join(wrong)}; it has {', '.join(known)}.")
    learner: Learner = kind(**options)
    return learner


def _claim(folder: Path, resume: bool) -> None:
    """Refuse to write into a folder that is not ours, or over a finished run."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; give a folder that is new or empty (-o).")
    if not folder.is_dir() or not any(folder.iterdir()) or resume:
        folder.mkdir(parents=True, exist_ok=True)
        return
    ours = any(
        (folder / name).exists() for name in (checkpoint.CONFIG, checkpoint.LOG, checkpoint.TRAIN_STATE)
    )
    if ours:
        raise ValueError(
            f"{folder} already holds a run; go on with it by --resume, or give a new folder (-o)."
        )
    raise ValueError(f"{folder} holds files and no run of ours; give a new folder (-o).")
