"""A dataset as one Zarr store of format 3: names, attributes and values of the netCDF files.

Object stores like it: every sample of a field is an object of its own.
"""

from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from lawbound.datasets import formats, schema, zarr_store
from lawbound.datasets.exchange import ExportReport, Source, fresh
from lawbound.datasets.extras import optional
from lawbound.datasets.provenance import content_hash


def write(
    data: xr.Dataset | str | Path | Source, path: str | Path, *, attributes: Mapping[str, str] | None = None
) -> ExportReport:
    """Write a dataset, a file, a store or a folder of shards to one Zarr store, a block of samples in memory at a time.

    The store takes its name when it is whole. Its content hash is that of a netCDF file with the same values. Raises `ValueError` if
    `path` exists or the data are no dataset, and `RuntimeError` without the extra `zarr`.
    """
    optional("zarr", zarr_store.EXTRA)
    source = Source.of(data)
    template = source.template.assign_attrs(dict(attributes or {}))
    with fresh(path) as temporary:
        group = zarr_store.begun(template, temporary, source.samples)
        for first, piece in source.pieces():
            zarr_store.add(group, piece, first)
        group.attrs.update(zarr_store.attributes_of(template))
        with zarr_store.opened(temporary) as stored:
            group.attrs["lawbound_content_sha256"] = content_hash(stored)
    return ExportReport(
        format="zarr",
        path=Path(path),
        samples=source.samples,
        fields=tuple(schema.state_variables(template)),
        files=(),
        notes=("Nothing is lost: variables, attributes and content hash are those of the netCDF files.",),
    )


def read(path: str | Path) -> xr.Dataset:
    """The dataset in a Zarr store of format 3, in memory.

    Raises `ValueError` if it is none, or does not follow the schema, and `RuntimeError` without the extra `zarr`.
    """
    optional("zarr", zarr_store.EXTRA)
    path = Path(path)
    if not zarr_store.is_store(path):
        raise ValueError(
            f"{path} is no Zarr store of format 3 (it has no zarr.json); give one that `lawbound export --to zarr` made."
        )
    return formats.read(path)
