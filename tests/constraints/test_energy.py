"""The energy of waves, in the waves that walls allow."""

import numpy as np
import pytest
import torch

from lawbound.constraints.energy import Energy
from lawbound.datasets.layout import Layout

TIMES = np.array([0.0, 0.3, 0.7])
C = 1.5


def energy(data, law):
    part = law.curved(data)[0]
    return part.function(torch.from_numpy(Layout.of(data, law.fields).state(data)))[..., 0].numpy()


@pytest.mark.parametrize(("family", "nx"), [("wave", 20), ("wave", 65), ("wave-2d", 12), ("wave-2d", 20)])
@pytest.mark.parametrize("known", ["law", "start"])
def test_the_solver_s_waves_keep_their_energy_to_the_precision_of_storing(made, family, nx, known):
    data, law = made(family, nx=nx), Energy(known=known)
    residual = law.residual(Layout.of(data, law.fields).state(data), data)
    assert np.abs(residual[..., 0] / data.law_energy_rhs.values).max() < 3e-7
    np.testing.assert_allclose(law.curved(data)[0].rhs[..., 0], data.law_energy_rhs, rtol=3e-7)


#: Standing waves u = A f(x) cos(c k t): walls, wavenumber, f, ∫ f² dx, and the grid.
WAVES = {
    "held": ("dirichlet", "dirichlet", 3 * np.pi, np.sin, 0.5, ("uniform", 24)),
    "free": ("neumann", "neumann", 2 * np.pi, np.cos, 0.5, ("uniform", 24)),
    "held and free": ("dirichlet", "neumann", 2.5 * np.pi, np.sin, 0.5, ("uniform", 24)),
    "free and held": ("neumann", "dirichlet", 1.5 * np.pi, np.cos, 0.5, ("uniform", 24)),
    "a period": ("periodic", "periodic", 4 * np.pi, np.sin, 0.5, ("period", 24)),
    "an odd period": ("periodic", "periodic", 4 * np.pi, np.sin, 0.5, ("period", 25)),
}


def standing(field_on, low, high, k, shape, grid, line=(0.0, 0.0)):
    def u(t, x):
        return 0.7 * shape(k * x) * np.cos(C * k * t) + line[0] + (line[1] - line[0]) * x

    def rate(t, x):
        return -0.7 * C * k * shape(k * x) * np.sin(C * k * t)

    ends = zip(("x_lo", "x_hi"), (low, high), line, strict=True)
    walls = [
        ("u", side, kind, np.full(3, value if kind == "dirichlet" else 0.0)) for side, kind, value in ends
    ]
    return field_on({"u": u, "u_t": rate}, grid, walls, times=TIMES, c=C)


@pytest.mark.parametrize("case", WAVES)
def test_a_standing_wave_has_its_energy_to_round_off(field_on, case):
    low, high, k, shape, square, grid = WAVES[case]
    data = standing(field_on, low, high, k, shape, grid)
    np.testing.assert_allclose(
        energy(data, Energy(known="start")), 0.5 * 0.49 * C**2 * k**2 * square, rtol=1e-13
    )


def test_the_line_between_held_values_has_its_own_share(field_on):
    data = standing(field_on, "dirichlet", "dirichlet", 3 * np.pi, np.sin, ("uniform", 24), (0.5, 2.0))
    share = 0.5 * C**2 * 1.5**2
    np.testing.assert_allclose(
        energy(data, Energy(known="start")), 0.25 * 0.49 * C**2 * 9 * np.pi**2 + share, rtol=1e-13
    )


def test_chebyshev_points_have_the_polynomial_s_energy(field_on):
    data = standing(field_on, "dirichlet", "dirichlet", 2 * np.pi, np.sin, ("chebyshev", 33))
    theta = np.pi * np.arange(33) / 32  # Clenshaw–Curtis
    k = np.arange(1, 17)
    b = np.where(k == 16, 1.0, 2.0)
    weights = (
        (1.0 - (b / (4 * k**2 - 1)) @ np.cos(2 * np.outer(k, theta)))
        * np.where(np.arange(33) % 32 == 0, 0.5, 1.0)
        / 32
    )
    data["x_weights"] = ("x", weights, data.x_weights.attrs)
    np.testing.assert_allclose(
        energy(data, Energy(known="start")), 0.25 * 0.49 * C**2 * 4 * np.pi**2, rtol=1e-11
    )


def test_derivatives_are_right_and_samples_have_their_own_speed(made):
    data = made("wave", nx=12)
    function = Energy().curved(data)[0].function
    state = torch.from_numpy(Layout.of(data, ("u", "u_t")).state(data)[:, :2])
    two = Energy().curved(data.isel(t=slice(0, 2)))[0].function
    assert torch.autograd.gradcheck(two, (state.requires_grad_(),))
    draws = torch.randn(4, 3, 9, 24, dtype=torch.float64)
    each = torch.stack([function(one) for one in draws])
    torch.testing.assert_close(function(draws), each)
    alone = Energy().curved(data.isel(sample=[2]))[0].function(draws[:, 2:])
    torch.testing.assert_close(function(draws)[:, 2:], alone)


def test_what_has_no_such_energy_is_refused(made, field_on):
    wave = made("wave", nx=12)
    with pytest.raises(ValueError, match=r"needs the variable `law_energy_rhs`"):
        Energy().on(wave.drop_vars("law_energy_rhs"))
    with pytest.raises(ValueError, match="speed from `a`, which the dataset does not carry"):
        Energy(speed="a").on(wave)
    open_ends = [("u", side, "outflow", np.zeros(3)) for side in ("x_lo", "x_hi")]
    fields = {"u": lambda t, x: x, "u_t": lambda t, x: x}
    with pytest.raises(ValueError, match="wall of `u` is outflow"):
        Energy(speed=1.0).on(field_on(fields, ("uniform", 8), open_ends))
    cells = [("u", side, "dirichlet", np.zeros(3)) for side in ("x_lo", "x_hi")]
    with pytest.raises(ValueError, match="these data have cells"):
        Energy(speed=1.0).on(field_on(fields, ("cells", 8), cells))
    with pytest.raises(ValueError, match='"law" or "start"'):
        Energy(known="end")


def test_nothing_is_read_but_the_inputs(made, inputs_only):
    for law in (Energy(), Energy(known="start")):
        data = made("wave-2d", nx=12)
        bare = inputs_only(data, law)
        state = Layout.of(data, law.fields).state(data)
        np.testing.assert_array_equal(law.residual(state, bare), law.residual(state, data))
