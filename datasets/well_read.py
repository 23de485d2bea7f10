"""The layout of The Well, read: files that lawbound wrote, and others."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from lawbound.datasets import schema
from lawbound.datasets.foreign import Foreign, Stands, dataset, merged
from lawbound.datasets.hdf5 import GROUP, WrongLayout, member, opened, strings, values, with_riders
from lawbound.datasets.split import concatenated

LAYOUT = "The Well"
#: What the layout calls the kinds of walls where nothing is prescribed; it calls all others WALL.
OPEN_KINDS = {"periodic": "PERIODIC", "outflow": "OPEN"}
#: The attribute that names the state variables that a field of ours is made of.
COMPONENTS = "lawbound_variables"
_SPLITS = ("train", "valid", "test")


def read(path: str | Path, *, points: Stands | None = None) -> xr.Dataset:
    """A dataset from a folder, or one file, in The Well's layout, in memory.

    Files that lawbound wrote give back what was written. Of others, fields, parameters and kinds of open and periodic
    walls are taken; vectors become fields `name_x`, `name_y`; splits are named after their folders. `points` says what
    positions are: `nodes`, `cells` or points of a period; if not given, they are nodes between walls. A `UserWarning`
    says what has no place in a dataset. Raises `ValueError` for files of another layout, three dimensions, grids that
    are not Cartesian and values that are not finite; `RuntimeError` without the extra `interop`.
    """
    path = Path(path)
    ours: list[xr.Dataset] = []
    foreign: list[Foreign] = []
    for split, file in _files(path):
        with opened(file, LAYOUT) as content:
            if GROUP in content:
                ours.append(with_riders(content, _own_fields(content)))
            else:
                foreign.append(_foreign(content, split))
    try:
        if ours and foreign:
            raise ValueError("lawbound wrote some of them and not others; read them one by one.")
        data = (
            _joined(ours)
            if ours
            else dataset(merged(foreign, LAYOUT), LAYOUT, "lawbound.datasets.well.read", points)
        )
        schema.require(data, "What they hold")
    except ValueError as error:
        raise ValueError(f"The files of {path} make no dataset: {error}") from None
    for note in merged(foreign, LAYOUT).left_out if foreign else ():
        warnings.warn(f"{path}: {note}", stacklevel=2)
    return data


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """Files and the splits that their folders are named after; train, valid and test come first."""
    if not path.is_dir():
        yield "train", path
        return
    folders = sorted(folder for folder in (path / "data").glob("*") if folder.is_dir()) or [path]
    folders.sort(key=lambda folder: _SPLITS.index(folder.name) if folder.name in _SPLITS else len(_SPLITS))
    found = [
        (folder.name if folder != path else "train", file)
        for folder in folders
        for file in sorted([*folder.glob("*.hdf5"), *folder.glob("*.h5")])
    ]
    if not found:
        raise ValueError(
            f"{path} has no .hdf5 files in data/train, data/valid, data/test or itself; give a folder in The Well's layout."
        )
    yield from found


def _joined(parts: list[xr.Dataset]) -> xr.Dataset:
    """Files of ours in the order in which their samples were."""
    return concatenated(parts).sortby(schema.SAMPLE)


def _own_fields(file: Any) -> dict[str, np.ndarray]:
    fields: dict[str, np.ndarray] = {}
    for rank in (0, 1):
        group = member(file, f"t{rank}_fields")
        for name in _field_names(group):
            stored = values(group, name)
            parts = strings(member(group, name).attrs[COMPONENTS])
            for i, part in enumerate(parts):
                fields[part] = _turned(stored[..., i] if rank else stored)
    return fields


def _turned(field: np.ndarray) -> np.ndarray:
    """(sample, t, x, [y]) → (sample, t, [y], x)."""
    return np.ascontiguousarray(field if field.ndim == 3 else field.swapaxes(-1, -2))


def _field_names(group: Any) -> list[str]:
    return strings(group.attrs["field_names"])


def _foreign(file: Any, split: str) -> Foreign:
    dimensions = member(file, "dimensions")
    axes = strings(dimensions.attrs["spatial_dims"])
    if str(file.attrs.get("grid_type")) != "cartesian" or axes not in (["x"], ["x", "y"]):
        raise WrongLayout(
            f"its grid is {file.attrs.get('grid_type')} in {', '.join(axes)}; needed are Cartesian x, or x and y"
        )
    samples = int(file.attrs["n_trajectories"])
    left_out: list[str] = []
    times = values(dimensions, "time", (1, 2))
    if times.ndim == 2:
        if (times != times[:1]).any():
            raise WrongLayout("its samples have times of their own; needed are the same for all")
        times = times[0]
    positions = {axis: values(dimensions, axis, (1,)) for axis in axes}
    shape = (samples, times.size, *(positions[axis].size for axis in axes))
    fields, vectors = _foreign_fields(file, axes, shape, left_out)
    return Foreign(
        fields=fields,
        times=times,
        axes=dict(reversed(positions.items())),
        kinds=_kinds(member(file, "boundary_conditions"), left_out),
        parameters=_parameters(member(file, "scalars"), samples, left_out),
        splits=[split] * samples,
        vectors=vectors,
        name=str(file.attrs["dataset_name"]),
        left_out=tuple(left_out),
    )


def _foreign_fields(
    file: Any, axes: list[str], shape: tuple[int, ...], left_out: list[str]
) -> tuple[dict[str, np.ndarray], dict[str, tuple[str, ...]]]:
    fields: dict[str, np.ndarray] = {}
    vectors: dict[str, tuple[str, ...]] = {}
    for rank in range(3):
        group = member(file, f"t{rank}_fields")
        for name in _field_names(group):
            if rank == 2 or member(group, name).shape != (*shape, *((len(axes),) * rank)):
                left_out.append(
                    f"Field `{name}` is no scalar or vector of all samples, times and positions; left out."
                )
                continue
            stored = values(group, name)
            if rank == 0:
                fields[name] = _turned(stored)
                continue
            vectors[name] = tuple(f"{name}_{axis}" for axis in axes)
            fields |= {part: _turned(stored[..., i]) for i, part in enumerate(vectors[name])}
    if not fields:
        raise WrongLayout("it has no scalar or vector field of all samples, times and positions")
    return fields, vectors


def _kinds(group: Any, left_out: list[str]) -> dict[str, str]:
    """Sides where nothing is prescribed; of walls only their place is known, so they are left out."""
    spoken = {kind: name for name, kind in OPEN_KINDS.items()}
    found: dict[str, str] = {}
    for name in group:
        kind, axes = (
            str(member(group, name).attrs["bc_type"]).upper(),
            strings(member(group, name).attrs["associated_dims"]),
        )
        if kind not in spoken or len(axes) != 1:
            left_out.append(f"Boundary `{name}` ({kind}) does not say what is prescribed there; left out.")
            continue
        mask = values(group[name], "mask", (1,))
        for end, position in (("lo", 0), ("hi", -1)):
            if mask[position] or kind == "PERIODIC":  # some files mark one end of a period, or none
                found[f"{axes[0]}_{end}"] = spoken[kind]
    return found


def _parameters(group: Any, samples: int, left_out: list[str]) -> dict[str, np.ndarray]:
    found = {}
    for name in _field_names(group):
        stored = values(group, name)
        if stored.size == 1 and not member(group, name).attrs["time_varying"]:
            found[name] = np.full(samples, stored.ravel()[0])
        elif stored.shape == (samples,) and member(group, name).attrs["sample_varying"]:
            found[name] = stored
        else:
            left_out.append(f"Scalar `{name}` changes in time; left out.")
    return found
