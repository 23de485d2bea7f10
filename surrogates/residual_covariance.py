"""A covariance learned from a surrogate's own residuals, with evidence on whether to trust it.

On a family with few parameters a surrogate's residuals live on a set of few dimensions: what data reveal of them
at some points (walls, masses) then fixes them nearly everywhere. On a rich family they do not, and a covariance from
few residuals misleads. So rank and shrinkage are chosen by the likelihood of residuals held out, and the result says
how many dimensions it found and whether they carry over.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import final, get_type_hints

import torch
from torch import Tensor

from lawbound.surrogates import held_out
from lawbound.surrogates.held_out import Choice, Over, Rules
from lawbound.surrogates.low_rank import DiagonalLowRank
from lawbound.surrogates.prediction import Prediction

# What must hold for trust: residuals for each effective dimension, share of held-out variance in the modes,
# standard errors above zero.
_PER_DIMENSION, _CARRIED, _ERRORS = 3.0, 0.9, 2.0


@final
@dataclass(frozen=True)
class Evidence:
    """What the residuals say of their covariance.

    participation: (Σ λ)² / Σ λ², of the residuals' variances λ along their principal axes; rank_99: axes that hold
    99 % of the variance (both the largest of all times if each has its own). carried: share of held-out
    residuals' squares within the chosen modes. gain, gain_error: log-likelihood won over independent points for
    each held-out sample, and its standard error. error_ratio, error_ratio_high: held-out RMS error at the other
    points after conditioning on the given points over that before, and its value two standard errors up; NaN
    if no points were given.
    """

    samples: int
    rank: int
    shrinkage: float
    participation: float
    rank_99: int
    carried: float
    gain: float
    gain_error: float
    error_ratio: float = math.nan
    error_ratio_high: float = math.nan

    @property
    def why_not(self) -> str | None:
        """The first reason for distrust, or None."""
        if self.rank == 0:
            return "held-out residuals are no likelier with correlations than with independent points"
        if not self.gain > _ERRORS * self.gain_error:
            return (
                f"correlations win {self.gain:.3g} of log-likelihood a held-out sample, within "
                f"{_ERRORS:.0f} standard errors ({self.gain_error:.2g}) of nothing"
            )
        if self.samples < _PER_DIMENSION * self.rank_99:
            return (
                f"{self.samples} residuals are too few for the {self.rank_99} dimensions that hold 99 % of their "
                f"variance; calibrate on {math.ceil(_PER_DIMENSION * self.rank_99)} or more"
            )
        if self.carried < _CARRIED:
            return f"the modes carry {self.carried:.0%} of the variance of held-out residuals, not {_CARRIED:.0%}"
        if self.error_ratio_high >= 1.0:
            return (
                "conditioning on the given points does not surely lower the held-out error elsewhere "
                f"(ratio {self.error_ratio:.3g}, up to {self.error_ratio_high:.3g})"
            )
        return None


@final
@dataclass(frozen=True)
class ResidualCovariance:
    """N(bias, diag(values) + modes modesᵀ) for truth − predicted mean.

    bias, values: (t, n); modes: (t, n, k), which all times share a latent vector for if `couples_times`.
    """

    bias: Tensor
    values: Tensor
    modes: Tensor
    couples_times: bool
    evidence: Evidence

    @property
    def trusted(self) -> bool:
        """Whether nothing speaks against conditioning on a few points or rows through it."""
        return self.evidence.why_not is None

    @property
    def why(self) -> str:
        """A sentence on why it is to be trusted, or not."""
        found, reason = self.evidence, self.evidence.why_not
        if reason is not None:
            return f"Not to be trusted: {reason}."
        elsewhere = (
            f" Conditioning on the given points multiplies held-out errors elsewhere by {found.error_ratio:.2g}."
            if not math.isnan(found.error_ratio)
            else ""
        )
        return (
            f"To be trusted: {found.samples} residuals span {found.rank_99} dimensions (99 % of the variance), "
            f"{found.carried:.2%} of held-out residuals lie within the {found.rank} modes, and correlations win "
            f"{found.gain:.3g} ± {found.gain_error:.2g} of log-likelihood a held-out sample.{elsewhere}"
        )

    def covariance(self, shape: torch.Size | tuple[int, ...]) -> DiagonalLowRank:
        """The covariance for a batch of predictions, shape (..., t, n); kept once for all of them."""
        if tuple(shape[-2:]) != tuple(self.values.shape):
            raise ValueError(
                f"The residual covariance was learned on states of (t, n) = {tuple(self.values.shape)} and asked for "
                f"{tuple(shape[-2:])}; learn one on that grid and those times."
            )
        ones = (1,) * (len(shape) - 2)
        return DiagonalLowRank(
            self.values.expand(shape), self.modes.reshape(*ones, *self.modes.shape), self.couples_times
        )

    def applied_to(self, prediction: Prediction) -> Prediction:
        """The prediction's pooled mean plus the bias, with this covariance in place of its own; one draw."""
        means = (prediction.mean + self.bias)[None]
        return replace(prediction, means=means, covariance=self.covariance(means.shape))

    def tensors(self) -> dict[str, Tensor]:
        """Everything as tensors, float64."""
        found = {
            f.name: torch.tensor(float(getattr(self.evidence, f.name)), dtype=torch.float64)
            for f in fields(Evidence)
        }
        coupled = torch.tensor(float(self.couples_times), dtype=torch.float64)
        return {
            "bias": self.bias,
            "values": self.values,
            "modes": self.modes,
            "couples_times": coupled,
            **found,
        }

    @staticmethod
    def from_tensors(tensors: Mapping[str, Tensor]) -> "ResidualCovariance":
        """The inverse of `tensors`; raises `ValueError` if one is missing."""
        wanted = {"bias", "values", "modes", "couples_times", *(f.name for f in fields(Evidence))}
        if missing := wanted - set(tensors):
            raise ValueError(
                f"The stored residual covariance lacks {', '.join(sorted(missing))}; learn it again."
            )
        kinds = get_type_hints(Evidence)
        evidence = Evidence(**{f.name: kinds[f.name](tensors[f.name]) for f in fields(Evidence)})
        return ResidualCovariance(
            tensors["bias"],
            tensors["values"],
            tensors["modes"],
            bool(tensors["couples_times"]),
            evidence,
        )


