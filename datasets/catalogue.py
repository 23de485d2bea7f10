"""The families that are installed, ours and plug-ins', as rows for a table."""

from collections.abc import Mapping
from dataclasses import dataclass

from lawbound.datasets.costs import CORE_SECONDS
from lawbound.datasets.family import Distribution, Family
from lawbound.datasets.plugins import load_all
from lawbound.solvers.grid import of_points, on_plane


@dataclass(frozen=True)
class Entry:
    """What `lawbound list problems` says of a family; `core_seconds` is what a sample costs, where that was measured."""

    name: str
    title: str
    equation: str
    parameters: dict[str, str]
    splits: dict[str, str]
    domain: str
    times: str
    grid: str
    laws: tuple[str, ...]
    core_seconds: float | None


def entries() -> list[Entry]:
    """One entry for each installed family."""
    return [_entry(family) for family in load_all("problems").values()]


def _described(distributions: Mapping[str, Distribution]) -> str:
    return ", ".join(f"{parameter} in {distribution}" for parameter, distribution in distributions.items())


def _entry(family: Family) -> Entry:
    grid = family.grid(family.domain, family.nx)
    return Entry(
        name=family.name,
        title=family.title,
        equation=family.equation,
        parameters=dict(family.parameters),
        splits={split: _described(distributions) for split, distributions in family.splits.items()},
        domain=f"[{family.domain[0]:g}, {family.domain[1]:.4g}]" + ("²" if on_plane(grid) else ""),
        times=f"[{family.times[0]:g}, {family.times[1]:g}]",
        grid=f"{' × '.join(map(str, grid.shape))} {'points' if of_points(grid) else 'cells'} × {family.nt} times",
        laws=family.laws,
        core_seconds=CORE_SECONDS.get(family.name),
    )
