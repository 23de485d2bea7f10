"""What entered through the walls of each sample and what its source produced, as compiled code sums it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.compiled import compiled

FloatArray = NDArray[np.float64]


class Ledger(NamedTuple):
    """Sums over time, samples first in a batch; compiled code takes one sample of it."""

    inflow: FloatArray  # (sample, side) what entered
    traffic: FloatArray  # (sample, side) what crossed, either way
    produced: FloatArray  # (sample, 1)
    lost: FloatArray  # (sample, side + 1) low-order parts of inflow and produced

    @classmethod
    def empty(cls, samples: int, sides: int) -> "Ledger":
        """The ledger at the start."""
        return cls(*(np.zeros((samples, width)) for width in (sides, sides, 1, sides + 1)))

    def settled(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Inflow, traffic and what was produced until now, (sample, side), (sample, side) and (sample,)."""
        inflow, produced = self.inflow + self.lost[:, :-1], self.produced[:, 0] + self.lost[:, -1]
        return inflow, self.traffic.copy(), produced


@compiled
def ledger_of_sample(ledger: Ledger, sample: int) -> Ledger:
    """The rows of one sample."""
    return Ledger(ledger.inflow[sample], ledger.traffic[sample], ledger.produced[sample], ledger.lost[sample])


@compiled
def _add_compensated(sums: FloatArray, lost: FloatArray, place: int, term: float) -> None:
    """sums[place] += term with Neumaier's compensation: 10⁶ steps must not cost the ledger six digits."""
    total = sums[place] + term
    if abs(sums[place]) >= abs(term):
        lost[place] += (sums[place] - total) + term
    else:
        lost[place] += (term - total) + sums[place]
    sums[place] = total


@compiled
def enter(ledger: Ledger, side: int, net: float, gross: float) -> None:
    """Take down what crossed one side of a sample: `net` entered, `gross` ≥ |net| went either way."""
    _add_compensated(ledger.inflow, ledger.lost, side, net)
    ledger.traffic[side] += gross


@compiled
def produce(ledger: Ledger, amount: float) -> None:
    """Take down what the source of a sample produced."""
    _add_compensated(ledger.produced, ledger.lost[ledger.inflow.size :], 0, amount)
