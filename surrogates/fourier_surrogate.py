"""Fourier neural operators as surrogates: `fno`, `fno-bc`, and the options that all that is made of them share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

from lawbound.surrogates.answers import Answer, Gaussian, Mean
from lawbound.surrogates.fourier_operator import FourierOperator
from lawbound.surrogates.operator_options import require_positive
from lawbound.surrogates.operator_surrogate import OperatorLearner, Uncertainty
from lawbound.surrogates.origin import Axis, Origin
from lawbound.surrogates.uncertainty import Dropout, Kind, Laplace, Own, Residual
from lawbound.surrogates.wall_features import WallFeatures

_POINT, _GAUSSIAN = ("relative-l2", "mse"), ("nll", "crps")


@dataclass(frozen=True, kw_only=True)
class FourierOptions(OperatorLearner):
    """The network. modes: frequencies kept along each axis, at most half of its points; 12, on a plane in one shot 8.

    padding: share of the domain by which an axis that is not periodic is longer inside the network. extension: what fields
    are beyond walls, `zero` over the padding, or `mirror`, their own image, which needs none; time is padded in either case.
    """

    modes: int | None = None
    width: int = 32
    blocks: int = 4
    padding: float = 0.125
    extension: Literal["zero", "mirror"] = "zero"

    def __post_init__(self) -> None:
        require_positive(self, "width", "blocks", *(["modes"] if self.modes is not None else []))
        if not 0.0 <= self.padding <= 1.0:
            raise ValueError(f"padding={self.padding}; give a share of the domain from 0 to 1.")
        if self.extension not in ("zero", "mirror"):
            raise ValueError(f"extension={self.extension!r}; give zero or mirror.")
        OperatorLearner.__post_init__(self)

    def build(
        self,
        inputs: int,
        outputs: int,
        axes: Sequence[Axis],
        *,
        dropout: float = 0.0,
        walls: WallFeatures | None = None,
    ) -> FourierOperator:
        """A network with new weights."""
        space = range(1 if self.mode == "whole" else 0, len(axes))
        modes = self.modes or (8 if len(axes) > 2 else 12)
        return FourierOperator(
            inputs, outputs, axes, modes=modes, width=self.width, blocks=self.blocks, padding=self.padding, dropout=dropout,
            mirror=tuple(space) if self.extension == "mirror" else (), walls=walls,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _FourierLearner(FourierOptions):
    """What `fno` and `fno-bc` share: all but what they read.

    uncertainty: `residual`, the mean square error over the validation samples; `variance`, a second output, with loss
    `nll` or `crps`; `dropout`, moments over `draws` masks; `laplace`, a Gaussian over the last layer's weights.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    reads_walls: ClassVar[bool]

    loss: Literal["relative-l2", "mse", "nll", "crps"] = "relative-l2"
    uncertainty: Kind = "residual"
    dropout: float = 0.0
    draws: int = 20
    prediction_seed: int = 0

    def __post_init__(self) -> None:
        FourierOptions.__post_init__(self)
        wanted = _GAUSSIAN if self.uncertainty == "variance" else _POINT
        if self.loss not in wanted:
            raise ValueError(
                f"loss={self.loss!r} with uncertainty={self.uncertainty}; give {' or '.join(wanted)}"
                f"{'' if self.loss not in _GAUSSIAN else ', or uncertainty=variance'}."
            )
        if self.uncertainty != "residual" and self.mode == "steps":
            raise ValueError(f"uncertainty={self.uncertainty} is for mode=whole; give that, or residual.")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout={self.dropout}; give a share of at least 0 and below 1.")
        if self.uncertainty == "dropout" and (self.dropout == 0.0 or self.draws < 2):
            raise ValueError(
                f"uncertainty=dropout with dropout={self.dropout} and draws={self.draws}; give a dropout above 0, "
                "such as 0.1, and 2 draws or more."
            )

    @property
    def answer(self) -> Answer:
        """A mean, with a variance beside it if the loss is that of a Gaussian."""
        if self.uncertainty == "variance":
            return Gaussian("nll" if self.loss == "nll" else "crps")
        return Mean("mse" if self.loss == "mse" else "relative-l2")

    @property
    def errors(self) -> Uncertainty:
        """As `uncertainty` says."""
        match self.uncertainty:
            case "residual":
                return Residual()
            case "variance":
                return Own()
            case "dropout":
                return Dropout(self.draws, self.prediction_seed)
            case "laplace":
                return Laplace()

    def network(
        self, inputs: tuple[str, ...], outputs: int, axes: Sequence[Axis], origin: Origin
    ) -> FourierOperator:
        """The network."""
        return self.build(len(inputs), outputs, axes, dropout=self.dropout)

    def identity(self) -> dict[str, Any]:
        """Options that decide the outcome of training; how errors are told afterwards does not."""
        known = OperatorLearner.identity(self)
        return {name: value for name, value in known.items() if name not in ("draws", "prediction_seed")}


@final
@dataclass(frozen=True, kw_only=True)
class FourierNeuralOperator(_FourierLearner):
    """From the state at the first time, positions and, if wanted, parameters to all states."""

    name: ClassVar[str] = "fno"
    summary: ClassVar[str] = "Fourier neural operator: first state in, all times in one shot or step by step"
    reads_walls: ClassVar[bool] = False


@final
@dataclass(frozen=True, kw_only=True)
class FourierNeuralOperatorWithWalls(_FourierLearner):
    """The same, told what the walls prescribe: the fair baseline of everything that enforces boundary values.

    walls: `input` reads it as channels and no more; `every-block` also gives each block features of it that fade with the
    distance from the wall.
    """

    name: ClassVar[str] = "fno-bc"
    summary: ClassVar[str] = "the same with boundary values as further inputs: the fair baseline"
    reads_walls: ClassVar[bool] = True

    walls: Literal["input", "every-block"] = "input"

    def __post_init__(self) -> None:
        _FourierLearner.__post_init__(self)
        if self.walls not in ("input", "every-block"):
            raise ValueError(f"walls={self.walls!r}; give input or every-block.")

    def network(
        self, inputs: tuple[str, ...], outputs: int, axes: Sequence[Axis], origin: Origin
    ) -> FourierOperator:
        """The network."""
        walls = WallFeatures.of(inputs) if self.walls == "every-block" else None
        return self.build(len(inputs), outputs, axes, dropout=self.dropout, walls=walls)
