"""The pages of the families say what the families are: they are regenerated here and compared."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import lawbound as lb
from lawbound.datasets.costs import CORE_SECONDS
from lawbound.datasets.laws import rhs_source

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "families"
TOOL = runpy.run_path(str(ROOT / "tools" / "write_family_pages.py"))
FAMILIES = TOOL["ours"]()
AGAIN = "run: python tools/write_family_pages.py"


def test_sixteen_families_have_pages():
    assert len(FAMILIES) == 16
    assert {path.stem for path in FOLDER.glob("*.md")} == {*FAMILIES, "README"}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_page_is_what_the_catalogue_says(name):
    family = FAMILIES[name]
    assert (FOLDER / f"{name}.md").read_text(encoding="utf-8") == TOOL["page"](family), AGAIN
    assert len(family.about.split()) > 30, "a family says what its problems are (Family.about)"
    picture = FOLDER / f"{name}.png"
    assert picture.read_bytes()[:4] == b"\x89PNG", f"{AGAIN} --pictures"
    assert 0.0 < CORE_SECONDS[name] < 60.0, "run: python benchmarks/family_costs.py"


def test_the_index_names_all_and_the_guide_leads_there():
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == TOOL["index"](FAMILIES), AGAIN
    assert "families/README.md" in (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "closed_form"),
    [("stefan", True), ("stefan", False), ("heat-neumann", True), ("heat-robin", True), ("wave-2d", True)],
)
def test_what_pages_say_of_laws_and_fields_is_in_the_data(name, closed_form):
    family = FAMILIES[name]
    problem = TOOL["_problem"](family)
    data = lb.generate(name, 2, split="train", nx=12, nt=3, data="standard" if closed_form else "random")
    assert tuple(data.attrs["lawbound_state_variables"].split()) == TOOL["_fields"](problem)
    for law in family.laws:
        rhs = data[f"law_{law.replace('-', '_')}_rhs"]
        assert rhs.attrs["lawbound_rhs_source"] == rhs_source(family, problem, law, closed_form)
        assert np.isfinite(rhs).all()
    for side, wall in problem.walls.sides.items():
        assert data[f"bc_u_{side}"].attrs["lawbound_bc_type"] == wall.kind
