import numpy as np
import pytest

import lawbound as lb
from lawbound.datasets import schema
from lawbound.datasets.catalogue import entries
from lawbound.datasets.families import DIFFUSION, PME, STEFAN
from lawbound.datasets.family import Uniform, Values
from lawbound.datasets.plugins import UnknownName, find, load_all
from lawbound.solvers import Cells, ExplicitDiffusion, ImplicitDiffusion

FAMILIES = {family.name: family for family in (DIFFUSION, PME, STEFAN)}
PARAMETERS = {"diffusion": (1.0, 5.0), "pme": (1.0, 2.0, 4.0, 6.0), "stefan": (0.3, 0.5, 0.6, 0.7)}


def test_ranges_and_splits_are_those_of_the_reference():
    assert DIFFUSION.splits["train"] == {"k": Uniform(1, 5)}
    assert DIFFUSION.splits["test"] == {"k": Values((1.0, 5.0))}
    assert PME.splits["train"] == {"m": Uniform(1, 6)} and PME.splits["test"] == {
        "m": Values((1.0, 3.0, 6.0))
    }
    assert STEFAN.splits["train"] == {"u_star": Uniform(0.55, 0.7)}
    assert STEFAN.splits["test"] == {"u_star": Values((0.6, 0.5))}
    assert (DIFFUSION.time_of_interest, PME.time_of_interest, STEFAN.time_of_interest) == (0.5, 0.5, 0.05)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("n", [20, 50])
def test_the_solver_keeps_each_family_s_law_within_the_stated_tolerance_at_all_times(name, n):
    family = FAMILIES[name]
    grid = Cells(*family.domain, n)
    times = np.linspace(*family.times, 101)
    for value in PARAMETERS[name]:
        run = ExplicitDiffusion().solve(family.build(family.of(value), grid, times))
        ends = np.array(family.domain)
        mass = np.array([np.diff(family.exact(family.of(value)).integral(t, ends))[0] for t in times])
        allowed = family.mass_tolerance(family.of(value), grid.width, times)
        assert (np.abs(run.total - mass) <= allowed).all()


@pytest.mark.parametrize("name", ["pme", "stefan"])
def test_the_tolerance_is_not_a_blank_cheque(name):
    # A scheme that loses half a cell's filling at the front must be caught.
    family = FAMILIES[name]
    value, h = PARAMETERS[name][1], 1 / 200
    t = np.array([family.time_of_interest])
    assert family.mass_tolerance(family.of(value), h, t)[0] < 0.05 * h


def test_sample_i_of_a_split_is_the_same_for_any_number_of_samples_and_differs_between_splits():
    few, many = (lb.generate("diffusion", n, split="train", nx=8, nt=2, seed=3) for n in (3, 7))
    np.testing.assert_array_equal(few.k, many.k[:3])
    np.testing.assert_array_equal(few.u, many.u[:3])
    valid = lb.generate("diffusion", 3, split="valid", nx=8, nt=2, seed=3)
    other = lb.generate("diffusion", 3, split="train", nx=8, nt=2, seed=4)
    assert not set(few.k.values) & (set(valid.k.values) | set(other.k.values))


def test_the_stored_seed_draws_the_parameter_again():
    data = lb.generate("stefan", 5, split="train", nx=8, nt=2)
    again = [Uniform(0.55, 0.7).draw(0, np.random.default_rng(int(seed))) for seed in data.seed]
    np.testing.assert_array_equal(data.u_star, again)


def test_the_default_design_is_80_10_10_and_test_values_take_turns():
    data = lb.generate("pme", 30, nx=6, nt=2, times=(0.0, 0.2))
    flags = data.split.attrs["flag_meanings"].split()
    counts = {name: int((data.split == flags.index(name)).sum()) for name in ("train", "valid", "test")}
    assert counts == {"train": 24, "valid": 3, "test": 3}
    assert list(data.m.values[-3:]) == [1.0, 3.0, 6.0]


def test_a_parameter_range_replaces_the_split_s_distribution():
    data = lb.generate("stefan", 20, split="test", nx=8, nt=2, parameters={"u_star": (0.3, 0.4)})
    assert ((data.u_star >= 0.3) & (data.u_star <= 0.4)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"problem": "stefann"}, "Did you mean stefan"),
        ({"samples": -1}, "at least 1"),
        ({"samples": 0}, "at least 1"),
        ({"seed": -1}, "integer ≥ 0"),
        ({"nx": 1}, "at least 4"),
        ({"nt": 1}, "at least 2"),
        ({"split": "tset"}, "train, valid, test"),
        ({"times": (0.1, 0.0)}, "0 ≤ T0 < T1"),
        ({"times": (-1.0, 0.05)}, "0 ≤ T0 < T1"),
        ({"parameters": {"k": (0.5, 0.6)}}, "has no parameter `k`; it has u_star"),
        ({"parameters": {"u_star": (0.7, 0.6)}}, "LOW ≤ HIGH"),
    ],
)
def test_wrong_arguments_are_refused_with_the_remedy(arguments, message):
    with pytest.raises(ValueError, match=message):
        lb.generate(**{"problem": "stefan", "samples": 2, "nx": 8, "nt": 3, **arguments})


