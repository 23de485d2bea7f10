"""Draw docs/spectral_families.png: one sample of four spectral families.

python tools/draw_spectral_figure.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import lawbound as lb


def main() -> None:
    figure, axes = plt.subplots(1, 4, figsize=(13.5, 3.5), layout="constrained")
    rod = lb.generate("heat-neumann", 1, split="test", nt=41)
    for t in (0.0, 0.1, 0.5, 1.0, 2.0):
        label = f"t = {t:g}"
        axes[0].plot(rod.x, rod.u.sel(t=t, method="nearest")[0], color=plt.cm.viridis(0.45 * t), label=label)
    axes[0].set(title="heat-neumann", xlabel="x", ylabel="u")
    axes[0].legend(frameon=False, fontsize=8)

    burgers = lb.generate("burgers-random", 1, split="train", nt=101, seed=3)
    top = float(abs(burgers.u).max())
    shown = axes[1].pcolormesh(
        burgers.t, burgers.x, burgers.u[0].T, cmap="RdBu_r", shading="gouraud", vmin=-top, vmax=top
    )
    axes[1].set(title="burgers-random", xlabel="t", ylabel="x")
    figure.colorbar(shown, ax=axes[1], label="u")

    drum = lb.generate("wave-2d", 1, split="train", nt=3, nx=80, seed=2)
    size = float(abs(drum.u[0, 1]).max())
    shown = axes[2].pcolormesh(
        drum.x, drum.y, drum.u[0, 1], cmap="RdBu_r", shading="gouraud", vmin=-size, vmax=size
    )
    axes[2].set(title="wave-2d, t = 1", xlabel="x", ylabel="y", aspect="equal")
    figure.colorbar(shown, ax=axes[2], label="u")

    cavity = lb.generate("cavity", 1, split="train", nt=3, nx=100, seed=1)
    last = cavity.isel(sample=0, t=-1)
    shown = axes[3].pcolormesh(
        last.x, last.y, last.vorticity, cmap="RdBu_r", shading="gouraud", vmin=-8, vmax=8
    )
    levels = np.linspace(float(last.streamfunction.min()), 0.0, 10)[1:-1]
    axes[3].contour(
        last.x, last.y, last.streamfunction, levels=levels, colors="black", linewidths=0.6, linestyles="solid"
    )
    reynolds = float(last.reynolds)
    axes[3].set(title=f"cavity, Re = {reynolds:.0f}, t = 2", xlabel="x", ylabel="y", aspect="equal")
    figure.colorbar(shown, ax=axes[3], label="vorticity")
    figure.savefig(Path(__file__).parents[1] / "docs" / "spectral_families.png", dpi=130)


if __name__ == "__main__":
    main()
