"""A folder of shards as one dataset that reads a sample when it is asked for, by xarray's own lazy arrays.

No shard is believed before it was compared with what the manifest says of it: all at once, or each when its first
value is read.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from lawbound.datasets import formats, schema
from lawbound.datasets.extras import MissingExtra
from lawbound.datasets.manifest import AGAIN, ShardRecord, damage
from lawbound.datasets.netcdf import NETCDF
from lawbound.datasets.open_files import OpenFiles


class Shards:
    """The files of a folder, opened when needed; may be sent to another process, which opens them for itself."""

    def __init__(
        self,
        folder: Path,
        records: Sequence[ShardRecord],
        *,
        verified: bool,
        numbers: NDArray[np.integer] | None = None,
    ) -> None:
        self.folder = folder
        self.records = tuple(record for record in records if record.count)
        known = [record.samples for record in self.records] if numbers is None else [numbers]
        self.numbers = np.concatenate(known)
        self.starts = np.cumsum([0, *(record.count for record in self.records)])
        self.verified = verified
        self._forget()

    def _forget(self) -> None:
        self._files = OpenFiles()
        self._seen: set[int] = set()

    def __len__(self) -> int:
        """Number of samples."""
        return int(self.starts[-1])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": None, "_seen": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    @contextmanager
    def file(self, shard: int) -> Iterator[formats.Reader]:
        """One of the files, open, nobody else in the library; raises `ValueError` if it is not what was written."""
        with NETCDF:
            if self._files.process != os.getpid():  # a handle does not survive a fork
                self._forget()
            yield self._files.get(shard, self._opened)

    def _opened(self, shard: int) -> formats.Reader:
        record = self.records[shard]
        if shard not in self._seen:
            broken = damage(self.folder, record, contents=not self.verified)
            if broken:
                raise ValueError(broken)
            self._seen.add(shard)
        path = self.folder / record.file
        try:
            return formats.of(path).reader(path)
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            if isinstance(error, MissingExtra):
                raise
            raise ValueError(
                f"{path} cannot be read as {formats.of(path).title} ({error}); delete it and {AGAIN}."
            ) from None

    def rows(self, shard: int, name: str, rows: NDArray[np.int64]) -> NDArray[Any] | list[NDArray[Any]]:
        """Values of a variable for some samples of a shard, one after the other."""
        with self.file(shard) as file:
            return file.rows(name, rows)


class _OverSamples(BackendArray):
    """One variable over all shards."""

    def __init__(self, shards: Shards, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shards, self.name, self.shape, self.dtype = shards, name, shape, dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> Any:
        picked = np.arange(self.shape[0])[key[0]]
        wanted = np.atleast_1d(picked)
        owners = np.searchsorted(self.shards.starts, wanted, side="right") - 1
        out: NDArray[Any] | None = None
        for shard in np.unique(owners):
            here = owners == shard
            rows = self.shards.rows(int(shard), self.name, wanted[here] - self.shards.starts[shard])
            part = _outer(np.asarray(rows), key[1:])
            if out is None:
                out = np.empty((wanted.size, *part.shape[1:]), self.dtype)
            out[here] = part
        if out is None:
            out = _outer(np.empty((0, *self.shape[1:]), self.dtype), key[1:])
        return out if picked.ndim else out[0]


def _outer(values: NDArray[Any], keys: tuple[Any, ...]) -> NDArray[Any]:
    """Index all axes but the first, each by its own key; last axes first, as integers take an axis away."""
    for axis in range(len(keys), 0, -1):
        values = values[(slice(None),) * axis + (keys[axis - 1],)]
    return values


class ShardBackend(BackendEntrypoint):
    """xarray's door to a folder of shards; `xarray.open_dataset` adds its cache, or chunks if dask is there."""

    def open_dataset(  # type: ignore[override]
        self, filename_or_obj: Shards, *, drop_variables: Sequence[str] | None = None
    ) -> xr.Dataset:
        """All variables; those that depend on the sample are read when asked for."""
        shards, dropped = filename_or_obj, set(drop_variables or ())
        with shards.file(0):  # it is what was written
            path = shards.folder / shards.records[0].file
            with formats.opened(path) as first:
                common = _common(shards, list(map(str, first.variables)))
                variables = {
                    name: _variable(shards, name, first.variables[name])
                    for name in common
                    if name not in dropped
                }
                attributes = {k: v for k, v in first.attrs.items() if k != "lawbound_content_sha256"}
        coords = {name: variables.pop(name) for name in list(variables) if variables[name].dims == (name,)}
        return xr.Dataset(variables, coords, attributes)


def _variable(shards: Shards, name: str, first: xr.Variable) -> xr.Variable:
    if name == schema.SAMPLE:
        return xr.Variable(first.dims, shards.numbers.astype(first.dtype), first.attrs)
    if schema.SAMPLE not in first.dims:
        return xr.Variable(first.dims, first.values, first.attrs)
    shape = (len(shards), *first.shape[1:])
    lazy = indexing.LazilyIndexedArray(_OverSamples(shards, name, shape, first.dtype))
    return xr.Variable(
        first.dims, lazy, first.attrs, {"preferred_chunks": {schema.SAMPLE: shards.records[0].count}}
    )


def _common(shards: Shards, names: list[str]) -> list[str]:
    """Variables that all shards have: a front is stored in a shard only if all of its samples have one."""
    seen = {shards.records[0].layout}
    for number, record in enumerate(shards.records):
        if record.layout not in seen:
            seen.add(record.layout)
            with shards.file(number) as file:
                there = set(file.names)
                names = [name for name in names if name in there]
    return names


def as_dataset(shards: Shards, *, chunks: Any = None) -> xr.Dataset:
    """One dataset over the shards, nothing of it read yet; `chunks` as of `xarray.open_dataset`, which needs dask."""
    return xr.open_dataset(shards, engine=ShardBackend, chunks=chunks)  # type: ignore[arg-type]
