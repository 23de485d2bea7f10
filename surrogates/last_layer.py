"""The last layer of a network on a grid is linear, so a Gaussian prior on its weights has a Gaussian posterior.

With features φ (and a 1 for the bias) at every point of every training sample, precision α of the prior and variance σ² of
the noise, the posterior precision is ΦᵀΦ/σ² + α I. The features are those of all fields, so one eigendecomposition
serves them all. α and σ² maximise the evidence by its fixed point (MacKay 1992; Bishop 2006, eqs. 3.91-3.95), around the
trained weights instead of the least squares ones. Points are taken as independent, as is usual; those of a smooth field are
not, so the part that weights contribute is too small rather than too large, and σ² carries the rest.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lawbound.surrogates.fourier_operator import FourierOperator
from lawbound.surrogates.lawful import core
from lawbound.surrogates.normalised import Normalised
from lawbound.surrogates.operator_surrogate import FittedOperator
from lawbound.surrogates.samples import GridData
from lawbound.surrogates.tasks import Whole

_ITERATIONS = 100


def _networks(fitted: FittedOperator) -> tuple[Normalised, FourierOperator]:
    outer = core(fitted.network)
    assert isinstance(outer, Normalised) and isinstance(outer.network, FourierOperator)
    return outer, outer.network


def hidden(fitted: FittedOperator, data: GridData, rows: NDArray[np.int64]) -> Tensor:
    """φ before dropout, (sample, t, *space, hidden)."""
    outer, inner = _networks(fitted)
    assert isinstance(fitted.task, Whole)
    with torch.no_grad():
        channels = fitted.task.channels(data.rows(rows), data.space)
        return inner.eval().features(outer.normalised(channels))


def dropout_rate(fitted: FittedOperator) -> float:
    """The share of features that a mask takes away."""
    return _networks(fitted)[1].dropout.p


def outputs(fitted: FittedOperator, features: Tensor) -> Tensor:
    """The network's answer in physical units, (sample, field, t, *space)."""
    outer, inner = _networks(fitted)
    values = inner.last(features) * outer.output_scale + outer.output_shift
    return values.movedim(-1, 1)


@torch.no_grad()
def posterior(fitted: FittedOperator, train: GridData) -> dict[str, Tensor]:
    """vectors (hidden + 1, hidden + 1), variances of the weights along them, (field, hidden + 1), and noise, (field,).

    In units of the normalised fields.
    """
    outer, inner = _networks(fitted)
    weights = torch.cat([inner.last.weight, inner.last.bias[:, None]], dim=1).detach().double().cpu()
    fields, size = weights.shape
    gram, squares, count = (
        torch.zeros(size, size, dtype=torch.float64),
        torch.zeros(fields, dtype=torch.float64),
        0,
    )
    for rows in fitted.pieces(train):
        features = hidden(fitted, train, rows)
        samples = train.rows(rows)
        out = fitted.lawful(outputs(fitted, features), samples.given, train.tables)
        shape = (-1, *[1] * (out.ndim - 2))
        error = (out - samples.states) / outer.output_scale.reshape(shape)
        squares += error.double().square().transpose(0, 1).flatten(1).sum(1).cpu()
        phi = _with_one(features).flatten(0, -2).double()
        gram += (phi.T @ phi).cpu()
        count += len(phi)
    values, vectors = torch.linalg.eigh(gram)
    variances, noises = zip(
        *(
            _evidence(values.clamp_min(0.0), w, float(sse), count)
            for w, sse in zip(weights, squares, strict=True)
        ),
        strict=True,
    )
    return {
        "vectors": vectors.contiguous(),
        "weight_variance": torch.stack(variances),
        "noise": torch.tensor(noises, dtype=torch.float64),
    }


def _evidence(values: Tensor, weights: Tensor, squares: float, count: int) -> tuple[Tensor, float]:
    """1/(λ/σ² + α) and σ² at the fixed point of γ = Σ λ/(λ + α σ²), α = γ/‖w‖², σ² = Σ e²/(N − γ)."""
    noise, precision = max(squares / count, 1e-12), 1.0
    for _ in range(_ITERATIONS):
        effective = float((values / (values + precision * noise)).sum())
        precision = effective / float(weights.square().sum())
        noise = max(squares / max(count - effective, 1.0), 1e-12)
    return 1.0 / (values / noise + precision), noise


def variance(fitted: FittedOperator, features: Tensor) -> Tensor:
    """φᵀ Σ_w φ + σ² in physical units, (sample, field, t, *space)."""
    outer, _ = _networks(fitted)
    learnt = {name: tensor.to(features.device) for name, tensor in fitted.learnt.items()}
    along = (_with_one(features).double() @ learnt["vectors"]).square()
    total = along @ learnt["weight_variance"].T + learnt["noise"]
    return (total * outer.output_scale.double() ** 2).movedim(-1, 1)


def _with_one(features: Tensor) -> Tensor:
    return torch.cat([features, torch.ones_like(features[..., :1])], dim=-1)
