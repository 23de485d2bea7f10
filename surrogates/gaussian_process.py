"""Gaussian processes over (t, x): each function is regressed on its own context, or on all others by its parameters."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar, Protocol, final

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from lawbound.datasets import schema
from lawbound.surrogates.grid_process import GridProcess
from lawbound.surrogates.kernel_formula import parse
from lawbound.surrogates.lattice_process import Functions, LatticeProcess, Line
from lawbound.surrogates.marginal import DenseEvidence, Evidence, LatticeEvidence, Side, maximise
from lawbound.surrogates.parametric_process import ParametricProcess
from lawbound.surrogates.prediction import Prediction
from lawbound.surrogates.process_data import Context, Units, domain_axes, periods
from lawbound.surrogates.separable import SeparableKernel, gaps
from lawbound.surrogates.surrogate import Origin, Progress, Surrogate, first_state

# Kernels of which the validation functions choose one.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "auto": ("matern-1/2", "matern-3/2", "matern-5/2"),
    "any": ("matern-1/2", "matern-3/2", "matern-5/2", "rbf"),
}

# Up to so many context points of a function one Cholesky factor of all is no slower than two spectra.
_FEW = 256

# The most numbers in the Cholesky factors of all predicted functions: 4 GB.
_MOST_NUMBERS = 2**29


@final
@dataclass(frozen=True)
class GaussianProcess:
    """k = Σ_m s_m² Π_axis c_m(|a − a'|) + τ² δ, `kernel` a formula of correlations c, shared by all functions of a family.

    kernel: such as `rbf`, `matern-3/2 + periodic(x)` (`kernel_formula.parse`), or `auto` (`any`): the Matérn process of smoothness
    1/2, 3/2 or 5/2 (or the `rbf`) of the greatest likelihood on the validation functions. Scales, amplitudes and noise maximise the log
    marginal likelihood of `functions` training functions at their context points (Rasmussen and Williams 2006, eq. 5.8).
    context_times × context_positions stored points of each function are its context. parameters: one process over t, x and
    the parameters of the problem instead, which knows `functions` training functions on as many points, evenly spread, and
    predicts others without context. Raises `ValueError` for options out of range.
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

    def __post_init__(self) -> None:
        if self.kernel not in CHOICES:
            parse(self.kernel)
        for option in ("functions", "iterations", "context_times", "context_positions"):
            if (value := getattr(self, option)) < 1:
                raise ValueError(f"{option}={value}; it must be at least 1.")

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
        choices = CHOICES.get(self.kernel, (self.kernel,))
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
        each = FittedGaussianProcess.blank(origin, self.context, units, kernel)
        return each.fitted(train, self.functions, self.iterations)

    @property
    def context(self) -> Context:
        """Which points of each function are known."""
        return Context(self.context_seed, self.context_times, self.context_positions)

    def restore(self, tensors: Mapping[str, Tensor], origin: Origin) -> Surrogate:
        """From the tensors of a fitted process."""
        if self.parameters:
            return ParametricProcess.restored(tensors, origin)
        return FittedGaussianProcess.restored(tensors, origin, self.context)


class _Fitted(Surrogate, Protocol):
    """A fitted process, which says how well it does."""

    def surprise(self, data: xr.Dataset, functions: int) -> float: ...


@final
@dataclass(frozen=True, eq=False)
class FittedGaussianProcess:
    """A Gaussian process with its hyperparameters, regressed on the context of each function.

    logs: logarithms of the hyperparameters (`SeparableKernel`), lengths in units of the training domain.
    """

    origin: Origin
    context: Context
    units: Units
    kernel: SeparableKernel
    logs: Tensor

    @classmethod
    def blank(cls, origin: Origin, context: Context, units: Units, kernel: str) -> "FittedGaussianProcess":
        """With the hyperparameters where the search for them begins."""
        made = SeparableKernel.of(kernel, (schema.TIME, schema.X))
        return cls(origin, context, units, made, made.start(periods(origin)))

    @classmethod
    def restored(
        cls, tensors: Mapping[str, Tensor], origin: Origin, context: Context
    ) -> "FittedGaussianProcess":
        """From its tensors."""
        offset, scale = (float(value) for value in tensors["units"])
        kernel = SeparableKernel.of(bytes(tensors["kernel"].tolist()).decode(), (schema.TIME, schema.X))
        return cls(origin, context, Units(offset, scale), kernel, tensors["logs"])

    def tensors(self) -> dict[str, Tensor]:
        """The hyperparameters and the formula's letters; the training data are not needed for prediction."""
        letters = torch.tensor(list(self.kernel.formula.text.encode()), dtype=torch.uint8)
        return {"logs": self.logs, "units": torch.tensor(self.units, dtype=torch.float64), "kernel": letters}

    def fitted(
        self, train: xr.Dataset, functions: int, iterations: int
    ) -> "tuple[FittedGaussianProcess, float]":
        """With the hyperparameters of the greatest marginal likelihood, and the loss there."""
        logs, loss = maximise(self.evidence(train, functions), self.logs, iterations)
        return replace(self, logs=logs), loss

    def surprise(self, data: xr.Dataset, functions: int) -> float:
        """The negative log marginal likelihood of some functions of a dataset."""
        return float(self.evidence(data, functions).loss(self.logs))

    @property
    def on_lattices(self) -> bool:
        """Whether spectra of two axes take the place of one Cholesky factor."""
        return self.kernel.separable and self.context.times * self.context.positions > _FEW

    def evidence(self, data: xr.Dataset, functions: int) -> Evidence:
        """The context of the first functions, and how likely it is."""
        data = data.isel({schema.SAMPLE: slice(functions)})
        points = self.context.points(data)
        t, x = domain_axes(self.origin, data)
        values = self.units.scaled(points.values(data[self.origin.field].values), data, self.origin.field)
        if not self.on_lattices:
            where = torch.from_numpy(points.coordinates(t.numpy(), x.numpy()))
            return DenseEvidence(self.kernel, where, values)
        times, positions = _once(points.times), _once(points.positions)
        sides = (Side((schema.TIME,), t[times, None]), Side((schema.X,), x[positions, None]))
        return LatticeEvidence(self.kernel, sides, values.reshape(-1, times.shape[1], positions.shape[1]))

    def predict(self, inputs: xr.Dataset, *, times: NDArray[np.int64] | None = None) -> Prediction:
        """The posterior given each sample's context points, joint over (t, x)."""
        self.origin.refuse_others(inputs)
        chosen = np.arange(inputs.sizes[schema.TIME]) if times is None else np.asarray(times)
        field, points = self.origin.field, self.context.points(inputs)
        values = self.units.scale * self.units.scaled(points.values(inputs[field].values), inputs, field)
        t, x = domain_axes(self.origin, inputs)
        variance = self.units.scale**2
        numbers = self.kernel.numbers(self.logs)
        kernels = [
            (variance * float(amplitude) * factors[schema.TIME], factors[schema.X])
            for amplitude, factors in self.kernel.terms(numbers, {schema.TIME: gaps(t), schema.X: gaps(x)})
        ]
        noise = variance * float(self.kernel.noise(numbers))
        shown = torch.from_numpy(chosen)
        covariance: GridProcess | LatticeProcess
        if self.on_lattices:
            ((in_time, in_space),) = kernels
            covariance = LatticeProcess(
                Line(in_time, shown, _once(points.times)),
                Line(in_space, torch.arange(len(x)), _once(points.positions)),
                Functions.itself(len(values)),
                noise,
            )
            lattice = (points.times.shape[1], points.positions.shape[1])
            mean = covariance.mean(covariance.into(values.reshape(-1, *lattice)))
        else:
            if values.numel() * values.shape[1] > _MOST_NUMBERS:
                raise ValueError(
                    f"{len(values)} functions with {values.shape[1]} context points each need as many dense factors; predict at most "
                    f"{_MOST_NUMBERS // values.shape[1] ** 2} at a time, or give a kernel that is a product."
                )
            covariance = GridProcess(
                time_kernels=tuple(in_time for in_time, _ in kernels),
                position_kernels=tuple(in_space for _, in_space in kernels),
                noise=noise,
                context_times=torch.from_numpy(np.repeat(points.times, points.positions.shape[1], axis=1)),
                context_positions=torch.from_numpy(np.tile(points.positions, (1, points.times.shape[1]))),
                times=shown,
            )
            mean = covariance.mean(values)
        return Prediction(
            (self.units.offset + mean)[None], covariance, inputs.isel({schema.TIME: chosen}), (field,)
        )


def _once(indices: NDArray[np.int64]) -> Tensor:
    """Indices (sample, n), a single row of them if all are alike."""
    alike = bool((indices == indices[:1]).all())
    return torch.from_numpy(indices[:1] if alike else indices)
