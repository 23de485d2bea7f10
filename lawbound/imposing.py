"""Constraints and enforcements by name, as the command line writes them."""

from collections.abc import Callable
from functools import reduce
from inspect import signature
from operator import and_
from typing import Any

from lawbound.arguments import apart, called
from lawbound.constraints.conservation import Conservation
from lawbound.constraints.enforcement import Condition, Project, enforcement_class
from lawbound.datasets.plugins import find
from lawbound.evidence import Imposed


def imposed(spec: str | Imposed) -> Imposed:
    """`NAME[&NAME…][:HOW]` as objects, each with options in brackets where it takes any.

    `conservation:project` and `conservation:condition` alone are HardC and ProbConserv as published. Raises
    `ValueError`, with suggestions, for unknown names and options.
    """
    if isinstance(spec, Imposed):
        return spec
    laws, *how = apart(spec, ":")
    if len(how) > 1:
        raise ValueError(f"{spec} names more than one enforcement; write NAME&NAME:HOW.")
    manner = how[0].strip() if how else "condition"
    if (laws, manner) in _PUBLISHED:
        return _PUBLISHED[laws, manner]
    parts = [_made(part, lambda name: find("constraints", name)) for part in apart(laws, "&")]
    chosen = _made(manner, enforcement_class)
    return Imposed(reduce(and_, parts), chosen, laws if manner == "condition" else f"{laws}:{manner}")


# The variance stays as it was in HardC, and b is imposed through any quadrature as it is in both.
_PUBLISHED = {
    ("conservation", "project"): Imposed(
        Conservation(tolerance="exact"), Project(covariance="kept"), "hardc"
    ),
    ("conservation", "condition"): Imposed(Conservation(tolerance="exact"), Condition(), "probconserv"),
}


def _made(text: str, kind: Callable[[str], Any]) -> Any:
    """The object of that name with the options in its brackets."""
    name, options = called(text)
    make = kind(name)
    try:
        return make(**options)
    except TypeError as error:
        known = ", ".join(signature(make).parameters) or "none"
        raise ValueError(f"`{name}` does not take these options ({error}); it takes {known}.") from None
