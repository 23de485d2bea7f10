"""Conditioning on smoothness first: the second-derivative variant of ProbConserv's code, in O(n)."""

from dataclasses import dataclass
from typing import final

from torch import Tensor

from lawbound.constraints.conditioning import Updated
from lawbound.constraints.constraint import Admissible
from lawbound.constraints.enforcement import Condition
from lawbound.surrogates.banded import smoothed
from lawbound.surrogates.covariance import Covariance


@final
@dataclass(frozen=True)
class SmoothCondition:
    """`Condition` after an observation that second differences along x vanish, up to their own spread.

    Σ'⁻¹ = D⁻¹ + D₂ᵀ R⁻¹ D₂, μ' = Σ' D⁻¹ μ, R the variance that D₂ u would have were neighbours correlated by
    `correlation`; then the constraint, in the metric of Σ'. It is artificial diffusion: it damps wiggles, blurs fronts and
    makes the prediction surer than it was. Of the covariance its diagonal is used. Hansen et al., ICML 2023 ("w/ diffusion").
    """

    correlation: float = 0.9

    def __post_init__(self) -> None:
        if not -1.0 < self.correlation < 1.0:
            raise ValueError(
                f"`SmoothCondition` got correlation={self.correlation}; give a number between −1 and 1."
            )

    @property
    def name(self) -> str:
        """`smooth-condition`."""
        return "smooth-condition"

    def __call__(self, means: Tensor, covariance: Covariance, admissible: Admissible) -> Updated:
        """See the class; raises `ValueError` where the prediction has no variance."""
        line = admissible.layout.shape[-1]
        if line < 3:
            raise ValueError(f"`smooth-condition` needs at least 3 points along x; there are {line}.")
        softened, precision = smoothed(means, covariance.variance(), correlation=self.correlation, line=line)
        return Condition()(softened, precision, admissible)
