"""Advection and inviscid Burgers as families: ranges, tolerances, and splits whose fronts stay inside."""

import numpy as np
import pytest

import lawbound as lb
from lawbound.datasets import schema
from lawbound.datasets.families_waves import ADVECTION, BURGERS_INVISCID
from lawbound.datasets.family import Uniform, Values
from lawbound.solvers import Cells

FAMILIES = {family.name: family for family in (ADVECTION, BURGERS_INVISCID)}
PARAMETERS = {"advection": (0.5, 1.0, 3.0, 5.0), "burgers-inviscid": (0.5, 1.0, 3.0, 5.0)}
named = pytest.mark.parametrize("name", FAMILIES)


def test_ranges_and_splits_are_those_of_the_reference():
    assert ADVECTION.splits["train"] == {"beta": Uniform(1, 5)}
    assert ADVECTION.splits["test"] == {"beta": Values((1.0, 3.0))}
    assert BURGERS_INVISCID.splits["train"] == {"a": Uniform(1, 4)}
    assert BURGERS_INVISCID.splits["test"] == {"a": Values((1.0, 3.0))}
    assert (ADVECTION.time_of_interest, BURGERS_INVISCID.time_of_interest) == (0.1, 0.5)


@named
def test_shifted_splits_do_not_overlap_with_the_one_to_train_on(name):
    splits = {split: one for split, drawn in FAMILIES[name].splits.items() for one in drawn.values()}
    train = splits["shift-train"]
    for shift in ("shift-small", "shift-medium", "shift-large"):
        assert splits[shift].high <= train.low or splits[shift].low >= train.high


def fastest(split):
    (distribution,) = split.values()
    return max(distribution.values) if isinstance(distribution, Values) else distribution.high


@named
def test_at_the_default_times_every_front_of_every_split_is_inside(name):
    family = FAMILIES[name]
    for distribution in family.splits.values():
        leaves = family.exact(family.of(fastest(distribution))).front_time(family.domain[1])
        assert family.times[1] <= leaves * (1.0 + 1e-12)
    for shift in ("shift-train", "shift-small", "shift-medium", "shift-large"):
        end = {"advection": 0.14, "burgers-inviscid": 0.5}[name]
        assert end < family.exact(family.of(fastest(family.splits[shift]))).front_time(family.domain[1])


@named
@pytest.mark.parametrize("n", [8, 20, 50, 100])
def test_the_solver_keeps_each_family_s_law_within_the_stated_tolerance_until_the_front_leaves(name, n):
    family = FAMILIES[name]
    grid = Cells(*family.domain, n)
    for value in PARAMETERS[name]:
        exact = family.exact(family.of(value))
        times = np.linspace(0.0, exact.front_time(grid.upper), 51)
        run = family.solver.solve(family.build(family.of(value), grid, times))
        mass = exact.integral(times, grid.upper) - exact.integral(times, grid.lower)
        allowed = family.mass_tolerance(family.of(value), grid.width, times)
        assert (np.abs(run.total - mass) <= allowed).all()


@named
def test_the_tolerance_is_not_a_blank_cheque(name):
    # Half a cell's filling lost at the front must be caught, long before the front comes near the wall.
    family, h = FAMILIES[name], 1.0 / 200.0
    assert family.mass_tolerance(family.of(1.0), h, np.array([family.time_of_interest]))[0] < 1e-6 * h


@named
def test_the_front_level_is_half_the_jump(name):
    family = FAMILIES[name]
    for value in PARAMETERS[name]:
        exact = family.exact(family.of(value))
        front = exact.front(family.times[1])
        behind, ahead = (float(exact(family.times[1], front + side)) for side in (-1.0, 1.0))
        assert family.front_level(family.of(value)) == 0.5 * (behind + ahead)


@named
@pytest.mark.parametrize("split", ["train", "test", "shift-large"])
def test_a_family_generates_a_valid_dataset(name, split):
    data = lb.generate(FAMILIES[name], 3, split=split, nx=16, nt=3)
    assert schema.faults(data) == []
    assert (np.abs(data.law_conservation_residual) <= data.law_conservation_tolerance).all()


def test_no_law_is_claimed_after_a_front_has_left():
    with pytest.raises(ValueError, match=r"leave the domain at t=0\.1667"):
        lb.generate(ADVECTION, 2, split="test", nx=8, nt=3, times=(0.0, 0.2))
    with pytest.raises(ValueError, match="leave the domain at t=1,"):
        lb.generate(BURGERS_INVISCID, 2, split="test", nx=8, nt=3, times=(0.0, 1.5))
    lb.generate(ADVECTION, 2, split="shift-large", nx=8, nt=3, times=(0.0, 0.14))
