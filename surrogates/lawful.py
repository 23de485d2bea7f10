"""A network inside an enforcement: what it says is made lawful before it is judged, and before it is predicted."""

from typing import final

import torch
from torch import Tensor, nn

from lawbound.surrogates.normalised import Normalised
from lawbound.surrogates.origin import Origin
from lawbound.surrogates.surrogate import Inside


@final
class Lawful(nn.Module):
    """(channels, series, tables) → outputs (sample, group · field, [t,] *space) whose states obey.

    `base` is added to what the network says before it is made lawful (the state that a step starts from); without
    channels there is no network, and the base itself is made lawful. Of a mean and a variance the mean obeys. Out of
    training all is float64, so that conditions hold to its round-off.
    """

    def __init__(
        self, inside: Inside, network: Normalised, origin: Origin, *, times: bool, variance: bool
    ) -> None:
        super().__init__()
        wrapped = inside.wrap(network, origin)
        self.reads_series = wrapped is not None
        self.network = network if wrapped is None else wrapped
        self.outputs = inside.outputs(origin)
        self._fields, self._times, self._variance = len(origin.fields), times, variance

    def forward(
        self,
        series: tuple[Tensor, ...],
        tables: tuple[Tensor, ...],
        channels: Tensor | None = None,
        base: Tensor | None = None,
    ) -> Tensor:
        """See the class; series: (sample, t, ·), at the times of the outputs."""
        if channels is None:
            assert base is not None
            return self._lawful(base, series, tables)
        out = self.network(channels, series, tables) if self.reads_series else self.network(channels)
        return self._lawful(out if base is None else base + out, series, tables)

    def _lawful(self, out: Tensor, series: tuple[Tensor, ...], tables: tuple[Tensor, ...]) -> Tensor:
        groups = out if self.training else out.double()
        groups = groups.reshape(len(groups), -1, self._fields, *groups.shape[2:])
        if self._variance:
            mean, variance = groups.unbind(1)
            mean = self._obeying(mean.unsqueeze(1), series, tables)
            return torch.cat([mean, variance.unsqueeze(1)], dim=1).flatten(1, 2)
        return self._obeying(groups, series, tables).flatten(1, 2)

    def _obeying(self, means: Tensor, series: tuple[Tensor, ...], tables: tuple[Tensor, ...]) -> Tensor:
        """(sample, group, field, [t,] *space), as states (sample, group, t, n) and back."""
        timed = means if self._times else means.unsqueeze(3)
        by_time = timed.movedim(3, 2)  # (sample, group, t, field, *space)
        found = self.outputs(by_time.flatten(3), tuple(one.unsqueeze(1) for one in series), tables)
        lawful = found.reshape(by_time.shape).movedim(2, 3)
        return lawful if self._times else lawful.squeeze(3)


def core(network: nn.Module) -> nn.Module:
    """The network itself, without an enforcement around it."""
    if not isinstance(network, Lawful):
        return network
    inner = network.network
    if network.reads_series:
        assert isinstance(inner.network, nn.Module)
        return inner.network
    return inner
