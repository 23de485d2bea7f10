from importlib.resources import as_file, files

import numpy as np
import pytest
import torch

import lawbound as lb
from lawbound.datasets import schema, store
from lawbound.datasets.provenance import content_hash
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.prediction import Prediction


def test_a_generated_dataset_follows_the_schema(stefan):
    assert schema.faults(stefan) == []
    assert stefan.u.dims == ("sample", "t", "x") and stefan.u.dtype == np.float32
    assert schema.laws(stefan) == ["conservation"]
    assert stefan.law_conservation_rhs.attrs["lawbound_rhs_source"] == "analytic"
    assert set(schema.by_role(stefan, schema.WALL)) == {"bc_u_x_lo", "bc_u_x_hi"}


@pytest.mark.parametrize("name", ["diffusion", "pme", "stefan"])
def test_files_pass_the_strict_cf_checker_without_a_word(name, tmp_path, strict_cf_verdict):
    store.write(lb.generate(name, 12, nx=12, nt=5, times=(0.0, 0.09)), tmp_path / "data.nc")
    assert "All tests passed!" in strict_cf_verdict(tmp_path / "data.nc")


def test_a_prediction_file_passes_the_strict_cf_checker(stefan_test, tmp_path, strict_cf_verdict):
    u = torch.from_numpy(stefan_test.u.values.astype(np.float64))[None]
    prediction = Prediction(u, Diagonal(torch.ones_like(u)), stefan_test)
    store.write(prediction.to_dataset(), tmp_path / "pred.nc")
    assert "All tests passed!" in strict_cf_verdict(tmp_path / "pred.nc")


@pytest.mark.parametrize("name", ["frozen-stefan.nc", "frozen-pme-draws.nc"])
def test_the_shipped_data_pass_the_strict_cf_checker(name, strict_cf_verdict):
    with as_file(files("lawbound") / "data" / name) as path:
        assert "All tests passed!" in strict_cf_verdict(path)


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda d: d.drop_attrs(deep=False), "global attributes are missing"),
        (lambda d: d.drop_vars("u"), "state field `u` is missing"),
        (lambda d: d.drop_vars("x_weights"), "quadrature weights"),
        (lambda d: d.rename(t="time"), "dimension `t` is missing"),
        (lambda d: d.transpose("x", ...), "has dimensions"),
        (lambda d: d.isel(t=slice(None, None, -1)), "does not increase"),
        (lambda d: d.assign(U=d.u), "differ only in case"),
        (lambda d: d.assign(strange=d.u_star.drop_attrs()), "`strange` has lawbound_role=None"),
        (lambda d: d.assign_attrs(lawbound_schema="9.9"), "declares schema 9.9"),
    ],
)
def test_each_departure_from_the_schema_is_named(stefan, spoil, fault):
    spoiled = spoil(stefan)
    assert any(fault in found for found in schema.faults(spoiled))
    with pytest.raises(ValueError, match=r"lawbound\.from_arrays"):
        schema.require(spoiled, "It")


def test_all_faults_come_in_one_error(stefan):
    with pytest.raises(ValueError, match=r"(?s)quadrature.*state field"):
        schema.require(stefan.drop_vars(["u", "x_weights"]), "It")


