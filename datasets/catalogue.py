"""The families that are installed, ours and plug-ins', as rows for a table."""

from dataclasses import dataclass

from lawbound.datasets.family import Family
from lawbound.datasets.plugins import load_all


@dataclass(frozen=True)
class Entry:
    """What `lawbound list problems` says of a family."""

    name: str
    title: str
    equation: str
    parameter: str
    splits: dict[str, str]
    domain: str
    times: str
    grid: str
    laws: tuple[str, ...]


def entries() -> list[Entry]:
    """One entry for each installed family."""
    return [_entry(family) for family in load_all("problems").values()]


def _entry(family: Family) -> Entry:
    return Entry(
        name=family.name,
        title=family.title,
        equation=family.equation,
        parameter=family.parameter,
        splits={split: str(distribution) for split, distribution in family.splits.items()},
        domain=f"[{family.domain[0]:g}, {family.domain[1]:.4g}]" + ("²" if family.dimension == 2 else ""),
        times=f"[{family.times[0]:g}, {family.times[1]:g}]",
        grid=f"{' × '.join([str(family.nx)] * family.dimension)} cells × {family.nt} times",
        laws=family.laws,
    )
