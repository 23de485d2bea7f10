"""BOON's tables: who contends, what is scored, and how much the quick versions leave out."""

import numpy as np
import pytest

import lawbound as lb
from lawbound.boon_recipes import RECIPES
from lawbound.boundary_contenders import CONTENDERS
from lawbound.boundary_scores import REL_L2_TIMES, WALL_MAX, wall_residuals
from lawbound.datasets.layout import Layout
from lawbound.published import TABLES, published
from lawbound.score import NotApplicable, Outcome


def outcome(data, change=0.0, fields=("u",)):
    """The truth and a constant, as a score sees it."""
    layout = Layout.of(data, fields)
    states = layout.state(data)
    means = (states + change).reshape(*states.shape[:2], len(fields), *layout.shape)
    truth = states.reshape(means.shape)
    now = means.shape[1] - 1
    return Outcome(
        means[:, now], np.ones_like(means[:, now]), truth[:, now], means, fields, data, now, lambda count: means, lambda: now
    )  # fmt: skip


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.table)
def test_a_quick_table_has_the_same_contenders_with_less_of_everything(recipe):
    assert recipe.table in TABLES
    full, quick = recipe.studies(False), recipe.studies(True)
    for one, other in zip(full, quick, strict=True):
        assert list(one.learners) == list(other.learners) and one.case == other.case
        assert one.train.samples == 1000 and other.train.samples < 200
        for name, learner in one.learners.items():
            assert learner.epochs == 500 and other.learners[name].epochs < 30
            assert learner.specs == other.learners[name].specs


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.table)
def test_test_samples_are_no_training_samples(recipe):
    for study in recipe.studies(True):
        assert study.train.split != study.valid.split
        assert {part.split for part in study.test}.isdisjoint({study.train.split, study.valid.split})


def test_published_figures_stand_at_cases_that_the_tables_have():
    for recipe in RECIPES:
        cases = {study.case: set(study.learners) for study in recipe.studies(True)}
        known = [
            (method, case)
            for method, case, metric in published(recipe.table)
            if metric == "rel_l2_times" and method in cases.get(case, ())
        ]
        if recipe.table in ("boon/stokes", "boon/heat-neumann", "boon/burgers-random"):
            assert known, recipe.table


def test_a_contender_is_made_for_the_walls_it_is_given():
    lift = CONTENDERS["lift"].learner("neumann", epochs=3)
    assert lift.name == "fno-bc" and lift.extension == "mirror" and lift.epochs == 3
    assert "neumann" in lift.specs[0]
    assert CONTENDERS["boon"].learner("dirichlet", "fno-bc").name == "fno-bc"
    assert 'method="boon-as-released"' in CONTENDERS["boon"].learner("dirichlet").specs[0]


def test_walls_are_off_by_what_is_added_and_slopes_are_not():
    layer = lb.generate("stokes", 2, split="test", nx=33, nt=4)
    np.testing.assert_allclose(WALL_MAX.pieces(outcome(layer, 0.3)), 0.3, atol=1e-6)
    rod = lb.generate("heat-neumann", 2, split="test", nx=65, nt=4)
    plain, moved = (wall_residuals(outcome(rod, change)) for change in (0.0, 0.3))
    np.testing.assert_allclose(plain, moved, atol=1e-9)
    with pytest.raises(NotApplicable):
        wall_residuals(outcome(rod.drop_vars(["bc_u_x_lo", "bc_u_x_hi"])))


def test_the_error_over_all_times_is_that_of_one_long_vector():
    layer = lb.generate("stokes", 2, split="test", nx=33, nt=4)
    u = layer.u.values.astype(np.float64)
    wanted = 0.2 * np.sqrt(u[0].size) / np.sqrt((u**2).sum(axis=(1, 2)))
    np.testing.assert_allclose(REL_L2_TIMES.pieces(outcome(layer, 0.2)), wanted, rtol=1e-9)
