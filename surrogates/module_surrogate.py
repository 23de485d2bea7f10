"""Anybody's network as a surrogate: any `torch.nn.Module` that maps channels on a grid to channels on it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, final

from torch import nn

from lawbound.surrogates.answers import Mean
from lawbound.surrogates.operator_options import ENFORCEMENTS
from lawbound.surrogates.operator_surrogate import OperatorLearner
from lawbound.surrogates.origin import Axis, Origin
from lawbound.surrogates.uncertainty import Residual


@final
@dataclass(frozen=True, kw_only=True)
class ModuleSurrogate(OperatorLearner):
    """A learner of the module that `build(in_channels, out_channels)` makes: (sample, in, *grid) → (sample, out, *grid).

    The grid is (t, [y,] x), in `mode` steps ([y,] x). The channels that it reads are the first state of every field, t,
    the positions, parameters and, if `walls`, what walls prescribe, all scaled to order one; those it gives are the
    fields. A checkpoint holds weights and no code: to be loaded by name (`lawbound.load`, the command line), a plug-in
    declares a function under `lawbound.surrogates` that takes options and returns this; else `restore` them yourself.

    >>> from torch import nn
    >>> ModuleSurrogate(build=lambda inputs, outputs: nn.Conv1d(inputs, outputs, 3, padding=1), mode="steps").name
    'module'
    """

    summary: ClassVar[str] = "any torch module from channels on a grid to channels on it"

    build: Callable[[int, int], nn.Module]
    name: str = "module"
    walls: bool = False
    loss: Literal["relative-l2", "mse"] = "relative-l2"

    def options(self) -> Mapping[str, Any]:
        """The hyperparameters as JSON values; what builds the module is code, and stays outside."""
        return {
            one.name: getattr(self, one.name)
            for one in fields(self)
            if one.name not in ("build", "name", *ENFORCEMENTS)
        }

    @property
    def reads_walls(self) -> bool:
        """If `walls`."""
        return self.walls

    @property
    def answer(self) -> Mean:
        """A value for each field."""
        return Mean(self.loss)

    @property
    def errors(self) -> Residual:
        """The mean square error over the validation samples."""
        return Residual()

    def network(
        self, inputs: tuple[str, ...], outputs: int, axes: Sequence[Axis], origin: Origin
    ) -> nn.Module:
        """The module."""
        return self.build(len(inputs), outputs)
