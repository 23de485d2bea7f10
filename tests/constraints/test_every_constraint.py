"""What must hold for every constraint, for a stranger's as for ours."""

from dataclasses import dataclass
from typing import final

import numpy as np
import pytest

from lawbound.constraints import Box, Conservation, Constraint, Rows
from lawbound.constraints.testing import check_constraint
from lawbound.datasets import schema
from lawbound.datasets.plugins import load_all


@final
@dataclass(frozen=True)
class FirstMoment(Constraint):
    """∫x u dx as the reference has it: a law that a third party might write."""

    @property
    def name(self):
        return "first-moment"

    @property
    def inputs(self):
        return ("u",)

    def rows(self, data):
        weights = (schema.weights(data) * data.x.values)[None]
        rhs = data.u.values.astype(np.float64) @ weights.T
        return Rows(weights, rhs, np.zeros_like(rhs), ("∫x u dx",))


OURS = {name: kind for name, kind in load_all("constraints").items()}

#: A family for each, arguments with which it says something there, and what stencils and quadrature allow.
TRIALS = {
    "conservation": ("stefan", {}, None),
    "bounds": ("stefan", {}, 0.0),
    "dirichlet": ("burgers-dirichlet", {}, 1e-6),
    "neumann": ("heat-neumann", {}, 1.0),
    "robin": ("heat-robin", {}, 1.0),
    "initial": ("diffusion", {}, 1e-6),
    "maximum-principle": ("diffusion", {}, 1e-6),
    "monotone": ("stefan", {}, 1e-6),
    "two-phase": ("stefan", {}, 1e-2),
    "total-variation": ("stefan", {}, 1e-6),
    "energy": ("wave", {}, 1e-2),
    "divergence-free": ("cavity", {}, 10.0),
    "pde": ("diffusion", {}, 0.5),  # so are they here
    "flux-conservation": ("diffusion", {}, 0.5),  # stored times are far apart
}


def test_every_declared_constraint_is_tried():
    # No family stores both ends of a period; test_boundary.py does.
    assert {*TRIALS, "periodic"} == set(OURS)


@pytest.mark.parametrize("name", TRIALS)
def test_our_constraints_hold_on_the_solver_s_data_and_enforce(name, made):
    family, options, tolerance = TRIALS[name]
    data = made(family)
    check_constraint(OURS[name](**options), data, tolerance=tolerance)


@final
@dataclass(frozen=True)
class Peeping(Constraint):
    """The first moment again, which does not say that it reads the field."""

    name = "peeping"
    inputs = ()
    rows = FirstMoment.rows


@final
@dataclass(frozen=True)
class Vague(Constraint):
    """A box that is another at every call."""

    name = "vague"
    inputs = ()

    def bounds(self, data):
        shape = (data.sizes["sample"], data.sizes["t"], data.sizes["x"])
        Vague.calls += 1
        return Box(np.full(shape, -0.1 - 0.1 * Vague.calls), np.full(shape, 1.1), "vague")


Vague.calls = 0


@pytest.mark.parametrize(
    ("constraint", "message"), [(Peeping(), "reads more of the fields"), (Vague(), "reads more")]
)
def test_the_check_refuses_what_reads_the_truth_or_changes_its_mind(constraint, message, stefan):
    with pytest.raises(AssertionError, match=message):
        check_constraint(constraint, stefan, tolerance=2e-3)


@pytest.mark.parametrize(
    "constraint",
    [FirstMoment(), Conservation() & FirstMoment(), FirstMoment() & Conservation()],
    ids=lambda c: c.name,
)
def test_a_stranger_s_constraint_and_stacks_pass_the_same_check(constraint, stefan):
    check_constraint(constraint, stefan, tolerance=2e-3)  # 40 cells


def test_the_check_refuses_a_law_that_the_reference_breaks(stefan):
    wrong = stefan.assign(law_conservation_rhs=stefan.law_conservation_rhs + 0.01)
    with pytest.raises(AssertionError, match="reference itself breaks"):
        check_constraint(Conservation(), wrong)


def test_a_stack_lists_the_inputs_and_rows_of_its_parts(stefan):
    both = Conservation() & FirstMoment() & Conservation()
    assert both.name == "conservation&first-moment&conservation"
    stored = tuple(f"law_conservation_{what} at points" for what in ("quadrature", "tolerance"))
    assert both.inputs == ("law_conservation_rhs", *stored, "u")
    assert both.on(stefan).labels == ("∫u dx", "∫x u dx", "∫u dx")
