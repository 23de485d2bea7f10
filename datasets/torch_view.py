"""A folder of shards, or a file, as a map-style dataset for PyTorch; the only modules of this layer that know torch
are this one and `torch_loader`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lawbound.datasets import schema
from lawbound.datasets.points import Points, contexts_of, epoch_stream, targets_of
from lawbound.datasets.scaling import Scaling
from lawbound.datasets.sharded import as_dataset
from lawbound.datasets.split import members_of
from lawbound.datasets.store import shards_of
from lawbound.datasets.windows import Windows

Item = dict[str, Tensor]
Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class DrawnPoints:
    """Context and target points of neural processes: how many times × positions, and the seeds of both.

    They are those of `points.context_points(data, seed=context_seed)`, and in epoch e those of
    `points.target_points(data, points.epoch_stream(seed, e))`.
    """

    seed: int = 0
    context_seed: int = 0
    context: tuple[int, int] = (10, 10)
    target: tuple[int, int] = (10, 10)


class TorchView(Dataset[Item]):
    """Samples, windows of them, or points of them, read from disk when asked for.

    An item is a dictionary: each of `fields` (t, x) or (t, y, x), float32 as stored or normalised by `scaling`; `parameters`
    (p,) float64 in the file's order; `sample`, its number in the design; `start`, the index of its first time. With `points`
    it has `context` and `target` instead of fields: rows of t, x and the fields' values there, (point, 2 + fields) float32,
    of stored points; the targets of an epoch are those of the last `set_epoch`. Files are
    opened by each worker for itself. Whole batches are read shard by shard. Raises `ValueError` for a folder that
    `lawbound.open` refuses, a split or field that is not there, a window that does not fit, and points that are too many.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        split: str | None = None,
        fields: Sequence[str] | None = None,
        window: int | None = None,
        stride: int = 1,
        points: DrawnPoints | None = None,
        scaling: Mapping[str, Scaling] | None = None,
        verify: bool | None = None,
    ) -> None:
        self._shards = shards_of(path, verify=verify)
        data = as_dataset(self._shards)
        self.fields = tuple(fields or schema.state_variables(data))
        absent = [name for name in self.fields if name not in data]
        if absent:
            raise ValueError(
                f"{path} has no field {', '.join(absent)}; it has {', '.join(schema.state_variables(data))}."
            )
        if points is not None and window is not None:
            raise ValueError("Points are drawn from whole samples; give `window` or `points`, not both.")
        self.parameters = tuple(schema.by_role(data, schema.PARAMETER))
        self.times = data[schema.TIME].values
        members = np.arange(data.sizes[schema.SAMPLE]) if split is None else members_of(data, split)
        self._members: NDArray[np.int64] = members
        self._numbers = data[schema.SAMPLE].values.astype(np.int64)[members]
        values = [data[name].values[members] for name in self.parameters]
        self._values = np.stack(values, axis=1) if values else np.empty((members.size, 0))
        self.windows = Windows(members.size, self.times.size, window or self.times.size, stride)
        self._scaling = dict(scaling or {})
        self._points = points
        if points is not None:
            schema_dims = schema.field_dims(data)
            if schema_dims != schema.FIELD_DIMS:
                raise ValueError(
                    f"{path} has dimensions {', '.join(schema_dims)}; points are picked in (t, x) only, so give data on an interval."
                )
            self._x = data[schema.X].values
            # Workers see it change.
            self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
            for count in (points.context, points.target):
                targets_of(self._numbers[:1], self._stored, np.random.default_rng(0), *count)
        self.shapes = self._shapes({name: (data[name].shape[2:], data[name].dtype) for name in self.fields})

    def _shapes(
        self, fields: Mapping[str, tuple[tuple[int, ...], np.dtype[np.generic]]]
    ) -> dict[str, tuple[tuple[int, ...], DTypeLike]]:
        """Shape and type of each thing in an item."""
        shapes: dict[str, tuple[tuple[int, ...], DTypeLike]] = {}
        if self._points is None:
            shapes = {name: ((self.windows.length, *space), dtype) for name, (space, dtype) in fields.items()}
        else:
            for name, (nt, nx) in (("context", self._points.context), ("target", self._points.target)):
                shapes[name] = ((nt * nx, 2 + len(fields)), np.float32)
        return {
            **shapes,
            "parameters": ((len(self.parameters),), np.float64),
            "sample": ((), np.int64),
            "start": ((), np.int64),
        }

    @property
    def _stored(self) -> tuple[int, int]:
        return self.times.size, self._x.size

    def set_epoch(self, epoch: int) -> None:
        """Draw the targets of this epoch from the next batch on, in workers, too."""
        if self._points is None:
            raise ValueError("This view has no points to draw; give `points=DrawnPoints()`.")
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, number: int) -> Item:
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[Item]:
        """Items of a batch; PyTorch's loaders ask for them together."""
        batch = self.batch(numbers)
        return [{name: values[i] for name, values in batch.items()} for i in range(len(numbers))]

    def batch(self, numbers: Sequence[int]) -> Item:
        """Items stacked, as `torch.utils.data.default_collate` does, without a copy on the way."""
        out = {name: np.empty((len(numbers), *shape), dtype) for name, (shape, dtype) in self.shapes.items()}
        self.fill(numbers, out)
        return {name: torch.from_numpy(values) for name, values in out.items()}

    def fill(self, numbers: Sequence[int], out: Arrays) -> None:
        """Write the items into arrays of `shapes`, one after the other."""
        chosen = [self.windows[number] for number in numbers]
        places = np.array([place for place, _ in chosen], dtype=np.int64)
        if self._points is None:
            for name in self.fields:
                self._fill_field(name, places, [times for _, times in chosen], out[name])
        else:
            self._fill_points(self._points, places, out)
        out["parameters"][...] = self._values[places]
        out["sample"][...] = self._numbers[places]
        out["start"][...] = [times.start for _, times in chosen]

    def _fill_field(
        self, name: str, places: NDArray[np.int64], times: Sequence[slice], out: NDArray[np.generic]
    ) -> None:
        for into, values, span in zip(out, self._read(name, self._members[places]), times, strict=True):
            part = values[span]
            into[...] = self._scaling[name].apply(part) if name in self._scaling else part

    def _fill_points(self, drawn: DrawnPoints, places: NDArray[np.int64], out: Arrays) -> None:
        numbers, random = self._numbers[places], epoch_stream(drawn.seed, int(self._epoch))
        picked: dict[str, Points] = {
            "context": contexts_of(numbers, self._stored, drawn.context_seed, *drawn.context),
            "target": targets_of(numbers, self._stored, random, *drawn.target),
        }
        for what, points in picked.items():
            out[what][..., :2] = points.coordinates(self.times, self._x)
        for channel, name in enumerate(self.fields, start=2):
            read = np.stack(self._read(name, self._members[places]))
            for what, points in picked.items():
                values = points.values(read)
                out[what][..., channel] = (
                    self._scaling[name].apply(values) if name in self._scaling else values
                )

    def _read(self, name: str, wanted: NDArray[np.int64]) -> list[NDArray[np.floating]]:
        """One array for each wanted sample, which may be wanted more than once."""
        owners = np.searchsorted(self._shards.starts, wanted, side="right") - 1
        found: dict[int, NDArray[np.floating]] = {}
        for shard in np.unique(owners).tolist():
            samples = np.unique(wanted[owners == shard])
            rows = self._shards.rows(shard, name, samples - self._shards.starts[shard])
            found.update(zip(samples.tolist(), rows, strict=True))
        return [found[sample] for sample in wanted.tolist()]
