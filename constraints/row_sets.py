"""Linear conditions that may change from sample to sample and from time to time, in one row space for all of them.

Robin walls have rows of each sample's own Biot number, and what holds at walls need not hold in the initial state. There are
few different sets of rows, however, and all lie in the span of a few: row i of set p is Σ_k choices[p, i, k] rows[k].
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from lawbound.constraints.constraint import Admissible

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_RANK = 1e-10  # rows that repeat others to this share of their size are left out
_REPEATED = 1e-9  # and must agree with them to this share
_SPAN = 1e-14  # what is smaller than this share of the largest row is not in the span
#: Numbers that the sets together may have.
_MOST = 1 << 25


class RowSets(NamedTuple):
    """rows (r, n); choices (set, m, r), rows of zeros where a set has fewer than m; which (sample, t); rhs (sample, t, m)."""

    rows: FloatArray
    choices: FloatArray
    which: IntArray
    rhs: FloatArray


class Equalities(NamedTuple):
    """Rows (q, n), rhs and where they apply, (sample, t, q), one label each."""

    weights: FloatArray
    rhs: FloatArray
    applies: NDArray[np.bool_]
    labels: tuple[str, ...]


def equalities(admissible: Admissible, who: str = "An operator") -> Equalities:
    """The equalities of a set: its rows, and a row for each value that is fixed.

    Raises `ValueError` for a set that has none, and for one that has anything else.
    """
    layout, box = admissible.layout, admissible.box
    weights: list[FloatArray] = []
    rhs: list[FloatArray] = []
    applies: list[NDArray[np.bool_]] = []
    labels: list[str] = []
    others = [
        part.label
        for part in (admissible.order, admissible.phases, admissible.variation, admissible.balance)
        if part
    ]
    others += [label for part in admissible.curved for label in part.labels]
    if admissible.rows is not None:
        rows = admissible.rows
        weights.append(rows.weights)
        rhs.append(np.where(rows.applies, rows.rhs, 0.0))
        applies.append(rows.applies)
        labels += rows.labels
    if box is not None:
        fixed = box.lower == box.upper
        if (np.isfinite(box.lower) | np.isfinite(box.upper))[~fixed].any():
            others.append(box.label)
        points = np.flatnonzero(fixed.any(axis=(0, 1)))
        weights.append(np.eye(layout.size)[points])
        rhs.append(np.where(fixed, box.lower, 0.0)[..., points])
        applies.append(fixed[..., points])
        labels += [f"{box.label} at point {i}" for i in points]
    if others:
        raise ValueError(
            f"{who} imposes linear equalities, which {', '.join(others)} are not; train with `penalty`, or impose "
            "them on the predictions."
        )
    if not labels:
        raise ValueError(f"The constraint has no equality; {who.lower()} needs one.")
    return Equalities(
        np.concatenate(weights), np.concatenate(rhs, axis=-1), np.concatenate(applies, axis=-1), tuple(labels)
    )


def row_sets(found: Equalities) -> RowSets:
    """The sets of rows that apply somewhere, none with a row that follows from its others.

    Raises `ValueError`, by name, for conditions that repeat each other with other right-hand sides (corners that do
    not agree), and for more numbers than fit memory.
    """
    size = np.linalg.norm(found.weights, axis=1)
    if (size == 0.0).any():
        raise ValueError(f"`{found.labels[int(np.argmin(size))]}` has no weights, so it says nothing.")
    scaled, b = found.weights / size[:, None], found.rhs / size
    patterns, which = np.unique(
        found.applies.reshape(-1, found.applies.shape[-1]), axis=0, return_inverse=True
    )
    which = which.reshape(found.applies.shape[:2]).astype(np.int64)
    kept = []
    for number, pattern in enumerate(patterns):
        members, here = np.flatnonzero(pattern), which == number
        inside = independent(
            scaled[members], b[here][:, members], [found.labels[i] for i in members], np.argwhere(here)
        )
        kept.append(members[inside])
    used = np.unique(np.concatenate(kept))
    most = max(1, *(len(members) for members in kept))
    rows, parts = _span(scaled[used]) if len(used) > most else (scaled[used], np.eye(len(used)))
    if len(patterns) * most * len(rows) > _MOST:
        raise ValueError(
            f"{len(patterns)} different sets of up to {most} rows, of {len(rows)} in all, are too many for an operator; "
            "give fewer samples, a coarser grid, or one Biot number for all."
        )
    choices = np.zeros((len(patterns), most, len(rows)))
    rhs = np.zeros((*which.shape, most))
    for number, members in enumerate(kept):
        choices[number, : len(members)] = parts[np.searchsorted(used, members)]
        here = which == number
        rhs[here, : len(members)] = b[here][:, members]
    return RowSets(rows, choices, which, rhs)


def _span(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """An orthonormal basis of the span, (r, n), and the rows in it, (q, r)."""
    _, values, vectors = np.linalg.svd(rows, full_matrices=False)
    basis = vectors[values > _SPAN * values[0] * len(rows)]
    return basis, rows @ basis.T


def independent(weights: FloatArray, rhs: FloatArray, labels: list[str], places: IntArray) -> IntArray:
    """Indices of rows (q, n) that span all of them; the others must follow from these, right-hand sides (·, q) as well."""
    if len(weights) == 0:
        return np.zeros(0, dtype=np.int64)
    _, triangle, order = qr(weights.T, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(triangle))
    rank = int((diagonal > _RANK * diagonal[0]).sum())
    kept, rest = np.sort(order[:rank]), np.sort(order[rank:])
    if rest.size:
        combination = np.linalg.lstsq(weights[kept].T, weights[rest].T, rcond=None)[0]  # (kept, rest)
        off = np.abs(rhs[:, rest] - rhs[:, kept] @ combination)
        allowed = _REPEATED * (1.0 + np.abs(rhs[:, kept]) @ np.abs(combination))
        if (off > allowed).any():
            place, row = (int(i) for i in np.argwhere(off > allowed)[0])
            others = [labels[kept[i]] for i in np.flatnonzero(np.abs(combination[:, row]) > 1e-6)]
            sample, time = (int(i) for i in places[place])
            raise ValueError(
                f"`{labels[rest[row]]}` contradicts {', '.join(f'`{name}`' for name in others)} by "
                f"{off[place, row]:.3g} at (sample, t) index {(sample, time)}: they share points (a corner) but "
                "not values. Make the boundary data agree there, or leave one out."
            )
    return kept.astype(np.int64)
