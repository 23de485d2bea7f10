"""Fitting a network that maps channels on a grid to channels on it, and predicting with it: common to all of them."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, final

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor, nn

from lawbound.datasets import schema
from lawbound.datasets.scaling import Scaling
from lawbound.surrogates import distributed, training
from lawbound.surrogates.answers import Answer, Gaussian
from lawbound.surrogates.covariance import Covariance, Diagonal
from lawbound.surrogates.field_scales import field_scales, units_of
from lawbound.surrogates.lawful import Lawful
from lawbound.surrogates.normalised import LEAST_VARIANCE, Normalised
from lawbound.surrogates.operator_options import OperatorOptions
from lawbound.surrogates.origin import Axis, Origin, walls_of
from lawbound.surrogates.penalties import total_penalty
from lawbound.surrogates.prediction import Prediction
from lawbound.surrogates.samples import Batch, Batches, GridData
from lawbound.surrogates.stacked import Stacked, clip_members
from lawbound.surrogates.surrogate import Given, Progress, chosen_states
from lawbound.surrogates.tasks import Task, Whole, input_names
from lawbound.surrogates.training_state import weights_of

#: Grid points, all samples together, that the network sees at once outside training; bounds memory.
AT_ONCE = 1 << 17


class Uncertainty(Protocol):
    """What is learnt about a trained network's errors, and what it then says of a prediction."""

    def learn(self, fitted: "FittedOperator", train: GridData, valid: GridData) -> dict[str, Tensor]:
        """Tensors to keep beside the weights."""
        ...

    def moments(
        self, fitted: "FittedOperator", data: GridData, rows: NDArray[np.int64]
    ) -> tuple[Tensor, Tensor]:
        """Mean and variance of these samples, (sample, field, t, *space)."""
        ...


@dataclass(frozen=True, kw_only=True)
class OperatorLearner(OperatorOptions, ABC):
    """A learner of networks on grids: what is its own are a network, what its outputs mean, what is said of errors."""

    @property
    @abstractmethod
    def reads_walls(self) -> bool:
        """Whether what the walls prescribe is among the inputs."""

    @property
    @abstractmethod
    def answer(self) -> Answer:
        """What the network's outputs mean."""

    @property
    @abstractmethod
    def errors(self) -> Uncertainty:
        """What is said of errors."""

    @abstractmethod
    def network(
        self, inputs: tuple[str, ...], outputs: int, axes: Sequence[Axis], origin: Origin
    ) -> nn.Module:
        """(sample, in, *grid) → (sample, out, *grid), all of order one; new weights."""

    @property
    def members(self) -> int | None:
        """How many networks are trained together; None: one, which is not stacked."""
        return None

    def seeds(self, seed: int) -> list[int]:
        """The seed of each network that is trained."""
        return [seed]

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
    ) -> "FittedOperator":
        """Train on one split and choose by another; same arguments and seed give the same network bit for bit.

        Under `torchrun` all processes train it together. Raises `ValueError` for data that are not finite, that do
        not vary or that the inputs cannot tell apart, `training.Diverged`, and `training.OutOfMemory`.
        """
        where = training.chosen_device(device)
        distributed.join(where.type)
        return _fit(self, train, valid, seed, where, folder, resume, on_progress)

    def restore(self, tensors: Mapping[str, Tensor], origin: Origin) -> "FittedOperator":
        """The surrogate whose `tensors()` these are; raises `ValueError` if they do not fit the options."""
        plain = {name: Scaling(1, 0.0, 1.0, 0.0, 1.0) for name in (*origin.inputs, *origin.fields)}
        network = _networks(self, origin, plain, [0] * (self.members or 1))
        weights, learnt = (
            {name.removeprefix(part): tensor for name, tensor in tensors.items() if name.startswith(part)}
            for part in ("network.", "learnt.")
        )
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(f"These are not the tensors of a network with these options: {error}") from None
        return FittedOperator(self, network.eval(), origin, learnt)


