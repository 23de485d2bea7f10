"""What a person who waits for the compiler is told, and when not."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from lawbound.solvers import compiled
from lawbound.solvers.compiled import over_samples


class Terminal:
    """A standard error that somebody reads, or not."""

    def __init__(self, reads):
        self.reads, self.said = reads, []

    def isatty(self):
        return self.reads

    def write(self, text):
        self.said.append(text)


class Impatient:
    """A timer whose time is over at once."""

    def __init__(self, interval, function, args=()):
        self.function, self.args = function, args

    def start(self):
        self.function(*self.args)

    def cancel(self):
        pass


def twice(x):
    return 2 * x


def all_twice(first, last, values):
    for i in range(first, last):
        values[i] = 2 * values[i]


def in_two_parts():
    """A kernel that calls a function, whose compilation is no second event for the person who waits."""
    inner = compiled.compiled(twice)

    def fill(first, last, values):
        for i in range(first, last):
            values[i] = inner(values[i])

    return compiled.compiled(fill)


@pytest.fixture
def empty_disk(monkeypatch, tmp_path):
    monkeypatch.setattr(compiled, "Timer", Impatient)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))


@pytest.mark.usefixtures("empty_disk")
def test_who_waits_for_the_compiler_is_told_once_for_each_kind_of_arguments(monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal(True))
    kernel = in_two_parts()
    for values, told in (([1.0, 2.0], 1), ([3.0, 4.0], 1), ([1, 2], 2), ([5, 6], 2)):
        array = np.array(values)
        over_samples(kernel, 2, array)
        assert array.tolist() == [2 * value for value in values]
        assert len(terminal.said) == told
    assert "the machine code is kept" in terminal.said[0]


@pytest.mark.usefixtures("empty_disk")
def test_nobody_is_told_of_code_on_disk_or_of_other_people_s_or_where_nobody_reads(monkeypatch):
    monkeypatch.setattr(sys, "stderr", unread := Terminal(False))
    over_samples(compiled.compiled(all_twice), 2, np.zeros(2))
    monkeypatch.setattr(sys, "stderr", read := Terminal(True))
    again = compiled.compiled(all_twice)
    over_samples(again, 2, np.zeros(2))
    assert sum(again.stats.cache_hits.values()) == 1
    assert numba.njit(twice)(1.0) == 2.0
    assert unread.said == read.said == []


def test_importing_solvers_leaves_the_threads_of_others_alone():
    code = "import torch; n = torch.get_num_threads(); import lawbound.solvers; assert torch.get_num_threads() == n == 1"
    subprocess.run([sys.executable, "-P", "-c", code], check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
