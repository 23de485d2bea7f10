"""The families of the spectral solvers: valid files, laws kept, closed forms met, and samples that depend on nothing else."""

import numpy as np
import pytest

import lawbound as lb
from lawbound.datasets import schema
from lawbound.datasets.plugins import find
from lawbound.solvers import HeatedRod

SIZES = {
    "heat-neumann": {},
    "heat-dirichlet": {},
    "heat-robin": {},
    "stokes": {},
    "wave": {},
    "wave-2d": {},
    "burgers-periodic": {},
    "burgers-dirichlet": {},
    "burgers-random": {"nx": 200},
    "cavity": {"nx": 24, "times": (0.0, 0.5)},
}
NAMES = list(SIZES)
named = pytest.mark.parametrize("name", NAMES)


@named
@pytest.mark.parametrize("split", ["train", "shift-large"])
def test_a_family_generates_a_valid_dataset_that_obeys_its_laws(name, split):
    data = lb.generate(name, 2, split=split, nt=6, **SIZES[name])
    report = lb.check(data)
    assert report.ok, report
    assert set(schema.laws(data)) == set(find("problems", name).laws)
    for law in schema.laws(data):
        residual, tolerance = (data[schema.law_variable(law, what)] for what in ("residual", "tolerance"))
        assert (abs(residual) <= tolerance).all()
        # Fronts of Burgers are a few points wide, which is what their quadrature is worth.
        assert float(tolerance.max()) < (1e-3 if name.startswith("burgers") else 1e-6)


@named
def test_samples_are_the_same_for_any_number_of_them(name):
    few, many = (lb.generate(name, n, split="train", nt=3, seed=5, **SIZES[name]) for n in (1, 3))
    for field in schema.state_variables(few):
        np.testing.assert_array_equal(few[field][0], many[field][0])
    assert len({float(many.u[i].std()) for i in range(3)}) == 3


@pytest.mark.parametrize("name", ["heat-neumann", "stokes", "wave", "burgers-dirichlet"])
def test_stored_solutions_are_the_closed_forms(name):
    family, data = find("problems", name), lb.generate(name, 4, split="test", nt=11)
    for i, seed in enumerate(data.seed.values.tolist()):
        exact = family.exact(family.of(*(float(data[p][i]) for p in family.parameters), seed=seed))
        u = np.stack([exact(t, data.x.values) for t in data.t.values])
        # Single precision is what is stored.
        assert abs(data.u[i] - u).max() < 1e-7 * abs(u).max()


def test_the_rod_s_two_readings_of_the_time_range_end_with_full_heat_and_with_none():
    short, long = (lb.generate("heat-neumann", 1, split="test", nt=3, times=(0.0, end)) for end in (0.5, 2.0))
    flux = [float(d.bc_u_x_hi[0, -1] / d.k[0]) for d in (short, long)]
    assert flux == pytest.approx([5.0, 0.0], abs=1e-12)
    assert short.bc_u_x_hi.attrs["lawbound_bc_type"] == "neumann"


def test_the_mass_of_the_rod_is_its_start_and_what_the_heater_gave():
    data = lb.generate("heat-neumann", 2, split="train", nt=6)
    exact = [HeatedRod(float(omega)).integral(data.t.values, 1.0) for omega in data.omega]
    np.testing.assert_allclose(data.law_conservation_rhs, exact, atol=1e-13)
    assert data.law_conservation_rhs.attrs["lawbound_rhs_source"] == "boundary-data"


def test_one_viscosity_of_the_moving_wall_can_be_picked():
    data = lb.generate("stokes", 3, split="train", nt=3, parameters={"nu": (0.001, 0.001)})
    assert (data.nu == 0.001).all() and len(set(data.omega.values.tolist())) == 3


def test_waves_carry_their_rate():
    data = lb.generate("wave", 1, split="train", nt=401)
    assert schema.state_variables(data) == ["u", "u_t"]
    slope = np.gradient(data.u.values[0], data.t.values, axis=0)
    assert abs(slope - data.u_t.values[0])[1:-1].max() < 2e-2 * abs(slope).max()


def test_a_cavity_carries_its_walls_and_all_of_its_fields():
    data = lb.generate("cavity", 1, split="train", nt=4, **SIZES["cavity"])
    assert schema.state_variables(data) == ["u", "v", "p", "vorticity", "streamfunction"]
    walls = {name: data[name].dims for name in schema.by_role(data, schema.WALL)}
    assert walls["bc_u_y_hi"] == walls["bc_v_y_lo"] == ("sample", "t", "x")
    assert walls["bc_v_x_lo"] == walls["bc_u_x_hi"] == ("sample", "t", "y")
    np.testing.assert_allclose(data.u[0, :, -1], data.bc_u_y_hi[0], atol=1e-6)
    assert float(abs(data.v[0, :, :, 0]).max()) < 1e-7 and float(data.bc_u_y_hi.max()) > 0.4
    mean = schema.integral(data, data.p.values.astype(np.float64))
    assert abs(mean).max() < 1e-4 * float(abs(data.p).max())


def test_random_walls_are_independent_of_each_other_and_start_where_the_field_does():
    data = lb.generate("burgers-random", 2, split="train", nt=6, nx=200)
    np.testing.assert_allclose(data.u[:, :, 0], data.bc_u_x_lo, atol=1e-6)
    np.testing.assert_allclose(data.u[:, :, -1], data.bc_u_x_hi, atol=1e-6)
    assert float(abs(data.bc_u_x_lo - data.bc_u_x_hi).max()) > 0.1
