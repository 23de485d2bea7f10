"""What a constraint is: a set of admissible fields, described without torch, read from a dataset."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import TypeVar, final

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from lawbound.constraints.sets import Balance, Box, Curved, Evolution, Order, Phases, Rows, Variation
from lawbound.datasets import schema
from lawbound.datasets.layout import Layout

FloatArray = NDArray[np.float64]
_Part = TypeVar("_Part")


@final
@dataclass(frozen=True, eq=False)
class Admissible:
    """A constraint on one dataset: the parts of its set over states of `layout`, None where there is none.

    measure: (n,), the quadrature weights of the state's points, by which distances can be told; None: all alike.
    """

    layout: Layout
    rows: Rows | None = None
    box: Box | None = None
    order: Order | None = None
    phases: Phases | None = None
    variation: Variation | None = None
    curved: tuple[Curved, ...] = ()
    balance: Balance | None = None
    evolutions: tuple[Evolution, ...] = ()
    measure: FloatArray | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """What the entries of a residual are, in order."""
        shapes = (self.box, self.order, self.phases, self.variation)
        return (
            *(self.rows.labels if self.rows else ()),
            *(part.label for part in shapes if part is not None),
            *(label for part in self.curved for label in part.labels),
            *((self.balance.label,) if self.balance else ()),
            *(part.label for part in self.evolutions),
        )

    @property
    def linear(self) -> bool:
        """Whether it consists of rows alone."""
        others = (self.box, self.order, self.phases, self.variation, self.curved, self.balance)
        return not any((*others, self.evolutions))

    def residual(self, values: FloatArray) -> FloatArray:
        """By how much states (sample, t, n) miss each part, (sample, t, label), in float64 and physical units.

        G u − b for rows (0 where a row does not apply), the largest violation, ≥ 0, for the others.
        """
        u = np.asarray(values, dtype=np.float64)
        found = []
        if self.rows is not None:
            gap = u @ self.rows.weights.T - np.where(self.rows.applies, self.rows.rhs, 0.0)
            found.append(np.where(self.rows.applies, gap, 0.0))
        shapes = (self.box, self.order, self.phases, self.variation)
        found += [part.violation(u) for part in shapes if part is not None]
        for part in self.curved:
            gap = part.function(torch.from_numpy(np.ascontiguousarray(u))).numpy() - part.rhs
            found.append(np.maximum(gap, 0.0) if part.at_most else gap)
        if self.balance is not None:
            found.append(self.balance.unbalanced(u))
        found += [part.missed(u) for part in self.evolutions]
        return np.concatenate(found, axis=-1) if found else np.zeros((*u.shape[:-1], 0))


class Constraint(ABC):
    """A law that fields obey; third parties derive from it and give what their law has.

    A linear law gives `rows`, bounds and fixed values `bounds`, shapes `order`, `phases` or `variation`, a
    nonlinear equality `curved`, rows between times a `balance`, an equation to weigh an `evolution`. The residual, stacking with `&` and every enforcement follow.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Lower-case name, as on the command line."""

    @property
    @abstractmethod
    def inputs(self) -> tuple[str, ...]:
        """The variables of the dataset that it reads: all that it tells a surrogate."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that it constrains, in the order of its state."""
        return ("u",)

    def rows(self, data: xr.Dataset) -> Rows | None:
        """Its linear equalities."""
        return None

    def bounds(self, data: xr.Dataset) -> Box | None:
        """Its bounds and fixed values."""
        return None

    def order(self, data: xr.Dataset) -> Order | None:
        """Its monotone chains."""
        return None

    def phases(self, data: xr.Dataset) -> Phases | None:
        """Its two phases."""
        return None

    def variation(self, data: xr.Dataset) -> Variation | None:
        """Its limit on total variation."""
        return None

    def curved(self, data: xr.Dataset) -> tuple[Curved, ...]:
        """Its nonlinear equalities."""
        return ()

    def balance(self, data: xr.Dataset) -> Balance | None:
        """Its balances between times."""
        return None

    def evolution(self, data: xr.Dataset) -> Evolution | None:
        """Its equation between times."""
        return None

    def on(self, data: xr.Dataset) -> Admissible:
        """The set of admissible states on this dataset; raises `ValueError` if the data lack what it needs."""
        evolution = self.evolution(data)
        return Admissible(
            Layout.of(data, self.fields),
            self.rows(data),
            self.bounds(data),
            self.order(data),
            self.phases(data),
            self.variation(data),
            self.curved(data),
            self.balance(data),
            () if evolution is None else (evolution,),
            np.tile(schema.weights(data).ravel(), len(self.fields)),
        )

    def residual(self, values: FloatArray, data: xr.Dataset) -> FloatArray:
        """By how much states (sample, t, n) miss it, (sample, t, label); see `Admissible.residual`."""
        return self.on(data).residual(values)

    def __and__(self, other: "Constraint") -> "Stack":
        return Stack((*_parts(self), *_parts(other)))


