"""Which sample belongs to which split."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.datasets import schema

#: Shares of the default design, in this order.
DEFAULT_SHARES = (("train", 0.8), ("valid", 0.1), ("test", 0.1))


def place(sample: int, samples: int, split: str | None) -> tuple[str, int]:
    """(split, index within it) of a sample of a design: all one split, or 80 % train, 10 % valid, 10 % test.

    >>> place(2, 3, "test"), place(8, 10, None), place(9, 10, None)
    (('test', 2), ('valid', 0), ('test', 0))
    """
    if split is not None:
        return split, sample
    counts = {name: int(share * samples) for name, share in DEFAULT_SHARES}
    counts["train"] += samples - sum(counts.values())
    for name, count in counts.items():
        if sample < count:
            return name, sample
        sample -= count
    raise IndexError(sample)


def splits_of(data: xr.Dataset) -> list[str]:
    """Names of the splits that the dataset has samples of; `all` if it knows none."""
    if "split" not in data:
        return ["all"]
    names = str(data["split"].attrs["flag_meanings"]).split()
    return [names[code] for code in np.unique(data["split"].values)]


def members_of(data: xr.Dataset, name: str) -> NDArray[np.int64]:
    """Positions of the samples of one split; raises `ValueError` if there are none."""
    present = splits_of(data)
    if name not in present:
        raise ValueError(
            f"The dataset has no samples of split `{name}`, only of {', '.join(present)}; generate that split."
        )
    if present == ["all"]:
        return np.arange(data.sizes[schema.SAMPLE])
    names = str(data["split"].attrs["flag_meanings"]).split()
    return np.flatnonzero(data["split"].values == names.index(name))


def of_split(data: xr.Dataset, name: str) -> xr.Dataset:
    """The samples of one split; raises `ValueError` if there are none."""
    return data.isel({schema.SAMPLE: members_of(data, name)})


def concatenated(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Join datasets along the samples; what does not depend on the sample must agree.

    A hash of the parts' values is not one of the whole's, so it is left out.
    """
    if len(parts) == 1:
        return parts[0]
    parts = [part.drop_attrs(deep=False).assign_attrs(_without_hash(part)) for part in parts]
    return xr.concat(
        parts,
        schema.SAMPLE,
        data_vars="minimal",
        coords="minimal",
        compat="equals",
        join="exact",
        combine_attrs="override",
    )


def _without_hash(data: xr.Dataset) -> dict[str, object]:
    return {str(name): value for name, value in data.attrs.items() if name != "lawbound_content_sha256"}


def split_variable(splits: Sequence[str], names: Sequence[str]) -> xr.Variable:
    """The variable `split` for one split name a sample; `names` in flag order, others behind."""
    used = [*names, *sorted(set(splits) - set(names))]
    return xr.Variable(
        (schema.SAMPLE,),
        np.asarray([used.index(split) for split in splits], dtype=np.int8),
        {
            "long_name": "split that the sample belongs to",
            "flag_values": np.arange(len(used), dtype=np.int8),
            "flag_meanings": " ".join(used),
            schema.ROLE: schema.SPLIT,
        },
    )
