"""What a folder of shards holds: a manifest, and a journal for each run that is at work in it.

A finished shard is one line appended to the run's own journal, so that n shards cost n lines, and two runs never
write the same file. Journals are merged into `manifest.json` at the end of a run, or by the next one if it was killed.
"""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, ValidationError

from lawbound.datasets import schema
from lawbound.datasets.disk import file_hash, file_size, remove, unwritable, write_text

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

MANIFEST = "manifest.json"
AGAIN = "run the same `lawbound generate` again"


class FailedSample(BaseModel):
    """A sample that could not be solved: all that is needed to look at it alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sample: int
    split: str
    seed: int
    parameters: dict[str, float]
    error: str
    message: str

    def __str__(self) -> str:
        values = ", ".join(f"{name}={value:.6g}" for name, value in self.parameters.items())
        return (
            f"sample {self.sample} ({self.split}, seed {self.seed}, {values}): {self.error}: {self.message}"
        )


class ShardRecord(BaseModel):
    """One finished shard; `count` samples of it are in the file, the others are in `failed`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    first: int
    count: int
    sha256: str
    seconds: float
    size: int | None = None
    layout: str = ""
    failed: tuple[FailedSample, ...] = ()

    @property
    def samples(self) -> list[int]:
        """Numbers of the samples in the file, in its order."""
        missing = {one.sample for one in self.failed}
        wanted = range(self.first, self.first + self.count + len(missing))
        return [number for number in wanted if number not in missing]


class Manifest(BaseModel):
    """What a folder holds, and what made it; wall times live here and nowhere else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lawbound: str
    lawbound_schema: str
    config: dict[str, object]
    config_sha256: str
    shards_wanted: int
    shards: dict[int, ShardRecord]
    versions: dict[str, str] = {}
    format: Literal["netcdf", "zarr"] = "netcdf"

    @property
    def complete(self) -> bool:
        """Whether every shard is there; samples that could not be solved may be missing in them."""
        return len(self.shards) == self.shards_wanted

    @property
    def failed(self) -> list[FailedSample]:
        """Samples that could not be solved, in order."""
        return [one for index in sorted(self.shards) for one in self.shards[index].failed]


class Journal:
    """The lines that one run adds; use as a context."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"journal-{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}.jsonl"
        self._file: int | None = None

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)

    def add(self, shard: int, record: ShardRecord) -> None:
        """Append one shard in a single write."""
        line = json.dumps({"shard": shard, "record": record.model_dump(mode="json")}) + "\n"
        text = line.encode()
        try:
            if self._file is None:
                self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            written = os.write(self._file, text)
        except OSError as error:
            raise OSError(unwritable(self.path, error)) from error
        if written != len(text):
            raise OSError(unwritable(self.path, "only a part of a line fitted"))


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder with what its journals add; raises `ValueError` if the folder is not a dataset of ours."""
    # Journals first: a run that ends meanwhile merges its journal into the manifest before it removes it.
    added = _journalled(folder)
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
    known = {shard: record for shard, record in added.items() if 0 <= shard < manifest.shards_wanted}
    return manifest.model_copy(update={"shards": {**manifest.shards, **known}})


def _journalled(folder: Path) -> dict[int, ShardRecord]:
    found: dict[int, ShardRecord] = {}
    for path in sorted(folder.glob("journal-*.jsonl")):
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:  # merged meanwhile
            continue
        for line in lines:
            try:
                entry = json.loads(line)
                found[int(entry["shard"])] = ShardRecord.model_validate(entry["record"])
            except (ValueError, KeyError, TypeError):
                # A line cut short by a kill or a full disk: its shard counts as not made.
                continue
    return found


def merge_journals(
    folder: Path, own: Path | None = None, made: Mapping[int, ShardRecord] | None = None
) -> Manifest:
    """Put journals into the manifest; that of `own` and those of runs that are dead go, those of others at work stay.

    `made` are the run's own records, should its journal be gone.
    """
    with locked(folder) as alone:
        over = [path for path in folder.glob("journal-*.jsonl") if path == own or _dead(path.name)]
        found = read_manifest(folder)
        manifest = found.model_copy(update={"shards": {**found.shards, **(made or {})}})
        if alone and (over or made):
            write_manifest(folder, manifest)
            for path in over:
                path.unlink(missing_ok=True)
    return manifest


def sweep(folder: Path) -> None:
    """Remove what killed writers of this machine left half-written."""
    for path in folder.glob(".*.tmp"):
        if _dead(path.name):
            remove(path)


def _dead(name: str) -> bool:
    """Whether the process named in a file's name was one of this machine and is gone."""
    mark = f"-{socket.gethostname()}-"
    if mark not in name:
        return False
    process = name.rpartition(mark)[2].partition("-")[0]
    if not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return _is_zombie(int(process))


def _is_zombie(process: int) -> bool:
    """Whether a process has ended and waits for somebody to ask how; orphans may wait long."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not on Linux, or gone meanwhile
        return False
    return stat.rpartition(")")[2].split()[:1] == ["Z"]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest of a folder in one step."""
    ordered = manifest.model_copy(update={"shards": dict(sorted(manifest.shards.items()))})
    try:
        write_text(folder / MANIFEST, ordered.model_dump_json(indent=1) + "\n")
    except OSError as error:
        raise OSError(unwritable(folder / MANIFEST, error)) from error


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Hold a folder against other processes that write its manifest; False where the system has no such lock."""
    if fcntl is None:
        yield False
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def damage(folder: Path, record: ShardRecord, *, contents: bool = True) -> str | None:
    """What is wrong with a shard on disk, if anything; without `contents` only its size is looked at."""
    file = folder / record.file
    if record.count == 0:
        return None
    try:
        size = file_size(file)
        same = record.size in (None, size) and (not contents or file_hash(file) == record.sha256)
    except FileNotFoundError:
        return f"{file} is gone; {AGAIN}, it makes what is missing."
    except OSError as error:
        return f"{file} cannot be read ({error.strerror}); make it readable, or delete it and {AGAIN}."
    if not same:
        return f"{file} is not the file that was written (its SHA-256 differs, {size} bytes); delete it and {AGAIN}."
    return None


def first_problem(error: Exception) -> str:
    """What a validation complains of first, in one line."""
    if not isinstance(error, ValidationError):
        return str(error)
    problem = error.errors()[0]
    return f"{'.'.join(map(str, problem['loc'])) or 'text'}: {problem['msg']}"
