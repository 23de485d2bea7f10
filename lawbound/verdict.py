"""The sentence above a table: what enforcement did, computed, whichever way it went."""

from collections.abc import Sequence

import numpy as np

from lawbound.evidence import Case, Comparison, Imposed

_ROUND_OFF = 1e-12  # of a total of one
_UNCHANGED = 5e-4  # a relative change below this is none: it would be written as 0.0 %


def verdict(result: Comparison, bases: Sequence[str], constraints: Sequence[Imposed]) -> str:
    """What enforcement did to the law, the squared error and the likelihood; computed, whichever way it went."""
    if not constraints:
        return _least(result, bases)
    pairs = [(base, item.on(base), item) for base in bases for item in constraints]
    lawful = [label for _, label, item in pairs if "conservation" in item.constraint.name.split("&")]
    errors = _changes(result, [(base, label) for base, label, _ in pairs], "mse")
    likelihoods = _changes(result, [(base, label) for base, label, _ in pairs], "ll")
    sentences = []
    if lawful:
        sentences.append(_law_kept(result, bases, lawful))
    if errors:
        told = [
            f"{label} {', '.join(_percent(new / old) for old, new in changes)}"
            for label, changes in errors.items()
        ]
        directions = _directions([change for changes in errors.values() for change in changes])
        sentences.append(
            f"Squared error at t = {result.time_of_interest:g} {directions} (at {_listed(result.cases)}): {'; '.join(told)}."
        )
    if likelihoods:
        told = [
            f"{sum(new > old for old, new in changes)} of {len(changes)} for {label}"
            for label, changes in likelihoods.items()
        ]
        sentences.append(f"Log-likelihood improved in {', '.join(told)}.")
    return " ".join(sentences)


def _least(result: Comparison, bases: Sequence[str]) -> str:
    """Which network errs least, where nothing was imposed on predictions."""
    told = []
    for metric in result.metrics[:1] if len(bases) > 1 else ():
        for case in result.cases:
            values = {
                base: value
                for base in bases
                if (value := result.value(base, case.name, metric.key)) is not None
            }
            if metric.aim != "low" or len(values) < len(bases):
                continue
            best = min(values, key=lambda base: values[base])
            others = ", ".join(
                f"{base} {_percent(value / values[best])}" for base, value in values.items() if base != best
            )
            told.append(f"Least {metric.label} at {case.name}: {best}, {values[best]:.3g}; {others}.")
    return " ".join(["Nothing was imposed after training.", *told])


def _law_kept(result: Comparison, bases: Sequence[str], lawful: Sequence[str]) -> str:
    def residual(methods: Sequence[str]) -> float:
        return max(
            float(np.abs(result.evidence[method, case.name].mass - case.rhs).max())
            for method in methods
            for case in result.cases
        )

    size = max(1.0, *(float(np.abs(case.rhs).max()) for case in result.cases))
    before, after = residual(bases), residual(lawful)
    told = f"largest residual {after:.2g}, before {before:.2g}".replace("e-0", "e-")
    if after <= _ROUND_OFF * size:
        return f"Once imposed, ∫u dx = b(t) holds to round-off: {told}."
    if _within_tolerance(result, lawful):
        least = min(
            float(case.tolerance[case.tolerance > 0.0].min())
            for case in result.cases
            if case.tolerance is not None
        )
        known = f"{least:.2g}".replace("e-0", "e-")
        return (
            f"Once imposed, ∫u dx = b(t) holds to the tolerance that b is known to ({known} or more): {told}."
        )
    return f"Once imposed, ∫u dx = b(t) holds only approximately: {told}."


def _within_tolerance(result: Comparison, lawful: Sequence[str]) -> bool:
    """Whether every residual is at most what the data say that the law is known to, or round-off."""
    for case in result.cases:
        if case.tolerance is None or not (case.tolerance > 0.0).any():
            return False
        allowed = np.maximum(case.tolerance, _ROUND_OFF * np.maximum(1.0, np.abs(case.rhs)))
        for method in lawful:
            if (np.abs(result.evidence[method, case.name].mass - case.rhs) > allowed).any():
                return False
    return True


def _changes(
    result: Comparison, pairs: Sequence[tuple[str, str]], metric: str
) -> dict[str, list[tuple[float, float]]]:
    """Method → (unconstrained value, constrained value) in each case; NaN where there is nothing to compare."""
    found: dict[str, list[tuple[float, float]]] = {}
    for base, label in pairs:
        for case in result.cases:
            old, new = (result.value(method, case.name, metric) for method in (base, label))
            change = (np.nan, np.nan) if old is None or new is None or old == 0.0 else (old, new)
            found.setdefault(label, []).append(change)
    return {label: changes for label, changes in found.items() if np.isfinite(changes).any()}


def _directions(changes: Sequence[tuple[float, float]]) -> str:
    """`fell in 2, rose in 1 of 3`."""
    known = [new / old - 1.0 for old, new in changes if np.isfinite(new - old)]
    counts = {
        "fell": sum(change <= -_UNCHANGED for change in known),
        "rose": sum(change >= _UNCHANGED for change in known),
        "stayed": sum(abs(change) < _UNCHANGED for change in known),
    }
    return ", ".join(f"{verb} in {count}" for verb, count in counts.items() if count) + f" of {len(known)}"


def _listed(cases: Sequence[Case]) -> str:
    """`m=1, m=3, m=6` as `m = 1, 3, 6`."""
    parts = [case.name.partition("=") for case in cases]
    if len({name for name, _, _ in parts}) == 1 and all(value for _, _, value in parts):
        return f"{parts[0][0]} = {', '.join(value for _, _, value in parts)}"
    return ", ".join(case.name for case in cases)


def _percent(ratio: float) -> str:
    """A change as a percentage, or as a factor from ten up."""
    if not np.isfinite(ratio):
        return "–"
    if ratio >= 10.0:
        return f"×{ratio:.0f}"
    change = ratio - 1.0
    if abs(change) < _UNCHANGED:
        return "unchanged"
    # A tenth is written where whole per cents would say nothing, or everything.
    tenths = abs(change) < 0.0095 or ratio < 0.01
    return f"{100 * change:+.{int(tenths)}f} %".replace("-", "−")
