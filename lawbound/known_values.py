"""Published figures beside the rows of a comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lawbound.evidence import Comparison

#: (method, case, metric) → (value, source)
Figures = Mapping[tuple[str, str, str], tuple[float, str]]
_MOST = 6  # figures without a row that are written out; of more, what they are of


def beside(comparison: Comparison, figures: Figures) -> Comparison:
    """The comparison with `published` and `source` filled in where a figure is of the same method, case and metric."""
    rows = []
    for row in comparison.rows:
        known = figures.get((row.method, row.case, row.metric))
        rows.append(row if known is None else replace(row, published=known[0], source=known[1]))
    return replace(comparison, rows=tuple(rows))


def without_row(comparisons: Sequence[Comparison], figures: Figures) -> str:
    """A sentence on the published figures that no comparison has a row for; empty if there is none."""
    here = {(row.method, row.case, row.metric) for one in comparisons for row in one.rows}
    left = {key: value for key, value in figures.items() if key not in here}
    if not left:
        return ""
    if len(left) <= _MOST:
        told = "; ".join(
            f"{method}, {case}, {metric} {value:g} ({source})"
            for (method, case, metric), (value, source) in left.items()
        )
    else:
        cases: dict[str, list[str]] = {}
        for method, case, _ in left:
            cases.setdefault(case, []).append(method)
        told = "; ".join(f"{case}: {', '.join(dict.fromkeys(found))}" for case, found in cases.items())
    return f"published, of other set-ups or of methods without a row here: {told}"
