"""One case of a comparison, drawn into figures or parts of them.

Curves carry their names where they end, so that nobody has to look up a legend.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from lawbound.evidence import NOMINAL, PIT_BINS, Comparison, Evidence
from lawbound.ink import (
    DASHES,
    FAINT,
    GREY,
    INK,
    PALETTE,
    WORDS,
    Array,
    end_labels,
    power_of_ten,
    sparse_decades,
)  # fmt: skip
from lawbound.judging import middle, names_of_shown
from lawbound.naming import broken
from lawbound.reference import SOLVER

_ROUND_OFF = 3e-15  # of a mass of one: a residual below this is rounding and nothing else
_FLOOR = 2e-17  # what a residual of zero is drawn as, on a logarithmic axis
_MANY = 40  # samples drawn one by one, at most
_DOTS = 300  # the same for dots


@final
class Drawing:
    """One case of a comparison, drawn into figures or parts of them."""

    def __init__(self, comparison: Comparison, case: str, methods: Sequence[str] | None) -> None:
        known = {found.name: found for found in comparison.cases}
        drawn = [method for method in comparison.methods if method != SOLVER]
        if case not in known:
            raise ValueError(f"The comparison has no case `{case}`; it has {', '.join(known)}.")
        strange = [method for method in methods or () if method not in drawn]
        if strange:
            raise ValueError(
                f"The comparison has no figures of {', '.join(strange)}; it has {', '.join(drawn)}."
            )
        self.comparison, self.case = comparison, known[case]
        self.methods = list(methods) if methods else drawn
        self._place = {method: i for i, method in enumerate(drawn)}
        self._now = int(np.abs(comparison.t - comparison.time_of_interest).argmin())
        self.columns = _per_row(comparison, self.methods)
        self.rows = -(-len(self.methods) // self.columns)

    @property
    def told(self) -> str:
        """Which sample stands for all."""
        return f"{names_of_shown(len(self.case.shown))[middle(self.case.shown)].capitalize()} sample"

    @property
    def value(self) -> str:
        """What a profile's axis shows."""
        return "$u(t, x)$" if self.case.field == "u" else self.case.field

    def profiles(self, part: FigureBase) -> None:
        """Small multiples of the median sample: bands of several methods would hide one another."""
        grid = part.subplots(self.rows, self.columns, sharex=True, sharey=True, squeeze=False)
        which = middle(self.case.shown)
        for axes, method in zip(grid.flat, self.methods, strict=False):
            self._profile(axes, method, which)
            self._named(axes, method, which)
        for axes in grid.flat[len(self.methods) :]:
            axes.set_visible(False)
        for i, axes in enumerate(grid.flat[: len(self.methods)]):
            if i + self.columns >= len(self.methods):
                axes.set_xlabel("$x$")
                axes.tick_params(labelbottom=True)
            if i % self.columns == 0:
                axes.set_ylabel(self.value)
        self._limit(grid.flat, [which])
        self._key(part)

    def extremes(self, part: FigureBase) -> None:
        """A row for each shown sample, a column for each method."""
        shown = names_of_shown(len(self.case.shown))
        grid = part.subplots(len(shown), len(self.methods), sharex=True, sharey=True, squeeze=False)
        for row, (line, name) in enumerate(zip(grid, shown, strict=True)):
            for axes, method in zip(line, self.methods, strict=True):
                if method != self.methods[0] and self.found[method].push is not None:
                    before = self.found[self.methods[0]].mean[row]
                    axes.plot(self.comparison.x, before, color=GREY, linewidth=0.9, linestyle=":", zorder=2)
                self._profile(axes, method, row)
                if row == 0:
                    self._named(axes, method, row)
                else:
                    axes.set_title(self._missed(method, row), fontsize=7, color=GREY, pad=2)
                if row == len(shown) - 1:
                    axes.set_xlabel("$x$")
            line[0].set_ylabel(f"{name}\n{self.value}" if len(shown) > 1 else self.value)
        self._limit(grid.flat, range(len(shown)))
        self._key(part, before=len(self.methods) > 1)

    def _profile(self, axes: Axes, method: str, which: int) -> None:
        x, mean, std = self.comparison.x, self.found[method].mean[which], self.found[method].std[which]
        colour = self.colour(method)
        axes.plot(x, self.case.truth[which], color=INK, linewidth=1.1, zorder=2)
        axes.fill_between(x, mean - 2 * std, mean + 2 * std, color=colour, alpha=0.25, linewidth=0)
        axes.plot(x, mean, color=colour, linestyle=self.dash(method), zorder=3)
        if self.case.front is not None:
            front = self.case.front[self.case.shown[which]]
            axes.axvline(front, color=GREY, linewidth=0.6, linestyle=(0, (1, 2)), zorder=1)
            axes.plot(
                front, 0, "^", color=INK, markersize=4, clip_on=False, zorder=4,
                transform=axes.get_xaxis_transform(),
            )  # fmt: skip

    def _named(self, axes: Axes, method: str, which: int) -> None:
        axes.set_title(broken(method), color=self.word(method), fontweight="bold", pad=14, parse_math=False)
        axes.text(0, 1.035, self._missed(method, which), transform=axes.transAxes, fontsize=7, color=GREY)

    def _missed(self, method: str, which: int) -> str:
        sample = self.case.shown[which]
        residual = self.found[method].mass[sample, self._now] - self.case.rhs[sample, self._now]
        return f"∫u dx − b = {power_of_ten(residual)}"

    def _limit(self, panels: Iterable[Axes], shown: Iterable[int]) -> None:
        curves = [
            values[i]
            for i in shown
            for values in (self.case.truth, *(self.found[m].mean for m in self.methods))
        ]
        low, high = _span(curves)
        for axes in panels:
            axes.set(xlim=(self.comparison.x[0], self.comparison.x[-1]), ylim=(low, high))
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.yaxis.set_major_locator(MaxNLocator(4))

    def pit(self, part: FigureBase) -> None:
        """One histogram above the other, each against the level line of a calibrated method."""
        axes = part.subplots()
        edges = np.linspace(0.0, 1.0, PIT_BINS + 1)
        for row, method in enumerate(self.methods):
            # 1 is what a calibrated method has in every bin; more than three times that is cut.
            heights = row - 0.28 * np.minimum(self.found[method].pit * PIT_BINS, 3.0)
            colour = self.colour(method)
            axes.stairs(heights, edges, baseline=row, fill=True, color=colour, alpha=0.35, linewidth=0)
            axes.stairs(heights, edges, baseline=row, color=colour, linewidth=0.8)
            axes.axhline(row - 0.28, color=GREY, linewidth=0.7, linestyle=(0, (2, 2)))
        axes.set_yticks(range(len(self.methods)))
        self.name_rows(axes, self.methods)
        axes.set(xlim=(0, 1), ylim=(len(self.methods) - 0.9, -0.95), xticks=[0, 0.25, 0.5, 0.75, 1])
        axes.set_xlabel("PIT (dashed: calibrated)")

    @property
    def error(self) -> str | None:
        """The error that is set against time."""
        return next((key for key in ("rel_l2", "mse") if self._of(self.methods[0], key) is not None), None)

    @property
    def costs(self) -> list[tuple[str, float, float]]:
        """(method, seconds, error) where both are known and above 0."""
        points = [
            (method, self.found[method].seconds, self._of(method, self.error) if self.error else None)
            for method in self.methods
        ]
        return [(method, s, e) for method, s, e in points if e is not None and e > 0.0 and s > 0.0]

    def cost(self, part: FigureBase, height: float) -> None:
        """Down and to the left is better."""
        axes, known = part.subplots(), self.costs
        for method, seconds, error in known:
            axes.plot(seconds, error, "o", color=self.colour(method), markersize=5, alpha=0.9)
        axes.set_xscale("log")
        axes.set_yscale("log")
        times = [s for _, s, _ in known]
        if self.comparison.solver_seconds:
            axes.axvline(self.comparison.solver_seconds, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
            axes.text(
                self.comparison.solver_seconds, 0.98, " solver", transform=axes.get_xaxis_transform(), va="top",
                fontsize=7.5,
            )  # fmt: skip
            times.append(self.comparison.solver_seconds)
        axes.set_xlim(0.4 * min(times), 2.5 * max(times))
        errors = [e for _, _, e in known]
        axes.set_ylim(0.7 * min(errors), 1.4 * max(errors))
        for axis, subs in ((axes.xaxis, (1, 3)), (axes.yaxis, (1, 2, 3, 5))):
            axis.set_major_locator(LogLocator(10, subs=subs, numticks=8))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_locator(NullLocator())
        axes.set(
            xlabel="seconds for one sample",
            ylabel="rel. L2 error" if self.error == "rel_l2" else "MSE",
        )
        end_labels(axes, [(error, method, self.word(method)) for method, _, error in known], 0.8 * height)

    def _of(self, method: str, metric: str) -> float | None:
        return self.comparison.value(method, self.case.name, metric)

    def mass(self, part: FigureBase, height: float) -> None:
        """Both sides of the law and their difference."""
        if self.comparison.t.size == 1:
            self._residual_by_sample(part.subplots())
            return
        above, below = part.subplots(2, 1, sharex=True, height_ratios=(1, 1.15))
        self._both_sides(above, 0.40 * height)
        self._residual(below, 0.45 * height)

    def _both_sides(self, axes: Axes, height: float) -> None:
        t, rhs = self.comparison.t, self.case.rhs
        axes.plot(t, rhs.mean(axis=0), color=INK, linewidth=3.0, alpha=0.85, zorder=2)
        ends = [(float(rhs[:, -1].mean()), "$b(t)$", INK)]
        for method in self.methods:
            masses, colour = self.found[method].mass, self.colour(method)
            axes.plot(t, masses[:_MANY].T, color=colour, linewidth=0.5, alpha=_faint(masses), zorder=1)
            axes.plot(t, masses.mean(axis=0), color=colour, linestyle=self.dash(method), zorder=3)
            ends.append((float(masses[:, -1].mean()), method, self.word(method)))
        axes.set(ylabel="$\\int u\\,dx$", xlim=(t[0], t[-1]))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        end_labels(axes, ends, height)

    def _residual(self, axes: Axes, height: float) -> None:
        t, residuals = self.comparison.t, self._residuals()
        axes.set_yscale("log")
        ends = []
        for method, values in residuals.items():
            colour = GREY if method == SOLVER else self.colour(method)
            word = GREY if method == SOLVER else self.word(method)
            dash = (0, (4, 2)) if method == SOLVER else self.dash(method)
            if method != SOLVER:
                axes.plot(t, values[:_MANY].T, color=colour, linewidth=0.5, alpha=_faint(values))
            middle = np.median(values, axis=0)
            axes.plot(t, middle, color=colour, linestyle=dash, linewidth=1.0 if method == SOLVER else 1.4)
            ends.append((float(middle[-1]), method, word))
        axes.set(xlabel="$t$", ylabel="$|\\int u\\,dx - b|$", xlim=(t[0], t[-1]))
        low, high = self._round_off(residuals)
        axes.set_ylim(low, high)
        axes.axhspan(low, self._rounding, color=FAINT, zorder=0, linewidth=0)
        axes.text(
            0.02, self._rounding, "round-off", transform=axes.get_yaxis_transform(), va="bottom", fontsize=7,
            color=GREY, style="italic",
        )  # fmt: skip
        sparse_decades(axes.yaxis, low, high)
        end_labels(axes, ends, height)

    def _residual_by_sample(self, axes: Axes) -> None:
        residuals = self._residuals()
        axes.set_xscale("log")
        low, high = self._round_off(residuals)
        axes.axvspan(low, self._rounding, color=FAINT, zorder=0, linewidth=0)
        for row, (method, values) in enumerate(residuals.items()):
            colour = GREY if method == SOLVER else self.colour(method)
            # Dots of one method are set apart by the golden ratio, which repeats nothing and needs no chance.
            dots = values[:: -(-len(values) // _DOTS), 0]
            apart = 0.28 * (2 * (np.arange(len(dots)) * 0.618034 % 1.0) - 1)
            axes.plot(dots, row + apart, "o", color=colour, markersize=3, alpha=0.45, markeredgewidth=0)
            middle = float(np.median(values))
            axes.plot([middle, middle], [row - 0.36, row + 0.36], color=colour, linewidth=1.6)
        axes.set_yticks(range(len(residuals)))
        self.name_rows(axes, list(residuals))
        axes.set(xlim=(low, high), ylim=(len(residuals) - 0.4, -0.6))
        axes.set_xlabel(
            f"$|\\int u\\,dx - b|$ at $t$ = {self.comparison.time_of_interest:g}, one dot a sample"
        )
        sparse_decades(axes.xaxis, low, high)
        axes.text(
            self._rounding, -0.55, "round-off ", va="top", ha="right", fontsize=7, color=GREY, style="italic"
        )

    def fronts(self, part: FigureBase, *, told: bool = True) -> None:
        """One histogram above the other, on one axis; heights are each method's own."""
        if self.case.front is None:
            raise ValueError(f"The case `{self.case.name}` has no fronts to draw.")
        axes = part.subplots()
        single = bool(np.ptp(self.case.front) <= 1e-9 * max(1.0, float(np.abs(self.case.front).max())))
        true = float(self.case.front[0]) if single else 0.0
        drawn: dict[str, Array] = {}
        for method in self.methods:
            positions = self.found[method].fronts
            values = np.array([]) if positions is None else positions - (0.0 if single else self.case.front)
            drawn[method] = values[np.isfinite(values)]
        everything = np.concatenate([*drawn.values(), [true]])
        low, high = np.percentile(everything, [0.5, 99.5])
        low, high = min(low, true), max(high, true)
        # Positions are interpolated between stored points: bins of whole spacings show no comb.
        spacing = float(np.median(np.diff(self.comparison.x)))
        width = spacing * max(1, round((high - low) / spacing / 50))
        edges = np.arange(low - 1.5 * width, high + 2.5 * width, width)
        for row, (method, values) in enumerate(drawn.items()):
            colour = self.colour(method)
            axes.axhline(row, color=FAINT, linewidth=0.8, zorder=0)
            if not values.size:
                continue
            counts = np.histogram(values, edges)[0]
            heights = row - 0.82 * counts / max(1, counts.max())
            axes.stairs(heights, edges, baseline=row, fill=True, color=colour, alpha=0.35, linewidth=0)
            axes.stairs(heights, edges, baseline=row, color=colour, linewidth=0.8)
            axes.plot([values.mean()] * 2, [row, row + 0.1], color=colour, linewidth=2.0, clip_on=False)
            if told:
                bias, sd = (self._value(method, metric) for metric in ("front_bias", "front_sd"))
                axes.text(
                    1.01, row - 0.1, f"bias {bias}   sd {sd}", transform=axes.get_yaxis_transform(),
                    fontsize=7, color=GREY,
                )  # fmt: skip
        axes.axvline(true, color=INK, linewidth=1.1, zorder=3)
        axes.text(true, -0.95, "true front", ha="center", va="bottom", fontsize=7.5)
        axes.set_yticks(range(len(drawn)))
        self.name_rows(axes, list(drawn))
        axes.set(xlim=(edges[0], edges[-1]), ylim=(len(drawn) - 0.85, -0.95))
        what = "front position $x$" if single else "front position minus the true one, $x$"
        axes.set_xlabel(f"{what} at $t$ = {self.comparison.time_of_interest:g}")

    def calibration(self, part: FigureBase, height: float) -> None:
        """Below the diagonal a method is too sure, above it too cautious."""
        axes = part.subplots()
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, zorder=1)
        ends = []
        for method in self.methods:
            covered = self.found[method].coverage
            axes.plot(
                NOMINAL, covered, color=self.colour(method), linestyle=self.dash(method), marker="o",
                markersize=2.8, linewidth=1.2, clip_on=False, zorder=3,
            )  # fmt: skip
            ends.append((float(covered[-1]), method, self.word(method)))
        for where, words, side in (
            ((0.97, 0.06), "too sure", "right"),
            ((0.03, 0.94), "too cautious", "left"),
        ):
            axes.text(*where, words, ha=side, va="center", fontsize=7, color=GREY, style="italic", zorder=0)
        ticks = [0, 0.25, 0.5, 0.75, 1]
        axes.set(xlim=(0, 1), ylim=(0, 1), xticks=ticks, yticks=ticks)
        axes.set(xlabel="nominal probability of an interval", ylabel="share of points inside it")
        end_labels(axes, ends, 0.8 * height)

    @property
    def found(self) -> Mapping[str, Evidence]:
        """The evidence of each drawn method in this case."""
        return {method: self.comparison.evidence[method, self.case.name] for method in self.methods}

    def _residuals(self) -> dict[str, Array]:
        """|∫u dx − b| by method, (sample, t); the solver's own first, on the fields as they are stored."""
        own = np.abs(self.case.mass - self.case.rhs)
        # An exact zero of the solver is its initial state: no residual to speak of.
        found = {SOLVER: np.where(own > 0, np.maximum(own, _FLOOR), np.nan if own.any() else _FLOOR)}
        for method in self.methods:
            found[method] = np.maximum(np.abs(self.found[method].mass - self.case.rhs), _FLOOR)
        return found

    @property
    def _rounding(self) -> float:
        return _ROUND_OFF * max(1.0, float(np.nanmax(np.abs(self.case.rhs))))

    def _round_off(self, residuals: Mapping[str, Array]) -> tuple[float, float]:
        """Limits of a residual axis: from below round-off to above everything."""
        largest = max(
            float(np.nanmax(values[np.isfinite(values)], initial=0)) for values in residuals.values()
        )
        return _FLOOR / 2, max(10 * self._rounding, 4 * largest)

    def _value(self, method: str, metric: str) -> str:
        value = self.comparison.value(method, self.case.name, metric)
        return (
            "–"
            if value is None
            else f"{value:+.3f}".replace("-", "−").removeprefix("+" * (metric == "front_sd"))
        )

    def name_rows(self, axes: Axes, methods: Sequence[str]) -> None:
        """Names of methods at the left, in their colours."""
        for label, method in zip(axes.set_yticklabels(methods, parse_math=False), methods, strict=True):
            label.set_color(GREY if method == SOLVER else self.word(method))
            label.set_fontsize(8)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)

    def _key(self, part: FigureBase, *, before: bool = False) -> None:
        handles = [
            Line2D([], [], color=INK, linewidth=1.1, label=SOLVER),
            Patch(color=GREY, alpha=0.3, linewidth=0, label="mean ± 2σ"),
        ]
        if before:
            handles.append(Line2D([], [], color=GREY, linewidth=0.9, linestyle=":", label="mean before"))
        if self.case.front is not None:
            handles.append(
                Line2D([], [], color=INK, marker="^", linestyle="", markersize=4, label="true front")
            )
        # On the title's line, which the layout keeps free.
        part.legend(
            handles=handles,
            loc="upper right",
            bbox_to_anchor=(1, 1),
            ncols=len(handles),
            handlelength=1.6,
            borderaxespad=0,
        )

    def colour(self, method: str) -> str:
        """For lines and areas."""
        return PALETTE[self._place[method] % len(PALETTE)]

    def word(self, method: str) -> str:
        """For words."""
        return WORDS[self._place[method] % len(WORDS)]

    def dash(self, method: str) -> str:
        """Methods beyond the palette are told apart by this."""
        return DASHES[self._place[method] // len(PALETTE) % len(DASHES)]


def _per_row(comparison: Comparison, methods: Sequence[str]) -> int:
    """Panels in a row: a surrogate and what became of it, if that makes even rows; else up to four."""
    starts = [i for i, method in enumerate(methods) if not comparison.inputs.get(method)]
    lengths = set(np.diff([*starts, len(methods)])) if starts[:1] == [0] else set()
    if len(lengths) == 1 and 2 <= (length := int(lengths.pop())) <= 4:
        return length
    return len(methods) if len(methods) <= 4 else 3


def _span(curves: Sequence[Array]) -> tuple[float, float]:
    """Limits that show every curve, with room around them; bands may be cut."""
    values = np.concatenate(curves)
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    room = 0.14 * (high - low) or 0.5
    return low - room, high + room


def _faint(lines: Array) -> float:
    return float(np.clip(1.5 / len(lines[:_MANY]), 0.06, 0.5))
