"""What a run must survive: kills at any moment, a full disk, damaged files, other writers, folders it may not write.

The faults happen to processes forked from a small driver, so that they cost no start of Python each and cannot
touch the tests themselves.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

import lawbound as lb
from lawbound.datasets import store
from lawbound.datasets.disk import file_hash
from lawbound.datasets.generate import configure, generate_into
from lawbound.datasets.manifest import sweep
from lawbound.datasets.store import read_manifest

DRIVER = """
import os, random, resource, signal, sys, time
from pathlib import Path
from lawbound.datasets.generate import configure, generate_into
from lawbound.datasets.store import read_manifest

out = Path(sys.argv[1])
design = configure("wave", 12, nx=17, nt=5, shard_size=1)

def forked(work):
    child = os.fork()
    if child:
        return child
    try:
        work()
    except (OSError, ValueError) as error:
        print("SAID", error, flush=True)
    except BaseException as error:
        print("UNEXPECTED", repr(error), flush=True)
    finally:
        sys.stdout.flush()
        os._exit(0)

def generate(folder=out, **more):
    return generate_into(folder, *design, **more)
"""

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def driven(script, out):
    """What a script says that runs after the driver's prologue."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", DRIVER + script, str(out)],
        cwd="/", capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "UNEXPECTED" not in done.stdout, done.stdout
    return done.stdout


def sums(folder):
    return {path.name: file_hash(path) for path in folder.glob("shard-*")}


def small(samples=12, **changes):
    return configure("wave", samples, **{"nx": 17, "nt": 5, "shard_size": 1, **changes})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "d"
    generate_into(folder, *small())
    return folder


@pytest.fixture(scope="module")
def undisturbed(whole):
    return sums(whole)


def only_ours(folder):
    """Nothing lies about that a killed run left."""
    return sorted(path.name for path in folder.iterdir()) == [
        "manifest.json",
        *sorted(record.file for record in read_manifest(folder).shards.values()),
    ]


KILLS = """
from functools import partial
generate = partial(generate, form="{form}")
began = time.perf_counter()
generate(out / "timed")
span = time.perf_counter() - began
random.seed(int(sys.argv[1].rsplit("-", 1)[-1]))
kept = []
for trial in range({trials}):
    folder = out / f"trial-{{trial}}"
    child = forked(lambda: generate(folder))
    time.sleep(random.uniform(0.0, 1.1 * span))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    there = (folder / "manifest.json").exists()
    recorded = set(read_manifest(folder).shards) if there else set()
    made = []
    generate(folder, on_shard=lambda record: made.append(record.first))
    assert sorted([*recorded, *made]) == list(range(12)), (recorded, made)
    kept.append(len(recorded))
print("KEPT", *kept)
"""


@pytest.mark.parametrize("form", ["netcdf", "zarr"])
@pytest.mark.parametrize("trials", [3, pytest.param(40, marks=pytest.mark.slow)])
def test_killed_at_any_moment_a_run_is_completed_to_the_same_bytes(tmp_path, trials, form):
    if form == "zarr":
        pytest.importorskip("zarr")
    out = tmp_path / f"seed-{trials}"
    out.mkdir()
    said = driven(KILLS.format(trials=trials, form=form), out)
    assert len(said.split("KEPT")[1].split()) == trials
    generate_into(tmp_path / "whole", *small(), form=form)
    for trial in range(trials):
        assert sums(out / f"trial-{trial}") == sums(tmp_path / "whole") and only_ours(out / f"trial-{trial}")


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_the_command_killed_at_any_moment_leaves_no_process_and_is_completed(tmp_path, undisturbed, jobs):
    script = f"""
import subprocess
words = "generate wave -n 12 --nx 17 --nt 5 --shard-size 1 --jobs {jobs}".split()
command = [sys.executable, "-P", "-c", "from lawbound.cli import main; main()", *words]

def children(parent):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        if int(text.rpartition(")")[2].split()[1]) == parent:
            found.append(int(stat.parent.name))
    return found

def alive(process):
    try:
        return Path(f"/proc/{{process}}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
random.seed({jobs})
kept = []
for trial in range(10):
    folder = out / f"trial-{{trial}}"
    running = subprocess.Popen([*command, "-o", str(folder)], **quiet)
    shards = random.randrange(12)
    while running.poll() is None and len(list(folder.glob("*.nc"))) < shards:
        time.sleep(0.001)
    time.sleep(random.uniform(0.0, 0.05))
    workers = children(running.pid)
    running.kill()
    running.wait()
    until = time.monotonic() + 60
    while any(map(alive, workers)):
        assert time.monotonic() < until, "a worker outlived its parent"
        time.sleep(0.05)
    kept.append(len(read_manifest(folder).shards) if (folder / "manifest.json").exists() else 0)
    subprocess.run([*command, "-o", str(folder)], check=True, **quiet)
print("KEPT", *kept)
"""
    driven(script, tmp_path)
    for trial in range(10):
        assert sums(tmp_path / f"trial-{trial}") == undisturbed and only_ours(tmp_path / f"trial-{trial}")


