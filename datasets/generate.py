"""Generation: a design of samples, solved shard by shard, in memory or into a folder that can be resumed."""

import platform
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import netCDF4
import numpy as np
import xarray as xr

from lawbound.datasets import formats, schema
from lawbound.datasets.config import Config, configure, drawn, problem_of
from lawbound.datasets.disk import file_hash, file_size, unwritable
from lawbound.datasets.engine import Given, Pool, completed
from lawbound.datasets.family import Draw, Family
from lawbound.datasets.gather import gather
from lawbound.datasets.manifest import (
    MANIFEST,
    FailedSample,
    Journal,
    Manifest,
    ShardRecord,
    damage,
    locked,
    merge_journals,
    read_manifest,
    sweep,
    write_manifest,
)
from lawbound.datasets.provenance import canonical_json, layout, sha256
from lawbound.datasets.split import concatenated
from lawbound.solvers import SolverError, Trajectory

__all__ = ["Config", "configure", "generate", "generate_into", "solve_shard"]

#: What may be wrong with one sample and says nothing of the others.
_OF_THE_SAMPLE = (SolverError, ValueError, ArithmeticError)


def generate(
    problem: str | Family,
    samples: int,
    *,
    seed: int = 0,
    split: str | None = None,
    nx: int | None = None,
    nt: int | None = None,
    times: tuple[float, float] | None = None,
    parameters: dict[str, tuple[float, float]] | None = None,
    data: Literal["standard", "random"] = "standard",
    shard_size: int = 64,
) -> xr.Dataset:
    """Solve `samples` problems of a family and return them as one dataset in memory.

    Without `split`, 80 % are train, 10 % valid and 10 % test, each drawn from its own distribution; sample i
    of a split is the same whatever the number of samples. `parameters` replaces a parameter's distribution
    by a uniform one. `data="random"` gives a family that has a closed form random initial and boundary data
    instead. Raises `ValueError` for wrong arguments, and `SolverError` naming all samples that cannot be solved.
    """
    family, config = configure(problem, samples, seed, split, nx, nt, times, parameters, data, shard_size)
    parts = [solve_shard(family, config, shard) for shard in range(config.shards)]
    failed = [one for _, failures in parts for one in failures]
    if failed:
        raise SolverError(
            f"{told(failed, config.samples)}\nGive other parameters or another grid; in a folder (lawbound generate) "
            "the other samples would be kept."
        )
    return concatenated([data for data, _ in parts if data is not None])


def generate_into(
    folder: str | Path,
    family: Family,
    config: Config,
    *,
    form: formats.Name = "netcdf",
    executor: Executor | Pool | None = None,
    only: Callable[[int], bool] = lambda shard: True,
    on_shard: Callable[[ShardRecord], None] = lambda record: None,
) -> Manifest:
    """Solve a design into a folder, shard by shard; what an earlier run finished is kept, what failed is tried again.

    `executor` is any `concurrent.futures.Executor` (threads, a Dask client's, processes started by `spawn`:
    numba's threads do not survive a fork) or a pool of `lawbound.datasets.executors`; without one the shards are
    solved here. Shards are netCDF files, or Zarr stores (extra `zarr`), as `form` says; values, attributes and hashes of
    content are the same. `only` picks the shards of this run. A sample that cannot be solved is recorded in the manifest and
    missing from its shard. Raises `ValueError` if the folder exists and is not this dataset, `SolverError` if no
    sample of a new folder can be solved, `OSError` if the folder cannot be written.
    """
    folder = Path(folder)
    formats.FORMATS[form].require()
    made = not folder.exists()
    manifest = _claim(folder, config, form)
    kept = {i: record for i, record in manifest.shards.items() if damage(folder, record) is None}
    missing = [i for i in range(config.shards) if only(i) and (i not in kept or kept[i].failed)]
    _same_version(folder, manifest, missing)
    pool = Given(executor) if isinstance(executor, Executor) else executor
    work = partial(_solve_to_file, folder.absolute(), family, config, form, version("lawbound"))
    tasks = {i: (kept[i],) if i in kept else () for i in missing}
    done: dict[int, ShardRecord] = {}
    try:
        with Journal(folder) as journal:
            for shard, record in completed(work, tasks, pool):
                _arrived(folder, record)
                journal.add(shard, record)
                done[shard] = record
                on_shard(record)
        if made and len(done) == config.shards and not any(record.count for record in done.values()):
            raise SolverError(
                told([one for record in done.values() for one in record.failed], config.samples)
            )
    except BaseException:
        if made and not any(record.count for record in done.values()) and len(missing) == config.shards:
            # A design that cannot be solved must not stand in the way of its correction. With a part of the
            # shards only, other tasks of the same design may be at work in the folder.
            _withdraw(folder, journal.path)
        else:
            merge_journals(folder, journal.path, done)
        raise
    return merge_journals(folder, journal.path, done)


