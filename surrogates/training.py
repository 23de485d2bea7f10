"""One training loop, for any network: Adam at a constant rate, best weights by validation, stop and go on.

A folder keeps `log.jsonl`, a line for each validation, and `train_state.pt`, replaced at each validation.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from lawbound.surrogates.checkpoint import LOG, TRAIN_STATE
from lawbound.surrogates.surrogate import Progress

Network = TypeVar("Network", bound=nn.Module)
Batch = TypeVar("Batch")


class Diverged(RuntimeError):
    """A loss that is no longer finite; the message names epoch and batch and what to change."""


@dataclass(frozen=True)
class Settings:
    """How to train. The network is validated, and its state kept, every `validate_every` epochs and at the end."""

    epochs: int
    learning_rate: float = 1e-4
    validate_every: int = 10
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "validate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}; give at least 1.")
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < math.inf:
                raise ValueError(f"{name}={value}; give a finite number above 0.")


def chosen_device(name: str) -> torch.device:
    """The device `cpu` or `cuda`; raises `ValueError` if it is another or absent."""
    if name not in ("cpu", "cuda"):
        raise ValueError(f"device={name!r}; give cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device='cuda', but PyTorch finds no CUDA device here; give cpu.")
    return torch.device(name)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers that depend on the seed alone; outside, the global states stay as they were."""
    with torch.random.fork_rng([torch.cuda.current_device()] if device.type == "cuda" else []):
        # Not torch.manual_seed: that would also seed devices that are not forked.
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        yield


def train(
    network: Network,
    loss: Callable[[Network, Batch], Tensor],
    batches: Callable[[int], Iterable[Batch]],
    validate: Callable[[Network], float],
    settings: Settings,
    *,
    seed: int,
    identity: Mapping[str, Any],
    folder: Path | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Train a network in place, where it is, and leave it with the weights of its best validation.

    `loss(network, batch)` is a value for each sample, (batch,), or one for all; their sum is minimised, their
    mean is logged. `batches(epoch)`, epochs counted from 1, depends on nothing else. `validate` is called in
    evaluation mode, without gradients and with the same random numbers each time. `identity` is what, besides
    settings and seed, decides the outcome (options, data), as JSON values.

    `resume` goes on from the state in the folder, if there is one, to the same weights bit for bit that an
    uninterrupted run has. Raises `ValueError` if the state is of another training or has more epochs than asked
    for, and `Diverged` if a loss is not finite; the state of the last validation then stays in the folder.
    """
    device = next(network.parameters()).device
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    asked = {
        **{name: value for name, value in asdict(settings).items() if name != "epochs"},
        **identity, "seed": seed, "device": device.type,
    }  # fmt: skip
    with seeded(seed, device):
        kept = _kept(folder, resume, asked, settings.epochs)
        state = _State.of(kept) if kept else _State(best=_copied(network))
        if kept:
            _put_back(kept, network, optimiser)
        began = time.perf_counter() - state.seconds
        for epoch in range(state.epoch + 1, settings.epochs + 1):
            try:
                mean = _epoch(network, loss, batches(epoch), optimiser, settings, epoch)
                regular = epoch % settings.validate_every == 0
                if not regular and epoch < settings.epochs:
                    continue
                valid = _validated(network, validate, seed, epoch)
            except Diverged as error:
                network.load_state_dict(state.best)
                raise Diverged(f"{error} {_remedy(settings, state, folder)}") from None
            progress = Progress(epoch, settings.epochs, mean, valid, time.perf_counter() - began)
            state.after(progress, network, regular)
            if folder is not None:
                _keep(folder, state, progress, network, optimiser, asked, regular)
            on_progress(progress)
        network.load_state_dict(state.answer(network))
        network.eval()


def _epoch(
    network: Network,
    loss: Callable[[Network, Batch], Tensor],
    batches: Iterable[Batch],
    optimiser: torch.optim.Optimizer,
    settings: Settings,
    epoch: int,
) -> float:
    """The mean loss of an epoch of steps."""
    network.train()
    totals, count = [], 0
    for batch in batches:
        values = loss(network, batch)
        total = values.sum()
        optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        if settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
        optimiser.step()
        totals.append(total.detach())
        count += values.numel()
    if not totals:
        raise ValueError(f"Epoch {epoch} has no batches; give at least one training sample.")
    # Looked at once an epoch: each look at a number on a GPU would make the host wait for it.
    sums = torch.stack(totals).double().cpu()
    wrong = torch.nonzero(~torch.isfinite(sums))
    if len(wrong):
        first = int(wrong[0])
        raise Diverged(
            f"The training loss is {float(sums[first])} in epoch {epoch}, batch {first + 1} of {len(totals)}."
        )
    return float(sums.sum()) / count


def _validated(network: Network, validate: Callable[[Network], float], seed: int, epoch: int) -> float:
    network.eval()
    with torch.no_grad(), seeded(seed, next(network.parameters()).device):
        valid = validate(network)
    if not math.isfinite(valid):
        raise Diverged(f"The validation loss is {valid} after epoch {epoch}, past its last batch.")
    return valid


def _remedy(settings: Settings, state: "_State", folder: Path | None) -> str:
    message = f"Lower the learning rate (now {settings.learning_rate:g}), clip gradients, or look for outliers in the data"
    if folder is not None and state.epoch:
        message += f"; the state of epoch {state.epoch} is kept in {folder}, resume with epochs={state.epoch} to use it"
    return message + "."


@dataclass
class _State:
    """Where a training stands at its last validation; on disk, network, optimiser and random states join it."""

    best: dict[str, Tensor]
    best_valid: float = math.inf
    valid: float = math.inf
    epoch: int = 0
    seconds: float = 0.0
    log_position: int = 0

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "_State":
        """The state in what was kept."""
        return cls(**{field.name: kept[field.name] for field in fields(cls)})

    def after(self, progress: Progress, network: nn.Module, regular: bool) -> None:
        """Note a validation.

        One that comes only because the training ends is no candidate for `best`: a run that was asked for more
        epochs at once would not have made it.
        """
        self.epoch, self.valid, self.seconds = progress.epoch, progress.valid, progress.seconds
        if regular and self.valid < self.best_valid:
            self.best, self.best_valid = _copied(network), self.valid

    def answer(self, network: nn.Module) -> dict[str, Tensor]:
        """The best weights, those at the very end included."""
        return _copied(network) if self.valid < self.best_valid else self.best


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _keep(
    folder: Path,
    state: _State,
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
        "network": network.state_dict(), "optimiser": optimiser.state_dict(), "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state() if next(network.parameters()).is_cuda else None,
    }  # fmt: skip
    temporary = folder / f".{TRAIN_STATE}.{os.getpid()}.tmp"
    try:
        torch.save(content, temporary)
        os.replace(temporary, folder / TRAIN_STATE)
    finally:
        temporary.unlink(missing_ok=True)


def _kept(
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
        _State.of(kept)
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


def _put_back(kept: Mapping[str, Any], network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
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
