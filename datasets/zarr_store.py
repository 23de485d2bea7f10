"""One dataset in one Zarr store of format 3: names, attributes and values of the netCDF files, a chunk for each sample.

A missing chunk reads as a fill value that no stored value has (not a number, or the most negative integer), so it cannot
pass for data. Each chunk of a field carries a checksum. The same data give the same bytes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.datasets import schema
from lawbound.datasets.description import plain, typed
from lawbound.datasets.extras import optional

EXTRA = "zarr"

#: Zarr lists arrays in no order; ours is stored beside them.
ORDER = "lawbound_variable_order"


def is_store(path: Path) -> bool:
    """Whether a folder is a Zarr store of format 3."""
    return (path / "zarr.json").is_file()


def write(data: xr.Dataset, path: Path) -> None:
    """Write a dataset to a new store with one file for each variable, a chunk of it for each sample."""
    group = begun(data, path, data.sizes[schema.SAMPLE], one_file=True)
    add(group, data, 0)
    group.attrs.update(attributes_of(data))


def begun(template: xr.Dataset, path: Path, samples: int, *, one_file: bool = False) -> Any:
    """A new store with room for so many samples, and the values of what does not depend on the sample."""
    group = optional("zarr", EXTRA).open_group(path, mode="w-", zarr_format=3)
    for name in map(str, template.variables):
        _begin(group, template[name], name, samples, one_file)
    return group


def _begin(group: Any, variable: xr.DataArray, name: str, samples: int, one_file: bool) -> None:
    codecs = optional("zarr.codecs", EXTRA)
    sizes = {str(dim): samples if dim == schema.SAMPLE else size for dim, size in variable.sizes.items()}
    field = len(sizes) >= 3 and variable.dtype.kind == "f"
    one = (schema.SAMPLE, schema.REALIZATION) if field else ()
    # Chosen by measurement (docs/results.md). Not gzip: it writes the time into the chunks.
    packed = codecs.BloscCodec(cname="zstd", clevel=1, shuffle="shuffle", typesize=variable.dtype.itemsize)
    array = group.create_array(
        name,
        shape=tuple(sizes.values()),
        dtype=variable.dtype,
        chunks=tuple(1 if dim in one else size for dim, size in sizes.items()),
        shards=tuple(sizes.values()) if field and one_file else None,
        compressors=(packed, codecs.Crc32cCodec()),
        fill_value=np.nan if variable.dtype.kind == "f" else int(np.iinfo(variable.dtype).min),
        dimension_names=tuple(sizes),
        attributes=plain(variable.attrs),
    )
    if schema.SAMPLE not in sizes:
        array[...] = variable.values


def add(group: Any, piece: xr.Dataset, first: int) -> None:
    """Write what depends on the sample, for neighbouring samples from `first` on."""
    rows = slice(first, first + piece.sizes[schema.SAMPLE])
    for name in map(str, piece.variables):
        dims = piece[name].dims
        if schema.SAMPLE in dims:
            where = tuple(rows if dim == schema.SAMPLE else slice(None) for dim in dims)
            group[name][where] = piece[name].values


def attributes_of(data: xr.Dataset) -> dict[str, object]:
    """The attributes of a store."""
    return {**plain(data.attrs), ORDER: " ".join(map(str, data.variables))}


@contextmanager
def opened(path: Path) -> Iterator[xr.Dataset]:
    """The dataset in a store, nothing of it read yet; raises `MissingExtra` without the extra `zarr`."""
    optional("zarr", EXTRA)
    with xr.open_dataset(
        path,
        engine="zarr",
        chunks=None,
        decode_times=False,
        mask_and_scale=False,
        backend_kwargs={"consolidated": False, "zarr_format": 3},
    ) as data:
        yield _ordered(data)


def _ordered(data: xr.Dataset) -> xr.Dataset:
    """Variables in the order in which they were written, attributes with the types that JSON does not keep."""
    order = [name for name in str(data.attrs.get(ORDER, "")).split() if name in data.variables]
    order += [name for name in map(str, data.variables) if name not in order]
    variables = {name: data.variables[name].copy(deep=False) for name in order}
    for variable in variables.values():
        variable.attrs = typed(variable.attrs, variable.dtype)
        variable.encoding = {}
    return xr.Dataset(variables, attrs={key: data.attrs[key] for key in data.attrs if key != ORDER})


class Reader:
    """Some samples of some variables, from a store."""

    def __init__(self, path: Path) -> None:
        self._group = optional("zarr", EXTRA).open_group(path, mode="r", zarr_format=3)
        self._arrays = dict(self._group.arrays())

    @property
    def names(self) -> list[str]:
        """Names of all variables."""
        return list(self._arrays)

    def rows(self, name: str, rows: NDArray[np.int64]) -> NDArray[Any] | list[NDArray[Any]]:
        """Values of a variable for some samples, one after the other."""
        array = self._arrays[name]
        low, high = int(rows.min()), int(rows.max()) + 1
        # Most of the time of a chunk read alone is spent on the way to it, so what lies between may be read as well;
        # `oindex`, which would pick, takes three times as long as chunk after chunk.
        if array.ndim < 3 or 3 * rows.size >= high - low:
            return np.asarray(array[low:high])[rows - low]
        return [np.asarray(array[row]) for row in rows.tolist()]

    def close(self) -> None:
        """Nothing is held open."""
