"""Sizes of what a network on a grid reads and predicts, from its training data; what cannot be learned from is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from lawbound.datasets import schema
from lawbound.datasets.scaling import Scaling, scaling_of, scalings
from lawbound.surrogates.answers import Units
from lawbound.surrogates.origin import Origin
from lawbound.surrogates.samples import GridData

#: A relative error divides by at least this share of the field's root mean square over the training data.
FLOOR = 0.01


def field_scales(train: GridData, *, changes: bool) -> dict[str, Scaling]:
    """Statistics of all that is read and predicted and, with `changes`, of the change from time to time.

    Raises `ValueError` for values that are not finite, a field that does not vary, and samples that nothing tells apart.
    """
    if train.kept is not None:
        schema.require_finite(train.data)
    parameters, walls = train.names
    found = scalings(train.data, [*train.origin.fields, *parameters, *walls])
    for name in train.origin.fields:
        if found[name].std == 0.0:
            raise ValueError(
                f"The field `{name}` is {found[name].mean:g} everywhere in the training data, so there is nothing to "
                f"learn; name the others, as in fields={' '.join(f for f in train.origin.fields if f != name)!r}."
            )
    _refuse_alike(train, [found[name] for name in (*parameters, *walls)])
    if changes:
        found |= {f"change of {name}": _change(train, name) for name in train.origin.fields}
    return found


def _refuse_alike(train: GridData, others: Sequence[Scaling]) -> None:
    """Raise `ValueError` if nothing that is read tells one sample from another."""
    if any(one.std > 0.0 for one in others):
        return
    first = replace(train, first_only=True)
    example = first.read(np.arange(1)).states
    for rows in np.split(np.arange(len(first)), range(256, len(first), 256)):
        if not torch.equal(first.read(rows).states, example.expand(len(rows), *example.shape[1:])):
            return
    raise ValueError(
        "All training samples start from the same state, and that is all that is read of them, so no network can tell "
        "them apart; read the problem's parameters, too (--option parameters=true), or boundary values (fno-bc)."
    )


def _change(train: GridData, name: str) -> Scaling:
    """Statistics of u(t_k+1) − u(t_k), over all samples and times."""
    field, found = train.data[name], None
    for start in range(0, len(train), 64):
        values = field.isel({schema.SAMPLE: slice(start, start + 64)}).values.astype(np.float64)
        part = scaling_of(np.diff(values, axis=1))
        found = part if found is None else found.joined(part)
    assert found is not None
    return found


def units_of(scaled: Mapping[str, Scaling], origin: Origin, device: torch.device) -> Units:
    """The fields' scales and floors, on the device."""
    rms = [float(np.hypot(scaled[name].mean, scaled[name].std)) for name in origin.fields]
    scale = torch.tensor([scaled[name].std for name in origin.fields], device=device)
    return Units(scale, FLOOR * torch.tensor(rms, device=device), len(origin.grid))
