"""Seven figures of the two papers, made again from the networks of the retrained tables, as PNG and SVG with a page.

The tables' own folders are used, beside the figures' folder and under the names that `lawbound reproduce TABLE` gives them:
networks that are there are taken, others are trained there, and the tables take them in turn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import final

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lawbound import boon_recipes, boundary_drawings, probconserv_recipes, seed_drawings
from lawbound.comparison import compare
from lawbound.datasets import schema
from lawbound.datasets.layout import Layout
from lawbound.evidence import Case, Comparison
from lawbound.figure_list import put
from lawbound.ink import GREY, Array, to_png, to_svg
from lawbound.published import published
from lawbound.recipe import Recipe
from lawbound.reference import SOLVER
from lawbound.retrained import Prepared, Step, prepared, quietly
from lawbound.rules import few
from lawbound.seed_style import Solved

TABLE = "seeds/figures"
WHAT = "seven figures of the two papers, drawn from our solvers and networks"
SECONDS = 250  # of the quick version on two cores: the sum of what its networks take in their tables
PAGE = "index.html"

_RECIPES = {recipe.table: recipe for recipe in (*probconserv_recipes.RECIPES, *boon_recipes.RECIPES)}
#: (table, study, networks): what is drawn.
_NEEDED: dict[str, tuple[str, str, tuple[str, ...] | None]] = {
    "diffusion": ("probconserv/diffusion", "diffusion", None),
    "stefan": ("probconserv/stefan", "stefan", None),
    "heat": ("boon/heat-neumann", "heat-neumann", ("fno", "boon", "lift")),
    "stokes": ("boon/stokes", "stokes-0.1", ("fno", "boon", "lift")),
    "cavity": ("boon/cavity", "cavity-vorticity", ("fno-bc", "mirror")),
}
#: How many times are judged where laws are imposed: for a curve many, for a profile one.
_TIMES = {"diffusion": 26}


@final
@dataclass(frozen=True)
class SeedFigure:
    """A drawing, the name of its files, what it shows, and which table's networks it is of."""

    name: str
    caption: str
    table: str
    make: Callable[[], Figure]


@final
@dataclass(frozen=True, eq=False)
class Drawn:
    """The files, the page first, and the comparisons behind them, each with its heading."""

    files: tuple[Path, ...]
    parts: tuple[tuple[str, Comparison], ...]


def place_of(table: str, quick: bool) -> str:
    """The name of a table's folder."""
    return table.replace("/", "-") + ("-quick" if quick else "")


def seed_figures(
    folder: str | Path, *, quick: bool = False, device: str = "cpu", command: str = "", step: Step = quietly
) -> Drawn:
    """Draw all seven into a folder; networks are those of the tables' folders beside it, and trained if need be.

    Raises `ValueError` as `retrained.prepared` does.
    """
    where = Path(folder)
    ready: dict[str, tuple[Prepared, Comparison]] = {}
    for name, (table, study, names) in _NEEDED.items():
        recipe = _RECIPES[table]
        at = where.parent / place_of(table, quick)
        made = prepared(recipe, study, at, names=names, quick=quick, device=device, step=step)
        ready[name] = made, _judged(made, recipe, _TIMES.get(name, 1), quick, step)
    step("drawing")
    where.mkdir(parents=True, exist_ok=True)
    figures = list(_figures(ready))
    files = [file for number, one in enumerate(figures, 1) for file in _written(one, number, where, quick)]
    page = put(where / PAGE, _page(figures, command, quick).encode())
    return Drawn((page, *files), tuple((name, compared) for name, (_, compared) in ready.items()))


def _judged(made: Prepared, recipe: Recipe, times: int, quick: bool, step: Step) -> Comparison:
    """The networks as they are and under few laws, at so many times, or all where BOON's error is over all."""
    study = made.study
    rules = few(study.problem) if study.rules else ()
    compared = compare(
        made.networks, made.test, rules, times=times if study.rules else study.judged_times, seed=study.seed,
        scores=study.scores, on_progress=step(f"{study.name}: judging"),
    )  # fmt: skip
    named = compared.with_case_called(study.case) if study.case else compared
    return replace(named, table=recipe.table, hashes=made.hashes, reduced=recipe.reduced if quick else "")


def solved(made: Prepared) -> Solved:
    """The solver's fields and the networks' means, all samples and times of the test data."""
    (field,) = {surrogate.origin.fields[0] for surrogate in made.networks.values()}
    layout = Layout.of(made.test, (field,))
    shape = (made.test.sizes[schema.SAMPLE], made.test.sizes[schema.TIME], *layout.shape)
    predicted = {
        name: surrogate.predict(made.test).mean.numpy().reshape(shape)
        for name, surrogate in made.networks.items()
    }
    test = made.test
    return Solved(
        test[schema.TIME].values, test[schema.X].values, layout.state(test).reshape(shape), predicted
    )


def slopes(fields: Array, x: Array) -> Array:
    """∂u/∂x at both ends by one-sided differences of second order, as `neumann` has them; (sample, t, x) → (…, 2)."""
    h = x[1] - x[0]
    low = (-3.0 * fields[..., 0] + 4.0 * fields[..., 1] - fields[..., 2]) / (2.0 * h)
    high = (3.0 * fields[..., -1] - 4.0 * fields[..., -2] + fields[..., -3]) / (2.0 * h)
    return np.stack([low, high], axis=-1)


