"""Which samples and times of a dataset are judged, and which cases they make."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.datasets import schema
from lawbound.datasets.split import members_of, of_split, splits_of

_FEW_VALUES = 4  # a parameter with at most so many values makes each of them a case


def cases_of(data: xr.Dataset) -> dict[str, NDArray[np.int64]]:
    """Split by the parameter where a split uses a handful of values of it, else by the split's name."""
    found: dict[str, NDArray[np.int64]] = {}
    parameters = schema.by_role(data, schema.PARAMETER)
    present = splits_of(data)
    for split in present:
        members = members_of(data, split)
        values = data[parameters[0]].values[members] if len(parameters) == 1 else np.arange(members.size)
        distinct = np.unique(values)
        few = distinct.size <= _FEW_VALUES and (distinct.size < members.size or members.size == 1)
        if len(parameters) != 1 or not few:
            found[split] = members
            continue
        for value in distinct:
            name = f"{parameters[0]}={value:.12g}"
            found[name if len(present) == 1 else f"{split}, {name}"] = members[values == value]
    return found


def held_out_of(data: xr.Dataset) -> xr.Dataset:
    """Everything that no surrogate was trained or chosen on."""
    present = splits_of(data)
    if present == ["all"]:
        return data
    kept = [name for name in present if name not in ("train", "valid")]
    if not kept:
        raise ValueError(
            f"The data have samples of {', '.join(present)} only, which surrogates are trained and chosen on; "
            "compare on held-out ones (generate with --split test)."
        )
    numbers = np.concatenate([of_split(data, name)[schema.SAMPLE].values for name in kept])
    return data.isel({schema.SAMPLE: np.isin(data[schema.SAMPLE].values, numbers)})


def chosen_times(data: xr.Dataset, count: int) -> NDArray[np.int64]:
    """Indices of `count` evenly spaced stored times and of the time of interest."""
    if count < 1:
        raise ValueError(f"times={count}; judge at least one of the stored times.")
    nt = data.sizes[schema.TIME]
    spaced = np.linspace(0, nt - 1, min(count, nt)).round().astype(np.int64)
    now = int(np.abs(data[schema.TIME].values - schema.time_of_interest(data)).argmin())
    return np.unique(np.append(spaced if count > 1 else [], now)).astype(np.int64)
