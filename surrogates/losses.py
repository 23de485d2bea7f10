"""How far a prediction is from the truth, one number for each sample.

Fields are (..., sample, field, *grid); `axes` counts the dimensions of the grid. All are proper for what they judge: the
first two a mean, the next two a Gaussian at each point, the last a set of samples of whole fields.
"""

import math

import torch
from torch import Tensor


def relative_l2(prediction: Tensor, target: Tensor, axes: int, floor: Tensor | float = 0.0) -> Tensor:
    """Σ over fields of ‖û − u‖ / max(‖u‖, floor √points) / fields, norms over the grid, (..., sample).

    `floor`, a root mean square of each field, keeps a sample that is zero throughout from counting infinitely.
    """
    points = math.prod(target.shape[target.ndim - axes :])
    error = _norm(prediction - target, axes)
    size = torch.maximum(_norm(target, axes), torch.as_tensor(floor).to(target) * points**0.5)
    return (error / size).mean(-1)


def _norm(values: Tensor, axes: int) -> Tensor:
    return torch.linalg.vector_norm(values, dim=tuple(range(-axes, 0)))


def mean_square(prediction: Tensor, target: Tensor, axes: int, scale: Tensor | float = 1.0) -> Tensor:
    """Mean of ((û − u) / scale)² over fields and grid, (..., sample); `scale` is (field,)."""
    error = (prediction - target) / _over_grid(scale, target, axes)
    return error.square().flatten(-1 - axes).mean(-1)


def gaussian_nll(
    mean: Tensor, variance: Tensor, target: Tensor, axes: int, scale: Tensor | float = 1.0
) -> Tensor:
    """Mean of −log N(u; mean, variance) over fields and grid, in units of `scale`, (..., sample)."""
    scale = _over_grid(scale, target, axes)
    variance = variance / scale**2
    squared = ((target - mean) / scale).square() / variance
    return 0.5 * (squared + variance.log() + math.log(2 * math.pi)).flatten(-1 - axes).mean(-1)


def gaussian_crps(
    mean: Tensor, variance: Tensor, target: Tensor, axes: int, scale: Tensor | float = 1.0
) -> Tensor:
    """Mean of σ (z (2Φ(z) − 1) + 2φ(z) − 1/√π), z = (u − mean)/σ, in units of `scale`, (..., sample).

    The continuous ranked probability score of a Gaussian, Gneiting and Raftery 2007, eq. 21.
    """
    std = variance.sqrt()
    z = (target - mean) / std
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
    score = std * (z * torch.erf(z / math.sqrt(2.0)) + 2 * density - 1 / math.sqrt(math.pi))
    return (score / _over_grid(scale, target, axes)).flatten(-1 - axes).mean(-1)


def energy(samples: Tensor, target: Tensor, axes: int, scale: Tensor | float = 1.0) -> Tensor:
    """Mean ‖U − u‖ − ½ mean ‖U − U'‖ over draws U ≠ U', norms root mean squares in units of `scale`, (..., sample).

    The energy score (Gneiting and Raftery 2007, eq. 22), unbiased in the number of draws. `samples` are
    (..., sample, draw, field, *grid). One draw has no U' and gives its root mean square error.
    """
    scale = _over_grid(scale, target, axes)
    flat = (samples / scale).flatten(-1 - axes)  # (..., sample, draw, n)
    truth = (target / scale).flatten(-1 - axes).unsqueeze(-2)
    count, root = flat.shape[-2], flat.shape[-1] ** 0.5
    apart = torch.linalg.vector_norm(flat - truth, dim=-1).mean(-1)
    if count > 1:
        # Pair by pair, each once: cdist would square and cancel.
        pairs = torch.combinations(torch.arange(count, device=flat.device))
        between = torch.linalg.vector_norm(flat[..., pairs[:, 0], :] - flat[..., pairs[:, 1], :], dim=-1)
        apart = apart - 0.5 * between.mean(-1)
    return apart / root


def _over_grid(scale: Tensor | float, like: Tensor, axes: int) -> Tensor:
    """(field,) or a number, ready to stand beside (..., field, *grid)."""
    scale = torch.as_tensor(scale).to(like)
    return scale.reshape(*scale.shape, *[1] * axes) if scale.ndim else scale
