"""
Calibrated and still lawful
===========================

ProbConserv's network, conditioned on its exact mass: how often does the truth lie inside its intervals? Scaling the spread *within what the
law leaves free* brings that to the level asked for, and every sample keeps the mass.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import ndtri

import lawbound as lb
from lawbound.constraints.calibration import (
    calibrated,
    conformal_scale,
    covered,
    likelihood_scale,
)
from lawbound.ink import GREY, INK, PALETTE
from lawbound.reproduce import MASS, frozen_data
from lawbound.surrogates.prediction import from_moments

# %%
# Half of the 50 context layouts set the scale, the other half judge it.
data = frozen_data("stefan")
data = data.isel(sample=np.flatnonzero(data.u_star.values == 0.6))
split, judge = (
    lb.enforce(from_moments(data.isel(sample=slice(i, None, 2))), MASS).prediction
    for i in (0, 1)
)
truth = {id(part): part.layout.state(part.inputs) for part in (split, judge)}
wanted = conformal_scale(split, truth[id(split)], level=0.9)
likely = likelihood_scale(split, truth[id(split)])
versions = {
    "as the network says": judge,
    f"likelihood, × {float(likely.values[0]):.2f}": calibrated(judge, likely),
    f"conformal at 90 %, × {float(wanted.values[0]):.2f}": calibrated(judge, wanted),
}

# %%
# The law holds for every sample of each.
weights, known = (judge.inputs.x_weights.values, judge.inputs.law_conservation_rhs.values)
for name, prediction in versions.items():
    misses = np.abs(prediction.sample(200, seed=0).numpy() @ weights - known).max()
    share = covered(prediction, truth[id(judge)], level=0.9).mean()
    print(
        f"{name}: 90 % intervals cover {100 * share:.1f} %, samples miss the mass by at most {misses:.0e}"
    )

# %%
# Left: coverage at all levels. Right: the conformal band.
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8))
levels = np.linspace(0.02, 0.99, 60)
left.plot([0, 100], [0, 100], color=INK, linewidth=0.8)
for (name, prediction), colour in zip(
    versions.items(), (GREY, PALETTE[4], PALETTE[1]), strict=True
):
    shares = [
        100 * covered(prediction, truth[id(judge)], level=level).mean() for level in levels
    ]
    left.plot(100 * levels, shares, color=colour, label=name)
left.plot(90, 90, "o", color=INK, markersize=5)
left.set(
    xlabel="nominal, %", ylabel="covered, %", xlim=(0, 100), ylim=(0, 101), title="Coverage"
)
left.legend(loc="lower right", fontsize=9)
x, u = data.x.values, truth[id(judge)][0, 0]
wide = float(ndtri(0.95))
before, *_, after = versions.values()
for prediction, colour in ((before, GREY), (after, PALETTE[1])):
    mean, std = prediction.mean[0, 0].numpy(), prediction.std[0, 0].numpy()
    right.fill_between(
        x, mean - wide * std, mean + wide * std, color=colour, alpha=0.35, linewidth=0
    )
right.plot(x, u, color=INK, linewidth=1.0)
right.set(xlabel="$x$", ylabel="$u$", xlim=(0.0, 0.4), title="90 % bands before and after")
plt.show()
