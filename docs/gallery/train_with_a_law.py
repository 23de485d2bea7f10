"""
Train a network that obeys at every step
========================================

A small network maps the Stefan problem's u* to mean and variance of the temperature at all times. A layer behind it makes
both lawful, mass known and 0 ≤ u ≤ 1, and the loss is the CRPS of what comes out: the network learns what to say so that the
lawful prediction is good. Without the layer the same network breaks the law at every step.
Lawfulness is not free here: after 150 steps the score without the layer, which may break the law, is the better one.
"""

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

import lawbound as lb
from lawbound.constraints.bounds import Bounds
from lawbound.constraints.conservation import Conservation
from lawbound.constraints.layer import ConstraintLayer
from lawbound.datasets.split import of_split
from lawbound.ink import GREY, PALETTE
from lawbound.surrogates.losses import gaussian_crps

STEPS = 150


class Network(nn.Module):
    """u* → mean and variance, each (sample, t, x)."""

    def __init__(self, times: int, points: int) -> None:
        super().__init__()
        self.shape = times, points
        self.body = nn.Sequential(
            nn.Linear(1, 64),
            nn.GELU(),
            nn.Linear(64, 64),
            nn.GELU(),
            nn.Linear(64, 2 * times * points),
        )

    def forward(self, parameter: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance."""
        mean, size = self.body(parameter).unflatten(-1, (2, *self.shape)).unbind(1)
        return mean, nn.functional.softplus(size - 2.0).square() + 1e-6


def train(
    steps: int = STEPS, *, lawful: bool = True, seed: int = 0
) -> tuple[list[float], list[float]]:
    """The loss and the largest miss of the total at every step."""
    data = of_split(lb.generate("stefan", 30, nx=40, nt=11, seed=1), "train").isel(
        t=slice(1, None)
    )
    truth, parameter = (torch.from_numpy(data[name].values) for name in ("u", "u_star"))
    parameter = ((parameter - parameter.mean()) / parameter.std()).float()[:, None]
    torch.manual_seed(seed)
    network = Network(data.sizes["t"], data.sizes["x"])
    # Single precision comes out unless one asks for more; inside it is double.
    layer = ConstraintLayer.of(Conservation() & Bounds(0.0, 1.0), data, dtype=torch.float64)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    losses, misses = [], []
    for _ in range(steps):
        batch = torch.randperm(len(truth))[:16]
        mean, variance = network(parameter[batch])
        if lawful:
            mean, variance = layer(mean, variance, batch)
        loss = gaussian_crps(
            mean.unsqueeze(1), variance.unsqueeze(1), truth[batch].to(mean).unsqueeze(1), 2
        ).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total = mean.detach().double() @ torch.from_numpy(data.x_weights.values)
        misses.append(
            float(
                (total - torch.from_numpy(data.law_conservation_rhs.values)[batch]).abs().max()
            )
        )
        losses.append(float(loss.detach()))
    return losses, misses


# %%
# Without the layer and with it, from the same weights and on the same batches.
if __name__ == "__main__":
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4))
    for lawful, colour in ((False, GREY), (True, PALETTE[1])):
        losses, misses = train(lawful=lawful)
        word = "with" if lawful else "without"
        print(
            f"{word} the layer: CRPS {losses[0]:.4f} → {sum(losses[-10:]) / 10:.4f}, "
            f"the total is off by at most {max(misses):.2g}"
        )
        left.semilogy(losses, color=colour, linewidth=1.4, label=f"{word} the layer")
        right.semilogy([max(miss, 1e-17) for miss in misses], color=colour, linewidth=1.4)
    left.set(xlabel="step", ylabel="CRPS", title="What it learns")
    left.legend()
    right.set(
        xlabel="step", ylabel="largest |∫u dx − b|", title="What it breaks", ylim=(1e-17, 1.0)
    )
    plt.show()
