"""Gaussian Markov chains along t, one at each point: what Kalman filters and smoothers leave behind."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from lawbound.surrogates.covariance import explained_by_columns, normal, taken


@final
@dataclass(frozen=True)
class MarkovTimes:
    """Σ[(t, x), (s, x)] = σ_t σ_s ρ_s ρ_{s+1} … ρ_{t−1}: points independent, times a Markov chain.

    values: σ², (..., t, x). correlations: ρ of each time with the next, (..., t − 1, x), in [−1, 1]. The precision
    is tridiagonal in t; kept as variances and correlations, no inverse is needed and variances may be 0.
    Raises `ValueError` for negative variances or correlations beyond ±1.
    """

    values: Tensor
    correlations: Tensor

    def __post_init__(self) -> None:
        wanted = (*self.values.shape[:-2], self.values.shape[-2] - 1, self.values.shape[-1])
        if tuple(self.correlations.shape) != wanted:
            raise ValueError(
                f"`MarkovTimes` got correlations of shape {tuple(self.correlations.shape)}; one between each time and "
                f"the next is {wanted}."
            )
        if not bool((self.values >= 0.0).all()) or not bool((self.correlations.abs() <= 1.0).all()):
            raise ValueError(
                "`MarkovTimes` needs variances ≥ 0 and correlations in [−1, 1], none of them NaN."
            )

    @property
    def couples_times(self) -> bool:
        """True."""
        return True

    @property
    def shape(self) -> torch.Size:
        """(..., t, x)."""
        return self.values.shape

    def variance(self) -> Tensor:
        """σ²."""
        return self.values

    def gram(self, left: Tensor, right: Tensor) -> Tensor:
        """G_l Σ G_rᵀ as one block over all times and rows, O(x t² q²)."""
        times, deviation = self.shape[-2], self.values.sqrt()
        blocks = self.values.new_zeros(*self.shape[:-2], times, len(left), times, len(right))
        for start in range(times):
            decay = torch.cumprod(self.correlations[..., start:, :], dim=-2)
            decay = torch.cat((torch.ones_like(deviation[..., :1, :]), decay), dim=-2)
            shared = deviation[..., start:, :] * decay * deviation[..., start : start + 1, :]
            # Points are independent, so (t, s) and (s, t) see the same numbers.
            part = torch.einsum("qx,...tx,rx->...tqr", left, shared, right)
            blocks[..., start:, :, start, :] = part
            blocks[..., start, :, start:, :] = part.movedim(-3, -2)
        return blocks.flatten(-4, -3).flatten(-2).unsqueeze(-3)

    def response(self, weights: Tensor, multipliers: Tensor) -> Tensor:
        """Σ Gᵀ λ by one sweep forward in time and one back, O(t x)."""
        deviation = self.values.sqrt()
        source = deviation * (multipliers @ weights)
        forward = list(source.unbind(-2))
        backward = list(source.unbind(-2))
        rho = self.correlations.unbind(-2)
        for i in range(1, len(forward)):
            forward[i] = forward[i] + rho[i - 1] * forward[i - 1]
        for i in range(len(backward) - 2, -1, -1):
            backward[i] = backward[i] + rho[i] * backward[i + 1]
        return deviation * (torch.stack(forward, -2) + torch.stack(backward, -2) - source)

    def explained(self, weights: Tensor, factor: Tensor) -> Tensor:
        """diag(Σ Gᵀ A⁻¹ G Σ), two sweeps a row."""
        return explained_by_columns(self.response, self.shape, weights, factor, True)

    def sample(self, generator: torch.Generator) -> Tensor:
        """z_{t+1} = ρ_t z_t + √(1 − ρ_t²) ε, times σ."""
        chain = list(normal(self.shape, self.values, generator).unbind(-2))
        fresh = (1.0 - self.correlations.square()).clamp_min(0.0).sqrt()
        for i in range(1, len(chain)):
            chain[i] = self.correlations[..., i - 1, :] * chain[i - 1] + fresh[..., i - 1, :] * chain[i]
        return self.values.sqrt() * torch.stack(chain, dim=-2)

    def take(self, index: Tensor) -> "MarkovTimes":
        """Entries of the first batch dimension."""
        return MarkovTimes(taken(self.values, index), taken(self.correlations, index))


def autoregressive(variance: Tensor, correlation: Tensor | float) -> MarkovTimes:
    """Variances as given, (..., t, x), and a correlation between each time and the next, broadcast to (..., t − 1, x).

    For times Δt apart and a correlation time τ it is exp(−Δt / τ).
    """
    shape = (*variance.shape[:-2], variance.shape[-2] - 1, variance.shape[-1])
    rho = torch.as_tensor(correlation, dtype=variance.dtype, device=variance.device)
    return MarkovTimes(variance, rho.expand(shape))


def smoothed_in_time(
    means: Tensor, variance: Tensor, *, transition: Tensor | float, innovation: Tensor | float
) -> tuple[Tensor, MarkovTimes]:
    """Means and covariance once the times are tied by u_{t+1} = φ u_t + w, w ~ N(0, Q), O(t x).

    means, variance: (..., t, x), what each time says alone; transition φ and innovation Q ≥ 0 broadcast to
    (..., t − 1, x); nothing is known of the first time beyond what it says itself. A Kalman filter forward and a
    smoother back (Rauch, Tung, Striebel, AIAA J. 3, 1965), its variance in the sum-of-squares form, which stays ≥ 0.
    """
    shape = (*variance.shape[:-2], variance.shape[-2] - 1, variance.shape[-1])
    phi, noise = (
        torch.as_tensor(given, dtype=variance.dtype, device=variance.device).expand(shape)
        for given in (transition, innovation)
    )
    if not bool((noise >= 0.0).all()):
        raise ValueError(f"The innovation has variances down to {float(noise.min()):.3g}; they are ≥ 0.")
    mean, spread = [means[..., 0, :]], [variance[..., 0, :]]
    for i in range(shape[-2]):
        ahead, unsure = phi[..., i, :] * mean[i], phi[..., i, :].square() * spread[i] + noise[..., i, :]
        told = variance[..., i + 1, :]
        gain = _ratio(unsure, unsure + told)
        mean.append(ahead + gain * (means[..., i + 1, :] - ahead))
        spread.append(gain * told)
    correlations = []
    for i in range(shape[-2] - 1, -1, -1):
        step, fresh = phi[..., i, :], noise[..., i, :]
        back = _ratio(step * spread[i], step.square() * spread[i] + fresh)
        mean[i] = mean[i] + back * (mean[i + 1] - step * mean[i])
        before = spread[i]
        spread[i] = (
            (1.0 - back * step).square() * before + back.square() * fresh + back.square() * spread[i + 1]
        )
        correlations.append(_ratio(back * spread[i + 1].sqrt(), spread[i].sqrt()).clamp(-1.0, 1.0))
    chain = torch.stack(correlations[::-1], -2) if correlations else variance[..., :0, :]
    return torch.stack(mean, -2), MarkovTimes(torch.stack(spread, -2), chain)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """above / below, 0 where both are 0."""
    return torch.where(below == 0.0, 0.0, above / torch.where(below == 0.0, 1.0, below))
