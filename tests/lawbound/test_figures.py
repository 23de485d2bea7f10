from dataclasses import replace

import matplotlib
import numpy as np
import pytest
import torch

import lawbound as lb
from lawbound import figures
from lawbound.comparison import imposed, judge
from lawbound.ink import apart as _apart
from lawbound.reproduce import frozen_data
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.prediction import Prediction, from_moments

CONSTRAINTS = [imposed("conservation:project"), imposed("conservation:condition")]


@pytest.fixture(scope="module")
def single():
    """One time, with fronts: the real network on a few Stefan samples."""
    data = frozen_data("stefan").isel(sample=[0, 1, 2, 50, 51, 52])
    return judge({"anp": lambda part, at: from_moments(part)}, data, CONSTRAINTS, table="frozen/stefan")


def scaled(part, at):
    """A surrogate that breaks the law by a tenth and is not sure."""
    shown = part.isel(t=at)
    truth = torch.from_numpy(shown.u.values.astype(float))[None]
    return Prediction(0.9 * truth + 0.01, Diagonal(torch.full_like(truth, 0.02)), shown)


@pytest.fixture(scope="module")
def several():
    """Several times, without fronts: porous medium."""
    data = lb.generate("pme", 3, nx=40, nt=6, split="test")
    return judge({"rough": scaled}, data, CONSTRAINTS, table="pme")


def axes_of(figure):
    return [axes for axes in figure.axes if axes.get_visible()]


def words(figure):
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


@pytest.mark.parametrize(
    ("maker", "kind", "labels"),
    [
        (figures.profile, "several", ["$x$", "$u(t, x)$"]),
        (figures.mass, "single", ["\\int u\\,dx - b"]),
        (figures.mass, "several", ["$t$", "\\int u\\,dx", "\\int u\\,dx - b"]),
        (figures.fronts, "single", ["front position $x$"]),
        (figures.calibration, "single", ["nominal probability", "share of points"]),
    ],
)
def test_every_figure_draws_and_says_what_its_axes_are(maker, kind, labels, request):
    comparison = request.getfixturevalue(kind)
    figure = maker(comparison, comparison.cases[-1].name)
    svg = figures.to_svg(figure)
    assert svg.startswith("<?xml") and "</svg>" in svg
    shown = " ".join(axes.get_xlabel() + " " + axes.get_ylabel() for axes in axes_of(figure))
    for label in labels:
        assert label in shown


def test_every_method_is_named_in_every_figure_and_keeps_its_colour(several):
    colours = {}
    for maker in (figures.profile, figures.mass, figures.calibration):
        figure = maker(several, several.cases[0].name)
        assert {"rough", "rough+hardc", "rough+probconserv"} <= set(words(figure))
        for text in figure.findobj(matplotlib.text.Text):
            if text.get_text().startswith("rough") and text.get_color() != figures.INK:
                colours.setdefault(text.get_text(), set()).add(text.get_color())
    assert len(colours) == 3 and all(len(found) == 1 for found in colours.values())
    assert len(set.union(*colours.values())) == 3


def test_profiles_are_small_multiples_on_the_same_axes(single):
    panels = axes_of(figures.profile(single, "u_star=0.6"))
    assert len(panels) == 3
    assert len({panel.get_ylim() for panel in panels}) == len({panel.get_xlim() for panel in panels}) == 1
    truth = single.cases[1].truth[1]  # the median sample
    for panel in panels:
        assert any(np.array_equal(line.get_ydata(), truth) for line in panel.lines)


def test_the_true_front_is_marked(single):
    front = single.cases[1].front[0]
    for figure in (figures.profile(single, "u_star=0.6"), figures.fronts(single, "u_star=0.6")):
        assert "true front" in words(figure)
        assert any(np.allclose(line.get_xdata(), front) for axes in axes_of(figure) for line in axes.lines)


