"""Energy by wave number: whether a surrogate is too smooth, and at which scales."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

Array = NDArray[np.float64]

#: First modes of the low, middle and high band; PDEBench's.
BANDS = (0, 4, 12)


def energy_spectrum(u: Array, periodic: tuple[bool, ...]) -> Array:
    """Σ|û|² over shells of wave number k, (…, shell), k = 1, 2, … in half or whole waves; the mean is left out.

    u: (…, [y,] x), evenly spaced; periodic: by axis, in that order. Axes that are not periodic are continued evenly
    (a cosine transform), which has no jump at the walls to leak into high modes; their modes count half waves.
    """
    space = tuple(range(-len(periodic), 0))
    power: NDArray[Any] = np.asarray(u, dtype=np.float64)
    waves = []
    for axis, wraps in zip(space, periodic, strict=True):
        n = power.shape[axis]
        if wraps:
            power = np.fft.fft(power, axis=axis, norm="ortho")
            waves.append(np.abs(np.fft.fftfreq(n, 1.0 / n)))
        else:
            power = _cosines(power, axis)
            waves.append(np.arange(n, dtype=np.float64))
    energy = (np.abs(power) ** 2).reshape(*u.shape[: u.ndim - len(space)], -1)
    k = np.sqrt(sum(wave**2 for wave in np.meshgrid(*waves, indexing="ij"))).ravel()
    shell, shells = np.floor(k + 0.5).astype(int), int(min(wave.max() for wave in waves))
    return np.stack([energy[..., shell == s].sum(axis=-1) for s in range(1, shells + 1)], axis=-1)


def _cosines(values: NDArray[Any], axis: int) -> NDArray[Any]:
    if np.iscomplexobj(values):
        return np.asarray(_cosines(values.real, axis) + 1j * _cosines(values.imag, axis))
    return np.asarray(dctn(values, type=2, norm="ortho", axes=[axis]))


def band_ratios(u: Array, r: Array, periodic: tuple[bool, ...]) -> Array:
    """log10 of the energy of u over that of r in the low, middle and high band, (…, 3).

    Negative: too smooth at that scale, positive: too rough. NaN for a band without modes or without energy in r.
    """
    found, wanted = (energy_spectrum(values, periodic) for values in (u, r))
    ratios = []
    for first, last in zip(BANDS, (*BANDS[1:], None), strict=True):
        # Shell s stands at index s − 1: the mean, mode 0, is no part of a spectrum.
        part = slice(max(first - 1, 0), None if last is None else last - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios.append(np.log10(found[..., part].sum(axis=-1) / wanted[..., part].sum(axis=-1)))
    return np.where(np.isfinite(stacked := np.stack(ratios, axis=-1)), stacked, np.nan)