def test_a_full_disk_is_said_with_file_and_remedy_and_nothing_is_lost(tmp_path, undisturbed):
    script = """
generate(out / "whole")
size = max(path.stat().st_size for path in (out / "whole").glob("*.nc"))
for number, share in enumerate((0.0, 0.3, 0.8, 0.95, 0.999)):
    folder = out / f"full-{number}"
    generate(folder, only=lambda shard: shard < 2)
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * size), resource.RLIM_INFINITY))
        generate(folder)
        print("FINISHED")
    os.waitpid(forked(limited), 0)
    assert not list(folder.glob(".*.tmp")), list(folder.iterdir())
    kept = read_manifest(folder).shards
    assert {0, 1} <= set(kept), kept
    generate(folder)
"""
    said = driven(script, tmp_path)
    assert "FINISHED" not in said and said.count("SAID") == 5
    assert said.count("could not be written") == said.count("free space there") == 5
    for number in range(5):
        assert sums(tmp_path / f"full-{number}") == undisturbed


def test_a_full_file_system_is_survived(tmp_path, undisturbed):
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=192k", "none", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("may not mount a file system")
    try:
        said = driven("os.waitpid(forked(lambda: generate(out / 'd')), 0)", place)
        assert "could not be written" in said and "run the same command again" in said
        kept = read_manifest(place / "d").shards
        assert 0 < len(kept) < 12 and not list((place / "d").glob(".*.tmp"))
        subprocess.run(["mount", "-o", "remount,size=8m", str(place)], check=True)
        generate_into(place / "d", *small())
        assert sums(place / "d") == undisturbed and only_ours(place / "d")
    finally:
        subprocess.run(["umount", str(place)], check=True)


def spoil(path, how):
    whole = path.read_bytes()
    if how == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    else:
        place = int(how * (len(whole) - 1))
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])


