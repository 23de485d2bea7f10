"""HDF5 files of others: opened with care, and a group of our own beside what their layout has a place for.

The group `lawbound` holds every variable but the fields, with its type, and a description of all; with it our own
readers give back the dataset that was written, other readers pass over it.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from lawbound.datasets import schema
from lawbound.datasets.description import Description, described, labelled_as
from lawbound.datasets.exchange import BLOCK, Source
from lawbound.datasets.extras import MissingExtra, optional

GROUP = "lawbound"
_TEXT = "description"
_LAWS = (schema.LAW_RHS, schema.LAW_RESIDUAL, schema.LAW_TOLERANCE, schema.LAW_QUADRATURE)

#: How fields are stored.
COMPRESSED = {"compression": "gzip", "compression_opts": 4, "shuffle": True, "fletcher32": True}


class WrongLayout(ValueError):
    """Something in a file is not what it should be; says what was needed."""


class Unreadable(ValueError):
    """A file that cannot be read; names it."""


@contextmanager
def opened(path: Path, layout: str) -> Iterator[Any]:
    """An HDF5 file to read; raises `ValueError`, naming the file, for whatever is wrong with it or found wrong in it."""
    h5py = optional("h5py", "interop")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError:
        raise Unreadable(f"{path} does not exist; give a file or folder in {layout}'s layout.") from None
    except (Unreadable, MissingExtra):
        raise
    # A stranger's file may hold anything in place of what is looked for.
    except (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise Unreadable(
            f"{path} cannot be read in {layout}'s layout: {error}. Give another file, or load its arrays yourself and "
            "hand them to `lawbound.from_arrays`."
        ) from None


def member(group: Any, name: str) -> Any:
    """What a group holds under a name, which may lead through groups.

    Links are not followed: a file that came from elsewhere shall show its own content only.
    """
    h5py = optional("h5py", "interop")
    for part in name.split("/"):
        if not isinstance(group, h5py.Group) or part not in group:
            raise WrongLayout(f"`{name}` is missing")
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise WrongLayout(f"`{part}` is a link, and links are not followed")
        group = group[part]
    return group


def values(group: Any, name: str, ndim: Iterable[int] | None = None) -> np.ndarray:
    """All numbers of a dataset in a group, of one of the given dimensionalities."""
    h5py = optional("h5py", "interop")
    found = member(group, name)
    if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "iufb":
        raise WrongLayout(f"`{found.name}` holds no numbers")
    if found.is_virtual or found.external:
        raise WrongLayout(f"`{found.name}` has its values in other files, which are not read")
    if ndim is not None and found.ndim not in tuple(ndim):
        wanted = " or ".join(map(str, ndim))
        raise WrongLayout(f"`{found.name}` has shape {found.shape}, needed are {wanted} dimensions")
    return np.asarray(found[()])


def strings(value: object) -> list[str]:
    """An attribute that is a string or a list of strings."""
    found = np.atleast_1d(np.asarray(value, dtype=object))
    return [one.decode() if isinstance(one, bytes) else str(one) for one in found]


def riders(source: Source) -> list[str]:
    """What rides along: all but fields and predictions; no laws where the fields are rounded."""
    left_out = {schema.STATE, schema.PREDICTION, *(() if source.single else _LAWS)}
    data = source.template
    return [name for name in map(str, data.variables) if data[name].attrs.get(schema.ROLE) not in left_out]


def begin_riders(file: Any, source: Source, samples: int) -> None:
    """Make the group `lawbound` of a file that will hold so many samples."""
    names, data = riders(source), source.template
    fields = schema.state_variables(data)
    order = [name for name in map(str, data.variables) if name in {*names, *fields}]
    group = file.create_group(GROUP)
    group.attrs[_TEXT] = described(data, order).model_dump_json()
    for name in names:
        variable = data[name]
        if schema.SAMPLE in variable.dims:
            shape = (samples, *variable.shape[1:])
            chunks = (min(samples, BLOCK), *shape[1:])
            group.create_dataset(name, shape, variable.dtype, chunks=chunks, fletcher32=True)
        else:
            group.create_dataset(name, data=variable.values, fletcher32=True)


def add_riders(file: Any, source: Source, block: xr.Dataset, first: int) -> None:
    """Store what rides along with the samples of a block, from position `first` on."""
    rows = slice(first, first + block.sizes[schema.SAMPLE])
    for name in riders(source):
        if schema.SAMPLE in block[name].dims:
            file[GROUP][name][rows] = block[name].values


def with_riders(file: Any, fields: Mapping[str, np.ndarray]) -> xr.Dataset:
    """The dataset of fields (sample, t, [y], x) and what rode along with them."""
    arrays = dict(fields)
    description = _description(file)
    for one in description.variables:
        if one.name not in arrays:
            arrays[one.name] = values(file, f"{GROUP}/{one.name}")
    try:
        return labelled_as(description, arrays)
    except ValueError as error:
        raise WrongLayout(f"its group `{GROUP}` does not fit its fields ({error})") from None


def _description(file: Any) -> Description:
    text = member(file, GROUP).attrs.get(_TEXT, "")
    try:
        return Description.model_validate_json(str(text))
    except ValueError:
        raise WrongLayout(f"the description in its group `{GROUP}` is damaged") from None


def state_names(file: Any) -> list[str]:
    """Names of the fields that belong to what rode along, in channel order."""
    return str(_description(file).attributes.get("lawbound_state_variables", "")).split()
