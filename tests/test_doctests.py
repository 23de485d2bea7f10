"""Examples in docstrings are true."""

import doctest
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
import pytest

LAYERS = ("lawbound", "lawbound.solvers", "lawbound.datasets", "lawbound.surrogates", "lawbound.constraints")
MODULES = sorted(
    f"{layer}.{module.name}"
    for layer in LAYERS
    for module in iter_modules(import_module(layer).__path__)
    if not module.ispkg
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of(name):
    module = import_module(name)
    failed, _ = doctest.testmod(module, extraglobs={"np": np})
    assert failed == 0


def test_no_module_was_missed():
    root = Path(__file__).resolve().parents[1]
    if (root / "solvers").is_dir():
        assert f"lawbound.solvers.{next((root / 'solvers').glob('g*.py')).stem}" in MODULES
