"""Constraints by name, `NAME[&NAME…][:HOW]`, each with options in brackets where it takes any."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from inspect import signature
from operator import and_
from typing import Any

from lawbound.arguments import apart, called
from lawbound.constraints.applicability import certain, require_possible
from lawbound.constraints.constraint import Constraint
from lawbound.constraints.corrected import operator
from lawbound.constraints.enforcement import ENFORCEMENTS
from lawbound.constraints.penalty import Penalised
from lawbound.datasets.plugins import find
from lawbound.surrogates.neural_process import AttentiveNeuralProcess
from lawbound.surrogates.operator_options import OperatorOptions
from lawbound.surrogates.surrogate import InLoss, Inside, Learner

#: The enforcements that are part of training, by name: what makes them of a constraint and options.
IN_TRAINING: dict[str, Callable[..., Inside | InLoss]] = {"operator": operator, "penalty": Penalised}


def made(text: str, kind: Callable[[str], Any], *given: Any) -> Any:
    """The object of that name with the options in its brackets, and what is given besides."""
    name, options = called(text)
    make = kind(name)
    try:
        return make(*given, **options)
    except TypeError as error:
        known = ", ".join(list(signature(make).parameters)[len(given) :]) or "none"
        raise ValueError(f"`{name}` does not take these options ({error}); it takes {known}.") from None


def stacked(laws: str) -> Constraint:
    """The constraints of these names at once; raises `ValueError`, with suggestions, for unknown names and options."""
    constraint: Constraint = reduce(
        and_, [made(part, lambda name: find("constraints", name)) for part in apart(laws, "&")]
    )
    return constraint


def in_training(spec: str) -> Inside | InLoss:
    """`NAME[&NAME…]:operator` or `:penalty` as an object; raises `ValueError` for anything else."""
    laws, *how = apart(spec, ":")
    if len(how) != 1:
        raise ValueError(
            f"{spec} does not say how it is part of training; write {laws}:operator or {laws}:penalty(weight=0.1)."
        )

    def kind(name: str) -> Callable[..., Inside | InLoss]:
        if name not in IN_TRAINING:
            later = " impose it on predictions, in `lawbound compare`." if name in ENFORCEMENTS else ""
            raise ValueError(f"`{name}` is no part of training, where operator and penalty are.{later}")
        return IN_TRAINING[name]

    constraint = stacked(laws)
    enforcement: Inside | InLoss = made(how[0].strip(), kind, constraint)
    if not isinstance(enforcement, Inside):
        require_possible(constraint, "penalty")
    for name, part in certain(constraint) if isinstance(enforcement, Inside) else ():
        raise ValueError(
            f"`operator` imposes linear equalities, which `{name}` ({part}) is not; train with `penalty`."
        )
    return enforcement


def constrained(learner: Learner, constraints: Sequence[str | Inside | InLoss]) -> Learner:
    """The learner with these enforcements in its training.

    Raises `ValueError` for a learner that has no network on a grid (the ANP takes penalties), and for more than one enforcement inside it.
    """
    made_of = [in_training(one) if isinstance(one, str) else one for one in constraints]
    if not made_of:
        return learner
    if isinstance(learner, AttentiveNeuralProcess) and not any(isinstance(one, Inside) for one in made_of):
        return replace(learner, penalties=tuple(one for one in made_of if not isinstance(one, Inside)))
    if not isinstance(learner, OperatorOptions):
        raise ValueError(
            f"`{learner.name}` has no network on a grid that {', '.join(one.spec for one in made_of)} could be part of; train "
            "one that has (fno, fno-bc, deeponet, ensemble, diverse-fno; for penalties anp, too), or impose the constraint on "
            "predictions by `condition`."
        )
    inside = [one for one in made_of if isinstance(one, Inside)]
    penalties = tuple(one for one in made_of if not isinstance(one, Inside))
    if len(inside) > 1:
        raise ValueError(
            f"{' and '.join(one.spec for one in inside)} would undo each other; write them as one, NAME&NAME:operator."
        )
    return replace(learner, inside=inside[0] if inside else None, penalties=penalties)


def label_of(spec: str) -> str:
    """What a table calls a part of training: by its method if that is not the usual one, without its other options.

    >>> label_of("dirichlet&conservation:operator(length=0.1)")
    'operator(dirichlet&conservation)'
    >>> label_of('dirichlet:operator(method="boon")')
    'boon(dirichlet)'
    """
    laws, how = apart(spec, ":")
    name, options = called(how)
    return f"{options.get('method', name)}({laws})"
