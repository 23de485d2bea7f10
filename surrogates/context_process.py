"""A Gaussian process over (t, x): each function is regressed on its own context points."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, final

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from lawbound.datasets import schema
from lawbound.datasets.points import Points
from lawbound.surrogates.grid_process import GridProcess
from lawbound.surrogates.lattice_process import Functions, LatticeProcess, Line
from lawbound.surrogates.marginal import DenseEvidence, Evidence, LatticeEvidence, Side, maximise
from lawbound.surrogates.origin import Origin
from lawbound.surrogates.prediction import Prediction
from lawbound.surrogates.process_data import Context, Units, domain_axes, periods
from lawbound.surrogates.separable import RIDGE, SeparableKernel, gaps
from lawbound.surrogates.sparse_process import Sparse, SparseEvidence, inducing_lattice

# Up to so many context points of a function one Cholesky factor of all is no slower than two spectra.
_FEW = 256

# The most numbers in the Cholesky factors of all predicted functions: 4 GB.
_MOST_NUMBERS = 2**29


class _Known(NamedTuple):
    """Context points, their values, (sample, c), and the process's kernels on the grid, all in units of the field."""

    points: Points
    values: Tensor
    kernels: list[tuple[Tensor, Tensor]]
    noise: float
    times: Tensor

    @property
    def lattice(self) -> tuple[int, int]:
        """How many times and positions there are."""
        return self.points.times.shape[1], self.points.positions.shape[1]

    @property
    def indices(self) -> tuple[Tensor, Tensor]:
        """Of times and of positions, (sample, c)."""
        times, positions = self.lattice
        return (
            torch.from_numpy(np.repeat(self.points.times, positions, axis=1)),
            torch.from_numpy(np.tile(self.points.positions, (1, times))),
        )


@final
@dataclass(frozen=True, eq=False)
class ContextProcess:
    """A Gaussian process with its hyperparameters, shared by all functions.

    logs: logarithms of the hyperparameters (`SeparableKernel`), lengths in units of the training domain. inducing: about how
    many points stand for the context, if not itself.
    """

    origin: Origin
    context: Context
    units: Units
    kernel: SeparableKernel
    logs: Tensor
    inducing: int | None = None

    @classmethod
    def blank(
        cls, origin: Origin, context: Context, units: Units, kernel: str, inducing: int | None = None
    ) -> "ContextProcess":
        """With the hyperparameters where the search for them begins."""
        made = SeparableKernel.of(kernel, (schema.TIME, schema.X))
        return cls(origin, context, units, made, made.start(periods(origin)), inducing)

    @classmethod
    def restored(
        cls, tensors: Mapping[str, Tensor], origin: Origin, context: Context, inducing: int | None = None
    ) -> "ContextProcess":
        """From its tensors."""
        offset, scale = (float(value) for value in tensors["units"])
        kernel = SeparableKernel.of(bytes(tensors["kernel"].tolist()).decode(), (schema.TIME, schema.X))
        return cls(origin, context, Units(offset, scale), kernel, tensors["logs"], inducing)

    def tensors(self) -> dict[str, Tensor]:
        """The hyperparameters and the formula's letters; the training data are not needed for prediction."""
        letters = torch.tensor(list(self.kernel.formula.text.encode()), dtype=torch.uint8)
        return {"logs": self.logs, "units": torch.tensor(self.units, dtype=torch.float64), "kernel": letters}

    def fitted(self, train: xr.Dataset, functions: int, iterations: int) -> "tuple[ContextProcess, float]":
        """With the hyperparameters of the greatest marginal likelihood, and the loss there."""
        logs, loss = maximise(self.evidence(train, functions), self.logs, iterations)
        return replace(self, logs=logs), loss

    def surprise(self, data: xr.Dataset, functions: int) -> float:
        """The negative log marginal likelihood of some functions of a dataset."""
        return float(self.evidence(data, functions).loss(self.logs))

    @property
    def on_lattices(self) -> bool:
        """Whether spectra of two axes take the place of one Cholesky factor."""
        many = self.context.times * self.context.positions > _FEW
        return self.inducing is None and self.kernel.separable and many

    def evidence(self, data: xr.Dataset, functions: int) -> Evidence:
        """The context of the first functions, and how likely it is."""
        data = data.isel({schema.SAMPLE: slice(functions)})
        points = self.context.points(data)
        t, x = domain_axes(self.origin, data)
        values = self.units.scaled(points.values(data[self.origin.field].values), data, self.origin.field)
        if self.on_lattices:
            times, positions = _once(points.times), _once(points.positions)
            sides = (Side((schema.TIME,), t[times, None]), Side((schema.X,), x[positions, None]))
            return LatticeEvidence(self.kernel, sides, values.reshape(-1, times.shape[1], positions.shape[1]))
        where = torch.from_numpy(points.coordinates(t.numpy(), x.numpy()))
        if self.inducing is None:
            return DenseEvidence(self.kernel, where, values)
        times, positions = inducing_lattice(self.inducing, len(t), len(x))
        return SparseEvidence(self.kernel, torch.stack((t[times], x[positions]), dim=-1), where, values)

    def predict(self, inputs: xr.Dataset, *, times: NDArray[np.int64] | None = None) -> Prediction:
        """The posterior given each sample's context points, joint over (t, x)."""
        self.origin.refuse_others(inputs)
        chosen = np.arange(inputs.sizes[schema.TIME]) if times is None else np.asarray(times)
        mean, covariance = self._posterior(self._known(inputs, torch.from_numpy(chosen)))
        return Prediction(
            (self.units.offset + mean)[None],
            covariance,
            inputs.isel({schema.TIME: chosen}),
            (self.origin.field,),
        )

    def _posterior(self, known: _Known) -> tuple[Tensor, GridProcess | LatticeProcess]:
        if self.on_lattices:
            return _on_lattices(known)
        return _on_points(known) if self.inducing is None else self._through_few(known, self.inducing)

    def _known(self, inputs: xr.Dataset, times: Tensor) -> _Known:
        field, points = self.origin.field, self.context.points(inputs)
        values = self.units.scale * self.units.scaled(points.values(inputs[field].values), inputs, field)
        t, x = domain_axes(self.origin, inputs)
        numbers, variance = self.kernel.numbers(self.logs), self.units.scale**2
        kernels = [
            (variance * float(amplitude) * factors[schema.TIME], factors[schema.X])
            for amplitude, factors in self.kernel.terms(numbers, {schema.TIME: gaps(t), schema.X: gaps(x)})
        ]
        return _Known(points, values, kernels, variance * float(self.kernel.noise(numbers)), times)

    def _through_few(self, known: _Known, count: int) -> tuple[Tensor, GridProcess]:
        """Given what the context says of the inducing points."""
        grid = (len(known.kernels[0][0]), len(known.kernels[0][1]))
        z, y = inducing_lattice(count, *grid)
        _enough_memory(known, len(z))
        times, positions = known.indices
        among, across = torch.zeros(len(z), len(z), dtype=torch.float64), torch.zeros(())
        for in_time, in_space in known.kernels:
            among += in_time[z][:, z] * in_space[y][:, y]
            across = across + in_time[z][:, times].movedim(1, 0) * in_space[y][:, positions].movedim(1, 0)
        floor = RIDGE * float(among[0, 0])
        observed = Sparse.of(among, across, known.noise, floor)
        samples = len(known.values)
        covariance = _grid(known, z.expand(samples, -1), y.expand(samples, -1), observed)
        return covariance.spread(observed.coefficients(across, known.values, known.noise)), covariance


