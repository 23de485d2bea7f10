"""A Gaussian process over (t, x, parameters): new functions are predicted from those of the training data, without context."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from lawbound.datasets import schema
from lawbound.surrogates.lattice_process import Functions, LatticeProcess, Line
from lawbound.surrogates.marginal import LatticeEvidence, Side, maximise
from lawbound.surrogates.origin import Origin
from lawbound.surrogates.prediction import Prediction
from lawbound.surrogates.process_data import Units, domain_axes, periods
from lawbound.surrogates.separable import SeparableKernel, gaps
from lawbound.surrogates.tensors import coordinate_tensor


@final
@dataclass(frozen=True, eq=False)
class ParametricProcess:
    """A product kernel's process, exact on training functions that are known on one lattice.

    logs: logarithms of the hyperparameters. ranges: least and greatest of each parameter, (2, parameter). functions:
    parameters of the training functions from 0 to 1, (p, parameter). times, positions: the lattice, in units of the domain.
    values: of order one, (p, times, positions).
    """

    origin: Origin
    units: Units
    kernel: SeparableKernel
    logs: Tensor
    ranges: Tensor
    functions: Tensor
    times: Tensor
    positions: Tensor
    values: Tensor

    @classmethod
    def blank(
        cls,
        train: xr.Dataset,
        origin: Origin,
        units: Units,
        kernel: str,
        functions: int,
        size: tuple[int, int],
    ) -> "ParametricProcess":
        """With the first functions of the training data on evenly spread stored points, and nothing fitted yet."""
        if schema.axes(train) != (schema.X,):
            raise ValueError(
                f"The dataset has the axes {', '.join(schema.axes(train))}; the process is over (t, x) and parameters, so give data on an "
                "interval."
            )
        names = parameters_of(train)
        origin = replace(origin, inputs=names)
        made = SeparableKernel.of(kernel, (schema.TIME, schema.X, *names))
        if not made.separable:
            raise ValueError(
                f"kernel={kernel!r} is a sum; over parameters a process is exact for products only. Give one, such as "
                "`rbf * matern-1/2`, or leave parameters out."
            )
        train = train.isel({schema.SAMPLE: slice(functions)})
        parameters = _parameters(train, names)
        ranges = torch.stack((parameters.amin(0), parameters.amax(0)))
        stored = train[origin.field].transpose(schema.SAMPLE, schema.TIME, schema.X)
        at = [_spread(length, count) for length, count in zip(stored.shape[1:], size, strict=True)]
        values = stored.values[:, at[0]][:, :, at[1]].astype(np.float64)
        t, x = domain_axes(origin, train)
        return cls(
            origin, units, made, made.start(periods(origin)), ranges, _between(parameters, ranges),
            t[torch.from_numpy(at[0])], x[torch.from_numpy(at[1])], units.scaled(values, train, origin.field),
        )  # fmt: skip

    @classmethod
    def restored(cls, tensors: Mapping[str, Tensor], origin: Origin) -> "ParametricProcess":
        """From its tensors."""
        kernel = SeparableKernel.of(
            bytes(tensors["kernel"].tolist()).decode(), (schema.TIME, schema.X, *origin.inputs)
        )
        offset, scale = (float(value) for value in tensors["units"])
        kept = ("logs", "ranges", "functions", "times", "positions", "values")
        return cls(origin, Units(offset, scale), kernel, **{name: tensors[name] for name in kept})

    def tensors(self) -> dict[str, Tensor]:
        """The hyperparameters, and the training functions, which prediction needs."""
        return {
            "logs": self.logs,
            "units": torch.tensor(self.units, dtype=torch.float64),
            "kernel": torch.tensor(list(self.kernel.formula.text.encode()), dtype=torch.uint8),
            "ranges": self.ranges,
            "functions": self.functions,
            "times": self.times,
            "positions": self.positions,
            "values": self.values,
        }

    @property
    def _among(self) -> Side:
        """The side of the lattice that functions are."""
        return Side(self.origin.inputs, self.functions[None])

    @property
    def evidence(self) -> LatticeEvidence:
        """All training functions as one draw of the process."""
        t, x = (
            Side((schema.TIME,), self.times[None, :, None]),
            Side((schema.X,), self.positions[None, :, None]),
        )
        return LatticeEvidence(self.kernel, (self._among, t, x), self.values[None])

    def fitted(self, iterations: int) -> "tuple[ParametricProcess, float]":
        """With the hyperparameters of the greatest marginal likelihood, and the loss there."""
        logs, loss = maximise(self.evidence, self.logs, iterations)
        return replace(self, logs=logs), loss

    def surprise(self, data: xr.Dataset, functions: int) -> float:
        """Minus the mean log density that some functions have, point by point, as predicted; values of order one."""
        data = data.isel({schema.SAMPLE: slice(functions)})
        truth = torch.from_numpy(data[self.origin.field].values.astype(np.float64))
        density = self.predict(data).log_density(truth, floor=0.0)
        return -float(density.mean()) - float(np.log(self.units.scale))

    @cached_property
    def _spectrum(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues and eigenvectors of the correlation of the training functions; round-off below 0 counts as 0."""
        values, vectors = torch.linalg.eigh(
            self._among.correlation(self.kernel, self.kernel.numbers(self.logs))[0]
        )
        return values.clamp_min(0.0), vectors

    def predict(self, inputs: xr.Dataset, *, times: NDArray[np.int64] | None = None) -> Prediction:
        """The posterior of each sample given its parameters, joint over (t, x); nothing of its field is read."""
        self.origin.refuse_others(inputs)
        chosen = np.arange(inputs.sizes[schema.TIME]) if times is None else np.asarray(times)
        numbers, variance = self.kernel.numbers(self.logs), self.units.scale**2
        (amplitude,) = self.kernel.amplitudes(numbers)
        t, x = domain_axes(self.origin, inputs)
        in_time, in_space = (
            torch.cat((t[torch.from_numpy(chosen)], self.times)),
            torch.cat((x, self.positions)),
        )
        among, vectors = self._spectrum
        covariance = LatticeProcess(
            Line(
                variance * amplitude * self.kernel.correlation(numbers, 0, schema.TIME, gaps(in_time)),
                *_first(len(chosen), len(in_time)),
            ),
            Line(
                self.kernel.correlation(numbers, 0, schema.X, gaps(in_space)), *_first(len(x), len(in_space))
            ),
            Functions(among, self._likeness(inputs) @ vectors),
            variance * float(self.kernel.noise(numbers)),
        )
        mixed = torch.einsum("pr,pij->rij", vectors, self.units.scale * self.values)
        mean = self.units.offset + covariance.mean(covariance.into(mixed))
        return Prediction(mean[None], covariance, inputs.isel({schema.TIME: chosen}), (self.origin.field,))

    def _likeness(self, inputs: xr.Dataset) -> Tensor:
        """Correlation of each sample with each training function, (sample, p)."""
        here = _between(_parameters(inputs, self.origin.inputs), self.ranges)
        both = Side(self.origin.inputs, torch.cat((here, self.functions))[None])
        whole = both.correlation(self.kernel, self.kernel.numbers(self.logs))[0]
        return whole[: len(here), len(here) :]


