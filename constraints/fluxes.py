"""Fluxes between cells as datasets declare them: −∂Φ(u)/∂x with Φ = ∫ k du, and f(u), of arrays and of tensors alike."""

from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FloatArray = NDArray[np.float64]
Values = TypeVar("Values", FloatArray, Tensor)

#: Conductivities k(u): p, u^p, and 1 where u ≥ p, else 0.
KINDS = ("constant", "power", "step")
#: Fluxes f(u) that the flow carries: p u, and u²/2.
CARRIED = ("linear", "square")


def potential(kind: str, u: Values, p: Values) -> Values:
    """Φ(u) = ∫_0^u k."""
    if kind == "constant":
        return p * u
    if kind == "step":
        return (u - p).clip(0.0)
    # The conductivity of a density is 0 where a linearisation takes it below 0.
    return u.clip(0.0) ** (p + 1.0) / (p + 1.0)


def conductivity(kind: str, u: FloatArray, p: FloatArray) -> FloatArray:
    """k(u)."""
    if kind == "constant":
        return np.broadcast_to(p, u.shape)
    if kind == "step":
        return (u >= p).astype(np.float64)
    return np.asarray(u.clip(0.0) ** p)


def conducted(phi: Values, low: Values, high: Values, h: float) -> tuple[Values, Values, Values]:
    """−∂Φ/∂x at the low wall, between cells, and at the high wall, where Φ is `low` and `high`, half a cell away."""
    inner = (phi[..., :-1] - phi[..., 1:]) / h
    return 2.0 * (low - phi[..., :1]) / h, inner, 2.0 * (phi[..., -1:] - high) / h


def carried(kind: str, u: Tensor, p: Tensor | None) -> Tensor:
    """f at the faces of all cells but the two at each end, (…, n) → (…, n − 3): Godunov's flux of limited edge values.

    Edge values are u ± σ/2 with van Leer's slope σ, as in the second-order schemes that make such data.
    S. K. Godunov, Mat. Sb. 47, 1959; B. van Leer, J. Comput. Phys. 14, 1974.
    """
    half = 0.5 * _slope(u[..., 1:-1] - u[..., :-2], u[..., 2:] - u[..., 1:-1])
    left, right = (u[..., 1:-1] + half)[..., :-1], (u[..., 1:-1] - half)[..., 1:]
    if kind == "linear":
        assert p is not None
        return p.clamp_min(0.0) * left + p.clamp_max(0.0) * right
    return 0.5 * torch.maximum(left.clamp_min(0.0).square(), right.clamp_max(0.0).square())


def _slope(a: Tensor, b: Tensor) -> Tensor:
    """2 a b / (a + b) where a and b agree in sign, else 0; its derivative is finite everywhere."""
    agree = a * b > 0.0
    total = torch.where(agree, a + b, 1.0)
    return torch.where(agree, 2.0 * a * b / total, 0.0)