def _figures(ready: dict[str, tuple[Prepared, Comparison]]) -> Sequence[SeedFigure]:
    diffusion, stefan = ready["diffusion"][1], ready["stefan"][1]
    heat, layer, cavity = (solved(ready[name][0]) for name in ("heat", "stokes", "cavity"))
    rod, lid = ready["heat"][0].test, ready["cavity"][0].test
    walls = {name: slopes(fields, heat.x) for name, fields in {SOLVER: heat.truth, **heat.predicted}.items()}
    return (
        SeedFigure(
            "mass-over-time",
            "Total mass of an attentive neural process's predictions of diffusion over time, as it is and under conservation; "
            "right, how far it is from the law.",
            "probconserv/diffusion",
            lambda: seed_drawings.mass_over_time(diffusion, diffusion.cases[0], _methods(diffusion)),
        ),
        SeedFigure(
            "stefan-profile",
            "Stefan's problem near its front: mean and two standard deviations of the prediction, unconstrained and under laws.",
            "probconserv/stefan",
            lambda: seed_drawings.stefan_profile(stefan, _in_range(stefan), _methods(stefan)),
        ),
        SeedFigure(
            "shock-histogram",
            "The posterior of the front's position, from joint samples of whole profiles: the first fall below half the jump.",
            "probconserv/stefan",
            lambda: seed_drawings.shock_histogram(stefan, _in_range(stefan), _methods(stefan)),
        ),
        SeedFigure(
            "insulator-flux",
            "A rod between an insulator and a heater: one sample, and the slopes at both walls, by the same one-sided difference for "
            "all; thick grey, what is prescribed.",
            "boon/heat-neumann",
            lambda: boundary_drawings.insulator_flux(heat, walls, _heater(rod)),
        ),
        SeedFigure(
            "stokes-profile",
            "Fluid over a wall that moves back and forth, ν = 0.1: profiles at four times, and the error of each network.",
            "boon/stokes",
            lambda: boundary_drawings.stokes(layer, list(layer.predicted)),
        ),
        SeedFigure(
            "cavity-start",
            "What a flow in the cavity starts from: fluid at rest, the layer of vorticity under the lid soon after, and how lids move.",
            "boon/cavity",
            lambda: boundary_drawings.cavity_start(cavity, _lids(lid)),
        ),
        SeedFigure(
            "cavity-vorticity",
            "Vorticity in the cavity, Re = 100: solver, network and difference at three times; relative error over time. Dotted, the "
            "errors in BOON's released video, whose data and boundary information were others.",
            "boon/cavity",
            lambda: boundary_drawings.cavity_errors(cavity, list(cavity.predicted), video_errors()),
        ),
    )  # fmt: skip


def video_errors() -> dict[str, tuple[Array, Array]]:
    """(t, mean relative error) by method in BOON's released video of the cavity: frame k is at t = 0.04 k − 0.02."""
    found: dict[str, list[tuple[float, float]]] = {}
    for (method, case, _), (value, _) in published("boon/cavity").items():
        _, mark, frame = case.partition("frame ")
        if mark and frame.isdigit():
            found.setdefault(method, []).append((0.04 * int(frame) - 0.02, value))
    return {
        method: (np.array([t for t, _ in pairs]), np.array([value for _, value in pairs]))
        for method, pairs in found.items()
    }


def _methods(comparison: Comparison) -> list[str]:
    return [method for method in comparison.methods if method != SOLVER]


def _in_range(comparison: Comparison) -> Case:
    """The paper's case, inside the range of training."""
    return next(case for case in comparison.cases if case.name == "u_star=0.6")


def _heater(data: xr.Dataset) -> Array:
    """Prescribed ∂u/∂x at x = 1, which is that of every sample, (t,)."""
    return np.asarray(data["bc_u_x_hi"].values[0] / float(data["k"].values[0]))


def _lids(data: xr.Dataset) -> Array:
    """Speed of the lid in its middle, (sample, t)."""
    wall = data["bc_u_y_hi"].values
    return np.asarray(wall[..., wall.shape[-1] // 2])


def _written(one: SeedFigure, number: int, folder: Path, quick: bool) -> list[Path]:
    figure, stem = one.make(), f"{number}-{one.name}"
    if quick:  # a picture travels without its page
        figure.text(0.006, 0.006, "quick version", ha="left", va="bottom", fontsize=6.5, color=GREY)
    temporary = to_png(figure, folder / f".{stem}.tmp.png", dpi=300)
    return [temporary.replace(folder / f"{stem}.png"), put(folder / f"{stem}.svg", to_svg(figure).encode())]


def _page(figures: Sequence[SeedFigure], command: str, quick: bool) -> str:
    """A page that lists them."""
    warned = (
        "<p><strong>Quick</strong>: small networks, few samples and epochs. These are not the papers' set-ups.</p>"
        if quick
        else ""
    )
    shown = "\n".join(
        f'<figure><img src="{number}-{one.name}.svg" alt="{escape(one.caption)}"><figcaption><b>{number}.</b> {escape(one.caption)} '
        f'Networks of <code>{escape(one.table)}</code>. <a href="{number}-{one.name}.png">PNG</a> '
        f'<a href="{number}-{one.name}.svg">SVG</a></figcaption></figure>'
        for number, one in enumerate(figures, 1)
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="generator" content="lawbound">
<meta name="viewport" content="width=device-width"><title>lawbound: {TABLE}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}}
figure{{margin:2.5rem 0}}img{{width:100%}}figcaption{{color:#444}}code{{background:#efefec;padding:0 .2em}}</style></head>
<body><h1>Figures of ProbConserv and BOON, made again</h1>
<p>{escape(WHAT[0].upper() + WHAT[1:])}.</p>{warned}
{shown}
<p>Made by <code>{escape(command)}</code>.</p></body></html>
"""
