"""A covariance learned from a surrogate's own residuals, with evidence on whether to trust it.

On a family with few parameters a surrogate's residuals live on a set of few dimensions: what data reveal of them at some points
(walls, masses) then fixes them nearly everywhere. On a rich family they do not, and a covariance from few
residuals misleads. So rank and shrinkage are chosen by the likelihood of residuals held out, and the result says how
many dimensions it found and whether they carry over.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal, NamedTuple, final, get_type_hints

import torch
from torch import Tensor

from lawbound.surrogates.low_rank import DiagonalLowRank
from lawbound.surrogates.prediction import Prediction

# Shares of the off-diagonal that shrinkage gives up, before the likelihood decides.
_SHRINKAGES = (0.0, 1e-4, 1e-2, 0.05, 0.15, 0.4, 0.8)
# What must hold for trust: residuals for each effective dimension, share of held-out variance in the modes,
# standard errors above zero.
_PER_DIMENSION, _CARRIED, _ERRORS = 3.0, 0.9, 2.0

Over = Literal["x", "tx"]


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
        if self.rank == 0 or self.shrinkage == 1.0:
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


class _Axes(NamedTuple):
    """Residuals of some samples by principal axes: centre, variance (t, n), modes (t, n, r) largest first."""

    centre: Tensor
    variance: Tensor
    modes: Tensor
    powers: Tensor  # variances along all axes, (t or 1, r)
    coupled: bool

    def model(self, rank: int, shrinkage: float, floor: float) -> tuple[Tensor, Tensor]:
        """Diagonal and modes of (1 − γ) S_r + the diagonal that keeps every point's variance."""
        modes = math.sqrt(1.0 - shrinkage) * self.modes[..., :rank]
        rest = self.variance - modes.square().sum(-1)
        return rest.clamp_min(floor * float(self.variance.mean())), modes

    def carried(self, residuals: Tensor) -> Tensor:
        """Squares of the residuals within the first 0, 1, … modes, (r + 1,)."""
        dims = (-3, -2) if self.coupled else (-2,)
        power = self.modes.square().sum(dims, keepdim=True)
        axes = self.modes * torch.where(power > 0.0, power, torch.inf).rsqrt()
        along = torch.einsum("btx,txk->bk" if self.coupled else "btx,txk->btk", residuals - self.centre, axes)
        squares = along.square().reshape(-1, along.shape[-1]).sum(0)
        return torch.nn.functional.pad(squares.cumsum(0), (1, 0))


class _Choice(NamedTuple):
    """One way of estimating: whether to take off the mean, how many modes, how much to shrink them."""

    centred: bool
    rank: int
    shrinkage: float


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

    over: "tx" for one latent vector shared by all times, "x" for a covariance of each time. Σ = (1 − γ) S_r + diag,
    S_r the first r principal axes of the sample covariance (by SVD of the residuals, never n × n) and the diagonal such that
    each point keeps its variance, at least `floor` times the mean variance. r and γ, and whether to take off the mean
    residual if `bias` is None, maximise the log-likelihood of residuals held out, over `folds` folds of samples.
    points: a mask (n,) or (t, n) of what will be revealed later; if given, what conditioning on it does to the
    held-out errors elsewhere counts for trust, too. Raises `ValueError` for fewer than four residuals, residuals that are all zero or not finite.
    """
    _check(residuals, over, folds)
    residuals = residuals.double()
    order = torch.randperm(len(residuals), generator=torch.Generator().manual_seed(seed))
    parts = [part.to(residuals.device) for part in torch.tensor_split(order, min(folds, len(residuals) // 2))]
    scores: dict[_Choice, list[Tensor]] = {}
    carried: dict[tuple[bool, int], float] = {}
    for centred in (False, True) if bias is None else (bias,):
        for train, test in _folds(residuals, parts):
            axes = _axes(train, over, centred, max_rank, floor)
            for rank, squares in enumerate(axes.carried(test).tolist()):
                carried[centred, rank] = carried.get((centred, rank), 0.0) + squares
            for choice in _choices(centred, axes.modes.shape[-1]):
                scores.setdefault(choice, []).append(_log_density(axes, choice, floor, test))
    # A fold that is a sample smaller may offer one rank less: compare what all folds have tried.
    joined = {choice: torch.cat(column) for choice, column in scores.items() if len(column) == len(parts)}
    best = max(joined, key=lambda choice: float(joined[choice].mean()))
    won = joined[best] - joined[_Choice(best.centred, 0, 0.0)]
    axes = _axes(residuals, over, best.centred, max_rank, floor)
    values, modes = axes.model(best.rank, best.shrinkage, floor)
    total = sum(
        float((test - _centre(train, best.centred)).square().sum())
        for train, test in _folds(residuals, parts)
    )
    ratio = _error_ratio(residuals, parts, points, over, best, max_rank, floor)
    evidence = Evidence(
        samples=len(residuals),
        rank=best.rank,
        shrinkage=best.shrinkage,
        participation=_participation(axes.powers),
        rank_99=_rank(axes.powers, 0.99),
        carried=carried[best.centred, best.rank] / total,
        gain=float(won.mean()),
        gain_error=float(won.std() / math.sqrt(len(won))),
        error_ratio=ratio[0],
        error_ratio_high=ratio[1],
    )
    return ResidualCovariance(axes.centre, values, modes, over == "tx", evidence)


def residuals_of(prediction: Prediction, truth: Tensor) -> Tensor:
    """Truth minus the prediction's pooled mean, (sample, t, n)."""
    return truth - prediction.mean


