"""Samples as tensors for networks that read fields on grids: from memory where they fit, else from disk batch by batch."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar, final

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from lawbound.datasets import schema
from lawbound.datasets.provenance import values_hash
from lawbound.datasets.windows import Windows
from lawbound.surrogates import distributed
from lawbound.surrogates.origin import Origin, walls_of
from lawbound.surrogates.streams import stream
from lawbound.surrogates.surrogate import Given

#: Fields of no more bytes than this are kept in memory, on a GPU if they take no more than a quarter of what is free.
KEEP_UP_TO = 1 << 30

IntArray = NDArray[np.int64]
Thing = TypeVar("Thing")


@final
@dataclass(frozen=True)
class Samples:
    """states (*lead, field, t, *space), times (*lead, t) in units of the training span, parameters (*lead, p), and
    what each wall prescribes, (*lead, t, *space), of length 1 along the axes on which it does not depend.

    `lead` is (sample,), or (member, sample). Where only the first state is known, the states have one time.
    given, asked: what an enforcement inside the network, and terms of the loss, read, each (*lead, t, ·).
    """

    states: Tensor
    times: Tensor
    parameters: Tensor
    walls: tuple[Tensor, ...]
    given: tuple[Tensor, ...] = ()
    asked: tuple[Tensor, ...] = ()

    @property
    def lead(self) -> torch.Size:
        """(sample,) or (member, sample)."""
        return self.times.shape[:-1]

    def map(self, change: Callable[[Tensor], Tensor]) -> "Samples":
        """Every tensor changed alike."""
        return Samples(
            change(self.states), change(self.times), change(self.parameters),
            *(tuple(map(change, series)) for series in (self.walls, self.given, self.asked)),
        )  # fmt: skip

    def for_members(self, count: int) -> "Samples":
        """The same samples for each of so many members."""
        return self.map(lambda values: values.expand(count, *values.shape))

    def windows(self, rows: Tensor, starts: Tensor, length: int) -> "Samples":
        """From each of these samples a run of times, (window,) instead of (sample,)."""
        if length == self.times.shape[-1]:
            return self.map(lambda values: values[rows])
        times = starts[:, None] + torch.arange(length, device=starts.device)
        row = rows[:, None]
        return Samples(
            self.states.movedim(2, 1)[row, times].movedim(1, 2),
            self.times[row, times],
            self.parameters[rows],
            *(tuple(one[row, times] for one in series) for series in (self.walls, self.given, self.asked)),
        )


def stacked(members: Sequence[Samples]) -> Samples:
    """Samples of each member as one, (member, sample)."""
    return Samples(
        torch.stack([one.states for one in members]),
        torch.stack([one.times for one in members]),
        torch.stack([one.parameters for one in members]),
        *(
            tuple(torch.stack(parts) for parts in zip(*(getattr(one, name) for one in members), strict=True))
            for name in ("walls", "given", "asked")
        ),
    )


@final
@dataclass(frozen=True)
class GridData:
    """A dataset as the surrogate of an origin reads it, the samples numbered from 0.

    With `first_only`, nothing of the fields is read but the states at the first time. given: what an enforcement inside
    the network read of these samples; asked: what terms of the loss did.
    """

    data: xr.Dataset
    origin: Origin
    device: torch.device
    first_only: bool = False
    given: Given | None = None
    asked: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        return self.data.sizes[schema.SAMPLE]

    @property
    def numbers(self) -> list[int]:
        """The samples' numbers in the design."""
        return [int(number) for number in self.data[schema.SAMPLE].values]

    @cached_property
    def space(self) -> tuple[Tensor, ...]:
        """Positions along each axis in space, in units of the training domain."""
        return tuple(self._scaled(axis) for axis in self.origin.axes)

    @cached_property
    def tables(self) -> tuple[Tensor, ...] | None:
        """The tables of what is inside the network, None if nothing is."""
        return None if self.given is None else tuple(table.to(self.device) for table in self.given.tables)

    @cached_property
    def times(self) -> Tensor:
        """Times in units of the training span."""
        return self._scaled(schema.TIME)

    def _scaled(self, name: str) -> Tensor:
        axis = self.origin.grid[name]
        positions = (self.data[name].values - axis.low) / ((axis.high - axis.low) or 1.0)
        return torch.from_numpy(positions.astype(np.float32)).to(self.device)

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the parameters and of the walls among the channels that are read."""
        known = set(self.origin.inputs)
        parameters = tuple(name for name in schema.by_role(self.data, schema.PARAMETER) if name in known)
        return parameters, tuple(name for name in walls_of(self.data) if name in known)

    @property
    def bytes(self) -> int:
        """Size of the fields in float32."""
        return 4 * sum(self.data[field].size for field in self.origin.fields)

    @cached_property
    def kept(self) -> Samples | None:
        """All samples, if they are few enough to stay."""
        if self.bytes > KEEP_UP_TO:
            return None
        here = self.read(np.arange(len(self)))
        if self.device.type == "cuda" and 4 * self.bytes > torch.cuda.mem_get_info(self.device)[0]:
            return here
        return here.map(lambda values: values.to(self.device))

    def rows(self, rows: IntArray) -> Samples:
        """These samples, on the device."""
        if self.kept is None:
            return self.read(rows).map(lambda values: values.to(self.device))
        kept = self.kept
        index = torch.from_numpy(np.asarray(rows, dtype=np.int64)).to(kept.states.device)
        return kept.map(lambda values: values[index].to(self.device))

    def read(self, rows: IntArray) -> Samples:
        """These samples from the dataset, in main memory."""
        part = self.data.isel({schema.SAMPLE: rows})
        parameters, walls = self.names
        shown = part.isel({schema.TIME: slice(1)}) if self.first_only else part
        dims = schema.field_dims(part)
        fields = [_float32(shown[name].transpose(*dims)) for name in self.origin.fields]
        values = [_float32(part[name]) for name in parameters]
        return Samples(
            torch.stack(fields, dim=1),
            self.times.cpu().expand(len(rows), -1),
            torch.stack(values, dim=1) if values else torch.empty(len(rows), 0),
            tuple(_beside_fields(part[name], dims) for name in walls),
            tuple(one[rows] for one in self.given.series) if self.given is not None else (),
            tuple(one[rows] for one in self.asked),
        )

    def described(self) -> list[Any]:
        """What tells these data from others: all values, or, where they are too many to read, how they were made."""
        numbers = self.data[schema.SAMPLE].values
        shape = [self.data.sizes[dim] for dim in schema.field_dims(self.data)]
        if self.kept is None:
            return [self.origin.dataset_sha256, values_hash(numbers), *shape]
        kept = self.kept
        parts = (kept.states, kept.times, kept.parameters, *kept.walls, *kept.given, *kept.asked)
        return [values_hash(*(part.cpu().numpy() for part in parts)), *shape]


def _float32(values: xr.DataArray) -> Tensor:
    return torch.from_numpy(np.array(values.values, dtype=np.float32))


def _beside_fields(wall: xr.DataArray, dims: Sequence[str]) -> Tensor:
    """A wall's values (sample, t[, n]) with an axis of length 1 wherever they do not vary."""
    absent = [dim for dim in dims if dim not in wall.dims]
    return _float32(wall.expand_dims(absent).transpose(*dims))


