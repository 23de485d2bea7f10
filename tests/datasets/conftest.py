"""What the tests of files share."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lawbound.datasets.generate import configure, generate_into
from lawbound.datasets.labels import Axis, Boundary, labelled
from lawbound.datasets.split import split_variable


@pytest.fixture
def strict_cf_verdict():
    """What the CF checker says of a file."""
    return _strict_cf_verdict


def _strict_cf_verdict(path):
    program = Path(sys.executable).with_name("compliance-checker")
    # The checker is a script that imports its neighbour, which a safe path forbids.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    done = subprocess.run(
        [program, "-t", "cf:1.11", "-c", "strict", path],
        capture_output=True, text=True, check=False, timeout=120, env=environment,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.fixture(scope="session")
def flow():
    """A velocity, pressure, vorticity and streamfunction on uneven points of a square, with a lid that varies along x."""
    axes = {
        name: Axis(points, np.gradient(points), None)
        for name, points in (
            ("y", np.array([0.0, 0.1, 0.5, 0.9, 1.0])),
            ("x", np.array([0.0, 0.2, 0.8, 1.0])),
        )
    }
    random = np.random.default_rng(0)
    fields = {
        name: random.normal(size=(6, 3, 5, 4)) for name in ("u", "v", "p", "vorticity", "streamfunction")
    }
    still = np.zeros((6, 3, 5))
    data = labelled(
        fields,
        times=np.array([0.0, 0.1, 0.3]),
        axes=axes,
        boundaries=[
            Boundary("u", "y_hi", "no-slip", random.normal(size=(6, 3, 4)), "x"),
            Boundary("v", "x_lo", "no-slip", still, "y"),
        ],
        laws={},
        attributes={"title": "flow", "lawbound_problem": "flow", "references": "none", "comment": "none"},
        config={},
        dtype=np.float32,
        source="test",
    )
    data["reynolds"] = ("sample", np.arange(6.0), {"long_name": "Re", "lawbound_role": "parameter"})
    data["split"] = split_variable(
        ["test", "train", "train", "valid", "train", "shift"], ("train", "valid", "test")
    )
    return data


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    """A folder of 20 samples in five shards: 16 train, 2 valid, 2 test."""
    folder = tmp_path_factory.mktemp("shards") / "stefan"
    generate_into(folder, *configure("stefan", 20, nx=12, nt=5, shard_size=4))
    return folder
