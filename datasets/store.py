"""Files: one netCDF, or a folder of shards with a manifest. Nothing half-written survives."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, get_ident

import xarray as xr
from pydantic import BaseModel, ConfigDict, ValidationError

from lawbound.datasets import schema
from lawbound.datasets.provenance import content_hash
from lawbound.datasets.split import concatenated

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

MANIFEST = "manifest.json"

# The netCDF and HDF5 libraries may not be entered by two threads at once, even for different files.
_NETCDF = Lock()


class ShardRecord(BaseModel):
    """One finished shard."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    first: int
    count: int
    sha256: str
    seconds: float


class Manifest(BaseModel):
    """What a folder holds, and what made it; wall times live here and nowhere else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lawbound: str
    lawbound_schema: str
    config: dict[str, object]
    config_sha256: str
    shards_wanted: int
    shards: dict[int, ShardRecord]

    @property
    def complete(self) -> bool:
        """Whether every shard is there."""
        return len(self.shards) == self.shards_wanted


def write_text(path: Path, text: str) -> None:
    """Write a text file under a temporary name, then rename it."""
    temporary = _temporary(path)
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{get_ident()}.tmp")


def first_problem(error: Exception) -> str:
    """What a validation complains of first, in one line."""
    if not isinstance(error, ValidationError):
        return str(error)
    problem = error.errors()[0]
    return f"{'.'.join(map(str, problem['loc'])) or 'text'}: {problem['msg']}"


def write(data: xr.Dataset, path: str | Path, *, attributes: Mapping[str, str] | None = None) -> None:
    """Write a dataset to one netCDF-4 file under a temporary name, then rename it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = data.assign_attrs(
        {**data.attrs, **(attributes or {}), "lawbound_content_sha256": content_hash(data)}
    )
    temporary = _temporary(path)
    try:
        with _NETCDF:
            stored.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=_encoding(stored))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _encoding(data: xr.Dataset) -> dict[str, dict[str, object]]:
    encoding: dict[str, dict[str, object]] = {}
    for name in data.variables:
        encoding[str(name)] = {"_FillValue": None}
        if data[name].ndim >= 3 and data[name].dtype.kind == "f":
            chunks = tuple(
                1 if dim in (schema.SAMPLE, schema.REALIZATION) else size
                for dim, size in data[name].sizes.items()
            )
            encoding[str(name)] |= {
                "zlib": True, "complevel": 4, "shuffle": True, "fletcher32": True, "chunksizes": chunks,
            }  # fmt: skip
    return encoding


def read(path: str | Path) -> xr.Dataset:
    """Read one netCDF file into memory; raises `ValueError` if it is not a readable dataset of this schema."""
    path = Path(path)
    try:
        with (
            _NETCDF,
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


def open(path: str | Path) -> xr.Dataset:
    """The dataset in a file, or in a folder of shards, as one `xarray.Dataset`.

    Raises `ValueError` if a shard is missing or differs from what the manifest says.
    """
    path = Path(path)
    if not path.is_dir():
        return read(path)
    manifest = read_manifest(path)
    if not manifest.complete:
        raise ValueError(
            f"{path} holds {len(manifest.shards)} of {manifest.shards_wanted} shards; run the same `lawbound generate` "
            "again, it goes on where it stopped."
        )
    for record in manifest.shards.values():
        problem = damage(path, record)
        if problem:
            raise ValueError(problem)
    return concatenated([read(path / manifest.shards[i].file) for i in sorted(manifest.shards)])


def damage(folder: Path, record: ShardRecord) -> str | None:
    """What is wrong with a shard on disk, if anything."""
    file = folder / record.file
    if not file.exists():
        return f"{file} is gone; run the same `lawbound generate` again, it makes what is missing."
    if file_hash(file) != record.sha256:
        return f"{file} is not the file that was written (its SHA-256 differs); delete it and run the same `lawbound generate` again."
    return None


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder; raises `ValueError` if the folder is not a dataset of ours."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(
            f"{folder} has no {MANIFEST}; it was not made by `lawbound generate`. Give another folder."
        ) from None
    except (ValidationError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{folder / MANIFEST} is damaged or of another version ({first_problem(error)}); generate into a new folder."
        ) from None
    if manifest.lawbound_schema != schema.SCHEMA:
        raise ValueError(
            f"{folder} follows schema {manifest.lawbound_schema}, this version {schema.SCHEMA}; generate it again."
        )
    return manifest


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder against other processes that write its manifest; where the system has no such lock, go on."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest of a folder in one step."""
    ordered = manifest.model_copy(update={"shards": dict(sorted(manifest.shards.items()))})
    write_text(folder / MANIFEST, ordered.model_dump_json(indent=1) + "\n")


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stored_hash_matches(data: xr.Dataset) -> bool:
    """Whether the values still are those that were written; True where no hash was stored."""
    wanted = data.attrs.get("lawbound_content_sha256")
    return wanted is None or wanted == content_hash(data)
