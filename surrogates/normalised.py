"""A network that sees and gives numbers of order one, inside one that takes and gives physical ones."""

from collections.abc import Sequence
from dataclasses import replace
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from lawbound.surrogates.surrogate import Layered, Opened

#: Least variance that a network can predict, in units of the field's: its noise floor.
LEAST_VARIANCE = 1e-8


@final
class Normalised(nn.Module):
    """Channels less their shift over their scale in; out, fields times their scale plus their shift.

    The inner network gives `groups` of channels, one for each field in a group: answers, all alike, or a mean and, if
    `variance`, something whose softplus is the variance in normalised units.
    """

    def __init__(
        self, network: nn.Module, inputs: Sequence[tuple[float, float]], outputs: Sequence[tuple[float, float]],
        *, variance: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.network = network
        self._variance = variance
        for name, pairs in (("input", inputs), ("output", outputs)):
            shifts, scales = (
                torch.tensor(values, dtype=torch.float32) for values in zip(*pairs, strict=True)
            )
            self.register_buffer(f"{name}_shift", shifts)
            self.register_buffer(f"{name}_scale", scales)

    input_shift: Tensor
    input_scale: Tensor
    output_shift: Tensor
    output_scale: Tensor

    def forward(self, channels: Tensor) -> Tensor:
        """(sample, in, *grid) → (sample, group · field, *grid), groups varying slowest."""
        return self._physical(self.network(self.normalised(channels)))

    def opened(self) -> Opened:
        """The inner network's parts, between physical channels; raises `TypeError` if it cannot be opened."""
        if not isinstance(self.network, Layered):
            raise TypeError(
                f"{type(self.network).__name__} does not show its layers; give it a method `opened`, as "
                "`lawbound.surrogates.surrogate.Layered` has it, or take an enforcement at the output."
            )
        inner = self.network.opened()
        return replace(
            inner,
            lift=lambda channels: inner.lift(self.normalised(channels)),
            project=lambda u, grid: self._physical(inner.project(u, grid)),
            scale=self.output_scale,
            shift=self.output_shift,
        )

    def _physical(self, out: Tensor) -> Tensor:
        axes = out.ndim - 2
        fields: Tensor = out.unflatten(1, (-1, len(self.output_scale)))  # type: ignore[no-untyped-call]
        shift, scale = (_beside(values, axes) for values in (self.output_shift, self.output_scale))
        if self._variance:
            mean, raw = fields.unbind(1)
            fields = torch.stack([mean * scale + shift, (softplus(raw) + LEAST_VARIANCE) * scale**2], dim=1)
        else:
            fields = fields * scale + shift
        return fields.flatten(1, 2)

    def normalised(self, channels: Tensor) -> Tensor:
        """What the inner network sees."""
        axes = channels.ndim - 2
        return (channels - _beside(self.input_shift, axes)) / _beside(self.input_scale, axes)


def _beside(values: Tensor, axes: int) -> Tensor:
    return values.reshape(-1, *[1] * axes)
