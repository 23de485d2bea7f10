"""The worked example of docs/plugin: under 40 lines, found by its entry point, and it passes the check."""

import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

from lawbound.constraints.testing import check_constraint
from lawbound.datasets.plugins import find

PLUGIN = Path(__file__).resolve().parents[2] / "docs" / "plugin"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The package as an installer leaves it: its module, and its metadata beside it."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shutil.copy(PLUGIN / "lawbound_mirror.py", tmp_path)
    metadata = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = project["entry-points"]["lawbound.constraints"]
    (metadata / "entry_points.txt").write_text(
        "[lawbound.constraints]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
    )
    monkeypatch.syspath_prepend(tmp_path)
    return find("constraints", "mirror")


def test_the_example_passes_the_check_and_refuses_what_is_not_odd(installed, made):
    data = made("diffusion")
    check_constraint(installed(), data, tolerance=1e-6)
    with pytest.raises(AssertionError, match="reference itself breaks `mirror`"):
        check_constraint(installed(sign=1), data, tolerance=1e-6)
    assert np.abs(installed().residual(data.u.values, data)).max() < 1e-6


def test_the_example_is_under_forty_lines(installed):
    assert len((PLUGIN / "lawbound_mirror.py").read_text(encoding="utf-8").splitlines()) < 40


def test_the_example_s_readme_is_true(installed):
    text = (PLUGIN / "README.md").read_text(encoding="utf-8")
    code = "\n".join(
        line[4:] for line in text.splitlines() if re.match(r"    (import|from|data|check)", line)
    )
    assert "check_constraint(Mirror()" in code
    exec(compile(code, "README.md", "exec"), {})
