"""What a constraint is: a set of admissible fields, described without torch, read from a dataset."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.datasets import schema

FloatArray = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Rows:
    """Linear equalities Σ_x weights[q, x] u[s, t, x] = rhs[s, t, q], known up to a standard deviation.

    weights: (q, x). rhs and tolerance: (sample, t, q); a tolerance of 0 means exactly. labels: one a row.
    """

    weights: FloatArray
    rhs: FloatArray
    tolerance: FloatArray
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        q = len(self.labels)
        if (
            self.weights.ndim != 2
            or len(self.weights) != q
            or self.rhs.shape[2:] != (q,)
            or self.tolerance.shape != self.rhs.shape
        ):
            raise ValueError(
                f"Rows {self.labels} got weights {self.weights.shape}, rhs {self.rhs.shape} and tolerance "
                f"{self.tolerance.shape}; needed are ({q}, x), (sample, t, {q}) and (sample, t, {q})."
            )


@runtime_checkable
class Constraint(Protocol):
    """A law that fields obey. Third parties implement this, or derive from `LinearConstraint`."""

    @property
    def name(self) -> str:
        """Lower-case name, as on the command line."""
        ...

    @property
    def field(self) -> str:
        """The field that it constrains."""
        ...

    @property
    def inputs(self) -> tuple[str, ...]:
        """The variables of the dataset that it reads: all that it tells a surrogate."""
        ...

    def rows(self, data: xr.Dataset) -> Rows | None:
        """Its linear equalities, None if it is not linear."""
        ...

    def residual(self, values: FloatArray, data: xr.Dataset) -> FloatArray:
        """By how much fields (sample, t, x) miss it, (sample, t, row), in physical units."""
        ...


class LinearConstraint(ABC):
    """A constraint given by its rows on `field`; the residual and stacking with `&` follow."""

    field: str = "u"

    @property
    @abstractmethod
    def name(self) -> str:
        """Lower-case name, as on the command line."""

    @property
    @abstractmethod
    def inputs(self) -> tuple[str, ...]:
        """The variables of the dataset that it reads."""

    @abstractmethod
    def rows(self, data: xr.Dataset) -> Rows:
        """Its linear equalities."""

    def residual(self, values: FloatArray, data: xr.Dataset) -> FloatArray:
        """G u − b, (sample, t, row), in float64."""
        rows = self.rows(data)
        return np.asarray(values, dtype=np.float64) @ rows.weights.T - rows.rhs

    def __and__(self, other: "LinearConstraint") -> "Stack":
        return Stack((*_parts(self), *_parts(other)))


@final
@dataclass(frozen=True)
class Stack(LinearConstraint):
    """Several linear constraints at once: their rows, one below the other. It never chains enforcements."""

    parts: tuple[LinearConstraint, ...]

    def __post_init__(self) -> None:
        fields = {part.field for part in self.parts}
        if len(fields) != 1:
            raise ValueError(
                f"Constraints on the fields {sorted(fields)} cannot be stacked; stack those of one field."
            )
        object.__setattr__(self, "field", fields.pop())

    @property
    def name(self) -> str:
        """The parts' names, joined by `&`."""
        return "&".join(part.name for part in self.parts)

    @property
    def inputs(self) -> tuple[str, ...]:
        """All that the parts read."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.inputs))

    def rows(self, data: xr.Dataset) -> Rows:
        """The parts' rows in order."""
        each = [part.rows(data) for part in self.parts]
        return Rows(
            np.concatenate([rows.weights for rows in each]),
            np.concatenate([rows.rhs for rows in each], axis=-1),
            np.concatenate([rows.tolerance for rows in each], axis=-1),
            tuple(label for rows in each for label in rows.labels),
        )


def _parts(constraint: LinearConstraint) -> tuple[LinearConstraint, ...]:
    return constraint.parts if isinstance(constraint, Stack) else (constraint,)


def right_hand_side(data: xr.Dataset, law: str) -> FloatArray:
    """`law_<id>_rhs` as (sample, t); raises `ValueError` if the data lack it or do not know it everywhere."""
    name = schema.law_variable(law, "rhs")
    if name not in data:
        raise ValueError(
            f"The constraint `{law}` needs the variable `{name}`, which the dataset does not carry; generate the data "
            "with lawbound, or give the known integral as `mass` to `lawbound.from_arrays`."
        )
    values = np.asarray(data[name].transpose(schema.SAMPLE, schema.TIME).values, dtype=np.float64)
    if not np.isfinite(values).all():
        sample, time = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise ValueError(
            f"`{name}` is not finite for sample {int(data[schema.SAMPLE].values[sample])} at t={float(data[schema.TIME].values[time]):.4g}; "
            "the law is not known there (a front that has left, say). Leave these times out."
        )
    return values
