"""Choosing the weight of a term of the loss by the validation error of short runs, in which the term does not count."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import xarray as xr

from lawbound.constraints.penalty import Penalised
from lawbound.datasets.store import write_text
from lawbound.surrogates import checkpoint, distributed
from lawbound.surrogates.neural_process import AttentiveNeuralProcess
from lawbound.surrogates.operator_options import OperatorOptions
from lawbound.surrogates.surrogate import Learner, Progress, Surrogate
from lawbound.surrogates.training import Diverged

#: The file in a run folder that says what was tried, and the folder in which that is done.
FILE, TRIALS = "weights.json", "weights"
#: Weights that are tried, and for which share of the epochs.
LADDER = (0.0, 0.0001, 0.001, 0.01, 0.1)
SHARE = 0.25
# Options that may change when a training goes on: how long it is, and how its errors are told.
_FREE = ("epochs", "patience", "draws", "prediction_seed")

Fit = Callable[[Learner, Path | None, Callable[[Progress], None]], Surrogate]


def open_weights(learner: Learner) -> bool:
    """Whether a term of the learner's loss has a weight that is yet to be chosen."""
    return any(isinstance(one, Penalised) and one.weight == "auto" for one in _penalties(learner))


def with_chosen_weights(
    learner: Learner, train: xr.Dataset, fit: Fit, folder: Path | None, *, seed: int, resume: bool
) -> Learner:
    """The learner with the weight of `LADDER` whose short run had the least validation error; of equal ones the smallest.

    All terms whose weight is "auto" get the same; 0 leaves them out. `fit(learner, folder, on_progress)` trains on train and
    valid alone, for `SHARE` of the epochs, one validation at least. What was tried is kept in `weights.json`, so that `resume`
    goes on, in the short run that was stopped too, and a finished choice is not made again. A short run whose loss
    is no longer finite counts as infinitely bad. Raises `ValueError` if the folder holds another choice, and under
    `torchrun` without a folder.
    """
    assert isinstance(learner, OperatorOptions | AttentiveNeuralProcess)
    if folder is None and distributed.world() > 1:
        raise ValueError(
            "weight=auto under torchrun needs a folder, by which processes agree; give one (-o)."
        )
    asked = {
        "constraints": list(learner.specs), "surrogate": learner.name, "seed": seed, "ladder": list(LADDER),
        "data": str(train.attrs.get("lawbound_config_sha256")), "samples": int(train.sizes["sample"]),
        "options": {name: value for name, value in learner.options().items() if name not in _FREE},
    }  # fmt: skip
    every = learner.validate_every
    epochs = max(every, every * round(SHARE * learner.epochs / every))
    choice = _Choice(asked, epochs, ())
    if resume and folder is not None and (folder / FILE).exists():
        choice = _Choice.read(folder / FILE, asked)
    distributed.wait_for_all()  # nobody writes before everybody has looked
    for weight in LADDER[len(choice.tried) :]:
        short = replace(_weighed(learner, weight), epochs=choice.epochs)
        choice.write(folder)
        choice = replace(choice, tried=(*choice.tried, _error(short, weight, fit, folder)))
    choice.write(folder)
    if folder is not None and distributed.rank() == 0:
        shutil.rmtree(folder / TRIALS, ignore_errors=True)
    chosen: Learner = _weighed(learner, choice.chosen)
    return chosen


@final
@dataclass(frozen=True)
class _Choice:
    """What is asked, for how many epochs, and the errors of the first weights of the ladder, None if not finite."""

    asked: dict[str, Any]
    epochs: int
    tried: tuple[float | None, ...]

    @property
    def chosen(self) -> float:
        """The best weight; raises `ValueError` if none led anywhere."""
        known = [
            (error, weight) for error, weight in zip(self.tried, LADDER, strict=False) if error is not None
        ]
        if not known:
            raise ValueError(
                "No short run came to an end with a finite loss, whatever the weight; lower the learning rate."
            )
        return min(known)[1]

    def write(self, folder: Path | None) -> None:
        """Keep it, if there is a folder, and this process is the one that writes."""
        if folder is None or distributed.rank() != 0:
            return
        done = len(self.tried) == len(LADDER)
        content = {
            **self.asked,
            "epochs": self.epochs,
            "valid": list(self.tried),
            "chosen": self.chosen if done else None,
        }
        write_text(folder / FILE, json.dumps(content, indent=1) + "\n")

    @classmethod
    def read(cls, path: Path, asked: dict[str, Any]) -> "_Choice":
        """What is kept; raises `ValueError` if it is damaged or another was asked for."""
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
            epochs, tried = int(there.pop("epochs")), tuple(there.pop("valid"))
            there.pop("chosen")
        except (ValueError, TypeError, LookupError, AttributeError):
            raise ValueError(f"{path} is damaged; delete it and train from the start.") from None
        as_kept = json.loads(json.dumps(asked))
        differing = [name for name in asked if there.get(name) != as_kept[name]]
        if differing or len(tried) > len(LADDER):
            raise ValueError(
                f"{path} holds the choice of a weight for another training ({', '.join(differing)} differ); give a new folder."
            )
        return cls(asked, epochs, tried)


def _error(short: Learner, weight: float, fit: Fit, folder: Path | None) -> float | None:
    """The least validation error of a short run."""
    seen: list[float] = []
    trial = None if folder is None else folder / TRIALS / f"{weight:g}"
    try:
        fit(short, trial, lambda progress: seen.append(progress.valid))
    except Diverged:
        return None
    distributed.wait_for_all()
    if trial is not None:  # it may have begun before this process did
        lines = (trial / checkpoint.LOG).read_text(encoding="utf-8").splitlines()
        seen = [float(json.loads(line)["valid"]) for line in lines]
    return min(seen)


def _weighed(learner: Learner, weight: float) -> Any:
    kept = tuple(
        replace(one, weight=weight) if isinstance(one, Penalised) and one.weight == "auto" else one
        for one in _penalties(learner)
        if weight > 0.0 or not (isinstance(one, Penalised) and one.weight == "auto")
    )
    return replace(learner, penalties=kept)  # type: ignore[type-var]


def _penalties(learner: Learner) -> Sequence[Any]:
    return getattr(learner, "penalties", ())
