"""A prediction: a distribution over fields, with labels."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from lawbound.datasets import schema
from lawbound.surrogates.covariance import Covariance, Diagonal


@final
@dataclass(frozen=True)
class Prediction:
    """An equal mixture of Gaussians over fields u(t, x), one component for each latent draw.

    means: (draw, sample, t, x), float64; covariance: of the same shape. A single Gaussian has one draw.
    `inputs` holds what was predicted from: coordinates, weights, walls, laws; never read for its truth.
    """

    means: Tensor
    covariance: Covariance
    inputs: xr.Dataset
    field: str = "u"

    def __post_init__(self) -> None:
        wanted = tuple(self.inputs.sizes[dim] for dim in schema.FIELD_DIMS)
        if (
            self.means.ndim != 4
            or tuple(self.means.shape[1:]) != wanted
            or self.covariance.shape != self.means.shape
        ):
            raise ValueError(
                f"A prediction got means of shape {tuple(self.means.shape)} and a covariance of shape "
                f"{tuple(self.covariance.shape)}; both must be (draw, sample, t, x) = (draw, {', '.join(map(str, wanted))})."
            )
        if not bool(torch.isfinite(self.means).all()):
            draw, sample, time, x = (int(i) for i in torch.nonzero(~torch.isfinite(self.means))[0])
            raise ValueError(
                f"The prediction is not finite at (draw, sample, t, x) index {(draw, sample, time, x)}; "
                "look at the surrogate's training log and inputs."
            )

    @property
    def mean(self) -> Tensor:
        """E u, (sample, t, x)."""
        return self.means.mean(0)

    @property
    def variance(self) -> Tensor:
        """var u, (sample, t, x): average within draws plus the variance between draws."""
        within = self.covariance.variance().mean(0)
        return within + self.means.var(0, correction=0)

    @property
    def std(self) -> Tensor:
        """Standard deviation, (sample, t, x)."""
        return self.variance.sqrt()

    def sample(self, count: int, *, seed: int = 0) -> Tensor:
        """Joint samples of whole fields, (count, sample, t, x): a draw at random, then a Gaussian sample of it."""
        generator = torch.Generator().manual_seed(seed)
        draws = torch.randint(len(self.means), (count,), generator=generator)
        return self.means[draws] + self.covariance.take(draws).sample(generator)

    def log_density(self, values: Tensor, *, floor: float = 1e-8) -> Tensor:
        """log N(values; mean, variance) at each point, (sample, t, x), with variances of at least `floor`.

        This is ProbConserv's LL before its average over x: marginal, with pooled moments (its floor too).
        """
        variance = self.variance.clamp_min(floor)
        return -0.5 * ((values - self.mean) ** 2 / variance + variance.log() + np.log(2.0 * np.pi))

    def to_dataset(self) -> xr.Dataset:
        """The inputs with `pred_<field>_mean` and `pred_<field>_std`, (sample, t, x), float64, added."""
        mean, std = f"pred_{self.field}_mean", f"pred_{self.field}_std"
        common = {"units": "1", schema.ROLE: schema.PREDICTION, "lawbound_predicts": self.field}
        return self.inputs.assign(
            {
                mean: (
                    schema.FIELD_DIMS,
                    self.mean.numpy(),
                    {**common, "long_name": f"predictive mean of {self.field}", "ancillary_variables": std},
                ),
                std: (
                    schema.FIELD_DIMS,
                    self.std.numpy(),
                    {**common, "long_name": f"predictive standard deviation of {self.field}"},
                ),
            }
        )


def from_moments(data: xr.Dataset, *, field: str = "u") -> Prediction:
    """The prediction stored in a dataset as `pred_<field>_mean` and `pred_<field>_std`, points independent.

    With a dimension `realization` on both, each realization is a component of a mixture. Raises `ValueError`
    if they are missing.
    """
    mean, std = f"pred_{field}_mean", f"pred_{field}_std"
    missing = [name for name in (mean, std) if name not in data]
    if missing:
        raise ValueError(
            f"The dataset has no {' and no '.join(missing)}; make predictions with `lawbound predict`."
        )
    tensors = []
    for name in (mean, std):
        array = (
            data[name]
            if schema.REALIZATION in data[name].dims
            else data[name].expand_dims(schema.REALIZATION)
        )
        values = array.transpose(schema.REALIZATION, *schema.FIELD_DIMS).values
        tensors.append(torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64)))
    if not bool((tensors[1] >= 0).all()):
        raise ValueError(f"`{std}` has negative or NaN entries; standard deviations are ≥ 0.")
    inputs = data.drop_vars([mean, std])
    return Prediction(tensors[0], Diagonal(tensors[1] ** 2), inputs, field)
