"""What a dataset or a run holds, as plain values."""

from pathlib import Path
from typing import Any

import numpy as np

from lawbound.datasets import schema
from lawbound.datasets.formats import is_one
from lawbound.datasets.split import members_of, splits_of
from lawbound.datasets.store import MANIFEST
from lawbound.datasets.store import open as open_dataset
from lawbound.pretrained import folder
from lawbound.surrogates.checkpoint import CONFIG, read_config


def summary(path: Path) -> dict[str, Any]:
    """Facts about a run folder, `pretrained:NAME`, a dataset folder or a file; raises `ValueError` if it is none of them."""
    run = folder(path)
    if (run / CONFIG).exists():
        config = read_config(run)
        return {
            "run": str(path),
            "surrogate": config.surrogate,
            **({"constraints": list(config.constraints)} if config.constraints else {}),
            "trained on": config.origin.problem,
            "options": config.options,
            "seed": config.seed,
            "lawbound": config.lawbound,
        }
    if not is_one(path) and not (path / MANIFEST).exists():
        raise ValueError(
            f"{path} is neither a dataset (no {MANIFEST}, no zarr.json) nor a run (no {CONFIG}); give one of them."
        )
    data = open_dataset(path)
    found: dict[str, Any] = {
        "dataset": str(path),
        "problem": data.attrs["lawbound_problem"],
        "title": data.attrs["title"],
        "fields": schema.state_variables(data),
        "sizes": {dim: data.sizes[dim] for dim in schema.field_dims(data)},
        "t": _range(data[schema.TIME].values),
        **{axis: _range(data[axis].values) for axis in reversed(schema.axes(data))},
        "splits": {name: members_of(data, name).size for name in splits_of(data)},
        "parameters": {name: _range(data[name].values) for name in schema.by_role(data, schema.PARAMETER)},
        "laws": {
            law: data[schema.law_variable(law, "rhs")].attrs["lawbound_rhs_source"]
            for law in schema.laws(data)
        },
        "source": data.attrs["source"],
        "config sha256": data.attrs["lawbound_config_sha256"],
    }
    return found


def _range(values: np.ndarray) -> str:
    return f"[{values.min():.6g}, {values.max():.6g}]"
