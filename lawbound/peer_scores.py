"""Scores as other benchmarks define them, quirks included, so that a number here equals theirs.

Arrays are (sample, field, [y,] x) at one time; each formula says how it treats fields. Several of these share a name
among benchmarks and differ by a factor: that is why each is called after its owner. Averages are over stored points,
as there, whatever their quadrature weights.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

WELL_EPSILON = 1e-7
NEURALOP_EPSILON = 1e-8
PHYSICSNEMO_EPSILON = 1e-8
#: Modes at which PDEBench's low, middle and high band begin.
PDEBENCH_BANDS = (0, 4, 12)


def _space(values: Array) -> tuple[int, ...]:
    return tuple(range(2, values.ndim))


def vrmse_the_well(u: Array, r: Array) -> Array:
    """VRMSE of The Well: √(⟨(u − r)²⟩ / (s² + 1e-7)), s² the unbiased variance of r in space, mean over fields; (sample,)."""
    axes = _space(r)
    each = np.sqrt(((u - r) ** 2).mean(axes) / (r.var(axes, ddof=1) + WELL_EPSILON))
    return np.asarray(each.mean(axis=-1))


def nrmse_the_well(u: Array, r: Array) -> Array:
    """NRMSE of The Well: √(⟨(u − r)²⟩ / (⟨r²⟩ + 1e-7)), mean over fields; (sample,)."""
    axes = _space(r)
    return np.asarray(np.sqrt(((u - r) ** 2).mean(axes) / ((r**2).mean(axes) + WELL_EPSILON)).mean(axis=-1))


def nrmse_pdebench(u: Array, r: Array) -> Array:
    """nRMSE of PDEBench: √⟨(u − r)²⟩ / √⟨r²⟩, mean over fields, no ε; (sample,). NaN or ∞ for a reference of zeros."""
    axes = _space(r)
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.sqrt(((u - r) ** 2).mean(axes)) / np.sqrt((r**2).mean(axes))
    return np.asarray(each.mean(axis=-1))


def nrmse_apebench(u: Array, r: Array) -> Array:
    """nRMSE of APEBench: ‖u − r‖ / ‖r‖ *summed* over fields, so that two fields double it; (sample,)."""
    return np.asarray(_relative(u, r, 0.0).sum(axis=-1))


def relative_l2_neuralop(u: Array, r: Array) -> Array:
    """LpLoss of neuraloperator: ‖u − r‖ / (‖r‖ + 1e-8) summed over fields; (sample,). It sums over samples as well."""
    return np.asarray(_relative(u, r, NEURALOP_EPSILON).sum(axis=-1))


def relative_l2_physicsnemo(u: Array, r: Array, *, epsilon: float = PHYSICSNEMO_EPSILON) -> Array:
    """Relative L2 of PhysicsNeMo: √(Σ(u − r)² / max(Σr², ε)) over all of a sample; (sample,)."""
    axes = tuple(range(1, r.ndim))
    return np.asarray(np.sqrt(((u - r) ** 2).sum(axes) / np.maximum((r**2).sum(axes), epsilon)))


def _relative(u: Array, r: Array, epsilon: float) -> Array:
    axes = _space(r)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt(((u - r) ** 2).sum(axes)) / (np.sqrt((r**2).sum(axes)) + epsilon))


def mean_gap(u: Array, r: Array) -> Array:
    """⟨u − r⟩ of each field, (sample, field): what PDEBench's cRMSE is made of."""
    return np.asarray((u - r).mean(_space(r)))


def crmse_pdebench(gaps: Array) -> Array:
    """cRMSE of PDEBench from `mean_gap`s: √(mean over samples of (Σu − Σr)²) / n, mean over fields.

    It compares with the reference's sum, not with the law's b, and takes all cells to be of one size.
    """
    return np.asarray(np.sqrt((gaps**2).mean(axis=0)).mean(axis=-1))


def brmse_pdebench(u: Array, r: Array) -> Array:
    """bRMSE of PDEBench, the outermost stored points only, mean over fields; (sample,).

    On a line √((e_1² + e_n²) / 2); on a plane √(Σ of e² over the four edges / (2 nx + 2 ny)), corners counted twice.
    """
    e2 = (u - r) ** 2
    if e2.ndim == 3:
        return np.asarray(np.sqrt((e2[..., 0] + e2[..., -1]) / 2.0).mean(axis=-1))
    edges = e2[..., [0, -1], :].sum((-2, -1)) + e2[..., [0, -1]].sum((-2, -1))
    return np.asarray(np.sqrt(edges / (2 * e2.shape[-1] + 2 * e2.shape[-2])).mean(axis=-1))


def mode_errors(u: Array, r: Array) -> Array:
    """|û − r̂|² by wave number, (sample, field, mode): what PDEBench's fRMSE is made of.

    On a line all modes of the real transform. On a plane the quadrant k, l ≥ 0 below half the points, summed over
    rings ⌊√(k² + l²)⌋ that fit into it.
    """
    gap = u - r
    if gap.ndim == 3:
        return np.asarray(np.abs(np.fft.rfft(gap, axis=-1)) ** 2)
    ny, nx = gap.shape[-2:]
    quadrant = np.abs(np.fft.fft2(gap)[..., : ny // 2, : nx // 2]) ** 2
    ring = np.floor(np.hypot(np.arange(ny // 2)[:, None], np.arange(nx // 2))).astype(int)
    kept = min(nx // 2, ny // 2)
    return np.stack([quadrant[..., ring == k].sum(axis=-1) for k in range(kept)], axis=-1)


def frmse_pdebench(errors: Array, band: int, points: int, *, length: float = 1.0) -> Array:
    """fRMSE of PDEBench from `mode_errors`: √(mean over samples of |û − r̂|²) L / n, mean over a band's modes, then fields.

    band: 0, 1, 2 for modes 0–3, 4–11, 12 and above. length: L, the domain's size, 1 there unless told. NaN where
    the grid has no such modes.
    """
    first, last = (*PDEBENCH_BANDS, None)[band : band + 2]
    each = np.sqrt(errors.mean(axis=0))[..., first:last] * (length / points)
    return np.asarray(each.mean(axis=-1).mean(axis=-1)) if each.shape[-1] else np.asarray(np.nan)
