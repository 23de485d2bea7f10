"""Tables of the papers: `frozen/…` take the originals' released networks as they are, the others make everything anew.

A retrained table needs a folder, and an interrupted one goes on there. `quick` is the same way with less of everything.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import torch

from lawbound import seed_figures
from lawbound.boon_recipes import RECIPES as BOON
from lawbound.datasets.plugins import UnknownName, suggestion
from lawbound.diverseno_recipes import RECIPES as DIVERSENO
from lawbound.evidence import Comparison
from lawbound.frozen import FROZEN, frozen, frozen_data
from lawbound.known_values import beside, without_row
from lawbound.probconserv_recipes import RECIPES as PROBCONSERV
from lawbound.published import published
from lawbound.recipe import Recipe
from lawbound.report import check_path, write_report
from lawbound.retrained import Step, quietly, refuse_others, retrained
from lawbound.rules import FALLING, MASS, rules
from lawbound.terminal import duration

__all__ = [
    "FALLING",
    "MASS",
    "RECIPES",
    "Reproduced",
    "check",
    "frozen",
    "frozen_data",
    "reproduce",
    "rules",
    "tables",
]

Parts = list[tuple[str, Comparison]]

#: Retrained tables by name.
RECIPES: Mapping[str, Recipe] = {recipe.table: recipe for recipe in (*PROBCONSERV, *DIVERSENO, *BOON)}


@final
@dataclass(frozen=True, eq=False)
class Reproduced:
    """A table: comparisons, each with its heading; the files that hold it, none without a folder."""

    table: str
    parts: tuple[tuple[str, Comparison], ...]
    files: tuple[Path, ...] = ()

    @property
    def comparisons(self) -> Iterator[Comparison]:
        """Without the headings."""
        return (made for _, made in self.parts)


def tables() -> dict[str, str]:
    """Name → what it shows, and how long the quick version takes."""
    found = {f"frozen/{problem}": what for problem, what in FROZEN.items()}
    for name, recipe in RECIPES.items():
        found[name] = f"{recipe.what}; --quick: {duration(recipe.seconds)}"
    found[seed_figures.TABLE] = f"{seed_figures.WHAT}; --quick: {duration(seed_figures.SECONDS)}"
    return found


def check(table: str, out: Path | None, *, quick: bool = False) -> Path | None:
    """`out`, if the table may be made there; raises before any work is done if not.

    `UnknownName` for a table that there is not, `ValueError` for a folder that holds anything but the same work.
    """
    known = tables()
    if table not in known:
        raise UnknownName(
            f"`{table}` is not a table that can be reproduced; there are {', '.join(known)}.{suggestion(table, known)}"
        )
    if out is not None:
        if table in RECIPES:
            refuse_others(out, RECIPES[table], quick)
        check_path(out / (seed_figures.PAGE if table == seed_figures.TABLE else "report.html"))
    return out


def default_folder(table: str, quick: bool) -> Path | None:
    """`probconserv-pme-quick`, here; None for tables that take no time."""
    made_anew = table in RECIPES or table == seed_figures.TABLE
    return Path(seed_figures.place_of(table, quick)) if made_anew else None


def reproduce(
    table: str,
    *,
    quick: bool = False,
    out: str | Path | None = None,
    device: str | None = None,
    step: Step = quietly,
    command: str | None = None,
) -> Reproduced:
    """One of `tables()`, with report.html, .csv and .json in `out`; quick: with less of everything, and saying so.

    out: by default `default_folder`. What an earlier call finished there is not done again. device: by default a GPU if
    there is one. command: what the report says it was made by. Raises `UnknownName` for a table that there is not;
    `ValueError` for a device that is absent and for a folder with anything else in it.
    """
    where = check(table, default_folder(table, quick) if out is None else Path(out), quick=quick)
    there = device or ("cuda" if torch.cuda.is_available() else "cpu")
    told = command or f"lawbound reproduce {table}{' --quick' if quick else ''} -o {where}"
    if where is not None and table == seed_figures.TABLE:
        drawn = seed_figures.seed_figures(where, quick=quick, device=there, command=told, step=step)
        return Reproduced(table, drawn.parts, drawn.files)
    parts = (
        _retrained(table, where, quick, there, step)
        if where and table in RECIPES
        else _frozen(table, quick, step)
    )
    files: list[Path] = []
    if where is not None:
        step("drawing the report")
        files = write_report(
            parts,
            where / "report.html",
            title=f"lawbound: {table}{' (quick)' if quick else ''}",
            config=_settings(table, quick, there),
            command=told,
        )
    return Reproduced(table, tuple(parts), tuple(files))


def _frozen(table: str, quick: bool, step: Step) -> Parts:
    made = frozen(table.removeprefix("frozen/"), quick=quick, on_progress=step("imposing laws and judging"))
    return [(table, made)]


def _retrained(table: str, folder: Path, quick: bool, device: str, step: Step) -> Parts:
    """With published figures beside ours, and those that nothing of ours stands beside in a note."""
    figures = published(table)
    made = retrained(RECIPES[table], folder, quick=quick, device=device, step=step)
    parts = [(name, beside(one, figures)) for name, one in made]
    missing = without_row([one for _, one in parts], figures)
    name, last = parts[-1]
    notes = (*RECIPES[table].conclude(parts), *missing)
    parts[-1] = (name, replace(last, notes=(*last.notes, *notes)))
    return parts


def _settings(table: str, quick: bool, device: str) -> dict[str, object]:
    told: dict[str, object] = {"table": table, "quick": quick}
    if table in RECIPES:
        told |= {
            "device": device,
            **{study.name: study.described() for study in RECIPES[table].studies(quick)},
        }
    return told
