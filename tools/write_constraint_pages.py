"""Write what the pages of docs/constraints take from the code: parts, enforcements, promises, inputs, families, class.

    python tools/write_constraint_pages.py

The rest of each page is written by hand and left alone; the block stands between two comments.
`tests/constraints/test_constraint_pages.py` holds that the blocks are what this makes of the classes.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

import lawbound as lb
from lawbound import constraints
from lawbound.constraints import Constraint
from lawbound.constraints.applicability import TABLE, Entry, Part, entries, parts
from lawbound.datasets.plugins import load_all

FOLDER = Path(__file__).parents[1] / "docs" / "constraints"
BEGIN, END = "<!-- made by tools/write_constraint_pages.py -->", "<!-- end -->"

#: Each constraint as it is without arguments, or with the fewest, and families on whose data its parts are looked up.
SHOWN: dict[str, tuple[Constraint, tuple[str, ...]]] = {
    "conservation": (constraints.Conservation(), ("stefan", "heat-neumann")),
    "flux-conservation": (constraints.FluxConservation(), ("stefan",)),
    "pde": (constraints.Equation(), ("diffusion", "burgers-inviscid")),
    "dirichlet": (constraints.Dirichlet(), ("heat-dirichlet", "stefan")),
    "neumann": (constraints.Neumann(), ("heat-neumann", "pme-2d")),
    "robin": (constraints.Robin(), ("heat-robin",)),
    "periodic": (constraints.Periodic(), ("periodic",)),
    "initial": (constraints.Initial(), ("stefan",)),
    "bounds": (constraints.Bounds(), ("stefan",)),
    "monotone": (constraints.Monotone(), ("stefan",)),
    "maximum-principle": (constraints.MaximumPrinciple(), ("stefan",)),
    "two-phase": (constraints.TwoPhase(), ("stefan",)),
    "total-variation": (constraints.TotalVariation(), ("stefan",)),
    "divergence-free": (constraints.DivergenceFree(), ("cavity",)),
    "energy": (constraints.Energy(), ("wave",)),
}
PROMISES = {
    "exact": "exact",
    "idempotent": "once is enough",
    "kept": "keeps what obeys",
    "nearest": "nearest",
    "contracts": "contracts",
    "variance": "no variance grows",
    "gradient": "exact derivative",
}
METRICS = {
    "own": "any covariance as it is",
    "diagonal": "D",
    "factors": "D + U Uᵀ",
    "identity": "all points alike, by what they stand for",
    "none": "a term in a loss",
}


def main() -> None:
    made = made_data()
    for name in SHOWN:
        path = FOLDER / f"{name}.md"
        path.write_text(filled(path.read_text(encoding="utf-8"), block(name, made)), encoding="utf-8")


def made_data() -> dict[str, xr.Dataset]:
    """A small dataset of every family that the pages show."""
    names = {family for _, families in SHOWN.values() for family in families} - {"periodic"}
    made = {name: lb.generate(name, 2, nx=12, nt=4) for name in sorted(names)}
    # Ours store a period's points once; this one has both ends.
    circle = made["heat-dirichlet"].copy()
    for side in ("x_lo", "x_hi"):
        circle[f"bc_u_{side}"] = circle[f"bc_u_{side}"].assign_attrs(lawbound_bc_type="periodic")
    return {**made, "periodic": circle}


def filled(page: str, text: str) -> str:
    """The page with its block made anew; raises `ValueError` if it has no place for one."""
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), flags=re.S)
    if not pattern.search(page):
        raise ValueError(f"the page lacks the lines `{BEGIN}` and `{END}`.")
    return pattern.sub(lambda _: f"{BEGIN}\n\n{text}\n{END}", page)


def block(name: str, made: dict[str, xr.Dataset]) -> str:
    """What the code says of a constraint, as two tables of Markdown."""
    constraint, families = SHOWN[name]
    kind = type(constraint).__name__
    command = f"`{name}`" if name in load_all("constraints") else "not on the command line"
    inputs = ", ".join(f"`{item}`" for item in constraint.inputs) or "nothing but what its arguments name"
    lines = ["| | |", "|---|---|", f"| class | `lawbound.constraints.{kind}` |", f"| name | {command} |"]
    sets = [parts(constraint.on(made[family])) for family in families]
    found = dict.fromkeys(part for each in sets for part in each)
    # What goes with one part of a set but not with another does not impose the set.
    whole = {one.enforcement for one in TABLE if any(_all_by(one.enforcement, each) for each in sets)}
    lines += [f"| reads | {inputs} |", f"| its set is made of | {', '.join(found)} |", ""]
    lines += ["| enforcement | imposes | in the metric | promises |", "|---|---|---|---|"]
    lines += [
        _line(entry) for part in found for entry in TABLE if entry.part == part and entry.enforcement in whole
    ]
    return "\n".join([*lines, ""])


def _all_by(enforcement: str, found: Sequence[Part]) -> bool:
    return all(entries(enforcement, part) for part in found)


def _line(entry: Entry) -> str:
    metrics = "; ".join(METRICS[metric] for metric in entry.metrics)
    promises = ", ".join(word for promise, word in PROMISES.items() if promise in entry.promises)
    return f"| `{entry.enforcement}` | {entry.part} | {metrics} | {promises} |"


if __name__ == "__main__":
    main()
