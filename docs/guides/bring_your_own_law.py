"""
Bring your own law
==================

A law is a set of admissible fields. Say what the set is made of – rows if it is linear – and the residual, stacking with ``&``, every enforcement and
the command line follow.
"""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np

import lawbound as lb
from lawbound.constraints import Constraint, Rows
from lawbound.constraints.testing import check_constraint
from lawbound.ink import GREY, INK, PALETTE
from lawbound.surrogates.gaussian_process import GaussianProcess

# %%
# A symmetry
# ----------
# The diffusion family starts from a sine, odd about the middle of its interval, and stays odd. That is n/2 linear equations,
# u(x_i) + u(x_{n−1−i}) = 0.


@dataclass(frozen=True)
class Odd(Constraint):
    """u(a + b − x) = −u(x)."""

    name = "odd"
    inputs = ()  # nothing is read from the dataset: the symmetry is all that a surrogate is told

    def rows(self, data):
        """One row for each pair of points."""
        n = data.sizes["x"]
        pair = np.arange(n // 2)
        weights = np.zeros((pair.size, n))
        weights[pair, pair] = weights[pair, n - 1 - pair] = 1.0
        zeros = np.zeros((data.sizes["sample"], data.sizes["t"], pair.size))
        return Rows(
            weights,
            zeros,
            zeros,
            tuple(f"mirror image of x={x:.3g}" for x in data.x.values[pair]),
        )


# %%
# Prove it: the solver's data obey it, its description fits, enforcing keeps what the table of promises says – exact, once is enough, nearest,
# derivatives. This is the test that our own laws pass; ``tolerance`` is what storing in single precision allows.
data = lb.generate("diffusion", 30, seed=0, nx=40, nt=11)
few = data.isel(sample=slice(3), t=slice(None, None, 5))
check_constraint(Odd(), few, tolerance=1e-6)
check_constraint(Odd() & lb.constraints.Conservation(), few, tolerance=1e-6)

# %%
# Use it: a Gaussian process on a few points does not know that the field is odd.
gp = lb.fit(GaussianProcess(kernel="matern-5/2", functions=6, iterations=10), data)
test = data.isel(sample=data.split == 2)
free = gp.predict(test)
lawful, report = lb.enforce(free, Odd())
print(report)
truth = test.u.values.astype(float)
for name, prediction in (("as predicted", free), ("odd", lawful)):
    error = np.sqrt(((prediction.mean.numpy() - truth) ** 2).mean())
    print(
        f"{name:13s} root mean square error {error:.2e}, mean standard deviation {float(prediction.std.mean()):.2e}"
    )

# %%
x, at = test.x.values, 5
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4))
for axes, prediction, colour, title in (
    (left, free, GREY, "As predicted"),
    (right, lawful, PALETTE[1], "Odd"),
):
    off = prediction.mean[0, at].numpy() - truth[0, at]
    std = prediction.std[0, at].numpy()
    axes.axhline(0.0, color=INK, linewidth=0.8)
    axes.fill_between(x, off - 2 * std, off + 2 * std, color=colour, alpha=0.25, linewidth=0)
    axes.plot(x, off, color=colour)
    axes.set(xlabel="$x$", title=title, xlim=(x[0], x[-1]))
left.set_ylabel("error of the mean, ± 2σ")
right.sharey(left)
plt.show()

# %%
# Share it
# --------
# Two files make it a package with a name on the command line; ``docs/plugin`` is one. Laws that are not linear give ``bounds``, ``order``
# (monotone chains), ``phases``, ``variation`` or ``curved`` (nonlinear equalities) instead of, or beside, ``rows``.
