"""The layout of The Well, written: a folder with HDF5 files for each split, and statistics of the training split.

Ohana et al., The Well: a large-scale collection of diverse physics simulations for machine learning, NeurIPS 2024.
Fields stand as (sample, time, x, [y]) in single precision; scalars, vectors and tensors in groups of their own; walls
are masks and kinds; scalars may depend on sample and time. Their reader needs fields whole (`dim_varying` all true),
and names of scalars and fields apart.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from lawbound.datasets import schema
from lawbound.datasets.exchange import Block, ExportReport, Source, fresh, rounded_notes
from lawbound.datasets.extras import optional
from lawbound.datasets.hdf5 import COMPRESSED, add_riders, begin_riders
from lawbound.datasets.moments import Moments
from lawbound.datasets.well_read import COMPONENTS, LAYOUT, OPEN_KINDS, read

__all__ = ["read", "write"]

#: Names that their reader's cache uses for itself.
_RESERVED = frozenset({"time_grid", "space_grid", "boundary_output"})
#: Their normalisation takes smaller standard deviations for this.
_LEAST_STD = 1e-4


class Channel(NamedTuple):
    """A field of the files: a state variable, or several that are a vector's components along x and y."""

    name: str
    parts: tuple[str, ...]
    rank: int

    @property
    def group(self) -> str:
        """Where it is stored."""
        return f"t{self.rank}_fields"

    def of(self, sample: xr.Dataset) -> np.ndarray:
        """Its values for one sample, (t, x, [y], [component]), in single precision."""
        turned = [
            part.transpose(schema.TIME, *reversed(part.dims[1:])).values.astype(np.float32)
            for part in (sample[name] for name in self.parts)
        ]
        return np.stack(turned, axis=-1) if self.rank else turned[0]


def write(data: xr.Dataset | str | Path | Source, path: str | Path) -> ExportReport:
    """Write a dataset, a file, a store or a folder of shards as a folder in The Well's layout.

    Fields are stored bit for bit in single precision, a block of samples in memory at a time. Raises `ValueError` if
    `path` exists or the data are no dataset, and `RuntimeError` without the extra `interop`.
    """
    h5py, yaml = optional("h5py", "interop"), optional("yaml", "interop")
    source = Source.of(data)
    channels = _channels(source.template)
    _require_apart(source.template, channels)
    names = {split: f"data/{_folder(split)}/{source.problem}.hdf5" for split in source.splits}
    reference = "train" if "train" in source.splits else next(iter(source.splits))
    statistics = {channel.name: (Moments.none(), Moments.none()) for channel in channels}
    with fresh(path) as root, ExitStack() as stack:
        files = {}
        for split, count in source.splits.items():
            (root / names[split]).parent.mkdir(parents=True)
            files[split] = stack.enter_context(h5py.File(root / names[split], "w"))
            _begin(files[split], source, channels, count)
        for block in source.blocks():
            counted = statistics if block.split == reference else None
            _add(files[block.split], source, channels, block, counted)
        stack.close()
        (root / "stats.yaml").write_text(yaml.safe_dump(_stored(statistics)), encoding="utf-8")
    return ExportReport(
        format="well",
        path=Path(path),
        samples=source.samples,
        fields=tuple(channel.name for channel in channels),
        files=(*names.values(), "stats.yaml"),
        notes=tuple(_notes(source, channels, statistics, reference)),
    )


def _folder(split: str) -> str:
    """Where a split goes; data that know none are for training."""
    return "train" if split == "all" else split


def _channels(data: xr.Dataset) -> list[Channel]:
    """Scalars, then vectors, which is their reader's order; two velocities of a plane are a vector."""
    state, axes = schema.state_variables(data), tuple(reversed(schema.axes(data)))
    vectors: dict[str, dict[str, str]] = {}
    for name in state:
        attributes = data[name].attrs
        if "lawbound_vector" in attributes:
            components = vectors.setdefault(str(attributes["lawbound_vector"]), {})
            components[str(attributes.get("lawbound_component"))] = name
    if not vectors and {"u", "v"} <= set(state) and str(data["v"].attrs["long_name"]).startswith("velocity"):
        vectors["velocity"] = {"x": "u", "y": "v"}
    whole = [
        Channel(vector, tuple(components[axis] for axis in axes), 1)
        for vector, components in vectors.items()
        if set(components) == set(axes)
    ]
    used = {part for channel in whole for part in channel.parts}
    return [*(Channel(name, (name,), 0) for name in state if name not in used), *whole]


