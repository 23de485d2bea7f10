"""Two processes that share every batch take the steps that one takes with all of it, up to rounding."""

import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

import lawbound as lb
from lawbound.datasets.store import write
from lawbound.surrogates import distributed

# 16 training samples in batches of 5: the last batch has one sample, and one of the processes nothing to do.
SHARED = {"epochs": 3, "batch": 5, "validate_every": 1, "modes": 3, "width": 4, "blocks": 2}
RUNS = {
    "fno-bc": {**SHARED, "clip_norm": 0.1},
    "ensemble": {**SHARED, "size": 2},
    "diverse-fno": {**SHARED, "heads": 3, "warm_up": 1},
    "anp": {"epochs": 2, "width": 8, "heads": 2, "batch": 4, "draws": 2, "dropout": 0.0, "validate_every": 1},
}
SCRIPT = """
import sys
from pathlib import Path
import torch
import lawbound as lb
from lawbound.surrogates.distributed import rank

torch.set_num_threads(1)
seen = []
for name, options in {runs!r}.items():
    lb.fit(
        name, lb.open({data!r}), seed=2, folder=Path({out!r}) / name, options=options, unchecked=True,
        on_progress=seen.append, resume={resume!r},
    )
print(rank(), len(seen))
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("ddp") / "data.nc"
    write(lb.generate("burgers-random", 20, nx=16, nt=11, seed=1), path)
    return path


def together(script):
    done = subprocess.run(
        [sys.executable, "-P", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return sorted(line for line in done.stdout.splitlines() if line[:2] in ("0 ", "1 "))


def test_two_processes_are_one(data, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(runs=RUNS, data=str(data), out=str(tmp_path / "two"), resume=False))
    # Progress is reported by the first process alone.
    assert together(script) == ["0 11", "1 0"]
    for name, options in RUNS.items():
        lb.fit(name, lb.open(data), seed=2, folder=tmp_path / "one" / name, options=options, unchecked=True)
        one, two = (load_file(tmp_path / which / name / "model.safetensors") for which in ("one", "two"))
        assert one.keys() == two.keys()
        for key, tensor in one.items():
            torch.testing.assert_close(two[key], tensor, rtol=2e-3, atol=1e-4, msg=f"{name}: {key}")
        logs = [(tmp_path / which / name / "log.jsonl").read_text().count("\n") for which in ("one", "two")]
        assert logs[0] == logs[1]
    # What two began one may go on with.
    again = lb.fit(
        "diverse-fno", lb.open(data), seed=2, folder=tmp_path / "two" / "diverse-fno", resume=True, unchecked=True,
        options=RUNS["diverse-fno"],
    )  # fmt: skip
    assert all(
        torch.equal(tensor, load_file(tmp_path / "two/diverse-fno/model.safetensors")[key])
        for key, tensor in again.tensors().items()
    )


def test_alone_there_is_one_process_and_nothing_to_add():
    assert (distributed.world(), distributed.rank()) == (1, 0)
    values = torch.ones(3)
    distributed.add_up([values])
    assert torch.equal(values, torch.ones(3))


def test_shares_cover_a_batch_once(monkeypatch):
    for world in (1, 2, 3, 7):
        monkeypatch.setattr(distributed, "world", lambda world=world: world)
        for count in (0, 1, 5, 20):
            taken = []
            for rank in range(world):
                monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
                taken += list(range(count))[distributed.share(count)]
            assert taken == list(range(count))
