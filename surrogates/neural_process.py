"""The attentive neural process (ANP): a few points of a function in, a mixture of Gaussians at every point out.

Training and prediction as in Hansen et al., ICML 2023, arXiv:2302.11002, whose black box it is. It is told no
parameter of the problem; all that it knows of a function are its context points.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from lawbound.datasets import schema
from lawbound.datasets.points import Points, context_points, target_points
from lawbound.datasets.provenance import values_hash
from lawbound.surrogates import training
from lawbound.surrogates.attentive_network import AttentiveNetwork, Batch, loss
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.pair_penalty import PairPenalty
from lawbound.surrogates.prediction import Prediction
from lawbound.surrogates.streams import stream
from lawbound.surrogates.surrogate import InLoss, Origin, Progress, first_state

#: Rows (draw, sample, point) that pass the network together at prediction; bounds its memory.
ROWS = 2**14

_DECIDE_TRAINING = ("width", "heads", "dropout", "normalise", "batch", "context_seed", "compiled")


@final
@dataclass(frozen=True)
class AttentiveNeuralProcess:
    """How to build and train an ANP. The defaults are the published ones, but for dropout at prediction.

    normalise: map (t, x) to [−1, 1]² and u to mean 0 and variance 1 by the training data; published: False.
    dropout_at_prediction: False predicts with the whole network. True takes new dropout masks for each of the
    `draws`, as the published results do (their network never enters evaluation mode).
    context_seed picks the context points that each function keeps, prediction_seed the draws at prediction.
    compiled: train `torch.compile`d; on a GPU a step takes half the time, after half a minute of compiling.
    penalties: terms of the loss, of means at two neighbouring times of each function (`pair_penalty.PairPenalty`).
    """

    name: ClassVar[str] = "anp"
    summary: ClassVar[str] = "attentive neural process: 10 × 10 context points in, a mixture of Gaussians out"

    width: int = 128
    heads: int = 4
    dropout: float = 0.1
    normalise: bool = False
    epochs: int = 500
    batch: int = 250
    learning_rate: float = 1e-4
    clip_norm: float | None = None
    validate_every: int = 10
    draws: int = 100
    dropout_at_prediction: bool = False
    context_seed: int = 0
    prediction_seed: int = 0
    compiled: bool = False
    penalties: tuple[InLoss, ...] = ()

    def __post_init__(self) -> None:
        for option in ("width", "heads", "batch", "draws"):
            if getattr(self, option) < 1:
                raise ValueError(f"{option}={getattr(self, option)}; give an integer of at least 1.")
        for option in ("context_seed", "prediction_seed"):
            if getattr(self, option) < 0:
                raise ValueError(f"{option}={getattr(self, option)}; give an integer of at least 0.")
        if self.width % self.heads:
            raise ValueError(
                f"width={self.width} does not divide into heads={self.heads}; give a multiple of the heads as width."
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout={self.dropout}; give a share of at least 0 and below 1.")
        if self.dropout_at_prediction and self.dropout == 0.0:
            raise ValueError(
                "dropout_at_prediction=True needs a dropout above 0; give one, or leave both out."
            )
        self._settings()

    def options(self) -> Mapping[str, Any]:
        """The hyperparameters as JSON values."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "penalties"}

    @property
    def specs(self) -> tuple[str, ...]:
        """The terms of its loss, in the words of the command line."""
        return tuple(one.spec for one in self.penalties)

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
    ) -> "FittedNeuralProcess":
        """Train on one split and choose by another; same arguments and seed give the same network bit for bit.

        Raises `ValueError` for fields that are not finite, and `training.Diverged` if the loss is not.
        """
        where = training.chosen_device(device)
        origin = Origin.of(train, first_state(train))
        origin.refuse_others(valid)
        learned, judged = _Functions.of(train, origin.field), _Functions.of(valid, origin.field)
        learned.require_finite("training")
        judged.require_finite("validation")

        # A function keeps its context for good, as in the published data sets. Those keep one choice of targets
        # too; drawn anew each epoch they come from the same distribution, and no choice is learnt by heart.
        contexts = learned.context(self.context_seed)
        held_out = Batch(
            judged.context(self.context_seed),
            judged.at(target_points(judged.data, stream(self.context_seed, "validation", 0))),
        ).split(self.batch, where)

        terms = [one.on(train, (origin.field,)) for one in self.penalties]
        penalised = PairPenalty(terms, train, where) if terms else None
        told: Callable[[AttentiveNetwork, Any], Tensor] = penalised or loss

        def batches(epoch: int) -> Sequence[Any]:  # of what the loss takes
            random = stream(seed, "epoch", epoch)
            targets = learned.at(target_points(learned.data, random))
            order = torch.from_numpy(random.permutation(len(contexts)))
            drawn = Batch(contexts[order], targets[order]).split(self.batch, where)
            if penalised is None:
                return drawn
            return penalised.paired(drawn, order, stream(seed, "pairs", epoch))

        def validate(network: AttentiveNetwork) -> float:
            return float(torch.cat([loss(network, batch) for batch in held_out]).double().mean())

        with training.seeded(seed, where):
            network = self._network()
        if self.normalise:
            _normalise_by(network, learned, contexts)
        network.to(where)
        training.train(
            network,
            torch.compile(told) if self.compiled else told,
            batches,
            validate,
            self._settings(),
            seed=seed,
            identity={option: getattr(self, option) for option in _DECIDE_TRAINING}
            | ({"constraints": list(self.specs)} if terms else {})
            | {"train": learned.described(), "valid": judged.described()},
            folder=folder,
            resume=resume,
            on_progress=on_progress,
        )
        return FittedNeuralProcess(self, network, origin)

    def restore(self, tensors: Mapping[str, Tensor], origin: Origin) -> "FittedNeuralProcess":
        """The surrogate whose `tensors()` these are; raises `ValueError` if they do not fit the options."""
        with training.seeded(0, torch.device("cpu")):  # initial weights, of which none stays
            network = self._network()
        try:
            network.load_state_dict(dict(tensors))
        except RuntimeError as error:
            raise ValueError(f"These are not the tensors of an ANP of width {self.width}: {error}") from None
        return FittedNeuralProcess(self, network.eval(), origin)

    def _network(self) -> AttentiveNetwork:
        return AttentiveNetwork(self.width, self.heads, self.dropout)

    def _settings(self) -> training.Settings:
        return training.Settings(self.epochs, self.learning_rate, self.validate_every, self.clip_norm)