def told(failed: Sequence[FailedSample], samples: int, most: int = 10) -> str:
    """One line for each sample that failed, up to so many."""
    lines = [f"{len(failed)} of {samples} samples could not be solved:", *map(str, failed[:most])]
    if len(failed) > most:
        lines.append(f"… and {len(failed) - most} more")
    return "\n  ".join(lines)


def solve_shard(
    family: Family, config: Config, shard: int
) -> tuple[xr.Dataset | None, tuple[FailedSample, ...]]:
    """Solve one shard of a design, without the samples that cannot be solved; depends on nothing but its arguments."""
    return solve_samples(family, config, range(*_ends(config, shard)))


def solve_samples(
    family: Family, config: Config, samples: Sequence[int]
) -> tuple[xr.Dataset | None, tuple[FailedSample, ...]]:
    """Solve samples of a design together; if that fails, one by one, which gives the same values."""
    try:
        return _gathered(family, config, samples, _trajectories(family, config, samples)), ()
    except _OF_THE_SAMPLE:
        solved: dict[int, Trajectory] = {}
        failed = []
        for sample in samples:
            try:
                alone = _trajectories(family, config, [sample])
                _gathered(family, config, [sample], alone)
            except _OF_THE_SAMPLE as error:
                failed.append(_failure(family, config, sample, error))
            else:
                solved[sample] = alone[0]
        return _gathered(family, config, [*solved], [*solved.values()]) if solved else None, tuple(failed)


def _ends(config: Config, shard: int) -> tuple[int, int]:
    return shard * config.shard_size, min((shard + 1) * config.shard_size, config.samples)


def _draws(family: Family, config: Config, samples: Sequence[int]) -> list[tuple[str, Draw]]:
    return [drawn(family, config, sample) for sample in samples]


def _trajectories(family: Family, config: Config, samples: Sequence[int]) -> list[Trajectory]:
    grid, times = family.grid(family.domain, config.nx), np.linspace(*config.times, config.nt)
    problems = [problem_of(family, config, draw, grid, times) for _, draw in _draws(family, config, samples)]
    return family.solver.solve_batch(problems)


def _gathered(
    family: Family, config: Config, samples: Sequence[int], trajectories: Sequence[Trajectory]
) -> xr.Dataset:
    draws = _draws(family, config, samples)
    return gather(
        family,
        [draw for _, draw in draws],
        trajectories,
        samples=samples,
        splits=[split for split, _ in draws],
        closed_form=config.data == "standard",
        config=config.model_dump(mode="json"),
    )


def _failure(family: Family, config: Config, sample: int, error: Exception) -> FailedSample:
    split, draw = drawn(family, config, sample)
    return FailedSample(
        sample=sample,
        split=split,
        seed=draw.seed,
        parameters=dict(draw.parameters),
        error=type(error).__name__,
        message=str(error),
    )


