"""
A total and its bounds, imposed together
========================================

The porous medium equation, ProbConserv's released network. A density is not negative, but projecting
the network's mean onto the known mass takes it below zero ahead of the front. Cutting at zero afterwards breaks the mass again.
Imposed together, by one kernel, both hold.
"""

import matplotlib.pyplot as plt
import numpy as np

import lawbound as lb
from lawbound.ink import GREY, INK, PALETTE
from lawbound.reproduce import MASS, frozen_data
from lawbound.surrogates.prediction import from_moments

data = frozen_data("pme")
data = data.isel(sample=np.flatnonzero(data.m.values == 1.0)[16:17])
free = from_moments(data)
x, weights = data.x.values, data.x_weights.values
known = float(data.law_conservation_rhs.values[0, 0])

# %%
# One after the other, and together.
projected = lb.enforce(free, MASS, "project").prediction.mean[0, 0].numpy()
cut = np.maximum(projected, 0.0)
together, report = lb.enforce(free, MASS & lb.constraints.Bounds(0.0), "project")
joint = together.mean[0, 0].numpy()
for name, mean in {"projected": projected, "then cut": cut, "together": joint}.items():
    print(
        f"{name:12s} least value {mean.min():+.1e}    mass off by {mean @ weights - known:+.1e}"
    )
print(report)

# %%
# The mass that the cut would have added is taken from where there is some: every point that is not on the bound moves by the same.
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6))
left.plot(x, data.u.values[0, 0], color=INK, linewidth=1.0, label="solver")
left.plot(x, free.mean[0, 0], color=GREY, label="network")
left.plot(x, joint, color=PALETTE[1], label="mass and u ≥ 0")
left.set(xlabel="$x$", ylabel="$u(t, x)$", xlim=(x[0], x[-1]), title="The profile")
left.legend()
foot = (x > 0.4) & (x < 0.8)
right.axhline(0.0, color=INK, linewidth=0.8)
right.fill_between(
    x[foot], np.minimum(projected[foot], 0.0), 0.0, color=PALETTE[0], alpha=0.2, linewidth=0
)
right.plot(x[foot], projected[foot], color=PALETTE[0], label="mass alone")
right.plot(x[foot], joint[foot], color=PALETTE[1], label="mass and u ≥ 0")
right.set(xlabel="$x$", title="Its foot, enlarged")
right.legend()
plt.show()
