"""The layouts of PDEBench, written: one HDF5 file, and beside it what the layouts have no place for.

Takamoto et al., PDEBench: an extensive benchmark for scientific machine learning, NeurIPS 2022. One scalar on an interval is
`tensor` (sample, t, x) in a .hdf5 file; several fields, and all on a plane, are groups 0000, 0001, … with `data`
(t, x, [y], channel) in a .h5 file. Its loaders tell the two by the end of the file's name, and take the test
samples from the front of the first and from the back of the second; samples are sorted so that they find ours there.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from lawbound.datasets import schema
from lawbound.datasets.exchange import Block, ExportReport, Source, fresh, rounded_notes
from lawbound.datasets.extras import optional
from lawbound.datasets.hdf5 import COMPRESSED, add_riders, begin_riders
from lawbound.datasets.pdebench_read import LAYOUT, SIDECAR, read

__all__ = ["read", "write"]


def write(data: xr.Dataset | str | Path | Source, path: str | Path) -> ExportReport:
    """Write a dataset, a file, a store or a folder of shards as a folder with one file in PDEBench's layout.

    Fields are stored bit for bit in single precision, a block of samples in memory at a time. Raises `ValueError` if
    `path` exists or the data are no dataset, and `RuntimeError` without the extra `interop`.
    """
    h5py = optional("h5py", "interop")
    optional("yaml", "interop")
    source = Source.of(data)
    one = _is_tensor(source)
    dimensions = len(schema.axes(source.template))
    name = f"{dimensions}D_{source.problem}{'.hdf5' if one else '_NA_NA.h5'}"
    start = _starts(source, tests_first=one)
    with fresh(path) as folder, ExitStack() as stack:
        folder.mkdir()
        file = stack.enter_context(h5py.File(folder / name, "w"))
        beside = stack.enter_context(h5py.File(folder / SIDECAR, "w"))
        beside.attrs["file"] = name
        begin_riders(beside, source, source.samples)
        if one:
            _begin_tensor(file, source)
        for block in source.blocks():
            first = start[block.split] + block.first
            (_add_to_tensor if one else _add_groups)(file, source, block, first)
            add_riders(beside, source, block.data, first)
    return ExportReport(
        format="pdebench",
        path=Path(path),
        samples=source.samples,
        fields=tuple(schema.state_variables(source.template)),
        files=(name, SIDECAR),
        notes=tuple(_notes(source, name, one)),
    )


def _is_tensor(source: Source) -> bool:
    """Whether there is one scalar on an interval."""
    return len(schema.axes(source.template)) == 1 and len(schema.state_variables(source.template)) == 1


def _starts(source: Source, *, tests_first: bool) -> dict[str, int]:
    """Position of the first sample of each split."""
    rank = {"train": 0, "valid": 1, "test": 3}
    order = sorted(source.splits, key=lambda split: rank.get(split, 2), reverse=tests_first)
    starts, position = {}, 0
    for split in order:
        starts[split] = position
        position += source.splits[split]
    return starts


def _begin_tensor(file: Any, source: Source) -> None:
    data = source.template
    shape = (source.samples, data.sizes[schema.TIME], data.sizes[schema.X])
    file.create_dataset("tensor", shape, np.float32, chunks=(1, *shape[1:]), **COMPRESSED)
    file["x-coordinate"] = data[schema.X].values.astype(np.float32)
    file["t-coordinate"] = data[schema.TIME].values.astype(np.float32)
    for name in schema.by_role(data, schema.PARAMETER):
        file.create_dataset(f"lawbound_{name}", (source.samples,), np.float64)


def _add_to_tensor(file: Any, source: Source, block: Block, first: int) -> None:
    (field,) = schema.state_variables(source.template)
    for i in range(block.data.sizes[schema.SAMPLE]):
        file["tensor"][first + i] = block.data[field].isel({schema.SAMPLE: i}).values.astype(np.float32)
    rows = slice(first, first + block.data.sizes[schema.SAMPLE])
    for name in schema.by_role(source.template, schema.PARAMETER):
        file[f"lawbound_{name}"][rows] = block.data[name].values


def _add_groups(file: Any, source: Source, block: Block, first: int) -> None:
    yaml = optional("yaml", "interop")
    data, width = block.data, max(4, len(str(source.samples - 1)))
    for i in range(data.sizes[schema.SAMPLE]):
        sample = data.isel({schema.SAMPLE: i})
        fields = [
            sample[name].transpose(schema.TIME, *reversed(schema.axes(data))).values
            for name in schema.state_variables(data)
        ]
        group = file.create_group(f"{first + i:0{width}d}")
        group.create_dataset("data", data=np.stack(fields, axis=-1).astype(np.float32), **COMPRESSED)
        for name in (*reversed(schema.axes(data)), schema.TIME):
            group[f"grid/{name}"] = data[name].values.astype(np.float32)
        group.attrs["config"] = yaml.safe_dump(
            {
                "name": source.problem,
                "fields": schema.state_variables(data),
                "samples": source.samples,
                "split": block.split,
                "sim": {name: float(sample[name]) for name in schema.by_role(data, schema.PARAMETER)},
            }
        )


def _notes(source: Source, name: str, one: bool) -> Iterator[str]:
    """What the layout cannot say, or says otherwise."""
    data, end = source.template, "front" if one else "back"
    yield from rounded_notes(source, LAYOUT)
    yield "Times and positions are in single precision; whether values belong to points or cells is not said."
    uneven = [
        axis
        for axis in schema.axes(data)
        if not np.allclose(np.diff(data[axis].values), np.diff(data[axis].values).mean(), rtol=1e-6, atol=0.0)
    ]
    if uneven:
        yield f"PDEBench's scores take positions for equally spaced; along {', '.join(uneven)} they are not."
    lost = [*schema.by_role(data, schema.WALL), *(f"law {law}" for law in schema.laws(data) if source.single)]
    if lost:
        yield f"Walls and laws have no place in the layout: {', '.join(lost)}."
    yield (
        f"{SIDECAR} beside {name} keeps walls, weights, bounds, seeds and laws in double precision: "
        "`lawbound.datasets.pdebench.read` finds them in the folder, PDEBench's loaders do not look for them."
    )
    tests = source.splits.get("test", 0)
    if tests:
        yield (
            f"PDEBench's loaders take a tenth at the {end} for their test set; ours are the {tests} of {source.samples} "
            f"samples there (test_ratio={ratio_of_tests(tests, source.samples, front=one)})."
        )
    if not one and len(schema.axes(data)) == 1:
        yield "FNODatasetSingle takes every .h5 file for one of a plane; read this one with FNODatasetMult."
    elif not one and source.samples < 24:
        yield "FNODatasetSingle reads the shape of a .h5 file from its group 0023; with fewer than 24 samples it fails."


def ratio_of_tests(tests: int, samples: int, *, front: bool) -> str:
    """The `test_ratio` with which PDEBench's loaders take just so many samples for their test set.

    They cut at int(samples · ratio) from the front, or int(samples · (1 − ratio)) where the tests are at the back; with the
    quotient itself, rounded, they may cut one sample too early.
    """
    half = 0.5 if front else -0.5
    for ratio in (f"{tests / samples:.6g}", f"{(tests + half) / samples:.9g}"):
        cut = int(samples * float(ratio)) if front else samples - int(samples * (1 - float(ratio)))
        if cut == tests:
            break
    return ratio