def _require_apart(data: xr.Dataset, channels: Sequence[Channel]) -> None:
    names = [*(channel.name for channel in channels), *_scalars(data)]
    wrong = sorted({name for name in names if names.count(name) > 1} | _RESERVED.intersection(names))
    if wrong:
        raise ValueError(
            f"{', '.join(wrong)}: The Well's reader cannot tell these names from others; rename the variables."
        )


def _scalars(data: xr.Dataset) -> list[str]:
    """Parameters, and what is prescribed at walls where it is one number at a time."""
    walls = [
        name
        for name in schema.by_role(data, schema.WALL)
        if data[name].attrs.get("lawbound_bc_type") not in OPEN_KINDS
        and data[name].dims == (schema.SAMPLE, schema.TIME)
    ]
    return [*schema.by_role(data, schema.PARAMETER), *walls]


def _begin(file: Any, source: Source, channels: Sequence[Channel], samples: int) -> None:
    """Make all groups of a file that will hold so many samples."""
    data = source.template
    axes = tuple(reversed(schema.axes(data)))
    file.attrs["dataset_name"] = source.problem
    file.attrs["grid_type"] = "cartesian"
    file.attrs["n_spatial_dims"] = len(axes)
    file.attrs["n_trajectories"] = samples
    file.attrs["simulation_parameters"] = _names(())
    dimensions = file.create_group("dimensions")
    dimensions.attrs["spatial_dims"] = _names(axes)
    for name, stored in (("time", schema.TIME), *((axis, axis) for axis in axes)):
        dimensions.create_dataset(name, data=data[stored].values.astype(np.float32))
        _say_varying(dimensions[name], sample=False, time=name == "time")
    _begin_walls(file.create_group("boundary_conditions"), data)
    scalars = file.create_group("scalars")
    scalars.attrs["field_names"] = _names(_scalars(data))
    for name in _scalars(data):
        scalars.create_dataset(name, (samples, *data[name].shape[1:]), np.float32)
        _say_varying(scalars[name], sample=True, time=schema.TIME in data[name].dims)
    _begin_fields(file, channels, (samples, *(data.sizes[axis] for axis in (schema.TIME, *axes))))
    begin_riders(file, source, samples)


def _begin_walls(group: Any, data: xr.Dataset) -> None:
    """A group for each axis and kind, with a mask that marks the ends of the axis where it is."""
    walls: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name in schema.by_role(data, schema.WALL):
        attributes = data[name].attrs
        axis, _, end = str(attributes["lawbound_bc_side"]).partition("_")
        kind = OPEN_KINDS.get(str(attributes["lawbound_bc_type"]), "WALL")
        walls.setdefault((axis, kind), []).append((end, str(attributes["lawbound_bc_variable"])))
    for (axis, kind), found in walls.items():
        one = group.create_group(f"{axis}_{kind.lower()}")
        one.attrs["associated_dims"] = _names((axis,))
        one.attrs["associated_fields"] = _names(dict.fromkeys(field for _, field in found))
        one.attrs["bc_type"] = kind
        _say_varying(one, sample=False, time=False)
        mask = np.zeros(data.sizes[axis], dtype=bool)
        mask[[0 if end == "lo" else -1 for end, _ in found]] = True
        one.create_dataset("mask", data=mask)


def _begin_fields(file: Any, channels: Sequence[Channel], shape: tuple[int, ...]) -> None:
    dimensions = len(shape) - 2
    for rank in range(3):
        group = file.create_group(f"t{rank}_fields")
        inside = [channel for channel in channels if channel.rank == rank]
        group.attrs["field_names"] = _names(channel.name for channel in inside)
        for channel in inside:
            whole = (*shape, *((dimensions,) * rank))
            stored = group.create_dataset(
                channel.name, whole, np.float32, chunks=(1, *whole[1:]), **COMPRESSED
            )
            _say_varying(stored, sample=True, time=True)
            stored.attrs["dim_varying"] = np.ones(dimensions, dtype=bool)
            stored.attrs[COMPONENTS] = _names(channel.parts)


