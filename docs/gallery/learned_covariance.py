"""
What a surrogate's own errors know of each other
================================================

On a family with few parameters a surrogate errs in few ways. A covariance that is learned from its residuals on a
calibration split then tells the whole field from a few known values: here the flow from what its walls do.
"""

from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import torch

import lawbound as lb
from lawbound.constraints.conditioning import condition
from lawbound.datasets.layout import Layout
from lawbound.ink import GREY, INK, PALETTE
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.prediction import Prediction
from lawbound.surrogates.residual_covariance import learn

# %%
# Fluid over a wall that moves back and forth. The "surrogate" is the mean of the training samples, which knows no parameter at all:
# the worst that a surrogate can be.
data = lb.generate("stokes", 60, nx=65, nt=9, seed=3)
train, held, test = (
    data.isel(sample=part) for part in (slice(0, 20), slice(20, 56), slice(56, 60))
)
layout = Layout.of(data, ("u",))
mean = torch.from_numpy(layout.state(train)).mean(0)


def predict(inputs):
    """The training mean, with the training samples' variance at each point."""
    means = mean.expand(1, inputs.sizes["sample"], *mean.shape).clone()
    variance = torch.from_numpy(layout.state(train)).var(0).clamp_min(1e-10)
    return Prediction(means, Diagonal(variance.expand_as(means).clone()), inputs)


residuals = torch.from_numpy(layout.state(held)) - predict(held).mean
known = torch.zeros(65, dtype=torch.bool)
known[[0, -1]] = True
learned = learn(residuals, points=known)
print(fill(learned.why, 90))

# %%
# Both covariances are told the same two values at each time, those at the walls.
walls = np.zeros((2, 65))
walls[0, 0] = walls[1, -1] = 1.0
truth = torch.from_numpy(layout.state(test))


def told(prediction):
    """The prediction, conditioned on the values at both walls."""
    rows = torch.from_numpy(walls)
    tolerance = torch.full((*truth.shape[:2], 2), 1e-6, dtype=torch.float64)
    update = condition(
        prediction.means, prediction.covariance, rows, truth @ rows.mT, tolerance, 0.0
    )
    return update.means[0]


apart = told(predict(test))
together = told(learned.applied_to(predict(test)))
for name, found in (("independent points", apart), ("learned covariance", together)):
    print(f"{name}: root mean square error {(found - truth).square().mean().sqrt():.4f}")

# %%
# With independent points the wall moves and nothing else does.
# The second knows how a layer of Stokes' decays into the fluid; nobody told it.
x, at = data.x.values, 4
figure, all_axes = plt.subplots(1, 3, figsize=(11.0, 3.4), sharex=True, sharey=True)
for number, axes in enumerate(all_axes):
    axes.plot(x, mean[at], color=GREY, label="surrogate")
    axes.plot(
        x,
        apart[number, at],
        color=PALETTE[0],
        linewidth=1.3,
        label="told the walls: independent points",
    )
    axes.plot(
        x, together[number, at], color=PALETTE[1], label="told the walls: learned covariance"
    )
    axes.plot(
        x, truth[number, at], color=INK, linewidth=1.0, linestyle=(0, (2, 1.5)), label="solver"
    )
    axes.plot(
        x[0], truth[number, at, 0], "o", color=INK, markersize=5, clip_on=False, zorder=5
    )
    axes.set(xlabel="$x$", title=f"Test sample {number + 1}", xlim=(0.0, 0.4))
all_axes[0].set_ylabel("$u$ half-way in time")
figure.legend(
    *all_axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9
)
plt.show()
