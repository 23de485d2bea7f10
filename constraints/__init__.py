"""Constraints: sets of admissible fields, and how to impose them. Knows no solver and no particular surrogate."""

from lawbound.constraints.conservation import Conservation
from lawbound.constraints.constrained import Constrained
from lawbound.constraints.constraint import Constraint, LinearConstraint, Rows, Stack
from lawbound.constraints.enforcement import Condition, Enforced, Enforcement, Project, Report, enforce

__all__ = [
    "Condition",
    "Conservation",
    "Constrained",
    "Constraint",
    "Enforced",
    "Enforcement",
    "LinearConstraint",
    "Project",
    "Report",
    "Rows",
    "Stack",
    "enforce",
]
