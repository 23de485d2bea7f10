"""Constraints: sets of admissible fields, and how to impose them. Knows no solver and no particular surrogate."""

from lawbound.constraints.conservation import Conservation
from lawbound.constraints.constrained import Constrained
from lawbound.constraints.constraint import Admissible, Constraint, Stack
from lawbound.constraints.enforcement import Condition, Enforced, Enforcement, Project, Report, enforce
from lawbound.constraints.sets import Box, Curved, Order, Phases, Rows, Variation

__all__ = [
    "Admissible",
    "Box",
    "Condition",
    "Conservation",
    "Constrained",
    "Constraint",
    "Curved",
    "Enforced",
    "Enforcement",
    "Order",
    "Phases",
    "Project",
    "Report",
    "Rows",
    "Stack",
    "Variation",
    "enforce",
]
