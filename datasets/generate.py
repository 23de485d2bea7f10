"""Generation: a design of samples, solved shard by shard, in memory or into a folder that can be resumed."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, as_completed
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field

from lawbound.datasets import schema
from lawbound.datasets.family import Draw, Family, Uniform
from lawbound.datasets.gather import gather
from lawbound.datasets.plugins import find
from lawbound.datasets.provenance import canonical_json, sha256
from lawbound.datasets.split import concatenated, design
from lawbound.datasets.store import (
    MANIFEST,
    Manifest,
    ShardRecord,
    damage,
    file_hash,
    locked,
    read_manifest,
    write,
    write_manifest,
)
from lawbound.solvers import Problem


class Config(BaseModel):
    """Everything that decides the values of a dataset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    problem: str
    solver: str
    samples: int = Field(gt=0)
    seed: int = Field(ge=0)
    split: str | None
    data: Literal["standard", "random"] = "standard"
    nx: int = Field(ge=4)
    nt: int = Field(ge=2)
    times: tuple[float, float]
    parameters: dict[str, tuple[float, float]]
    shard_size: int = Field(gt=0)

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.samples // self.shard_size)


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
    instead. Raises `ValueError` for wrong arguments and where a law would not hold.
    """
    family, config = configure(problem, samples, seed, split, nx, nt, times, parameters, data, shard_size)
    return concatenated([solve_shard(family, config, shard) for shard in range(config.shards)])


def generate_into(
    folder: str | Path,
    family: Family,
    config: Config,
    *,
    executor: Executor | None = None,
    only: Callable[[int], bool] = lambda shard: True,
    on_shard: Callable[[ShardRecord], None] = lambda record: None,
) -> Manifest:
    """Solve a design into a folder, shard by shard; what an earlier run finished is kept.

    `executor` is any `concurrent.futures.Executor` (threads, a Dask client's, processes started by `spawn`:
    numba's threads do not survive a fork); without one the shards are solved here. `only` picks the shards of
    this run. Raises `ValueError` if the folder exists and is not this dataset.
    """
    folder = Path(folder)
    made = not folder.exists()
    manifest = _claim(folder, config)
    kept = {i: record for i, record in manifest.shards.items() if damage(folder, record) is None}
    manifest = manifest.model_copy(update={"shards": kept})
    missing = [shard for shard in range(config.shards) if shard not in kept and only(shard)]
    try:
        for shard, record in _finished(folder, family, config, missing, executor):
            with locked(folder):
                # Another run of the same design may have added shards meanwhile: merge, do not overwrite.
                on_disk = read_manifest(folder).shards
                kept = {
                    **{i: r for i, r in on_disk.items() if i in kept or i not in missing},
                    **kept,
                    shard: record,
                }
                manifest = manifest.model_copy(update={"shards": kept})
                write_manifest(folder, manifest)
            on_shard(record)
    except BaseException:
        if made and not kept and len(missing) == config.shards:
            # A design that cannot be solved must not stand in the way of its correction. With a part of the
            # shards only, other tasks of the same design may be at work in the folder.
            (folder / MANIFEST).unlink(missing_ok=True)
            if not any(folder.iterdir()):
                folder.rmdir()
        raise
    return manifest


def configure(
    problem: str | Family,
    samples: int,
    seed: int = 0,
    split: str | None = None,
    nx: int | None = None,
    nt: int | None = None,
    times: tuple[float, float] | None = None,
    parameters: dict[str, tuple[float, float]] | None = None,
    data: Literal["standard", "random"] = "standard",
    shard_size: int = 64,
) -> tuple[Family, Config]:
    """Check the arguments and fill in the family's defaults; raises `ValueError` naming value, need and remedy."""
    family = problem if isinstance(problem, Family) else find("problems", problem)
    if samples < 1:
        raise ValueError(f"{samples} samples were asked for; give at least 1 (-n).")
    if seed < 0:
        raise ValueError(f"seed={seed}; give an integer ≥ 0.")
    if nx is not None and nx < 4:
        raise ValueError(f"nx={nx} is too few; give at least 4 (the default is {family.nx}).")
    if nt is not None and nt < 2:
        raise ValueError(
            f"nt={nt} output times are too few; give at least 2, the start included (the default is {family.nt})."
        )
    if split is not None and split not in family.splits:
        raise ValueError(f"`{family.name}` has no split `{split}`; it has {', '.join(family.splits)}.")
    for name, (low, high) in (parameters or {}).items():
        if name not in family.parameters:
            raise ValueError(
                f"`{family.name}` has no parameter `{name}`; it has {', '.join(family.parameters)}."
            )
        Uniform(low, high)
    if data == "random" and family.build_random is None:
        raise ValueError(f"`{family.name}` has no other data than its own; leave out data={data!r} (--data).")
    start, stop = times if times is not None else family.times
    if not (np.isfinite(start) and np.isfinite(stop) and 0.0 <= start < stop):
        raise ValueError(
            f"times {start}:{stop} are not a span; give T0:T1 with 0 ≤ T0 < T1 (the default is {family.times[0]:g}:{family.times[1]:g})."
        )
    config = Config(
        problem=family.name,
        solver=family.solver.name,
        samples=samples,
        seed=seed,
        split=split,
        data=data,
        nx=nx if nx is not None else family.nx,
        nt=nt if nt is not None else family.nt,
        times=(float(start), float(stop)),
        parameters={name: (float(low), float(high)) for name, (low, high) in (parameters or {}).items()},
        shard_size=shard_size,
    )
    _check_design(family, config)
    return family, config


def solve_shard(family: Family, config: Config, shard: int) -> xr.Dataset:
    """Solve one shard of a design; depends on nothing but its arguments."""
    chosen = range(shard * config.shard_size, min((shard + 1) * config.shard_size, config.samples))
    plan = design(config.samples, config.split)
    drawn = [_draw(family, config, *plan[i]) for i in chosen]
    grid = family.grid(family.domain, config.nx)
    times = np.linspace(*config.times, config.nt)
    build = _build(family, config)
    return gather(
        family,
        drawn,
        family.solver.solve_batch([build(draw, grid, times) for draw in drawn]),
        samples=list(chosen),
        splits=[plan[i][0] for i in chosen],
        closed_form=config.data == "standard",
        config=config.model_dump(mode="json"),
    )


def _build(family: Family, config: Config) -> Callable[[Draw, Any, np.ndarray], Problem]:
    if config.data == "standard":
        return family.build
    assert family.build_random is not None  # `configure` has looked
    return family.build_random


def _draw(family: Family, config: Config, split: str, index: int) -> Draw:
    override = {name: Uniform(*span) for name, span in config.parameters.items()}
    return family.draw(config.seed, split, index, override)


def _check_design(family: Family, config: Config) -> None:
    """Refuse, before solving anything, parameters that make no problem, and ends after a front has left.

    The closed form of the mass is false from then on.
    """
    right, few = family.domain[1], family.grid(family.domain, 4)
    build = _build(family, config)
    for split, index in design(config.samples, config.split):
        draw = _draw(family, config, split, index)
        build(draw, few, np.array(config.times))
        if config.data == "random" or family.exact is None or family.mass_tolerance is None:
            continue
        leaves = family.exact(draw).front_time(right)
        if config.times[1] > leaves * (1 + 1e-12):
            values = ", ".join(f"{name}={value:.4g}" for name, value in draw.parameters.items())
            raise ValueError(
                f"`{family.name}` with {values} has its front leave the domain at t={leaves:.4g}, "
                f"before the end t={config.times[1]:g}; its mass formula is false from then on. Give an earlier end "
                f"(--times {config.times[0]:g}:{0.99 * leaves:.3g}) or another range of {', '.join(draw.parameters)}."
            )


def _claim(folder: Path, config: Config) -> Manifest:
    """Make the folder ours, or find out that it already is."""
    fresh = Manifest(
        lawbound=version("lawbound"),
        lawbound_schema=schema.SCHEMA,
        config=config.model_dump(mode="json"),
        config_sha256=sha256(canonical_json(config.model_dump(mode="json"))),
        shards_wanted=config.shards,
        shards={},
    )
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; give a folder that is new or empty (-o).")
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        return _claimed(folder, fresh)


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
        return found
    write_manifest(folder, fresh)
    return fresh


def _solve_to_file(folder: Path, family: Family, config: Config, shard: int) -> ShardRecord:
    began = time.perf_counter()
    file = f"shard-{shard:04d}-of-{config.shards:04d}.nc"
    data = solve_shard(family, config, shard)
    write(data, folder / file)
    return ShardRecord(
        file=file,
        first=int(data[schema.SAMPLE].values[0]),
        count=data.sizes[schema.SAMPLE],
        sha256=file_hash(folder / file),
        seconds=time.perf_counter() - began,
    )


def _finished(
    folder: Path, family: Family, config: Config, shards: Iterable[int], executor: Executor | None
) -> Iterator[tuple[int, ShardRecord]]:
    """Shards as they get done, in whatever order."""
    if executor is None:
        for shard in shards:
            yield shard, _solve_to_file(folder, family, config, shard)
        return
    running: dict[Future[Any], int] = {
        executor.submit(_solve_to_file, folder, family, config, shard): shard for shard in shards
    }
    try:
        for future in as_completed(running):
            yield running[future], future.result()
    except BaseException:
        for future in running:
            future.cancel()
        raise
