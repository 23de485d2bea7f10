"""How a solve is timed: the first call, then many warm ones."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from numpy.typing import NDArray

from peers.workloads import Workload

Result = TypeVar("Result")


@dataclass(frozen=True)
class Answer:
    """The state at the end, and what the package itself says about the way there."""

    state: NDArray[Any]
    steps: int | None = None
    stepping: float | None = None  # seconds in compiled time stepping, without set-up and compilation


def measured(
    solve: Callable[[], Answer], workload: Workload, least: int = 3, most: int = 40, seconds: float = 1.0
) -> dict[str, Any]:
    """Time `solve` cold, then warm: `least` times at least, until `seconds` have passed or `most` runs are done."""
    answer, cold = timed(solve)
    warm: list[float] = []
    stepping: list[float] = []
    while len(warm) < least or (len(warm) < most and sum(warm) < seconds):
        answer, took = timed(solve)
        warm.append(took)
        if answer.stepping is not None:
            stepping.append(answer.stepping)
    return {
        "cold": cold,
        "warm": warm,
        "stepping": stepping,
        "error": workload.error(answer.state),
        "front": workload.front_error(answer.state),
        "steps": answer.steps,
    }


def timed(call: Callable[[], Result]) -> tuple[Result, float]:
    """What a call returns, and its wall time in seconds."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start
