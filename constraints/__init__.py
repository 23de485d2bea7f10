"""Constraints: sets of admissible fields, and how to impose them. Knows no solver and no particular surrogate."""

from importlib import import_module
from typing import Any

from lawbound.constraints.boundary import Dirichlet, Neumann, Robin
from lawbound.constraints.bounds import Bounds, MaximumPrinciple
from lawbound.constraints.conservation import Conservation
from lawbound.constraints.constrained import Constrained
from lawbound.constraints.constraint import Admissible, Constraint, Stack
from lawbound.constraints.divergence import DivergenceFree
from lawbound.constraints.energy import Energy
from lawbound.constraints.enforcement import Condition, Enforced, Enforcement, Project, Report, enforce
from lawbound.constraints.equation import Equation
from lawbound.constraints.flux_conservation import FluxConservation
from lawbound.constraints.period import Initial, Periodic
from lawbound.constraints.sets import Balance, Box, Curved, Evolution, Order, Phases, Rows, Variation
from lawbound.constraints.shape import Monotone, TotalVariation, TwoPhase

#: What is used less often, and loaded when it is.
_WHERE = {
    "Automatic": "lawbound.constraints.automatic",
    "ConstraintLayer": "lawbound.constraints.layer",
    "Corrected": "lawbound.constraints.boon",
    "Displace": "lawbound.constraints.displacement",
    "KernelCorrection": "lawbound.constraints.kernel_correction",
    "KernelLift": "lawbound.constraints.operator",
    "Operator": "lawbound.constraints.inside",
    "Penalised": "lawbound.constraints.penalty",
    "Penalty": "lawbound.constraints.penalty",
    "SmoothCondition": "lawbound.constraints.smoothing",
    "calibrated": "lawbound.constraints.calibration",
    "check_constraint": "lawbound.constraints.testing",
    "conformal_scale": "lawbound.constraints.calibration",
    "likelihood_scale": "lawbound.constraints.calibration",
    "nearest": "lawbound.constraints.projection",
}

__all__ = [
    "Admissible",
    "Balance",
    "Bounds",
    "Box",
    "Condition",
    "Conservation",
    "Constrained",
    "Constraint",
    "Curved",
    "Dirichlet",
    "DivergenceFree",
    "Energy",
    "Enforced",
    "Enforcement",
    "Equation",
    "Evolution",
    "FluxConservation",
    "Initial",
    "MaximumPrinciple",
    "Monotone",
    "Neumann",
    "Order",
    "Periodic",
    "Phases",
    "Project",
    "Report",
    "Robin",
    "Rows",
    "Stack",
    "TotalVariation",
    "TwoPhase",
    "Variation",
    "enforce",
    *_WHERE,
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"lawbound.constraints has no `{name}`; it has {', '.join(sorted(__all__))}.")