def test_a_user_s_own_arrays_become_a_valid_dataset_and_are_checked():
    x, t = np.linspace(0, 1, 11), np.array([0.0, 1.0])
    u = np.stack([np.outer([1.0, 2.0], x), np.outer([2.0, 1.0], x)])
    data = lb.from_arrays(
        u, t=t, x=x, mass=[[0.5, 1.0], [1.0, 0.5]], parameters={"a": [1, 2]}, split=["train", "test"]
    )
    assert schema.faults(data) == [] and lb.check(data).ok
    np.testing.assert_allclose(data.law_conservation_residual, 0.0, atol=1e-15)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"u": np.ones((1, 2, 4))}, r"has shape \(1, 2, 4\)"),
        ({"u": np.full((1, 2, 3), np.nan)}, r"not finite at \(sample, t, x\) index \(0, 0, 0\)"),
        ({"mass": [[1.0]]}, "needed are finite values of shape"),
        ({"mass": [[1.0, 1.0]], "mass_source": "guess"}, "analytic, boundary-data, ledger"),
        ({"weights": [1.0]}, "`weights`"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        lb.from_arrays(**{"u": np.ones((1, 2, 3)), "t": [0.0, 1.0], "x": [0.0, 0.5, 1.0], **arguments})


def test_how_far_a_mass_is_trusted_knows_nothing_of_later_states():
    x, t = np.linspace(0, 1, 11), np.array([0.0, 1.0])
    u = np.stack([np.outer([1.0, 2.0], np.sqrt(x)), np.outer([2.0, 1.0], x < 0.42)])
    later = u.copy()
    later[:, 1] += np.random.default_rng(0).normal(size=(2, 11))
    mass = np.array([[2 / 3, 4 / 3], [0.84, 0.42]])
    one, other = (lb.from_arrays(values, t=t, x=x, mass=mass) for values in (u, later))
    for data in (one, other):
        found = lb.constraints.Conservation().rows(data).tolerance
        np.testing.assert_allclose(found[..., 0], [[0.5 * 0.1 * np.sqrt(0.1)] * 2, [0.5 * 0.1 * 2.0] * 2])
    # What the truth is off by is another figure, for checks, and differs.
    assert (one.law_conservation_tolerance != other.law_conservation_tolerance)[:, 1].all()
    stated = lb.from_arrays(u, t=t, x=x, mass=mass, mass_tolerance=0.25)
    assert (lb.constraints.Conservation().rows(stated).tolerance == 0.25).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mass_tolerance": 0.1}, "give `mass` as well"),
        ({"mass": [[1.0, 1.0]], "mass_tolerance": -0.1}, "negative or not finite"),
        ({"mass": [[1.0, 1.0]], "mass_tolerance": [0.1]}, r"has shape \(1,\)"),
    ],
)
def test_tolerances_that_mean_nothing_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        lb.from_arrays(np.ones((1, 2, 3)), t=[0.0, 1.0], x=[0.0, 0.5, 1.0], **arguments)


def test_solving_one_problem_gives_a_checked_dataset_with_the_solver_s_own_ledger_as_law():
    from lawbound.datasets.families import STEFAN
    from lawbound.solvers import Cells

    data = lb.solve(STEFAN.build(STEFAN.of(0.6), Cells(0.0, 1.0, 30), np.linspace(0.0, 0.1, 5)))
    assert lb.check(data).ok
    assert data.law_conservation_rhs.attrs["lawbound_rhs_source"] == "ledger"


def test_the_content_hash_sees_values_and_names_and_not_compression(stefan, tmp_path):
    store.write(stefan, tmp_path / "a.nc")
    stefan.to_netcdf(tmp_path / "b.nc", encoding={name: {"_FillValue": None} for name in stefan.variables})
    a, b = store.read(tmp_path / "a.nc"), store.read(tmp_path / "b.nc")
    assert content_hash(a) == content_hash(b) == a.attrs["lawbound_content_sha256"]
    changed = a.copy(deep=True)
    changed["u"].values[0, 0, 0] += 1e-3
    assert content_hash(changed) != content_hash(a)


def test_datasets_of_other_values_have_another_identity():
    x, t, u = [0.0, 0.5, 1.0], [0.0, 1.0], np.ones((1, 2, 3))
    one, other = lb.from_arrays(u, t=t, x=x), lb.from_arrays(2 * u, t=t, x=x)
    assert one.attrs["lawbound_config_sha256"] != other.attrs["lawbound_config_sha256"]


def test_problems_that_differ_in_the_last_digit_have_another_identity():
    from lawbound.solvers import Cells, Constant, Dirichlet, Problem, Walls

    def solved(start, wall):
        walls = Walls(Dirichlet(wall), Dirichlet(0.0))
        return lb.solve(Problem("p", Constant(1.0), Cells(0.0, 1.0, 8), walls, start, [0.0, 0.01]))

    one, other = solved(0.5, 1.0), solved(0.5 + 1e-12, 1.0)
    again = solved(0.5, lambda times: np.ones_like(times))
    assert one.attrs["lawbound_config_sha256"] != other.attrs["lawbound_config_sha256"]
    assert one.attrs["lawbound_config_sha256"] == again.attrs["lawbound_config_sha256"]


def test_shapes_and_kinds_of_values_are_part_of_the_schema(stefan):
    wide = stefan.assign(x_weights=stefan.x_weights.expand_dims(t=stefan.t))
    assert any("needs ('x',)" in fault for fault in schema.faults(wide))
    assert any(
        "is missing beside" in fault
        for fault in schema.faults(stefan.drop_vars("law_conservation_tolerance"))
    )
    words = stefan.assign_coords(x=[str(i) for i in range(stefan.sizes["x"])])
    assert any("not made of finite numbers" in fault for fault in schema.faults(words))
    nameless = stefan.copy()
    nameless["split"] = nameless.split.drop_attrs().assign_attrs(lawbound_role="split", long_name="split")
    assert any("without a name" in fault for fault in schema.faults(nameless))
