"""Datasets for other people's tools: one function, four layouts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import xarray as xr

from lawbound.datasets import npz, pdebench, well, zarr_format
from lawbound.datasets.exchange import ExportReport, Source
from lawbound.datasets.plugins import suggestion

Format = Literal["well", "pdebench", "zarr", "npz"]
FORMATS: tuple[str, ...] = get_args(Format)

_WRITERS: dict[str, Callable[[xr.Dataset | str | Path | Source, str | Path], ExportReport]] = {
    "well": well.write,
    "pdebench": pdebench.write,
    "zarr": zarr_format.write,
    "npz": npz.write,
}


def export(
    data: xr.Dataset | str | Path,
    to: str,
    path: str | Path,
    *,
    on_block: Callable[[int, int], None] = lambda done, samples: None,
) -> ExportReport:
    """Write a dataset, a file, a store or a folder of shards for other tools; the report says what their layout cannot hold.

    `to` is `well` (a folder of HDF5 files for The Well's reader), `pdebench` (a folder with one), `zarr` (a store) or `npz` (one file).
    Folders, netCDF files and Zarr stores are read a block of samples at a time, and `on_block(done, samples)` is told how far it
    is; an .npz file is read as a whole. Raises `ValueError` if `path` exists, or for data or a layout that
    are unknown, and `RuntimeError` where an extra is not installed.
    """
    if to not in _WRITERS:
        raise ValueError(
            f"`{to}` is none of the layouts {', '.join(FORMATS)}.{suggestion(to, FORMATS)} Give one of them."
        )
    return _WRITERS[to](replace(Source.of(data), on_block=on_block), path)
