"""Move the front: deform x until the totals are right, instead of adding bumps where the prediction is unsure."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal, final

import numpy as np
import torch
from torch import Tensor

from lawbound.constraints.admissible import nearest_admissible
from lawbound.constraints.conditioning import Updated
from lawbound.constraints.constraint import Admissible
from lawbound.constraints.deformation import Displaced, refronted, shifted, stretched
from lawbound.constraints.retraction import SAMPLES
from lawbound.constraints.sampled import Sampled
from lawbound.constraints.target import Target
from lawbound.surrogates.covariance import Covariance, Shared, uniform

_POLISHES = 3
_OFF = 1e-14  # by which two phases may be missed and count as there
_ROUND_OFF = 4.0 * float(np.finfo(np.float64).eps)


class UnbracketedError(ValueError):
    """No displacement of a state meets a row; `index` is (draw, sample, t), `row` the row's number."""

    def __init__(self, index: tuple[int, ...], row: int, wanted: float, least: float, most: float) -> None:
        super().__init__(
            f"row {row} asks for {wanted:.6g} at (draw, sample, t) index {index}, and moving the profile there reaches "
            f"{least:.6g} to {most:.6g} only"
        )
        self.index, self.row = index, row
        self.wanted, self.least, self.most = wanted, least, most


@final
@dataclass(frozen=True)
class Displace:
    """Deform x, state by state, until the rows hold: mean and every sample get a displacement of their own.

    Each row must be a total of one field along x (positive weights on a stretch of the line, its own); `how` says by
    which map: `stretch` about a wall that stays, or `shift`. wall: which one stays, or `higher`, the one at which the
    mean is larger: where a front comes from. Bounds and monotone chains are honoured first, in the covariance's metric,
    and again at the end where they are not the same all along x.

    It is not a projection: the nearest state would have a bump where this has its front moved. otherwise: `raise`
    an `UnbracketedError` where no displacement meets a row, or take the `nearest` state there. Right-hand sides with
    a tolerance are drawn anew for each sample. In the report the multipliers are s − 1 or δ.

    With two phases the profile is kept from `upper` down to level + down_to (upper − level), a value that a smeared front
    has not spoilt yet, and the rest is made anew, see `refronted`. How far down is a guess: with down_to = (a, b) each
    sample has its own, uniform between a and b, and the mean the middle.

    mean: `moved` is the moved mean, which obeys; `expected` the average of `retraction.SAMPLES` moved samples, which
    meets the rows, bounds and orders too, and is nearer in mean square, but has a front as broad as it is uncertain.
    """

    how: Literal["stretch", "shift"] = "stretch"
    wall: Literal["higher", "lo", "hi"] = "higher"
    otherwise: Literal["raise", "nearest"] = "raise"
    down_to: float | tuple[float, float] = 0.5
    mean: Literal["moved", "expected"] = "moved"

    def __post_init__(self) -> None:
        for name, known in (
            ("how", ("stretch", "shift")),
            ("wall", ("higher", "lo", "hi")),
            ("otherwise", ("raise", "nearest")),
            ("mean", ("moved", "expected")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"`Displace` got {name}={getattr(self, name)!r}; give {' or '.join(known)}.")
        low, high = self.depths
        if not 0.0 <= low <= high <= 1.0:
            raise ValueError(
                f"`Displace` got down_to={self.down_to}; give a number from 0 to 1, or two in order."
            )

    @property
    def depths(self) -> tuple[float, float]:
        """The least and the greatest down_to."""
        return (self.down_to, self.down_to) if isinstance(self.down_to, int | float) else self.down_to

    @property
    def name(self) -> str:
        """`displace`."""
        return "displace"

    def __call__(self, means: Tensor, covariance: Covariance, admissible: Admissible) -> Updated:
        """See the class; raises `ValueError` for sets that a displacement cannot meet."""
        totals = totals_of(admissible)
        onto = Target.of(admissible, means.device)
        assert onto.rows is not None
        exact = torch.where(torch.isfinite(onto.rows.noise), 0.0, torch.inf)
        hard = replace(onto, rows=onto.rows._replace(noise=exact))
        pooled = means.mean(0)
        walls = [self._from_above(pooled[..., part]) for part in totals]
        mover = Mover(self, covariance.variance(), tuple(totals), tuple(walls))
        if admissible.phases is not None and not admissible.phases.mixed_cell:
            raise ValueError(
                "`displace` puts the front within a cell, whose value is then an average; say `mixed_cell=True` of the two "
                "phases, or use `condition`."
            )
        values, parameters = mover(means, hard, means.new_tensor(self.depths).mean().expand(means.shape[:-1]))
        after = Carried(covariance, means, values, mover, onto)
        if self.mean == "expected":
            values = values + after.offset
            after = replace(after, means=values)
        return Updated(values, after, parameters, parameters.new_zeros(means.shape[:-1]))

    def _from_above(self, pooled: Tensor) -> Tensor:
        """Whether the upper wall is the one that stays, (sample, t)."""
        if self.wall == "higher":
            return pooled[..., -1] > pooled[..., 0]
        return torch.full(pooled.shape[:-1], self.wall == "hi", device=pooled.device)


def totals_of(admissible: Admissible) -> list[slice]:
    """Where each row's weights lie; raises `ValueError` unless each is a total along a line of its own."""
    others = (admissible.variation, admissible.balance, *admissible.curved)
    named = [part.label if hasattr(part, "label") else ", ".join(part.labels) for part in others if part]
    if named or len(admissible.layout.axes) != 1:
        raise ValueError(
            f"`displace` moves profiles along x and cannot meet {' & '.join(named) or 'laws on a plane'}; use "
            "`condition` or `project`."
        )
    if admissible.rows is None:
        raise ValueError(
            "`displace` needs a law that says a total, such as `conservation`; stack one with `&`."
        )
    found: list[slice] = []
    for weights, label in zip(admissible.rows.weights, admissible.rows.labels, strict=True):
        places = np.flatnonzero(weights)
        part = slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)
        points = admissible.layout.points
        whole = len(places) and (weights[part] > 0.0).all() and part.start // points == places[-1] // points
        if not whole or any(part.start < other.stop and other.start < part.stop for other in found):
            raise ValueError(
                f"`displace` cannot meet the row {label}: it must be a total, with positive weights, over a stretch of "
                "x that no other row uses. Use `condition` or `project` for such rows."
            )
        found.append(part)
    return found


