"""Insulator, Stokes and cavity of BOON's figures, drawn from fields. Titles say what is seen, in numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lawbound.ink import FAINT, GREY, INK, PALETTE, Array, end_labels, parts, power_of_ten, style
from lawbound.reference import SOLVER
from lawbound.seed_style import Solved, colour, headed, number, word


def insulator_flux(solved: Solved, slopes: Mapping[str, Array], heater: Array) -> Figure:
    """Temperatures of one sample, and the slopes at both walls over time.

    slopes: ∂u/∂x at x = 0 and 1 by the same one-sided stencil, (sample, t, 2), the solver's among them; heater: what is
    prescribed at x = 1, (t,).
    """
    methods = [method for method in slopes if method != SOLVER]
    first, which = methods[0], solved.middle(methods[0])
    later = solved.t > solved.t[0]
    worst = {method: float(np.abs(slopes[method][:, later, 0]).max()) for method in methods}
    exact = [method for method in methods if worst[method] < 1e-4]
    title = f"No heat may pass the insulator: {first} lets a slope of up to {number(worst[first])} through"
    kept = f"{' and '.join(exact)}: at most {power_of_ten(max(worst[m] for m in exact), 0)}." if exact else ""
    said = f"{kept} One sample, slopes by one stencil for all; thick grey, the solver and what is prescribed."
    with style():
        figure, body = headed(3.3, title, said)
        one, two, three = body.subplots(1, 3, width_ratios=(1.25, 1, 1))
        k = len(solved.t) // 2
        one.plot(solved.x, solved.truth[which, k], color=INK, linewidth=2.4, alpha=0.4)
        for method in methods:
            one.plot(solved.x, solved.predicted[method][which, k], color=colour(method), linewidth=1.0)
        one.set(xlabel="$x$", ylabel="$u(t, x)$", xlim=(solved.x[0], solved.x[-1]))
        one.set_title(f"a   Temperature, t = {solved.t[k]:.2g}", fontweight="bold")
        for axes, side, name in (
            (two, 0, "b   Slope at the insulator"),
            (three, 1, "c   Slope at the heater"),
        ):
            axes.set_title(name, fontweight="bold")
            wanted = np.zeros_like(heater) if side == 0 else heater
            axes.plot(solved.t, wanted, color=INK, linewidth=2.4, alpha=0.4)
            ends = []
            for method in methods:
                axes.plot(
                    solved.t[later], slopes[method][which, later, side], color=colour(method), linewidth=1.0
                )
                ends.append((float(slopes[method][which, -1, side]), method, word(method)))
            axes.set(xlabel="$t$", xlim=(solved.t[0], solved.t[-1]))
            if side == 1:
                end_labels(axes, ends, 2.2)
    return figure


def stokes(solved: Solved, methods: Sequence[str], shown: Sequence[float] = (0.0, 0.35, 0.7, 1.0)) -> Figure:
    """Profiles of one sample at some times, as shares of the last, and the error at all points and times."""
    which = solved.middle(methods[0])
    errors = {method: solved.error(method) for method in methods}
    best = min(methods, key=lambda method: errors[method])
    ends = {
        method: float(np.abs((solved.predicted[method] - solved.truth)[:, 1:, [0, -1]]).max())
        for method in methods
    }
    title = f"Stokes' second problem: {best} errs least, {number(errors[best])}; {methods[0]} {number(errors[methods[0]])}"
    steps = [round(share * (solved.t.size - 1)) for share in shown]
    at = ", ".join(f"{solved.t[k]:.2g}" for k in steps)
    said = f"Above, velocity at t = {at}, later ones stronger; solver grey. Below, |error|. The moving wall is at y = 0."
    with style():
        figure, body = headed(4.5, title, said)
        grid = body.subplots(2, len(methods), sharey="row", squeeze=False)
        gaps = {method: np.abs(solved.predicted[method][which] - solved.truth[which]) for method in methods}
        high = max(float(gap[1:].max()) for gap in gaps.values())
        mesh = None
        for axes, below, method in zip(*grid, methods, strict=True):
            for place, k in enumerate(steps):
                axes.plot(solved.x, solved.truth[which, k], color=GREY, linewidth=3.0, alpha=0.35)
                axes.plot(
                    solved.x, solved.predicted[method][which, k], color=colour(method), alpha=0.4 + 0.2 * place, linewidth=1.1
                )  # fmt: skip
            axes.set(xlim=(solved.x[0], solved.x[-1]), xlabel="$y$")
            axes.set_title(method, color=word(method), fontweight="bold", parse_math=False, pad=12)
            axes.text(
                0, 1.02, f"rel. L2 {number(errors[method])}, at walls {number(ends[method])}",
                transform=axes.transAxes, fontsize=7, color=GREY,
            )  # fmt: skip
            mesh = below.pcolormesh(
                solved.x, solved.t, np.maximum(gaps[method], 1e-12), cmap="magma",
                norm=LogNorm(high * 1e-4, high), shading="nearest", rasterized=True,
            )  # fmt: skip
            below.set(xlabel="$y$")
        for axes in grid.flat:
            axes.xaxis.set_major_locator(MaxNLocator(4))
        grid[0, 0].set_ylabel("velocity $u$")
        grid[1, 0].set_ylabel("$t$")
        if mesh is not None:
            body.colorbar(mesh, ax=list(grid[1]), label="|error|", fraction=0.05, aspect=12)
    return figure


def cavity_start(solved: Solved, lids: Array) -> Figure:
    """What a cavity starts from: rest, the layer under the lid soon after, and lids; lids: speed at mid-lid, (sample, t)."""
    which = solved.middle(next(iter(solved.predicted)))
    still = float(np.abs(solved.truth[:, 0]).max())
    title = f"The cavity starts from rest (largest vorticity {number(still)}): all is in how the lid moves"
    said = f"Vorticity of one sample at the start and at the next stored time; the lids of {len(lids)} samples, Re = 100."
    scale = float(np.percentile(np.abs(solved.truth[which, 1]), 99.0)) or 1.0
    with style():
        figure, body = headed(3.0, title, said)
        one, two, three = body.subplots(1, 3, width_ratios=(1, 1, 1.1))
        shown = None
        for axes, k in ((one, 0), (two, 1)):
            shown = _plane(axes, solved.truth[which, k], scale, f"t = {solved.t[k]:.2g}")
        body.colorbar(shown, ax=[one, two], label="vorticity", fraction=0.04)
        three.plot(solved.t, lids.T, color=GREY, linewidth=0.7, alpha=0.6)
        three.plot(solved.t, lids[which], color=PALETTE[1], linewidth=1.8)
        three.set(xlabel="$t$", xlim=(solved.t[0], solved.t[-1]))
        three.set_title("speed of the lid, $u(t, ½, 1)$", fontsize=8)
    return figure


def cavity_errors(
    solved: Solved, methods: Sequence[str], published: Mapping[str, tuple[Array, Array]]
) -> Figure:
    """Vorticity of one sample at three times, its error, and the relative error over time; published: (t, error) by method."""
    which = solved.middle(methods[-1])
    means = {method: solved.errors(method).mean(axis=0) for method in methods}  # NaN where all is still
    total = {method: solved.error(method) for method in methods}
    best = min(methods, key=lambda method: total[method])
    title = f"Vorticity in the cavity, Re = 100: {best} errs by {number(total[best])} of it over all times"
    said = "Left, one sample. Right, relative error of samples (thin) and its mean; dotted, BOON's video, of other data."
    steps = [round(share * (solved.t.size - 1)) for share in (0.25, 0.6, 1.0)]
    scale = float(np.percentile(np.abs(solved.truth[which, steps]), 98.0)) or 1.0
    gap_scale = float(
        np.percentile(np.abs((solved.predicted[best] - solved.truth)[which, steps]), 99.0)
    ) or 1.0  # fmt: skip
    with style():
        figure, body = headed(4.4, title, said)
        left, right = parts(body, 1, 2, width_ratios=(1.45, 1))
        grid = left.subplots(3, 3)
        for column, k in enumerate(steps):
            field = _plane(grid[0, column], solved.truth[which, k], scale, f"t = {solved.t[k]:.2g}")
            _plane(grid[1, column], solved.predicted[best][which, k], scale, "")
            gap = _plane(
                grid[2, column], (solved.predicted[best] - solved.truth)[which, k], gap_scale, "", "PuOr_r"
            )
        for axes, name in zip(grid[:, 0], (SOLVER, best, "difference"), strict=True):
            axes.set_ylabel(
                name, color=word(name) if name in methods else INK, fontsize=8.5, fontweight="bold"
            )
        left.colorbar(field, ax=list(grid[:2].flat), fraction=0.04, aspect=22)
        left.colorbar(gap, ax=list(grid[2]), fraction=0.04, aspect=10)
        axes = right.subplots()
        axes.set_yscale("log")
        ends = []
        for method in methods:
            errors = solved.errors(method)
            axes.plot(solved.t, errors.T, color=colour(method), linewidth=0.4, alpha=0.25)
            axes.plot(solved.t, means[method], color=colour(method), linewidth=1.8)
            ends.append((float(means[method][-1]), method, word(method)))
        for method, (t, values) in published.items():
            axes.plot(t, values, color=GREY, linewidth=1.2, linestyle=":")
            ends.append((float(values[-1]), f"{method}, published", GREY))
        axes.set(xlabel="$t$", ylabel="relative error of vorticity", xlim=(solved.t[1], solved.t[-1] * 1.001))
        axes.grid(axis="y", color=FAINT)
        end_labels(axes, ends, 3.2)
    return figure


def _plane(axes: Axes, field: Array, scale: float, title: str, cmap: str = "RdBu_r") -> Any:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    if title:
        axes.set_title(title, fontsize=8)
    return axes.imshow(
        field, origin="lower", cmap=cmap, vmin=-scale, vmax=scale, extent=(0, 1, 0, 1), interpolation="bilinear"
    )  # fmt: skip
