"""Figures of one case of a comparison: profiles, mass, front, calibration, cost, and an overview for a page."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from lawbound.drawing import Drawing
from lawbound.evidence import Comparison
from lawbound.ink import INK, WIDTH, parts, style, titled, to_png, to_svg

__all__ = [
    "INK", "calibration", "cost", "extremes", "fronts", "mass", "panel", "pit", "profile", "to_png", "to_svg",
]  # fmt: skip

COLUMNS = 4  # methods side by side, at most
_PANEL = 1.7  # inches, height of one profile


def profile(comparison: Comparison, case: str, methods: Sequence[str] | None = None) -> Figure:
    """The median sample at the time of interest: mean ± 2σ of each method beside the solver."""
    drawing = Drawing(comparison, case, methods)
    with style():
        figure = Figure(figsize=(WIDTH, 0.3 + _PANEL * drawing.rows), layout="constrained")
        titled(figure, WIDTH, f"{drawing.told} of {drawing.case.name} at t = {comparison.time_of_interest:g}")
        drawing.profiles(figure)
    return figure


def extremes(comparison: Comparison, case: str, methods: Sequence[str] | None = None) -> Figure:
    """The best, the median and the worst sample, one below the other; a column for each method.

    Under a constraint the mean as it was before is dotted. Raises `ValueError` for more than four methods.
    """
    drawing = Drawing(comparison, case, methods)
    if len(drawing.methods) > COLUMNS:
        raise ValueError(f"{len(drawing.methods)} methods do not fit side by side; name at most {COLUMNS}.")
    with style():
        figure = Figure(figsize=(WIDTH, 0.5 + 1.45 * len(drawing.case.shown)), layout="constrained")
        titled(figure, WIDTH, f"{drawing.case.name} at t = {comparison.time_of_interest:g}")
        drawing.extremes(figure)
    return figure


def pit(comparison: Comparison, case: str, methods: Sequence[str] | None = None) -> Figure:
    """Where the truth lies in the predicted distributions: flat where they mean what they say."""
    drawing = Drawing(comparison, case, methods)
    with style():
        figure = Figure(figsize=(WIDTH / 2, 3.3), layout="constrained")
        drawing.pit(figure)
    return figure


def cost(comparison: Comparison, case: str, methods: Sequence[str] | None = None) -> Figure:
    """Error of the mean against the time that a sample takes; the solver's own time beside it.

    Raises `ValueError` where no method has an error (`has_cost`).
    """
    drawing = Drawing(comparison, case, methods)
    if not drawing.costs:
        raise ValueError(
            f"The case `{case}` has neither a relative L2 nor an MSE above 0 to set against time; score one of them."
        )
    with style():
        figure = Figure(figsize=(WIDTH / 2, 3.3), layout="constrained")
        drawing.cost(figure, 3.3)
    return figure


def mass(comparison: Comparison, case: str, methods: Sequence[str] | None = None) -> Figure:
    """∫u dx against the law's b(t), and what is left between the two; for a single time, the latter by sample."""
    drawing = Drawing(comparison, case, methods)
    with style():
        figure = Figure(figsize=(WIDTH / 2, 3.3), layout="constrained")
        drawing.mass(figure, 3.3)
    return figure


def fronts(comparison: Comparison, case: str, methods: Sequence[str] | None = None) -> Figure:
    """Where joint samples have their front, against the true one; raises `ValueError` for a case without fronts."""
    drawing = Drawing(comparison, case, methods)
    with style():
        figure = Figure(figsize=(WIDTH, 0.65 + 0.38 * len(drawing.methods)), layout="constrained")
        drawing.fronts(figure)
    return figure


def calibration(comparison: Comparison, case: str, methods: Sequence[str] | None = None) -> Figure:
    """How often the truth lies inside central intervals, against how often it should."""
    drawing = Drawing(comparison, case, methods)
    with style():
        figure = Figure(figsize=(WIDTH / 2, 3.3), layout="constrained")
        drawing.calibration(figure, 3.3)
    return figure


def has_cost(comparison: Comparison, case: str) -> bool:
    """Whether there is an error to set against time."""
    return bool(Drawing(comparison, case, None).costs)


def panel(comparison: Comparison, case: str, methods: Sequence[str] | None = None) -> Figure:
    """An overview: profiles above; mass, and fronts (calibration where there are none), below."""
    drawing = Drawing(comparison, case, methods)
    heights = (0.3 + _PANEL * drawing.rows, 2.9)
    with style():
        figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
        above, below = parts(figure, 2, 1, height_ratios=heights, hspace=0.04)
        left, right = parts(below, 1, 2, wspace=0.04)
        at = f"t = {comparison.time_of_interest:g}"
        titled(above, WIDTH, f"a   {drawing.told} of {drawing.case.name} at {at}")
        drawing.profiles(above)
        titled(left, WIDTH / 2, "b   The law ∫u dx = b")
        drawing.mass(left, 2.6)
        if drawing.case.front is not None:
            titled(right, WIDTH / 2, f"c   Front at {at}, joint samples")
            drawing.fronts(right, told=False)
        else:
            titled(right, WIDTH / 2, f"c   Calibration at {at}")
            drawing.calibration(right, 2.6)
    return figure
