"""Periodic Burgers: the flux in waves, free of aliasing, in the frame that moves with the mean."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.compiled_fourier import (
    RealTransform,
    real_transform,
    values_of_waves,
    waves_of_values,
)

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

#: Numbers of points to choose from; a third of them is the number of modes, so that squares alias into none of them.
POINTS = tuple(sorted(2**j * odd for j in range(5, 17) for odd in (1, 3) if 64 <= 2**j * odd <= 65536))


def modes_of(points: int) -> int:
    """How many waves, the constant included, so many points carry free of aliasing: m < points / 3."""
    return (points - 1) // 3 + 1


class WavePlan(NamedTuple):
    """Tables for samples with the same number of modes, `lanes` of them side by side, on a period of length 2π / wavenumber."""

    transform: RealTransform
    lanes: int
    modes: int
    fewer: int  # modes of the plan with half as many points, 0 if there is none
    buffers: int
    width: int
    slope: FloatArray  # k / 4 points, (modes · lanes,)


@lru_cache(maxsize=64)
def wave_plan(points: int, lanes: int, wavenumber: float) -> WavePlan:
    """Tables for `points` of `POINTS`."""
    modes = modes_of(points)
    slope = np.repeat(wavenumber * np.arange(modes) / (4.0 * points), lanes)
    fewer = modes_of(points // 2) if points // 2 in POINTS else 0
    return WavePlan(real_transform(points, lanes), lanes, modes, fewer, 8, lanes * points // 2, slope)


def rate_of_waves(plan: Any, sample: Any, time: Any, state: Any, out: Any, peak: Any, work: Any) -> None:
    """−(v²/2)_x of v = Σ c_m e^{ikmx}, real and imaginary parts; in place of mode 0, which stays, the mean of v²/2; no peak if it is empty."""
    even, odd, free, other = values_of_waves(plan.transform, plan.modes, state[0], state[1], work)
    peak[:] = 0.0
    for half in (even, odd):
        for i in range(half.size):
            half[i] *= half[i]
        if peak.size > 0:
            for i in range(0, half.size, plan.lanes):
                for lane in range(plan.lanes):
                    peak[lane] = max(peak[lane], half[i + lane])
    re, im = waves_of_values(plan.transform, plan.modes, even, odd, free, other, work[2:6])
    up, down, slope = out[0], out[1], plan.slope
    for i in range(slope.size):
        up[i] = slope[i] * im[i]
    for i in range(slope.size):
        down[i] = -slope[i] * re[i]
    for lane in range(plan.lanes):
        up[lane] = re[lane] / (4.0 * plan.transform.points)
        down[lane] = 0.0


def tails_of_waves(plan: Any, state: Any, last: Any, spare: Any, work: Any) -> None:
    """Largest of the last eighth of the modes, and of those that a plan of half the points could not judge or lacks."""
    last[:], spare[:] = 0.0, 0.0
    for m in range(max(1, plan.fewer - max(2, plan.fewer // 8)), plan.modes):
        late = m >= plan.modes - max(2, plan.modes // 8)
        for lane in range(plan.lanes):
            i = m * plan.lanes + lane
            size = max(abs(state[0, i]), abs(state[1, i]))
            spare[lane] = max(spare[lane], size)
            if late:
                last[lane] = max(last[lane], size)
    if plan.fewer == 0:
        spare[:] = np.inf


def values_on(n: int, c: ComplexArray) -> FloatArray:
    """Re Σ' c_m e^{2πi mj/n}, the mode 0 once and all others twice, at n points, (..., n); c (..., modes), however many."""
    skip = -(-(2 * c.shape[-1] - 1) // n)
    return np.asarray(np.fft.irfft(c, n=skip * n, norm="forward"))[..., ::skip]