@pytest.mark.parametrize("how", ["truncated", "empty", 0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("when", ["at once", "when read"])
def test_a_shard_with_one_flipped_bit_or_cut_short_is_refused_and_made_again(
    tmp_path, whole, how, when, monkeypatch
):
    out = tmp_path / "d"
    shutil.copytree(whole, out)
    spoil(out / "shard-0007-of-0012.nc", how)
    monkeypatch.setattr(store, "VERIFY_UP_TO", 0 if when == "when read" else 1 << 20)
    with pytest.raises(
        ValueError, match=r"shard-0007-of-0012\.nc is not the file.*delete it and run the same"
    ):
        lb.open(out, lazy=True).load()
    if when == "when read" and isinstance(how, float):
        assert lb.open(out, lazy=True).isel(sample=slice(7)).load().sizes["sample"] == 7
    assert not lb.check(out).ok
    generate_into(out, *small())
    assert sums(out) == sums(whole)
    assert lb.open(out).identical(lb.open(whole))


def test_two_writers_at_once_make_one_whole_dataset(tmp_path, undisturbed):
    said = driven(
        """
for folder in (out / "both", out / "one-killed"):
    writers = [forked(lambda: generate(folder)) for _ in range(2)]
    if folder.name == "one-killed":
        time.sleep(0.1)
        os.kill(writers[0], signal.SIGKILL)
    for writer in writers:
        os.waitpid(writer, 0)
generate(out / "one-killed")
""",
        tmp_path,
    )
    assert "SAID" not in said
    for name in ("both", "one-killed"):
        assert sums(tmp_path / name) == undisturbed and only_ours(tmp_path / name)


def test_a_folder_that_may_not_be_written_is_said_and_can_be_read():
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        generate_into(place / "whole", *small())
        generate_into(place / "part", *small(), only=lambda shard: shard < 3)
        for folder in (place, place / "whole", place / "part"):
            folder.chmod(0o555)
        said = driven(
            """
import tempfile
import lawbound as lb
with tempfile.TemporaryDirectory() as warm:  # what is imported late may lie where nobody may read
    generate(Path(warm) / "d")
    lb.open(Path(warm) / "d")
def nobody():
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    for name in ("new", "part"):
        try:
            generate(out / name)
        except OSError as error:
            print("SAID", error)
    print("COMPLETE", generate(out / "whole").complete, lb.open(out / "whole").sizes["sample"])
os.waitpid(forked(nobody), 0)
""",
            place,
        )
        for folder in (place, place / "whole", place / "part"):
            folder.chmod(0o755)
        assert said.count("could not be written") == said.count("make the folder writable") == 2
        assert (
            f"{place / 'new'} could" in said and f"{place / 'part'}/" in said and "COMPLETE True 12" in said
        )


def test_foreign_files_in_a_dataset_are_neither_read_nor_touched(tmp_path, undisturbed):
    generate_into(tmp_path, *small(), only=lambda shard: shard < 6)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "shard-0099-of-0012.nc").write_bytes(b"foreign")
    generate_into(tmp_path, *small())
    assert lb.open(tmp_path).sizes["sample"] == 12 and lb.check(tmp_path).ok
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert {name: value for name, value in sums(tmp_path).items() if "0099" not in name} == undisturbed


def test_a_folder_begun_by_another_version_is_not_finished_by_this_one(tmp_path):
    generate_into(tmp_path, *small(), only=lambda shard: shard < 6)
    text = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**text, "lawbound": "9.9.9"}))
    with pytest.raises(ValueError, match=r"begun by lawbound 9\.9\.9.*6 shards are missing.*new folder"):
        generate_into(tmp_path, *small())
    for change in ({"lawbound_schema": "9"}, {"from_the_future": 1}):
        (tmp_path / "manifest.json").write_text(json.dumps({**text, **change}))
        for use in (lb.open, lb.check, lambda folder: generate_into(folder, *small())):
            with pytest.raises(ValueError, match=r"follows schema 9|manifest\.json is damaged or of another"):
                use(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps(text))
    assert generate_into(tmp_path, *small()).complete


def test_a_line_of_a_journal_cut_short_counts_as_not_made(tmp_path, undisturbed):
    generate_into(tmp_path, *small())
    text = json.loads((tmp_path / "manifest.json").read_text())
    lines = [json.dumps({"shard": int(i), "record": record}) for i, record in text["shards"].items()]
    (tmp_path / "manifest.json").write_text(json.dumps({**text, "shards": {}}))
    (tmp_path / "journal-elsewhere-1-0.jsonl").write_text("\n".join(lines)[:-40])
    assert sorted(read_manifest(tmp_path).shards) == list(range(11))
    with pytest.raises(ValueError, match="11 of 12 shards"):
        lb.open(tmp_path)
    made = []
    generate_into(tmp_path, *small(), on_shard=lambda record: made.append(record.first))
    assert made == [11] and sums(tmp_path) == undisturbed
    np.testing.assert_array_equal(lb.open(tmp_path)["sample"], np.arange(12))


def test_what_a_process_left_that_nobody_has_buried_is_swept_away(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    stat = Path(f"/proc/{child.pid}/stat")
    if not stat.exists():
        pytest.skip("the system does not tell the state of processes")
    while stat.read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    left = tmp_path / f".shard-0000-of-0001.nc-{socket.gethostname()}-{child.pid}-1.tmp"
    at_work = tmp_path / f".shard-0001-of-0002.nc-{socket.gethostname()}-{os.getpid()}-1.tmp"
    for file in (left, at_work):
        file.write_bytes(b"half")
    sweep(tmp_path)
    child.wait()
    assert not left.exists() and at_work.exists()
