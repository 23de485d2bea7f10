"""What must hold for every constraint, for a stranger's as for ours."""

from dataclasses import dataclass
from typing import final

import numpy as np
import pytest

from lawbound.constraints import Conservation, Constraint, Rows
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


OURS = {name: kind() for name, kind in load_all("constraints").items()}

#: Those that are rows alone, on data for which they say something; each of the others has tests of its own.
ON_STEFAN = ("conservation",)


@pytest.mark.parametrize("name", ON_STEFAN)
def test_our_constraints_hold_on_the_solver_s_data_and_enforce(name, stefan):
    check_constraint(OURS[name], stefan)


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
    assert both.inputs == ("law_conservation_rhs", "law_conservation_tolerance at points", "u")
    assert both.on(stefan).labels == ("∫u dx", "∫x u dx", "∫u dx")
