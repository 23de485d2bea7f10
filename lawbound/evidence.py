"""What a comparison holds: the table's rows, and behind them what the figures need."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lawbound.constraints.constraint import Constraint
from lawbound.constraints.enforcement import Enforcement
from lawbound.score import Metric

Array = NDArray[np.float64]

#: Nominal probabilities at which coverage is taken; 0.95 among them.
NOMINAL = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])
FRONT_SAMPLES = 100
PIT_BINS = 20
#: Which samples are drawn one by one, by the squared error of the unconstrained surrogates.
SHOWN = ("best", "median", "worst")


@dataclass(frozen=True)
class Row:
    """One number of a table: over samples, with its standard error (None where it is no mean, and for one sample).

    low, high: its 95 % bootstrap interval over samples, None for one sample.
    """

    method: str
    case: str
    metric: str
    value: float
    stderr: float | None
    published: float | None = None
    source: str | None = None
    low: float | None = None
    high: float | None = None


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


#: Samples of which the change by enforcement is kept.
CHANGES = 200


@dataclass(frozen=True, eq=False)
class Push:
    """What enforcement did. shift: change of the mean field at the time of interest, averaged over samples, (x,).

    changes: the same of the first samples, at most `CHANGES`, (sample, x). multipliers: of the linear rows,
    (sample, t, row); of many rows the largest size alone.
    """

    shift: Array
    changes: Array
    labels: tuple[str, ...]
    multipliers: Array


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the figures need of one method in one case; arrays over the case's samples.

    mass: ∫mean dx, (sample, t). fronts: positions in joint samples, (draw, sample), None without a front.
    coverage: at `NOMINAL`, (nominal,). pit: shares of points in equal bins of the probability transform, (bin,).
    mean, std: of the shown samples at the time of interest, (shown, x). residuals: by law, the largest |residual| of
    its parts, (sample, t). seconds: of prediction and enforcement, per sample. push: None for what is unconstrained.
    film: on planes, the mean of the median sample, (t, y, x).
    """

    mass: Array
    fronts: Array | None
    coverage: Array
    mean: Array
    std: Array
    pit: Array
    residuals: Mapping[str, Array]
    seconds: float
    push: Push | None = None
    film: Array | None = None


@dataclass(frozen=True, eq=False)
class Case:
    """The reference side of a case.

    shown: which of the case's samples are drawn, as `SHOWN` says (fewer if there are fewer); truth: they, (shown, x).
    residuals: by law, of the stored solution, (sample, t); floors: by law, of the solver before storing.
    tolerance: what the conservation law is known to, (sample, t).
    """

    name: str
    samples: NDArray[np.int64]
    truth: Array
    mass: Array  # ∫truth dx, (sample, t)
    rhs: Array  # (sample, t)
    front: Array | None  # (sample,)
    shown: NDArray[np.int64]
    residuals: Mapping[str, Array]
    floors: Mapping[str, Array]
    tolerance: Array | None = None
    film: Array | None = None  # (t, y, x)
    field: str = "u"  # that is drawn


@dataclass(frozen=True, eq=False)
class Comparison:
    """A table with the evidence behind it; `reduced` says what a quick version made smaller, empty for a full one."""

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
    metrics: tuple[Metric, ...] = ()  # of the rows, in the order of the columns
    solver_seconds: float | None = None  # of one core for one sample, where the family says
    hashes: Mapping[str, str] = field(default_factory=dict)  # what was judged → sha256
    reduced: str = ""

    def value(self, method: str, case: str, metric: str) -> float | None:
        """One number of the table, None where it does not apply."""
        found = [
            row.value for row in self.rows if (row.method, row.case, row.metric) == (method, case, metric)
        ]
        return found[0] if found else None

    def seconds(self, method: str) -> float | None:
        """Cost of one sample by a method, averaged over cases."""
        found = [(self.evidence[method, case.name].seconds, case.samples.size) for case in self.cases
                 if (method, case.name) in self.evidence]  # fmt: skip
        return sum(s * n for s, n in found) / sum(n for _, n in found) if found else self.solver_seconds

    def with_case_called(self, name: str) -> "Comparison":
        """The same, its only case under another name; raises `ValueError` if it has several."""
        (case,) = self.cases
        return replace(
            self,
            rows=tuple(replace(row, case=name) for row in self.rows),
            cases=(replace(case, name=name),),
            evidence={(method, name): found for (method, _), found in self.evidence.items()},
            verdict=self.verdict.replace(f" {case.name}:", f" {name}:"),
        )

    def to_json(self) -> dict[str, Any]:
        """The one object that `--json` prints."""
        return {
            "table": self.table,
            "quick": bool(self.reduced),
            "reduced": self.reduced,
            "verdict": self.verdict,
            "time": self.time_of_interest,
            "rhs_source": self.rhs_source,
            "inputs": {method: list(used) for method, used in self.inputs.items()},
            "notes": list(self.notes),
            "seconds_per_sample": {method: self.seconds(method) for method in self.methods},
            "hashes": dict(self.hashes),
            "rows": [asdict(row) for row in self.rows],
        }
