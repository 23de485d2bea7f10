"""Fluxes that are trusted up to a deviation: both limits, dense algebra in between, and what it is good for."""

import numpy as np
import pytest
import torch

from lawbound.constraints import Conservation, enforce
from lawbound.constraints.flux_conservation import FluxConservation
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.prediction import Prediction

LAWS = {
    "diffusion": FluxConservation(1.0),
    "pme": FluxConservation(1.0, "power", "m"),
    "stefan": FluxConservation(1.0, "step", "u_star"),
}


def law(family, noise, **options):
    like = LAWS[family]
    return FluxConservation(noise, like.conductivity, like.parameter, **options)


def noisy(data, seed=0, spread=0.05, start=None):
    """The reference and noise of a known size; at the start of size `start`."""
    random = torch.Generator().manual_seed(seed)
    u = torch.from_numpy(data.u.values.astype(np.float64))
    sigma = spread * (0.5 + torch.rand(u.shape, generator=random, dtype=u.dtype))
    if start is not None:
        sigma[:, 0] = start
    return Prediction(
        (u + sigma * torch.randn(u.shape, generator=random, dtype=u.dtype))[None],
        Diagonal(sigma[None] ** 2),
        data,
    )


@pytest.mark.parametrize("family", LAWS)
def test_fluxes_that_are_not_trusted_leave_conditioning_on_the_mass(made, family):
    given = noisy(made(family, nx=12, nt=5))
    by_mass = enforce(given, Conservation()).prediction
    free = law(family, 1e5).impose(given)
    torch.testing.assert_close(free.means, by_mass.means, rtol=0, atol=1e-7)
    torch.testing.assert_close(free.variance, by_mass.variance, rtol=0, atol=1e-9)


def test_fluxes_that_are_trusted_make_the_implicit_scheme(made):
    data = made("diffusion", nx=16, nt=6)
    given = noisy(data, start=1e-9)
    lawful = law("diffusion", 1e-7, total=False).impose(given)
    # Backward Euler from the initial state, written down by itself.
    n, h, dt = 16, float(data.x_weights[0]), float(data.t[1] - data.t[0])
    laplace = np.diag(np.full(n, -2.0)) + np.diag(np.ones(n - 1), 1) + np.diag(np.ones(n - 1), -1)
    laplace[0, 0] = laplace[-1, -1] = -3.0  # walls at 0, half a cell away
    for sample in range(3):
        u = given.means[0, sample, 0].numpy()
        for step in range(1, 6):
            u = np.linalg.solve(np.eye(n) - float(data.k[sample]) * dt / h**2 * laplace, u)
            np.testing.assert_allclose(lawful.means[0, sample, step], u, atol=1e-6)
    assert lawful.variance.max() < 1e-10


@pytest.mark.parametrize("family", ["pme", "stefan"])
def test_a_nonlinear_scheme_is_met_where_its_fluxes_are_trusted(made, family):
    data = made(family, nx=12, nt=9)
    trusted = law(family, 1e-4, total=False)
    u = trusted.impose(noisy(data, spread=0.02)).means[0].numpy()
    dt, h = np.diff(data.t.values)[None, :, None], float(data.x_weights[0])
    for sample in range(3):
        p = float(data[trusted.parameter][sample])
        phi = (
            (lambda v, p=p: np.maximum(v, 0) ** (p + 1) / (p + 1))
            if family == "pme"
            else (lambda v, p=p: np.maximum(v - p, 0))
        )
        walls = [data[f"bc_u_x_{end}"].values[sample, :, None] for end in ("lo", "hi")]
        flux = np.concatenate(
            [-2 * (phi(u[sample][:, :1]) - phi(walls[0])), -np.diff(phi(u[sample])), -2 * (phi(walls[1]) - phi(u[sample][:, -1:]))], axis=1
        ) / h  # fmt: skip
        gap = h * np.diff(u[sample], axis=0) / dt[0] + np.diff(flux[1:], axis=1)
        assert np.abs(gap).max() < 0.02 * np.abs(flux).max()
    free = noisy(data, spread=0.02).means[0].numpy()
    assert np.abs(h * np.diff(free, axis=1) / dt).max() > 0.01


