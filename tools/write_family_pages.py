"""Write docs/families: a page for each family, from the catalogue, and an index; with --pictures their pictures, too.

    python tools/write_family_pages.py [--pictures]

`tests/datasets/test_family_pages.py` holds that the pages are what this makes of the families.
"""

import argparse
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from lawbound.datasets.costs import CORE_SECONDS
from lawbound.datasets.family import Distribution, Family
from lawbound.datasets.laws import rhs_source
from lawbound.datasets.plugins import load_all
from lawbound.solvers import NavierStokes, Problem, Wave
from lawbound.solvers.grid import of_points, on_plane
from lawbound.terminal import duration

FOLDER = Path(__file__).parents[1] / "docs" / "families"

LAWS = {
    "conservation": "`conservation`: ∫u dx = b(t)",
    "energy": "`energy`: ½ ∫ u_t² + c² |∇u|² dx keeps its first value",
    "divergence-free": "`divergence-free`: u_x + v_y = 0 at every point",
}
SOURCES = {
    "analytic": "analytic",
    "boundary-data": "boundary-data: what was there and what the walls are told to let in",
    "ledger": "ledger: what was there and what the solver saw go through the walls",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", action="store_true")
    FOLDER.mkdir(exist_ok=True)
    families = ours()
    for name, family in families.items():
        (FOLDER / f"{name}.md").write_text(page(family), encoding="utf-8")
    (FOLDER / "README.md").write_text(index(families), encoding="utf-8")
    if parser.parse_args().pictures:
        for family in families.values():
            draw(family)


def ours() -> dict[str, Family]:
    """Our families by their names; plug-ins have pages of their own."""
    return {
        name: family
        for name, family in load_all("problems").items()
        if family.build.__module__.startswith("lawbound.")
    }


def index(families: Mapping[str, Family]) -> str:
    lines = [
        "# Families",
        "",
        "A family is a named distribution over problems, with splits to train on, to test in range and, shifted, out of range.",
        "`lawbound list problems` shows them, `lawbound generate NAME` solves them, `--param`, `--nx`, `--nt` and `--times` change them.",
        "",
        "| family | what | laws | closed form | a sample |",
        "|---|---|---|---|--:|",
    ]
    for name, family in families.items():
        exact = "yes" if family.exact is not None else "–"
        lines.append(
            f"| [`{name}`]({name}.md) | {family.title} | {', '.join(family.laws)} | {exact} | {_cost(name)} |"
        )
    lines += [
        "",
        "What a sample costs is in seconds of one core of a two-core x86-64 server, in batches (`python benchmarks/family_costs.py`).",
        "",
        "A family of your own is one file with a `Family` and a line in the entry-point group `lawbound.problems`; the command line",
        "then knows it. These pages are written by `python tools/write_family_pages.py`.",
    ]
    return "\n".join(lines) + "\n"


def page(family: Family) -> str:
    problem = _problem(family)
    return (
        "\n".join(
            [
                f"# `{family.name}`: {family.title}",
                "",
                f"    {family.equation}",
                "",
                f"![Samples of {family.name}]({family.name}.png)",
                "",
                family.about,
                "",
                "| | |",
                "|---|---|",
                *(f"| {key} | {value} |" for key, value in _facts(family, problem)),
                "",
                "## Parameters",
                "",
                f"| split | {' | '.join(f'`{name}`' for name in family.parameters)} |",
                f"|---|{'---|' * len(family.parameters)}",
                *(_split(names, of) for names, of in _grouped(family)),
                "",
                *(f"- `{name}`: {meaning}." for name, meaning in family.parameters.items()),
                "",
                "[low, high] is uniform, {a, b} gives the values in turn. Without `--split`, samples are 80 % train, 10 % valid and 10 % test.",
                "",
                f"    lawbound generate {family.name} -n 100 -o {family.name}",
                f"    lawbound generate {family.name} -n 100 --split {list(family.splits)[-1]} -o {family.name}-shifted",
                "",
                "[All families](README.md). This page is written by `python tools/write_family_pages.py`.",
            ]
        )
        + "\n"
    )


def _problem(family: Family) -> Problem:
    grid = family.grid(family.domain, family.nx)
    return family.build(family.draw(0, "train", 0), grid, np.linspace(*family.times, 3))


def _facts(family: Family, problem: Problem) -> Iterator[tuple[str, str]]:
    grid = problem.grid
    low, high = family.domain
    yield "domain", f"[{low:g}, {high:.4g}]{'²' if on_plane(grid) else ''}"
    shape = " × ".join(map(str, grid.shape))
    kind = "points" if of_points(grid) else "cells, whose averages are stored"
    yield "grid", f"{shape} {kind} (`--nx`)"
    yield (
        "times",
        f"[{family.times[0]:g}, {family.times[1]:g}], {family.nt} of them (`--times`, `--nt`); tables are taken at t = {family.time_of_interest:g}",
    )
    yield "fields", ", ".join(f"`{name}`" for name in _fields(problem))
    yield "walls", ", ".join(f"`{side}` {wall.kind}" for side, wall in problem.walls.sides.items())
    yield "solver", family.solver.name
    for law in family.laws:
        source = rhs_source(family, problem, law, closed_form=True)
        text = f"{LAWS[law]}; right-hand side {SOURCES[source]}"
        yield (
            "law",
            text + (" (the closed form's mass)" if law == "conservation" and source == "analytic" else ""),
        )
    if family.exact is not None:
        yield "closed form", _described(family)
    if family.front_level is not None:
        yield (
            "front",
            "where u first falls below half the jump; stored as `front_u` where the solver follows it",
        )
    if family.build_random is not None:
        source = rhs_source(family, problem, "conservation", closed_form=False)
        yield (
            "other data",
            f"`--data random`: random initial and boundary data, no closed form; right-hand side of `conservation` {SOURCES[source]}",
        )
    yield "a sample", f"{_cost(family.name)} of one core (x86-64, a server with two), in a batch"
    yield "references", family.references


def _fields(problem: Problem) -> tuple[str, ...]:
    if isinstance(problem.equation, NavierStokes):
        return ("u", "v", "p", "vorticity", "streamfunction")
    return ("u", "u_t") if isinstance(problem.equation, Wave) else ("u",)


def _described(family: Family) -> str:
    """What the closed form's own docstring says, without errors and examples."""
    assert family.exact is not None
    exact = type(family.exact(family.draw(0, "train", 0)))
    text = inspect.getdoc(exact) or ""
    text = " ".join(text.partition(">>>")[0].split()).partition(" Raises `ValueError`")[0]
    return f"`{exact.__name__}`: {text}".replace("|", "\\|")


def _cost(name: str) -> str:
    return duration(CORE_SECONDS[name]) if name in CORE_SECONDS else "not measured"


def _grouped(family: Family) -> Iterator[tuple[list[str], Mapping[str, Distribution]]]:
    """Splits that are drawn alike, together."""
    names: dict[str, list[str]] = {}
    for split, of in family.splits.items():
        names.setdefault(str({name: str(one) for name, one in of.items()}), []).append(split)
    for alike in names.values():
        yield alike, family.splits[alike[0]]


def _split(names: list[str], of: Mapping[str, Distribution]) -> str:
    return f"| {', '.join(f'`{name}`' for name in names)} | {' | '.join(str(one) for one in of.values())} |"


def draw(family: Family) -> None:
    """Three samples in (t, x); on a plane one sample at four times."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    import lawbound as lb

    data = lb.generate(family, 3, split="train", seed=1, nt=min(family.nt, 101)).set_coords(
        list(family.parameters)
    )
    field = "vorticity" if "vorticity" in data else "u"
    plane = "y" in data.dims
    figure, axes = plt.subplots(1, 4 if plane else 3, figsize=(8, 2.3), layout="constrained", sharey=True)
    frames = (
        [data[field][0, i] for i in np.linspace(0, data.sizes["t"] - 1, 4).astype(int)]
        if plane
        else data[field]
    )
    top = float(np.quantile(np.abs(frames[-1] if plane else frames), 0.995))
    positive = float(data[field].min()) > -1e-3 * top
    for axis, frame in zip(axes, frames, strict=True):
        rows, columns = (frame.y, frame.x) if plane else (frame.x, frame.t)
        shown = axis.pcolormesh(
            columns,
            rows,
            frame if plane else frame.T,
            cmap="viridis" if positive else "RdBu_r",
            vmin=0.0 if positive else -top,
            vmax=top,
            shading="nearest",
            rasterized=True,
        )
        values = ", ".join(f"{name} = {float(frame[name]):.3g}" for name in list(family.parameters)[:2])
        axis.set_title(f"t = {float(frame.t):.2g}" if plane else values, fontsize=8)
        axis.set_xlabel("x" if plane else "t", fontsize=8)
        axis.tick_params(labelsize=7)
        if plane:
            axis.set_aspect("equal")
    axes[0].set_ylabel("y" if plane else "x", fontsize=8)
    bar = figure.colorbar(shown, ax=axes)
    bar.set_label(field, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    figure.savefig(FOLDER / f"{family.name}.png", dpi=90, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
