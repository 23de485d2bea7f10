"""What a trained network on a grid says of its errors, beyond what its outputs may say themselves."""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lawbound.surrogates import last_layer
from lawbound.surrogates.operator_surrogate import FittedOperator
from lawbound.surrogates.samples import GridData
from lawbound.surrogates.streams import stream
from lawbound.surrogates.training import seeded

Kind = Literal["residual", "variance", "dropout", "laplace"]
Rows = NDArray[np.int64]


@final
@dataclass(frozen=True)
class Own:
    """The variance that the outputs themselves stand for: of a Gaussian, heads or members."""

    def learn(self, fitted: FittedOperator, train: GridData, valid: GridData) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def moments(self, fitted: FittedOperator, data: GridData, rows: Rows) -> tuple[Tensor, Tensor]:
        """As the outputs say."""
        mean, variance = fitted.moments(data, rows)
        assert variance is not None
        return mean, variance


@final
@dataclass(frozen=True)
class Residual:
    """The mean square error over the validation samples: one variance for each field and time.

    Between the times of training it is interpolated.
    """

    def learn(self, fitted: FittedOperator, train: GridData, valid: GridData) -> dict[str, Tensor]:
        """Mean squares, (field, t), and their times."""
        total = torch.zeros(len(valid.origin.fields), len(valid.times), dtype=torch.float64)
        for rows in fitted.pieces(valid):
            error = fitted.moments(valid, rows)[0].double() - valid.rows(rows).states.double()
            total += error.square().flatten(3).mean(-1).sum(0).cpu()
        return {"mean_square": total / len(valid), "times": valid.times.double()}

    def moments(self, fitted: FittedOperator, data: GridData, rows: Rows) -> tuple[Tensor, Tensor]:
        """The mean, and the variance of its time."""
        mean, _ = fitted.moments(data, rows)
        stored, times = fitted.learnt["mean_square"].numpy(), fitted.learnt["times"].numpy()
        now = data.times.cpu().double().numpy()
        variance = torch.from_numpy(np.stack([np.interp(now, times, of_field) for of_field in stored]))
        return mean, variance.reshape(1, *variance.shape, *[1] * (mean.ndim - 3)).expand(mean.shape)


@final
@dataclass(frozen=True)
class Dropout:
    """Mean and unbiased variance over `draws` of dropout masks (Gal and Ghahramani 2016).

    The masks lie on the last hidden layer, so that all before it is computed once.
    """

    draws: int
    seed: int

    def learn(self, fitted: FittedOperator, train: GridData, valid: GridData) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def moments(self, fitted: FittedOperator, data: GridData, rows: Rows) -> tuple[Tensor, Tensor]:
        """Moments over masks; what a sample gets depends on its number and the seed."""
        hidden = last_layer.hidden(fitted, data, rows)
        given = data.rows(rows).given
        with torch.no_grad():
            masked = []
            for i, number in enumerate(np.array(data.numbers)[rows].tolist()):
                values = hidden[i]
                with seeded(int(stream(self.seed, "masks", number).integers(2**63)), torch.device("cpu")):
                    # Made on the CPU, so that every device has the same.
                    keep = torch.rand(self.draws, *values.shape) >= last_layer.dropout_rate(fitted)
                kept = keep.to(values) * values / (1.0 - last_layer.dropout_rate(fitted))
                alike = tuple(one[i].expand(self.draws, *one.shape[1:]) for one in given)
                drawn = fitted.lawful(last_layer.outputs(fitted, kept), alike, data.tables)
                masked.append(drawn.double())
            each = torch.stack(masked)  # (sample, draw, field, t, *space)
        return each.mean(1), each.var(1)


@final
@dataclass(frozen=True)
class Laplace:
    """A Gaussian over the last layer's weights around the trained ones, its prior and noise by the evidence."""

    def learn(self, fitted: FittedOperator, train: GridData, valid: GridData) -> dict[str, Tensor]:
        """The posterior's eigenvectors and variances, and the noise."""
        return last_layer.posterior(fitted, train)

    def moments(self, fitted: FittedOperator, data: GridData, rows: Rows) -> tuple[Tensor, Tensor]:
        """φᵀ Σ_w φ + σ² around the network's own answer."""
        hidden = last_layer.hidden(fitted, data, rows)
        with torch.no_grad():
            given = data.rows(rows).given
            mean = fitted.lawful(last_layer.outputs(fitted, hidden), given, data.tables)
            return mean, last_layer.variance(fitted, hidden)
