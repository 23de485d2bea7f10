"""An enforcement that chooses for itself, from the prediction and the declared inputs; it never sees the truth."""

from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch
from torch import Tensor

from lawbound.constraints.conditioning import Updated
from lawbound.constraints.constraint import Admissible
from lawbound.constraints.displacement import Displace, totals_of
from lawbound.constraints.retraction import moved
from lawbound.constraints.sampled import Sampled
from lawbound.constraints.target import Target
from lawbound.datasets.layout import Layout
from lawbound.surrogates.covariance import Covariance

#: What is done where the set has two phases, and where a front is in the wrong place.
TWO_PHASES = Displace(otherwise="nearest", down_to=(0.0, 1.0), mean="expected")
MISPLACED = Displace("stretch", otherwise="nearest")


@final
@dataclass(frozen=True)
class Automatic:
    """Chooses, for each sample and time, how far to believe the prediction about where it is wrong.

    Two phases: the smear of an uncertain front is no state that occurs, so one front is put where the total says
    (`Displace`). Otherwise, v being the diagonal of the covariance,

    - no unsure front: the nearest admissible state in the metric v^`power`. A stated variance says little about where a
      *bias* is, and that is what a broken law is then;
    - an unsure front, the law missed by what was to be expected: the metric v (`condition`). Near a front that is placed
      within so much, but not better, the prediction is a mixture of both sides, whose standard deviation is up to half the
      jump; the largest one is at least `unsure` times the range of the mean. The error is there;
    - an unsure front, and a law missed by more than `surprised` standard deviations √(Σ w² v + σ_G²): the front is not
      unsure but wrong, and is moved (`Displace`), if the set has totals only beside bounds and orders.

    Where the mean is no front, since it varies by more than `wiggles` times its range along x, there is none to be unsure of.

    The four numbers were chosen on validation data, see docs/decisions.md.
    """

    unsure: float = 0.25
    power: float = 0.25
    surprised: float = 3.5
    wiggles: float = 1.5

    def __post_init__(self) -> None:
        numbers = (self.unsure, self.surprised, self.wiggles)
        if not (all(number >= 0.0 for number in numbers) and 0.0 <= self.power <= 1.0):
            raise ValueError(
                f"`Automatic` got unsure={self.unsure}, power={self.power}, surprised={self.surprised} and wiggles={self.wiggles}; "
                "give numbers ≥ 0, and a power of at most 1."
            )

    @property
    def name(self) -> str:
        """`auto`."""
        return "auto"

    def __call__(self, means: Tensor, covariance: Covariance, admissible: Admissible) -> Updated:
        """See the class."""
        if admissible.phases is not None:
            # The moved front lies within a cell, or between points, whatever is stored there.
            mixed = replace(admissible, phases=replace(admissible.phases, mixed_cell=True))
            return TWO_PHASES(means, covariance, mixed)
        variance = covariance.variance()
        onto = Target.of(admissible, means.device)
        front = self.unsure_front(means, variance) & self.one_front(means, admissible.layout)
        metric = torch.where(front[..., None], variance, variance**self.power)
        near = moved(means, covariance, admissible, onto, metric, None)
        wrong = front & (self.surprise(means, variance, onto) > self.surprised)
        if not bool(wrong.any()) or not _displaceable(admissible):
            return near
        far = MISPLACED(means, covariance, admissible)
        here = wrong[..., None]
        return Updated(
            torch.where(here, far.means, near.means),
            Either(far.covariance, near.covariance, here),
            torch.where(here, 0.0, near.multipliers),
            torch.where(wrong, far.bound, near.bound),
        )

    def unsure_front(self, means: Tensor, variance: Tensor) -> Tensor:
        """Whether all draws together are unsure on which side of a front a point is, (sample, t)."""
        mean, deviation = means.mean(0), _pooled(means, variance).sqrt()
        return deviation.amax(-1) >= self.unsure * (mean.amax(-1) - mean.amin(-1))

    def one_front(self, means: Tensor, layout: Layout) -> Tensor:
        """Whether the mean of all draws varies along x as a front does, hardly more than it must, (sample, t)."""
        lines = means.mean(0).reshape(*means.shape[1:-1], -1, layout.shape[-1])
        varied = lines.diff(dim=-1).abs().sum((-1, -2))
        return varied <= self.wiggles * (lines.amax(-1) - lines.amin(-1)).sum(-1)

    def surprise(self, means: Tensor, variance: Tensor, onto: Target) -> Tensor:
        """By how many standard deviations a row is missed at most, (sample, t)."""
        if onto.rows is None or not len(onto.rows.weights):
            return means.new_zeros(means.shape[1:-1])
        weights, rhs, noise = onto.rows
        expected = _pooled(means, variance) @ weights.square().mT + noise
        gap = torch.where(torch.isfinite(noise), (means.mean(0) @ weights.mT - rhs).abs(), 0.0)
        return torch.where(gap > 0.0, gap / expected.sqrt(), 0.0).amax(-1)


def _pooled(means: Tensor, variance: Tensor) -> Tensor:
    return variance.mean(0) + means.var(0, correction=0)


def _displaceable(admissible: Admissible) -> bool:
    try:
        totals_of(admissible)
    except ValueError:
        return False
    return True


@final
@dataclass(frozen=True, eq=False)
class Either(Sampled):
    """One covariance for some samples and times, another for the rest; here: which have the first, (sample, t, 1)."""

    what: ClassVar[str] = "whose fronts were moved in places"

    first: Covariance
    second: Covariance
    here: Tensor

    @property
    def couples_times(self) -> bool:
        """Whether either does."""
        return self.first.couples_times or self.second.couples_times

    @property
    def shape(self) -> torch.Size:
        """(draw, sample, t, n)."""
        return self.first.shape

    def variance(self) -> Tensor:
        """Each one's own."""
        return torch.where(self.here, self.first.variance(), self.second.variance())

    def sample(self, generator: torch.Generator) -> Tensor:
        """Each one's own."""
        return torch.where(self.here, self.first.sample(generator), self.second.sample(generator))

    def take(self, index: Tensor) -> "Either":
        """Entries of the first batch dimension."""
        return Either(self.first.take(index), self.second.take(index), self.here)
