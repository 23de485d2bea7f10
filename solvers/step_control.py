"""How long an implicit step is: what the steppers of a row and of a plane share; compiled."""

import numpy as np

from lawbound.solvers.compiled import compiled

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
def next_step(taken: float, wanted: float, factor: float) -> float:
    """The step after one of length `taken`: one cut short by an output time says nothing against the longer one wanted."""
    return max(factor * taken, wanted) if taken < wanted and factor >= 1.0 else factor * taken
