"""The formats that shards are written in, one dataset in each file or store; each is read whatever made it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.datasets import netcdf, npz_read, schema, zarr_store
from lawbound.datasets.disk import put, remove, temporary, unwritable
from lawbound.datasets.extras import MissingExtra, optional
from lawbound.datasets.provenance import content_hash

Name = Literal["netcdf", "zarr"]


class Reader(Protocol):
    """A file or store that is open."""

    @property
    def names(self) -> list[str]:
        """Names of all variables."""
        ...

    def rows(self, name: str, rows: NDArray[np.int64]) -> NDArray[Any] | list[NDArray[Any]]:
        """Values of a variable for some samples, one after the other."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


@dataclass(frozen=True)
class Format:
    """How one dataset is written to a new file or store, opened lazily, and read a few samples at a time."""

    name: Name
    title: str
    suffix: str
    extra: str | None
    packages: tuple[str, ...]
    write: Callable[[xr.Dataset, Path], None]
    opened: Callable[[Path], AbstractContextManager[xr.Dataset]]
    reader: Callable[[Path], Reader]

    def require(self) -> None:
        """Raise `MissingExtra` if a package that it needs is not installed."""
        for package in self.packages if self.extra else ():
            optional(package, str(self.extra))


FORMATS: Mapping[Name, Format] = {
    "netcdf": Format(
        "netcdf", "netCDF", ".nc", None, ("netCDF4",), netcdf.write, netcdf.opened, netcdf.Reader
    ),
    "zarr": Format(
        "zarr", "a Zarr store", ".zarr", zarr_store.EXTRA, ("zarr", "numcodecs"),
        zarr_store.write, zarr_store.opened, zarr_store.Reader,
    ),
}  # fmt: skip


def of(path: Path) -> Format:
    """The format of a file or store: a folder is a Zarr store, anything else netCDF."""
    return FORMATS["zarr" if path.is_dir() else "netcdf"]


def is_one(path: Path) -> bool:
    """Whether a path is one dataset in itself, rather than a folder of shards."""
    return not path.is_dir() or zarr_store.is_store(path) or path.suffix == FORMATS["zarr"].suffix


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Say in one sentence what is wrong with a file, as a `ValueError`."""
    try:
        yield
    except FileNotFoundError:
        raise ValueError(
            f"{path} does not exist; give a netCDF file, a Zarr store or a folder made by `lawbound generate`."
        ) from None
    except MissingExtra:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} cannot be read as {of(path).title} ({error}); it is truncated, damaged or of another format. "
            "Generate it again, or give another file."
        ) from None


def write(
    data: xr.Dataset, path: Path, form: Name = "netcdf", attributes: Mapping[str, str] | None = None
) -> None:
    """Write a dataset under a temporary name, then rename it; raises `OSError` where it cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = data.assign_attrs(
        {**data.attrs, **(attributes or {}), "lawbound_content_sha256": content_hash(data)}
    )
    unfinished = temporary(path)
    FORMATS[form].require()
    try:
        FORMATS[form].write(stored, unfinished)
        put(unfinished, path)
    except (OSError, RuntimeError) as error:  # netCDF says a full disk as a RuntimeError
        raise OSError(unwritable(path, error)) from error
    finally:
        remove(unfinished)


@contextmanager
def opened(path: Path) -> Iterator[xr.Dataset]:
    """The dataset in a netCDF file or Zarr store, nothing of it read yet; raises `ValueError` if it cannot be read."""
    if path.is_dir() and not zarr_store.is_store(path):
        raise ValueError(
            f"{path} is no Zarr store of format 3 (it has no zarr.json); give one that `lawbound export --to zarr` made."
        )
    with translated(path), of(path).opened(path) as data:
        yield data


def read(path: Path) -> xr.Dataset:
    """Read one netCDF file, Zarr store or .npz file into memory.

    Raises `ValueError` if it is not a readable dataset of this schema, and `MissingExtra` where an extra is needed.
    """
    if path.suffix == npz_read.SUFFIX:
        return npz_read.read(path)
    with opened(path) as file:
        data = file.load()
    schema.require(data, str(path))
    return data
