"""Gaussian processes over (t, x): each function is regressed on its own context, or on all others by its parameters."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar, Protocol, final

import xarray as xr
from torch import Tensor

from lawbound.surrogates.context_process import ContextProcess
from lawbound.surrogates.kernel_formula import parse
from lawbound.surrogates.marginal import MOST_DENSE
from lawbound.surrogates.parametric_process import ParametricProcess
from lawbound.surrogates.process_data import Context, Units
from lawbound.surrogates.surrogate import Origin, Progress, Surrogate, first_state

# Kernels of which the validation functions choose one.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "auto": ("matern-1/2", "matern-3/2", "matern-5/2"),
    "any": ("matern-1/2", "matern-3/2", "matern-5/2", "rbf", "rbf + matern-3/2"),
}


@final
@dataclass(frozen=True)
class GaussianProcess:
    """k = Σ_m s_m² Π_axis c_m(|a − a'|) + τ² δ, `kernel` a formula of correlations c, shared by all functions of a family.

    kernel: such as `rbf`, `matern-3/2 + periodic(x)` (`kernel_formula.parse`), or `auto` (`any`): the Matérn process of smoothness
    1/2, 3/2 or 5/2 (or `rbf`, or `rbf + matern-3/2`) of the greatest likelihood on the validation functions. Scales, amplitudes and noise maximise the log
    marginal likelihood of `functions` training functions at their context points (Rasmussen and Williams 2006, eq. 5.8).
    context_times × context_positions stored points of each function are its context. parameters: one process over t, x and
    the parameters of the problem instead, which knows `functions` training functions on as many points, evenly spread, and
    predicts others without context. inducing: about how many evenly spread points stand for the context of each function
    (`sparse_process`, extra `gp`), where it is large and the kernel a sum. Raises `ValueError` for options out of range.
    """

    name: ClassVar[str] = "gp"
    summary: ClassVar[str] = (
        "exact Gaussian process over (t, x) on context points, kernels by formula, joint covariance"
    )

    kernel: str = "auto"
    functions: int = 32
    iterations: int = 60
    context_seed: int = 0
    context_times: int = 10
    context_positions: int = 10
    parameters: bool = False
    inducing: int | None = None

    def __post_init__(self) -> None:
        if self.kernel not in CHOICES:
            parse(self.kernel)
        for option in ("functions", "iterations", "context_times", "context_positions"):
            if (value := getattr(self, option)) < 1:
                raise ValueError(f"{option}={value}; it must be at least 1.")
        if self.inducing is not None and (self.inducing < 1 or self.parameters):
            raise ValueError(
                f"inducing={self.inducing} with parameters={str(self.parameters).lower()}; give at least 1 point, and no parameters, where "
                "the process is exact anyway."
            )

    def options(self) -> Mapping[str, Any]:
        """The hyperparameters as JSON values."""
        return asdict(self)

    def fit(
        self,
        train: xr.Dataset,
        valid: xr.Dataset,
        *,
        seed: int = 0,
        device: str = "cpu",
        folder: Path | None = None,
        resume: bool = False,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Surrogate:
        """Maximise the marginal likelihood; deterministic, in seconds, so there is nothing to resume."""
        if device != "cpu":
            raise ValueError(f"device={device!r}; the exact Gaussian process runs on the cpu in float64.")
        origin = Origin.of(train, first_state(train))
        units = Units.of(train, origin.field)
        best: tuple[float, _Fitted] | None = None
        choices = self.choices
        for number, text in enumerate(choices, start=1):
            began = perf_counter()
            fitted, on_train = self._fitted(train, origin, units, text)
            on_valid = fitted.surprise(valid, self.functions)
            on_progress(Progress(number, len(choices), on_train, on_valid, perf_counter() - began))
            if best is None or on_valid < best[0]:
                best = (on_valid, fitted)
        assert best is not None
        return best[1]

    def _fitted(
        self, train: xr.Dataset, origin: Origin, units: Units, kernel: str
    ) -> "tuple[_Fitted, float]":
        if self.parameters:
            size = (self.context_times, self.context_positions)
            over_all = ParametricProcess.blank(train, origin, units, kernel, self.functions, size)
            return over_all.fitted(self.iterations)
        each = ContextProcess.blank(origin, self.context, units, kernel, self.inducing)
        return each.fitted(train, self.functions, self.iterations)

    @property
    def choices(self) -> tuple[str, ...]:
        """The kernels to choose among; sums only where they are possible, or asked for by name."""
        named = CHOICES.get(self.kernel, (self.kernel,))
        few = self.inducing is not None or self.context_times * self.context_positions <= MOST_DENSE
        if len(named) == 1 or (few and not self.parameters):
            return named
        return tuple(text for text in named if len(parse(text).terms) == 1)

    @property
    def context(self) -> Context:
        """Which points of each function are known."""
        return Context(self.context_seed, self.context_times, self.context_positions)

    def restore(self, tensors: Mapping[str, Tensor], origin: Origin) -> Surrogate:
        """From the tensors of a fitted process."""
        if self.parameters:
            return ParametricProcess.restored(tensors, origin)
        return ContextProcess.restored(tensors, origin, self.context, self.inducing)


class _Fitted(Surrogate, Protocol):
    """A fitted process, which says how well it does."""

    def surprise(self, data: xr.Dataset, functions: int) -> float: ...
