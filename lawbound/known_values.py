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


def without_row(comparisons: Sequence[Comparison], figures: Figures) -> tuple[str, ...]:
    """Sentences on the published figures that no comparison has a row for.

    Of our cases with their values; of other set-ups with their values where they are few, else by name.
    """
    here = {(row.method, row.case, row.metric) for one in comparisons for row in one.rows}
    cases = {row.case for one in comparisons for row in one.rows}
    left = {key: value for key, value in figures.items() if key not in here}
    same = {key: value for key, value in left.items() if key[1] in cases}
    others = {key: value for key, value in left.items() if key not in same}
    notes = []
    if same:
        notes.append(f"published, of methods or scores without a row here: {_values(same)}")
    if others:
        told = _values(others) if len(others) <= _MOST else _names(others)
        notes.append(f"published, of other set-ups: {told}")
    return tuple(notes)


def _values(figures: Figures) -> str:
    """`softc at k=1: ce 0.00347, ll 2.4 (source)`, one after the other."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for (method, case, metric), (value, source) in figures.items():
        found.setdefault((method, case, source), []).append(f"{metric} {value:.4g}")
    return "; ".join(
        f"{method} at {case}: {', '.join(values)} ({source})"
        for (method, case, source), values in found.items()
    )


def _names(figures: Figures) -> str:
    """`variance-no: softc, probconserv`, by what was done."""
    found: dict[str, list[str]] = {}
    for method, case, _ in figures:
        found.setdefault(case, []).append(method)
    return "; ".join(f"{case}: {', '.join(dict.fromkeys(methods))}" for case, methods in found.items())
