"""Fluxes that are trusted up to a deviation: both limits, dense algebra in between, and what it is good for."""

from dataclasses import dataclass
from typing import final

import numpy as np
import pytest
import torch

import lawbound as lb
from lawbound.comparison import imposed as specified
from lawbound.constraints import (
    Bounds,
    Conservation,
    Constraint,
    Initial,
    Monotone,
    Rows,
    TotalVariation,
    enforce,
)
from lawbound.constraints.flux_conservation import FluxConservation
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.prediction import Prediction

LAWS = {
    "diffusion": FluxConservation(1.0, "constant"),
    "pme": FluxConservation(1.0, "power", "m"),
    "stefan": FluxConservation(1.0, "step", "u_star"),
}


@final
@dataclass(frozen=True)
class Moment(Constraint):
    """∫x u dx, and ∫u dx times a factor if there is one."""

    factor: float | None = None
    name = "moment"
    inputs = ("u",)

    def rows(self, data):
        weights = data.x_weights.values * (data.x.values if self.factor is None else 1.0)
        rhs = data.u.values.astype(np.float64) @ weights[:, None] + (self.factor is not None)
        return Rows(weights[None], rhs, np.zeros_like(rhs), ("∫x u dx",))


def imposed(constraint, prediction):
    return enforce(prediction, constraint).prediction


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
    free = imposed(law(family, 1e5), given)
    torch.testing.assert_close(free.means, by_mass.means, rtol=0, atol=1e-7)
    torch.testing.assert_close(free.variance, by_mass.variance, rtol=0, atol=1e-9)


def test_fluxes_that_are_trusted_make_the_implicit_scheme(made):
    data = made("diffusion", nx=16, nt=6)
    given = noisy(data, start=1e-9)
    lawful = imposed(law("diffusion", 1e-7, total=False), given)
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
    u = imposed(trusted, noisy(data, spread=0.02)).means[0].numpy()
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
    lawful = imposed(FluxConservation(noise, "constant", "k", total=True, implicit=0.5), given)
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
    lawful = imposed(law(family, 0.1), given)
    masses = lawful.means @ torch.from_numpy(data.x_weights.values)
    np.testing.assert_allclose(masses[0], data.law_conservation_rhs, atol=1e-12)
    assert (lawful.variance <= by_mass.variance * (1 + 1e-9) + 1e-15).all()
    u = torch.from_numpy(data.u.values.astype(np.float64))
    assert ((lawful.mean - u) ** 2).mean() < 0.7 * ((by_mass.mean - u) ** 2).mean()


@pytest.mark.parametrize(
    ("family", "constraint", "message"),
    [
        ("stokes", FluxConservation(1.0, "constant", "nu"), "about averages over equal cells"),
        ("pme-2d", FluxConservation(1.0, "power", "m"), "about averages over equal cells"),
        (
            "advection",
            FluxConservation(1.0, "constant", "beta"),
            "no flux for the x_hi wall, which is outflow",
        ),
        (
            "pme",
            FluxConservation(1.0, "constant"),
            "conductivity's parameter from `k`, which the dataset does not carry",
        ),
    ],
)
def test_data_without_such_fluxes_are_refused(made, family, constraint, message):
    with pytest.raises(ValueError, match=message):
        imposed(
            constraint, noisy(made(family, nx=12)) if family != "pme-2d" else _plane(made("pme-2d", nx=12))
        )


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
        imposed(FluxConservation(1.0), noisy(made("diffusion").isel(t=[3])))
    assert FluxConservation(1.0, "constant").inputs == ("bc_u_*", "k", "law_conservation_rhs")
    assert FluxConservation().inputs == (
        "bc_u_*",
        "the conductivity's parameter",
        "law_conservation_rhs",
        "u at the start",
    )