def _folds(residuals: Tensor, parts: list[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    for i, part in enumerate(parts):
        rest = torch.cat([other for j, other in enumerate(parts) if j != i])
        yield residuals[rest], residuals[part]


def _choices(centred: bool, most: int) -> Iterator[_Choice]:
    yield _Choice(centred, 0, 0.0)
    ranks = {most, *(2**j for j in range(most.bit_length())), *(3 * 2**j for j in range(most.bit_length()))}
    for rank in sorted(rank for rank in ranks if 0 < rank <= most):
        for shrinkage in _SHRINKAGES:
            yield _Choice(centred, rank, shrinkage)


def _centre(residuals: Tensor, centred: bool) -> Tensor:
    return residuals.mean(0) if centred else torch.zeros_like(residuals[0])


def _axes(residuals: Tensor, over: Over, centred: bool, max_rank: int, floor: float) -> _Axes:
    centre, count = _centre(residuals, centred), len(residuals) - centred
    deviations = (residuals - centre) / math.sqrt(count)
    coupled = over == "tx"
    table = deviations.flatten(1)[None] if coupled else deviations.movedim(1, 0)  # (t or 1, sample, n)
    # The tall side first: its QR factors leave an SVD of (sample, sample).
    basis, triangle = torch.linalg.qr(table.mT) if table.shape[-1] > table.shape[-2] else (None, table.mT)
    left, sizes, _ = torch.linalg.svd(triangle, full_matrices=False)
    directions = left if basis is None else basis @ left[..., :max_rank]
    # Axes below the floor say nothing that the diagonal does not.
    powers = sizes.square()
    live = int((powers > floor * powers.sum(-1, keepdim=True)).sum(-1).max())
    rank = min(max_rank, count, live)
    modes = directions[..., :rank] * sizes[..., None, :rank]
    shape = (*residuals.shape[1:], rank)
    return _Axes(centre, deviations.square().sum(0), modes.reshape(shape), powers, coupled)


def _log_density(axes: _Axes, choice: _Choice, floor: float, residuals: Tensor) -> Tensor:
    return _gaussian(axes, choice, floor, residuals.shape).log_density(residuals - axes.centre)


def _gaussian(axes: _Axes, choice: _Choice, floor: float, shape: torch.Size) -> DiagonalLowRank:
    values, modes = axes.model(choice.rank, choice.shrinkage, floor)
    return DiagonalLowRank(values.expand(shape), modes[None], axes.coupled)


def _error_ratio(
    residuals: Tensor,
    parts: list[Tensor],
    points: Tensor | None,
    over: Over,
    choice: _Choice,
    max_rank: int,
    floor: float,
) -> tuple[float, float]:
    """RMS error at the other points after over before conditioning, and two standard errors up; NaN without points."""
    if points is None:
        return math.nan, math.nan
    mask = points.expand(residuals.shape[1:])
    before, after = [], []
    for train, test in _folds(residuals, parts):
        axes = _axes(train, over, choice.centred, max_rank, floor)
        means = axes.centre.expand(test.shape)
        updated, _ = _gaussian(axes, choice, floor, test.shape).conditioned_on_points(means, mask, test)
        before.append(test[:, ~mask].square().mean(-1))
        after.append((test - updated)[:, ~mask].square().mean(-1))
    first, then = torch.cat(before), torch.cat(after)
    ratio = float(then.mean() / first.mean())
    # The ratio of two means over the same samples: its error is that of then − ratio · first.
    error = float((then - ratio * first).std() / (math.sqrt(len(first)) * first.mean()))
    return math.sqrt(ratio), math.sqrt(ratio + _ERRORS * error)


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
    if not bool(residuals.any()):
        raise ValueError(
            "All residuals are zero: there is no error to learn from. Is the truth the prediction?"
        )
