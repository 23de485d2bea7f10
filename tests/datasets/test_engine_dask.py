"""A real Dask cluster on this machine: its processes are started and ended here, and some are killed on purpose."""

import contextlib
import os
import signal
import socket
import subprocess
import sys

import pytest

from lawbound.cli import run
from lawbound.datasets.executors import Dask
from lawbound.datasets.generate import configure, generate_into

pytest.importorskip("distributed")

# Dask leaves sockets and loops to the garbage collector; what is tested here is ours.
pytestmark = pytest.mark.filterwarnings("ignore")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def process(module, *words):
    command = [sys.executable, "-P", "-m", "distributed.cli." + module, *words]
    # A group of its own, so that a worker can be killed with its nanny.
    return subprocess.Popen(
        command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def end(one, how=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(one.pid, how)
    one.wait()


@pytest.fixture
def cluster(tmp_path):
    """(address, workers): a scheduler and two workers of one thread each."""
    from distributed import Client

    address = f"tcp://127.0.0.1:{free_port()}"
    scheduler = process("dask_scheduler", "--host", address, "--no-dashboard", "--no-jupyter")
    common = [address, "--nthreads", "1", "--no-dashboard", "--local-directory", str(tmp_path / "scratch")]
    workers = [process("dask_worker", *common, "--name", f"w{number}") for number in range(2)]
    try:
        with Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield address, workers
    finally:
        for one in [*workers, scheduler]:
            end(one)


def design(samples=12, **changes):
    return configure("wave", samples, **{"nx": 33, "nt": 9, "shard_size": 1, **changes})


def files(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.nc")}


def test_a_worker_killed_on_the_way_loses_nothing(tmp_path, cluster):
    address, workers = cluster
    done = []

    def on_shard(record):
        done.append(record)
        if len(done) == 2:
            end(workers[0])

    family, config = design(24)
    assert generate_into(
        tmp_path / "there", family, config, executor=Dask(address), on_shard=on_shard
    ).complete
    generate_into(tmp_path / "alone", family, config)
    assert files(tmp_path / "there") == files(tmp_path / "alone")


def test_the_command_solves_on_a_running_cluster(tmp_path, cluster, capsys):
    address, _ = cluster
    same = ["generate", "wave", "-n", "12", "--nx", "33", "--nt", "9"]
    assert run([*same, "-o", str(tmp_path / "there"), "--scheduler", address]) == 0, capsys.readouterr().err
    assert run([*same, "-o", str(tmp_path / "alone")]) == 0
    assert files(tmp_path / "there") == files(tmp_path / "alone")


def test_without_a_scheduler_there_the_message_says_what_to_start(tmp_path):
    with pytest.raises(ValueError, match=r"No Dask scheduler answers at .*`dask scheduler`"):
        generate_into(tmp_path / "d", *design(), executor=Dask(f"tcp://127.0.0.1:{free_port()}", timeout=2))
    assert not (tmp_path / "d").exists()
