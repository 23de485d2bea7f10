import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import lawbound as lb
from lawbound.datasets.generate import configure, generate_into
from lawbound.datasets.store import read_manifest


def small(samples=12, **changes):
    return configure("stefan", samples, **{"nx": 16, "nt": 5, "shard_size": 3, **changes})


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.nc"))}


def test_a_folder_holds_what_generation_in_memory_gives(tmp_path):
    family, config = small()
    assert generate_into(tmp_path / "d", family, config).complete
    stored, memory = lb.open(tmp_path / "d"), lb.generate("stefan", 12, nx=16, nt=5)
    for name in ("u", "u_star", "seed", "split", "law_conservation_rhs", "bc_u_x_lo", "sample"):
        np.testing.assert_array_equal(stored[name], memory[name])
    assert lb.check(tmp_path / "d").ok


def test_shards_are_the_same_bytes_in_threads_and_alone(tmp_path):
    family, config = small()
    generate_into(tmp_path / "alone", family, config)
    with ThreadPoolExecutor(2) as pool:
        generate_into(tmp_path / "threads", family, config, executor=pool)
    assert files(tmp_path / "alone") == files(tmp_path / "threads")


def test_shards_are_the_same_bytes_in_other_processes(tmp_path):
    family, config = small(6)
    generate_into(tmp_path / "alone", family, config)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        generate_into(tmp_path / "processes", family, config, executor=pool)
    assert files(tmp_path / "alone") == files(tmp_path / "processes")


def test_what_is_there_is_kept_and_what_is_missing_or_damaged_is_made_again(tmp_path):
    family, config = small()
    generate_into(tmp_path, family, config)
    whole, before = files(tmp_path), {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.nc")}
    (tmp_path / "shard-0001-of-0004.nc").unlink()
    with (tmp_path / "shard-0002-of-0004.nc").open("r+b") as file:
        file.seek(2000)
        file.write(b"\xff\x00\xff")
    made = []
    assert generate_into(tmp_path, family, config, on_shard=lambda record: made.append(record.file)).complete
    assert made == ["shard-0001-of-0004.nc", "shard-0002-of-0004.nc"]
    assert files(tmp_path) == whole
    assert (tmp_path / "shard-0000-of-0004.nc").stat().st_mtime_ns == before["shard-0000-of-0004.nc"]


def test_shards_of_a_job_array_add_up(tmp_path):
    family, config = small()
    first = generate_into(tmp_path, family, config, only=lambda shard: shard % 2 == 0)
    assert not first.complete
    with pytest.raises(ValueError, match="2 of 4 shards"):
        lb.open(tmp_path)
    assert generate_into(tmp_path, family, config, only=lambda shard: shard % 2 == 1).complete
    assert lb.open(tmp_path).sizes["sample"] == 12


def test_a_killed_run_loses_at_most_the_shard_in_flight(tmp_path):
    out = tmp_path / "d"
    command = [
        sys.executable,
        "-P",
        "-c",
        "from lawbound.cli import main; main()",
        "generate",
        "stefan",
        "-n",
        "32",
    ]
    command += ["--nx", "300", "--nt", "5", "-o", str(out)]
    process = subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(out.glob("shard-*.nc")):
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = read_manifest(out).shards
    family, config = configure("stefan", 32, nx=300, nt=5, shard_size=4)
    made = []
    assert generate_into(out, family, config, on_shard=lambda record: made.append(record.file)).complete
    assert len(made) == 8 - len(kept)
    generate_into(tmp_path / "whole", family, config)
    assert files(out) == files(tmp_path / "whole")


def test_a_folder_of_another_dataset_is_refused_and_left_alone(tmp_path):
    family, config = small()
    generate_into(tmp_path, family, config)
    before = files(tmp_path)
    with pytest.raises(ValueError, match="seed=0 there, seed=7 asked for"):
        generate_into(tmp_path, *small(seed=7))
    assert files(tmp_path) == before


def test_a_folder_that_is_not_ours_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="not a dataset of ours"):
        generate_into(tmp_path, *small())
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(ValueError, match="is a file"):
        generate_into(tmp_path / "thesis.tex", *small())


def test_an_error_of_the_program_stops_the_run_and_leaves_the_manifest_whole(tmp_path, monkeypatch):
    import lawbound.datasets.generate as module

    solve = module.solve_shard

    def failing(family, config, shard):
        if shard == 2:
            raise RuntimeError("the disk is on fire")
        return solve(family, config, shard)

    monkeypatch.setattr(module, "solve_shard", failing)
    with pytest.raises(RuntimeError, match="on fire"):
        generate_into(tmp_path, *small())
    assert sorted(read_manifest(tmp_path).shards) == [0, 1]
    assert not [path for path in tmp_path.iterdir() if path.name.endswith((".tmp", ".jsonl"))]
    monkeypatch.undo()
    assert generate_into(tmp_path, *small()).complete


def test_the_same_configuration_gives_the_same_file_whatever_the_clock_says(tmp_path, monkeypatch):
    from lawbound.datasets.store import write

    for name in ("a", "b"):
        write(lb.generate("stefan", 3, nx=8, nt=3), tmp_path / f"{name}.nc")
        time.sleep(0.01)
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert lb.generate("stefan", 1, split="train", nx=8, nt=3).attrs["history"].startswith("1970-01-01")


@pytest.mark.parametrize("content", ["", "{", json.dumps({"shards": 3}), "[]"])
def test_a_damaged_manifest_is_refused(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ValueError, match="damaged or of another version"):
        lb.open(tmp_path)


def test_two_tasks_of_a_job_array_at_once_lose_no_shard(tmp_path):
    family, config = small(24, shard_size=1)

    def task(part):
        return generate_into(tmp_path / "d", family, config, only=lambda shard: shard % 2 == part)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(task, (0, 1)))
    assert read_manifest(tmp_path / "d").complete
    assert lb.check(tmp_path / "d").ok


def test_a_design_that_cannot_be_solved_leaves_nothing_in_the_way(tmp_path, monkeypatch):
    import lawbound.datasets.generate as module

    def failing(*arguments):
        raise RuntimeError("too stiff")

    monkeypatch.setattr(module, "solve_shard", failing)
    with pytest.raises(RuntimeError, match="too stiff"):
        generate_into(tmp_path / "d", *small())
    assert not (tmp_path / "d").exists()
