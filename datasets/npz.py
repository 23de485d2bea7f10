"""A dataset as one .npz file that NumPy alone reads: an array for each variable, and the labels as a JSON text."""

import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from lawbound.datasets import schema
from lawbound.datasets.description import described
from lawbound.datasets.exchange import ExportReport, Source, fresh
from lawbound.datasets.npz_read import LABELS, read

__all__ = ["LABELS", "read", "write"]


def write(data: xr.Dataset | str | Path | Source, path: str | Path) -> ExportReport:
    """Write a dataset, a file, a store or a folder of shards to one .npz file, a block of samples in memory at a time.

    Raises `ValueError` if `path` exists or the data are no dataset.
    """
    source = Source.of(data)
    template = source.template
    names = list(map(str, template.variables))
    with fresh(path) as temporary, tempfile.TemporaryDirectory(dir=temporary.parent, prefix=".npz") as folder:
        files = {name: Path(folder) / f"{i}.npy" for i, name in enumerate((LABELS, *names))}
        np.save(files[LABELS], np.array(described(template, names).model_dump_json()), allow_pickle=False)
        for name in names:
            _begin(files[name], template[name], source.samples)
        for first, piece in source.pieces():
            for name in names:
                _add(files[name], piece[name], first)
        _zip(temporary, files)
    return ExportReport(
        format="npz",
        path=Path(path),
        samples=source.samples,
        fields=tuple(schema.state_variables(template)),
        files=(Path(path).name,),
        notes=(
            f"Nothing is lost; names of dimensions and attributes are the JSON text `{LABELS}`.",
            "numpy.load reads it; `lawbound.datasets.npz.read` gives the dataset back.",
        ),
    )


def _begin(file: Path, variable: xr.DataArray, samples: int) -> None:
    """Make the array of a variable, with its values where they do not depend on the sample."""
    if schema.SAMPLE not in variable.dims:
        np.save(file, variable.values, allow_pickle=False)
        return
    shape = tuple(samples if dim == schema.SAMPLE else size for dim, size in variable.sizes.items())
    np.lib.format.open_memmap(file, mode="w+", dtype=variable.dtype, shape=shape)


def _add(file: Path, piece: xr.DataArray, first: int) -> None:
    if schema.SAMPLE in piece.dims:
        rows = slice(first, first + piece.sizes[schema.SAMPLE])
        where = tuple(rows if dim == schema.SAMPLE else slice(None) for dim in piece.dims)
        # Mapped anew for each piece: what stays mapped counts as memory in use.
        np.lib.format.open_memmap(file, mode="r+")[where] = piece.values


def _zip(path: Path, files: Mapping[str, Path]) -> None:
    """The archive that numpy.savez_compressed makes, but always of the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        for name, file in files.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # of 1980: no clock in files
            entry.compress_type = zipfile.ZIP_DEFLATED
            with file.open("rb") as stored, archive.open(entry, "w", force_zip64=True) as inside:
                shutil.copyfileobj(stored, inside)
