"""Tasks on executors that break, and what a run leaves behind."""

import contextlib
import os
import signal
import subprocess
import sys
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor

import pytest

from lawbound.datasets import engine
from lawbound.datasets.engine import Given, WorkersLost, completed
from lawbound.datasets.executors import Dask, Processes
from lawbound.datasets.generate import configure, generate_into
from lawbound.datasets.manifest import Journal, merge_journals
from lawbound.datasets.store import read_manifest


def small(samples=12, **changes):
    return configure("wave", samples, **{"nx": 17, "nt": 5, "shard_size": 1, **changes})


def files(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.nc")}


class Fragile(Executor):
    """Does so many tasks, then breaks."""

    def __init__(self, tasks):
        self.left = tasks

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        if self.left == 0:
            future.set_exception(BrokenExecutor("a process ended abruptly"))
        else:
            self.left -= 1
            future.set_result(fn(*args, **kwargs))
        return future


class Pool:
    losses = ()

    def __init__(self, restarts, *lives):
        self.restarts, self.lives, self.started = restarts, list(lives), 0

    def start(self):
        self.started += 1
        return contextlib.nullcontext(Fragile(self.lives.pop(0) if self.lives else 0))


def square(number):
    return number * number


TASKS = {number: () for number in range(10)}
SQUARES = {number: number * number for number in range(10)}


def test_a_broken_pool_is_started_again_and_no_task_is_lost_or_done_twice():
    pool = Pool(2, 3, 3, 0, 9)
    found = list(completed(square, TASKS, pool))
    assert dict(found) == SQUARES and len(found) == 10 and pool.started == 4


def test_pools_that_break_without_progress_end_the_run_with_a_remedy():
    pool = Pool(2, 4)
    done = {}
    with pytest.raises(WorkersLost, match=r"6 shards are not made .*--jobs.*finished shards are kept"):
        for number, result in completed(square, TASKS, pool):
            done[number] = result
    assert len(done) == 4 and pool.started == 3
    with pytest.raises(WorkersLost):
        list(completed(square, TASKS, Given(Fragile(4))))


def test_only_so_many_tasks_are_handed_out_at_a_time(monkeypatch):
    monkeypatch.setattr(engine, "IN_FLIGHT", 3)
    waiting = []

    class Counting(ThreadPoolExecutor):
        def submit(self, *arguments, **options):
            waiting.append(sum(not one.done() for one in given))
            given.append(super().submit(*arguments, **options))
            return given[-1]

    given = []
    with Counting(1) as pool:
        assert dict(completed(square, TASKS, Given(pool))) == SQUARES
    assert max(waiting) <= 2


class Watched:
    """Processes, and the executor that runs them."""

    losses = ()
    restarts = 2

    def __init__(self):
        self.running = None

    @contextlib.contextmanager
    def start(self):
        with Processes(2).start() as self.running:
            yield self.running


def test_a_worker_process_that_dies_costs_nothing_but_time(tmp_path):
    pool, seen = Watched(), []

    def on_shard(record):
        if not seen:
            os.kill(next(iter(pool.running._processes)), signal.SIGKILL)
        seen.append(record.file)

    assert generate_into(tmp_path / "d", *small(24), executor=pool, on_shard=on_shard).complete
    assert len(seen) == len(set(seen)) == 24
    generate_into(tmp_path / "alone", *small(24))
    assert files(tmp_path / "d") == files(tmp_path / "alone")


def test_a_shard_that_another_machine_wrote_elsewhere_is_not_believed(tmp_path, monkeypatch):
    import lawbound.datasets.generate as module

    real = module._arrived
    monkeypatch.setattr(module, "_arrived", lambda folder, record: real(folder, record, patience=0.0))

    class Elsewhere(ThreadPoolExecutor):
        def submit(self, work, shard):
            (tmp_path / "other").mkdir(exist_ok=True)
            return super().submit(work.func, tmp_path / "other", *work.args[1:], shard)

    with Elsewhere(1) as pool, pytest.raises(OSError, match=r"is gone.*all workers must see .*as one folder"):
        generate_into(tmp_path / "d", *small(), executor=pool)


def test_journals_of_the_dead_are_merged_and_those_of_the_living_stay(tmp_path):
    manifest = generate_into(tmp_path, *small(4))
    record = manifest.shards[3]
    with Journal(tmp_path) as living:
        living.add(3, record)
        dead = living.path.with_name(living.path.name.replace(f"-{os.getpid()}-", "-999999999-"))
        dead.write_bytes(living.path.read_bytes())
        merge_journals(tmp_path)
        assert living.path.exists() and not dead.exists()
        assert read_manifest(tmp_path).shards == manifest.shards
        merge_journals(tmp_path, living.path)
    assert not list(tmp_path.glob("journal-*"))


def test_without_dask_the_message_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setitem(sys.modules, "distributed.scheduler", None)
    with pytest.raises(ValueError, match=r"pip install 'lawbound\[dask\]'"):
        generate_into(tmp_path / "d", *small(), executor=Dask("tcp://127.0.0.1:1"))
    assert not (tmp_path / "d").exists()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_samples(tmp_path):
    script = """
import resource, sys
from lawbound.datasets.generate import configure, generate_into
generate_into(sys.argv[2], *configure("wave", int(sys.argv[1]), shard_size=64))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    peak = {}
    for samples in (128, 2048):
        command = [sys.executable, "-P", "-c", script, str(samples), str(tmp_path / str(samples))]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=True)
        peak[samples] = int(done.stdout) / 1024
    # The data themselves grow by 200 MB.
    assert peak[2048] - peak[128] < 10.0, peak
