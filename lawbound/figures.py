"""Figures of one case of a comparison: profile, mass, front, calibration, and an overview of the first three.

Colours are Okabe and Ito's, which stay apart for the colour-blind and in grey; a method keeps its colour in every
figure. Curves carry their names where they end, so that nobody has to look up a legend.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, final

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from numpy.typing import NDArray

from lawbound.compare import NOMINAL, Case, Comparison, Evidence
from lawbound.table import SOLVER

__all__ = ["calibration", "fronts", "mass", "panel", "profile", "to_png", "to_svg"]

Array = NDArray[np.float64]

WIDTH = 7.4  # inches, the text width of a journal page; half of it for small figures
INK, GREY, FAINT = "#1a1a1a", "#6b6b6b", "#e9e9e6"
#: Okabe and Ito without black (the reference) and yellow (invisible on white).
PALETTE = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
#: The same, dark enough for words: contrast 4.5 or more on white.
WORDS = ("#B04E00", "#0072B2", "#00795A", "#A8447D", "#8F6200", "#1F74A8")
DASHES = ("-", "--", ":")
_SMALLEST = 1e-18  # what a residual of exactly zero is drawn as, on a logarithmic axis
_ROUND_OFF = 2e-15  # of a mass of one: where residuals are nothing but rounding
_STYLE: Mapping[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.0,
    "mathtext.fontset": "dejavusans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.6,
    "axes.labelcolor": INK,
    "axes.labelsize": 8.0,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 5.0,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.4,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "lawbound",
}


@final
class _Look:
    """Colour and dash of each method, by its place in the whole comparison."""

    def __init__(self, comparison: Comparison) -> None:
        methods = [method for method in comparison.methods if method != SOLVER]
        self._place = {method: i for i, method in enumerate(methods)}

    def colour(self, method: str) -> str:
        return PALETTE[self._place[method] % len(PALETTE)]

    def word(self, method: str) -> str:
        return WORDS[self._place[method] % len(WORDS)]

    def dash(self, method: str) -> str:
        return DASHES[self._place[method] // len(PALETTE) % len(DASHES)]


def profile(comparison: Comparison, case: str, methods: Sequence[str] | None = None) -> Figure:
    """The case's first sample at the time of interest: mean ± 2σ of each method over the solver's solution."""
    chosen = _chosen(comparison, methods)
    columns = _per_row(comparison, chosen)
    rows = -(-len(chosen) // columns)
    with _style():
        figure = Figure(figsize=(WIDTH, 0.35 + 1.75 * rows), layout="constrained")
        grid = figure.add_gridspec(rows, columns)
        _draw_profiles(figure, grid, comparison, _case(comparison, case), chosen)
    return figure


def mass(comparison: Comparison, case: str, methods: Sequence[str] | None = None) -> Figure:
    """∫u dx against the law's b(t), and what is left between them; for a single time, the latter by sample."""
    chosen = _chosen(comparison, methods)
    with _style():
        height = 3.4 if comparison.t.size > 1 else 0.9 + 0.3 * (len(chosen) + 1)
        figure = Figure(figsize=(WIDTH / 2, height), layout="constrained")
        if comparison.t.size > 1:
            above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1))
            _draw_mass(above, comparison, _case(comparison, case), chosen)
            _draw_residual(below, comparison, _case(comparison, case), chosen)
        else:
            _draw_residual_strip(figure.subplots(), comparison, _case(comparison, case), chosen)
    return figure


def fronts(comparison: Comparison, case: str, methods: Sequence[str] | None = None) -> Figure:
    """Where joint samples of each method have their front, against the true one; `ValueError` without fronts."""
    chosen = _chosen(comparison, methods)
    with _style():
        figure = Figure(figsize=(WIDTH, 0.6 + 0.42 * len(chosen)), layout="constrained")
        _draw_fronts(figure.subplots(), comparison, _case(comparison, case), chosen)
    return figure


def calibration(comparison: Comparison, case: str, methods: Sequence[str] | None = None) -> Figure:
    """Empirical against nominal coverage of central intervals."""
    with _style():
        figure = Figure(figsize=(WIDTH / 2, 3.0), layout="constrained")
        _draw_calibration(
            figure.subplots(), comparison, _case(comparison, case), _chosen(comparison, methods)
        )
    return figure


def panel(comparison: Comparison, case: str, methods: Sequence[str] | None = None) -> Figure:
    """Profile above, mass and (where there are any) fronts below."""
    chosen = _chosen(comparison, methods)
    told = _case(comparison, case)
    columns = _per_row(comparison, chosen)
    rows = -(-len(chosen) // columns)
    with _style():
        figure = Figure(figsize=(WIDTH, 0.5 + 1.75 * rows + 2.7), layout="constrained")
        above, below = figure.subfigures(2, 1, height_ratios=(0.3 + 1.75 * rows, 2.7), hspace=0.03)
        _draw_profiles(above, above.add_gridspec(rows, columns), comparison, told, chosen)
    return figure
