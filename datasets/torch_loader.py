"""Batches of a view by worker processes that read straight into memory which they share with this process.

PyTorch's own loader makes a new piece of shared memory for each tensor of each batch; most of its time goes into first
touches, the copy into it and handing it over (docs/results.md). Here there are a few places for batches, made once:
this process says with its order which one a worker is to fill. A place is filled anew when nothing refers to what it
held before; where all are in use, a batch travels in new memory.
"""

import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler

from lawbound.datasets.torch_view import Item, TorchView

#: Batches that each worker may be ahead.
AHEAD = 2

#: Places beyond those: the batch at hand, the one before it, which a loop's variable still holds, and one more.
AT_HAND = 3

_NOWHERE = -1


class Loader:
    """Batches of a view, in its order or shuffled anew in each pass; iterate over it once an epoch.

    The values are those of `torch.utils.data.DataLoader(view, batch_size, …)`, and faster to come by. `workers` processes
    take `AHEAD · workers + AT_HAND` batches of memory; 0 workers read in this process. `generator` decides the order.
    """

    def __init__(
        self,
        view: TorchView,
        batch_size: int,
        *,
        workers: int = 2,
        shuffle: bool = False,
        drop_last: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        if batch_size < 1 or workers < 0:
            raise ValueError(
                f"batch_size={batch_size}, workers={workers}; give at least 1 item and 0 workers."
            )
        items = RandomSampler(view, generator=generator) if shuffle else SequentialSampler(view)
        self._places = _Places(
            view, min(batch_size, max(len(view), 1)), AHEAD * workers + AT_HAND if workers else 0
        )
        self._orders = _Orders(BatchSampler(items, batch_size, drop_last), self._places)
        self._loader: DataLoader[Any] = DataLoader(
            _Filling(view, self._places),
            batch_sampler=self._orders,
            num_workers=workers,
            collate_fn=_as_it_is,
            prefetch_factor=AHEAD if workers else None,
            persistent_workers=workers > 0,
            generator=generator,
        )

    def __len__(self) -> int:
        """Number of batches."""
        return len(self._orders)

    def __iter__(self) -> Iterator[Item]:
        """One pass."""
        for answer in self._loader:
            yield self._places.held(*answer) if isinstance(answer, tuple) else answer


class _Places:
    """Shared memory for batches. Which places are free only the process that orders knows."""

    def __init__(self, view: TorchView, batch_size: int, places: int) -> None:
        self._memory = {
            name: torch.from_numpy(np.empty((places, batch_size, *shape), dtype)).share_memory_()  # type: ignore[no-untyped-call]
            for name, (shape, dtype) in (view.shapes.items() if places else ())
        }
        self._free = list(range(places))
        self._ordered: set[int] = set()

    def order(self) -> int:
        """A place that nothing refers to, if there is one."""
        if not self._free:
            return _NOWHERE
        place = self._free.pop()
        self._ordered.add(place)
        return place

    def forget_orders(self) -> None:
        """Take back the places of a pass that was not gone through to its end."""
        self._free.extend(self._ordered)
        self._ordered.clear()

    def arrays(self, place: int, items: int) -> dict[str, NDArray[np.generic]]:
        """The memory of a batch of so many items."""
        return {name: memory[place, :items].numpy() for name, memory in self._memory.items()}

    def held(self, place: int, items: int) -> Item:
        """The batch as tensors; when the last that refers to any of them is gone, its place is free."""
        self._ordered.remove(place)
        arrays = self.arrays(place, items)
        left = list(arrays)

        def gone() -> None:
            left.pop()
            if not left:
                self._free.append(place)

        for values in arrays.values():
            # Whatever comes of `from_numpy`, views of views included, keeps this very array.
            weakref.finalize(values, gone).atexit = False
        return {name: torch.from_numpy(values) for name, values in arrays.items()}


class _Orders:
    """Lists of numbers of items, the place to put them in front."""

    def __init__(self, batches: BatchSampler, places: _Places) -> None:
        self._batches, self._places = batches, places

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[int]]:
        # PyTorch asks for the first order when all answers of an earlier pass have come.
        self._places.forget_orders()
        for numbers in self._batches:
            yield [self._places.order(), *numbers]


class _Filling(Dataset[Any]):
    """A view that carries out orders."""

    def __init__(self, view: TorchView, places: _Places) -> None:
        self._view, self._places = view, places

    def __getitems__(self, order: Sequence[int]) -> Item | tuple[int, int]:
        """The place and the number of items, or the batch itself where no place was free."""
        place, *numbers = order
        if place == _NOWHERE:
            return self._view.batch(numbers)
        self._view.fill(numbers, self._places.arrays(place, len(numbers)))
        return place, len(numbers)


def _as_it_is(answer: Any) -> Any:
    return answer
