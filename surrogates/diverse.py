"""One Fourier operator with many last layers that are pushed apart: an ensemble's spread at one network's cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from lawbound.surrogates.answers import Heads
from lawbound.surrogates.fourier_operator import FourierOperator
from lawbound.surrogates.fourier_surrogate import FourierOptions
from lawbound.surrogates.operator_options import require_positive
from lawbound.surrogates.origin import Axis, Origin
from lawbound.surrogates.uncertainty import Own


@final
@dataclass(frozen=True, kw_only=True)
class DiverseFourierOperator(FourierOptions):
    """DiverseNO of Operator-ProbConserv: `heads` last layers on common features, all fitted, and kept apart.

    Loss: the heads' mean loss less `diversity` times the mean over pairs of heads of ‖w_i − w_j‖², w a head's weights,
    after `warm_up` epochs; all pairs are counted, where the original draws some. Nothing but the data and weight
    decay holds the heads together. `energy` judges the heads as samples and needs no diversity term.
    """

    name: ClassVar[str] = "diverse-fno"
    summary: ClassVar[str] = "one Fourier neural operator with many last layers, pushed apart"

    heads: int = 10
    diversity: float = 1.0
    warm_up: int = 10
    walls: bool = False
    loss: Literal["relative-l2", "mse", "energy"] = "relative-l2"

    def __post_init__(self) -> None:
        FourierOptions.__post_init__(self)
        require_positive(self, "heads")
        if self.heads < 2 or self.warm_up < 0 or not 0.0 <= self.diversity < float("inf"):
            raise ValueError(
                f"heads={self.heads}, warm_up={self.warm_up}, diversity={self.diversity}; give 2 heads or more, and "
                "numbers of at least 0."
            )
        if self.mode != "whole":
            raise ValueError(
                "mode=steps would need a rollout of each head; give mode=whole, or train an ensemble."
            )

    @property
    def reads_walls(self) -> bool:
        """If `walls`."""
        return self.walls

    @property
    def answer(self) -> Heads:
        """A value from each head."""
        return Heads(self.heads, self.loss, self.diversity, self.warm_up)

    @property
    def errors(self) -> Own:
        """The spread of the heads."""
        return Own()

    def network(
        self, inputs: tuple[str, ...], outputs: int, axes: Sequence[Axis], origin: Origin
    ) -> FourierOperator:
        """The network; its last layer is all heads', one after the other."""
        return self.build(len(inputs), outputs, axes)