@final
@dataclass(frozen=True, eq=False)
class Mover:
    """The map of states: nearest within box and chains, then displaced. metric: (draw, sample, t, n)."""

    how: Displace
    metric: Tensor
    totals: tuple[slice, ...]
    from_above: tuple[Tensor, ...]

    def take(self, index: Tensor) -> "Mover":
        """For the given draws."""
        return replace(self, metric=self.metric[index])

    def __call__(self, states: Tensor, onto: Target, down_to: Tensor) -> tuple[Tensor, Tensor]:
        """States that obey, and the parameters of their displacements, (..., row). down_to: (...)."""
        rows, limits = onto.rows, onto.limits
        assert rows is not None
        shaped = limits.order is not None or limits.lower is not None
        free = replace(onto, rows=None, phases=None)
        values = nearest_admissible(states, self.metric, free).values if shaped else states
        if onto.phases is not None:
            return self._two_phases(values, onto, down_to)
        moves = {"stretch": stretched, "shift": shifted}
        parameters, lost = [], torch.zeros(states.shape[:-1], dtype=torch.bool, device=states.device)
        for row, (part, above) in enumerate(zip(self.totals, self.from_above, strict=True)):
            live = torch.isfinite(rows.noise[..., row]).expand(states.shape[:-1])
            total = rows.rhs[..., row].expand(states.shape[:-1])
            found = _along(
                moves[self.how.how], values[..., part], rows.weights[row, part], total, above, live
            )
            if self.how.otherwise == "raise" and not bool((found.met | ~live).all()):
                raise self._unbracketed(
                    found.met | ~live, row, values[..., part], rows.weights[row, part], total
                )
            lost = lost | (live & ~found.met)
            moved = torch.where(live[..., None], found.values, values[..., part])
            values = torch.cat([values[..., : part.start], moved, values[..., part.stop :]], dim=-1)
            parameters.append(torch.where(live & found.met, found.parameter, 0.0))
        if shaped or bool(lost.any()):
            # What is obeyed already stays; the rest is what a displacement could not do.
            even = torch.ones_like(states)
            metric = torch.where(lost[..., None], self.metric.expand(states.shape), even)
            values = nearest_admissible(values, metric, onto).values
        return values, torch.stack(parameters, dim=-1)

    def _two_phases(self, values: Tensor, onto: Target, down_to: Tensor) -> tuple[Tensor, Tensor]:
        rows, phases = onto.rows, onto.phases
        assert rows is not None and phases is not None
        total, live = (a[..., 0].expand(values.shape[:-1]) for a in (rows.rhs, torch.isfinite(rows.noise)))
        level, lower, upper = (
            torch.from_numpy(np.ascontiguousarray(a)).to(values.device).expand(values.shape[:-1])
            for a in (phases.level, phases.lower, phases.upper)
        )
        found = refronted(values, rows.weights[0], total, level, lower, upper, down_to)
        lawful = torch.from_numpy(phases.violation(values.detach().cpu().numpy())[..., 0] <= _OFF).to(
            values.device
        )
        live = live & ~(lawful & _right(values, rows.weights[0], total))
        lost = live & ~found.met
        if self.how.otherwise == "raise" and bool(lost.any()):
            raise self._unbracketed(~lost, 0, values, rows.weights[0], total)
        moved = torch.where(live[..., None], found.values, values)
        if bool(lost.any()):
            nearest = nearest_admissible(values, self.metric.expand(values.shape), onto).values
            moved = torch.where(lost[..., None], nearest, moved)
        return moved, torch.where(live, found.parameter, 0.0)[..., None]

    @staticmethod
    def _unbracketed(
        met: Tensor, row: int, values: Tensor, widths: Tensor, total: Tensor
    ) -> UnbracketedError:
        index = tuple(int(i) for i in torch.nonzero(~met)[0])
        ends = sorted(float(values[index][i] * widths.sum()) for i in (0, -1))
        return UnbracketedError(index, row, float(total[index]), *ends)


