"""A dataset as a Zarr store of format 3: names, attributes and values of the netCDF files, a chunk for each sample.

Object stores like it: every sample of a field is an object of its own. A missing chunk reads as a fill value that no
stored value has (not a number, or the most negative integer), so it cannot pass for data.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from lawbound.datasets import schema
from lawbound.datasets.description import plain, typed
from lawbound.datasets.exchange import ExportReport, Source, fresh, optional
from lawbound.datasets.provenance import content_hash

#: Zarr lists arrays in no order; ours is stored beside them.
_ORDER = "lawbound_variable_order"


def write(
    data: xr.Dataset | str | Path, path: str | Path, *, attributes: Mapping[str, str] | None = None
) -> ExportReport:
    """Write a dataset, a file or a folder of shards to one Zarr store, a block of samples in memory at a time.

    The store takes its name when it is whole. Its content hash is that of a netCDF file with the same values. Raises `ValueError` if
    `path` exists or the data are no dataset, and `RuntimeError` without the extra `zarr`.
    """
    zarr = optional("zarr", "zarr")
    source = Source.of(data)
    template = source.template
    with fresh(path) as temporary:
        group = zarr.open_group(temporary, mode="w-", zarr_format=3)
        for name in map(str, template.variables):
            _begin(group, template[name], name, source.samples)
        for first, piece in source.pieces():
            _add(group, piece, first)
        group.attrs.update(
            {**plain(template.attrs), **(attributes or {}), _ORDER: " ".join(map(str, template.variables))}
        )
        with _opened(temporary) as stored:
            group.attrs["lawbound_content_sha256"] = content_hash(stored)
    return ExportReport(
        format="zarr",
        path=Path(path),
        samples=source.samples,
        fields=tuple(schema.state_variables(template)),
        files=(),
        notes=("Nothing is lost: variables, attributes and content hash are those of the netCDF files.",),
    )


def _begin(group: Any, variable: xr.DataArray, name: str, samples: int) -> None:
    """Make the array of a variable, with its values where they do not depend on the sample."""
    sizes = {str(dim): samples if dim == schema.SAMPLE else size for dim, size in variable.sizes.items()}
    large = len(sizes) >= 3
    one = (schema.SAMPLE, schema.REALIZATION) if large else ()
    array = group.create_array(
        name,
        shape=tuple(sizes.values()),
        dtype=variable.dtype,
        chunks=tuple(1 if dim in one else size for dim, size in sizes.items()),
        fill_value=np.nan if variable.dtype.kind == "f" else int(np.iinfo(variable.dtype).min),
        dimension_names=tuple(sizes),
        attributes=plain(variable.attrs),
    )
    if schema.SAMPLE not in sizes:
        array[...] = variable.values


def _add(group: Any, piece: xr.Dataset, first: int) -> None:
    rows = slice(first, first + piece.sizes[schema.SAMPLE])
    for name in map(str, piece.variables):
        dims = piece[name].dims
        if schema.SAMPLE in dims:
            where = tuple(rows if dim == schema.SAMPLE else slice(None) for dim in dims)
            group[name][where] = piece[name].values


def _opened(path: Path) -> xr.Dataset:
    return xr.open_dataset(
        path,
        engine="zarr",
        chunks=None,
        decode_times=False,
        mask_and_scale=False,
        backend_kwargs={"consolidated": False, "zarr_format": 3},
    )


def read(path: str | Path) -> xr.Dataset:
    """The dataset in a Zarr store of format 3, in memory.

    Raises `ValueError` if it is none, or does not follow the schema, and `RuntimeError` without the extra `zarr`.
    """
    optional("zarr", "zarr")
    path = Path(path)
    if not (path / "zarr.json").exists():
        raise ValueError(
            f"{path} is no Zarr store of format 3 (it has no zarr.json); give one that `lawbound export --to zarr` made."
        )
    try:
        with _opened(path) as stored:
            data = stored.load()
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(
            f"{path} cannot be read as a Zarr store ({error}); it is damaged or of another kind. Export it again."
        ) from None
    data = _ordered(data)
    schema.require(data, str(path))
    return data


def _ordered(data: xr.Dataset) -> xr.Dataset:
    """Variables in the order in which they were written, attributes with the types that JSON does not keep."""
    order = [name for name in str(data.attrs.get(_ORDER, "")).split() if name in data.variables]
    order += [name for name in map(str, data.variables) if name not in order]
    variables = {}
    for name in order:
        variable = data.variables[name]
        variables[name] = (variable.dims, variable.values, typed(variable.attrs, variable.dtype))
    return xr.Dataset(variables, attrs={key: data.attrs[key] for key in data.attrs if key != _ORDER})