def _say_varying(of: Any, *, sample: bool, time: bool) -> None:
    of.attrs["sample_varying"] = np.bool_(sample)
    of.attrs["time_varying"] = np.bool_(time)


def _names(names: Iterable[str]) -> np.ndarray:
    return np.array(list(names), dtype=optional("h5py", "interop").string_dtype())


def _add(
    file: Any,
    source: Source,
    channels: Sequence[Channel],
    block: Block,
    statistics: dict[str, tuple[Moments, Moments]] | None,
) -> None:
    """Store a block of samples; where `statistics` are given, count them in."""
    for i in range(block.data.sizes[schema.SAMPLE]):
        sample = block.data.isel({schema.SAMPLE: i})
        for channel in channels:
            values = channel.of(sample)
            file[channel.group][channel.name][block.first + i] = values
            if statistics is not None:
                state, change = statistics[channel.name]
                steps = np.diff(values.astype(np.float64), axis=0)
                statistics[channel.name] = (
                    state.and_of(values, channel.rank),
                    change.and_of(steps, channel.rank),
                )
    rows = slice(block.first, block.first + block.data.sizes[schema.SAMPLE])
    for name in _scalars(block.data):
        file["scalars"][name][rows] = block.data[name].values
    add_riders(file, source, block.data, block.first)


def _stored(statistics: dict[str, tuple[Moments, Moments]]) -> dict[str, dict[str, Any]]:
    """The six tables of stats.yaml: a number for each scalar field, a list for each vector."""
    return {
        f"{what}{suffix}": {name: getattr(pair[i], what).tolist() for name, pair in statistics.items()}
        for i, suffix in enumerate(("", "_delta"))
        for what in ("mean", "std", "rms")
    }


def _notes(
    source: Source,
    channels: Sequence[Channel],
    statistics: dict[str, tuple[Moments, Moments]],
    reference: str,
) -> Iterator[str]:
    """What the layout cannot say, or says otherwise."""
    data = source.template
    for channel in channels:
        if channel.rank:
            yield f"{', '.join(channel.parts)} are the components of the vector `{channel.name}`."
    yield from rounded_notes(source, LAYOUT)
    yield "Times and positions are in single precision; whether values belong to points or cells is not said."
    walls = schema.by_role(data, schema.WALL)
    kinds = sorted({str(data[name].attrs["lawbound_bc_type"]) for name in walls} - set(OPEN_KINDS))
    if kinds:
        yield f"Walls are WALL, whatever they were ({', '.join(kinds)}); values at them are scalars in single precision."
    if not walls:
        yield "The kinds of walls are not known; The Well's reader takes such for OPEN."
    along = [name for name in walls if len(data[name].dims) > 2]
    if along:
        yield f"Values that vary along a wall ({', '.join(along)}) have no place in the layout."
    if schema.laws(data) and source.single:
        yield f"Laws ({', '.join(schema.laws(data))}) have no place in the layout."
    yield (
        "The group `lawbound` of each file keeps wall values, weights, bounds, seeds and laws in double precision: "
        "`lawbound.datasets.well.read` finds them, other readers pass over them."
    )
    others = [split for split in source.splits if split not in ("train", "valid", "test", "all")]
    if others:
        yield f"Splits that The Well does not know have folders of their own: {', '.join(others)}."
    if reference == "all":
        yield "The samples know no splits: all stand in data/train."
    elif reference != "train":
        yield f"There is no split `train`: stats.yaml is of `{reference}`."
    flat = [
        name for name, pair in statistics.items() if min(pair[0].std.min(), pair[1].std.min()) < _LEAST_STD
    ]
    if flat:
        yield f"The Well's normalisation takes the standard deviation of {', '.join(flat)}, or of its steps, for {_LEAST_STD:g}."
