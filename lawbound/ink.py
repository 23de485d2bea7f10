"""What all figures share: one style whatever the user's own, colours, labels at the ends of curves, files.

Colours are Okabe and Ito's, which stay apart for the colour-blind; a method keeps its colour in every figure.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from numpy.typing import NDArray

Array = NDArray[np.float64]

WIDTH = 7.4  # inches: the text of a journal page; small figures have half of it
INK, GREY, FAINT = "#1a1a1a", "#6b6b6b", "#efefec"
#: Okabe and Ito without black, which is the reference, and yellow, which white swallows.
PALETTE = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
#: The same, dark enough for words on white.
WORDS = ("#B04E00", "#00619A", "#007455", "#A3457A", "#8A5F00", "#1F6F9F")
DASHES = ("-", "--", ":")
_LINE = 0.135  # inches between two labels
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_STYLE: Any = {  # newer matplotlib types its keys, older one does not
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
    "legend.fontsize": 7.5,
    "legend.frameon": False,
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
    "lines.solid_capstyle": "round",
    "svg.fonttype": "path",
    "svg.hashsalt": "lawbound",
}


def to_svg(figure: Figure) -> str:
    """A stand-alone SVG, the same text for the same figure."""
    stream = io.StringIO()
    with style():
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def to_png(figure: Figure, path: str | Path, *, dpi: int = 200) -> Path:
    """A bitmap, for places that take no SVG."""
    with style():
        figure.savefig(path, format="png", dpi=dpi, metadata={"Software": None})
    return Path(path)


def to_webp(figure: Figure, *, dpi: int = 192) -> bytes:
    """A bitmap for a page that would be too large with drawings."""
    stream = io.BytesIO()
    with style():
        figure.savefig(stream, format="webp", dpi=dpi, pil_kwargs={"lossless": True})
    return stream.getvalue()


@contextmanager
def style() -> Iterator[None]:
    """Our settings and matplotlib's own defaults, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def power_of_ten(value: float, digits: int = 1) -> str:
    """3.1e-02 as 3.1×10⁻²."""
    if value == 0.0 or not np.isfinite(value):
        return f"{value:g}"
    mantissa, _, power = f"{value:.{digits}e}".partition("e")
    return f"{mantissa}×10{str(int(power)).translate(_RAISED)}".replace("-", "−")


def sparse_decades(axis: Any, low: float, high: float) -> None:
    """A tick at every third decade or so, no minor ones."""
    decades = np.arange(np.ceil(np.log10(low)), np.floor(np.log10(high)) + 1)
    step = max(1, -(-decades.size // 6))
    ticks = [int(decade) for decade in decades[::-1][::step]]
    axis.set_ticks([10.0**tick for tick in ticks], [f"10{str(tick).translate(_RAISED)}" for tick in ticks])
    axis.set_ticks([], minor=True)


def end_labels(axes: Axes, ends: Sequence[tuple[float, str, str]], height: float) -> None:
    """Names at the right ends of curves (value, name, colour), pushed apart where they would collide."""
    to_axes = axes.transData + axes.transAxes.inverted()
    wanted = np.array([to_axes.transform((axes.get_xlim()[1], value))[1] for value, _, _ in ends])
    wanted = np.clip(np.nan_to_num(wanted, nan=0.5), 0.0, 1.0)
    placed = apart(wanted, _LINE / height)
    for (_, name, colour), start, place in zip(ends, wanted, placed, strict=True):
        axes.plot(
            [1.005, 1.035],
            [start, place],
            color=colour,
            linewidth=0.6,
            transform=axes.transAxes,
            clip_on=False,
        )
        axes.text(
            1.045, place, name, transform=axes.transAxes, color=colour, va="center", fontsize=7.5,
            parse_math=name.startswith("$b"),
        )  # fmt: skip


def apart(wanted: Array, gap: float) -> Array:
    """The nearest positions within [0, 1] that keep a distance; least squares. What is level goes from the top."""
    count = np.arange(wanted.size)
    order = np.lexsort((-count, wanted.round(2)))
    # Less their distance, the positions have to rise: pool those that do not.
    pools: list[tuple[float, int]] = []
    for value in wanted[order] - gap * count:
        pools.append((float(value), 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, n), (b, m) = pools[-2:]
            pools[-2:] = [((n * a + m * b) / (n + m), n + m)]
    shifted = np.array([value for value, size in pools for _ in range(size)])
    placed = np.empty_like(wanted)
    placed[order] = np.clip(shifted, 0.0, max(0.0, 1.0 - gap * count[-1])) + gap * count
    return placed


def parts(figure: FigureBase, rows: int, columns: int, **options: Any) -> Sequence[FigureBase]:
    """A figure cut into rows × columns."""
    parts: Any = figure.subfigures(rows, columns, **options)
    return list(parts)


def titled(part: FigureBase, width: float, title: str) -> None:
    """A heading at the left of a part that is so many inches wide."""
    part.suptitle(title, x=0.06 / width, ha="left", fontsize=9, fontweight="bold", parse_math=False)
