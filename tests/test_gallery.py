"""Guides and gallery run as they stand, and what they draw is not empty."""

import runpy
from pathlib import Path

import matplotlib
import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
SCRIPTS = sorted([*(DOCS / "guides").glob("*.py"), *(DOCS / "gallery").glob("*.py")])


@pytest.fixture(autouse=True)
def figures(monkeypatch):
    """pyplot without windows, closed again afterwards."""
    matplotlib.use("Agg", force=True)
    import matplotlib.pyplot as plt

    monkeypatch.setattr(plt, "show", lambda: None)
    yield plt
    plt.close("all")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_the_script_runs_and_draws(script, figures, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out.strip()
    drawn = [figures.figure(number) for number in figures.get_fignums()]
    assert drawn
    for figure in drawn:
        figure.canvas.draw()
        assert all(axes.has_data() for axes in figure.axes)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_the_page_begins_with_a_title_and_its_place_in_the_order_is_known(script):
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0] == '"""' and lines[1] and set(lines[2]) == {"="} and len(lines[2]) >= len(lines[1])
    assert f'"{script.name}"' in (DOCS / "_extensions" / "look.py").read_text(encoding="utf-8")
