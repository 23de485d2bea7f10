"""The interfaces of what is trained and what comes out of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor, nn

from lawbound.datasets import schema
from lawbound.surrogates.covariance import Covariance
from lawbound.surrogates.origin import Axis, Origin
from lawbound.surrogates.prediction import Prediction

__all__ = [
    "Given",
    "InLoss",
    "Inside",
    "KernelLayer",
    "Layered",
    "Learner",
    "LossTerm",
    "Opened",
    "Origin",
    "Progress",
    "Strip",
    "Surrogate",
    "chosen_states",
    "first_state",
]


@dataclass(frozen=True)
class Progress:
    """What a learner reports after a round of training."""

    epoch: int
    epochs: int
    train: float
    valid: float
    seconds: float


class Surrogate(Protocol):
    """A fitted, frozen thing that predicts."""

    @property
    def origin(self) -> Origin:
        """What it was trained on."""
        ...

    def predict(self, inputs: xr.Dataset, *, times: NDArray[np.int64] | None = None) -> Prediction:
        """Predict the field at the stored times with these indices (all if None) from its inputs.

        Of the fields themselves it reads what it is told to know, and no more: the context points
        (`lawbound.datasets.points`), or the state at the first time.
        """
        ...

    def tensors(self) -> dict[str, Tensor]:
        """All numbers that it learned, for `model.safetensors`."""
        ...


class Learner(Protocol):
    """Hyperparameters, and how to fit with them."""

    name: ClassVar[str]
    summary: ClassVar[str]

    def options(self) -> Mapping[str, Any]:
        """The hyperparameters as JSON values; `type(self)(**options)` gives an equal learner."""
        ...

    def fit(
        self,
        train: xr.Dataset,
        valid: xr.Dataset,
        *,
        seed: int = 0,
        device: str = "cpu",
        folder: Path | None = None,
        resume: bool = False,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Surrogate:
        """Fit on one split, choose by another; same arguments and seed give the same surrogate.

        With `folder` the state of training is kept there, and `resume` goes on from it.
        """
        ...

    def restore(self, tensors: Mapping[str, Tensor], origin: Origin) -> Surrogate:
        """The surrogate whose `tensors()` these are."""
        ...


class Given(NamedTuple):
    """What an enforcement inside a network read from a dataset.

    series: each (sample, t, ·), cut with the samples and times. tables: of the grid, the same for all samples.
    """

    series: tuple[Tensor, ...]
    tables: tuple[Tensor, ...] = ()


@runtime_checkable
class Inside(Protocol):
    """An enforcement that is part of a network, and trained with it.

    What belongs to a dataset comes with each call, and what is learned is parameters and buffers of modules, so that
    a surrogate trained on one grid obeys on another, and is kept and loaded without code.
    """

    @property
    def spec(self) -> str:
        """What it is, in the words of the command line."""
        ...

    @property
    def inputs(self) -> tuple[str, ...]:
        """The variables of the dataset that it reads, when it predicts as when it is trained."""
        ...

    def read(self, data: xr.Dataset, fields: tuple[str, ...]) -> Given:
        """What states of these fields on this dataset have to obey; raises `ValueError` where that is not known."""
        ...

    def wrap(self, network: nn.Module, origin: Origin) -> nn.Module | None:
        """A network to use instead of this one, kept as its `network`, or None to leave it alone.

        `network` takes and gives physical channels, (sample, in, *grid) → (sample, out, *grid), the grid being (t, *space) or,
        in steps, space; its `network` sees numbers of order one. Called as (channels, series, tables), the series at
        the times of the output: (sample, t, ·), in steps (sample, 1, ·).
        """
        ...

    def outputs(self, origin: Origin) -> nn.Module:
        """(states, series, tables) → lawful states, (sample, group, t, n), of the dtype that they come in; physical units."""
        ...

    def left(self, variances: Tensor, given: Given) -> Covariance:
        """The covariance of states with these variances, (draw, sample, t, n), once they are known to obey."""
        ...


class LossTerm(Protocol):
    """A term of a loss, bound to the training data."""

    @property
    def given(self) -> Given:
        """What it reads."""
        ...

    def __call__(self, states: Tensor, series: Sequence[Tensor], tables: Sequence[Tensor]) -> Tensor:
        """What is added to the loss of each sample, (...), for states (..., t, n) in physical units."""
        ...


class InLoss(Protocol):
    """An enforcement that is a wish: a term of the loss, and nothing afterwards."""

    @property
    def spec(self) -> str:
        """What it is, in the words of the command line."""
        ...

    def on(self, data: xr.Dataset, fields: tuple[str, ...]) -> LossTerm:
        """The term for states of these fields on the training data."""
        ...


class Strip(NamedTuple):
    """Some layers of a grid: those with these indices along an axis, counted from 0."""

    axis: int
    layers: tuple[int, ...]


class KernelLayer(Protocol):
    """u ← K u + W u + b, of values (batch, *grid, channel) on the grid inside the network, padding included.

    K goes through coefficients, such as those of waves, (batch, …), linear in u, and can take and give values on a
    strip alone. It commutes with shifts along every axis but, on a line, need not along the only one.
    """

    def kernel(self, u: Tensor) -> Tensor:
        """K u: what couples points."""
        ...

    def coefficients(self, u: Tensor, grid: Sequence[int], strip: Strip | None = None) -> Tensor:
        """Those of K u; with `strip`, of a u that is 0 elsewhere and given there, (batch, *grid cut to it, in)."""
        ...

    def units(self, grid: Sequence[int], strip: Strip) -> Tensor:
        """Those of K e, (layer · in, …): unit vectors at index 0 of the other axes, of each layer and input channel."""
        ...

    def values(self, coefficients: Tensor, grid: Sequence[int], strip: Strip | None = None) -> Tensor:
        """K u, (batch, *grid, out), with `strip` cut to it."""
        ...

    def pointwise(self, u: Tensor) -> Tensor:
        """W u + b, affine, a point at a time."""
        ...


@dataclass(frozen=True)
class Opened:
    """An operator network taken apart: lift, layers with σ between them (none after the last), projection.

    axes: of the training grid. outputs: how many channels come out. lift: channels (batch, in, *grid) to values on a
    grid that may be padded at the end of its axes. project: those values and the grid's shape to (batch, out, *grid).
    What comes out is `scale` times what the layers know plus `shift`, (out,).
    """

    axes: tuple[Axis, ...]
    outputs: int
    lift: Callable[[Tensor], Tensor]
    layers: Sequence[KernelLayer]
    activate: Callable[[Tensor], Tensor]
    project: Callable[[Tensor, Sequence[int]], Tensor]
    scale: Tensor | None = None
    shift: Tensor | None = None


@runtime_checkable
class Layered(Protocol):
    """A network that can be opened, by what acts on its layers."""

    def opened(self) -> Opened:
        """Its parts, which share its parameters."""
        ...


def first_state(data: xr.Dataset) -> str:
    """The field that a one-field surrogate learns; raises `ValueError` if there are several."""
    names = schema.state_variables(data)
    if len(names) != 1:
        raise ValueError(f"The dataset has the fields {names}; this surrogate learns exactly one.")
    return names[0]


def chosen_states(data: xr.Dataset, names: str | None) -> tuple[str, ...]:
    """The fields to learn, in channel order: those named, apart by spaces, or all if None.

    Raises `ValueError` for a name that is no field of the data, or that comes twice.
    """
    there = schema.state_variables(data)
    if names is None:
        return tuple(there)
    asked = names.split()
    if not asked or len(set(asked)) < len(asked) or any(name not in there for name in asked):
        raise ValueError(f"fields={names!r}; give some of {' '.join(there)}, each once, apart by spaces.")
    return tuple(name for name in there if name in asked)
