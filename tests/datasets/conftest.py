"""What the tests of files share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


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
