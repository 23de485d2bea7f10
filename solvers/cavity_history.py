"""Past states of a multistep method, and how they look at another spacing."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.cavity_march import FIRST_STEPS, KEPT

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass
class History:
    """The last 8 M ψ, advections, and (power, dissipation) of samples, in rings; see `cavity_march.march`."""

    zs: FloatArray
    ns: FloatArray
    fs: FloatArray
    marks: IntArray

    @classmethod
    def empty(cls, samples: int, modes: int) -> "History":
        """No past yet."""
        shape = (samples, KEPT, modes, modes)
        return cls(
            np.zeros(shape),
            np.zeros(shape),
            np.zeros((samples, KEPT, 2)),
            np.zeros((samples, 2), dtype=np.int64),
        )

    def copy(self) -> "History":
        """A copy that shares no memory."""
        return History(self.zs.copy(), self.ns.copy(), self.fs.copy(), self.marks.copy())

    def take_back(self, before: "History", sample: int) -> None:
        """Restore one sample."""
        for mine, theirs in zip(self._rings, before._rings, strict=True):
            mine[sample] = theirs[sample]
        self.marks[sample] = before.marks[sample]

    def respace(self, sample: int, ratio: float) -> None:
        """See the past at a spacing `ratio` ≤ 2 times as long, by the polynomial through all that is kept.

        A past too short for backward differences is forgotten instead. A factor of 2 takes every other state.
        """
        if abs(ratio - 1.0) < 1e-8:
            return
        newest, count = self.marks[sample]
        if count <= FIRST_STEPS:
            self.marks[sample] = 0
            return
        # Entries beyond the past that is known are never looked at: at least four must lie within it.
        wanted = min(KEPT, int((count - 1) / ratio + 1e-9) + 1)
        weights = _lagrange(int(count), ratio * np.arange(wanted))
        back = (newest - np.arange(count)) % KEPT
        place = (newest - np.arange(wanted)) % KEPT
        for ring in self._rings:
            past = ring[sample, back]
            ring[sample, place] = (weights @ past.reshape(count, -1)).reshape(wanted, *past.shape[1:])
        self.marks[sample, 1] = wanted

    @property
    def _rings(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        return self.zs, self.ns, self.fs


def _lagrange(count: int, at: NDArray[Any]) -> FloatArray:
    """Weights of the values at 0 … count − 1 in the polynomial's value at some points, (points, count)."""
    where = np.arange(count)
    others = where[:, None] != where
    ratios = np.where(others, (at[:, None, None] - where) / np.where(others, where[:, None] - where, 1), 1.0)
    return np.asarray(ratios.prod(axis=-1))
