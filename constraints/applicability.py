"""Which part of a constraint goes with which enforcement and metric, and what is promised of the answer.

The tests read this table, and `enforce` refuses by it. What is promised of a stack is what is promised of each of
its parts. The promises:

- `exact`: mean and samples obey, rows to 8 units of round-off of their terms;
- `idempotent`: enforcing twice is enforcing once;
- `kept`: what obeys already is left alone;
- `nearest`: no lawful state is nearer in the metric;
- `contracts`: two states never move apart in the metric, so that none moves away from a lawful truth (convex sets);
- `variance`: no point's variance grows;
- `gradient`: the derivative is exact, by the implicit function theorem.
"""

from dataclasses import dataclass
from typing import Literal, final

from lawbound.constraints.constraint import Admissible

Part = Literal["rows", "uncertain rows", "box", "order", "phases", "variation", "curved"]
Promise = Literal["exact", "idempotent", "kept", "nearest", "contracts", "variance", "gradient"]
#: `own`: the covariance as it is, in any structure; `diagonal`, `factors`: D, D + U Uᵀ; `identity`: all points alike.
Metric = Literal["own", "diagonal", "factors", "identity", "none"]


@final
@dataclass(frozen=True)
class Entry:
    """One line of the table."""

    part: Part
    enforcement: str
    metrics: tuple[Metric, ...]
    promises: frozenset[Promise]


_CONVEX: tuple[Promise, ...] = ("exact", "idempotent", "kept", "nearest", "contracts", "gradient")
_KERNEL: tuple[Metric, ...] = ("diagonal", "factors")

TABLE: tuple[Entry, ...] = (
    # The Bayesian update never widens a marginal; the nearest lawful samples need not keep each, only their sum in
    # the metric. An orthogonal projection may widen them.
    Entry("rows", "condition", ("own", *_KERNEL), frozenset({*_CONVEX, "variance"})),
    Entry("uncertain rows", "condition", ("own", *_KERNEL), frozenset({"variance", "gradient"})),
    Entry("box", "condition", _KERNEL, frozenset(_CONVEX)),
    Entry("order", "condition", _KERNEL, frozenset(_CONVEX)),
    # The price of variation is searched for; no derivative is taken of the search.
    Entry("variation", "condition", _KERNEL, frozenset(_CONVEX) - {"gradient"}),
    Entry("phases", "condition", _KERNEL, frozenset({"exact", "idempotent", "kept", "nearest"})),
    # Stationary, and the nearest if it started near.
    Entry("curved", "condition", _KERNEL, frozenset({"exact", "idempotent", "kept"})),
    Entry("rows", "project", ("identity",), frozenset(_CONVEX)),
    # A projection takes rows as exact, whatever their tolerance.
    Entry("uncertain rows", "project", ("identity",), frozenset(_CONVEX)),
    Entry("box", "project", ("identity",), frozenset(_CONVEX)),
    Entry("order", "project", ("identity",), frozenset(_CONVEX)),
    Entry("variation", "project", ("identity",), frozenset(_CONVEX) - {"gradient"}),
    Entry("phases", "project", ("identity",), frozenset({"exact", "idempotent", "kept", "nearest"})),
    Entry("curved", "project", ("identity",), frozenset({"exact", "idempotent", "kept"})),
    # A term in a loss: a wish. Two phases have no slope to follow.
    *(
        Entry(part, "penalty", ("none",), frozenset({"gradient"}))
        for part in ("rows", "uncertain rows", "box", "order", "variation", "curved")
    ),
)  # fmt: skip

#: Parts that one set cannot have together.
APART: frozenset[frozenset[Part]] = frozenset(
    {frozenset({"phases", "variation"}), frozenset({"phases", "curved"})}
)


def parts(admissible: Admissible) -> tuple[Part, ...]:
    """The parts that a set is made of."""
    found: list[Part] = []
    if admissible.rows is not None:
        uncertain = bool((admissible.rows.tolerance[admissible.rows.applies] > 0.0).any())
        found.append("uncertain rows" if uncertain else "rows")
    if admissible.box is not None:
        found.append("box")
    if admissible.order is not None:
        found.append("order")
    if admissible.phases is not None:
        found.append("phases")
    if admissible.variation is not None:
        found.append("variation")
    if admissible.curved:
        found.append("curved")
    return tuple(found)


def entries(enforcement: str, part: Part | None = None) -> tuple[Entry, ...]:
    """The table's lines on an enforcement, and on one part if given."""
    return tuple(entry for entry in TABLE if entry.enforcement == enforcement and part in (None, entry.part))


def promised(admissible: Admissible, enforcement: str) -> frozenset[Promise]:
    """What is promised of a set under an enforcement; raises `ValueError` for a part that does not go with it."""
    alone = parts(admissible)
    found = []
    for part in alone:
        lines = entries(enforcement, part)
        if not lines:
            others = sorted({entry.enforcement for entry in TABLE if entry.part == part})
            raise ValueError(f"`{enforcement}` cannot impose {part}; {' and '.join(others)} can.")
        found.append(lines[0].promises)
    together = frozenset.intersection(*found) if found else frozenset[Promise]()
    # Bounds and shapes move samples one by one: only rows alone have the closed form that keeps each marginal.
    return together if admissible.linear else together - {"variance"}
