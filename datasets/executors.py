"""Where shards are solved: processes of this machine, or a Dask cluster that is running already."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from lawbound.solvers.compiled import use_threads

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """Processes of this machine, of one thread each; if one dies, all are started again."""

    jobs: int
    restarts: int = 2

    @property
    def losses(self) -> tuple[type[BaseException], ...]:
        """Only those of `concurrent.futures`."""
        return ()

    def start(self) -> AbstractContextManager[Executor]:
        """A new pool. By `spawn`: numba's threads do not survive a fork."""
        return ProcessPoolExecutor(self.jobs, mp_context=get_context("spawn"), initializer=_begin)


@dataclass(frozen=True)
class Dask:
    """A running Dask cluster; the workers must see the folder under the same path.

    A task whose worker is lost is given to another one by the scheduler; only if that happens `retries` times to
    one task, or the scheduler itself is lost, is the executor broken.
    """

    address: str
    retries: int = 3
    timeout: float = 30.0
    restarts: int = 1

    @property
    def losses(self) -> tuple[type[BaseException], ...]:
        """What Dask says of a task that took several workers with it."""
        try:
            from distributed.scheduler import KilledWorker
        except ImportError:  # `start` says so
            return ()
        return (KilledWorker,)

    @contextmanager
    def start(self) -> Iterator[Executor]:
        """The cluster's executor; raises `ValueError` without dask, without a cluster there, or without its workers."""
        try:
            from distributed import Client
        except ImportError:
            raise ValueError("--scheduler needs dask; install it: pip install 'lawbound[dask]'.") from None
        connect: Any = Client  # has no types
        try:
            client = connect(self.address, timeout=self.timeout, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise ValueError(
                f"No Dask scheduler answers at {self.address} ({error}); start one with `dask scheduler`, and give "
                "the address that it prints, such as tcp://host:8786."
            ) from None
        with client:
            executor = client.get_executor(pure=False, retries=self.retries)
            try:
                yield _OnOneThread(executor)
            finally:
                executor.shutdown(wait=False)


@dataclass(frozen=True, eq=False)
class _OnOneThread(Executor):
    """An executor whose tasks use one thread of their worker each."""

    inner: Executor

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        return self.inner.submit(_alone, fn, *args, **kwargs)


def _alone(work: Callable[..., T], *arguments: Any) -> T:
    use_threads(1)
    return work(*arguments)


def _begin() -> None:
    """One thread, and none left behind: a worker would wait for ever for work of a parent that was killed."""
    use_threads(1)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
