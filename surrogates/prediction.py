"""A prediction: a distribution over fields, with labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from lawbound.datasets import schema
from lawbound.datasets.layout import Layout
from lawbound.surrogates.covariance import Covariance, Diagonal


@final
@dataclass(frozen=True)
class Prediction:
    """An equal mixture of Gaussians over states u(t), one component for each latent draw.

    means: (draw, sample, t, n), float64; covariance: of the same shape. n counts the state at one time:
    the fields one after the other, each flattened, y before x (`Layout`); for one field on a line it is x.
    A single Gaussian has one draw. `inputs` holds what was predicted from: coordinates, weights, walls, laws;
    never read for its truth.
    """

    means: Tensor
    covariance: Covariance
    inputs: xr.Dataset
    fields: tuple[str, ...] = ("u",)

    def __post_init__(self) -> None:
        wanted = (*(self.inputs.sizes[dim] for dim in (schema.SAMPLE, schema.TIME)), self.layout.size)
        if (
            self.means.ndim != 4
            or tuple(self.means.shape[1:]) != wanted
            or self.covariance.shape != self.means.shape
        ):
            raise ValueError(
                f"A prediction got means of shape {tuple(self.means.shape)} and a covariance of shape "
                f"{tuple(self.covariance.shape)}; both must be (draw, sample, t, n) = (draw, {', '.join(map(str, wanted))})."
            )
        if not bool(torch.isfinite(self.means).all()):
            draw, sample, time, point = (int(i) for i in torch.nonzero(~torch.isfinite(self.means))[0])
            raise ValueError(
                f"The prediction is not finite at (draw, sample, t, n) index {(draw, sample, time, point)}; "
                "look at the surrogate's training log and inputs."
            )

    @property
    def layout(self) -> Layout:
        """Which part of a state is which field."""
        return Layout.of(self.inputs, self.fields)

    @property
    def mean(self) -> Tensor:
        """E u, (sample, t, n)."""
        return self.means.mean(0)

    @property
    def variance(self) -> Tensor:
        """var u, (sample, t, n): average within draws plus the variance between draws."""
        within = self.covariance.variance().mean(0)
        return within + self.means.var(0, correction=0)

    @property
    def std(self) -> Tensor:
        """Standard deviation, (sample, t, n)."""
        return self.variance.sqrt()

    def sample(self, count: int, *, seed: int = 0) -> Tensor:
        """Joint samples of whole fields, (count, sample, t, n): a draw at random, then a Gaussian sample of it."""
        generator = torch.Generator().manual_seed(seed)
        draws = torch.randint(len(self.means), (count,), generator=generator)
        return self.means[draws] + self.covariance.take(draws).sample(generator)

    def log_density(self, values: Tensor, *, floor: float = 1e-8) -> Tensor:
        """log N(values; mean, variance) at each point, (sample, t, n), with variances of at least `floor`.

        This is ProbConserv's LL before its average over x: marginal, with pooled moments (its floor too).
        """
        variance = self.variance.clamp_min(floor)
        return -0.5 * ((values - self.mean) ** 2 / variance + variance.log() + np.log(2.0 * np.pi))

    def of(self, field: str) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of one field, each (sample, t, [y,] x)."""
        part, shape = self.layout.part(field), self.layout.shape
        mean, std = self.mean[..., part], self.std[..., part]
        return mean.reshape(*mean.shape[:-1], *shape), std.reshape(*std.shape[:-1], *shape)

    def to_dataset(self) -> xr.Dataset:
        """The inputs with `pred_<field>_mean` and `pred_<field>_std`, (sample, t, [y,] x), float64, added."""
        return self.inputs.assign(
            {name: moment for field in self.fields for name, moment in self._moments(field).items()}
        )

    def _moments(self, field: str) -> dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]]:
        mean, std = f"pred_{field}_mean", f"pred_{field}_std"
        common = {"units": "1", schema.ROLE: schema.PREDICTION, "lawbound_predicts": field}
        dims = schema.field_dims(self.inputs)
        values = self.of(field)
        return {
            mean: (
                dims,
                values[0].numpy(),
                {**common, "long_name": f"predictive mean of {field}", "ancillary_variables": std},
            ),
            std: (
                dims,
                values[1].numpy(),
                {**common, "long_name": f"predictive standard deviation of {field}"},
            ),
        }


def from_moments(data: xr.Dataset, *, fields: Sequence[str] = ("u",)) -> Prediction:
    """The prediction stored in a dataset as `pred_<field>_mean` and `pred_<field>_std`, points independent.

    With a dimension `realization` on both, each realization is a component of a mixture. Raises `ValueError`
    if they are missing.
    """
    stored = [f"pred_{field}_{moment}" for field in fields for moment in ("mean", "std")]
    missing = [name for name in stored if name not in data]
    if missing:
        raise ValueError(
            f"The dataset has no {' and no '.join(missing)}; make predictions with `lawbound predict`."
        )
    means, deviations = (
        torch.cat([_states(data, f"pred_{field}_{moment}") for field in fields], dim=-1)
        for moment in ("mean", "std")
    )
    if not bool((deviations >= 0).all()):
        raise ValueError(f"`{stored[1]}` has negative or NaN entries; standard deviations are ≥ 0.")
    return Prediction(means, Diagonal(deviations**2), data.drop_vars(stored), tuple(fields))


def _states(data: xr.Dataset, name: str) -> Tensor:
    """A stored moment as (draw, sample, t, points)."""
    array = (
        data[name] if schema.REALIZATION in data[name].dims else data[name].expand_dims(schema.REALIZATION)
    )
    values = array.transpose(schema.REALIZATION, *schema.field_dims(data)).values
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64)).flatten(3)
