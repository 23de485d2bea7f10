"""Ensembles: networks trained together, each as it would be alone (Lakshminarayanan, Pritzel and Blundell 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from lawbound.surrogates.answers import Members
from lawbound.surrogates.fourier_operator import FourierOperator
from lawbound.surrogates.fourier_surrogate import FourierOptions
from lawbound.surrogates.origin import Axis, Origin
from lawbound.surrogates.streams import member_seeds
from lawbound.surrogates.uncertainty import Own


@final
@dataclass(frozen=True, kw_only=True)
class FourierEnsemble(FourierOptions):
    """`size` Fourier operators; mean and unbiased variance over them are predicted.

    Member i is what `fno` (`fno-bc` if `walls`) gives with the seed `streams.member_seeds(seed, size)[i]`: other
    initial weights, other order of samples, its own best epoch. All members' products are one batched product.
    """

    name: ClassVar[str] = "ensemble"
    summary: ClassVar[str] = "Fourier neural operators trained together; their spread is the uncertainty"

    size: int = 10
    walls: bool = False
    loss: Literal["relative-l2", "mse"] = "relative-l2"

    def __post_init__(self) -> None:
        FourierOptions.__post_init__(self)
        if self.size < 2:
            raise ValueError(f"size={self.size}; an ensemble has 2 members or more.")

    @property
    def reads_walls(self) -> bool:
        """If `walls`."""
        return self.walls

    @property
    def members(self) -> int | None:
        """As many as `size` says."""
        return self.size

    def seeds(self, seed: int) -> list[int]:
        """One for each member."""
        return member_seeds(seed, self.size)

    @property
    def answer(self) -> Members:
        """A value from each member."""
        return Members(self.loss)

    @property
    def errors(self) -> Own:
        """The spread of the members."""
        return Own()

    def network(
        self, inputs: tuple[str, ...], outputs: int, axes: Sequence[Axis], origin: Origin
    ) -> FourierOperator:
        """One member."""
        return self.build(len(inputs), outputs, axes)
