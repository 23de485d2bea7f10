"""A dataset from an .npz file that our export made."""

import zipfile
import zlib
from pathlib import Path

import numpy as np
import xarray as xr

from lawbound.datasets import schema
from lawbound.datasets.description import Description, labelled_as

SUFFIX = ".npz"

#: The array that holds the labels.
LABELS = "lawbound_description"


def read(path: str | Path) -> xr.Dataset:
    """The dataset in an .npz file that `write` made; raises `ValueError` for any other file. Nothing is unpickled."""
    if not Path(path).exists():
        raise ValueError(f"{path} does not exist; give an .npz file that `lawbound export --to npz` made.")
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no archive of arrays")
        with np.load(path, allow_pickle=False) as stored:
            if LABELS not in stored:
                raise ValueError(f"it has no `{LABELS}`")
            description = Description.model_validate_json(str(stored[LABELS]))
            names = [one.name for one in description.variables]
            data = labelled_as(description, {name: stored[name] for name in names if name in stored})
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{path} is no .npz file that `lawbound export --to npz` made ({reason}); export it again, or hand its arrays to "
            "`lawbound.from_arrays`."
        ) from None
    schema.require(data, str(path))
    return data