@final
@dataclass(frozen=True)
class Stack(Constraint):
    """Several constraints at once: their rows, one below the other, their boxes cut. It never chains enforcements."""

    parts: tuple[Constraint, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The parts' fields."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.fields))

    @property
    def name(self) -> str:
        """The parts' names, joined by `&`."""
        return "&".join(part.name for part in self.parts)

    @property
    def inputs(self) -> tuple[str, ...]:
        """All that the parts read."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.inputs))

    def on(self, data: xr.Dataset) -> Admissible:
        """The parts' sets, cut; raises `ValueError` where they contradict each other at a glance."""
        return reduce(_both, (widened(part.on(data), self.fields) for part in self.parts))


def _parts(constraint: Constraint) -> tuple[Constraint, ...]:
    return constraint.parts if isinstance(constraint, Stack) else (constraint,)


def widened(admissible: Admissible, fields: tuple[str, ...]) -> Admissible:
    """The same set over a state that holds more fields; raises `ValueError` if one of its own is missing."""
    small = admissible.layout
    if fields == small.fields:
        return admissible
    missing = [name for name in small.fields if name not in fields]
    if missing:
        raise ValueError(
            f"The constraint is on {', '.join(missing)}, the state holds {', '.join(fields)}; "
            "give a constraint of those fields."
        )
    wide = Layout(fields, small.axes, small.shape)

    def spread(values: FloatArray, filling: float) -> FloatArray:
        out = np.full((*values.shape[:-1], wide.size), filling)
        for i, name in enumerate(small.fields):
            out[..., wide.part(name)] = values[..., i * small.points : (i + 1) * small.points]
        return out

    def moved(starts: NDArray[np.int64]) -> NDArray[np.int64]:
        firsts = np.array([wide.part(name).start for name in small.fields], dtype=np.int64)
        return starts - (starts // small.points) * small.points + firsts[starts // small.points]

    def chained(chain: Order | Variation) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        starts = moved(chain.starts)
        return starts, starts + (chain.stops - chain.starts)

    rows, box, order, variation = (
        admissible.rows, admissible.box, admissible.order, admissible.variation,
    )  # fmt: skip
    for alone in (admissible.phases, admissible.balance):
        if alone is not None:
            raise ValueError(f"{alone.label} cannot be stacked with constraints of other fields.")
    return Admissible(
        wide,
        rows and Rows(spread(rows.weights, 0.0), rows.rhs, rows.tolerance, rows.labels),
        box and Box(spread(box.lower, -np.inf), spread(box.upper, np.inf), box.label),
        order and Order(*chained(order), order.signs, order.label),
        None,
        variation and Variation(*chained(variation), variation.most, variation.label),
        tuple(
            Curved(_of_part(part, wide, small), part.rhs, part.labels, part.at_most)
            for part in admissible.curved
        ),
        evolutions=tuple(_evolution_of_part(part, wide, small) for part in admissible.evolutions),
        measure=None
        if admissible.measure is None
        else np.tile(admissible.measure[: small.points], len(fields)),
    )


def _of_part(part: Curved, wide: Layout, small: Layout):  # type: ignore[no-untyped-def]
    places = [wide.part(name) for name in small.fields]
    return lambda u: part.function(torch.cat([u[..., place] for place in places], dim=-1))


def _evolution_of_part(part: Evolution, wide: Layout, small: Layout) -> Evolution:
    places = [wide.part(name) for name in small.fields]
    return Evolution(
        lambda u, series: part.function(torch.cat([u[..., place] for place in places], dim=-1), series),
        part.series,
        part.label,
    )


def _both(one: Admissible, other: Admissible) -> Admissible:
    if (one.phases and other.phases) or (one.variation and other.variation):
        raise ValueError("Two constraints on the phases, or on the total variation, cannot be stacked.")
    if one.balance and other.balance:
        raise ValueError(f"{one.balance.label} cannot be stacked with another balance; leave one out.")
    return Admissible(
        one.layout,
        _joined([part for part in (one.rows, other.rows) if part is not None]),
        _cut(one.box, other.box),
        _cut(one.order, other.order),
        one.phases or other.phases,
        one.variation or other.variation,
        (*one.curved, *other.curved),
        one.balance or other.balance,
        (*one.evolutions, *other.evolutions),
        one.measure if other.measure is None else other.measure,
    )


def _cut(one: _Part | None, other: _Part | None) -> _Part | None:
    if one is None or other is None:
        return one if other is None else other
    return and_(one, other)


def _joined(each: list[Rows]) -> Rows | None:
    if len(each) < 2:
        return each[0] if each else None
    return Rows(
        np.concatenate([rows.weights for rows in each]),
        np.concatenate([rows.rhs for rows in each], axis=-1),
        np.concatenate([rows.tolerance for rows in each], axis=-1),
        tuple(label for rows in each for label in rows.labels),
    )


def right_hand_side(data: xr.Dataset, law: str) -> FloatArray:
    """`law_<id>_rhs` as (sample, t); raises `ValueError` if the data lack it or do not know it everywhere."""
    name = schema.law_variable(law, "rhs")
    if name not in data:
        raise ValueError(
            f"The constraint `{law}` needs the variable `{name}`, which the dataset does not carry; generate the data "
            "with lawbound, or give the known integral as `mass` to `lawbound.from_arrays`."
        )
    return known_everywhere(data, name)


def known_everywhere(data: xr.Dataset, name: str) -> FloatArray:
    """A variable over (sample, t) in float64; raises `ValueError`, naming sample and time, if it is not finite."""
    values = np.asarray(data[name].transpose(schema.SAMPLE, schema.TIME, ...).values, dtype=np.float64)
    if not np.isfinite(values).all():
        sample, time = (int(i) for i in np.argwhere(~np.isfinite(values))[0][:2])
        raise ValueError(
            f"`{name}` is not finite for sample {int(data[schema.SAMPLE].values[sample])} at t={float(data[schema.TIME].values[time]):.4g}; "
            "the law is not known there (a front that has left, say). Leave these times out."
        )
    return values
