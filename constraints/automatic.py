"""An enforcement that chooses for itself, from the prediction and the declared inputs; it never sees the truth."""

from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from lawbound.constraints.admissible import Target
from lawbound.constraints.conditioning import Updated
from lawbound.constraints.constraint import Admissible
from lawbound.constraints.displacement import Displace
from lawbound.constraints.retraction import moved
from lawbound.surrogates.covariance import Covariance

#: What is done where the set has two phases.
TWO_PHASES = Displace(otherwise="nearest", down_to=(0.5, 1.0), mean="expected")


@final
@dataclass(frozen=True)
class Automatic:
    """Chooses, for each sample and time, how far to believe the prediction about where it is wrong.

    Two phases: the front is moved (`Displace`), since the smear of an uncertain front is not a state that occurs.

    Otherwise the nearest admissible state in the metric D^p, D the diagonal of the covariance. A front that a surrogate
    places within so much, but not better, shows: near it the prediction is a mixture of both sides, whose standard deviation
    is up to half the jump. Where the largest one is at least `unsure` times the range of the mean, the error is at that
    front, and p = 1 (`condition`). Elsewhere a stated variance says little about where a *bias* is, and p = `power`.

    Both numbers were chosen on validation data, `docs/decisions.md`.
    """

    unsure: float = 0.2
    power: float = 0.25

    def __post_init__(self) -> None:
        if not (self.unsure >= 0.0 and 0.0 <= self.power <= 1.0):
            raise ValueError(
                f"`Automatic` got unsure={self.unsure} and power={self.power}; give a number ≥ 0, and one from 0 to 1."
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
        powers = self.powers(means, variance)
        onto = Target.of(admissible, means.device)
        return moved(means, covariance, admissible, onto, variance ** powers[..., None], None)

    def powers(self, means: Tensor, variance: Tensor) -> Tensor:
        """p for each sample and time, (sample, t), from all draws together."""
        mean = means.mean(0)
        deviation = (variance.mean(0) + means.var(0, correction=0)).sqrt()
        spread = mean.amax(-1) - mean.amin(-1)
        return torch.where(deviation.amax(-1) >= self.unsure * spread, 1.0, self.power).to(means.dtype)
