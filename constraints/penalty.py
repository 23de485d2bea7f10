"""A constraint as a term in the loss (SoftC): by how much states miss it, squared, in units of their own size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from lawbound.constraints.constraint import Admissible, Constraint, widened
from lawbound.constraints.spec import spec_of, worded
from lawbound.datasets.layout import Layout
from lawbound.surrogates.surrogate import Given

#: The share of u_t that the training data themselves may miss of an equation.
_MOST = 0.5


@final
@dataclass(frozen=True, eq=False)
class Penalty:
    """weight · mean (residual / scale)² of predicted states; differentiable, and no more than a wish.

    The residuals are those of `Admissible.residual`: G u − b for rows, what is outside for bounds, steps in the
    wrong direction for monotone chains, the excess for total variation, h(u) − rhs for curved parts, and in each cell what an
    equation misses between two times. scale: what
    states as large as the training data's (root mean square) could make of each, (label,), so that one weight
    suits every law; of an equation the root mean square of the training data's u_t. Hansen et al., ICML 2023,
    arXiv:2302.11002, section 3 calls this SoftC, there with the equation's own residual.
    """

    admissible: Admissible
    scale: Tensor
    weight: float = 1.0

    @classmethod
    def of(
        cls, constraint: Constraint, data: xr.Dataset, *, weight: float = 1.0, fields: tuple[str, ...] = ()
    ) -> "Penalty":
        """The penalty on states of these fields (the constraint's own unless given) of this dataset's samples.

        Raises `ValueError` for a weight that is not positive and finite, for two phases, which have no slope to
        follow, and where the data lack what the constraint needs.
        """
        _require_weight(weight)
        state = fields or constraint.fields
        admissible = widened(constraint.on(data), state)
        if admissible.phases is not None:
            raise ValueError(
                f"`{constraint.name}` has two phases, which a penalty cannot pull towards; use `condition`."
            )
        if admissible.balance is not None:
            raise ValueError(
                f"`{constraint.name}` couples all times, which a penalty on single states cannot see; use `condition`."
            )
        return cls(admissible, _scale(admissible, Layout.of(data, state).state(data)), weight)

    @property
    def given(self) -> Given:
        """Right-hand sides, where rows apply, bounds and limits of every sample and time; rows and scales."""
        part, series, tables = self.admissible, list[np.ndarray](), [self.scale]
        if part.rows is not None:
            series += [np.where(part.rows.applies, part.rows.rhs, 0.0), part.rows.applies]
            tables.append(torch.as_tensor(part.rows.weights))
        if part.box is not None:
            series += [part.box.lower, part.box.upper]
        if part.variation is not None:
            series.append(part.variation.most[..., None])
        series += [curved.rhs for curved in part.curved]
        series += [one for evolution in part.evolutions for one in evolution.series]
        return Given(tuple(torch.from_numpy(np.array(values)) for values in series), tuple(tables))

    def evaluated(self, states: Tensor, series: Sequence[Tensor], tables: Sequence[Tensor]) -> Tensor:
        """The penalty of states (..., t, n), (...), given the parts of `given` that belong to them."""
        left, sizes = list(series), tables[0].to(states)
        residuals = _residuals(self.admissible, states, left, tables)
        evolutions = self.admissible.evolutions
        if not evolutions:
            return self.weight * (torch.cat(residuals, dim=-1) / sizes).square().mean((-2, -1))
        means = []
        if residuals:
            means.append((torch.cat(residuals, dim=-1) / sizes[: -len(evolutions)]).square().mean(-2))
        for evolution, size in zip(evolutions, sizes[-len(evolutions) :], strict=True):
            own = [left.pop(0) for _ in evolution.series]
            missed, _ = evolution.function(states, own)
            means.append((missed / size).square().mean((-2, -1))[..., None])
        return self.weight * torch.cat(means, dim=-1).mean(-1)

    def __call__(self, states: Tensor, samples: Tensor | None = None) -> Tensor:
        """The penalty of each sample, (sample,), for states (sample, t, n); samples: which of the dataset's they are."""
        index = slice(None) if samples is None else samples.cpu()
        series, tables = self.given
        return self.evaluated(
            states,
            [one[index].to(states.device) for one in series],
            [one.to(states.device) for one in tables],
        )


def _residuals(
    admissible: Admissible, u: Tensor, series: list[Tensor], tables: Sequence[Tensor]
) -> list[Tensor]:
    """The parts' residuals, each (..., t, ·); series and tables as `Penalty.given` orders them."""
    found = []
    if admissible.rows is not None:
        rhs, applies = series.pop(0), series.pop(0)
        found.append(torch.where(applies, u @ tables[1].to(u).mT - rhs.to(u), 0.0))
    if admissible.box is not None:
        below, above = series.pop(0).to(u) - u, u - series.pop(0).to(u)
        out = torch.maximum(below, above).clamp_min(0.0)
        found.append(out.square().mean(-1, keepdim=True).clamp_min(1e-30).sqrt())
    if admissible.order is not None:
        order = admissible.order
        wrong = [
            (-sign * u[..., i:j].diff(dim=-1)).clamp_min(0.0)
            for i, j, sign in zip(order.starts, order.stops, order.signs, strict=True)
        ]
        found.append(torch.cat(wrong, -1).sum(-1, keepdim=True))
    if admissible.variation is not None:
        part = admissible.variation
        total = sum(
            u[..., i:j].diff(dim=-1).abs().sum(-1, keepdim=True)
            for i, j in zip(part.starts, part.stops, strict=True)
        )
        found.append((total - series.pop(0).to(u)).clamp_min(0.0))
    for curved in admissible.curved:
        gap = curved.function(u) - series.pop(0).to(u)
        found.append(gap.clamp_min(0.0) if curved.at_most else gap)
    return found


def _scale(admissible: Admissible, states: np.ndarray) -> Tensor:
    """Typical size of each residual: rows of the data's size; the data's own size for the rest; (label,)."""
    size = float(np.sqrt((states**2).mean())) or 1.0
    sizes = []
    if admissible.rows is not None:
        through = np.abs(admissible.rows.weights).sum(-1) * size
        sizes += [float(value) or 1.0 for value in through]
    others = (admissible.box, admissible.order, admissible.variation)
    sizes += [size for part in others if part is not None]
    for curved in admissible.curved:
        sizes += [float(value) or 1.0 for value in np.sqrt((curved.rhs**2).mean((0, 1)))]
    sizes += [float(np.sqrt((part.both(states)[1] ** 2).mean())) or 1.0 for part in admissible.evolutions]
    return torch.tensor(sizes, dtype=torch.float64)


@final
@dataclass(frozen=True)
class Penalised:
    """A constraint as a term of a surrogate's loss, weight · mean (residual / scale)²; predictions need not obey.

    A weight of 1 counts a state that misses the law by as much as the data are large like an error of that size. There
    is no weight that suits every problem: choose it by the validation loss, in which the term does not count. "auto" has
    `lawbound.fit` do so (`lawbound.weights`); a learner's own `fit` needs a number.
    """

    constraint: Constraint
    weight: float | Literal["auto"] = 1.0

    def __post_init__(self) -> None:
        if self.weight != "auto":
            _require_weight(self.weight)

    @property
    def spec(self) -> str:
        """As on the command line."""
        return f"{spec_of(self.constraint)}:{worded('penalty', self)}"

    def on(self, data: xr.Dataset, fields: tuple[str, ...]) -> "PenaltyTerm":
        """The term on the training data; raises `ValueError` as `Penalty.of` does, and for nonlinear equalities."""
        if self.weight == "auto":
            raise ValueError(
                "weight=auto is chosen by `lawbound.fit` and `lawbound train`; give a number here."
            )
        penalty = Penalty.of(self.constraint, data, weight=self.weight, fields=fields)
        if penalty.admissible.curved:
            # Their functions hold numbers of all samples of the data, in order, and batches are some of them.
            raise ValueError(
                f"`{self.constraint.name}` is nonlinear, which `Penalty` can weigh on whole datasets but training cannot "
                "batch by batch; impose it on the predictions by `condition`."
            )
        for evolution in penalty.admissible.evolutions:
            share = evolution.share(Layout.of(data, fields).state(data))
            if share > _MOST:
                raise ValueError(
                    f"The training data themselves miss `{self.constraint.name}` ({evolution.label}) by {share:.0%} of their u_t, so "
                    "the term would pull away from them. Store more times, leave out those right after a jump (after=T), or take "
                    "form=integral."
                )
        return PenaltyTerm(penalty)


@final
class PenaltyTerm:
    """A penalty that is given what belongs to each state."""

    def __init__(self, penalty: Penalty) -> None:
        self._penalty = penalty
        self.given = penalty.given

    def __call__(self, states: Tensor, series: Sequence[Tensor], tables: Sequence[Tensor]) -> Tensor:
        """Of each state (..., t, n), (...)."""
        return self._penalty.evaluated(states, series, tables)


def _require_weight(weight: float) -> None:
    if not isinstance(weight, int | float) or not 0.0 < weight < np.inf:
        raise ValueError(f"A penalty got weight={weight}; give a finite number above 0, or auto in training.")
