"""The Python in README and docs runs as it stands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "docs" / "guide.md", ROOT / "docs" / "exchange.md"]
NEEDS = {"exchange.md": ("h5py", "yaml", "zarr")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_of(page, tmp_path, monkeypatch):
    for module in NEEDS.get(page.name, ()):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    assert blocks
    exec(compile("\n".join(blocks), str(page), "exec"), {"__name__": "page"})


def test_every_command_of_the_docs_exists():
    from lawbound.cli import app

    for page in PAGES:
        for command in re.findall(r"^ {4}lawbound (\w+)", page.read_text(encoding="utf-8"), flags=re.M):
            assert command in app, command