def test_no_law_is_claimed_after_a_front_has_left():
    # u* = 0.5 leaves [0, 1] at t = 0.650.
    with pytest.raises(ValueError, match=r"leave the domain at t=0\.6502"):
        lb.generate("stefan", 2, split="test", nx=8, nt=3, times=(0.0, 0.7))
    lb.generate("stefan", 2, split="test", nx=8, nt=3, times=(0.0, 0.64))


def test_a_family_that_is_not_installed_is_an_unknown_name():
    with pytest.raises(UnknownName, match="lawbound list problems"):
        find("problems", "navier-stokes")


def test_a_broken_plug_in_warns_and_is_left_out(monkeypatch):
    from importlib.metadata import EntryPoint

    import lawbound.datasets.plugins as plugins

    broken = EntryPoint("broken", "no.such.module:thing", "lawbound.problems")
    monkeypatch.setattr(plugins, "_declared", lambda group: {"broken": broken})
    with pytest.warns(UserWarning, match="broken"):
        assert load_all("problems") == {}


def test_the_catalogue_lists_every_family():
    assert {"diffusion", "pme", "stefan"} <= {entry.name for entry in entries()}


def test_a_user_s_own_family_is_a_value_that_generates():
    from dataclasses import replace

    mine = replace(STEFAN, name="my-stefan", splits={"train": {"u_star": Values((0.65,))}})
    data = lb.generate(mine, 2, split="train", nx=8, nt=3)
    assert data.attrs["lawbound_problem"] == "my-stefan" and schema.faults(data) == []


def test_a_stefan_dataset_says_where_the_front_is():
    data = lb.generate("stefan", 2, split="test", nx=100, nt=11)
    exact = [[STEFAN.exact(STEFAN.of(value)).front(t) for t in data.t.values] for value in data.u_star.values]
    assert schema.by_role(data, schema.FRONT) == ["front_u"]
    assert abs(data.front_u.values - exact)[:, 1:].max() <= 0.2 * (1 / 100)
    assert schema.by_role(lb.generate("diffusion", 1, split="test", nx=8, nt=2), schema.FRONT) == []


def test_a_folder_made_by_another_solver_is_not_gone_on_with(tmp_path):
    from dataclasses import replace

    from lawbound.datasets.generate import configure, generate_into

    made = configure(STEFAN, 2, split="test", nx=8, nt=3)
    generate_into(tmp_path / "data", *made)
    other = replace(STEFAN, solver=ImplicitDiffusion())
    with pytest.raises(ValueError, match=r"solver=explicit-diffusion .* there, solver=implicit-diffusion"):
        generate_into(tmp_path / "data", *configure(other, 2, split="test", nx=8, nt=3))


def test_solving_the_same_problem_again_gives_the_same_configuration_and_another_source_another():
    from lawbound.solvers import Custom, Neumann, Problem, Walls

    def solved(source, k=lambda u: 1.0 + u):
        walls = Walls(Neumann(), Neumann())
        problem = Problem("mine", Custom(k), Cells(0.0, 1.0, 8), walls, 0.1, [0.0, 0.1], source)
        return lb.solve(problem).attrs["lawbound_config_sha256"]

    assert solved(0.5) == solved(0.5, lambda u: 1.0 + u)
    assert solved(0.5) != solved(0.6)


@pytest.mark.parametrize("name", ["diffusion", "pme", "stefan", "advection", "burgers-inviscid", "pme-2d"])
def test_random_data_obey_the_ledger_and_are_no_longer_those_of_the_closed_form(name):
    size = {"nx": 24, "nt": 5, "split": "train"}
    data = lb.generate(name, 3, data="random", **size)
    assert schema.faults(data) == [] and lb.check(data).ok
    assert data.law_conservation_rhs.attrs["lawbound_rhs_source"] == "ledger"
    assert "front_level" not in data
    closed = lb.generate(name, 3, **size)
    parameter = schema.by_role(data, schema.PARAMETER)[0]
    np.testing.assert_array_equal(data[parameter], closed[parameter])
    assert (abs(data.u - closed.u).max(dim=("t", *schema.axes(data))) > 1e-2).all()
    again = lb.generate(name, 2, data="random", **size)
    np.testing.assert_array_equal(data.u[:2], again.u)
    # Every sample has data of its own.
    assert abs(data.u[1, 0] - data.u[0, 0]).max() > 1e-2


def test_a_family_without_a_closed_form_has_no_other_data_than_its_own():
    with pytest.raises(
        ValueError, match=r"`heat-robin` has no other data than its own; leave out data='random'"
    ):
        lb.generate("heat-robin", 2, data="random")
