"""Terms of a loss for a network that is asked for points: means on the whole grid, at two neighbouring times of each function."""

from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from lawbound.datasets import schema
from lawbound.surrogates.attentive_network import AttentiveNetwork, Batch, told
from lawbound.surrogates.surrogate import LossTerm


class Paired(NamedTuple):
    """A batch, which functions of the training data are in it, and the first of the two times of each; both (sample,)."""

    batch: Batch
    rows: Tensor
    starts: Tensor


@final
class PairPenalty:
    """loss + (number of targets) · Σ terms of the mean at all positions and two neighbouring stored times, (sample,).

    The pair is drawn anew at each step, so that every step between stored times is seen in the long run. The loss is a sum over
    targets and a term a mean, hence the factor: a weight says the same whatever the number of targets. z is the loss's own.
    Costs what 2 · (number of positions) targets more would.
    """

    def __init__(self, terms: Sequence[LossTerm], train: xr.Dataset, device: torch.device) -> None:
        t, x = (train[name].values for name in (schema.TIME, schema.X))
        self._t, self._x = (torch.from_numpy(values.astype(np.float32)).to(device) for values in (t, x))
        self._terms = [
            (
                term,
                [one.to(device) for one in term.given.series],
                [one.to(device) for one in term.given.tables],
            )
            for term in terms
        ]

    def paired(self, batches: Sequence[Batch], order: Tensor, random: np.random.Generator) -> list[Paired]:
        """Batches with pairs; order: which functions are in the batches, one after the other."""
        starts = torch.from_numpy(random.integers(len(self._t) - 1, size=len(order)))
        rows, starts, found, first = order.to(self._t.device), starts.to(self._t.device), list[Paired](), 0
        for batch in batches:
            part = slice(first, first := first + len(batch.contexts))
            found.append(Paired(batch, rows[part], starts[part]))
        return found

    def __call__(self, network: AttentiveNetwork, paired: Paired) -> Tensor:
        """See the class."""
        value, encoding, z = told(network, paired.batch)
        times = paired.starts[:, None] + torch.arange(2, device=paired.starts.device)
        when = self._t[times][..., None].expand(-1, -1, len(self._x))  # (sample, 2, position)
        where = self._x.expand_as(when)
        coordinates = torch.stack([when, where], dim=-1).flatten(1, 2)
        mean, _ = network.decode(network.attend(encoding, coordinates), z, coordinates)
        states, row = mean.reshape(when.shape), paired.rows[:, None]
        asked = [
            term(states, [one[row, times] for one in series], tables) for term, series, tables in self._terms
        ]
        return value + paired.batch.targets.shape[-2] * torch.stack(asked).sum(0)
