"""The site's pages: their Python runs, their links lead somewhere, and what they are made from is there."""

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    path for path in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")] if "auto" not in path.relative_to(ROOT).parts
)
THEORY = sorted(path for path in (DOCS / "theory").glob("*.md") if path.stem != "index")


def text_of(page):
    """Without its blocks of code, in which brackets are no links."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)


def places_of(page):
    """The anchors that headings make, on GitHub and on the site."""
    headings = re.findall(r"^#{1,6} (.*)$", text_of(page), flags=re.M)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).strip().replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("page", THEORY, ids=lambda page: page.stem)
def test_the_claim_of_the_page_holds(page):
    (code,) = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    assert "assert" in code
    exec(compile(code, str(page), "exec"), {"__name__": "page"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_are_there(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, place = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if place:
            assert place in places_of(target), link


def test_the_reference_is_made_of_modules_that_are_there(monkeypatch):
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(DOCS / "_extensions")
    interface = import_module("interface")
    for layer in interface.LAYERS:
        assert f"lawbound.{layer}" in interface.page(layer) or layer == "lawbound"


def test_the_theory_s_index_has_all_of_its_pages():
    index = (DOCS / "theory" / "index.md").read_text(encoding="utf-8")
    assert all(re.search(rf"^{page.stem}$", index, flags=re.M) for page in THEORY)
