"""Figures of laws and planes, and all of them as files."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import lawbound as lb
from lawbound import figures, law_figures, plane_figures
from lawbound.comparison import imposed, judge
from lawbound.datasets.layout import Layout
from lawbound.figure_list import figures_of, write_figures
from lawbound.ink import to_svg
from lawbound.naming import broken
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.prediction import Prediction


def scaled(part, at):
    """A surrogate that breaks every law by a tenth."""
    shown = part.isel(t=at)
    truth = torch.from_numpy(shown.u.values.astype(float))[None].flatten(3)
    return Prediction(0.9 * truth + 0.01, Diagonal(torch.full_like(truth, 0.02)), shown)


@pytest.fixture(scope="module")
def line():
    data = lb.generate("pme", 3, nx=30, nt=6, split="test")
    laws = [imposed("conservation"), imposed("conservation&dirichlet"), imposed("bounds(lower=0.0)")]
    return judge({"rough": scaled}, data, laws, table="pme")


@pytest.fixture(scope="module")
def plane():
    data = lb.generate("pme-2d", 2, nx=10, nt=4, split="test")
    return judge({"rough": scaled}, data, [imposed("conservation")], table="pme-2d")


def axes_of(figure):
    return [axes for axes in figure.axes if axes.get_visible()]


def test_each_law_that_something_breaks_has_a_panel_with_the_solver_s_floor(line):
    case = line.cases[0]
    assert law_figures.laws_drawn(line, case.name) == ["dirichlet"]  # nothing falls below 0
    (panel,) = axes_of(law_figures.laws(line, case.name))
    assert panel.get_title(loc="left") == "dirichlet" and panel.get_yscale() == "log"
    lowest = [np.nanmedian(one.get_ydata()) for one in panel.lines if len(one.get_xdata()) == 6]
    labels = [text.get_text() for text in panel.texts]
    assert labels[0] == "solver" and len(lowest) == 1 + 4
    followed = line.evidence["rough+conservation&dirichlet", case.name].residuals["dirichlet"]
    assert np.median(followed) < 1e-2 * np.median(line.evidence["rough", case.name].residuals["dirichlet"])


def test_what_enforcement_did_is_drawn_for_each_method_with_its_multipliers(line):
    case = line.cases[0].name
    panels = axes_of(law_figures.push(line, case))
    assert len(panels) == 2 * 3
    shift = line.evidence["rough+probconserv", case].push.shift
    assert any(np.array_equal(one.get_ydata(), shift) for one in panels[0].lines)
    assert "no linear rows" in [text.get_text() for text in panels[-1].texts]  # bounds have none
    alone = replace(line, methods=("solver", "rough"))
    with pytest.raises(ValueError, match="Nothing was enforced"):
        law_figures.push(alone, case)
    lawless = judge({"rough": scaled}, lb.generate("pme", 1, nx=12, nt=3, split="test"), [], table="t")
    with pytest.raises(ValueError, match="no residuals of further laws"):
        law_figures.laws(lawless, lawless.cases[0].name)


def test_best_median_and_worst_stand_one_below_the_other_with_what_was_before(line):
    case = line.cases[0]
    figure = figures.extremes(line, case.name)
    panels = axes_of(figure)
    assert len(panels) == len(case.shown) * 4
    before = line.evidence["rough", case.name].mean
    for row in range(len(case.shown)):
        assert any(np.array_equal(one.get_ydata(), before[row]) for one in panels[4 * row + 1].lines)
    many = replace(
        line,
        methods=("solver", *"abcde"),
        evidence={(m, case.name): line.evidence["rough", case.name] for m in "abcde"},
    )
    with pytest.raises(ValueError, match="at most 4"):
        figures.extremes(many, case.name)


def test_pit_and_cost_show_every_method(line):
    case = line.cases[0].name
    (axes,) = axes_of(figures.pit(line, case))
    assert [label.get_text() for label in axes.get_yticklabels()] == list(line.methods[1:])
    (axes,) = axes_of(figures.cost(line, case))
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert sum(one.get_marker() == "o" for one in axes.lines) == 4


def test_a_film_moves_loops_and_has_a_still(plane):
    case = plane.cases[0].name
    moving, still = (Image.open(io.BytesIO(made)) for made in plane_figures.film(plane, case))
    assert moving.format == "WEBP" and moving.n_frames == 4 and moving.info["loop"] == 0
    assert still.n_frames == 1 and still.size == moving.size
    frames = [np.asarray(moving.convert("RGB"), dtype=int)]
    moving.seek(3)
    frames.append(np.asarray(moving.convert("RGB"), dtype=int))
    assert np.abs(frames[0] - frames[1]).mean() > 1.0


def test_planes_are_drawn_as_fields_and_lines_are_not(plane, line):
    figure = plane_figures.fields(plane, plane.cases[0].name)
    titles = [axes.get_title(loc="left") for axes in axes_of(figure)]
    assert titles[0] == "solver" and "rough" in titles and titles.count("minus solver") == 2
    with pytest.raises(ValueError, match="is on a line"):
        plane_figures.fields(line, line.cases[0].name)


def test_all_figures_are_written_as_svg_and_png_and_nothing_else(plane, tmp_path):
    files = write_figures([("A plane", plane)], tmp_path / "figures")
    names = {file.name for file in files}
    assert names == {file.name for file in (tmp_path / "figures").iterdir()}
    wanted = {f"test-{drawn.name}" for drawn in figures_of(plane, plane.cases[0])}
    assert names == {f"{stem}.{kind}" for stem in wanted for kind in ("svg", "png")} | {"test-film.webp"}
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="give a folder"):
        write_figures([("A plane", plane)], tmp_path / "file")


def test_every_figure_draws_at_a_single_time_and_for_one_sample():
    data = lb.generate("pme", 1, nx=20, nt=3, split="test").isel(t=[1])
    one = judge({"rough": scaled}, data, [imposed("conservation&dirichlet")], table="t")
    drawn = {found.name: to_svg(found.make()) for found in figures_of(one, one.cases[0])}
    assert {"samples-rough", "mass", "cost", "calibration", "pit", "push"} <= set(drawn)
    assert all(svg.startswith("<?xml") for svg in drawn.values())


def test_long_names_are_cut_before_their_signs():
    assert broken("short") == "short"
    assert broken("fno+conservation&bounds(lower=0)") == "fno+conservation\n&bounds(lower=0)"
    assert broken("fno+conservation&bounds(lower=0)").replace("\n", "") == "fno+conservation&bounds(lower=0)"


def test_a_plane_shows_the_field_that_was_predicted_beside_the_same_field_of_the_solver():
    data = lb.generate("wave-2d", 2, nx=8, nt=3, split="test")

    def exact(part, at):
        part = part.isel(t=at)
        layout = Layout.of(part, ("u_t",))
        values = torch.from_numpy(layout.state(part))[None]
        return Prediction(values, Diagonal(torch.full_like(values, 0.01)), part, ("u_t",))

    made = judge({"exact": exact}, data, [], table="wave-2d")
    (case,) = made.cases
    assert case.field == "u_t" and np.abs(case.film).max() > 0.1
    np.testing.assert_array_equal(made.evidence["exact", case.name].film, case.film)
    np.testing.assert_array_equal(made.evidence["exact", case.name].mean, case.truth)
    (title,) = [plane_figures.fields(made, case.name).get_suptitle()]
    assert title.startswith("u_t at t = ")


def test_scores_without_an_error_give_no_figure_of_cost(line):
    rows = tuple(row for row in line.rows if row.metric not in ("mse", "rel_l2"))
    bare = replace(line, rows=rows)
    drawn = {one.name for one in figures_of(bare, bare.cases[0])}
    assert "cost" not in drawn and "mass" in drawn
    with pytest.raises(ValueError, match="neither a relative L2 nor an MSE"):
        figures.cost(bare, bare.cases[0].name)
