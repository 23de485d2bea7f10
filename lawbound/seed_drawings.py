"""Mass, profile and front of ProbConserv's figures, drawn from comparisons. Titles say what is seen, in numbers."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lawbound.evidence import Case, Comparison
from lawbound.front import Fronts
from lawbound.ink import GREY, INK, Array, end_labels, power_of_ten, sparse_decades, style
from lawbound.reference import SOLVER
from lawbound.seed_style import colour, headed, named, number, word

_FLOOR = 1e-18  # what nothing is drawn as, on a logarithmic axis


def mass_over_time(comparison: Comparison, case: Case, methods: Sequence[str]) -> Figure:
    """∫u dx against b(t), and what is left between the two."""
    found = {method: comparison.evidence[method, case.name].mass for method in methods}
    off = {method: np.abs(mass - case.rhs) for method, mass in found.items()}
    first = methods[0]
    exact = [method for method in methods if off[method].max() < 1e-12]
    title = f"Mass over time, {named(case.name)}: {first} is off by up to {number(float(off[first].max()))}"
    said = (
        f"Under {', '.join(exact)} the law ∫u dx = b(t) holds to {power_of_ten(max(float(off[m].max()) for m in exact), 0)}."
        if exact
        else "No method keeps the law to round-off."
    )
    with style():
        figure, body = headed(3.5, title, f"{said} Thick: b(t). Thin: {case.samples.size} samples.")
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
    title = (
        f"Stefan, {named(case.name)}, t = {comparison.time_of_interest:g}: {best} has the least squared error"
    )
    said = f"Sample of median error; mean ± 2σ. Triangle: the true front at {front:.3f}."
    with style():
        figure, body = headed(2.9, title, said)
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
                f"MSE {number(errors[method])}",
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
    other = f", {methods[0]} by {rmse[methods[0]]:.3f}" if best != methods[0] else ", the least of all"
    title = f"Where Stefan's front is, {named(case.name)}: {best} is off by {rmse[best]:.3f}{other}"
    said = "Posterior of the front's position in joint samples; bar: central 95 %, dot: mean. Line: the true front."
    gaps = {method: fronts.drawn - (0.0 if shift else truth) for method, fronts in found.items()}
    everything = np.concatenate([one.ravel() for one in gaps.values()])
    low, high = np.percentile(everything, [0.5, 99.5])
    low, high = min(low, shift), max(high, shift)
    spacing = float(np.median(np.diff(comparison.x)))
    width = spacing * max(1, round((high - low) / spacing / 45))
    edges = np.arange(low - 1.5 * width, high + 2.5 * width, width)
    with style():
        figure, body = headed(0.9 + 0.62 * len(found), title, said)
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
                1.01, row - 0.25, f"bias {_signed(fronts.bias.mean())}\nsd {fronts.spread.mean():.3f}\nRMSE {rmse[method]:.3f}",
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


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _front(case: Case) -> Array:
    if case.front is None:
        raise ValueError(f"The case `{case.name}` has no front; draw one of Stefan's problem.")
    return case.front
