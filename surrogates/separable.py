"""Kernels over several axes: sums of products of correlations along one axis, with their hyperparameters."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add, mul
from typing import NamedTuple, final

import torch
from torch import Tensor

from lawbound.surrogates.kernel_formula import Formula, parse
from lawbound.surrogates.kernels import CORRELATIONS

# Noise variance that is always there, as a share of the amplitudes' squares: it keeps factorisations possible for
# functions without any.
RIDGE = 1e-8

_START = {
    "t": 0.5,
    "x": 0.3,
}  # lengths in units of the training domain, where the search begins; 1 for parameters


class Scale(NamedTuple):
    """A parameter of a leaf along an axis, at a place in the vector of logarithms."""

    leaf: int
    axis: str
    name: str


@final
@dataclass(frozen=True)
class SeparableKernel:
    """k(a, b) = Σ_m s_m² Π_axis c_m,axis(|a − b|) + τ² δ, each axis with lengths of its own (ARD).

    `logs` holds logarithms: those of every leaf along its axes, then amplitudes s_m, one a term, then the noise τ. Raises
    `ValueError` for a formula that names an axis which is not there.
    """

    formula: Formula
    axes: tuple[str, ...]

    @classmethod
    def of(cls, text: str, axes: tuple[str, ...]) -> "SeparableKernel":
        """The kernel that a formula describes over these axes."""
        return cls(parse(text), axes)

    def __post_init__(self) -> None:
        named = {axis for leaf in self.formula.leaves for axis in leaf.axes}
        if unknown := sorted(named - set(self.axes)):
            raise ValueError(
                f"kernel={self.formula.text!r} is over {', '.join(unknown)}, the process over {', '.join(self.axes)}; name "
                "those axes, and parameters of the data with parameters=true only."
            )

    @cached_property
    def scales(self) -> tuple[Scale, ...]:
        """What the first of the logarithms are."""
        return tuple(self._scales())

    def _scales(self) -> Iterator[Scale]:
        for number, leaf in enumerate(self.formula.leaves):
            for axis in leaf.axes or self.axes:
                for name in CORRELATIONS[leaf.name].parameters:
                    yield Scale(number, axis, name)

    @property
    def separable(self) -> bool:
        """Whether it is one product, so that matrices on lattices are Kronecker products."""
        return len(self.formula.terms) == 1

    def start(self, periods: Mapping[str, float]) -> Tensor:
        """Where a search begins; later leaves start shorter, since equal ones would never part. periods: of axes."""
        values = []
        for leaf, axis, name in self.scales:
            length = 1.0 if self.formula.leaves[leaf].name == "periodic" else _START.get(axis, 1.0)
            values.append(periods.get(axis, 1.0) if name == "period" else length / 3.0**leaf)
        terms = len(self.formula.terms)
        values += [terms**-0.5] * terms + [0.1]
        return torch.log(torch.tensor(values, dtype=torch.float64))

    def numbers(self, logs: Tensor) -> tuple[Tensor, ...]:
        """The hyperparameters themselves."""
        return logs.exp().unbind()

    def amplitudes(self, numbers: Sequence[Tensor]) -> list[Tensor]:
        """s_m² of every term."""
        return [amplitude**2 for amplitude in numbers[len(self.scales) : -1]]

    def noise(self, numbers: Sequence[Tensor]) -> Tensor:
        """τ² with a floor under it."""
        return numbers[-1] ** 2 + RIDGE * sum(self.amplitudes(numbers))

    def correlation(self, numbers: Sequence[Tensor], term: int, axis: str, gap: Tensor) -> Tensor:
        """c_m,axis of distances along one axis: 1 where the term says nothing of it."""
        total: Tensor | None = None
        for leaf in self.formula.terms[term]:
            at = [i for i, scale in enumerate(self.scales) if scale[:2] == (leaf, axis)]
            if not at:
                continue
            correlation = CORRELATIONS[self.formula.leaves[leaf].name]
            part = correlation.value(gap, *(numbers[i] for i in at))
            total = part if total is None else total * part
        return torch.ones_like(gap) if total is None else total

    def terms(
        self, numbers: Sequence[Tensor], gaps: Mapping[str, Tensor]
    ) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """Of each term s_m² and the correlations along its axes."""
        for term, amplitude in enumerate(self.amplitudes(numbers)):
            yield amplitude, {axis: self.correlation(numbers, term, axis, gap) for axis, gap in gaps.items()}

    def matrix(self, logs: Tensor, where: Tensor) -> Tensor:
        """Covariance of the values at points (..., c, axis), noise included, (..., c, c)."""
        numbers = self.numbers(logs)
        ridge = self.noise(numbers) * torch.eye(where.shape[-2], dtype=where.dtype)
        return self.between(numbers, where, where) + ridge

    def between(self, numbers: Sequence[Tensor], left: Tensor, right: Tensor) -> Tensor:
        """Covariance of the values at points (..., n, axis) and (..., m, axis), without noise, (..., n, m)."""
        gap = (left.unsqueeze(-2) - right.unsqueeze(-3)).abs()
        along = {axis: gap[..., i] for i, axis in enumerate(self.axes)}
        return reduce(
            add, (amplitude * reduce(mul, parts.values()) for amplitude, parts in self.terms(numbers, along))
        )

    def described(self, logs: Tensor) -> dict[str, float]:
        """The hyperparameters by name."""
        names = [
            f"{name} of {self.formula.leaves[leaf].name} over {axis} ({leaf})"
            for leaf, axis, name in self.scales
        ]
        names += [f"amplitude of term {i}" for i in range(len(self.formula.terms))] + ["noise"]
        return dict(zip(names, logs.exp().tolist(), strict=True))


def gaps(axis: Tensor) -> Tensor:
    """Distances between all points of an axis."""
    return (axis[..., :, None] - axis[..., None, :]).abs()