def learn(
    residuals: Tensor,
    *,
    over: Over = "tx",
    bias: bool | None = None,
    points: Tensor | None = None,
    folds: int = 5,
    max_rank: int = 128,
    floor: float = 1e-12,
    seed: int = 0,
) -> ResidualCovariance:
    """The covariance of residuals truth − predicted mean on a calibration split, (sample, t, n).

    over: "tx" for one latent vector shared by all times, "x" for a covariance of each time. Σ = (1 − γ) S_r + diag:
    S_r the first r ≤ `max_rank` principal axes of the sample covariance (by SVD, never n × n), the diagonal such that
    each point keeps its variance, at least `floor` times the mean. r and γ maximise the log-likelihood of samples
    held out, over `folds` folds; so does taking off the mean residual or not if `bias` is None, points then counted
    as independent. points: a mask (n,) or (t, n) of what will be revealed later; if given, what conditioning on it
    does to held-out errors elsewhere counts for trust, too. Raises `ValueError` for fewer than four samples, and
    for residuals that are all the same or not finite.
    """
    _check(residuals, over, folds)
    rules = Rules(over, max_rank, floor)
    residuals = residuals.double()
    parts = held_out.folds(residuals, folds, seed)
    centred = held_out.has_bias(parts, rules) if bias is None else bias
    likelihoods, carried = held_out.likelihoods(parts, rules, centred)
    best = max(likelihoods, key=lambda choice: float(likelihoods[choice].mean()))
    won = likelihoods[best] - likelihoods[Choice(centred, 0, 0.0)]
    ratio = (math.nan, math.nan) if points is None else held_out.error_ratio(parts, rules, best, points)
    axes = held_out.axes_of(residuals, rules, centred)
    values, modes = axes.model(best, floor)
    evidence = Evidence(
        samples=len(residuals),
        rank=modes.shape[-1],
        shrinkage=best.shrinkage,
        participation=_participation(axes.powers),
        rank_99=_rank(axes.powers, 0.99),
        carried=carried[best.rank],
        gain=float(won.mean()),
        gain_error=float(won.std() / math.sqrt(len(won))),
        error_ratio=ratio[0],
        error_ratio_high=ratio[1],
    )
    return ResidualCovariance(axes.centre, values, modes, over == "tx", evidence)


def residuals_of(prediction: Prediction, truth: Tensor) -> Tensor:
    """Truth minus the prediction's pooled mean, (sample, t, n)."""
    return truth - prediction.mean


def _participation(powers: Tensor) -> float:
    total = powers.sum(-1)
    return float((total.square() / powers.square().sum(-1))[total > 0.0].max())


def _rank(powers: Tensor, share: float) -> int:
    """The axes that hold this share of the variance, at the time that needs most."""
    held = powers.cumsum(-1)
    return int((held < share * held[..., -1:]).sum(-1).max()) + 1


def _check(residuals: Tensor, over: str, folds: int) -> None:
    if over not in ("x", "tx"):
        raise ValueError(f"over={over!r}; a residual covariance is over 'x' (each time) or 'tx' (all times).")
    if residuals.ndim != 3 or len(residuals) < 4:
        raise ValueError(
            f"Residuals of shape {tuple(residuals.shape)}; they must be (sample, t, n) with four samples or more."
        )
    if folds < 2:
        raise ValueError(f"folds={folds}; holding out needs at least 2.")
    if not bool(torch.isfinite(residuals).all()):
        raise ValueError("Residuals are not finite; look at the surrogate's predictions.")
    if bool((residuals == residuals[0]).all()):
        raise ValueError(
            "All residuals are the same, so they have no covariance: subtract them as a bias. (All zero: is the truth "
            "the prediction?)"
        )
