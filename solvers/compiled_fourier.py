"""Real Fourier transforms in compiled code, of one sample or of several side by side.

A real row of `points` values is one complex row of half as many (even points + i · odd points), transformed by
Stockham's self-sorting fast Fourier transform in steps of four, two and three. Samples stand side by side, innermost
in memory, and every sample sees the same sequence of roundings however many they are. P. N. Swarztrauber, FFT
algorithms for vector computers, Parallel Computing 1, 1984; W. H. Press et al., Numerical Recipes, 3rd ed., (12.3.5).
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.compiled import compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Unsigned numbers are never taken for positions from the end, so neighbours are seen to be neighbours.
_1, _2, _3, _4, _5, _6 = (np.uint64(i) for i in range(1, 7))
_0 = np.uint64(0)
_HALF_ROOT_3 = 0.5 * np.sqrt(3.0)


class RealTransform(NamedTuple):
    """Tables for rows of `points` = 2ʲ or 3 · 2ʲ values, `lanes` samples side by side."""

    points: int
    lanes: int
    radices: IntArray
    twiddles: FloatArray
    turn_re: FloatArray  # cos and sin of 2π m / points for m < points / 2, each as often as there are lanes
    turn_im: FloatArray


@lru_cache(maxsize=64)
def real_transform(points: int, lanes: int) -> RealTransform:
    """The tables; raises `ValueError` for other numbers of points than 8 · 2ʲ and 24 · 2ʲ."""
    half, radices = points // 2, []
    rest = half
    for radix in (4, 2, 3):
        while rest % radix == 0 and not (radix == 3 and 3 in radices):
            radices.append(radix)
            rest //= radix
    if rest != 1 or points % 8:
        raise ValueError(f"{points} points are none of 8, 16, 24, 32, 48, 64, 96, …; use one of these.")
    twiddles, left = [np.empty(0)], half
    for radix in radices:
        angles = -2.0 * np.pi * np.outer(np.arange(left // radix), np.arange(1, radix)) / left
        twiddles.append(np.stack([np.cos(angles), np.sin(angles)], axis=-1).ravel())
        left //= radix
    turn = np.repeat(2.0 * np.pi * np.arange(half) / points, lanes)
    return RealTransform(
        points, lanes, np.array(radices), np.concatenate(twiddles), np.cos(turn), np.sin(turn)
    )


@compiled
def _load(x: Any, i: Any) -> Any:
    return x[i], x[i + _1], x[i + _2], x[i + _3]


@compiled
def _store(x: Any, i: Any, a: Any) -> None:
    x[i] = a[0]
    x[i + _1] = a[1]
    x[i + _2] = a[2]
    x[i + _3] = a[3]


@compiled
def _sum(a: Any, b: Any) -> Any:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]


@compiled
def _gap(a: Any, b: Any) -> Any:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]


@compiled
def _times(w: Any, a: Any) -> Any:
    return w * a[0], w * a[1], w * a[2], w * a[3]


@compiled
def _store_turned(yr: Any, yi: Any, i: Any, wr: Any, wi: Any, ar: Any, ai: Any) -> None:
    """y = w a."""
    _store(yr, i, _gap(_times(wr, ar), _times(wi, ai)))
    _store(yi, i, _sum(_times(wr, ai), _times(wi, ar)))


@compiled
def _by_four_alone(parts: Any, w: Any, xr: Any, xi: Any, yr: Any, yi: Any) -> None:
    """The first stage of a single sample, whose neighbours in memory belong to different butterflies."""
    n = np.uint64(parts)
    for p in range(n):
        t, o = _6 * p, _4 * p
        ar, ai, br, bi = xr[p], xi[p], xr[p + n], xi[p + n]
        cr, ci, dr, di = xr[p + _2 * n], xi[p + _2 * n], xr[p + _3 * n], xi[p + _3 * n]
        pr, pi, mr, mi = ar + cr, ai + ci, ar - cr, ai - ci
        er, ei, fr, fi = br + dr, bi + di, br - dr, bi - di
        gr, gi, hr, hi, kr, ki = mr + fi, mi - fr, pr - er, pi - ei, mr - fi, mi + fr
        yr[o], yi[o] = pr + er, pi + ei
        yr[o + _1], yi[o + _1] = w[t] * gr - w[t + _1] * gi, w[t] * gi + w[t + _1] * gr
        yr[o + _2], yi[o + _2] = w[t + _2] * hr - w[t + _3] * hi, w[t + _2] * hi + w[t + _3] * hr
        yr[o + _3], yi[o + _3] = w[t + _4] * kr - w[t + _5] * ki, w[t + _4] * ki + w[t + _5] * kr


@compiled
def _by_four(parts: Any, stride: Any, w: Any, xr: Any, xi: Any, yr: Any, yi: Any) -> None:
    n, s = np.uint64(parts), np.uint64(stride)
    for p in range(n):
        t = _6 * p
        w1r, w1i, w2r, w2i, w3r, w3i = w[t], w[t + _1], w[t + _2], w[t + _3], w[t + _4], w[t + _5]
        a, o = s * p, _4 * s * p
        for q in range(_0, s, _4):
            i, j = a + q, o + q
            ar, ai, br, bi = _load(xr, i), _load(xi, i), _load(xr, i + s * n), _load(xi, i + s * n)
            cr, ci = _load(xr, i + _2 * s * n), _load(xi, i + _2 * s * n)
            dr, di = _load(xr, i + _3 * s * n), _load(xi, i + _3 * s * n)
            pr, pi, mr, mi = _sum(ar, cr), _sum(ai, ci), _gap(ar, cr), _gap(ai, ci)
            er, ei, fr, fi = _sum(br, dr), _sum(bi, di), _gap(br, dr), _gap(bi, di)
            _store(yr, j, _sum(pr, er))
            _store(yi, j, _sum(pi, ei))
            _store_turned(yr, yi, j + s, w1r, w1i, _sum(mr, fi), _gap(mi, fr))
            _store_turned(yr, yi, j + _2 * s, w2r, w2i, _gap(pr, er), _gap(pi, ei))
            _store_turned(yr, yi, j + _3 * s, w3r, w3i, _gap(mr, fi), _sum(mi, fr))


@compiled
def _by_two(parts: Any, stride: Any, w: Any, xr: Any, xi: Any, yr: Any, yi: Any) -> None:
    n, s = np.uint64(parts), np.uint64(stride)
    for p in range(n):
        wr, wi = w[_2 * p], w[_2 * p + _1]
        for q in range(_0, s, _4):
            i, j = s * p + q, _2 * s * p + q
            ar, ai, br, bi = _load(xr, i), _load(xi, i), _load(xr, i + s * n), _load(xi, i + s * n)
            _store(yr, j, _sum(ar, br))
            _store(yi, j, _sum(ai, bi))
            _store_turned(yr, yi, j + s, wr, wi, _gap(ar, br), _gap(ai, bi))


@compiled
def _by_three(parts: Any, stride: Any, w: Any, xr: Any, xi: Any, yr: Any, yi: Any) -> None:
    n, s = np.uint64(parts), np.uint64(stride)
    for p in range(n):
        w1r, w1i, w2r, w2i = w[_4 * p], w[_4 * p + _1], w[_4 * p + _2], w[_4 * p + _3]
        for q in range(_0, s, _4):
            i, j = s * p + q, _3 * s * p + q
            ar, ai, br, bi = _load(xr, i), _load(xi, i), _load(xr, i + s * n), _load(xi, i + s * n)
            cr, ci = _load(xr, i + _2 * s * n), _load(xi, i + _2 * s * n)
            tr, ti = _sum(br, cr), _sum(bi, ci)
            mr, mi = _gap(ar, _times(0.5, tr)), _gap(ai, _times(0.5, ti))
            gr, gi = _times(_HALF_ROOT_3, _gap(bi, ci)), _times(_HALF_ROOT_3, _gap(cr, br))
            _store(yr, j, _sum(ar, tr))
            _store(yi, j, _sum(ai, ti))
            _store_turned(yr, yi, j + s, w1r, w1i, _sum(mr, gr), _sum(mi, gi))
            _store_turned(yr, yi, j + _2 * s, w2r, w2i, _gap(mr, gr), _gap(mi, gi))


@compiled
def complex_transform(plan: Any, xr: Any, xi: Any, yr: Any, yi: Any) -> Any:
    """Σ_j x_j exp(−2πi jm/n) for n = points / 2; returns the two arrays that hold it, then the other two.

    With the real and imaginary parts exchanged before and after it is the sum with +2πi.
    """
    left, stride, first = plan.points // 2, plan.lanes, 0
    for radix in plan.radices:
        left //= radix
        w = plan.twiddles[first:]
        if stride == 1:
            _by_four_alone(left, w, xr, xi, yr, yi)
        elif radix == 4:
            _by_four(left, stride, w, xr, xi, yr, yi)
        elif radix == 2:
            _by_two(left, stride, w, xr, xi, yr, yi)
        else:
            _by_three(left, stride, w, xr, xi, yr, yi)
        first += 2 * (radix - 1) * left
        stride *= radix
        xr, xi, yr, yi = yr, yi, xr, xi
    return xr, xi, yr, yi


@compiled
def _mirror(row: Any, mirrored: Any, half: Any, lanes: Any, modes: Any) -> None:
    """mirrored[half − m] = row[m] for 0 < m < modes."""
    n, end, count = np.uint64(lanes), np.uint64(half), np.uint64(modes)
    for m in range(_1, count):
        there, here = (end - m) * n, m * n
        if lanes % 4 == 0:
            for lane in range(_0, n, _4):
                _store(mirrored, there + lane, _load(row, here + lane))
        else:
            for lane in range(n):
                mirrored[there + lane] = row[here + lane]


@compiled
def _enter(turn: Any, other: Any, a: Any, b: Any, c: Any, d: Any, sign: Any, out: Any) -> None:
    """out = (a + b) + sign · (turn · c + other · d), by element."""
    for i in range(out.size):
        out[i] = (a[i] + b[i]) + sign * (turn[i] * c[i] + other[i] * d[i])


@compiled
def values_of_waves(plan: Any, modes: Any, re: Any, im: Any, work: Any) -> Any:
    """Σ_m c_m exp(2πi jm/points) over 0 < |m| < modes, c_{−m} being conjugate: even points, odd points, two free arrays.

    `work` is (8, lanes · points / 2); modes ≤ points / 2.
    """
    half, lanes = plan.points // 2, plan.lanes
    ar, ai, rr, ri, dr, di = work[0], work[1], work[2], work[3], work[4], work[5]
    work[:4] = 0.0
    ar[lanes : modes * lanes] = re[lanes : modes * lanes]
    ai[lanes : modes * lanes] = im[lanes : modes * lanes]
    _mirror(ar, rr, half, lanes, modes)
    _mirror(ai, ri, half, lanes, modes)
    for i in range(dr.size):
        dr[i] = ar[i] - rr[i]
    for i in range(di.size):
        di[i] = ai[i] + ri[i]
        ri[i] = -ri[i]
    _enter(plan.turn_re, plan.turn_im, ar, rr, di, dr, -1.0, work[6])
    for i in range(di.size):
        di[i] = -di[i]
    _enter(plan.turn_re, plan.turn_im, ai, ri, dr, di, 1.0, work[7])
    odd, even, free, other = complex_transform(plan, work[7], work[6], work[1], work[0])
    return even, odd, free, other


@compiled
def waves_of_values(plan: Any, modes: Any, even: Any, odd: Any, free: Any, other: Any, work: Any) -> Any:
    """2 · Σ_j f_j exp(−2πi jm/points) for m < modes, real and imaginary parts; `work` is (4, lanes · points / 2)."""
    half, lanes = plan.points // 2, plan.lanes
    zr, zi, _, _ = complex_transform(plan, even, odd, free, other)
    rr, ri, dr, di = work[0], work[1], work[2], work[3]
    rr[:lanes], ri[:lanes] = zr[:lanes], zi[:lanes]
    _mirror(zr, rr, half, lanes, half)
    _mirror(zi, ri, half, lanes, half)
    for i in range(dr.size):
        dr[i] = zr[i] - rr[i]
    for i in range(di.size):
        di[i] = zi[i] + ri[i]
        ri[i] = -ri[i]
    return _leave(plan, modes * lanes, zr, zi, rr, ri, dr, di)


@compiled
def _leave(plan: Any, size: Any, zr: Any, zi: Any, rr: Any, ri: Any, dr: Any, di: Any) -> Any:
    """(z + r) − i e^{−iθ} d, written over z."""
    re, im = zr[:size], zi[:size]
    for i in range(size):
        di[i] = -di[i]
    # −i (c − i s)(dr + i di) = (c di − s dr) − i (c dr + s di), with the sign of di changed above.
    other_re = rr[:size]
    _enter(plan.turn_re, plan.turn_im, re, other_re, di, dr, -1.0, re)
    for i in range(size):
        di[i] = -di[i]
    _enter(plan.turn_re, plan.turn_im, im, ri[:size], dr, di, -1.0, im)
    return re, im
