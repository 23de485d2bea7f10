"""A folder of shards, or a file, as a map-style dataset for PyTorch; the only module of this layer that knows torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lawbound.datasets import schema
from lawbound.datasets.scaling import Scaling
from lawbound.datasets.sharded import as_dataset
from lawbound.datasets.split import members_of
from lawbound.datasets.store import shards_of
from lawbound.datasets.windows import Windows

Item = dict[str, Tensor]


class TorchView(Dataset[Item]):
    """Samples, or windows of them, read from disk when asked for.

    An item is a dictionary: each of `fields` (t, x) or (t, y, x), float32 as stored or normalised by `scaling`; `parameters`
    (p,) float64 in the file's order; `sample`, its number in the design; `start`, the index of its first time. Files are
    opened by each worker for itself. Whole batches are read shard by shard. Raises `ValueError` for a folder that
    `lawbound.open` refuses, a split or field that is not there, and a window that does not fit.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        split: str | None = None,
        fields: Sequence[str] | None = None,
        window: int | None = None,
        stride: int = 1,
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
        self.parameters = tuple(schema.by_role(data, schema.PARAMETER))
        self.times = data[schema.TIME].values
        members = np.arange(data.sizes[schema.SAMPLE]) if split is None else members_of(data, split)
        self._members: NDArray[np.int64] = members
        self._numbers = data[schema.SAMPLE].values.astype(np.int64)[members]
        values = [data[name].values[members] for name in self.parameters]
        self._values = np.stack(values, axis=1) if values else np.empty((members.size, 0))
        self._whole = window is None
        self.windows = Windows(members.size, self.times.size, window or self.times.size, stride)
        self._scaling = dict(scaling or {})

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, number: int) -> Item:
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[Item]:
        """Items of a batch; PyTorch's loaders ask for them together."""
        chosen = [self.windows[number] for number in numbers]
        places = np.array([place for place, _ in chosen], dtype=np.int64)
        fields = {name: self._read(name, self._members[places]) for name in self.fields}
        return [
            {
                **{name: self._field(name, fields[name][i], times) for name in self.fields},
                "parameters": torch.from_numpy(self._values[place]),
                "sample": torch.tensor(self._numbers[place]),
                "start": torch.tensor(times.start),
            }
            for i, (place, times) in enumerate(chosen)
        ]

    def _read(self, name: str, wanted: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        """One array for each wanted sample, which may be wanted more than once."""
        owners = np.searchsorted(self._shards.starts, wanted, side="right") - 1
        found: dict[int, NDArray[np.float32]] = {}
        for shard in np.unique(owners).tolist():
            samples = np.unique(wanted[owners == shard])
            rows = self._shards.rows(shard, name, samples - self._shards.starts[shard])
            found.update(zip(samples.tolist(), rows, strict=True))
        return [found[sample] for sample in wanted.tolist()]

    def _field(self, name: str, values: NDArray[np.float32], times: slice) -> Tensor:
        part = values if self._whole else values[times]
        if name in self._scaling:
            part = self._scaling[name].apply(part).astype(values.dtype)
        return torch.from_numpy(part)
