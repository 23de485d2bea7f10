"""Context and target points of neural processes, picked among the stored points, never interpolated."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.datasets import schema

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Points:
    """A tensor grid of stored points for each sample: time indices (sample, n_t), position indices (sample, n_x)."""

    times: IntArray
    positions: IntArray

    def __post_init__(self) -> None:
        if self.times.shape[0] != self.positions.shape[0]:
            raise ValueError(
                f"{self.times.shape[0]} samples have times, {self.positions.shape[0]} have positions."
            )

    def coordinates(self, t: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        """(t, x) of each point, (sample, n_t · n_x, 2), times varying slowest."""
        n, nt, nx = len(self.times), self.times.shape[1], self.positions.shape[1]
        pairs = np.empty((n, nt, nx, 2))
        pairs[..., 0] = t[self.times][:, :, None]
        pairs[..., 1] = x[self.positions][:, None, :]
        return pairs.reshape(n, nt * nx, 2)

    def values(self, field: NDArray[np.floating]) -> NDArray[np.float64]:
        """Field values at the points, (sample, n_t · n_x), from a field (sample, t, x)."""
        picked = field[
            np.arange(len(field))[:, None, None], self.times[:, :, None], self.positions[:, None, :]
        ]
        return picked.reshape(len(field), -1).astype(np.float64)


def context_points(data: xr.Dataset, *, seed: int = 0, n_times: int = 10, n_positions: int = 10) -> Points:
    """Context as in ProbConserv: one time out of each of `n_times` equal intervals, `n_positions` anywhere.

    What sample s gets depends on the seed and on its number s alone. Raises `ValueError` if the grid has too
    few points.
    """
    _on_a_line(data)
    nt, nx = data.sizes[schema.TIME], data.sizes[schema.X]
    _check(nt, nx, n_times, n_positions)
    edges = np.linspace(0, nt, n_times + 1).round().astype(np.int64)
    times, positions = [], []
    for number in data[schema.SAMPLE].values:
        random = np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(int(number), 0)))
        times.append([int(random.integers(low, high)) for low, high in pairwise(edges)])
        positions.append(np.sort(random.choice(nx, n_positions, replace=False)))
    return Points(np.asarray(times, dtype=np.int64), np.asarray(positions, dtype=np.int64))


def target_points(
    data: xr.Dataset, random: np.random.Generator, *, n_times: int = 10, n_positions: int = 10
) -> Points:
    """Training targets as in ProbConserv: times and positions anywhere, sorted, drawn anew at each call."""
    _on_a_line(data)
    nt, nx, n = data.sizes[schema.TIME], data.sizes[schema.X], data.sizes[schema.SAMPLE]
    _check(nt, nx, n_times, n_positions)
    times = np.sort(random.permuted(np.tile(np.arange(nt), (n, 1)), axis=1)[:, :n_times], axis=1)
    positions = np.sort(random.permuted(np.tile(np.arange(nx), (n, 1)), axis=1)[:, :n_positions], axis=1)
    return Points(times, positions)


def _on_a_line(data: xr.Dataset) -> None:
    if schema.Y in data.dims:
        raise ValueError(
            f"The dataset has dimensions {', '.join(schema.field_dims(data))}; points are picked in (t, x) only, so give data on an "
            "interval."
        )


def _check(nt: int, nx: int, n_times: int, n_positions: int) -> None:
    if nt < n_times or nx < n_positions:
        raise ValueError(
            f"The dataset stores {nt} times and {nx} positions; picking {n_times} × {n_positions} points needs at least "
            "that many. Generate it with larger --nt and --nx."
        )
