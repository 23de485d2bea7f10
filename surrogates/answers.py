"""What the outputs of a network mean: a mean, a Gaussian at each point, several heads, several members."""

from dataclasses import dataclass, field
from typing import Literal, Protocol, final

from torch import Tensor, nn

from lawbound.surrogates import losses
from lawbound.surrogates.lawful import core

PointLoss = Literal["relative-l2", "mse"]
GaussianLoss = Literal["nll", "crps"]


@final
@dataclass(frozen=True)
class Units:
    """Of each field: its standard deviation, and the least root mean square that a relative error divides by."""

    scale: Tensor
    floor: Tensor
    axes: int


class Answer(Protocol):
    """How outputs (*lead, group · field, *grid) are judged and what distribution they stand for."""

    @property
    def groups(self) -> int:
        """Channels for each field."""
        ...

    def loss(
        self, out: Tensor, target: Tensor, units: Units, network: nn.Module, *, epoch: Tensor, count: Tensor
    ) -> Tensor:
        """What training minimises, for each sample, (*lead,)."""
        ...

    def score(self, out: Tensor, target: Tensor, units: Units) -> Tensor:
        """What validation chooses by, (*lead,)."""
        ...

    def moments(self, out: Tensor, axes: int) -> tuple[Tensor, Tensor | None]:
        """Mean and variance, (sample, field, *grid); None if the network says nothing of its errors."""
        ...


@dataclass(frozen=True)
class _Pointwise:
    """A value for each field, judged by itself."""

    kind: PointLoss = "relative-l2"
    groups: int = field(default=1, init=False)

    def loss(
        self, out: Tensor, target: Tensor, units: Units, network: nn.Module, *, epoch: Tensor, count: Tensor
    ) -> Tensor:
        """Relative L2 or mean square."""
        return self.score(out, target, units)

    def score(self, out: Tensor, target: Tensor, units: Units) -> Tensor:
        """The same."""
        return point_loss(self.kind, out, target, units)


@final
@dataclass(frozen=True)
class Mean(_Pointwise):
    """A value for each field."""

    def moments(self, out: Tensor, axes: int) -> tuple[Tensor, Tensor | None]:
        """The value."""
        return out, None


@final
@dataclass(frozen=True)
class Members(_Pointwise):
    """The first dimension counts networks that know nothing of each other; each has a value, and a loss, of its own."""

    def moments(self, out: Tensor, axes: int) -> tuple[Tensor, Tensor | None]:
        """Mean and unbiased variance over the members."""
        return out.double().mean(0), out.double().var(0)


@final
@dataclass(frozen=True)
class Gaussian:
    """A mean and a variance for each field."""

    kind: GaussianLoss = "nll"
    groups: int = field(default=2, init=False)

    def loss(
        self, out: Tensor, target: Tensor, units: Units, network: nn.Module, *, epoch: Tensor, count: Tensor
    ) -> Tensor:
        """Negative log-likelihood or CRPS."""
        return self.score(out, target, units)

    def score(self, out: Tensor, target: Tensor, units: Units) -> Tensor:
        """The same."""
        judge = losses.gaussian_nll if self.kind == "nll" else losses.gaussian_crps
        mean, variance = out.chunk(2, dim=-1 - units.axes)
        return judge(mean, variance, target, units.axes, units.scale)

    def moments(self, out: Tensor, axes: int) -> tuple[Tensor, Tensor | None]:
        """Both, as they are."""
        mean, variance = out.chunk(2, dim=-1 - axes)
        return mean, variance


@final
@dataclass(frozen=True)
class Heads:
    """Several values for each field, from last layers that are pushed apart (DiverseNO).

    Loss: the mean over heads of their losses less `diversity` times the mean over pairs of ‖w_i − w_j‖², w_i a head's
    weights, from the epoch after `warm_up` on; or the energy score of the heads as samples. Mean and unbiased
    variance over the heads are predicted.
    """

    groups: int
    kind: Literal["relative-l2", "mse", "energy"] = "relative-l2"
    diversity: float = 1.0
    warm_up: int = 10

    def loss(
        self, out: Tensor, target: Tensor, units: Units, network: nn.Module, *, epoch: Tensor, count: Tensor
    ) -> Tensor:
        """Losses less this sample's share of the diversity."""
        heads = self._heads(out, units.axes)
        if self.kind == "energy":
            values = losses.energy(heads, target, units.axes, units.scale)
        else:
            each = point_loss(self.kind, heads, target.unsqueeze(-2 - units.axes), units)
            values = each.mean(-1)
        if self.diversity > 0.0:
            pushed = self.diversity * (epoch > self.warm_up) / count
            values = values - pushed * mean_square_distance(last_weights(network, self.groups))
        return values

    def score(self, out: Tensor, target: Tensor, units: Units) -> Tensor:
        """The loss of the mean over heads; of their energy, all of it."""
        heads = self._heads(out, units.axes)
        if self.kind == "energy":
            return losses.energy(heads, target, units.axes, units.scale)
        return point_loss(self.kind, heads.mean(-2 - units.axes), target, units)

    def moments(self, out: Tensor, axes: int) -> tuple[Tensor, Tensor | None]:
        """Mean and unbiased variance over the heads."""
        heads = self._heads(out.double(), axes)
        return heads.mean(-2 - axes), heads.var(-2 - axes)

    def _heads(self, out: Tensor, axes: int) -> Tensor:
        """(*lead, head, field, *grid)."""
        at = out.ndim - 1 - axes
        return out.reshape(*out.shape[:at], self.groups, -1, *out.shape[at + 1 :])


def point_loss(kind: str, out: Tensor, target: Tensor, units: Units) -> Tensor:
    """Relative L2 or mean square."""
    if kind == "mse":
        return losses.mean_square(out, target, units.axes, units.scale)
    return losses.relative_l2(out, target, units.axes, units.floor)


def last_weights(network: nn.Module, heads: int) -> Tensor:
    """Weights of the last linear layer, (head, field · hidden)."""
    weights: Tensor = core(network).network.last.weight  # type: ignore[union-attr, assignment]
    return weights.reshape(heads, -1)


def mean_square_distance(points: Tensor) -> Tensor:
    """Mean over all pairs i ≠ j of ‖w_i − w_j‖², from the distances to the centre: no pair is looked at."""
    spread = (points - points.mean(0)).square().sum()
    return 2.0 * spread / (len(points) - 1)
