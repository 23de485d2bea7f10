"""An exact Gaussian process over (t, x): each sample is regressed on its own context points."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar, final

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from lawbound.datasets import schema
from lawbound.datasets.points import Points, context_points
from lawbound.surrogates.grid_process import GridProcess
from lawbound.surrogates.prediction import Prediction
from lawbound.surrogates.surrogate import Origin, Progress, first_state
from lawbound.surrogates.tensors import coordinate_tensor

SMOOTHNESS = (0.5, 1.5, 2.5)

# Noise variance that is always there, as a share of the amplitude's square.
_RIDGE = 1e-8


@final
@dataclass(frozen=True)
class GaussianProcess:
    """k = s² M_ν(|t − t'| / ℓ_t) M_ν(|x − x'| / ℓ_x) + τ² δ, Matérn M_ν, shared by all functions of a family.

    Scales, amplitude and noise maximise the log marginal likelihood of `functions` training functions at
    their context points (Rasmussen and Williams 2006, eq. 5.8); ν of None is chosen among 1/2, 3/2, 5/2 by that
    of the validation functions. Raises `ValueError` for options out of range.
    """

    name: ClassVar[str] = "gp"
    summary: ClassVar[str] = "exact Gaussian process over (t, x) on context points, Matérn, joint covariance"

    smoothness: float | None = None
    functions: int = 32
    iterations: int = 60
    context_seed: int = 0

    def __post_init__(self) -> None:
        if self.smoothness is not None and self.smoothness not in SMOOTHNESS:
            raise ValueError(
                f"smoothness={self.smoothness}; give one of {SMOOTHNESS}, or None to choose by validation."
            )
        if self.functions < 1 or self.iterations < 1:
            raise ValueError(
                f"functions={self.functions}, iterations={self.iterations}; both must be at least 1."
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
    ) -> "FittedGaussianProcess":
        """Maximise the marginal likelihood; deterministic, in seconds, so there is nothing to resume."""
        if device != "cpu":
            raise ValueError(f"device={device!r}; the exact Gaussian process runs on the cpu in float64.")
        field = first_state(train)
        blank = FittedGaussianProcess.blank(Origin.of(train, field), self.context_seed, train, field)
        best: tuple[float, FittedGaussianProcess] | None = None
        choices = SMOOTHNESS if self.smoothness is None else (self.smoothness,)
        for number, smoothness in enumerate(choices, start=1):
            began = perf_counter()
            fitted, on_train = self._maximise(replace(blank, smoothness=smoothness), train)
            on_valid = float(fitted.negative_log_likelihood(valid, self.functions))
            on_progress(Progress(number, len(choices), on_train, on_valid, perf_counter() - began))
            if best is None or on_valid < best[0]:
                best = (on_valid, fitted)
        assert best is not None
        return best[1]

    def _maximise(
        self, start: "FittedGaussianProcess", train: xr.Dataset
    ) -> "tuple[FittedGaussianProcess, float]":
        logs = start.logs.clone().requires_grad_(True)
        optimiser = torch.optim.LBFGS([logs], max_iter=self.iterations, line_search_fn="strong_wolfe")
        inputs = start.context(train.isel({schema.SAMPLE: slice(self.functions)}))

        def closure() -> Tensor:
            optimiser.zero_grad()
            return replace(start, logs=logs).loss_with_gradient(*inputs)

        optimiser.step(closure)  # type: ignore[no-untyped-call]
        fitted = replace(start, logs=logs.detach())
        loss = float(fitted.loss(*inputs))
        if not np.isfinite(loss):
            raise ValueError(
                "The marginal likelihood stopped being finite; check the data with `lawbound check`."
            )
        return fitted, loss

    def restore(self, tensors: Mapping[str, Tensor], origin: Origin) -> "FittedGaussianProcess":
        """From the tensors of a fitted process."""
        offset, scale, smoothness = (float(value) for value in tensors["fixed"])
        return FittedGaussianProcess(origin, self.context_seed, offset, scale, smoothness, tensors["logs"])


@final
@dataclass(frozen=True, eq=False)
class FittedGaussianProcess:
    """A Gaussian process with its hyperparameters; u is centred by `offset` and scaled by `scale` inside.

    logs: logarithms of (ℓ_t, ℓ_x, s, τ), lengths in units of the training domain.
    """

    origin: Origin
    context_seed: int
    offset: float
    scale: float
    smoothness: float
    logs: Tensor

    @classmethod
    def blank(
        cls, origin: Origin, context_seed: int, train: xr.Dataset, field: str
    ) -> "FittedGaussianProcess":
        """Scales of the training data and a starting point for the hyperparameters."""
        values = train[field].values
        scale = float(values.std()) or 1.0
        start = torch.log(torch.tensor([0.5, 0.3, 1.0, 0.1], dtype=torch.float64))
        return cls(origin, context_seed, float(values.mean()), scale, 1.5, start)

    def tensors(self) -> dict[str, Tensor]:
        """The hyperparameters; the training data are not needed for prediction."""
        fixed = torch.tensor([self.offset, self.scale, self.smoothness], dtype=torch.float64)
        return {"logs": self.logs, "fixed": fixed}

    def context(self, data: xr.Dataset) -> tuple[Tensor, Tensor]:
        """Normalised coordinates (sample, c, 2) and values (sample, c) of the context points."""
        points = self._points(data)
        t, x = self._axes(data)
        where = torch.from_numpy(points.coordinates(t.numpy(), x.numpy()))
        return where, self._values(points, data)

    def loss(self, where: Tensor, values: Tensor) -> Tensor:
        """Negative log marginal likelihood, averaged over functions and points."""
        return self._loss(torch.linalg.cholesky(self._kernel(where)), values)

    def loss_with_gradient(self, where: Tensor, values: Tensor) -> Tensor:
        """The loss, its gradient being added to `logs.grad`.

        dL/dθ = ½ tr((K⁻¹ − K⁻¹ y yᵀ K⁻¹) dK/dθ), Rasmussen and Williams 2006, eq. 5.9: differentiating the
        kernel with a constant factor is several times cheaper than going back through the Cholesky factor.
        """
        kernel = self._kernel(where)
        factor = torch.linalg.cholesky(kernel.detach())
        solved = torch.cholesky_solve(values.unsqueeze(-1), factor)
        outer = torch.cholesky_inverse(factor) - solved @ solved.mT
        (0.5 * (outer * kernel).sum() / values.numel()).backward()  # type: ignore[no-untyped-call]
        return self._loss(factor, values)

    def _kernel(self, where: Tensor) -> Tensor:
        length_t, length_x, amplitude, noise = self.logs.exp()
        gap = (where.unsqueeze(-2) - where.unsqueeze(-3)).abs()
        smooth = matern(gap[..., 0] / length_t, self.smoothness) * matern(
            gap[..., 1] / length_x, self.smoothness
        )
        # A floor under the noise keeps the factorisation possible for functions without any.
        ridge = (noise**2 + _RIDGE * amplitude**2) * torch.eye(where.shape[-2], dtype=where.dtype)
        return amplitude**2 * smooth + ridge

    def _loss(self, factor: Tensor, values: Tensor) -> Tensor:
        whitened = torch.linalg.solve_triangular(factor, values.unsqueeze(-1), upper=False)
        log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        each = 0.5 * whitened.square().sum((-2, -1)) + log_det + 0.5 * values.shape[1] * np.log(2 * np.pi)
        return each.mean() / values.shape[1]

    def negative_log_likelihood(self, data: xr.Dataset, functions: int) -> Tensor:
        """The loss on some functions of a dataset."""
        return self.loss(*self.context(data.isel({schema.SAMPLE: slice(functions)})))

    def predict(self, inputs: xr.Dataset, *, times: NDArray[np.int64] | None = None) -> Prediction:
        """The posterior given each sample's context points, joint over (t, x)."""
        self.origin.refuse_others(inputs)
        chosen = np.arange(inputs.sizes[schema.TIME]) if times is None else np.asarray(times)
        points = self._points(inputs)
        t, x = self._axes(inputs)
        length_t, length_x, amplitude, noise = (float(v) for v in self.logs.exp())
        variance = self.scale**2
        covariance = GridProcess(
            time_kernel=variance * amplitude**2 * matern((t[:, None] - t).abs() / length_t, self.smoothness),
            position_kernel=matern((x[:, None] - x).abs() / length_x, self.smoothness),
            noise=variance * (noise**2 + _RIDGE * amplitude**2),
            context_times=torch.from_numpy(np.repeat(points.times, points.positions.shape[1], axis=1)),
            context_positions=torch.from_numpy(np.tile(points.positions, (1, points.times.shape[1]))),
            times=torch.from_numpy(chosen),
        )
        mean = self.offset + covariance.mean(self.scale * self._values(points, inputs))
        return Prediction(mean[None], covariance, inputs.isel({schema.TIME: chosen}), (self.origin.field,))

    def _points(self, data: xr.Dataset) -> Points:
        return context_points(data, seed=self.context_seed)

    def _axes(self, data: xr.Dataset) -> tuple[Tensor, Tensor]:
        """Times and positions in units of the training domain."""
        axes = []
        for name in (schema.TIME, schema.X):
            axis = self.origin.grid[name]
            axes.append((coordinate_tensor(data, name) - axis.first) / (axis.last - axis.first))
        return axes[0], axes[1]

    def _values(self, points: Points, data: xr.Dataset) -> Tensor:
        values = points.values(data[self.origin.field].values)
        if not np.isfinite(values).all():
            sample = int(data[schema.SAMPLE].values[np.argwhere(~np.isfinite(values))[0][0]])
            raise ValueError(
                f"`{self.origin.field}` of sample {sample} is not finite at a context point; run `lawbound check` on the data."
            )
        return torch.from_numpy((values - self.offset) / self.scale)


def matern(distance: Tensor, smoothness: float) -> Tensor:
    """Matérn correlation for ν = 1/2, 3/2, 5/2 (Rasmussen and Williams 2006, eq. 4.17)."""
    scaled = np.sqrt(2.0 * smoothness) * distance
    decay = torch.exp(-scaled)
    if smoothness == 0.5:
        return decay
    if smoothness == 1.5:
        return (1.0 + scaled) * decay
    return (1.0 + scaled + scaled**2 / 3.0) * decay
