"""How the learning rate goes over a training: a function of how far it is and of nothing else, so it needs no state."""

import math
from typing import Literal

Schedule = Literal["constant", "step", "cosine", "one-cycle"]

#: One-cycle: share of the training that climbs, and how far below the top it starts and ends (Smith and Topin 2019).
CLIMB, START, END = 0.3, 1 / 25, 1e-4

#: Schedules that depend on how many epochs there will be; a longer training is then another one from its first step.
KNOW_THE_END = frozenset({"cosine", "one-cycle"})


def factor(schedule: Schedule, epochs_done: float, epochs: int, *, every: int, by: float) -> float:
    """What the learning rate is multiplied by after so many epochs, parts of one included, of all.

    `step` multiplies by `by` after each `every` whole epochs; `cosine` is (1 + cos πs)/2 at the share s of the
    training; `one-cycle` climbs, then falls, by half a cosine each.

    >>> [factor("step", done, 9, every=4, by=0.5) for done in (0, 3.9, 4, 8)]
    [1.0, 1.0, 0.5, 0.25]
    """
    share = epochs_done / epochs
    match schedule:
        case "constant":
            return 1.0
        case "step":
            return float(by ** (int(epochs_done) // every))
        case "cosine":
            return _between(1.0, 0.0, share)
        case "one-cycle":
            if share < CLIMB:
                return _between(START, 1.0, share / CLIMB)
            return _between(1.0, END, (share - CLIMB) / (1.0 - CLIMB))


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1.0 + math.cos(math.pi * share)) / 2.0