@final
@dataclass(frozen=True)
class FittedOperator:
    """A trained network on a grid. It computes where the network is, and answers on the CPU."""

    learner: OperatorLearner
    network: nn.Module
    origin: Origin
    learnt: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def task(self) -> Task:
        """What is asked of the network."""
        return self.learner.task()

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def tensors(self) -> dict[str, Tensor]:
        """Weights, scales, and what was learnt of errors."""
        return {
            **{f"network.{name}": tensor for name, tensor in weights_of(self.network).items()},
            **{f"learnt.{name}": tensor for name, tensor in self.learnt.items()},
        }

    def predict(self, inputs: xr.Dataset, *, times: NDArray[np.int64] | None = None) -> Prediction:
        """Mean and variance of every field at the chosen times, from the states at the first time of the full `inputs`.

        The grid may be finer than that of training, or coarser while it resolves the modes; its span is the same.
        Raises `ValueError` for data of another problem or span, and for inputs that are not finite.
        """
        self.origin.refuse_others(inputs)
        self.origin.refuse_other_spans(inputs)
        self._refuse_other_channels(inputs)
        data = _grid_data(self.learner, inputs, self.origin, self.device, first_only=True)
        chosen = np.arange(inputs.sizes[schema.TIME]) if times is None else _checked(times, inputs)
        parts = [self._states(data, rows, chosen) for rows in self.pieces(data)]
        means, variances = (torch.cat(part)[None] for part in zip(*parts, strict=True))
        covariance: Covariance = Diagonal(variances)
        if self.learner.inside is not None and data.given is not None:
            # Points are unsure each by itself, but for what they obey together.
            series = tuple(one[:, torch.from_numpy(chosen)] for one in data.given.series)
            covariance = self.learner.inside.left(variances, Given(series, data.given.tables))
        return Prediction(means, covariance, inputs.isel({schema.TIME: chosen}), self.origin.fields)

    def _states(
        self, data: GridData, rows: NDArray[np.int64], times: NDArray[np.int64]
    ) -> tuple[Tensor, Tensor]:
        """(sample, t, n), float64: fields one after the other, each flattened."""
        _require_finite(data, rows)
        both = self.learner.errors.moments(self, data, rows)
        mean, variance = (values.double().cpu()[:, :, torch.from_numpy(times)] for values in both)
        floor = LEAST_VARIANCE * self.learnt["scale"].double() ** 2
        variance = variance.clamp_min(floor.reshape(-1, *[1] * (variance.ndim - 2)))
        return mean.movedim(2, 1).flatten(2), variance.movedim(2, 1).flatten(2)

    def pieces(self, data: GridData) -> list[NDArray[np.int64]]:
        """The samples, a few at a time."""
        points = len(data.times) * math.prod(len(x) for x in data.space)
        size = max(1, AT_ONCE // (points * (self.learner.members or 1)))
        return np.split(np.arange(len(data)), range(size, len(data), size))

    def outputs(self, data: GridData, rows: NDArray[np.int64]) -> Tensor:
        """What the network says of these samples at all times, ([member,] sample, out, t, *space)."""
        samples = data.rows(rows)
        if self.learner.members is not None:
            samples = samples.for_members(self.learner.members)
        with torch.no_grad():
            return self.task.answer(self.network, samples, data.space, data.tables)

    def lawful(self, states: Tensor, given: tuple[Tensor, ...], tables: tuple[Tensor, ...] | None) -> Tensor:
        """Fields (sample, field, t, *space) as what is inside the network makes them, in float64."""
        return states if tables is None else self.network(given, tables, base=states)

    def moments(self, data: GridData, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor | None]:
        """Mean, and variance if the network knows one, (sample, field, t, *space)."""
        return self.learner.answer.moments(self.outputs(data, rows), 1 + len(data.space))

    def _refuse_other_channels(self, data: xr.Dataset) -> None:
        known = {
            *schema.by_role(data, schema.PARAMETER),
            *walls_of(data),
            *self.origin.fields,
            *self.origin.grid,
        }
        missing = [name for name in self.origin.inputs if name not in known]
        if missing:
            raise ValueError(
                f"The surrogate reads {', '.join(self.origin.inputs)}; the data have no {', '.join(missing)}. Give data "
                "that carry them, or train a surrogate that does not need them."
            )
        if (
            not isinstance(self.task, Whole)
            and data.sizes[schema.TIME] != self.origin.grid[schema.TIME].points
        ):
            raise ValueError(
                f"This surrogate goes from one stored time to the next, {self.origin.grid[schema.TIME].points} in all; "
                f"the data have {data.sizes[schema.TIME]}. Give data stored at the same times."
            )


def _fit(
    learner: OperatorLearner,
    train: xr.Dataset,
    valid: xr.Dataset,
    seed: int,
    where: torch.device,
    folder: Path | None,
    resume: bool,
    on_progress: Callable[[Progress], None],
) -> FittedOperator:
    if where.type == "cuda":
        where = torch.device("cuda", torch.cuda.current_device())
    origin = _origin_of(learner, train)
    origin.refuse_others(valid)
    learned, judged = (_grid_data(learner, data, origin, where) for data in (train, valid))
    terms = [one.on(train, origin.fields) for one in learner.penalties]
    learned = replace(learned, asked=tuple(series for term in terms for series in term.given.series))
    scaled, seeds = field_scales(learned, changes=not isinstance(learner.task(), Whole)), learner.seeds(seed)
    task, answer, members = learner.task(), learner.answer, learner.members is not None
    network = _networks(learner, origin, scaled, seeds).to(where)
    units = units_of(scaled, origin, where)
    batches = Batches(learned, learner.batch, task.length(len(learned.times)), tuple(seeds), members)
    fitted = FittedOperator(learner, network, origin)
    space, tables = learned.space, learned.tables
    asked = total_penalty(terms, units.axes, answer, where)

    def loss(network: nn.Module, batch: Batch) -> Tensor:
        if batch.samples.lead[-1] == 0:  # a process without a share of the last, small batch: gradients of 0
            return torch.stack([weights.sum() for weights in network.parameters()])[:0]
        samples = batch.samples
        out = task.answer(network, samples, space, tables)
        values = answer.loss(out, samples.states, units, network, epoch=batch.epoch, count=batch.count)
        return values + asked(out, samples) if terms else values

    def validate(network: nn.Module) -> Tensor:
        scores = [
            answer.score(fitted.outputs(judged, rows), judged.rows(rows).states, units).double()
            for rows in fitted.pieces(judged)
        ]
        return torch.cat(scores, dim=-1).mean(-1)

    training.train(
        network, loss, batches, validate, learner.settings(), seed=seed,
        identity={**learner.identity(), "train": learned.described(), "valid": judged.described()},
        folder=folder, resume=resume, on_progress=on_progress, batch_size=learner.batch, shared=True,
        clip=clip_members if members else None,
    )  # fmt: skip
    learnt = {"scale": units.scale, **learner.errors.learn(fitted, learned, judged)}
    return replace(fitted, learnt={name: tensor.cpu() for name, tensor in learnt.items()})


def _grid_data(
    learner: OperatorLearner, data: xr.Dataset, origin: Origin, device: torch.device, first_only: bool = False
) -> GridData:
    given = None if learner.inside is None else learner.inside.read(data, origin.fields)
    return GridData(data, origin, device, first_only, given)


def _networks(
    learner: OperatorLearner, origin: Origin, scaled: Mapping[str, Scaling], seeds: Sequence[int]
) -> nn.Module:
    """The network, or those of all members as one."""
    networks = [new_network(learner, origin, scaled, seed) for seed in seeds]
    return networks[0] if learner.members is None else Stacked(networks)


def new_network(
    learner: OperatorLearner, origin: Origin, scaled: Mapping[str, Scaling], seed: int
) -> nn.Module:
    """The learner's network with initial weights that depend on the seed alone, between its scales."""
    answer, task = learner.answer, learner.task()
    with training.seeded(seed, torch.device("cpu")):
        inner = learner.network(origin.inputs, answer.groups * len(origin.fields), task.axes(origin), origin)
    known = {name: (0.5, 0.5) for name in origin.grid}
    known |= {name: (one.mean, one.std or 1.0) for name, one in scaled.items()}
    changes = [scaled.get(f"change of {name}", scaled[name]) for name in origin.fields]
    outputs = [(one.mean if isinstance(task, Whole) else 0.0, one.std or 1.0) for one in changes]
    gaussian = isinstance(answer, Gaussian)
    network = Normalised(inner, [known[name] for name in origin.inputs], outputs, variance=gaussian)
    if learner.inside is None:
        return network
    with training.seeded(seed, torch.device("cpu")):
        return Lawful(learner.inside, network, origin, times=isinstance(task, Whole), variance=gaussian)


def _origin_of(learner: OperatorLearner, train: xr.Dataset) -> Origin:
    fields = chosen_states(train, learner.fields)
    parameters = schema.by_role(train, schema.PARAMETER) if learner.parameters else []
    walls = walls_of(train) if learner.reads_walls else ()
    if learner.reads_walls and not walls:
        raise ValueError(
            "No wall of these data prescribes anything, so there are no boundary values to read; train `fno`."
        )
    if train.sizes[schema.SAMPLE] < 2:
        raise ValueError(
            f"{train.sizes[schema.SAMPLE]} training sample; give 2 or more, or nothing tells what varies."
        )
    if train.sizes[schema.TIME] < 2:
        raise ValueError("The data have one time; there is nothing to predict. Generate with --nt 2 or more.")
    return Origin.of(train, fields, inputs=input_names(fields, schema.axes(train), parameters, walls))


def _checked(times: NDArray[np.int64], data: xr.Dataset) -> NDArray[np.int64]:
    times, count = np.asarray(times, dtype=np.int64), data.sizes[schema.TIME]
    if len(times) == 0 or times.min() < 0 or times.max() >= count:
        raise ValueError(f"times={times}; give indices from 0 to {count - 1}, at least one.")
    return times


def _require_finite(data: GridData, rows: NDArray[np.int64]) -> None:
    known = data.rows(rows)
    for values, what in (
        (known.states, "The state at the first time"), (known.parameters, "A parameter"),
        *((wall, "A boundary value") for wall in known.walls),
    ):  # fmt: skip
        wrong = torch.nonzero(~torch.isfinite(values))
        if len(wrong):
            number = data.numbers[int(rows[int(wrong[0, 0])])]
            raise ValueError(f"{what} of sample {number} is not finite; leave that sample out.")
