"""The one place that calls numba, so that flags live here and type checkers still see plain functions."""

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, TypeVar, cast

import numba
from numba.extending import overload

Function = TypeVar("Function", bound=Callable[..., Any])

#: A loop over independent samples; parallel inside `compiled_over_samples`, a plain `range` elsewhere.
samples_in_parallel = numba.prange


def compiled(function: Function) -> Function:
    """Compile a function of scalars, arrays and tuples; the machine code is kept on disk."""
    return cast(Function, numba.njit(cache=True, error_model="numpy")(function))


def compiled_over_samples(function: Function) -> Function:
    """Compile a loop over independent samples that runs on all of numba's threads."""
    return cast(Function, numba.njit(cache=True, parallel=True, error_model="numpy")(function))


def chosen_by_type(declared: Callable[..., Any], choices: Mapping[type, Callable[..., Any]]) -> None:
    """Let compiled code that calls `declared(c, x)` run `choices[type(c)](c, x)`, for a named tuple `c`.

    The choice is made while compiling, so it costs nothing at run time, and a kernel specialised in this way
    is found again in numba's on-disk cache; a kernel that takes functions as arguments never is.
    """

    def choose(coefficient: Any, argument: Any) -> Callable[..., Any] | None:
        return choices.get(getattr(coefficient, "instance_class", type(None)))

    overload(declared, strict=False)(choose)


#: Hold this while calling a `compiled_over_samples` function: of numba's threading layers, the one that is
#: always there ends the process if two Python threads enter parallel code together.
parallel_region = Lock()


def use_threads(count: int) -> None:
    """Run loops over samples on this many threads, in this process."""
    numba.set_num_threads(count)