def test_it_is_dense_gaussian_conditioning_where_fluxes_are_linear(made):
    data = made("diffusion", nx=6, nt=4).isel(sample=[0])
    given, noise = noisy(data), 0.3
    lawful = FluxConservation(noise, total=True, implicit=0.5).impose(given)
    n, nt, h, k = 6, 4, float(data.x_weights[0]), float(data.k[0])
    dt = float(data.t[1] - data.t[0])
    gradient = np.zeros((n + 1, n))
    for i in range(n + 1):
        gradient[i, max(i - 1, 0)] += (2 if i == n else 1) * (i > 0)
        gradient[i, min(i, n - 1)] -= (2 if i == 0 else 1) * (i < n)
    leaving = np.eye(n, n + 1, 1) - np.eye(n, n + 1)
    flow = leaving @ (k / h * gradient)
    rows, errors = [], []
    for step in range(nt - 1):
        block = np.zeros((n, nt * n))
        block[:, step * n : step * n + n] = -h * np.eye(n) + 0.5 * dt * flow
        block[:, step * n + n : step * n + 2 * n] = h * np.eye(n) + 0.5 * dt * flow
        rows.append(block)
        errors.append((noise * dt) ** 2 * leaving @ leaving.T)
    masses = np.kron(np.eye(nt), np.full((1, n), h))
    g = np.concatenate([*rows, masses])
    r = np.zeros((len(g), len(g)))
    for step, error in enumerate(errors):
        r[step * n : step * n + n, step * n : step * n + n] = error
    b = np.concatenate([np.zeros(n * (nt - 1)), data.law_conservation_rhs.values[0]])
    m, s = given.means[0, 0].numpy().ravel(), np.diag(given.covariance.values[0, 0].numpy().ravel())
    gain = s @ g.T @ np.linalg.inv(g @ s @ g.T + r)
    np.testing.assert_allclose(lawful.means[0, 0].numpy().ravel(), m + gain @ (b - g @ m), atol=1e-11)
    np.testing.assert_allclose(lawful.variance[0].numpy().ravel(), np.diag(s - gain @ g @ s), atol=1e-13)


@pytest.mark.parametrize("family", LAWS)
def test_the_mass_is_exact_variance_never_grows_and_the_error_falls(made, family):
    data = made(family, nx=24, nt=9)
    given = noisy(data)
    by_mass = enforce(given, Conservation()).prediction
    lawful = law(family, 0.1).impose(given)
    masses = lawful.means @ torch.from_numpy(data.x_weights.values)
    np.testing.assert_allclose(masses[0], data.law_conservation_rhs, atol=1e-12)
    assert (lawful.variance <= by_mass.variance * (1 + 1e-9) + 1e-15).all()
    u = torch.from_numpy(data.u.values.astype(np.float64))
    assert ((lawful.mean - u) ** 2).mean() < 0.7 * ((by_mass.mean - u) ** 2).mean()


@pytest.mark.parametrize(
    ("family", "constraint", "message"),
    [
        ("stokes", FluxConservation(1.0, parameter="nu"), "about averages over equal cells"),
        ("pme-2d", FluxConservation(1.0, "power", "m"), "about averages over equal cells"),
        ("advection", FluxConservation(1.0, parameter="beta"), "no flux for the x_hi wall, which is outflow"),
        ("pme", FluxConservation(1.0), "conductivity's parameter from `k`, which the dataset does not carry"),
    ],
)
def test_data_without_such_fluxes_are_refused(made, family, constraint, message):
    with pytest.raises(ValueError, match=message):
        constraint.impose(noisy(made(family, nx=12)) if family != "pme-2d" else _plane(made("pme-2d", nx=12)))


def _plane(data):
    u = torch.from_numpy(data.u.values.astype(np.float64)).flatten(2)[None]
    return Prediction(u, Diagonal(torch.ones_like(u)), data)


def test_wrong_arguments_are_refused(made):
    for arguments in (
        {"flux_noise": 0.0},
        {"flux_noise": 1.0, "conductivity": "cubic"},
        {"flux_noise": 1.0, "implicit": 2.0},
    ):
        with pytest.raises(ValueError, match="`FluxConservation` got"):
            FluxConservation(**arguments)
    with pytest.raises(ValueError, match="couples times"):
        FluxConservation(1.0).impose(noisy(made("diffusion").isel(t=[3])))
    assert FluxConservation(1.0).inputs == ("bc_u_*", "k", "law_conservation_rhs")
