"""What a comparison holds: the table's rows, and behind them what the figures need."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lawbound.constraints.constraint import Constraint
from lawbound.constraints.enforcement import Enforcement

Array = NDArray[np.float64]

#: Nominal probabilities at which coverage is taken; 0.95 among them.
NOMINAL = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])
FRONT_SAMPLES = 100


@dataclass(frozen=True)
class Row:
    """One number of a table: the mean over samples, and its standard error (None for one sample)."""

    method: str
    case: str
    metric: str
    value: float
    stderr: float | None
    published: float | None = None
    source: str | None = None


@dataclass(frozen=True)
class Imposed:
    """A constraint, how it is imposed, and what the table calls it."""

    constraint: Constraint
    how: Enforcement
    label: str

    def on(self, base: str) -> str:
        """The method's name in a table, imposed on the surrogate `base`.

        HardC and ProbConserv are published for the attentive neural process: there they go by their own names.
        """
        return self.label if base == "anp" else f"{base}+{self.label}"


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the figures need of one method in one case; arrays over the case's samples.

    mass: ∫mean dx, (sample, t). fronts: positions in joint samples, (draw, sample), None without a front.
    coverage: at `NOMINAL`, (nominal,). mean, std: of the first sample at the time of interest, (x,).
    """

    mass: Array
    fronts: Array | None
    coverage: Array
    mean: Array
    std: Array


@dataclass(frozen=True, eq=False)
class Case:
    """The reference side of a case."""

    name: str
    samples: NDArray[np.int64]
    truth: Array  # first sample at the time of interest, (x,)
    mass: Array  # ∫truth dx, (sample, t)
    rhs: Array  # (sample, t)
    front: Array | None  # (sample,)


@dataclass(frozen=True, eq=False)
class Comparison:
    """A table with the evidence behind it."""

    table: str
    rows: tuple[Row, ...]
    methods: tuple[str, ...]
    cases: tuple[Case, ...]
    evidence: Mapping[tuple[str, str], Evidence]  # (method, case)
    t: Array
    x: Array
    time_of_interest: float
    verdict: str
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # method → declared inputs
    rhs_source: str = "none"
    notes: tuple[str, ...] = ()

    def value(self, method: str, case: str, metric: str) -> float | None:
        """One number of the table, None where it does not apply."""
        found = [
            row.value for row in self.rows if (row.method, row.case, row.metric) == (method, case, metric)
        ]
        return found[0] if found else None

    def to_json(self) -> dict[str, Any]:
        """The one object that `--json` prints."""
        return {
            "table": self.table,
            "verdict": self.verdict,
            "time": self.time_of_interest,
            "rhs_source": self.rhs_source,
            "inputs": {method: list(used) for method, used in self.inputs.items()},
            "notes": list(self.notes),
            "rows": [asdict(row) for row in self.rows],
        }
