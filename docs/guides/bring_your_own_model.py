"""
Bring your own model
====================

Two ways in. A ``torch.nn.Module`` from channels on a grid to channels on it is trained by the library's loop. Anything else that predicts needs
one method.
"""

from textwrap import fill

import matplotlib.pyplot as plt
import torch
from torch import nn

import lawbound as lb
from lawbound.ink import GREY, INK, PALETTE
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.module_surrogate import ModuleSurrogate
from lawbound.surrogates.prediction import Prediction
from lawbound.surrogates.surrogate import Origin

data = lb.generate("heat-neumann", 40, seed=0, nx=33, nt=9)

# %%
# A module
# --------
# ``build(in_channels, out_channels)`` makes it. What it reads: the first state of every field, t, x, parameters if asked for, and what walls prescribe if
# ``walls``; all scaled to order one. What it gives: the fields.


def build(inputs: int, outputs: int) -> nn.Module:
    """A small convolutional network on (t, x)."""
    return nn.Sequential(
        nn.Conv2d(inputs, 24, 5, padding=2), nn.GELU(),
        nn.Conv2d(24, 24, 5, padding=2), nn.GELU(),
        nn.Conv2d(24, outputs, 1),
    )  # fmt: skip


mine = lb.fit(
    ModuleSurrogate(build=build, name="convolutions", walls=True, parameters=True, epochs=60),
    data,
    seed=0,
)

# %%
# Its uncertainty is the error on the validation split, unless you ask for more. From here on it is like any other: constrained,
test = data.isel(sample=data.split == 2)
free = mine.predict(test)
laws = lb.constraints.Conservation() & lb.constraints.Neumann() & lb.constraints.Initial()
lawful, report = lb.enforce(free, laws)
print(report)

# %%
# and compared.
table = lb.compare(
    {"mine": mine}, data, ["conservation:condition", "conservation&neumann&initial"], times=3
)
case = table.cases[0].name
for method in table.methods:
    values = [table.value(method, case, metric) for metric in ("ce", "mse", "crps")]
    print(
        f"{method:40s}",
        *("      –   " if value is None else f"{value:10.1e}" for value in values),
    )
print(fill(table.verdict, 86))

# %%
# A slope of a field at a wall is what a network knows worst; here the right wall heats.
x, at = test.x.values, -1
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6), width_ratios=(1.4, 1))
left.plot(x, free.mean[0, at], color=GREY, label="your network")
left.plot(x, lawful.mean[0, at], color=PALETTE[1], label="with total, slopes and start")
left.plot(x, test.u.values[0, at], color=INK, linewidth=1.0, label="solver")
left.set(xlabel="$x$", ylabel="$u$ at the last time", xlim=(0, 1))
left.legend()
weights = torch.from_numpy(test.x_weights.values)
known = torch.from_numpy(test.law_conservation_rhs.values)
for prediction, colour in ((free, GREY), (lawful, PALETTE[1])):
    right.plot(
        test.t.values, (prediction.mean @ weights - known).T, color=colour, linewidth=1.4
    )
right.set(xlabel="$t$", ylabel="∫u dx − b", title="The law")
plt.show()

# %%
# Anything that predicts
# ----------------------
# No torch module, no training loop: an ensemble in another framework, a reduced model, a table of numbers. It has to give a mean
# and a covariance for the inputs it is handed, and to say what it was made for.


class Persistence:
    """What was there at the start stays; unsure in proportion to the time that has passed."""

    origin = Origin.of(data, "u")

    def predict(self, inputs, *, times=None):
        """Means and variances, (draw, sample, t, x)."""
        part = inputs if times is None else inputs.isel(t=times)
        start = torch.from_numpy(inputs.u.values[:, :1].astype("float64"))
        means = start.expand(-1, part.sizes["t"], -1)[None].clone()
        spread = torch.tensor(part.t.values)[:, None].expand(means.shape)
        return Prediction(means, Diagonal(0.01 + 0.1 * spread), part)

    def tensors(self):
        """Nothing was learned."""
        return {}


print(
    fill(lb.compare({"mine": mine, "persistence": Persistence()}, data, times=3).verdict, 86)
)