def _on_lattices(known: _Known) -> tuple[Tensor, LatticeProcess]:
    """Mean and covariance by spectra of the axes."""
    ((in_time, in_space),) = known.kernels
    covariance = LatticeProcess(
        Line(in_time, known.times, _once(known.points.times)),
        Line(in_space, torch.arange(len(in_space)), _once(known.points.positions)),
        Functions.itself(len(known.values)),
        known.noise,
    )
    return covariance.mean(covariance.into(known.values.reshape(-1, *known.lattice))), covariance


def _on_points(known: _Known) -> tuple[Tensor, GridProcess]:
    """Mean and covariance by one Cholesky factor of each function."""
    _enough_memory(known, known.values.shape[1])
    covariance = _grid(known, *known.indices)
    return covariance.mean(known.values), covariance


def _enough_memory(known: _Known, ranks: int) -> None:
    """Raise `ValueError` for more functions at once than matrices of (ranks, c) fit."""
    samples, points = known.values.shape
    if samples * points * ranks > _MOST_NUMBERS:
        raise ValueError(
            f"{samples} functions with {points} context points need matrices of {ranks} × {points} each; predict at most "
            f"{_MOST_NUMBERS // (points * ranks)} at a time, or give a kernel that is a product."
        )


def _grid(known: _Known, times: Tensor, positions: Tensor, observed: Sparse | None = None) -> GridProcess:
    return GridProcess(
        time_kernels=tuple(in_time for in_time, _ in known.kernels),
        position_kernels=tuple(in_space for _, in_space in known.kernels),
        noise=known.noise,
        context_times=times,
        context_positions=positions,
        times=known.times,
        observed=observed,
    )


def _once(indices: NDArray[np.int64]) -> Tensor:
    """Indices (sample, n), a single row of them if all are alike."""
    alike = bool((indices == indices[:1]).all())
    return torch.from_numpy(indices[:1] if alike else indices)
