"""What the seven figures of the two papers share: colours of methods, headings, fields of solver and networks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from matplotlib.figure import Figure

from lawbound.ink import GREY, INK, PALETTE, WIDTH, WORDS, Array, parts, power_of_ten
from lawbound.reference import SOLVER

#: A method keeps its colour in all seven.
_PLACES = {
    "anp": 0, "hardc": 4, "probconserv": 1, "auto": 2, "softc": 3,
    "fno": 0, "fno-bc": 3, "boon": 1, "boon-corrected": 5, "lift": 2, "mirror": 2,
}  # fmt: skip


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

    def error(self, method: str) -> float:
        """The same over space and all times at once, mean over samples, as the tables have it."""
        gap, size = (
            np.linalg.norm(one.reshape(len(one), -1), axis=1)
            for one in (self.predicted[method] - self.truth, self.truth)
        )
        return float((gap / size).mean())

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


def number(value: float) -> str:
    """0.23 where that reads well, 3.1×10⁻⁵ elsewhere."""
    return f"{value:.2g}" if value == 0.0 or 1e-3 <= abs(value) < 100.0 else power_of_ten(value)


def named(case: str) -> str:
    """`u_star=0.6` as u* = 0.6."""
    return case.replace("u_star", "u*").replace("=", " = ")


def headed(height: float, title: str, said: str) -> tuple[Figure, Any]:
    """A figure with a title and a line in small print below it, and the part that is left to draw in."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    head, body = parts(figure, 2, 1, height_ratios=(0.46, height - 0.46))
    head.text(0.06 / WIDTH, 0.86, title, fontsize=10.5, fontweight="bold", va="top", parse_math=False)
    head.text(0.06 / WIDTH, 0.32, said, fontsize=8, color=GREY, va="top", parse_math=False)
    return figure, body
