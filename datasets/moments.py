"""Mean, standard deviation and root mean square of values that come sample by sample."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Of all values so far, for each component: their number, mean and sum of squared deviations."""

    count: int
    mean: FloatArray
    squares: FloatArray

    @classmethod
    def none(cls) -> "Moments":
        """Before the first value."""
        return cls(0, np.zeros(()), np.zeros(()))

    def and_of(self, values: ArrayLike, components: int) -> "Moments":
        """With more values, whose last `components` axes (0 or 1) tell components apart.

        >>> seen = Moments.none().and_of([1.0, 2.0], 0).and_of([6.0], 0)
        >>> float(seen.mean), round(float(seen.std), 6)
        (3.0, 2.160247)
        """
        new = np.asarray(values, dtype=np.float64)
        over = tuple(range(new.ndim - components))
        count = int(np.prod([new.shape[axis] for axis in over]))
        if count == 0:
            return self
        mean = new.mean(axis=over)
        squares = ((new - mean) ** 2).sum(axis=over)
        # Chan, Golub and LeVeque (1983): sums of squares of two sets, without cancellation.
        total, apart = self.count + count, mean - self.mean
        return Moments(
            total,
            np.asarray(self.mean + apart * (count / total)),
            np.asarray(self.squares + squares + apart**2 * (self.count * count / total)),
        )

    @property
    def std(self) -> FloatArray:
        """Standard deviation of the values as they are, not of what they are drawn from."""
        return np.asarray(np.sqrt(self.squares / max(self.count, 1)))

    @property
    def rms(self) -> FloatArray:
        """Root of the mean square."""
        return np.asarray(np.sqrt(self.mean**2 + self.squares / max(self.count, 1)))
