"""Every constraint on every family: what the solver made obeys it, or the data do not imply it and it says so."""

import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from lawbound.datasets import schema
from lawbound.datasets.layout import Layout

ROOT = Path(__file__).resolve().parents[2]
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
FAMILIES = tuple(DECLARED["lawbound.problems"])

#: The families for which each constraint, without any arguments, says something.
APPLIES = {
    "conservation": set(FAMILIES) - {"wave", "cavity"},
    "bounds": {"pme", "stefan", "advection", "burgers-inviscid", "pme-2d"},  # u ≥ 0 there
    "dirichlet": set(FAMILIES) - {"heat-neumann", "heat-robin", "burgers-periodic", "pme-2d", "wave-2d"},
    "neumann": {"heat-neumann", "pme-2d", "wave-2d"},
    "robin": {"heat-robin"},
    "periodic": set(),  # points of a period that are stored once have it anyway
    "initial": set(FAMILIES),
    "maximum-principle": set(FAMILIES) - {"heat-neumann", "wave", "wave-2d", "cavity"},
    "monotone": {"pme", "stefan", "advection", "burgers-inviscid"},
    "two-phase": {"stefan"},
    "total-variation": set(FAMILIES) - {"heat-neumann", "heat-robin", "wave", "wave-2d", "cavity", "pme-2d"},
    "divergence-free": {"cavity"},
    "flux-conservation": {"diffusion", "pme", "stefan"},
    "energy": {"wave", "wave-2d"},
    "pde": {"diffusion", "pme", "stefan", "advection", "burgers-inviscid", "burgers-periodic"},
}
#: Rows of differences at points: the solver's data miss them by these, and by how much the tests of each say.
DIFFERENCES = {
    ("neumann", "heat-neumann"),
    ("neumann", "wave-2d"),
    ("robin", "heat-robin"),
    ("divergence-free", "cavity"),
    ("flux-conservation", "diffusion"),
    ("flux-conservation", "pme"),
    ("flux-conservation", "stefan"),
    *(("pde", family) for family in APPLIES["pde"]),
}


def kind(name):
    module, _, attribute = DECLARED["lawbound.constraints"][name].partition(":")
    return getattr(import_module(module), attribute)


def test_every_constraint_that_is_declared_has_its_name_and_is_exported():
    import lawbound.constraints as exported

    assert set(DECLARED["lawbound.constraints"]) == set(APPLIES)
    for name in APPLIES:
        assert kind(name)().name == name
        assert getattr(exported, kind(name).__name__) is kind(name)
        assert kind(name).__doc__.splitlines()[0].endswith((".", ","))


def allowed(constraint, admissible, data):
    """What scheme, quadrature, stencils and storing in single precision allow each entry of a residual."""
    size = np.abs(Layout.of(data, constraint.fields).state(data)).max()
    stored = 2e-7 * size * np.ones((data.sizes["sample"], data.sizes["t"], len(admissible.labels)))
    if admissible.rows is not None:
        finite = np.where(admissible.rows.applies, admissible.rows.tolerance, 0.0)
        stored = np.abs(admissible.rows.weights).sum(axis=1) * 2e-7 * size + finite
    name = schema.law_variable(constraint.name, "tolerance")
    if constraint.name == "total-variation":
        stored *= data.sizes["x"]
    if constraint.name == "energy":
        stored = stored + 1e-6 * data.law_energy_rhs.values[..., None]
    return stored + (data[name].values[..., None] if name in data else 0.0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", APPLIES)
def test_the_solver_s_data_obey_it_or_it_says_that_it_does_not_apply(made, name, family):
    data = made(family, nx=12 if family in ("pme-2d", "wave-2d", "cavity") else 24)
    constraint = kind(name)()
    if family not in APPLIES[name]:
        if name == "bounds":
            return  # it follows from nothing in the data: the user says so
        with pytest.raises(ValueError, match="`"):
            constraint.on(data)
        return
    admissible = constraint.on(data)
    residual = admissible.residual(Layout.of(data, constraint.fields).state(data))
    assert residual.shape == (3, 9, len(admissible.labels))
    if (name, family) not in DIFFERENCES:
        assert (np.abs(residual) <= allowed(constraint, admissible, data)).all(), np.abs(residual).max()