@final
@dataclass(frozen=True)
class FittedNeuralProcess:
    """A trained ANP. It computes where its network is, and answers on the CPU."""

    learner: AttentiveNeuralProcess
    network: AttentiveNetwork
    origin: Origin

    def tensors(self) -> dict[str, Tensor]:
        """Weights, and the buffers of the normalisation."""
        return dict(self.network.state_dict())

    def predict(self, inputs: xr.Dataset, *, times: NDArray[np.int64] | None = None) -> Prediction:
        """One Gaussian per latent draw at the chosen times, from the context points of the full `inputs`.

        What a sample gets depends on its number, its context and the seeds, not on the other samples. The
        answer takes 16 bytes for each draw and point. Raises `ValueError` for data of another problem and for
        context values that are not finite.
        """
        self.origin.refuse_others(inputs)
        options, functions = self.learner, _Functions.of(inputs, self.origin.field)
        contexts = functions.context(options.context_seed)
        _require_finite_context(contexts, functions.numbers)
        chosen = inputs if times is None else inputs.isel({schema.TIME: _checked(times, inputs)})
        coordinates = _grid(chosen)
        means = torch.empty((options.draws, len(contexts), len(coordinates)), dtype=torch.float64)
        variances = torch.empty_like(means)
        fill = self._fill_with_masks if options.dropout_at_prediction else self._fill
        with torch.inference_mode():
            fill(means, variances, contexts, coordinates, functions.numbers)
        shape = (options.draws, *(chosen.sizes[dim] for dim in schema.FIELD_DIMS))
        return Prediction(
            means.reshape(shape), Diagonal(variances.reshape(shape)), chosen, (self.origin.field,)
        )

    def _fill(
        self, means: Tensor, variances: Tensor, contexts: Tensor, coordinates: Tensor, numbers: list[int]
    ) -> None:
        """Encoder and attention once for each sample; z and the decoder once for each draw."""
        size = max(1, ROWS // max(len(means) * len(coordinates), contexts.shape[1]))
        for first in range(0, len(contexts), size):
            rows = slice(first, first + size)
            noise = self._noise(numbers[rows])
            _decode_into(means[:, rows], variances[:, rows], self.network, contexts[rows], coordinates, noise)

    def _fill_with_masks(
        self, means: Tensor, variances: Tensor, contexts: Tensor, coordinates: Tensor, numbers: list[int]
    ) -> None:
        """Everything once for each draw and sample, each with dropout masks of its own."""
        network = copy.deepcopy(self.network).train()
        for i, number in enumerate(numbers):
            row, draws = slice(i, i + 1), len(means)
            masks = int(stream(self.learner.prediction_seed, "masks", number).integers(2**63))
            with training.seeded(masks, network.shift.device):
                _decode_into(
                    means[:, row], variances[:, row], network, contexts[row].expand(draws, -1, -1, -1),
                    coordinates, self._noise([number]),
                )  # fmt: skip

    def _noise(self, numbers: list[int]) -> Tensor:
        """ε of z = μ + σ ε, (draw, sample, latent); made on the CPU, so that every device has the same."""
        shape, seed = (self.learner.draws, self.learner.width), self.learner.prediction_seed
        drawn = [
            stream(seed, "latent", number).standard_normal(shape, dtype=np.float32) for number in numbers
        ]
        return torch.from_numpy(np.stack(drawn, axis=1))


def _decode_into(
    means: Tensor,
    variances: Tensor,
    network: AttentiveNetwork,
    contexts: Tensor,
    coordinates: Tensor,
    noise: Tensor,
) -> None:
    """Fill (draw, sample, target), some targets at a time.

    Contexts are (sample, point, 3), or (draw, sample, point, 3) if each draw is to be encoded by itself.
    """
    device = network.shift.device
    contexts = contexts.to(device)
    z = network.latent(contexts).draw(noise.to(device))
    encoding = network.encode(contexts)
    at_once = max(1, ROWS // len(means))
    for first in range(0, len(coordinates), at_once):
        part = slice(first, first + at_once)
        where = coordinates[part].to(device).expand(*contexts.shape[:-2], -1, -1)
        mean, std = network.decode(network.attend(encoding, where), z, where)
        means[..., part] = mean.cpu()
        variances[..., part] = std.double().square().cpu()


@final
@dataclass(frozen=True)
class _Functions:
    """Functions as bare arrays: field (sample, t, x), coordinates, sample numbers."""

    data: xr.Dataset
    field: NDArray[np.floating]
    t: NDArray[np.float64]
    x: NDArray[np.float64]

    @classmethod
    def of(cls, data: xr.Dataset, field: str) -> "_Functions":
        """The functions of a dataset."""
        values = data[field].transpose(*schema.FIELD_DIMS).values
        return cls(data, values, data[schema.TIME].values, data[schema.X].values)

    @property
    def numbers(self) -> list[int]:
        """The numbers of the samples."""
        return [int(number) for number in self.data[schema.SAMPLE].values]

    def at(self, points: Points) -> Tensor:
        """The points (t, x, u), (sample, point, 3)."""
        coordinates = points.coordinates(self.t, self.x)
        triples = np.concatenate([coordinates, points.values(self.field)[..., None]], axis=-1)
        return torch.from_numpy(triples.astype(np.float32))

    def context(self, seed: int) -> Tensor:
        """The context points that each function keeps, (sample, point, 3)."""
        return self.at(context_points(self.data, seed=seed))

    def require_finite(self, what: str) -> None:
        """Raise `ValueError` if a value is not finite; a NaN goes through min and max, and costs no mask."""
        if not (np.isfinite(self.field.min()) and np.isfinite(self.field.max())):
            sample = self.numbers[int(np.argwhere(~np.isfinite(self.field))[0, 0])]
            raise ValueError(
                f"The {what} data are not finite in sample {sample}; look at them with `lawbound check`."
            )

    def described(self) -> list[Any]:
        """What tells these data from others."""
        return [values_hash(self.field, self.t, self.x), *self.field.shape]


def _normalise_by(network: AttentiveNetwork, functions: _Functions, contexts: Tensor) -> None:
    """Set shift and scale: the coordinates' spans, and the moments of u over all context points."""
    u = contexts[..., 2].double()
    spans = [(float(axis[0]), float(axis[-1])) for axis in (functions.t, functions.x)]
    spread = float(u.std())
    network.shift.copy_(torch.tensor([*((low + high) / 2 for low, high in spans), float(u.mean())]))
    network.scale.copy_(
        torch.tensor([*((high - low) / 2 for low, high in spans), spread if spread > 0 else 1.0])
    )


def _grid(data: xr.Dataset) -> Tensor:
    """(t, x) of every point, (t · x, 2), times varying slowest."""
    t, x = (torch.from_numpy(data[name].values.astype(np.float32)) for name in (schema.TIME, schema.X))
    return torch.cartesian_prod(t, x)


def _checked(times: NDArray[np.int64], data: xr.Dataset) -> NDArray[np.int64]:
    times, count = np.asarray(times), data.sizes[schema.TIME]
    if len(times) == 0 or times.min() < 0 or times.max() >= count:
        raise ValueError(f"times={times}; give indices from 0 to {count - 1}, at least one.")
    return times


def _require_finite_context(contexts: Tensor, numbers: list[int]) -> None:
    wrong = torch.nonzero(~torch.isfinite(contexts[..., 2]))
    if len(wrong):
        sample, point = (int(i) for i in wrong[0])
        t, x = (float(value) for value in contexts[sample, point, :2])
        raise ValueError(
            f"The context of sample {numbers[sample]} is not finite at (t, x) = ({t:g}, {x:g}); "
            "predictions start from these values, so repair the data or leave the sample out."
        )