@pytest.mark.parametrize("family", LAWS)
def test_the_data_say_what_drives_their_fluxes_and_how_much_flows(made, family):
    data, like = made(family, nx=12, nt=5), LAWS[family]
    given = noisy(data)
    walls = [data[f"bc_u_x_{end}"].values for end in ("lo", "hi")]
    seen = np.concatenate([data.u.values[:, 0], *walls], axis=1)
    ends, p = (seen.max(1), seen.min(1)), data[like.parameter].values
    phi = {
        "diffusion": lambda u: p * u,
        "pme": lambda u: np.maximum(u, 0) ** (p + 1) / (p + 1),
        "stefan": lambda u: np.maximum(u - p, 0),
    }[family]
    length = float(data.x_weights.sum())
    auto = imposed(FluxConservation(), given)
    for sample in range(3):
        noise = 0.1 * float((phi(ends[0]) - phi(ends[1]))[sample]) / length
        stated = imposed(law(family, noise), given)
        torch.testing.assert_close(stated.means[:, sample], auto.means[:, sample], rtol=0, atol=1e-12)
    unknown = data.copy()
    del unknown.attrs["lawbound_conductivity"]
    with pytest.raises(ValueError, match="needs a model of the flux"):
        FluxConservation().on(unknown)
    with pytest.raises(ValueError, match="what a typical flux is"):
        FluxConservation().on(
            data.assign(u=0 * data.u, bc_u_x_lo=0 * data.bc_u_x_lo, bc_u_x_hi=0 * data.bc_u_x_hi)
        )


def test_a_problem_that_is_solved_alone_says_it_too():
    from lawbound.datasets.families import PME
    from lawbound.solvers import Cells

    data = lb.solve(PME.build(PME.of(2.5), Cells(0.0, 1.0, 16), np.linspace(0.0, 1.0, 5)))
    named = imposed(FluxConservation(0.3, "power", 2.5), noisy(data))
    assert torch.equal(imposed(FluxConservation(0.3), noisy(data)).means, named.means)


def test_it_stacks_with_rows_and_fixed_values_in_any_order(made):
    data = made("diffusion", nx=12, nt=5)
    given, flux = noisy(data), law("diffusion", 0.1)
    u = data.u.values.astype(np.float64)
    moment = Moment()
    one, other = (imposed(stack, given) for stack in (flux & moment, moment & flux))
    torch.testing.assert_close(one.means, other.means, rtol=0, atol=1e-12)
    weights = data.x_weights.values * data.x.values
    np.testing.assert_allclose(one.means[0].numpy() @ weights, u @ weights, atol=1e-12)
    assert (one.variance <= imposed(flux, given).variance * (1 + 1e-9) + 1e-15).all()
    # The mass twice is the mass once.
    twice = enforce(given, Conservation() & flux)
    torch.testing.assert_close(twice.prediction.means, imposed(flux, given).means, rtol=0, atol=1e-12)
    assert twice.report.multipliers.shape == (3, 5, 2)
    started = imposed(flux & Initial(), given)
    np.testing.assert_array_equal(started.means[0, :, 0], u[:, 0])
    assert started.variance[:, 0].max() == 0.0
    with pytest.raises(ValueError, match="contradicts other rows"):
        imposed(flux & Moment(factor=0.0), noisy(data))


def test_with_bounds_or_shapes_it_is_refused_and_the_sequence_that_is_named_works(made):
    data = made("pme", nx=12, nt=5)
    given, flux = noisy(data), law("pme", 0.1)
    for shape in (Bounds(0.0), Monotone("falling"), TotalVariation()):
        with pytest.raises(ValueError, match=r"do not go together: no kernel here.*impose the balance, then"):
            enforce(given, flux & shape)
    for how in ("project", "displace", "auto"):
        with pytest.raises(ValueError, match=rf"`{how}` cannot impose balance.*couples them; condition can"):
            enforce(given, flux, how)
    with pytest.raises(ValueError, match="another balance"):
        (flux & flux).on(data)
    bounded = enforce(imposed(flux, given), Conservation() & Bounds(0.0)).prediction
    assert bounded.means.min() >= 0.0
    masses = bounded.means[0].numpy() @ data.x_weights.values
    np.testing.assert_allclose(masses, data.law_conservation_rhs, atol=1e-12)


def test_compare_takes_it_by_name(made):
    item = specified("flux-conservation(flux_noise=0.3)&conservation")
    assert isinstance(item.constraint.parts[0], FluxConservation)
    with pytest.raises(ValueError, match="`project` cannot impose balance"):
        specified("flux-conservation:project")