def _along(
    move: Callable[[Tensor, Tensor, Tensor], Displaced],
    values: Tensor,
    widths: Tensor,
    total: Tensor,
    from_above: Tensor,
    live: Tensor,
) -> Displaced:
    """A displacement from the wall that stays, with the last round-off of its total taken off."""
    turned = from_above[..., None]
    start = torch.where(turned, values.flip(-1), values)
    cells = torch.where(turned, widths.flip(-1), widths)
    found = move(start, cells, total)
    moved = torch.where(turned, found.values.flip(-1), found.values)
    polished = _polished(moved, widths, total, found.met & live)
    # A total that is right already, to round-off, moves nothing.
    right = _right(values, widths, total)
    return Displaced(
        torch.where(right[..., None], values, polished),
        torch.where(right, 0.0, found.parameter),
        found.met | right,
    )


def _right(values: Tensor, widths: Tensor, total: Tensor) -> Tensor:
    return (values @ widths - total).abs() <= _ROUND_OFF * (values.abs() @ widths + total.abs())


def _polished(values: Tensor, widths: Tensor, total: Tensor, wanted: Tensor) -> Tensor:
    """Blended with a constant, its own maximum or minimum, by a share that is round-off: no value leaves the range."""
    low, high = values.amin(-1, keepdim=True), values.amax(-1, keepdim=True)
    for _ in range(_POLISHES):
        gap = torch.where(wanted, total - values @ widths, 0.0)[..., None]
        goal = torch.where(gap > 0.0, high, low)
        room = ((goal - values) @ widths)[..., None]
        share = torch.where(room != 0.0, gap / torch.where(room != 0.0, room, 1.0), 0.0).clamp(0.0, 1.0)
        values = torch.minimum(torch.maximum(values + share * (goal - values), low), high)
    return values


@final
@dataclass(frozen=True, eq=False)
class Carried(Sampled):
    """The law of samples carried by a map, T(m + e) − T(m), e ~ N(0, Σ): not Gaussian, known by its samples.

    start: m, and means: T(m), or the expected T(m + e), (draw, sample, t, n). The variance is the mean square distance
    from it of `retraction.SAMPLES` carried samples, over all draws together.
    """

    what: ClassVar[str] = "that was displaced"

    base: Covariance
    start: Tensor
    means: Tensor
    mover: Mover
    onto: Target

    @property
    def couples_times(self) -> bool:
        """As the base."""
        return self.base.couples_times

    @property
    def shape(self) -> torch.Size:
        """(draw, sample, t, n)."""
        return self.base.shape

    def variance(self) -> Tensor:
        """Second moment about the means, the same at every call."""
        return self._moments[1]

    @property
    def offset(self) -> Tensor:
        """First moment about the means."""
        return self._moments[0]

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        rounds = -(-SAMPLES // len(self.means))
        generator = Shared().manual_seed(0)
        first, second = torch.zeros_like(self.means), torch.zeros_like(self.means)
        for _ in range(rounds):
            off = self.sample(generator)
            first, second = first + off, second + off.square()
        return first / rounds, second / rounds

    def sample(self, generator: torch.Generator) -> Tensor:
        """One carried sample for every batch entry, less the means."""
        states = self.start + self.base.sample(generator)
        onto = self.onto.perturbed(generator, states.shape)
        assert onto.rows is not None
        exact = torch.where(torch.isfinite(onto.rows.noise), 0.0, torch.inf)
        onto = replace(onto, rows=onto.rows._replace(noise=exact))
        low, high = self.mover.how.depths
        drawn = uniform(states.shape[:-1], states, generator)
        return self.mover(states, onto, low + (high - low) * drawn)[0] - self.means

    def take(self, index: Tensor) -> "Carried":
        """Entries of the first batch dimension."""
        return Carried(
            self.base.take(index), self.start[index], self.means[index], self.mover.take(index), self.onto
        )
