"""Constraints and enforcements by name, as the command line writes them."""

from lawbound.arguments import apart
from lawbound.constraints.applicability import require_possible
from lawbound.constraints.conservation import Conservation
from lawbound.constraints.enforcement import Condition, Project, enforcement_class
from lawbound.evidence import Imposed
from lawbound.specs import made, stacked


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
    chosen, constraint = made(manner, enforcement_class), stacked(laws)
    require_possible(constraint, chosen.name)
    return Imposed(constraint, chosen, laws if manner == "condition" else f"{laws}:{manner}")


# The variance stays as it was in HardC, and b is imposed through any quadrature as it is in both.
_PUBLISHED = {
    ("conservation", "project"): Imposed(
        Conservation(tolerance="exact"), Project(covariance="kept", distance="points"), "hardc"
    ),
    ("conservation", "condition"): Imposed(Conservation(tolerance="exact"), Condition(), "probconserv"),
}
