"""Constraints in the words of the command line, so that a run folder can say what it was trained with."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from lawbound.constraints.constraint import Constraint, Stack


def spec_of(constraint: Constraint) -> str:
    """`NAME(OPTION=VALUE, …)&NAME…`, of what is not as by default.

    >>> from lawbound.constraints import Conservation, Dirichlet
    >>> spec_of(Dirichlet(sides=("x_lo",)) & Conservation())
    'dirichlet(sides=["x_lo"])&conservation'
    """
    parts = constraint.parts if isinstance(constraint, Stack) else (constraint,)
    return "&".join(worded(part.name, part) for part in parts)


def worded(name: str, thing: Any) -> str:
    """A name with the options of a dataclass that are not as by default, values in JSON.

    Raises `ValueError` for a value that JSON cannot hold.
    """
    options = _options(thing) if is_dataclass(thing) else {}
    try:
        said = [f"{key}={json.dumps(value)}" for key, value in options.items()]
    except TypeError as error:
        raise ValueError(f"`{name}` has options that a run folder cannot hold ({error}).") from None
    return f"{name}({', '.join(said)})" if said else name


def _options(thing: Any) -> Mapping[str, Any]:
    return {
        one.name: getattr(thing, one.name)
        for one in fields(thing)
        if one.init
        and not isinstance(getattr(thing, one.name), Constraint)
        and (one.default is MISSING or getattr(thing, one.name) != one.default)
    }
