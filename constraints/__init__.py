"""Constraints: sets of admissible fields, and how to impose them. Knows no solver and no particular surrogate."""

from lawbound.constraints.boundary import Dirichlet, Neumann, Robin
from lawbound.constraints.bounds import Bounds, MaximumPrinciple
from lawbound.constraints.conservation import Conservation
from lawbound.constraints.constrained import Constrained
from lawbound.constraints.constraint import Admissible, Constraint, Stack
from lawbound.constraints.divergence import DivergenceFree
from lawbound.constraints.energy import Energy
from lawbound.constraints.enforcement import Condition, Enforced, Enforcement, Project, Report, enforce
from lawbound.constraints.flux_conservation import FluxConservation
from lawbound.constraints.period import Initial, Periodic
from lawbound.constraints.sets import Box, Curved, Order, Phases, Rows, Variation
from lawbound.constraints.shape import Monotone, TotalVariation, TwoPhase

__all__ = [
    "Admissible",
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
]
