"""One dataset in one netCDF-4 file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.datasets import schema

#: The netCDF and HDF5 libraries may not be entered by two threads at once, even for different files.
NETCDF = RLock()

#: How fields are stored, a sample a chunk; chosen by measurement (docs/results.md).
FIELDS: dict[str, object] = {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True}


def write(data: xr.Dataset, path: Path) -> None:
    """Write a dataset to a new file."""
    with NETCDF:
        data.to_netcdf(path, engine="netcdf4", format="NETCDF4", encoding=_encoding(data))


def _encoding(data: xr.Dataset) -> dict[str, dict[str, object]]:
    encoding: dict[str, dict[str, object]] = {}
    for name in data.variables:
        encoding[str(name)] = {"_FillValue": None}
        if data[name].ndim >= 3 and data[name].dtype.kind == "f":
            chunks = tuple(
                1 if dim in (schema.SAMPLE, schema.REALIZATION) else size
                for dim, size in data[name].sizes.items()
            )
            encoding[str(name)] |= {**FIELDS, "chunksizes": chunks}
    return encoding


@contextmanager
def opened(path: Path) -> Iterator[xr.Dataset]:
    """The dataset in a file, nothing of it read yet, nobody else in the library."""
    with (
        NETCDF,
        xr.open_dataset(path, engine="netcdf4", decode_times=False, mask_and_scale=False) as data,
    ):
        yield data


class Reader:
    """Some samples of some variables, from a file that stays open; only one thread at a time, which holds `NETCDF`."""

    def __init__(self, path: Path) -> None:
        self._file = netCDF4.Dataset(path, "r")
        self._file.set_auto_maskandscale(False)
        self._variables: dict[str, Any] = {}

    @property
    def names(self) -> list[str]:
        """Names of all variables."""
        return list(self._file.variables)

    def rows(self, name: str, rows: NDArray[np.int64]) -> NDArray[Any] | list[NDArray[Any]]:
        """Values of a variable for some samples, one after the other."""
        variable = self._variables.get(name)
        if variable is None:
            variable = self._variables[name] = self._uncached(name)
        low, high = int(rows.min()), int(rows.max()) + 1
        if variable.ndim < 3 or rows.size == high - low:
            return np.asarray(variable[low:high])[rows - low]
        # A chunk is a sample: what lies between is not worth unpacking.
        return [np.asarray(variable[row]) for row in rows.tolist()]

    def _uncached(self, name: str) -> Any:
        """A variable; where a chunk is a sample, none is kept after it was read.

        By default the library keeps 64 MB of chunks for each variable of each open file, which samples in random order hardly ever
        meet again, and copies each chunk once more.
        """
        variable = self._file.variables[name]
        chunks = variable.chunking() if self._file.data_model.startswith("NETCDF4") else "contiguous"
        if variable.ndim >= 3 and isinstance(chunks, list) and chunks[0] == 1:
            variable.set_var_chunk_cache(0, 1, 1.0)
        return variable

    def close(self) -> None:
        """Close the file."""
        self._file.close()
