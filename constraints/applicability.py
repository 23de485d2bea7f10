"""Which part of a constraint goes with which enforcement and metric, and what is promised of the answer.

The tests read this table, and `enforce`, `compare` and the parser of constraints on the command line refuse by it. What is
promised of a stack is what is promised of each of its parts. Enforcements of others, which it does not name, are theirs to
say. The promises:

- `exact`: mean and samples obey, rows to 8 units of round-off of their terms;
- `idempotent`: enforcing twice is enforcing once;
- `kept`: what obeys already is left alone;
- `nearest`: no lawful state is nearer in the metric;
- `contracts`: two states never move apart in the metric, so that none moves away from a lawful truth (convex sets);
- `variance`: no point's variance grows;
- `gradient`: the derivative is exact, by the implicit function theorem.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, final

import numpy as np

from lawbound.constraints.constraint import Admissible, Constraint, Stack
from lawbound.constraints.displacement import totals_of

#: `fixed`: a box that does nothing but fix values. `balance`: rows that couple times.
#: `evolution`: an equation between them.
Part = Literal[
    "rows", "uncertain rows", "fixed", "box", "order", "phases", "variation", "curved", "balance", "evolution"
]  # fmt: skip
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
    Entry("fixed", "condition", _KERNEL, frozenset(_CONVEX)),
    Entry("box", "condition", _KERNEL, frozenset(_CONVEX)),
    Entry("order", "condition", _KERNEL, frozenset(_CONVEX)),
    # The price of variation is searched for; no derivative is taken of the search.
    Entry("variation", "condition", _KERNEL, frozenset(_CONVEX) - {"gradient"}),
    Entry("phases", "condition", _KERNEL, frozenset({"exact", "idempotent", "kept", "nearest"})),
    # Stationary, and the nearest if it started near.
    Entry("curved", "condition", _KERNEL, frozenset({"exact", "idempotent", "kept"})),
    # Fluxes are uncertain; correlations are neither used nor kept.
    Entry("balance", "condition", ("diagonal",), frozenset({"variance"})),
    Entry("rows", "project", ("identity",), frozenset(_CONVEX)),
    # A projection takes rows as exact, whatever their tolerance (unless it is to honour it).
    Entry("uncertain rows", "project", ("identity",), frozenset(_CONVEX)),
    Entry("fixed", "project", ("identity",), frozenset(_CONVEX)),
    Entry("box", "project", ("identity",), frozenset(_CONVEX)),
    Entry("order", "project", ("identity",), frozenset(_CONVEX)),
    Entry("variation", "project", ("identity",), frozenset(_CONVEX) - {"gradient"}),
    Entry("phases", "project", ("identity",), frozenset({"exact", "idempotent", "kept", "nearest"})),
    Entry("curved", "project", ("identity",), frozenset({"exact", "idempotent", "kept"})),
    # Not a projection: the nearest state would have a bump where this has its front moved. The metric is that in which
    # bounds and orders are met. All promises are the moved mean's. Uncertain rows are drawn anew for each sample.
    *(
        Entry(part, "displace", ("diagonal",), frozenset({"exact", "idempotent", "kept"}))
        for part in ("rows", "fixed", "box", "order", "phases")
    ),
    Entry("uncertain rows", "displace", ("diagonal",), frozenset({"idempotent", "kept"})),
    # What it chooses among has not more in common. Uncertain rows are conditioned on, or met; of two phases the expected
    # front is given, which is no front.
    *(
        Entry(part, "auto", ("diagonal",), frozenset({"exact", "idempotent", "kept"}))
        for part in ("rows", "fixed", "box", "order", "variation", "curved")
    ),
    *(Entry(part, "auto", ("diagonal",), frozenset()) for part in ("uncertain rows", "phases")),
    # A term in a loss: a wish. Two phases have no slope to follow.
    *(
        Entry(part, "penalty", ("none",), frozenset({"gradient"}))
        for part in ("rows", "uncertain rows", "fixed", "box", "order", "variation", "curved", "evolution")
    ),
)  # fmt: skip

#: Why a part does not go with an enforcement.
_DISCRETE = "no solution that is stored obeys its equation to round-off, so that there is no set to move into"
_TIMES = "it works on each time by itself, and a balance couples them"
REASONS: Mapping[tuple[Part, str], str] = {
    ("balance", "project"): _TIMES,
    ("balance", "displace"): _TIMES,
    ("balance", "auto"): _TIMES,
    ("balance", "penalty"): _TIMES,
    ("variation", "displace"): "moving a profile leaves its variation as it is",
    ("curved", "displace"): "moving a profile meets totals, nothing else",
    ("phases", "penalty"): "two phases have no slope to follow",
    **{("evolution", how): _DISCRETE for how in ("condition", "project", "displace", "auto")},
}

_SEARCHES = "one search would have to run within another"
_SEQUENCE = (
    "no kernel here holds single times and balances between them at once; impose the balance, then the rest, with the total once more, "
    "on what comes out of it: enforce(enforce(prediction, flux).prediction, conservation & bounds)"
)
#: Parts that one set cannot have together, and why.
APART: Mapping[frozenset[Part], str] = {
    frozenset[Part]({"phases", "variation"}): _SEARCHES,
    frozenset[Part]({"phases", "curved"}): _SEARCHES,
    frozenset[Part]({"balance", "box"}): _SEQUENCE,
    frozenset[Part]({"balance", "order"}): _SEQUENCE,
    frozenset[Part]({"balance", "phases"}): _SEQUENCE,
    frozenset[Part]({"balance", "variation"}): _SEQUENCE,
    frozenset[Part]({"balance", "curved"}): _SEQUENCE,
}


def _moved_totals(admissible: Admissible) -> None:
    """Rows are totals along x, each on a stretch of its own; two phases are made anew, with no regard to fixed values."""
    totals_of(admissible)
    if admissible.phases is not None and admissible.box is not None and _fixes(admissible):
        raise ValueError(
            f"`displace` makes {admissible.phases.label} anew, with no regard to {admissible.box.label}; use `condition`, or leave "
            "one of them out."
        )


def _moved_phases(admissible: Admissible) -> None:
    """Two phases are displaced, which takes a total."""
    if admissible.phases is not None:
        totals_of(admissible)


#: What an enforcement asks of a set beyond its parts; they raise `ValueError`.
FURTHER: Mapping[str, Callable[[Admissible], None]] = {"displace": _moved_totals, "auto": _moved_phases}


def parts(admissible: Admissible) -> tuple[Part, ...]:
    """The parts that a set is made of."""
    found: list[Part] = []
    if admissible.rows is not None:
        uncertain = bool((admissible.rows.tolerance[admissible.rows.applies] > 0.0).any())
        found.append("uncertain rows" if uncertain else "rows")
    if admissible.box is not None:
        found.append("fixed" if _fixes(admissible) else "box")
    if admissible.order is not None:
        found.append("order")
    if admissible.phases is not None:
        found.append("phases")
    if admissible.variation is not None:
        found.append("variation")
    if admissible.curved:
        found.append("curved")
    if admissible.balance is not None:
        found.append("balance")
    if admissible.evolutions:
        found.append("evolution")
    return tuple(found)


def _fixes(admissible: Admissible) -> bool:
    box = admissible.box
    assert box is not None
    free = box.lower != box.upper
    return not (np.isfinite(box.lower) | np.isfinite(box.upper))[free].any()


def entries(enforcement: str, part: Part | None = None) -> tuple[Entry, ...]:
    """The table's lines on an enforcement, and on one part if given."""
    return tuple(entry for entry in TABLE if entry.enforcement == enforcement and part in (None, entry.part))


