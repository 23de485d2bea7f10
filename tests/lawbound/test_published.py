"""What stands beside our numbers: every figure has a table, a source and one place."""

import csv
import math
from importlib.resources import files

import pytest

from lawbound.published import COLUMNS, TABLES, published


@pytest.fixture(scope="module")
def lines():
    text = (files("lawbound") / "data" / "published.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def test_every_line_is_found_again_by_its_key(lines):
    assert len(lines) == sum(len(published(table)) for table in TABLES) > 300
    for line in lines:
        value, source = published(line["table"])[line["method"], line["case"], line["metric"]]
        assert value == float(line["value"]) and math.isfinite(value)
        assert source == line["source"] and len(source) > 10


def test_every_line_is_whole(lines):
    assert all(line[column] and line[column] == line[column].strip() for line in lines for column in COLUMNS)


def test_the_two_best_of_diffusion_are_hard_constraints():
    figures = published("probconserv/diffusion")
    errors = {m: figures[m, "k=1", "mse"][0] for m in ("anp", "softc", "hardc", "probconserv")}
    assert sorted(errors, key=errors.get)[:2] == ["hardc", "probconserv"]


def test_conservation_errors_of_hard_constraints_are_zero():
    for table in TABLES:
        for (method, _, metric), (value, _) in published(table).items():
            if metric == "ce" and method in ("hardc", "probconserv"):
                assert value == 0.0


def test_an_unknown_table_is_told_with_its_neighbour():
    with pytest.raises(ValueError, match=r"Did you mean.*boon/stokes|boon/stokes"):
        published("boon/stoks")