def parameters_of(data: xr.Dataset) -> tuple[str, ...]:
    """Names of the parameters that vary in the data; raises `ValueError` if none does."""
    names = [str(name) for name in schema.by_role(data, schema.PARAMETER)]
    varying = tuple(name for name in names if np.ptp(data[name].values) > 0.0)
    if not varying:
        raise ValueError(
            f"Of the parameters {', '.join(names) or '(none)'} none varies in the training data, so that nothing would tell functions "
            "apart; leave parameters out, so that each function is predicted from its context."
        )
    return varying


def _parameters(data: xr.Dataset, names: tuple[str, ...]) -> Tensor:
    """(sample, parameter); raises `ValueError` for one that is missing or not finite."""
    for name in names:
        if name not in data or not np.isfinite(data[name].values).all():
            raise ValueError(
                f"The process was trained on the parameter `{name}`, which is missing or not finite in the data; give data that hold it."
            )
    return torch.stack([coordinate_tensor(data, name) for name in names], dim=-1)


def _between(parameters: Tensor, ranges: Tensor) -> Tensor:
    """Parameters in units of their range in the training data."""
    return (parameters - ranges[0]) / (ranges[1] - ranges[0])


def _spread(length: int, count: int) -> NDArray[np.int64]:
    """`count` indices below `length`, evenly spread, ends included; all of them if there are fewer."""
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(np.int64))


def _first(count: int, length: int) -> tuple[Tensor, Tensor]:
    """Indices of the first `count`, which are predicted, and of the rest, which are the lattice."""
    indices = torch.arange(length)
    return indices[:count], indices[None, count:]
