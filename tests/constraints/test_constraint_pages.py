"""A page for each constraint: what it takes from the code is what the code says, and its example runs."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "constraints"
TOOL = runpy.run_path(str(ROOT / "tools" / "write_constraint_pages.py"))
NAMES = tuple(TOOL["SHOWN"])


@pytest.fixture(scope="module")
def shown():
    return TOOL["made_data"]()


def test_all_names_have_pages():
    from lawbound.datasets.plugins import load_all

    assert {path.stem for path in FOLDER.glob("*.md")} == set(NAMES)
    ours = {name for name, kind in load_all("constraints").items() if kind.__module__.startswith("lawbound.")}
    assert ours <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_tables_of_the_page_are_what_the_code_says(name, shown):
    page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    again = TOOL["filled"](page, TOOL["block"](name, shown))
    assert page == again, "run: python tools/write_constraint_pages.py"


@pytest.mark.parametrize("name", NAMES)
def test_the_example_runs(name):
    (code,) = re.findall(
        r"```python\n(.*?)```", (FOLDER / f"{name}.md").read_text(encoding="utf-8"), flags=re.S
    )
    assert "assert" in code
    exec(compile(code, f"{name}.md", "exec"), {"__name__": "page"})
