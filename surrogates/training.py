"""One training loop, for any network: Adam, a schedule, best weights by validation, stop and go on.

A folder keeps `log.jsonl`, a line for each validation, and `train_state.pt`, replaced at each validation.
"""

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from lawbound.surrogates import distributed
from lawbound.surrogates.schedule import KNOW_THE_END, Schedule, factor
from lawbound.surrogates.surrogate import Progress
from lawbound.surrogates.training_state import State, copied, keep, kept_in, put_back

Network = TypeVar("Network", bound=nn.Module)
Batch = TypeVar("Batch")


class Diverged(RuntimeError):
    """A loss that is no longer finite; the message names epoch and batch and what to change."""


class OutOfMemory(RuntimeError):
    """A step that did not fit; the message names the batch size."""


@dataclass(frozen=True)
class Settings:
    """How to train. The network is validated, and its state kept, every `validate_every` epochs and at the end.

    weight_decay: decoupled (AdamW) where it is above 0. schedule: of the learning rate (`schedule.factor`), `step`
    multiplying by `step_factor` every `step_every` epochs. patience: stop after so many validations without a new
    best. precision: `bfloat16` computes losses under autocast. compile: by `torch.compile`. fused: the optimiser in
    one kernel. deterministic: only algorithms that give the same bits each time.
    """

    epochs: int
    learning_rate: float = 1e-4
    validate_every: int = 10
    clip_norm: float | None = None
    weight_decay: float = 0.0
    schedule: Schedule = "constant"
    step_every: int = 50
    step_factor: float = 0.5
    patience: int | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    fused: bool = False
    deterministic: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "validate_every", "step_every", "patience"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise ValueError(f"{name}={count}; give at least 1.")
        for name in ("learning_rate", "clip_norm", "step_factor"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < math.inf:
                raise ValueError(f"{name}={value}; give a finite number above 0.")
        if not 0.0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay={self.weight_decay}; give a finite number of at least 0.")
        for name, known in (("schedule", get_args(Schedule)), ("precision", ("float32", "bfloat16"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r}; give one of {', '.join(known)}.")

    def rate(self, epochs_done: float) -> float:
        """The learning rate after so many epochs."""
        return self.learning_rate * factor(
            self.schedule, epochs_done, self.epochs, every=self.step_every, by=self.step_factor
        )

    def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        """Adam, with decoupled weight decay if there is any (Loshchilov and Hutter 2019)."""
        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        # None leaves the choice to PyTorch, as ever; complex weights have no such kernel.
        fused = True if self.fused and all(map(torch.is_floating_point, parameters)) else None
        if self.weight_decay == 0.0:
            return torch.optim.Adam(parameters, lr=self.learning_rate, fused=fused)
        return torch.optim.AdamW(
            parameters, lr=self.learning_rate, weight_decay=self.weight_decay, fused=fused
        )

    def identity(self) -> dict[str, Any]:
        """What of this decides the outcome of training so far: how many epochs there will be only if it is looked at."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name != "epochs" or self.schedule in KNOW_THE_END
        }


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
    validate: Callable[[Network], float | Tensor],
    settings: Settings,
    *,
    seed: int,
    identity: Mapping[str, Any],
    folder: Path | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    clip: Callable[[Network, float], object] | None = None,
    batch_size: int | None = None,
    shared: bool = False,
) -> None:
    """Train a network in place, where it is, and leave it with the weights of its best validation.

    `loss(network, batch)` is a value for each sample, (batch,), or one for all; their sum is minimised, their
    mean is logged. `batches(epoch)`, epochs counted from 1, depends on nothing else. `validate` is called in
    evaluation mode, without gradients and with the same random numbers each time; where it gives several numbers,
    (member,), the first dimension of every tensor counts members, and each member keeps its own best.
    `identity` is what, besides settings and seed, decides the outcome (options, data), as JSON values. `clip`
    limits gradients to a norm, by default that of all of them. `shared`: under `torchrun`, `batches` gives this
    process its share of each batch; else every process takes the whole.

    `resume` goes on from the state in the folder, if there is one, to the same weights bit for bit that an
    uninterrupted run has. Raises `ValueError` if the state is of another training or has more epochs than asked
    for, `Diverged` if a loss is not finite (the state of the last validation then stays in the folder), and
    `OutOfMemory` if a step does not fit.
    """
    device = next(network.parameters()).device
    optimiser = settings.optimiser(network)
    asked = {**settings.identity(), **identity, "seed": seed, "device": device.type}
    writes = folder if distributed.rank() == 0 else None
    steps = _Steps(
        compiled(loss, device) if settings.compile else loss,
        clip or _clip,
        optimiser,
        settings,
        batch_size,
        shared,
    )
    with seeded(seed, device), _deterministic(settings.deterministic):
        kept = kept_in(folder, resume, asked, settings.epochs)
        state = State.of(kept) if kept else State(best=copied(network))
        if kept:
            put_back(kept, network, optimiser)
        distributed.wait_for_all()  # nobody writes a state before everybody has looked for one
        began = time.perf_counter() - state.seconds
        for epoch in range(state.epoch + 1, settings.epochs + 1):
            if state.exhausted(settings.patience):
                break
            try:
                mean = steps.epoch(network, batches(epoch), epoch)
                regular = epoch % settings.validate_every == 0
                if not regular and epoch < settings.epochs:
                    continue
                valid = _validated(network, validate, seed, epoch)
            except Diverged as error:
                network.load_state_dict(state.best)
                raise Diverged(f"{error} {_remedy(settings, state, folder)}") from None
            progress = Progress(
                epoch, settings.epochs, mean, float(valid.mean()), time.perf_counter() - began
            )
            state.after(progress, valid, network, regular, settings.patience)
            if writes is not None:
                keep(writes, state, progress, network, optimiser, asked, regular)
            if distributed.rank() == 0:
                on_progress(progress)
        network.load_state_dict(state.answer(network, settings.patience))
        network.eval()


def compiled(
    loss: Callable[[Network, Batch], Tensor], device: torch.device
) -> Callable[[Network, Batch], Tensor]:
    """The loss by `torch.compile`; on a GPU launched as one graph, for steps of small networks are all launches."""
    # The last, smaller batch is compiled by itself: graphs have fixed shapes.
    mode = "reduce-overhead" if device.type == "cuda" else None
    return torch.compile(loss, mode=mode, dynamic=False)


def _clip(network: nn.Module, max_norm: float) -> object:
    return nn.utils.clip_grad_norm_(network.parameters(), max_norm)


@contextmanager
def _deterministic(wanted: bool) -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    if wanted:
        # cuBLAS asks for this, and reads it when it is first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(wanted or before)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@dataclass(frozen=True)
class _Steps(Generic[Network, Batch]):
    """How steps are taken."""

    loss: Callable[[Network, Batch], Tensor]
    clip: Callable[[Network, float], object]
    optimiser: torch.optim.Optimizer
    settings: Settings
    batch_size: int | None
    shared: bool

    def epoch(self, network: Network, batches: Iterable[Batch], epoch: int) -> float:
        """Take a step for each batch; the mean loss."""
        network.train()
        totals, count = [], 0
        number = len(batches) if isinstance(batches, Sized) else None
        for i, batch in enumerate(batches):
            if self.settings.schedule != "constant":
                rate = self.settings.rate(epoch - 1 + (i / number if number else 0.0))
                for group in self.optimiser.param_groups:
                    group["lr"] = rate
            try:
                total, size = self._step(network, batch)
            except RuntimeError as error:
                if _is_out_of_memory(error):
                    raise OutOfMemory(self._too_large()) from None
                raise
            totals.append(total)
            count += size
        if not totals:
            raise ValueError(f"Epoch {epoch} has no batches; give at least one training sample.")
        # Looked at once an epoch: each look at a number on a GPU would make the host wait for it.
        sums = torch.stack([*totals, torch.full_like(totals[0], count)]).double()
        if self.shared:
            distributed.add_up([sums])
        *values, count_of_all = sums.cpu()
        for i, value in enumerate(values):
            if not math.isfinite(value):
                raise Diverged(
                    f"The training loss is {float(value)} in epoch {epoch}, batch {i + 1} of {len(values)}."
                )
        return float(torch.stack(values).sum()) / float(count_of_all)

    def _step(self, network: Network, batch: Batch) -> tuple[Tensor, int]:
        half = self.settings.precision == "bfloat16"
        self.optimiser.zero_grad()
        with torch.autocast(next(network.parameters()).device.type, torch.bfloat16, enabled=half):
            values = self.loss(network, batch)
        total = values.sum()
        total.backward()  # type: ignore[no-untyped-call]
        if self.shared:
            distributed.add_up([p.grad for p in network.parameters() if p.grad is not None])
        if self.settings.clip_norm is not None:
            self.clip(network, self.settings.clip_norm)
        self.optimiser.step()
        return total.detach(), values.numel()

    def _too_large(self) -> str:
        size = "its batch" if self.batch_size is None else f"batch={self.batch_size}"
        return f"A training step with {size} ran out of memory; give a smaller batch, a smaller network, or precision=bfloat16."


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def _validated(
    network: Network, validate: Callable[[Network], float | Tensor], seed: int, epoch: int
) -> Tensor:
    network.eval()
    with torch.no_grad(), seeded(seed, next(network.parameters()).device):
        valid = torch.as_tensor(validate(network), dtype=torch.float64).cpu()
    if not bool(torch.isfinite(valid).all()):
        raise Diverged(f"The validation loss is {valid.tolist()} after epoch {epoch}, past its last batch.")
    return valid


def _remedy(settings: Settings, state: "State", folder: Path | None) -> str:
    message = f"Lower the learning rate (now {settings.learning_rate:g}), clip gradients, or look for outliers in the data"
    if folder is not None and state.epoch:
        message += f"; the state of epoch {state.epoch} is kept in {folder}, resume with epochs={state.epoch} to use it"
    return message + "."
