"""|a|^m for whole rows, m > 0 real, in vector instructions.

|a|^m = 2^{m log₂|a|}. With |a| = 2^e f, f in [√½, √2), log f = 2 artanh((f − 1)/(f + 1)); the power of two is split
into a whole part, added to the exponent bits, and 2^r with |r| ≤ ½ by its series. Relative error about
(1 + |m log₂ a|) · 3e-16: 2e-16 for u near 1, 1e-14 for u near 1e-20. The library's pow, one number at a time, takes five times as long.
"""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.compiled import compiled, compiled_with_fused_products

FloatArray = NDArray[np.float64]
Bits = NDArray[np.uint64]

_ABSOLUTE = np.uint64(0x7FFFFFFFFFFFFFFF)
_TO_NEAREST_ONE = np.uint64(0x0009_5F61_9980_C433)  # bits of 1 minus bits of √½: rounds f into [√½, √2)
_ONE = np.uint64(0x3FF0000000000000)
_TWO_52 = np.uint64(0x4330000000000000)  # bits of 2⁵²: an integer or-ed into them is that float plus 2⁵²
_EXPONENT = np.uint64(52)
_ROUNDING = 6755399441055744.0  # 1.5 · 2⁵²: adding it rounds to a whole number, kept in the low bits
_CHUNK = 256


@compiled
def _mantissa_and_exponent(bits: np.uint64) -> tuple[np.uint64, np.uint64]:
    b = bits & _ABSOLUTE
    e = (b + _TO_NEAREST_ONE) >> _EXPONENT
    return b + _ONE - (e << _EXPONENT), e | _TWO_52


@compiled_with_fused_products
def _exponential(mantissa: float, exponent: float, m: float) -> tuple[float, float]:
    """The power as a fraction in [√½, √2] and a whole power of two, still plus _ROUNDING."""
    e = exponent - 4503599627371519.0  # 2⁵² + 1023
    s = (mantissa - 1.0) / (mantissa + 1.0)
    z = s * s
    z2 = z * z
    z4 = z2 * z2
    # Estrin's order: short chains, so that vector units are kept busy.
    near = (1.0 / 3.0 + z * (1.0 / 5.0)) + z2 * (1.0 / 7.0 + z * (1.0 / 9.0))
    far = (1.0 / 11.0 + z * (1.0 / 13.0)) + z2 * (1.0 / 15.0 + z * (1.0 / 17.0))
    far = far + z4 * (1.0 / 19.0 + z * (1.0 / 21.0))
    log = (2.0 * s + 2.0 * s * (z * (near + z4 * far))) * 1.4426950408889634
    y = min(max(m * e + m * log, -1022.0), 1023.0)
    shifted = y + _ROUNDING
    r = ((m * e - (shifted - _ROUNDING)) + m * log) * 0.6931471805599453
    r2 = r * r
    r4 = r2 * r2
    low = (0.5 + r * (1.0 / 6.0)) + r2 * (1.0 / 24.0 + r * (1.0 / 120.0))
    high = (1.0 / 720.0 + r * (1.0 / 5040.0)) + r2 * (1.0 / 40320.0 + r * (1.0 / 362880.0))
    top = (1.0 / 3628800.0 + r * (1.0 / 39916800.0)) + r2 * (1.0 / 479001600.0 + r * (1.0 / 6227020800.0))
    return (1.0 + r) + r2 * (low + r4 * (high + r4 * top)), shifted


@compiled
def _least(m: float) -> float:
    """Below this the power is 0: its exponent would not fit."""
    return max(float(2.0 ** (-1000.0 / m)), 1e-300)


@compiled
def power(a: float, m: float) -> float:
    """|a|^m of one number, with the same bits as in a row."""
    if not abs(a) > _least(m):
        return 0.0 if a == a else a
    mantissa, exponent = _mantissa_and_exponent(np.float64(a).view(np.uint64))
    fraction, whole = _exponential(
        np.uint64(mantissa).view(np.float64), np.uint64(exponent).view(np.float64), m
    )
    bits = np.float64(fraction).view(np.uint64) + (np.float64(whole).view(np.uint64) << _EXPONENT)
    return np.uint64(bits).view(np.float64)


@compiled
def _split_row(bits: Bits, mantissa: Bits, exponent: Bits) -> None:
    for i in range(bits.size):
        mantissa[i], exponent[i] = _mantissa_and_exponent(bits[i])


@compiled_with_fused_products
def _exponential_row(
    mantissa: FloatArray, exponent: FloatArray, m: float, fraction: FloatArray, whole: FloatArray
) -> None:
    for i in range(mantissa.size):
        fraction[i], whole[i] = _exponential(mantissa[i], exponent[i], m)


@compiled
def _join_row(fraction: Bits, whole: Bits, result: Bits) -> None:
    for i in range(fraction.size):
        result[i] = fraction[i] + (whole[i] << _EXPONENT)


@compiled
def powers(a: FloatArray, m: float, result: FloatArray) -> None:
    """result[i] = |a[i]|^m; 0 where it would be below 2^−1000. `result` may not be `a`."""
    least = _least(m)
    one, two, three, four = np.empty(_CHUNK), np.empty(_CHUNK), np.empty(_CHUNK), np.empty(_CHUNK)
    for first in range(0, a.size, _CHUNK):
        n = min(_CHUNK, a.size - first)
        part, found = a[first : first + n], result[first : first + n]
        mantissa, exponent, fraction, whole = one[:n], two[:n], three[:n], four[:n]
        _split_row(part.view(np.uint64), mantissa.view(np.uint64), exponent.view(np.uint64))
        _exponential_row(mantissa, exponent, m, fraction, whole)
        _join_row(fraction.view(np.uint64), whole.view(np.uint64), mantissa.view(np.uint64))
        for i in range(n):
            found[i] = mantissa[i] if abs(part[i]) > least else 0.0 * part[i]  # not a number stays one