def require(admissible: Admissible, enforcement: str, who: str = "this constraint") -> None:
    """Raise `ValueError`, with the reason and what goes instead, unless an enforcement of the table can impose a set."""
    if not entries(enforcement):
        return
    found = parts(admissible)
    for part in found:
        _require_part(part, enforcement, who)
    for pair in combinations(found, 2):
        reason = APART.get(frozenset(pair))
        if reason is not None:
            raise ValueError(
                f"{who[0].upper()}{who[1:]} has {pair[0]} and {pair[1]}, which do not go together: {reason}."
            )
    if enforcement in FURTHER:
        FURTHER[enforcement](admissible)


#: What a constraint certainly has if it has such a method of its own; rows and bounds depend on the data.
_CERTAIN: tuple[Part, ...] = ("order", "phases", "variation", "curved", "balance", "evolution")


def require_possible(constraint: Constraint, enforcement: str) -> None:
    """The same, as far as it can be told without any data."""
    if not entries(enforcement):
        return
    for name, part in certain(constraint):
        _require_part(part, enforcement, f"`{name}`")


def certain(constraint: Constraint) -> tuple[tuple[str, Part], ...]:
    """The parts that a constraint, or those of a stack, has on any data, each with its name."""
    ones = constraint.parts if isinstance(constraint, Stack) else (constraint,)
    return tuple(
        (one.name, part)
        for one in ones
        for part in _CERTAIN
        if getattr(type(one), part) is not getattr(Constraint, part)
    )


def _require_part(part: Part, enforcement: str, who: str) -> None:
    if entries(enforcement, part):
        return
    others = list(dict.fromkeys(entry.enforcement for entry in TABLE if entry.part == part))
    reason = REASONS.get((part, enforcement))
    raise ValueError(
        f"`{enforcement}` cannot impose {part}, which {who} has{': ' + reason if reason else ''}; {', '.join(others)} can."
    )


def promised(admissible: Admissible, enforcement: str) -> frozenset[Promise]:
    """What is promised of a set under an enforcement; raises `ValueError` for one that does not go with it."""
    require(admissible, enforcement)
    found = [entries(enforcement, part)[0].promises for part in parts(admissible)]
    together = frozenset.intersection(*found) if found else frozenset[Promise]()
    # Bounds and shapes move samples one by one: only rows alone have the closed form that keeps each marginal.
    kept = admissible.linear or admissible.balance is not None
    return together if kept else together - {"variance"}
