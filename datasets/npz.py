"""A dataset as one .npz file that NumPy alone reads: an array for each variable, and the labels as a JSON text."""

import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import xarray as xr

from lawbound.datasets import schema
from lawbound.datasets.description import Description, described, labelled_as
from lawbound.datasets.exchange import ExportReport, Source, fresh

#: The array that holds the labels.
LABELS = "lawbound_description"


def write(data: xr.Dataset | str | Path, path: str | Path) -> ExportReport:
    """Write a dataset, a file or a folder of shards to one .npz file, a block of samples in memory at a time.

    Raises `ValueError` if `path` exists or the data are no dataset.
    """
    source = Source.of(data)
    template = source.template
    names = list(map(str, template.variables))
    with fresh(path) as temporary, tempfile.TemporaryDirectory(dir=temporary.parent, prefix=".npz") as folder:
        text = described(template, names).model_dump_json()
        arrays = {LABELS: np.array(text)}
        for name in names:
            variable = template[name]
            if schema.SAMPLE not in variable.dims:
                arrays[name] = variable.values
                continue
            axis = variable.dims.index(schema.SAMPLE)
            shape = (*variable.shape[:axis], source.samples, *variable.shape[axis + 1 :])
            arrays[name] = np.lib.format.open_memmap(
                Path(folder) / f"{name}.npy", mode="w+", dtype=variable.dtype, shape=shape
            )
        for first, piece in source.pieces():
            rows = slice(first, first + piece.sizes[schema.SAMPLE])
            for name in names:
                if schema.SAMPLE in piece[name].dims:
                    where = tuple(rows if dim == schema.SAMPLE else slice(None) for dim in piece[name].dims)
                    arrays[name][where] = piece[name].values
        _zip(temporary, arrays)
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


def _zip(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """The arrays as numpy.savez_compressed has them, but always the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        for name, values in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # of 1980: no clock in files
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, values, allow_pickle=False)


def read(path: str | Path) -> xr.Dataset:
    """The dataset in an .npz file that `write` made; raises `ValueError` for any other file. Nothing is unpickled."""
    if not Path(path).exists():
        raise ValueError(f"{path} does not exist; give an .npz file that `lawbound export --to npz` made.")
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no archive of arrays")
        with np.load(path, allow_pickle=False) as stored:
            if LABELS not in stored:
                raise ValueError(f"it has no `{LABELS}`")
            description = Description.model_validate_json(str(stored[LABELS]))
            names = [one.name for one in description.variables]
            data = labelled_as(description, {name: stored[name] for name in names if name in stored})
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{path} is no .npz file that `lawbound export --to npz` made ({reason}); export it again, or hand its arrays to "
            "`lawbound.from_arrays`."
        ) from None
    schema.require(data, str(path))
    return data
