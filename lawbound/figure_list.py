"""Which figures a case has, in the order in which a report shows them, each with its caption; and as files for papers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from re import sub
from typing import final

from matplotlib.figure import Figure

from lawbound import figures, law_figures, plane_figures
from lawbound.evidence import FRONT_SAMPLES, Case, Comparison
from lawbound.ink import to_png, to_svg
from lawbound.reference import SOLVER


@final
@dataclass(frozen=True)
class Drawn:
    """A figure, what it is called in a file's name, and what it shows; `make` draws it."""

    name: str
    caption: str
    wide: bool
    make: Callable[[], Figure]


def figures_of(comparison: Comparison, case: Case) -> Iterator[Drawn]:
    """All figures that the case has evidence for."""
    samples = f"{case.samples.size} sample{'s' * (case.samples.size != 1)}"
    yield from _profiles(comparison, case)
    if case.front is not None:
        yield Drawn(
            "fronts",
            f"Where the front is in {FRONT_SAMPLES} joint samples for each of {samples}. Every histogram has its own height; the tick below "
            "it is its mean.",
            True,
            lambda: figures.fronts(comparison, case.name),
        )
    totals = " No law is stated: b is the solver's own total." if comparison.rhs_source == "none" else ""
    yield Drawn(
        "mass",
        f"How far ∫u dx is from b: a dot for each of {samples} (of many, 300 of them), a bar at their median. The solver's is that of "
        f"its fields as they are stored.{totals}"
        if comparison.t.size == 1
        else "Above, ∫u dx against b(t): mean over samples (thick) and samples (thin). Below, the distance of the "
        "two: median over samples; dashed, that of the solver's fields as they are stored." + totals,
        False,
        lambda: figures.mass(comparison, case.name),
    )
    if figures.has_cost(comparison, case.name):
        yield Drawn(
            "cost",
            "Error of the mean against the time that one sample takes here, all judged times, enforcement included; dashed, one "
            "core of the solver at the family's usual size, as measured for the catalogue."
            if comparison.solver_seconds
            else "Error of the mean against the time that one sample takes here, all judged times, enforcement included.",
            False,
            lambda: figures.cost(comparison, case.name),
        )
    yield Drawn(
        "calibration",
        "How many points lie inside central intervals of each nominal probability. On the diagonal, a standard "
        "deviation means what it says.",
        False,
        lambda: figures.calibration(comparison, case.name),
    )
    yield Drawn(
        "pit",
        "Where the truth lies in each predicted distribution: level where they mean what they say, piled up at both "
        "ends where they are too sure, in the middle where too cautious, at one end where they are biased.",
        False,
        lambda: figures.pit(comparison, case.name),
    )
    drawn = law_figures.laws_drawn(comparison, case.name)
    if drawn:
        yield Drawn(
            "laws",
            f"By how much {_listed(drawn)} {'is' if len(drawn) == 1 else 'are'} broken: the largest part of each law's residual, median over "
            "samples. Dashed, the solver's own, to measure by.",
            len(drawn) > 1,
            lambda: law_figures.laws(comparison, case.name),
        )
    if law_figures.pushed(comparison, case.name):
        yield Drawn(
            "push",
            "Where enforcement moved the mean field (line: mean over samples; band: 90 % of them)"
            + (
                ", and the multipliers of its rows over time (median and 90 % of samples): how hard each law had to push."
                if comparison.t.size > 1
                else "."
            ),
            True,
            lambda: law_figures.push(comparison, case.name),
        )


def _profiles(comparison: Comparison, case: Case) -> Iterator[Drawn]:
    if plane_figures.has_planes(comparison, case.name):
        yield Drawn(
            "fields",
            "The median sample: fields, and below, mean minus solver. Colours have one scale a row.",
            True,
            lambda: plane_figures.fields(comparison, case.name),
        )
    families = _families(comparison)
    if any(len(family) > figures.COLUMNS for family in families):
        yield Drawn(
            "profiles",
            "Mean (line) with ± 2σ (band) of each method beside the solver (dark), for the sample of median error. Above each "
            "panel: by how much this mean breaks the law.",
            True,
            lambda: figures.profile(comparison, case.name),
        )
    for family in families:
        methods = family[: figures.COLUMNS]
        yield Drawn(
            f"samples-{methods[0]}",
            f"Samples of least, median and largest error of the unconstrained surrogates, under {_listed(methods)}: mean (line) with "
            "± 2σ (band) beside the solver (dark); dotted, the mean before the constraint. Above each panel: by how much this "
            "mean breaks the law.",
            True,
            lambda methods=methods: figures.extremes(comparison, case.name, methods),  # type: ignore[misc]
        )


def _families(comparison: Comparison) -> list[list[str]]:
    """Each surrogate with what became of it."""
    found: list[list[str]] = []
    case = comparison.cases[0].name
    for method in comparison.methods:
        if method == SOLVER:
            continue
        if comparison.evidence[method, case].push is None or not found:
            found.append([])
        found[-1].append(method)
    return found


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def write_figures(comparisons: Sequence[tuple[str, Comparison]], folder: str | Path) -> list[Path]:
    """Every figure as CASE-NAME.svg and .png, films as .webp, in a folder for each comparison if there are several.

    Each file is written under a temporary name and renamed. Raises `ValueError` if the folder is a file.
    """
    top, written = check_folder(folder), []
    for comparison in (comparison for _, comparison in comparisons):
        where = top if len(comparisons) == 1 else top / _safe(comparison.table)
        where.mkdir(parents=True, exist_ok=True)
        for case in comparison.cases:
            for drawn in figures_of(comparison, case):
                figure, stem = drawn.make(), f"{_safe(case.name)}-{_safe(drawn.name)}"
                png = to_png(figure, where / f".{stem}.tmp.png")
                written += [
                    png.replace(where / f"{stem}.png"),
                    put(where / f"{stem}.svg", to_svg(figure).encode()),
                ]
            if plane_figures.has_planes(comparison, case.name):
                moving, _ = plane_figures.film(comparison, case.name)
                written.append(put(where / f"{_safe(case.name)}-film.webp", moving))
    return written


def check_folder(folder: str | Path) -> Path:
    """The folder, if figures may be written there; raises `ValueError` before any work is done if not."""
    where = Path(folder)
    if where.exists() and not where.is_dir():
        raise ValueError(f"{where} is a file; give a folder for figures.")
    return where


def put(path: Path, content: bytes) -> Path:
    """Write under a temporary name, then rename."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    return temporary.replace(path)


def _safe(name: str) -> str:
    """Part of a file's name: letters, digits and .=+- only."""
    return sub(r"[^A-Za-z0-9.=+_-]+", "-", name).strip("-.") or "figure"