def _solve_to_file(
    folder: Path,
    family: Family,
    config: Config,
    form: formats.Name,
    ours: str,
    shard: int,
    earlier: ShardRecord | None = None,
) -> ShardRecord:
    if version("lawbound") != ours:
        raise ValueError(
            f"The worker has lawbound {version('lawbound')}, this program {ours}; install the same version everywhere."
        )
    began = time.perf_counter()
    first, end = _ends(config, shard)
    if earlier is not None:
        again, failed = solve_samples(family, config, [one.sample for one in earlier.failed])
        if again is None:
            return earlier.model_copy(update={"failed": failed})
    file = f"shard-{shard:04d}-of-{config.shards:04d}{formats.FORMATS[form].suffix}"
    data, failed = solve_shard(family, config, shard)
    record = ShardRecord(file=file, first=first, count=end - first - len(failed), sha256="", seconds=0.0)
    if data is None:
        return record.model_copy(update={"failed": failed, "seconds": time.perf_counter() - began})
    formats.write(data, folder / file, form)
    return record.model_copy(
        update={
            "failed": failed,
            "sha256": file_hash(folder / file),
            "size": file_size(folder / file),
            "layout": layout(data),
            "seconds": time.perf_counter() - began,
        }
    )


def _arrived(folder: Path, record: ShardRecord, patience: float = 30.0) -> None:
    """A worker elsewhere may have written to a folder of its own; or a network file system takes its time."""
    until = time.monotonic() + patience
    while problem := damage(folder, record, contents=False):
        if time.monotonic() > until:
            raise OSError(
                f"{problem} A worker reports it as written: all workers must see {folder.absolute()} as one folder."
            )
        time.sleep(0.2)


def versions(form: formats.Name = "netcdf") -> dict[str, str]:
    """What else decides the last bits and bytes of a shard."""
    packages = ("numpy", "scipy", "numba", "xarray", *formats.FORMATS[form].packages)
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{name: version(name) for name in packages},
        **({"hdf5": netCDF4.__hdf5libversion__} if form == "netcdf" else {}),
    }


def _same_version(folder: Path, manifest: Manifest, missing: Sequence[int]) -> None:
    if missing and manifest.lawbound != version("lawbound"):
        raise ValueError(
            f"{folder} was begun by lawbound {manifest.lawbound}, this is {version('lawbound')}, and {len(missing)} shards are "
            f"missing; samples of two versions are not mixed. Finish it with lawbound {manifest.lawbound}, or give a new "
            "folder (-o)."
        )


def _withdraw(folder: Path, journal: Path) -> None:
    journal.unlink(missing_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _claim(folder: Path, config: Config, form: formats.Name) -> Manifest:
    """Make the folder ours, or find out that it already is."""
    fresh = Manifest(
        lawbound=version("lawbound"),
        lawbound_schema=schema.SCHEMA,
        config=config.model_dump(mode="json"),
        config_sha256=sha256(canonical_json(config.model_dump(mode="json"))),
        shards_wanted=config.shards,
        shards={},
        versions=versions(form),
        format=form,
    )
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; give a folder that is new or empty (-o).")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(unwritable(folder, error)) from error
    with locked(folder):
        found = _claimed(folder, fresh)
    sweep(folder)
    return fresh if found is fresh else merge_journals(folder)


def _claimed(folder: Path, fresh: Manifest) -> Manifest:
    if any(not path.name.startswith(".") for path in folder.iterdir()):
        if not (folder / MANIFEST).exists():
            raise ValueError(
                f"{folder} holds files and no {MANIFEST}, so it is not a dataset of ours; give a new folder (-o)."
            )
        found = read_manifest(folder)
        if found.config_sha256 != fresh.config_sha256:
            differing = sorted(key for key, value in fresh.config.items() if found.config.get(key) != value)
            raise ValueError(
                f"{folder} holds another dataset: {', '.join(f'{key}={found.config.get(key)}' for key in differing)} there, "
                f"{', '.join(f'{key}={fresh.config[key]}' for key in differing)} asked for. Give a new folder (-o)."
            )
        if found.format != fresh.format:
            raise ValueError(
                f"{folder} holds shards in the format {found.format}, {fresh.format} was asked for; give --format {found.format}, or "
                "a new folder (-o)."
            )
        return found
    write_manifest(folder, fresh)
    return fresh
