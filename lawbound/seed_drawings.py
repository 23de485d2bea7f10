"""The seven figures of the two papers, drawn from our own solvers and networks. Titles say what is seen, in numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lawbound.evidence import Case, Comparison
from lawbound.front import Fronts
from lawbound.ink import (
    FAINT,
    GREY,
    INK,
    PALETTE,
    WIDTH,
    WORDS,
    Array,
    end_labels,
    parts,
    power_of_ten,
    sparse_decades,
    style,
)
from lawbound.reference import SOLVER

#: A method keeps its colour in all seven.
_PLACES = {
    "anp": 0, "hardc": 4, "probconserv": 1, "auto": 2, "softc": 3,
    "fno": 0, "fno-bc": 3, "boon": 1, "boon-corrected": 5, "lift": 2, "mirror": 2,
}  # fmt: skip
_FLOOR = 1e-18  # what nothing is drawn as, on a logarithmic axis


@final
@dataclass(frozen=True, eq=False)
class Solved:
    """The solver's fields and those of networks at all stored times, (sample, t, [y,] x), by method."""

    t: Array
    x: Array
    truth: Array
    predicted: Mapping[str, Array]

    def errors(self, method: str) -> Array:
        """‖mean − truth‖ / ‖truth‖ over space, NaN where there is nothing to measure by; (sample, t)."""
        gap, size = (
            np.sqrt((one**2).reshape(*one.shape[:2], -1).sum(axis=-1))
            for one in (self.predicted[method] - self.truth, self.truth)
        )
        return np.asarray(np.where(size > 0.0, gap / np.where(size > 0.0, size, 1.0), np.nan))

    def middle(self, method: str) -> int:
        """The sample of median error of a method."""
        errors = np.nanmean(self.errors(method), axis=1)
        return int(np.argsort(errors)[len(errors) // 2])


def _place(method: str) -> int:
    return _PLACES.get(method, 5)


def colour(method: str) -> str:
    """For lines and areas."""
    return INK if method == SOLVER else PALETTE[_place(method)]


def word(method: str) -> str:
    """For words."""
    return INK if method == SOLVER else WORDS[_place(method)]


def _figure(height: float, title: str, said: str) -> tuple[Figure, Any]:
    """A figure with a title and a line below it, and the part that is left to draw in."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    head, body = parts(figure, 2, 1, height_ratios=(0.42, height - 0.42))
    head.text(0.06 / WIDTH, 0.98, title, fontsize=10.5, fontweight="bold", va="top", parse_math=False)
    head.text(0.06 / WIDTH, 0.42, said, fontsize=8, color=GREY, va="top", parse_math=False)
    return figure, body


def mass_over_time(comparison: Comparison, case: Case, methods: Sequence[str]) -> Figure:
    """∫u dx against b(t), and what is left between the two."""
    found = {method: comparison.evidence[method, case.name].mass for method in methods}
    off = {method: np.abs(mass - case.rhs) for method, mass in found.items()}
    first = methods[0]
    exact = [method for method in methods if off[method].max() < 1e-12]
    title = f"Mass over time, {case.name}: {first} is off by up to {power_of_ten(float(off[first].max()))}"
    said = (
        f"Under {', '.join(exact)} the law ∫u dx = b(t) holds to {power_of_ten(max(float(off[m].max()) for m in exact), 0)}."
        if exact
        else "No method keeps the law to round-off."
    )
    with style():
        figure, body = _figure(3.5, title, f"{said} Thick: b(t). Thin: {case.samples.size} samples.")
        left, right = body.subplots(1, 2)
        ends = []
        left.plot(comparison.t, case.rhs.mean(axis=0), color=INK, linewidth=4.0, alpha=0.25)
        for method in methods:
            mass = found[method]
            left.plot(comparison.t, mass.T, color=colour(method), linewidth=0.4, alpha=0.25)
            left.plot(comparison.t, mass.mean(axis=0), color=colour(method))
            ends.append((float(mass[:, -1].mean()), method, word(method)))
        left.set(xlabel="$t$", ylabel="$\\int u\\,dx$", xlim=(comparison.t[0], comparison.t[-1]))
        end_labels(left, ends, 2.2)
        right.set_yscale("log")
        ends = []
        for method in methods:
            values = np.maximum(off[method], _FLOOR)
            right.plot(comparison.t, values.T, color=colour(method), linewidth=0.4, alpha=0.25)
            right.plot(comparison.t, np.median(values, axis=0), color=colour(method))
            ends.append((float(np.median(values, axis=0)[-1]), method, word(method)))
        low, high = _FLOOR / 2, 5.0 * max(float(values.max()) for values in off.values())
        right.set(
            xlabel="$t$", ylabel="$|\\int u\\,dx - b|$", xlim=(comparison.t[0], comparison.t[-1]), ylim=(low, high)
        )  # fmt: skip
        sparse_decades(right.yaxis, low, high)
        end_labels(right, ends, 2.2)
    return figure


def stefan_profile(comparison: Comparison, case: Case, methods: Sequence[str]) -> Figure:
    """Mean ± 2σ of each method beside the solver, near the front."""
    which = len(case.shown) // 2
    front = float(_front(case)[case.shown[which]])
    errors = {method: comparison.value(method, case.name, "mse") or np.nan for method in methods}
    best = min(methods, key=lambda method: errors[method])
    title = f"Stefan, {case.name}, t = {comparison.time_of_interest:g}: {best} has the least squared error"
    said = f"Sample of median error; mean ± 2σ. Triangle: the true front at {front:.3f}."
    with style():
        figure, body = _figure(2.9, title, said)
        panels = body.subplots(1, len(methods), sharex=True, sharey=True, squeeze=False)[0]
        for axes, method in zip(panels, methods, strict=True):
            one = comparison.evidence[method, case.name]
            mean, std, x = one.mean[which], one.std[which], comparison.x
            axes.plot(x, case.truth[which], color=INK, linewidth=1.2)
            axes.fill_between(
                x, mean - 2 * std, mean + 2 * std, color=colour(method), alpha=0.25, linewidth=0
            )
            axes.plot(x, mean, color=colour(method))
            axes.plot(
                front, 0, "^", color=INK, markersize=5, clip_on=False, transform=axes.get_xaxis_transform()
            )
            axes.set_title(method, color=word(method), fontweight="bold", parse_math=False, pad=12)
            axes.text(
                0,
                1.02,
                f"MSE {power_of_ten(errors[method])}",
                transform=axes.transAxes,
                fontsize=7,
                color=GREY,
            )
            axes.set(xlim=(0.0, min(1.0, 2.0 * front)), ylim=(-0.25, 1.2), xlabel="$x$")
        panels[0].set_ylabel("$u(t, x)$")
        panels[0].legend(handles=[Line2D([], [], color=INK, linewidth=1.2, label=SOLVER)], loc="upper right")
    return figure


def shock_histogram(comparison: Comparison, case: Case, methods: Sequence[str]) -> Figure:
    """The posterior of the front's position from joint samples, by method, around the true front."""
    truth = _front(case)
    shift = float(truth[0]) if np.ptp(truth) < 1e-9 else 0.0
    found: dict[str, Fronts] = {}
    for method in methods:
        drawn = comparison.evidence[method, case.name].fronts
        if drawn is not None:
            found[method] = Fronts(truth, truth, drawn)
    rmse = {method: float(fronts.rmse.mean()) for method, fronts in found.items()}
    best = min(rmse, key=lambda method: rmse[method])
    title = f"Where the front is, {case.name}: {best} errs by {rmse[best]:.3f}, {methods[0]} by {rmse[methods[0]]:.3f}"
    said = "Posterior of the front's position in joint samples; bar: central 95 %, dot: mean. Line: the true front."
    gaps = {method: fronts.drawn - (0.0 if shift else truth) for method, fronts in found.items()}
    everything = np.concatenate([one.ravel() for one in gaps.values()])
    low, high = np.percentile(everything, [0.5, 99.5])
    low, high = min(low, shift), max(high, shift)
    spacing = float(np.median(np.diff(comparison.x)))
    width = spacing * max(1, round((high - low) / spacing / 45))
    edges = np.arange(low - 1.5 * width, high + 2.5 * width, width)
    with style():
        figure, body = _figure(0.9 + 0.62 * len(found), title, said)
        axes = body.subplots()
        for row, (method, fronts) in enumerate(found.items()):
            shares = np.histogram(gaps[method], edges)[0] / gaps[method].size
            axes.stairs(
                row - 0.8 * shares / shares.max(), edges, baseline=row, fill=True, color=colour(method), alpha=0.45, linewidth=0
            )  # fmt: skip
            axes.stairs(
                row - 0.8 * shares / shares.max(), edges, baseline=row, color=colour(method), linewidth=0.9
            )
            ends = np.quantile(gaps[method], [0.025, 0.975])
            axes.plot(ends, [row + 0.08] * 2, color=colour(method), linewidth=2.2)
            axes.plot(gaps[method].mean(), row + 0.08, "o", color=colour(method), markersize=4.5)
            axes.text(
                1.01, row - 0.25, f"bias {fronts.bias.mean():+.3f}\nsd {fronts.spread.mean():.3f}\nRMSE {rmse[method]:.3f}",
                transform=axes.get_yaxis_transform(), fontsize=7, color=GREY, va="center",
            )  # fmt: skip
        axes.axvline(shift, color=INK, linewidth=1.2, zorder=3)
        axes.set_yticks(range(len(found)), list(found), parse_math=False)
        for label, method in zip(axes.get_yticklabels(), found, strict=True):
            label.set(color=word(method), fontsize=9, fontweight="bold")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set(xlim=(edges[0], edges[-1]), ylim=(len(found) - 0.75, -0.95))
        axes.set_xlabel("front position $x$" if shift else "front position minus the true one")
    return figure


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
    title = (
        f"No heat may pass the insulator: {first} lets a slope of up to {power_of_ten(worst[first])} through"
    )
    said = f"{', '.join(exact) or 'No method'}: 0 to the stencil's rounding, at most {power_of_ten(max((worst[m] for m in exact), default=0.0), 0)}. Solver black."
    with style():
        figure, body = _figure(3.3, title, said)
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
    errors = {method: float(np.nanmean(solved.errors(method))) for method in methods}
    best = min(methods, key=lambda method: errors[method])
    ends = {
        method: float(np.abs((solved.predicted[method] - solved.truth)[:, 1:, [0, -1]]).max())
        for method in methods
    }
    title = f"Stokes' second problem: {best} errs least, {power_of_ten(errors[best])}; {methods[0]} {power_of_ten(errors[methods[0]])}"
    said = "Above, the velocity over the wall at some times: solver grey, network in colour. Below, |error|; the wall is at y = 0."
    with style():
        figure, body = _figure(4.5, title, said)
        grid = body.subplots(2, len(methods), sharey="row", squeeze=False)
        gaps = {method: np.abs(solved.predicted[method][which] - solved.truth[which]) for method in methods}
        high = max(float(gap[1:].max()) for gap in gaps.values())
        steps = [round(share * (solved.t.size - 1)) for share in shown]
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
                0, 1.02, f"rel. L2 {power_of_ten(errors[method])}, at walls {power_of_ten(ends[method], 0)}",
                transform=axes.transAxes, fontsize=7, color=GREY,
            )  # fmt: skip
            mesh = below.pcolormesh(
                solved.x, solved.t, np.maximum(gaps[method], 1e-12), cmap="magma",
                norm=LogNorm(high * 1e-4, high), shading="nearest", rasterized=True,
            )  # fmt: skip
            below.set(xlabel="$y$")
        for axes, method in zip(grid[0], methods, strict=True):
            k = steps[-1]
            axes.annotate(
                f"t = {solved.t[k]:.2g}",
                (solved.x[solved.x.size // 8], solved.truth[which, k, solved.x.size // 8]),
                fontsize=6.5, color=word(method), xytext=(8, -10), textcoords="offset points",
            )  # fmt: skip
        grid[0, 0].set_ylabel("velocity $u$")
        grid[1, 0].set_ylabel("$t$")
        if mesh is not None:
            body.colorbar(mesh, ax=list(grid[1]), label="|error|", fraction=0.05, aspect=12)
    return figure


def cavity_start(solved: Solved, lids: Array) -> Figure:
    """What a cavity starts from: rest, the layer under the lid soon after, and lids; lids: speed at mid-lid, (sample, t)."""
    which = solved.middle(next(iter(solved.predicted)))
    still = float(np.abs(solved.truth[:, 0]).max())
    title = f"The cavity starts from rest (largest vorticity {power_of_ten(still, 0)}): all is in how the lid moves"
    said = f"Vorticity of one sample at the start and at the next stored time; the lids of {len(lids)} samples, Re = 100."
    scale = float(np.percentile(np.abs(solved.truth[which, 1]), 99.0)) or 1.0
    with style():
        figure, body = _figure(3.0, title, said)
        one, two, three = body.subplots(1, 3, width_ratios=(1, 1.18, 1.2))
        shown = None
        for axes, k in ((one, 0), (two, 1)):
            shown = _plane(axes, solved.truth[which, k], scale, f"t = {solved.t[k]:.2g}")
        body.colorbar(shown, ax=two, label="vorticity", fraction=0.05)
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
    means = {method: np.nanmean(solved.errors(method), axis=0) for method in methods}
    total = {method: float(np.nanmean(solved.errors(method))) for method in methods}
    best = min(methods, key=lambda method: total[method])
    title = (
        f"Vorticity in the cavity, Re = 100: {best} errs by {power_of_ten(total[best])} of it, mean over time"
    )
    said = "Left, the solver, a network and their difference. Right, relative error of samples (thin) and their mean; dotted, published for other data."
    steps = [round(share * (solved.t.size - 1)) for share in (0.25, 0.6, 1.0)]
    scale = float(np.percentile(np.abs(solved.truth[which, steps]), 98.0)) or 1.0
    gap_scale = float(
        np.percentile(np.abs((solved.predicted[best] - solved.truth)[which, steps]), 99.0)
    ) or 1.0  # fmt: skip
    with style():
        figure, body = _figure(4.4, title, said)
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
    if title:
        axes.set_title(title, fontsize=8)
    return axes.imshow(
        field, origin="lower", cmap=cmap, vmin=-scale, vmax=scale, extent=(0, 1, 0, 1), interpolation="bilinear"
    )  # fmt: skip


def _front(case: Case) -> Array:
    if case.front is None:
        raise ValueError(f"The case `{case.name}` has no front; draw one of Stefan's problem.")
    return case.front