@final
@dataclass(frozen=True)
class Batch:
    """What a step learns from. `count` is the number of samples in the whole batch, all processes together.

    Numbers are tensors, because compiled losses are made anew for every value of anything else.
    """

    samples: Samples
    epoch: Tensor
    count: Tensor


@final
@dataclass(frozen=True)
class Batches:
    """Every window of `length` times of every sample once an epoch, in an order of the seed's.

    Of several seeds each gives a member an order of its own, (member, sample). Samples that do not stay in memory are
    read while the step before is taken, some at a time, all windows of these before the next.
    """

    data: GridData
    size: int
    length: int
    seeds: tuple[int, ...]
    members: bool = False

    def __call__(self, epoch: int) -> "Epoch":
        """The batches of one epoch."""
        return Epoch(self, [self._order(stream(seed, "epoch", epoch)) for seed in self.seeds], epoch)

    def _order(self, random: np.random.Generator) -> list[tuple[IntArray, IntArray]]:
        """(samples to read, windows among those) of each batch."""
        samples, at_once = np.arange(len(self.data)), len(self.data)
        if self.data.kept is None:
            samples, at_once = random.permutation(samples), self.size
        order = []
        for first in range(0, len(samples), at_once):
            group = samples[first : first + at_once]
            windows = random.permutation(len(self.windows(group)))
            order += [(group, windows[i : i + self.size]) for i in range(0, len(windows), self.size)]
        return order

    def windows(self, group: IntArray) -> Windows:
        """The windows of so many samples."""
        return Windows(len(group), len(self.data.times), self.length)


@final
@dataclass(frozen=True)
class Epoch:
    """The batches of one epoch; under `torchrun`, this process's share of each."""

    source: Batches
    orders: list[list[tuple[IntArray, IntArray]]]
    number: int

    def __len__(self) -> int:
        return len(self.orders[0])

    def __iter__(self) -> Iterator[Batch]:
        read: dict[bytes, Samples] = {}
        tasks = (partial(self._batch, i, read) for i in range(len(self)))
        if self.source.data.kept is None:
            yield from _ahead(tasks)
        else:
            yield from (task() for task in tasks)

    def _batch(self, i: int, read: dict[bytes, Samples]) -> Batch:
        parts = [self._samples(*order[i], read) for order in self.orders]
        together = stacked(parts) if self.source.members else parts[0]
        numbers = (self.number, len(self.orders[0][i][1]))
        epoch, count = torch.tensor(numbers, device=self.source.data.device)
        return Batch(together, epoch, count)

    def _samples(self, group: IntArray, numbers: IntArray, read: dict[bytes, Samples]) -> Samples:
        data, windows = self.source.data, self.source.windows(group)
        source = data.kept
        if source is None:
            key = group.tobytes()
            if key not in read:
                while len(read) >= len(self.orders):  # what a member before this group read last
                    del read[next(iter(read))]
                read[key] = data.read(group)
            source = read[key]
        chosen = [windows[int(number)] for number in numbers[distributed.share(len(numbers))]]
        rows, starts = (
            torch.tensor(values, dtype=torch.int64, device=source.times.device)
            for values in ([row for row, _ in chosen], [times.start for _, times in chosen])
        )
        return source.windows(rows, starts, windows.length).map(lambda values: values.to(data.device))


def _ahead(tasks: Iterable[Callable[[], Thing]], ahead: int = 2) -> Iterator[Thing]:
    """Results in order, some tasks ahead of what is asked for, in another thread."""
    with ThreadPoolExecutor(1) as pool:
        running: deque[Future[Thing]] = deque()
        for task in tasks:
            running.append(pool.submit(task))
            if len(running) > ahead:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
