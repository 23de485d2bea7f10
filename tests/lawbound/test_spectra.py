import numpy as np
import pytest

from lawbound.spectra import band_ratios, energy_spectrum

RANDOM = np.random.default_rng(3)


def test_the_energy_is_that_of_the_field_less_its_mean():
    for periodic, n in (((True,), 31), ((False,), 30)):
        u = RANDOM.normal(size=(4, n))
        total = ((u - u.mean(-1, keepdims=True)) ** 2).sum(-1)
        np.testing.assert_allclose(energy_spectrum(u, periodic).sum(-1), total)


def test_a_wave_stands_in_the_shell_of_its_wave_number():
    x = np.arange(64) / 64
    spectrum = energy_spectrum(np.sin(2 * np.pi * 5 * x), (True,))
    assert (
        spectrum.argmax() == 4 and spectrum[4] == pytest.approx(32.0) and np.delete(spectrum, 4).max() < 1e-20
    )
    half = energy_spectrum(np.cos(np.pi * 3 * (x + 1 / 128)), (False,))
    assert half.argmax() == 2 and np.delete(half, 2).max() < 1e-20


def test_on_a_plane_shells_are_rings():
    y, x = np.meshgrid(np.arange(32) / 32, np.arange(32) / 32, indexing="ij")
    spectrum = energy_spectrum(np.cos(2 * np.pi * (3 * x + 4 * y)), (True, True))
    assert spectrum.argmax() == 4 and spectrum.sum() == pytest.approx(spectrum[4])


def test_bands_say_at_which_scale_energy_is_lost():
    x = np.arange(64) / 64
    waves = [np.sin(2 * np.pi * k * x) for k in (2, 6, 20)]
    truth = sum(waves)
    smooth = waves[0] + waves[1] + 0.1 * waves[2]
    np.testing.assert_allclose(band_ratios(smooth, truth, (True,)), [0.0, 0.0, -2.0], atol=1e-10)
    assert np.isnan(band_ratios(truth[:8], truth[:8], (True,))[2])  # eight points have no mode 12
