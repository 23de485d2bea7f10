"""Files: one netCDF, or a folder of shards with a manifest. Nothing half-written survives."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from lawbound.datasets import schema
from lawbound.datasets.manifest import (
    AGAIN,
    MANIFEST,
    Manifest,
    ShardRecord,
    damage,
    file_hash,
    first_problem,
    read_manifest,
    temporary,
    unwritable,
    write_manifest,
    write_text,
)
from lawbound.datasets.provenance import content_hash
from lawbound.datasets.sharded import NETCDF, Shards, as_dataset

__all__ = [
    "MANIFEST",
    "Manifest",
    "MissingSamples",
    "ShardRecord",
    "damage",
    "file_hash",
    "first_problem",
    "open",
    "read",
    "read_manifest",
    "shards_of",
    "stored_hash_matches",
    "write",
    "write_manifest",
    "write_text",
]

#: A dataset of more bytes than this, unpacked, stays on disk until values are asked for.
LOAD_UP_TO = 1 << 29

#: Shards of no more bytes than this, as files, are all compared with the manifest when a folder is opened.
VERIFY_UP_TO = 1 << 29


class MissingSamples(UserWarning):
    """A dataset that lacks samples, because they could not be solved."""


def write(data: xr.Dataset, path: str | Path, *, attributes: Mapping[str, str] | None = None) -> None:
    """Write a dataset to one netCDF-4 file under a temporary name, then rename it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = data.assign_attrs(
        {**data.attrs, **(attributes or {}), "lawbound_content_sha256": content_hash(data)}
    )
    unfinished = temporary(path)
    try:
        with NETCDF:
            stored.to_netcdf(unfinished, engine="netcdf4", format="NETCDF4", encoding=_encoding(stored))
        os.replace(unfinished, path)
    except (OSError, RuntimeError) as error:  # netCDF says a full disk as a RuntimeError
        raise OSError(unwritable(path, error)) from error
    finally:
        unfinished.unlink(missing_ok=True)


#: How fields are stored, a sample a chunk; chosen by measurement (docs/results.md).
FIELDS: dict[str, object] = {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True}


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


def read(path: str | Path) -> xr.Dataset:
    """Read one netCDF file into memory; raises `ValueError` if it is not a readable dataset of this schema."""
    path = Path(path)
    try:
        with (
            NETCDF,
            xr.open_dataset(path, engine="netcdf4", decode_times=False, mask_and_scale=False) as file,
        ):
            data = file.load()
    except FileNotFoundError:
        raise ValueError(
            f"{path} does not exist; give a netCDF file or a folder made by `lawbound generate`."
        ) from None
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path} cannot be read as netCDF ({error}); it is truncated, damaged or of another format. "
            "Generate it again, or give another file."
        ) from None
    schema.require(data, str(path))
    return data


def open(
    path: str | Path, *, lazy: bool | None = None, verify: bool | None = None, chunks: Any = None
) -> xr.Dataset:
    """The dataset in a file, or in a folder of shards, as one `xarray.Dataset`.

    A folder of more than `LOAD_UP_TO` bytes is read sample by sample when values are asked for (`lazy` says it
    otherwise); with dask installed, `chunks={}` gives arrays of dask. The SHA-256 of shards is compared with the
    manifest's: of all at once where they are few or `verify=True`, else of each before its first value is read; with
    `verify=False` only sizes are. Raises `ValueError` if a shard is missing or differs from what the manifest says;
    samples that could not be solved are missing, with a `MissingSamples` warning.
    """
    path = Path(path)
    if not path.is_dir():
        return read(path)
    shards = shards_of(path, verify=verify)
    if len(shards.records) == 1 and chunks is None and not lazy:
        return read(path / shards.records[0].file)
    data = as_dataset(shards, chunks=chunks)
    schema.require(data.isel({schema.SAMPLE: slice(1)}), str(path))
    small = data.nbytes <= LOAD_UP_TO
    return data.load() if (small if lazy is None else not lazy) and chunks is None else data


def shards_of(path: str | Path, *, verify: bool | None = None) -> Shards:
    """The shards of a complete folder, or a file as the only one, compared with the manifest as `open` says.

    Raises `ValueError` if a shard is missing, or differs from what the manifest says, or there is no sample.
    """
    path = Path(path)
    if not path.is_dir():
        samples = read(path).sizes[schema.SAMPLE]
        only = ShardRecord(file=path.name, first=0, count=samples, sha256="", seconds=0.0)
        return Shards(path.parent, [only], verified=True)
    manifest = read_manifest(path)
    if not manifest.complete:
        raise ValueError(
            f"{path} holds {len(manifest.shards)} of {manifest.shards_wanted} shards; {AGAIN}, it goes on where it stopped."
        )
    records = [manifest.shards[shard] for shard in sorted(manifest.shards)]
    if not any(record.count for record in records):
        raise ValueError(
            f"{path} has no sample: none of {len(manifest.failed)} could be solved; {path / MANIFEST} says why."
        )
    now = verify if verify is not None else sum(_size(path, record) for record in records) <= VERIFY_UP_TO
    for record in records:
        problem = damage(path, record, contents=now)
        if problem:
            raise ValueError(problem)
    _warn_of_missing(path, manifest)
    return Shards(path, records, verified=now or verify is False)


def _size(folder: Path, record: ShardRecord) -> int:
    if record.size is not None or not (folder / record.file).exists():
        return record.size or 0
    return (folder / record.file).stat().st_size


def _warn_of_missing(path: Path, manifest: Manifest) -> None:
    failed = manifest.failed
    if failed:
        some = ", ".join(str(one.sample) for one in failed[:10]) + (", …" if len(failed) > 10 else "")
        wanted = len(failed) + sum(record.count for record in manifest.shards.values())
        warnings.warn(
            f"{path} lacks {len(failed)} of {wanted} samples ({some}), which could not be solved; why, says {path / MANIFEST}. "
            f"To try them again, {AGAIN}.",
            MissingSamples,
            stacklevel=4,
        )


def stored_hash_matches(data: xr.Dataset) -> bool:
    """Whether the values still are those that were written; True where no hash was stored."""
    wanted = data.attrs.get("lawbound_content_sha256")
    return wanted is None or wanted == content_hash(data)
