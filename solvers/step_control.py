"""How long an implicit step is: what the steppers of a row and of a plane share; compiled."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.compiled import compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: The L-stable two-stage SDIRK method's diagonal (Alexander, SIAM J. Numer. Anal. 14, 1977, (2.2)).
GAMMA = 1.0 - 1.0 / np.sqrt(2.0)
#: Its |R(z) − e^z| / |z|³: 3γ² − 2γ³ − 1/6.
ERROR_CONSTANT = 3.0 * GAMMA**2 - 2.0 * GAMMA**3 - 1.0 / 6.0

#: Newton's last correction, relative to the scale of u, where bounds rest on it.
NEWTON_TIGHT = 1e-11
#: How far beyond its range, relative to its scale, rounding may take u.
ROUND_OFF = 1e-14
#: The first step relative to one that an explicit scheme could take: data that jump at a wall are met by small steps.
FIRST_STEP = 0.1
#: The least step relative to the time span.
LEAST_STEP = 1e-13

_SAFETY, _LEAST_FACTOR, _MOST_FACTOR = 0.8, 0.2, 2.0

# What a stepper returns.
ARRIVED, ATTEMPTED, STUCK, NOT_FINITE = 0, 1, 2, 3

# Places in `clock`, (4,): the time, the step to try next, the least step, the scale of u.
TIME, STEP, LEAST, SCALE = 0, 1, 2, 3
# Places in `counts`, (3,): steps taken, steps rejected, Newton steps.
TAKEN, REJECTED, NEWTON = 0, 1, 2


class Progress(NamedTuple):
    """How far a sample has come, changed in place; samples first in a batch."""

    u: FloatArray  # the state
    rate: FloatArray  # u_t, of the same shape
    clock: FloatArray  # (4,)
    counts: IntArray  # (3,)


class Step(NamedTuple):
    """A step that is tried."""

    dt: float
    low: float  # the range that it cannot leave
    high: float
    scale: float  # of u
    newton: float  # how closely its stages are solved


@compiled
def progress_of_sample(progress: Progress, sample: int) -> Progress:
    """The rows of one sample."""
    return Progress(
        progress.u[sample], progress.rate[sample], progress.clock[sample], progress.counts[sample]
    )


@compiled
def planned_step(time: float, step: float, stop: float) -> float:
    """The step to try: `stop` is hit exactly, and not by a sliver after a long step."""
    left = stop - time
    if step >= left:
        return left
    return 0.5 * left if 2.0 * step > left else step


@compiled
def step_factor(wrong: float, order: int) -> float:
    """What to multiply the step with, `wrong` being its error over the tolerance: (0.8 / wrong)^{1/(order + 1)} or so."""
    if wrong <= 0.0:
        return _MOST_FACTOR
    return float(min(max(_SAFETY * wrong ** (-1.0 / (order + 1.0)), _LEAST_FACTOR), _MOST_FACTOR))


@compiled
def found_nothing(progress: Progress, dt: float) -> bool:
    """Turn to a quarter of a step whose stages have no solution; False if that would be too short."""
    progress.counts[REJECTED] += 1
    progress.clock[STEP] = 0.25 * dt
    return bool(progress.clock[STEP] >= progress.clock[LEAST])


@compiled
def was_refused(progress: Progress, dt: float, wrong: float, factor: float) -> bool:
    """Whether a step is too wrong to be taken; if so, turn to a shorter one."""
    if wrong <= 1.0 or dt <= progress.clock[LEAST]:
        return False
    progress.counts[REJECTED] += 1
    progress.clock[STEP] = max(factor * dt, progress.clock[LEAST])
    return True


@compiled
def took(progress: Progress, dt: float, stop: float, wanted: float, factor: float) -> None:
    """Move the clock by a step of length `dt`, where `wanted` was to be tried: one cut short says nothing against it."""
    clock = progress.clock
    progress.counts[TAKEN] += 1
    clock[TIME] = stop if dt == stop - clock[TIME] else clock[TIME] + dt
    clock[STEP] = max(factor * dt, wanted) if dt < wanted and factor >= 1.0 else factor * dt
