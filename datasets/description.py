"""A dataset's labels as one text: names, dimensions and attributes of everything, without values."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from pydantic import BaseModel, ConfigDict

Attributes = dict[str, str | int | float | list[int] | list[float]]


class Label(BaseModel):
    """One variable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    dims: tuple[str, ...]
    attributes: Attributes


class Description(BaseModel):
    """Global attributes, and the variables in their order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attributes: Attributes
    variables: tuple[Label, ...]


def described(data: xr.Dataset, names: Sequence[str]) -> Description:
    """The labels of the named variables.

    A hash of the values is left out: whoever reads the values back may read a part of them.
    """
    return Description(
        attributes=plain({key: data.attrs[key] for key in data.attrs if key != "lawbound_content_sha256"}),
        variables=tuple(
            Label(name=name, dims=tuple(map(str, data[name].dims)), attributes=plain(data[name].attrs))
            for name in names
        ),
    )


def labelled_as(description: Description, arrays: Mapping[str, np.ndarray]) -> xr.Dataset:
    """The dataset of a description and its arrays; raises `ValueError` where they do not fit."""
    missing = [one.name for one in description.variables if one.name not in arrays]
    if missing:
        raise ValueError(f"values of {', '.join(missing)} are missing")
    variables = {
        one.name: (one.dims, arrays[one.name], typed(one.attributes, arrays[one.name].dtype))
        for one in description.variables
    }
    return xr.Dataset(variables, attrs=dict(description.attributes))


def typed(attributes: Mapping[str, object], dtype: np.dtype) -> dict[str, object]:
    """Attributes as JSON gives them; lists of numbers, such as flag_values, take the variable's type."""
    return {
        str(key): np.asarray(value, dtype=dtype) if isinstance(value, list) else value
        for key, value in attributes.items()
    }


def plain(attributes: Mapping[object, object]) -> Attributes:
    """Attributes as JSON takes them."""
    return {
        str(key): value.tolist() if isinstance(value, np.ndarray | np.generic) else value  # type: ignore[misc]
        for key, value in attributes.items()
    }
