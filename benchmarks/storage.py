"""How fields are best stored, and how fast training reads them.

    python benchmarks/storage.py [--samples 64] [--folder /dev/shm]

For each family and each way of storing: bytes as a share of the plain ones, MB/s of plain values written and read
through netCDF, per second of processor time (so that a busy machine changes little). Then MB/s on the clock that
two workers of a loader give together from page cache.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
from torch.utils.data import DataLoader

import lawbound as lb
from lawbound.datasets import netcdf, store
from lawbound.datasets.generate import configure, generate_into
from lawbound.datasets.provenance import content_hash
from lawbound.datasets.torch_view import TorchView

WAYS: dict[str, dict[str, object]] = {
    "plain": {},
    "fletcher32": {"fletcher32": True},
    "shuffle + fletcher32": {"shuffle": True, "fletcher32": True},
    **{f"zlib {n}": {"zlib": True, "complevel": n, "shuffle": False} for n in (1,)},
    **{f"zlib {n} + shuffle": {"zlib": True, "complevel": n, "shuffle": True} for n in (1, 2, 4, 6, 9)},
    **{
        f"zlib {n} + shuffle + fletcher32": {
            "zlib": True,
            "complevel": n,
            "shuffle": True,
            "fletcher32": True,
        }
        for n in (1, 4)
    },
}
FAMILIES = {"diffusion": {"nx": 201}, "burgers-inviscid": {}, "wave-2d": {}}


def best(work: Callable[[], object], times: int = 3) -> float:
    """Least processor time of a few tries."""
    spent = []
    for _ in range(times):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent)


def read_all(path: Path) -> None:
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        for name in [n for n in file.variables if file[n].ndim >= 3]:
            for row in range(file[name].shape[0]):
                np.asarray(file[name][row])


def ways(samples: int, folder: Path) -> None:
    for family, options in FAMILIES.items():
        data = lb.generate(family, samples, split="train", **options)  # type: ignore[arg-type]
        fields = [name for name in data.data_vars if data[name].ndim >= 3]
        plain = sum(data[name].nbytes for name in fields) / 1e6
        hashing = best(lambda: content_hash(data))  # noqa: B023
        print(f"\n{family}: {samples} samples, fields {plain:.1f} MB; hashing the values {hashing:.3f} s")
        print("| stored as | size | write MB/s | read MB/s |\n|---|--:|--:|--:|")
        hashes = set()
        for name, way in WAYS.items():
            netcdf.FIELDS.clear()
            netcdf.FIELDS.update(way)
            path = folder / "one.nc"
            written = best(lambda: store.write(data[fields], path))  # noqa: B023
            size = path.stat().st_size / 1e6
            read = best(lambda: read_all(path))  # noqa: B023
            hashes.add(netCDF4.Dataset(path).getncattr("lawbound_content_sha256"))
            print(f"| {name} | {size / plain:.3f} | {plain / written:.0f} | {plain / read:.0f} |")
        assert len(hashes) == 1, "the content hash depends on the compression"


def views(samples: int, folder: Path) -> None:
    print("\n| loader, two workers | way | MB/s |\n|---|---|--:|")
    for family, options in FAMILIES.items():
        for name in ("plain", "fletcher32", "zlib 1 + shuffle + fletcher32", "zlib 4 + shuffle + fletcher32"):
            netcdf.FIELDS.clear()
            netcdf.FIELDS.update(WAYS[name])
            where = folder / f"{family}-{name.replace(' ', '')}"
            generate_into(where, *configure(family, samples, split="train", **options))  # type: ignore[arg-type]
            view = TorchView(where)
            size = sum(view[0][field].nbytes for field in view.fields) / 1e6
            loader = DataLoader(view, batch_size=16, num_workers=2, persistent_workers=True, shuffle=True)
            rates = []
            for epoch in range(6):
                began = time.perf_counter()
                for _ in loader:
                    pass
                if epoch:  # the first starts the workers and opens the files
                    rates.append(samples * size / (time.perf_counter() - began))
            print(f"| {family} | {name} | {max(rates):.0f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--folder", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as scratch:
        ways(chosen.samples, Path(scratch))
        views(8 * chosen.samples, Path(scratch))
