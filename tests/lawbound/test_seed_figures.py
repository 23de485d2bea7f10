"""The seven figures: what they are drawn from, and that a table's folder serves both."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lawbound import boon_recipes, boundary_drawings, seed_drawings, seed_figures
from lawbound.comparison import judge
from lawbound.ink import to_svg
from lawbound.reference import SOLVER
from lawbound.reproduce import default_folder, tables
from lawbound.retrained import prepared
from lawbound.rules import few
from lawbound.seed_style import Solved
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.prediction import Prediction

X = np.linspace(0.0, 1.0, 33)
TIMES = np.linspace(0.0, 1.0, 6)


def too_much(part, at):
    """The truth and a little more, so that the law is broken and there is something to move."""
    part = part.isel(t=at)
    u = 1.02 * torch.from_numpy(part.u.values.astype(np.float64))[None]
    return Prediction(u, Diagonal(torch.full_like(u, 0.05**2)), part)


@pytest.fixture(scope="module")
def stefan(stefan_test):
    return judge({"anp": too_much}, stefan_test, few("stefan"), table="t", chosen=np.arange(0, 21, 5))


@pytest.fixture(scope="module")
def rod(tmp_path_factory):
    """A tiny network in the folder of its table, and what made it."""
    folder = tmp_path_factory.mktemp("table")
    tiny = replace(
        boon_recipes.QUICK_LINE, nx=33, nt=5, samples=4, chosen_on=2, tested=3, epochs=1, modes=3, width=4, blocks=1
    )  # fmt: skip
    recipe = next(one for one in boon_recipes.RECIPES if one.table == "boon/heat-neumann")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boon_recipes, "QUICK_LINE", tiny)

        def again(*names):
            return prepared(recipe, "heat-neumann", folder, names=names, quick=True)

        yield again("fno"), again


def planes(samples=3):
    """A vortex that grows from rest."""
    y, x = np.meshgrid(X, X, indexing="ij")
    vortex = np.sin(np.pi * x) * np.sin(np.pi * y)
    return np.arange(1, samples + 1)[:, None, None, None] * TIMES[:, None, None] * vortex


def headings(part):
    """What stands outside all axes."""
    return [text.get_text() for text in part.texts] + [
        text for inner in part.subfigs for text in headings(inner)
    ]


def words(figure):
    """Everything that is written in a figure, headings first."""
    return headings(figure) + [text.get_text() for axes in figure.get_axes() for text in axes.texts]


def test_the_mass_figure_says_how_far_off_the_first_method_is(stefan):
    case = stefan.cases[0]
    methods = [method for method in stefan.methods if method != SOLVER]
    figure = seed_drawings.mass_over_time(stefan, case, methods)
    off = np.abs(stefan.evidence["anp", case.name].mass - case.rhs).max()
    assert f"off by up to {off:.2g}" in words(figure)[0]
    assert "hardc" in words(figure)[1] and "holds" in words(figure)[1]


def test_every_drawing_of_stefan_is_an_svg(stefan):
    methods = [method for method in stefan.methods if method != SOLVER]
    for draw in (seed_drawings.stefan_profile, seed_drawings.shock_histogram):
        assert to_svg(draw(stefan, stefan.cases[0], methods)).lstrip().startswith("<?xml")


def test_no_front_is_drawn_without_a_front(stefan):
    with pytest.raises(ValueError, match="has no front"):
        seed_drawings.shock_histogram(stefan, replace(stefan.cases[0], front=None), ["anp"])


def test_slopes_are_those_of_a_parabola_exactly():
    found = seed_figures.slopes((X**2 + 3.0 * X)[None, None], X)
    np.testing.assert_allclose(found[0, 0], [3.0, 5.0], rtol=1e-12)


def test_a_table_and_the_figures_share_their_networks(rod):
    made, again = rod
    weights = {name: value.clone() for name, value in made.networks["fno"].network.state_dict().items()}
    later = again("fno", "lift")
    assert list(later.networks) == ["fno", "lift"]
    same = later.networks["fno"].network.state_dict()
    assert all(torch.equal(value, same[name]) for name, value in weights.items())
    assert later.hashes == made.hashes


def test_the_lift_shuts_the_insulator_and_a_plain_network_does_not(rod):
    _, again = rod
    made = again("fno", "lift")
    fields = seed_figures.solved(made)
    walls = {name: seed_figures.slopes(values, fields.x) for name, values in fields.predicted.items()}
    worst = {name: np.abs(values[:, 1:, 0]).max() for name, values in walls.items()}
    assert worst["lift"] < 1e-9 < 1e-3 < worst["fno"]
    heater = seed_figures._heater(made.test)
    np.testing.assert_allclose(heater, 5.0 * np.sin(np.pi * fields.t), atol=1e-9)
    np.testing.assert_allclose(walls["lift"][:, 1:, 1], np.broadcast_to(heater[1:], (3, 4)), atol=1e-6)
    figure = boundary_drawings.insulator_flux(fields, walls, heater)
    assert words(figure)[1].startswith("lift: at most")


def test_an_unknown_study_is_told_with_those_there_are():
    recipe = next(one for one in boon_recipes.RECIPES if one.table == "boon/cavity")
    with pytest.raises(ValueError, match="cavity-velocity, cavity-vorticity"):
        prepared(recipe, "cavity-pressure", "nowhere", quick=True)


def test_errors_are_relative_and_nothing_is_divided_by_a_fluid_at_rest():
    truth = planes()
    solved = Solved(TIMES, X, truth, {"mirror": 1.1 * truth, "fno-bc": 0.8 * truth})
    errors = solved.errors("mirror")
    assert np.isnan(errors[:, 0]).all()
    np.testing.assert_allclose(errors[:, 1:], 0.1)
    assert solved.error("fno-bc") == pytest.approx(0.2)
    figure = boundary_drawings.cavity_errors(solved, ["fno-bc", "mirror"], seed_figures.video_errors())
    assert "mirror errs by 0.1" in words(figure)[0]
    assert any("boon, published" in text for text in words(figure))
    lids = np.outer(np.arange(1, 4), TIMES)
    assert "largest vorticity 0" in words(boundary_drawings.cavity_start(solved, lids))[0]


def test_the_stokes_figure_names_the_network_of_least_error():
    truth = np.cos(X)[None, None] * (1.0 + TIMES)[:, None] * np.ones((2, 1, 1))
    solved = Solved(TIMES, X, truth, {"fno": 1.2 * truth, "lift": 1.01 * truth})
    assert "lift errs least, 0.01;" in words(boundary_drawings.stokes(solved, ["fno", "lift"]))[0]


def test_published_errors_of_the_video_come_with_their_times():
    t, errors = seed_figures.video_errors()["boon"]
    assert t[0] == pytest.approx(0.02) and errors[0] == 0.00142 and (np.diff(errors) > 0).all()


def test_the_figures_are_among_the_tables():
    assert "seven figures" in tables()[seed_figures.TABLE]
    assert default_folder(seed_figures.TABLE, True).name == "seeds-figures-quick"


def test_the_page_lists_every_figure_and_warns_when_it_is_quick():
    one = seed_figures.SeedFigure("stokes-profile", "Fluid & wall", "boon/stokes", lambda: None)
    page = seed_figures._page([one], "lawbound reproduce seeds/figures", True)
    assert "1-stokes-profile.png" in page and "Fluid &amp; wall" in page and "Quick" in page
    assert "Quick" not in seed_figures._page([one], "x", False)
