"""What laws say of a comparison: their residuals over time with the solver's floor, and where enforcement moved what."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lawbound.drawing import Drawing
from lawbound.evidence import Comparison, Push
from lawbound.ink import FAINT, GREY, INK, WIDTH, end_labels, sparse_decades, style, titled
from lawbound.reference import SOLVER

_FLOOR = 2e-17  # what a residual of zero is drawn as
_MOST = 4  # laws in one figure
_PUSHED = 8  # methods in one figure


def laws_drawn(comparison: Comparison, case: str) -> list[str]:
    """The laws that have a panel in `laws`: those that anything breaks, but for the one that `figures.mass` shows."""
    known = next(found for found in comparison.cases if found.name == case)
    methods = [method for method in comparison.methods if method != SOLVER]

    def broken(law: str) -> bool:
        each = (comparison.evidence[method, case].residuals.get(law) for method in methods)
        return any(
            values is not None and bool((values > _FLOOR).any()) for values in (known.residuals[law], *each)
        )

    return [law for law in known.residuals if law != "conservation" and broken(law)][:_MOST]


def laws(comparison: Comparison, case: str, methods: Sequence[str] | None = None) -> Figure:
    """A panel for each law: median over samples of its largest |residual|, over time, or by method at a single time.

    Grey and dashed the solver: before its fields were stored where the data say so, else as they are stored. Raises
    `ValueError` where no law but conservation is broken by anything.
    """
    drawing, names = Drawing(comparison, case, methods), laws_drawn(comparison, case)
    if not names:
        raise ValueError(f"The case `{case}` has no residuals of further laws to draw.")
    columns = min(2, len(names))
    rows = -(-len(names) // columns)
    with style():
        figure = Figure(figsize=(WIDTH * columns / 2, 2.6 * rows + 0.3), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, law in zip(grid.flat, names, strict=False):
            axes.set_title(law, fontweight="bold", parse_math=False)
            (_at_once if comparison.t.size == 1 else _over_time)(drawing, axes, law)
        for axes in grid.flat[len(names) :]:
            axes.set_visible(False)
    return figure


def _followed(drawing: Drawing, law: str) -> dict[str, np.ndarray]:
    """|residual| by method, (sample, t), the solver's own first."""
    case = drawing.case
    own = case.floors.get(law, case.residuals[law])
    found = {SOLVER: own}
    for method in drawing.methods:
        residuals = drawing.found[method].residuals
        if law in residuals:
            found[method] = residuals[law]
    # An exact zero, such as that of an initial state, is no residual to speak of.
    return {method: np.where(values > _FLOOR, values, np.nan) for method, values in found.items()}


def _over_time(drawing: Drawing, axes: Axes, law: str) -> None:
    t, ends = drawing.comparison.t, []
    found = _followed(drawing, law)
    axes.set_yscale("log")
    for method, values in found.items():
        solver = method == SOLVER
        middle = _medians(values)
        axes.plot(
            t, middle, color=GREY if solver else drawing.colour(method),
            linestyle=(0, (4, 2)) if solver else drawing.dash(method), linewidth=1.0 if solver else 1.4,
        )  # fmt: skip
        ends.append((float(middle[-1]), method, GREY if solver else drawing.word(method)))
    low, high = _limits(found)
    axes.set(xlabel="$t$", ylabel="largest |residual|", xlim=(t[0], t[-1]), ylim=(low, high))
    sparse_decades(axes.yaxis, low, high)
    end_labels(axes, ends, 1.9)


def _at_once(drawing: Drawing, axes: Axes, law: str) -> None:
    found = _followed(drawing, law)
    axes.set_xscale("log")
    for row, (method, values) in enumerate(found.items()):
        colour = GREY if method == SOLVER else drawing.colour(method)
        here = values[np.isfinite(values[:, 0]), 0]
        low, median, high = np.quantile(here, [0.05, 0.5, 0.95]) if here.size else (_FLOOR, _FLOOR, _FLOOR)
        axes.plot([low, high], [row, row], color=colour, linewidth=1.6, alpha=0.6)
        axes.plot(median, row, "o", color=colour, markersize=4)
    axes.set_yticks(range(len(found)))
    drawing.name_rows(axes, list(found))
    low, high = _limits(found)
    axes.set(xlim=(low, high), ylim=(len(found) - 0.5, -0.5))
    axes.set_xlabel("largest |residual|: median, and 90 % of samples")
    sparse_decades(axes.xaxis, low, high)


