"""The layouts of PDEBench, read: a folder that lawbound wrote, and files of others."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from lawbound.datasets import schema
from lawbound.datasets.extras import optional
from lawbound.datasets.foreign import Foreign, Stands, dataset
from lawbound.datasets.hdf5 import WrongLayout, opened, state_names, values, with_riders

LAYOUT = "PDEBench"
#: What rides along, beside the file that PDEBench's loaders read.
SIDECAR = "lawbound.hdf5"
_FLOW = ("density", "pressure", "Vx", "Vy")


def read(
    path: str | Path, *, fields: Sequence[str] | None = None, points: Stands | None = None
) -> xr.Dataset:
    """A dataset from a folder that `write` made, or from a file in one of PDEBench's layouts, in memory.

    The folder gives back what was written. Of a file, fields, positions and the numbers in attributes or YAML texts are
    taken: `tensor` of one scalar, `nu` and `tensor` of Darcy flow, `density`, `pressure`, `Vx`, `Vy` of compressible flow, and
    groups with `data`, whose channels `fields` names (if not given, `u`, or `u1`, `u2`, …). `points` says what
    positions are: `nodes` if not given, `cells` or points of a period. Splits are 80 % train, 10 % valid, and the 10 %
    test that PDEBench's loaders take. A `UserWarning` says what has no place in a dataset. Raises `ValueError` for
    files of another layout, three dimensions and values that are not finite; `RuntimeError` without the extra `interop`.
    """
    path = Path(path)
    file = _only_file(path) if path.is_dir() else path
    if path.is_dir() and (path / SIDECAR).exists():
        return _ours(file, path / SIDECAR)
    with opened(file, LAYOUT) as content:
        found = _content(content, file.stem, fields)
    try:
        data = dataset(found, LAYOUT, "lawbound.datasets.pdebench.read", points)
    except ValueError as error:
        raise ValueError(f"{file} makes no dataset: {error}") from None
    for note in found.left_out:
        warnings.warn(f"{file}: {note}", stacklevel=2)
    return data


def _only_file(folder: Path) -> Path:
    files = [file for file in (*folder.glob("*.hdf5"), *folder.glob("*.h5")) if file.name != SIDECAR]
    if len(files) != 1:
        raise ValueError(
            f"{folder} holds {len(files)} .hdf5 or .h5 files besides {SIDECAR}; give one file, or a folder with one."
        )
    return files[0]


def _ours(file: Path, beside: Path) -> xr.Dataset:
    """What was written, in the order of the samples."""
    with opened(beside, LAYOUT) as riders:
        with opened(file, LAYOUT) as content:
            found = _content(content, file.stem, state_names(riders))
        data = with_riders(riders, found.fields).sortby(schema.SAMPLE)
    schema.require(data, f"What {file} and {beside.name} hold")
    return data


def _content(file: Any, name: str, fields: Sequence[str] | None) -> Foreign:
    if "tensor" in file:
        return _tensor(file, name, fields)
    if "density" in file:
        return _flow(file, name)
    if len(file) and not any(hasattr(file.get(key), "dtype") for key in file):
        return _groups(file, name, fields)
    raise WrongLayout("it has neither `tensor`, nor `density`, nor groups with `data`")


def _tensor(file: Any, name: str, fields: Sequence[str] | None) -> Foreign:
    """One scalar, (sample, t, x, [y]); with `nu`, (sample, x, y), Darcy flow, which has no time."""
    u = values(file, "tensor", (3, 4))
    (field,) = _channels(fields, 1)
    found = {field: u}
    times = np.zeros(1) if "nu" in file else _times(values(file, "t-coordinate", (1,)), u.shape[1])
    if "nu" in file:
        found["nu"] = values(file, "nu", (3,))[:, None]
    own = [key for key in file if key.startswith("lawbound_")]
    parameters = {key.removeprefix("lawbound_"): values(file, key, (1,)) for key in own}
    return _foreign(file, found, times, name, parameters)


def _flow(file: Any, name: str) -> Foreign:
    found = {field: values(file, field, (3, 4)) for field in _FLOW if field in file}
    shape = found["density"].shape
    parts = ("Vx", "Vy")[: len(shape) - 2]
    if any(one.shape != shape for one in found.values()) or not set(parts) <= set(found):
        raise WrongLayout("its fields differ in shape, or a velocity is missing")
    times = _times(values(file, "t-coordinate", (1,)), shape[1])
    return _foreign(file, found, times, name, {})._replace(vectors={"velocity": parts})


def _foreign(
    file: Any, found: dict[str, np.ndarray], times: np.ndarray, name: str, parameters: dict[str, np.ndarray]
) -> Foreign:
    """Fields (sample, t, x, [y]) that share a file with their positions; the test samples are in front."""
    n, plane = len(next(iter(found.values()))), next(iter(found.values())).ndim == 4
    axes = {axis: values(file, f"{axis}-coordinate", (1,)) for axis in (("y", "x") if plane else ("x",))}
    numbers = {key: np.full(n, float(value)) for key, value in file.attrs.items() if _is_number(value)}
    return Foreign(
        fields={key: _turned(value) for key, value in found.items()},
        times=times,
        axes=axes,
        kinds={},
        parameters={**numbers, **parameters},
        splits=_splits(n)[::-1],
        vectors={},
        name=name,
    )


def _groups(file: Any, name: str, fields: Sequence[str] | None) -> Foreign:
    """A group for each sample, `data` (t, x, [y], channel); the test samples are at the back."""
    keys = sorted(file)
    data = [values(file, f"{key}/data", (3, 4)) for key in keys]
    plane = data[0].ndim == 4
    grids = [
        {
            axis: values(file, f"{key}/grid/{axis}", (1,))
            for axis in (("t", "y", "x") if plane else ("t", "x"))
        }
        for key in keys
    ]
    for key, one, grid in zip(keys, data, grids, strict=True):
        if one.shape != data[0].shape or any(not np.array_equal(grid[a], grids[0][a]) for a in grid):
            raise WrongLayout(f"its groups {keys[0]} and {key} differ in shape or grid")
    stacked = np.stack(data)
    channels = _channels(fields, stacked.shape[-1])
    settings = [_numbers(str(file[key].attrs.get("config", ""))) for key in keys]
    shared = [key for key in settings[0] if all(key in one for one in settings)]
    times = grids[0].pop("t")
    return Foreign(
        fields={channel: _turned(stacked[..., i]) for i, channel in enumerate(channels)},
        times=_times(times, stacked.shape[1]),
        axes=grids[0],
        kinds={},
        parameters={key: np.array([one[key] for one in settings]) for key in shared},
        splits=_splits(len(keys)),
        vectors={},
        name=name.removesuffix("_NA_NA"),
    )


def _turned(field: np.ndarray) -> np.ndarray:
    """(sample, t, x, [y]) → (sample, t, [y], x)."""
    return np.ascontiguousarray(field if field.ndim == 3 else field.swapaxes(-1, -2))


def _times(times: np.ndarray, wanted: int) -> np.ndarray:
    """The times of the fields; some files have one more than their fields."""
    if times.size not in (wanted, wanted + 1):
        raise WrongLayout(f"it has {times.size} times for {wanted} of its fields")
    return times[:wanted]


def _channels(names: Sequence[str] | None, wanted: int) -> list[str]:
    if names is None:
        return ["u"] if wanted == 1 else [f"u{i + 1}" for i in range(wanted)]
    if len(names) != wanted or len(set(names)) != wanted:
        raise WrongLayout(f"it has {wanted} channels, fields={list(names)} name another number of them")
    return list(names)


def _splits(samples: int) -> list[str]:
    tenth = samples // 10
    return ["train"] * (samples - 2 * tenth) + ["valid"] * tenth + ["test"] * tenth


def _is_number(value: Any) -> bool:
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "iuf"


def _numbers(text: str) -> dict[str, float]:
    """The numbers of a group's settings, which are YAML, read without making objects of it."""
    yaml = optional("yaml", "interop")
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        raise WrongLayout("the `config` of a group is no YAML text") from None
    settings = found.get("sim", found) if isinstance(found, dict) else {}
    if not isinstance(settings, dict):
        return {}
    return {str(key): float(value) for key, value in settings.items() if isinstance(value, int | float)}
