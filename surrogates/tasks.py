"""What a network on a grid is asked for: all times at once, or the next state from this one.

A network maps channels to channels, (*lead, in, *grid) → (*lead, out, *grid), in physical units. The channels that it
reads are, in this order: the known state of each field, t, the positions, parameters, what the walls prescribe.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, final

import torch
from torch import Tensor

from lawbound.datasets import schema
from lawbound.surrogates.origin import Axis, Origin
from lawbound.surrogates.samples import Samples

Network = Callable[..., Tensor]
Tables = tuple[Tensor, ...] | None


class Task(Protocol):
    """What is asked of a network, and what of the data is the answer."""

    def axes(self, origin: Origin) -> tuple[Axis, ...]:
        """The axes of the network's grid."""
        ...

    def length(self, times: int) -> int:
        """How many consecutive times a step of training looks at, of so many."""
        ...

    def answer(
        self, network: Network, samples: Samples, space: Sequence[Tensor], tables: Tables = None
    ) -> Tensor:
        """Predictions at all times of the samples, (*lead, out, t, *space), from the first state and what is known.

        With `tables` the network is inside an enforcement (`lawful.Lawful`), and reads those and `samples.given`.
        """
        ...


@final
@dataclass(frozen=True)
class Whole:
    """All times in one shot, by a network over (t, [y,] x)."""

    def axes(self, origin: Origin) -> tuple[Axis, ...]:
        """t and space."""
        return tuple(origin.grid.values())

    def length(self, times: int) -> int:
        """All."""
        return times

    def answer(
        self, network: Network, samples: Samples, space: Sequence[Tensor], tables: Tables = None
    ) -> Tensor:
        """The network's answer to the first state, which is the same at all times."""
        channels = self.channels(samples, space)
        return network(channels) if tables is None else network(samples.given, tables, channels=channels)

    def channels(self, samples: Samples, space: Sequence[Tensor]) -> Tensor:
        """(*lead, in, t, *space)."""
        d = len(space)
        grid = (samples.times.shape[-1], *map(len, space))
        parts = [
            samples.states.narrow(-1 - d, 0, 1),
            _at_the_end(samples.times.unsqueeze(-2), d),
            *_positions(space, times=1),
            _at_the_end(samples.parameters, d + 1),
            *(wall.unsqueeze(-2 - d) for wall in samples.walls),
        ]
        return _joined(parts, samples.lead, grid)


@final
@dataclass(frozen=True)
class Steps:
    """The next stored state from this one, by a network over ([y,] x) that predicts the difference.

    Training unrolls `unroll` steps; a prediction starts from the first state and goes on with its own states.
    """

    unroll: int = 1

    def axes(self, origin: Origin) -> tuple[Axis, ...]:
        """Space."""
        return tuple(origin.grid[name] for name in origin.axes)

    def length(self, times: int) -> int:
        """One state, and the steps from it."""
        if self.unroll >= times:
            raise ValueError(
                f"unroll={self.unroll} steps need more times than the {times} stored; give 1 to {times - 1}."
            )
        return self.unroll + 1

    def answer(
        self, network: Network, samples: Samples, space: Sequence[Tensor], tables: Tables = None
    ) -> Tensor:
        """The first state as it is, or as lawful as the others, and the rollout from it."""
        d = len(space)
        state = samples.states.select(-1 - d, 0)

        def lawful(step: int, **given: Tensor) -> Tensor:
            return network(tuple(one[..., step : step + 1, :] for one in samples.given), tables, **given)

        states = [state if tables is None else lawful(0, base=state)]
        for step in range(1, samples.times.shape[-1]):
            channels = self.channels(state.to(samples.times.dtype), samples, step, space)
            state = (
                state + network(channels) if tables is None else lawful(step, channels=channels, base=state)
            )
            states.append(state)
        return torch.stack(states, dim=-1 - d)

    def channels(self, state: Tensor, samples: Samples, step: int, space: Sequence[Tensor]) -> Tensor:
        """(*lead, in, *space), for a step that arrives at the time of that number; walls as they are then."""
        d = len(space)
        parts = [
            state,
            _at_the_end(samples.times[..., step - 1 : step], d),
            *_positions(space, times=0),
            _at_the_end(samples.parameters, d),
            *(wall.select(-1 - d, step).unsqueeze(-1 - d) for wall in samples.walls),
        ]
        return _joined(parts, samples.lead, tuple(map(len, space)))


def input_names(
    fields: Sequence[str], axes: Sequence[str], parameters: Sequence[str], walls: Sequence[str]
) -> tuple[str, ...]:
    """Names of the channels that a network reads, in their order."""
    return (*fields, schema.TIME, *axes, *parameters, *walls)


def _positions(space: Sequence[Tensor], times: int) -> list[Tensor]:
    """One channel for each axis, of length 1 along the others and, if there are any, along `times`."""
    d = len(space)
    return [
        x.reshape(*[1] * (1 + times), *(len(x) if i == k else 1 for k in range(d)))
        for i, x in enumerate(space)
    ]


def _at_the_end(values: Tensor, dimensions: int) -> Tensor:
    return values.reshape(*values.shape, *[1] * dimensions)


def _joined(parts: Sequence[Tensor], lead: Sequence[int], grid: Sequence[int]) -> Tensor:
    """Each part (*lead or none, channel, *grid or 1) spread over the grid, channels one after the other."""
    d = len(grid)
    spread = [part.expand(*lead, part.shape[-1 - d], *grid) for part in parts if part.shape[-1 - d]]
    return torch.cat(spread, dim=-1 - d)
