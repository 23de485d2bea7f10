"""How fields are best stored, and how fast training reads them.

    python benchmarks/storage.py [--samples 64] [--folder /dev/shm] [--loaders-only]

For each family and each way of storing: bytes as a share of the plain ones, MB/s of plain values written and read
through netCDF or Zarr, per second of processor time (so that a busy machine changes little). Then MB/s on the clock that
two workers of a loader give together from page cache, PyTorch's loader and ours, the best of many passes.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import netCDF4
import numpy as np
from torch.utils.data import DataLoader

import lawbound as lb
from lawbound.datasets import netcdf, store, zarr_store
from lawbound.datasets.disk import file_size
from lawbound.datasets.generate import configure, generate_into
from lawbound.datasets.provenance import content_hash
from lawbound.datasets.torch_loader import Loader
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


def zarr_ways() -> dict[str, object]:
    """Codecs for chunks; all with the checksum."""
    from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

    checked = Crc32cCodec()
    blosc = {
        f"Zarr, Blosc zstd {level} + {shuffle} + crc32c": (
            BloscCodec(cname="zstd", clevel=level, shuffle=shuffle),
            checked,
        )
        for level, shuffle in ((1, "shuffle"), (3, "shuffle"), (1, "bitshuffle"))
    }
    return {"Zarr, crc32c": (checked,), "Zarr, zstd 1 + crc32c": (ZstdCodec(level=1), checked), **blosc}


def write_zarr(values: np.ndarray, path: Path, codecs: object) -> None:
    import zarr

    group = zarr.open_group(path, mode="w", zarr_format=3)
    chunks, shards = (1, *values.shape[1:]), values.shape
    array = group.create_array(
        "u", shape=values.shape, dtype=values.dtype, chunks=chunks, shards=shards, compressors=codecs
    )
    array[...] = values


def read_all_zarr(path: Path, samples: int, batch: int = 16) -> None:
    reader = zarr_store.Reader(path)
    order = np.random.default_rng(0).permutation(samples)
    for start in range(0, samples, batch):
        reader.rows("u", order[start : start + batch])


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
        u = data["u"].values
        for name, codecs in zarr_ways().items():
            path = folder / "one.zarr"
            written = best(lambda: write_zarr(u, path, codecs))  # noqa: B023
            size = file_size(path)
            read = best(lambda: read_all_zarr(path, samples))  # noqa: B023
            rates = (u.nbytes / 1e6 / seconds for seconds in (written, read))
            print(f"| {name} | {size / u.nbytes:.3f} | {' | '.join(f'{rate:.0f}' for rate in rates)} |")


def views(samples: int, folder: Path, passes: int = 25) -> None:
    print("\n| loader, two workers | stored as | PyTorch's, MB/s | ours |\n|---|---|--:|--:|")
    for family, options in FAMILIES.items():
        for name in (
            "plain",
            "fletcher32",
            "zlib 1 + shuffle + fletcher32",
            "zlib 4 + shuffle + fletcher32",
            "Zarr",
        ):
            netcdf.FIELDS.clear()
            netcdf.FIELDS.update(WAYS.get(name, {}))
            where = folder / f"{family}-{name.replace(' ', '')}"
            made = configure(family, samples, split="train", **options)  # type: ignore[arg-type]
            generate_into(where, *made, form="zarr" if name == "Zarr" else "netcdf")
            view = TorchView(where)
            theirs = DataLoader(view, batch_size=16, num_workers=2, persistent_workers=True, shuffle=True)
            size = samples * sum(view[0][field].nbytes for field in view.fields) / 1e6
            rates = [size / least_pass(loader, passes) for loader in (theirs, Loader(view, 16, shuffle=True))]
            print(f"| {family} | {name} | {' | '.join(f'{rate:.0f}' for rate in rates)} |", flush=True)


def least_pass(loader: Iterable[object], passes: int) -> float:
    seconds = []
    for _ in range(passes + 1):
        began = time.perf_counter()
        for _ in loader:
            pass
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:])  # the first starts the workers and opens the files


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--loaders-only", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as scratch:
        if not chosen.loaders_only:
            ways(chosen.samples, Path(scratch))
        views(8 * chosen.samples, Path(scratch))
