"""The family on a square: splits, law, schema, files, and what is said where only an interval will do."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lawbound as lb
from lawbound.datasets import schema, store
from lawbound.datasets.catalogue import entries
from lawbound.datasets.families_plane import PME_2D
from lawbound.datasets.points import context_points
from lawbound.solvers import Boxes, Cells, Constant, Dirichlet, Neumann, Problem, Robin, Walls, box_averages


@pytest.fixture(scope="module")
def domes():
    return lb.generate(PME_2D, 3, split="test", nx=16, nt=4)


def test_ranges_are_those_of_the_shifted_splits_of_pme():
    ranges = [PME_2D.splits[f"shift-{name}"]["m"] for name in ("train", "small", "medium", "large")]
    assert [(r.low, r.high) for r in ranges] == [(2.0, 3.0), (3.0, 3.5), (3.5, 4.5), (4.5, 6.0)]


def test_fields_have_dimensions_and_weights_along_y_and_x(domes):
    assert schema.faults(domes) == []
    assert domes.u.dims == ("sample", "t", "y", "x") and domes.u.shape == (3, 4, 16, 16)
    assert schema.weights(domes).sum() == pytest.approx(4.0)
    assert schema.by_role(domes, schema.WALL) == ["bc_u_x_lo", "bc_u_x_hi", "bc_u_y_lo", "bc_u_y_hi"]
    assert {domes[name].attrs["lawbound_bc_type"] for name in schema.by_role(domes, schema.WALL)} == {
        "neumann"
    }
    assert list(domes.m.values) == [2.0, 2.5, 3.0]


@pytest.mark.parametrize("n", [4, 9, 24])
def test_the_solver_keeps_the_closed_form_s_mass_at_all_times(n):
    times = np.linspace(*PME_2D.times, 4)
    for m in (2.0, 3.3, 6.0):
        run = PME_2D.solver.solve(PME_2D.build(PME_2D.of(m), PME_2D.grid(PME_2D.domain, n), times))
        allowed = PME_2D.mass_tolerance(PME_2D.of(m), 2.0 / n, times)
        assert (abs(run.total - PME_2D.exact(PME_2D.of(m)).mass) <= allowed).all()


def test_the_solver_stays_close_to_the_closed_form(domes):
    faces = np.append(domes.x_bounds[:, 0], domes.x_bounds[-1, 1])
    for i, m in enumerate(domes.m.values):
        for k in (1, 3):
            exact = box_averages(PME_2D.exact(PME_2D.of(float(m))), float(domes.t[k]), faces, faces)
            assert abs(domes.u[i, k].values - exact).sum() <= 0.03 * exact.sum()


def test_no_law_is_claimed_after_the_front_has_reached_the_walls():
    with pytest.raises(ValueError, match="front leave the domain at t="):
        lb.generate(PME_2D, 2, parameters={"m": (1.2, 1.4)}, nx=8, nt=2)
    with pytest.raises(ValueError, match="give a time > 0"):
        lb.generate(PME_2D, 2, nx=8, nt=2, times=(0.0, 1.0))


def test_a_file_survives_the_round_trip_and_the_check(domes, tmp_path):
    store.write(domes, tmp_path / "domes.nc")
    again = store.read(tmp_path / "domes.nc")
    np.testing.assert_array_equal(again.u, domes.u)
    assert lb.check(again).ok
    spoiled = again.copy(deep=True)
    spoiled["u"].values[1, 2, 8, 8] *= 1.5
    assert not lb.check(spoiled).ok
    holed = again.copy(deep=True)
    holed["u"].values[1, 2, 3, 4] = np.nan
    with pytest.raises(ValueError, match=r"\(sample, t, y, x\) index \(1, 2, 3, 4\)"):
        lb.check(holed).raise_if_failed()


def test_files_pass_the_strict_cf_checker_without_a_word(domes, tmp_path, strict_cf_verdict):
    store.write(domes, tmp_path / "domes.nc")
    assert "All tests passed!" in strict_cf_verdict(tmp_path / "domes.nc")


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda d: d.drop_vars("y_weights"), "quadrature weights `y_weights` are missing"),
        (lambda d: d.drop_vars("y"), "coordinate `y` is missing"),
        (lambda d: d.transpose("x", "y", ...), "has dimensions"),
        (lambda d: d.assign(x_weights=d.y_weights), "its role `weights` needs"),
    ],
)
def test_each_departure_from_the_schema_is_named(domes, spoil, fault):
    assert any(fault in found for found in schema.faults(spoil(domes)))


def test_the_commands_know_the_family(tmp_path):
    program = Path(sys.executable).with_name("lawbound")

    def run(*words):
        return subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=True).stdout

    run("generate", "pme-2d", "-n", 2, "-o", tmp_path / "data", "--nx", 12, "--nt", 3)
    run("check", tmp_path / "data")
    assert "conservation" in run("info", tmp_path / "data")
    assert "pme-2d" in run("list", "problems")


def test_the_catalogue_says_that_it_is_a_square():
    entry = next(entry for entry in entries() if entry.name == "pme-2d")
    assert (entry.domain, entry.grid) == ("[-1, 1]²", "64 × 64 cells × 51 times")


def test_points_are_picked_on_an_interval_only(domes):
    with pytest.raises(ValueError, match="give data on an interval"):
        context_points(domes)


def test_one_problem_on_a_rectangle_is_solved_with_its_ledger_as_law():
    grid = Boxes(Cells(0.0, 2.0, 6), Cells(0.0, 1.0, 5))
    walls = Walls(Dirichlet(1.0), Neumann(0.3), Robin(1.0, 0.5), Dirichlet(lambda t, x: x))
    data = lb.solve(Problem("mixed", Constant(1.0), grid, walls, 0.2, [0.0, 0.1, 0.2], 0.7))
    assert data.u.shape == (1, 3, 5, 6) and lb.check(data).ok
    assert data.law_conservation_rhs.attrs["lawbound_rhs_source"] == "ledger"
    np.testing.assert_allclose(data.bc_u_y_hi, 1.0)
