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
    return contexts_of(data[schema.SAMPLE].values, _shape(data), seed, n_times, n_positions)


def target_points(
    data: xr.Dataset, random: np.random.Generator, *, n_times: int = 10, n_positions: int = 10
) -> Points:
    """Training targets as in ProbConserv: times and positions anywhere, sorted, drawn anew at each call.

    One number is taken from `random`; what sample s gets depends on it and on s alone.
    """
    return targets_of(data[schema.SAMPLE].values, _shape(data), random, n_times, n_positions)


def contexts_of(
    numbers: NDArray[np.integer], shape: tuple[int, int], seed: int, n_times: int = 10, n_positions: int = 10
) -> Points:
    """What `context_points` gives samples of these numbers, with `shape` times and positions stored."""
    nt, nx = _enough(shape, n_times, n_positions)
    edges = np.linspace(0, nt, n_times + 1).round().astype(np.int64)
    times, positions = [], []
    for number in numbers.tolist():
        random = np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(number, 0)))
        times.append([int(random.integers(low, high)) for low, high in pairwise(edges)])
        positions.append(np.sort(random.choice(nx, n_positions, replace=False)))
    return Points(
        np.asarray(times, dtype=np.int64).reshape(-1, n_times),
        np.asarray(positions, dtype=np.int64).reshape(-1, n_positions),
    )


def targets_of(
    numbers: NDArray[np.integer],
    shape: tuple[int, int],
    random: np.random.Generator,
    n_times: int = 10,
    n_positions: int = 10,
) -> Points:
    """What `target_points` gives samples of these numbers, with `shape` times and positions stored."""
    nt, nx = _enough(shape, n_times, n_positions)
    key = random.integers(0, 2**64, dtype=np.uint64, endpoint=False)
    uniform = _uniform(key, numbers, n_times + n_positions)
    return Points(_distinct(uniform[:, :n_times], nt), _distinct(uniform[:, n_times:], nx))


def epoch_stream(seed: int, epoch: int) -> np.random.Generator:
    """The random numbers of an epoch, for `target_points`."""
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(epoch, 1)))


def _uniform(key: np.uint64, numbers: NDArray[np.integer], count: int) -> NDArray[np.float64]:
    """`count` uniform numbers in [0, 1) for each sample, (sample, count), from a stream that is the sample's own.

    SplitMix64 (Steele, Lea, Flood, Fast splittable pseudorandom number generators, OOPSLA 2014), which needs no state: a
    generator of NumPy's for each sample would take longer to make than all that is drawn.
    """
    golden = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):  # modulo 2⁶⁴
        start = _mixed(key + golden * numbers.astype(np.uint64))
        steps = golden * np.arange(1, count + 1, dtype=np.uint64)
        bits = _mixed(start[:, None] + steps)
    return np.asarray((bits >> np.uint64(11)) * 2.0**-53)


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _distinct(uniform: NDArray[np.float64], size: int) -> IntArray:
    """Distinct indices below `size`, sorted, every set of them as likely, (sample, n), from as many uniform numbers.

    Floyd's algorithm (Bentley, Floyd, A sample of brilliance, CACM 1987), for all samples at once.
    """
    count = uniform.shape[1]
    chosen = np.full(uniform.shape, -1, dtype=np.int64)
    for i, top in enumerate(range(size - count, size)):
        drawn = (uniform[:, i] * (top + 1)).astype(np.int64)
        taken = (chosen[:, :i] == drawn[:, None]).any(axis=1)
        chosen[:, i] = np.where(taken, top, drawn)
    return np.sort(chosen, axis=1)


def _shape(data: xr.Dataset) -> tuple[int, int]:
    if schema.Y in data.dims:
        raise ValueError(
            f"The dataset has dimensions {', '.join(schema.field_dims(data))}; points are picked in (t, x) only, so give data on an "
            "interval."
        )
    return data.sizes[schema.TIME], data.sizes[schema.X]


def _enough(shape: tuple[int, int], n_times: int, n_positions: int) -> tuple[int, int]:
    nt, nx = shape
    if nt < n_times or nx < n_positions:
        raise ValueError(
            f"The dataset stores {nt} times and {nx} positions; picking {n_times} × {n_positions} points needs at least "
            "that many. Generate it with larger --nt and --nx."
        )
    return shape
