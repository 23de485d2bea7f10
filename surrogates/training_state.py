"""Where a training stands: in memory, and in the folder from which it goes on."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from lawbound.surrogates.checkpoint import LOG, TRAIN_STATE
from lawbound.surrogates.surrogate import Progress


@dataclass
class State:
    """Where a training stands at its last validation; on disk, network, optimiser and random states join it.

    Losses are () or (member,); `since` counts validations without a new best.
    """

    best: dict[str, Tensor]
    best_valid: Tensor = field(default_factory=lambda: torch.tensor(math.inf, dtype=torch.float64))
    valid: Tensor = field(default_factory=lambda: torch.tensor(math.inf, dtype=torch.float64))
    since: Tensor = field(default_factory=lambda: torch.tensor(0))
    epoch: int = 0
    seconds: float = 0.0
    log_position: int = 0

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "State":
        """The state in what was kept."""
        return cls(**{field.name: kept[field.name] for field in fields(cls)})

    def after(
        self, progress: Progress, valid: Tensor, network: nn.Module, regular: bool, patience: int | None
    ) -> None:
        """Note a validation.

        One that comes only because the training ends is no candidate for `best`: a run that was asked for more
        epochs at once would not have made it.
        """
        self.epoch, self.valid, self.seconds = progress.epoch, valid, progress.seconds
        if regular:
            better = self._better(patience)
            self.best = _chosen(better, copied(network), self.best)
            self.best_valid = torch.where(better, valid, self.best_valid)
            self.since = torch.where(better, 0, self.since + 1)

    def exhausted(self, patience: int | None) -> bool:
        """Whether nothing got better for so many validations."""
        return patience is not None and bool((self.since >= patience).all())

    def answer(self, network: nn.Module, patience: int | None) -> dict[str, Tensor]:
        """The best weights, those at the very end included."""
        return _chosen(self._better(patience), copied(network), self.best)

    def _better(self, patience: int | None) -> Tensor:
        # A member whose patience is at an end stays as it is, as if it had been trained alone.
        better = self.valid < self.best_valid
        return better if patience is None else better & (self.since < patience)


def _chosen(new_is_better: Tensor, new: dict[str, Tensor], old: dict[str, Tensor]) -> dict[str, Tensor]:
    """New or old tensors; with several decisions, for each entry of their first dimension."""
    if new_is_better.ndim == 0:
        return new if new_is_better else old
    return {
        name: torch.where(
            new_is_better.to(new[name].device).view(-1, *[1] * (new[name].ndim - 1)), new[name], old[name]
        )
        for name in new
    }


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Weights and buffers, and nothing else: modules of others put settings among them, too."""
    return {name: value for name, value in network.state_dict().items() if isinstance(value, Tensor)}


def copied(network: nn.Module) -> dict[str, Tensor]:
    """Weights and buffers as they are now."""
    return {name: tensor.detach().clone() for name, tensor in weights_of(network).items()}


def keep(
    folder: Path,
    state: State,
    progress: Progress,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    asked: Mapping[str, Any],
    regular: bool,
) -> None:
    """Write the log line, then the state, which knows how far the log is its own."""
    folder.mkdir(parents=True, exist_ok=True)
    line = {name: value for name, value in asdict(progress).items() if name != "epochs"}
    with (folder / LOG).open("ab") as log:
        log.truncate(min(state.log_position, log.tell()))
        log.write(json.dumps(line).encode() + b"\n")
        if regular:
            state.log_position = log.tell()
    content = {
        **{field.name: getattr(state, field.name) for field in fields(state)},
        "asked": json.dumps(asked, sort_keys=True),
        "network": weights_of(network), "optimiser": optimiser.state_dict(), "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state() if next(network.parameters()).is_cuda else None,
    }  # fmt: skip
    temporary = folder / f".{TRAIN_STATE}.{os.getpid()}.tmp"
    try:
        torch.save(content, temporary)
        os.replace(temporary, folder / TRAIN_STATE)
    finally:
        temporary.unlink(missing_ok=True)


def kept_in(
    folder: Path | None, resume: bool, asked: Mapping[str, Any], epochs: int
) -> Mapping[str, Any] | None:
    """What the folder keeps, None if nothing; raises `ValueError` unless it may be gone on from."""
    if folder is None:
        if resume:
            raise ValueError("resume=True needs the folder in which the state of training was kept.")
        return None
    path = folder / TRAIN_STATE
    if not path.exists():
        return None
    if not resume:
        raise ValueError(f"{path} holds the state of a training; resume it, or give a new folder.")
    try:
        kept: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        there = json.loads(kept["asked"])
        State.of(kept)
    except (RuntimeError, LookupError, TypeError, ValueError, EOFError, OSError, UnpicklingError) as error:
        raise ValueError(
            f"{path} is damaged or of another version ({type(error).__name__}); delete it and train from the start."
        ) from None
    here = json.loads(json.dumps(asked))
    differing = sorted(name for name in {*there, *here} if there.get(name) != here.get(name))
    if differing:
        raise ValueError(
            f"{path} holds the state of another training: {', '.join(f'{name}={there.get(name)}' for name in differing)} "
            f"there, {', '.join(f'{name}={here.get(name)}' for name in differing)} asked for. Give a new folder."
        )
    if kept["epoch"] > epochs:
        raise ValueError(
            f"{path} holds {kept['epoch']} epochs of training, {epochs} were asked for; ask for at least "
            f"{kept['epoch']}, or give a new folder."
        )
    return kept


def put_back(kept: Mapping[str, Any], network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Network, optimiser and random states as they were."""
    try:
        network.load_state_dict(kept["network"])
        optimiser.load_state_dict(kept["optimiser"])
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"The kept state of training is that of another network ({error}); give a new folder."
        ) from None
    torch.set_rng_state(kept["rng"])
    if kept["cuda_rng"] is not None:
        torch.cuda.set_rng_state(kept["cuda_rng"])
