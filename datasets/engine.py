"""Numbered tasks on any executor: few in flight, and begun again elsewhere when what worked on them dies."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")

#: Tasks handed out at a time, so that memory does not grow with their number.
IN_FLIGHT = 256


class WorkersLost(RuntimeError):
    """What should have worked died again and again; the message names the tasks and what to change."""


class Pool(Protocol):
    """Where executors come from: when one breaks, another is started, `restarts` times without any progress."""

    @property
    def restarts(self) -> int:
        """How often in a row to start again."""
        ...

    @property
    def losses(self) -> tuple[type[BaseException], ...]:
        """Errors that say a worker was lost, beyond those of `concurrent.futures`."""
        ...

    def start(self) -> AbstractContextManager[Executor]:
        """A new executor, as a context that ends it."""
        ...


@dataclass(frozen=True)
class Given:
    """An executor that somebody else started and ends; once broken it stays so."""

    executor: Executor

    @property
    def restarts(self) -> int:
        """None: there is no other."""
        return 0

    @property
    def losses(self) -> tuple[type[BaseException], ...]:
        """Only those of `concurrent.futures`."""
        return ()

    def start(self) -> AbstractContextManager[Executor]:
        """The executor."""
        return nullcontext(self.executor)


def completed(
    work: Callable[..., Result], tasks: Mapping[int, tuple[Any, ...]], pool: Pool | None
) -> Iterator[tuple[int, Result]]:
    """(number, work(number, *arguments)) of tasks as they get done, in whatever order; here, without a pool.

    An error of the work itself is raised at once, and what was not begun is cancelled. Raises `WorkersLost` where
    executors break `pool.restarts` times in a row with nothing done in between.
    """
    if pool is None:
        for number, arguments in tasks.items():
            yield number, work(number, *arguments)
        return
    left, broken = dict.fromkeys(tasks), 0
    losses: tuple[type[BaseException], ...] = (BrokenExecutor, CancelledError, *pool.losses)
    while left:
        try:
            with pool.start() as executor:
                for number, result in _on(executor, work, tuple(left), tasks):
                    del left[number]
                    broken = 0
                    yield number, result
        except losses as error:
            broken += 1
            if broken > pool.restarts:
                raise WorkersLost(_lost(sorted(left), error)) from error


def _on(
    executor: Executor,
    work: Callable[..., Result],
    numbers: Sequence[int],
    tasks: Mapping[int, tuple[Any, ...]],
) -> Iterator[tuple[int, Result]]:
    queue = iter(numbers)
    running: dict[Future[Result], int] = {}
    try:
        while True:
            for number in queue:
                running[executor.submit(work, number, *tasks[number])] = number
                if len(running) >= IN_FLIGHT:
                    break
            if not running:
                return
            # What is done is kept, should something else of the lot have broken.
            for future in sorted(wait(running, return_when=FIRST_COMPLETED).done, key=_broke):
                yield running[future], future.result()
                del running[future]
    except BaseException:
        for future in running:
            future.cancel()
        raise


def _broke(future: Future[Any]) -> bool:
    return future.cancelled() or future.exception() is not None


def _lost(left: Sequence[int], error: BaseException) -> str:
    some = ", ".join(map(str, left[:5])) + (", …" if len(left) > 5 else "")
    return (
        f"Workers died ({type(error).__name__}: {error}), {len(left)} shards are not made ({some}). If memory ran out, use fewer "
        "processes (--jobs) or smaller shards; then run the same `lawbound generate` again: finished shards are kept."
    )
