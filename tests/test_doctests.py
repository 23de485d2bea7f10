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
    for layer in LAYERS:
        (folder,) = {Path(place) for place in import_module(layer).__path__}
        stems = {file.stem for file in folder.glob("*.py")} - {"__init__"}
        assert {f"{layer}.{stem}" for stem in stems} == {m for m in MODULES if m.rpartition(".")[0] == layer}