def test_a_case_without_fronts_says_so_and_its_overview_shows_calibration(several):
    with pytest.raises(ValueError, match="no fronts"):
        figures.fronts(several, several.cases[0].name)
    labels = [axes.get_xlabel() for axes in axes_of(figures.panel(several, several.cases[0].name))]
    assert any("nominal" in label for label in labels)


def test_fronts_of_different_truths_are_drawn_as_their_distance(single):
    case = replace(single.cases[0], front=single.cases[0].front + np.array([0.0, 0.1, 0.2]))
    figure = figures.fronts(replace(single, cases=(case,)), case.name)
    assert "minus the true one" in axes_of(figure)[0].get_xlabel()


def test_at_a_single_time_every_sample_is_a_dot(single):
    (axes,) = axes_of(figures.mass(single, "u_star=0.5"))
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in dots] == [3] * 4  # the solver and three methods
    residual = np.abs(single.evidence["anp", "u_star=0.5"].mass - single.cases[0].rhs)[:, 0]
    assert np.allclose(dots[1].get_xdata(), residual)


def test_over_time_the_solvers_residual_is_drawn_below_the_surrogates(several):
    _, below = axes_of(figures.mass(several, several.cases[0].name))
    assert below.get_yscale() == "log"
    assert "solver" in words(below.figure)


def test_names_are_never_read_as_formulas(several):
    odd = "$\\frac{<b>"
    methods = tuple(odd if method == "rough" else method for method in several.methods)
    evidence = {(odd if m == "rough" else m, c): found for (m, c), found in several.evidence.items()}
    renamed = replace(several, methods=methods, evidence=evidence)
    assert odd in words(figures.panel(renamed, renamed.cases[0].name))


def test_a_figure_is_the_same_text_every_time_and_leaves_no_settings_behind(single):
    before = dict(matplotlib.rcParams)
    first, second = (figures.to_svg(figures.calibration(single, "u_star=0.5")) for _ in range(2))
    assert first == second
    assert dict(matplotlib.rcParams) == before


def test_a_users_own_settings_do_not_reach_our_figures(single):
    ours = figures.to_svg(figures.calibration(single, "u_star=0.5"))
    with matplotlib.rc_context({"lines.linewidth": 9.0, "axes.grid": True, "font.family": "serif"}):
        assert figures.to_svg(figures.calibration(single, "u_star=0.5")) == ours


def test_the_overview_can_be_a_bitmap(single, tmp_path):
    path = figures.to_png(figures.panel(single, "u_star=0.6", ["anp", "probconserv"]), tmp_path / "panel.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_what_is_not_there_cannot_be_drawn(single):
    with pytest.raises(ValueError, match=r"no case `u_star=0\.7`; it has u_star=0\.5"):
        figures.profile(single, "u_star=0.7")
    with pytest.raises(ValueError, match="no figures of boon; it has anp"):
        figures.profile(single, "u_star=0.6", ["boon"])


def test_labels_keep_their_distance_order_and_axis():
    wanted = np.array([0.5, 0.52, 0.1, 0.51, 0.99, 1.0])
    placed = _apart(wanted, 0.1)
    assert np.all(np.diff(np.sort(placed)) >= 0.1 - 1e-12)
    assert placed.min() >= 0.0 and placed.max() <= 1.0
    assert placed[2] == pytest.approx(0.1)
    assert placed[2] < min(placed[0], placed[1], placed[3]) < max(placed[0], placed[1], placed[3]) < placed[4]


def test_many_methods_still_fit(several):
    names = [f"m{i}" for i in range(8)]
    methods = ("solver", *names)
    found = several.evidence["rough", several.cases[0].name]
    evidence = {(name, several.cases[0].name): found for name in names}
    many = replace(several, methods=methods, evidence=evidence, inputs={})
    figure = figures.mass(many, several.cases[0].name)
    assert len(axes_of(figures.profile(many, several.cases[0].name))) == 8
    assert set(names) <= set(words(figure))