def _limits(found: dict[str, np.ndarray]) -> tuple[float, float]:
    values = np.concatenate([_medians(values) for values in found.values()])
    values = values[np.isfinite(values)]
    return (0.2 * float(values.min()), 5.0 * float(values.max())) if values.size else (_FLOOR / 2, 1.0)


def _medians(values: np.ndarray) -> np.ndarray:
    """Over samples, NaN where there is nothing: without the warning that NumPy has for that."""
    some = np.isfinite(values).any(axis=0)
    return np.where(some, np.nanmedian(np.where(some, values, 0.0), axis=0), np.nan)


def pushed(comparison: Comparison, case: str) -> list[str]:
    """The methods that `push` draws."""
    return [
        method for method in comparison.methods
        if method != SOLVER and comparison.evidence[method, case].push is not None
    ][:_PUSHED]  # fmt: skip


def push(comparison: Comparison, case: str) -> Figure:
    """Left, where enforcement moved the mean field at the time of interest; right, the multipliers of its rows over time.

    Raises `ValueError` where nothing was enforced.
    """
    names = pushed(comparison, case)
    if not names:
        raise ValueError(f"Nothing was enforced in the case `{case}`.")
    drawing = Drawing(comparison, case, None)
    timed = comparison.t.size > 1
    with style():
        figure = Figure(figsize=(WIDTH, 0.5 + 1.15 * len(names)), layout="constrained")
        titled(figure, WIDTH, f"What enforcement did in {case}")
        grid = figure.subplots(
            len(names),
            1 + timed,
            squeeze=False,
            sharex="col",
            gridspec_kw={"width_ratios": (1.5, 1)[: 1 + timed]},
        )
        for line, method in zip(grid, names, strict=True):
            done = drawing.found[method].push
            assert done is not None  # `pushed` has looked
            _moved(line[0], drawing, method, done)
            if timed:
                _multipliers(line[1], comparison, done)
        grid[-1][0].set_xlabel(f"$x$, at $t$ = {comparison.time_of_interest:g}")
        if timed:
            grid[-1][1].set_xlabel("$t$")
    return figure


def _moved(axes: Axes, drawing: Drawing, method: str, done: Push) -> None:
    x, colour = drawing.comparison.x, drawing.colour(method)
    axes.axhline(0.0, color=GREY, linewidth=0.6)
    low, high = np.quantile(done.changes, [0.05, 0.95], axis=0)
    axes.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0)
    axes.plot(x, done.shift, color=colour, linewidth=1.2)
    axes.set_title(method, color=drawing.word(method), fontweight="bold", parse_math=False, pad=3)
    limit = 1.15 * float(np.abs([low, high, done.shift]).max()) or 1.0
    axes.set(xlim=(x[0], x[-1]), ylim=(-limit, limit), ylabel="Δ mean")


def _multipliers(axes: Axes, comparison: Comparison, done: Push) -> None:
    t = comparison.t
    axes.set(xlim=(t[0], t[-1]))
    axes.set_title("multipliers", color=GREY, pad=3)
    if not done.labels or not np.isfinite(done.multipliers).any():
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no linear rows", transform=axes.transAxes, ha="center", color=GREY, fontsize=7)
        return
    axes.axhline(0.0, color=GREY, linewidth=0.6)
    shades = (INK, GREY, "#9a9a9a", "#c0c0c0", "#56B4E9", "#E69F00")
    ends = []
    for i, (label, shade) in enumerate(zip(done.labels, shades, strict=False)):
        low, middle, high = np.nanquantile(done.multipliers[..., i], [0.05, 0.5, 0.95], axis=0)
        axes.fill_between(t, low, high, color=shade, alpha=0.15 if len(done.labels) < 3 else 0.0, linewidth=0)
        axes.plot(t, middle, color=shade, linewidth=1.1)
        ends.append((float(middle[-1]), label, shade))
    axes.set_facecolor("none")
    axes.grid(axis="y", color=FAINT, linewidth=0.5)
    end_labels(axes, ends, 0.85)
