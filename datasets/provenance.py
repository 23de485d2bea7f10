"""What made a dataset: canonical configuration, its hash, and a hash of the values."""

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from zlib import crc32

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from lawbound.datasets import schema


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces: equal configurations give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def sha256(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def provenance(config: Mapping[str, object]) -> dict[str, str]:
    """Global attributes common to all files. There is no wall-clock time in them unless SOURCE_DATE_EPOCH
    is set, so that one configuration gives the same bytes whenever it is run."""
    text = canonical_json(config)
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    stamp = f"{datetime.fromtimestamp(int(epoch), UTC).isoformat()} " if epoch else ""
    return {
        "Conventions": schema.CONVENTIONS,
        "institution": "not stated",
        "history": f"{stamp}made by lawbound {version('lawbound')}",
        "license": "not stated",
        "lawbound_schema": schema.SCHEMA,
        "lawbound_config": text,
        "lawbound_config_sha256": sha256(text),
    }


def values_hash(*arrays: ArrayLike) -> str:
    """SHA-256 over the values and shapes of arrays, for configurations that hold arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        values = np.ascontiguousarray(array)
        digest.update(f"{values.dtype.str}:{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def layout(data: xr.Dataset) -> str:
    """Eight digits that datasets share if and only if their variables have the same names, types and dimensions."""
    described = sorted(
        (str(name), variable.dtype.str, *map(str, variable.dims)) for name, variable in data.variables.items()
    )
    return f"{crc32(canonical_json(described).encode()):08x}"


def content_hash(data: xr.Dataset) -> str:
    """SHA-256 over names, shapes and values of all variables; independent of compression and file format.

    Values that are still in a file are read one entry of the first dimension at a time.
    """
    digest = hashlib.sha256()
    for name in sorted(str(name) for name in data.variables):
        variable = data[name].variable
        digest.update(f"{name}:{variable.dtype.str}:{variable.shape}:{variable.dims}".encode())
        # In the order of memory, entry after entry is the whole.
        for part in variable if variable.ndim > 1 else (variable,):
            digest.update(np.ascontiguousarray(part.values).tobytes())
    return digest.hexdigest()
