"""The Python in README and docs runs as it stands."""

import re
from pathlib import Path

import numpy as np
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


#: The rows of the README's table: the rule of `reproduce frozen/…` that each is.
ROWS = {
    "unconstrained": None,
    "HardC (`project`)": "hardc",
    "ProbConserv (`condition`)": "probconserv",
    "ours, chosen without the truth (`auto`)": "auto",
    "ours, told u*, too (`auto`, two phases)": "auto-two-phases",
}
COLUMNS = (
    ("stefan", "u_star", 0.6),
    ("stefan", "u_star", 0.5),
    ("pme", "m", 1.0),
    ("pme", "m", 3.0),
    ("pme", "m", 6.0),
)


def test_the_table_of_the_readme_is_what_the_networks_give():
    from lawbound.constraints import enforce
    from lawbound.reproduce import frozen_data, rules
    from lawbound.surrogates.prediction import from_moments

    lines = re.findall(r"^\| (.+?) \| (.+) \|$", PAGES[0].read_text(encoding="utf-8"), flags=re.M)
    table = {name: cells.replace("*", "").split(" | ") for name, cells in lines if name in ROWS}
    assert set(table) == set(ROWS)
    for place, (problem, parameter, value) in enumerate(COLUMNS):
        data = frozen_data(problem)
        data = data.isel(sample=np.flatnonzero(data[parameter].values == value))
        known = {rule.label: rule for rule in rules(problem)}
        for name, label in ROWS.items():
            if label is not None and label not in known:
                assert table[name][place] == "–"
                continue
            said = from_moments(data)
            if label is not None:
                said = enforce(said, known[label].constraint, known[label].how).prediction
            means = said.mean.numpy()
            found = 1e4 * ((means - data.u.values) ** 2).mean()
            shown = table[name][place]
            digits = len(shown.partition(".")[2])
            assert abs(found - float(shown)) <= 0.51 * 10.0**-digits, (name, problem, value, found)
