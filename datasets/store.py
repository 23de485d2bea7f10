"""Files: one netCDF, or a folder of shards with a manifest. Nothing half-written survives."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from lawbound.datasets import formats, npz_read, schema
from lawbound.datasets.disk import file_hash, file_size, write_text
from lawbound.datasets.manifest import (
    AGAIN,
    MANIFEST,
    Manifest,
    ShardRecord,
    damage,
    first_problem,
    read_manifest,
    write_manifest,
)
from lawbound.datasets.provenance import content_hash
from lawbound.datasets.sharded import Shards, as_dataset

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
    formats.write(data, Path(path), attributes=attributes)


def read(path: str | Path) -> xr.Dataset:
    """Read one netCDF file, Zarr store or .npz file into memory.

    Raises `ValueError` if it is not a readable dataset of this schema, and `MissingExtra` where an extra is needed.
    """
    return formats.read(Path(path))


def open(
    path: str | Path, *, lazy: bool | None = None, verify: bool | None = None, chunks: Any = None
) -> xr.Dataset:
    """The dataset in a file, a Zarr store, or a folder of shards, as one `xarray.Dataset`.

    A folder of more than `LOAD_UP_TO` bytes is read sample by sample when values are asked for, and a file or store
    with `lazy=True`; with dask installed, `chunks={}` gives arrays of dask. The SHA-256 of shards is compared with the
    manifest's: of all at once where they are few or `verify=True`, else of each before its first value is read; with
    `verify=False` only sizes are. Raises `ValueError` if a shard is missing or differs from what the manifest says;
    samples that could not be solved are missing, with a `MissingSamples` warning. An .npz file is read as a whole.
    """
    path = Path(path)
    if path.suffix == npz_read.SUFFIX or (formats.is_one(path) and not lazy and chunks is None):
        return read(path)
    shards = shards_of(path, verify=verify)
    if len(shards.records) == 1 and chunks is None and not lazy:
        return read(path / shards.records[0].file)
    data = as_dataset(shards, chunks=chunks)
    schema.require(data.isel({schema.SAMPLE: slice(1)}), str(path))
    small = data.nbytes <= LOAD_UP_TO
    return data.load() if (small if lazy is None else not lazy) and chunks is None else data


def shards_of(path: str | Path, *, verify: bool | None = None) -> Shards:
    """The shards of a complete folder, or a file or store as the only one, compared with the manifest as `open` says.

    Raises `ValueError` if a shard is missing, or differs from what the manifest says, or there is no sample.
    """
    path = Path(path)
    if formats.is_one(path):
        with formats.opened(path) as data:
            schema.require(data.isel({schema.SAMPLE: slice(1)}), str(path))
            numbers = data[schema.SAMPLE].values
        only = ShardRecord(file=path.name, first=0, count=numbers.size, sha256="", seconds=0.0)
        return Shards(path.parent, [only], verified=True, numbers=numbers)
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
    return file_size(folder / record.file)


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
