"""What the engine itself costs: everything but solving, labelling and compressing, as a share of the whole.

    python benchmarks/engine.py [--samples 2000] [--shards 100000]

Solving is `solve_samples`, compressing the writing of netCDF with its hash of the values; the rest (design, hashes of files,
journal, manifest, waiting) is the engine. Then the same with nothing to solve, for as many shards as 10⁸ samples need.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lawbound.datasets.generate as module
from lawbound.datasets.config import configure
from lawbound.datasets.generate import generate_into
from lawbound.datasets.manifest import ShardRecord, read_manifest

SPENT: Counter[str] = Counter()


def timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    def worked(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return work(*arguments, **options)
        finally:
            SPENT[name] += time.perf_counter() - began

    return worked


def share(samples: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # Kernels are compiled beforehand.
        module.solve_samples(*configure("diffusion", 64, nx=201), range(2))
        for name in ("solve_samples", "write", "file_hash", "_claim", "merge_journals"):
            setattr(module, name, timed(name, getattr(module, name)))
        began = time.perf_counter()
        family, config = timed("configure", configure)("diffusion", samples, nx=201)
        generate_into(Path(folder) / "d", family, config)
        whole = time.perf_counter() - began
        again = time.perf_counter()
        generate_into(Path(folder) / "d", family, config)
        again = time.perf_counter() - again
    engine = whole - SPENT["solve_samples"] - SPENT["write"]
    print(f"{samples} samples of diffusion, 201 × 201: {whole:.2f} s, {1e3 * whole / samples:.2f} ms/sample")
    for name, seconds in SPENT.most_common():
        print(f"  {name:15} {seconds:8.3f} s  {100 * seconds / whole:6.2f} %")
    print(f"  {'engine':15} {engine:8.3f} s  {100 * engine / whole:6.2f} %")
    print(f"  a rerun of the finished folder: {again:.2f} s")


def bookkeeping(shards: int) -> None:
    """The engine alone: shards that cost nothing and weigh nothing."""

    def nothing(folder: Path, family: Any, config: Any, ours: str, shard: int) -> ShardRecord:
        if shard == 0:
            (folder / "only.nc").touch()
        return ShardRecord(
            file="only.nc", first=shard, count=1, sha256="0" * 64, seconds=0.0, size=0, layout="0" * 8
        )

    module._solve_to_file = nothing  # type: ignore[assignment]
    for count in (shards // 100, shards // 10, shards):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            family, config = configure("wave", count, shard_size=1, nx=17, nt=5)
            designed = time.perf_counter() - began
            generate_into(Path(folder) / "d", family, config)
            whole = time.perf_counter() - began
            began = time.perf_counter()
            read_manifest(Path(folder) / "d")
            read = time.perf_counter() - began
            size = (Path(folder) / "d" / "manifest.json").stat().st_size
        print(
            f"{count} empty shards: {whole:.2f} s ({designed:.2f} s of it looking at the design), "
            f"{1e6 * (whole - designed) / count:.0f} µs/shard; manifest {size / 1e6:.2f} MB, read in {read:.2f} s"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--shards", type=int, default=100_000)
    options = parser.parse_args()
    share(options.samples)
    bookkeeping(options.shards)
