"""Fields on planes: the median sample beside the solver at the time of interest, and a film over all judged times."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from lawbound.drawing import Drawing
from lawbound.evidence import Comparison
from lawbound.ink import GREY, INK, WIDTH, Array, style
from lawbound.naming import broken
from lawbound.reference import SOLVER

_COLUMNS = 4  # fields side by side: the solver and three methods
_DPI, _FRAME = 90, 220  # of a film: dots an inch, milliseconds a frame
_QUALITY = 60  # of WebP, in per cent


def has_planes(comparison: Comparison, case: str) -> bool:
    """Whether the case is on a plane."""
    return next(found for found in comparison.cases if found.name == case).film is not None


def fields(comparison: Comparison, case: str, methods: Sequence[str] | None = None) -> Figure:
    """Fields of the median sample at the time of interest, and below, mean minus solver; the solver first.

    Raises `ValueError` for a case on a line.
    """
    stage = _Stage(comparison, case, methods)
    with style():
        return stage.drawn(stage.now, alone=True)


def film(comparison: Comparison, case: str, methods: Sequence[str] | None = None) -> tuple[bytes, bytes]:
    """The same over time, an endless WebP animation, and its still at the time of interest for those who want none."""
    stage = _Stage(comparison, case, methods)
    with style():
        frames = [_rendered(stage.drawn(k)) for k in range(len(stage.times))]
    moving, still = io.BytesIO(), io.BytesIO()
    frames[0].save(
        moving,
        "WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=_FRAME,
        loop=0,
        quality=_QUALITY,
        method=4,
    )
    frames[stage.now].save(still, "WEBP", quality=_QUALITY)
    return moving.getvalue(), still.getvalue()


def _rendered(figure: Figure) -> Image.Image:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_DPI)
    return Image.open(stream).convert("RGB")


class _Stage:
    """What stands side by side; a film has the same scales in all frames, so that only the fields move."""

    def __init__(self, comparison: Comparison, case: str, methods: Sequence[str] | None) -> None:
        drawing = Drawing(comparison, case, methods)
        if drawing.case.film is None:
            raise ValueError(f"The case `{case}` is on a line; `figures.profile` draws it.")
        self.truth: Array = drawing.case.film
        self.drawing, self.methods = drawing, drawing.methods[: _COLUMNS - 1]
        self.films = {
            method: values for method in self.methods if (values := drawing.found[method].film) is not None
        }
        every = np.linspace(0, comparison.t.size - 1, len(self.truth)).round().astype(int)
        self.times = comparison.t[every]
        self.now = int(np.abs(self.times - comparison.time_of_interest).argmin())

    def _scales(self, frames: slice) -> tuple[dict[str, float], dict[str, float]]:
        """Of fields, and of their distance from the solver's."""
        truth = self.truth[frames]
        gaps = [np.abs(values[frames] - truth).max() for values in self.films.values()]
        gap = float(max(gaps, default=0.0)) or 1.0
        return {"vmin": float(truth.min()), "vmax": float(truth.max())}, {"vmin": -gap, "vmax": gap}

    def drawn(self, k: int, *, alone: bool = False) -> Figure:
        """Frame k; alone, it has scales of its own."""
        scale, gap_scale = self._scales(slice(k, k + 1) if alone else slice(None))
        columns = 1 + len(self.films)
        figure = Figure(figsize=(WIDTH, 0.55 + 1.9 * WIDTH / (columns + 0.8)), layout="constrained")
        grid = figure.subplots(2, columns, squeeze=False)
        told = f"{self.drawing.case.field} at t = {self.times[k]:.3g}"
        figure.suptitle(told, fontsize=9, fontweight="bold", parse_math=False)
        look: Any = {"origin": "lower", "interpolation": "nearest"}
        shown = grid[0, 0].imshow(self.truth[k], cmap="viridis", **scale, **look)
        grid[0, 0].set_title(SOLVER, color=INK)
        grid[1, 0].set_visible(False)
        gap = None
        for column, (method, values) in enumerate(self.films.items(), start=1):
            above, below = grid[:, column]
            above.imshow(values[k], cmap="viridis", **scale, **look)
            above.set_title(
                broken(method), color=self.drawing.word(method), fontweight="bold", parse_math=False
            )
            gap = below.imshow(values[k] - self.truth[k], cmap="RdBu_r", **gap_scale, **look)
            below.set_title("minus solver", color=GREY, fontsize=7, pad=2)
        for axes in grid.flat:
            axes.set(xticks=[], yticks=[])
        figure.colorbar(shown, ax=list(grid[0]), fraction=0.05, aspect=14)
        if gap is not None:
            figure.colorbar(gap, ax=list(grid[1]), fraction=0.05, aspect=14)
        return figure
