"""The one place that calls numba, so that flags live here and type checkers still see plain functions."""

import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from threading import Timer
from typing import Any, TypeVar, cast
from weakref import WeakSet

import numba
import numpy as np
from numba.core import event
from numba.extending import overload
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])


def _stamp_of_all_sources() -> tuple[float, int]:
    files = [path.stat() for path in sorted(Path(__file__).parent.glob("*.py"))]
    return max(file.st_mtime for file in files), sum(file.st_size for file in files)


def _kept_until_any_source_changes(function: Function) -> Function:
    """numba keeps machine code until the file of a kernel changes, and does not see the files it inlines from.

    Here the code on disk is valid for one state of all of the solvers' sources. Should a future numba hide the
    stamp elsewhere, its own rule stays in force.
    """
    _ours.add(function)
    cache: Any = getattr(function, "_cache", None)
    cache_file: Any = getattr(cache, "_cache_file", None)
    if hasattr(cache_file, "_source_stamp"):
        cache_file._source_stamp = _STAMP
    if hasattr(cache, "save_overload"):
        cache.save_overload = _unless_a_user_s(cache.save_overload)
    return function


def _unless_a_user_s(save: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Keep off the disk what was compiled for a user's function.

    The index on disk would name the module of that function, and no process that cannot import it could read the
    index again: one user's script would stop everybody's solvers.
    """

    def save_ours(signature: Any, data: Any) -> None:
        if not any(_holds_a_function(kind) for kind in getattr(signature, "args", signature)):
            save(signature, data)

    return save_ours


def _holds_a_function(kind: Any) -> bool:
    if isinstance(kind, numba.types.BaseTuple):
        parts: Any = kind
        return any(_holds_a_function(part) for part in parts)
    return isinstance(kind, numba.types.Dispatcher | numba.types.Function)


_ours: WeakSet[Any] = WeakSet()
_PATIENCE = 1.0  # seconds
_TEXT = "lawbound: compiling a solver; the machine code is kept, so this happens once …\n"

_STAMP = _stamp_of_all_sources()

# Asked of `get_num_threads`, numba would start its threads, and set those of everybody else who uses OpenMP.
_threads: int = int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]


def compiled(function: Function) -> Function:
    """Compile a function of scalars, arrays and tuples; the machine code is kept on disk."""
    return cast(
        Function,
        _kept_until_any_source_changes(numba.njit(cache=True, nogil=True, error_model="numpy")(function)),
    )


def compiled_with_fused_products(function: Function) -> Function:
    """Compile a function in which a·b + c may be rounded once: for polynomials, never for sums that must balance."""
    kernel = numba.njit(cache=True, error_model="numpy", fastmath={"contract"})(function)
    return cast(Function, _kept_until_any_source_changes(kernel))


@lru_cache(maxsize=256)
def compiled_for_a_user(function: Callable[[float], float]) -> Any:
    """Compile a user's function of one float in memory; raises `ValueError` if that cannot be done."""
    kernel = function if hasattr(function, "py_func") else numba.njit(error_model="numpy")(function)
    try:
        kernel(1.0)
    except numba.core.errors.NumbaError as error:
        raise ValueError(
            f"numba cannot compile {function}: {str(error).strip().splitlines()[-1]}; write it as a function of one float that "
            "uses arithmetic, `math` or NumPy's elementary functions."
        ) from error
    return kernel


@numba.njit(error_model="numpy")
def _fill_values(function, at, values):  # type: ignore[no-untyped-def]
    for i in range(at.size):
        values[i] = function(at[i])


def values_of(function: Callable[[float], float], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """A user's function at many points."""
    values = np.empty(at.size)
    _fill_values(compiled_for_a_user(function), np.ascontiguousarray(at).ravel(), values)
    return values.reshape(at.shape)


def chosen_by_type(declared: Callable[..., Any], choices: Mapping[type, Callable[..., Any]]) -> None:
    """Let compiled code that calls `declared(c, …)` run `choices[type(c)](c, …)`, for a named tuple `c`.

    The choice is made while compiling, so it costs nothing at run time, and a kernel specialised in this way
    is found again in numba's on-disk cache; a kernel that takes functions as arguments never is.
    """

    def choose(coefficient: Any, *arguments: Any) -> Callable[..., Any] | None:
        return choices.get(getattr(coefficient, "instance_class", type(None)))

    overload(declared, strict=False)(choose)


class _Announcer(event.Listener):
    """Say so to a person who waits while one of our kernels is compiled; code found on disk is no event."""

    def __init__(self) -> None:
        self._open = 0  # kernels compile the functions that they call, and numba one at a time
        self._note: Timer | None = None

    def on_start(self, event: Any) -> None:
        """Begin to wait, where this is the first of ours and somebody reads."""
        if event.data["dispatcher"] in _ours:
            self._open += 1
            if self._open == 1 and sys.stderr.isatty():
                self._note = Timer(_PATIENCE, sys.stderr.write, [_TEXT])
                self._note.start()

    def on_end(self, event: Any) -> None:
        """Say nothing that has not been said by now."""
        if event.data["dispatcher"] in _ours:
            self._open -= 1
            if self._open == 0 and self._note is not None:
                self._note.cancel()


event.register("numba:compile", _Announcer())  # type: ignore[no-untyped-call]


def over_samples(kernel: Callable[..., None], samples: int, *arguments: Any) -> None:
    """kernel(first, last, *arguments) for ranges that cover all samples, on as many threads as `use_threads` set.

    The kernel changes arrays in place, each sample its own rows, and releases Python's lock, so several Python
    threads may be here at once, and worker processes may be forked afterwards.
    """
    if _threads == 1 or samples == 1 or not getattr(kernel, "signatures", True):
        kernel(0, samples, *arguments)
        return
    ends = np.linspace(0, samples, min(samples, 4 * _threads) + 1).astype(int).tolist()
    with ThreadPoolExecutor(min(_threads, samples)) as pool:
        parts = [pool.submit(kernel, first, last, *arguments) for first, last in pairwise(ends)]
        for part in parts:
            part.result()


def use_threads(count: int) -> None:
    """Run loops over samples on this many threads, in this process; all cores by default."""
    global _threads
    _threads = max(1, count)
