"""Samples that cannot be solved: recorded, left out, tried again, and in nobody's way."""

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import lawbound as lb
from lawbound.cli import run
from lawbound.datasets.check import check
from lawbound.datasets.families_vibrations import WAVE
from lawbound.datasets.generate import configure, generate_into
from lawbound.datasets.store import MissingSamples, read_manifest
from lawbound.solvers import SolverError


@dataclasses.dataclass(frozen=True)
class Breaks:
    """A solver that breaks down where the speed is above a bound."""

    bound: float
    error: type[Exception] = SolverError
    name: str = WAVE.solver.name

    def solve_batch(self, problems):
        for problem in problems:
            if problem.equation.c > self.bound:
                raise self.error(f"the speed {problem.equation.c:.3f} is too much; take a smaller one")
        return WAVE.solver.solve_batch(problems)


def breaking(bound, samples=12, error=SolverError, **changes):
    family = dataclasses.replace(WAVE, solver=Breaks(bound, error))
    return configure(family, samples, **{"nx": 17, "nt": 5, "shard_size": 4, "split": "train", **changes})


def whole(samples=12):
    return lb.generate(WAVE, samples, nx=17, nt=5, shard_size=4, split="train")


def files(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.nc")}


@pytest.fixture
def bound():
    """A speed that five of the twelve samples exceed, though no shard of four loses all."""
    speeds = np.sort(whole()["c"].values)
    return float(speeds[-6:-4].mean())


@pytest.mark.parametrize("error", [SolverError, ValueError, FloatingPointError])
def test_a_failing_sample_is_recorded_and_all_others_are_kept(tmp_path, bound, error):
    manifest = generate_into(tmp_path / "d", *breaking(bound, error=error))
    every = whole()
    wrong = np.flatnonzero(every["c"].values > bound)
    assert manifest.complete and [one.sample for one in manifest.failed] == wrong.tolist()
    for one in manifest.failed:
        assert one.seed == every["seed"][one.sample] and one.parameters == {"c": every["c"][one.sample]}
        assert one.error == error.__name__ and "take a smaller one" in one.message and one.split == "train"
    with pytest.warns(MissingSamples, match="lacks 5 of 12"):
        data = lb.open(tmp_path / "d")
    right = every.isel(sample=np.flatnonzero(every["c"].values <= bound))
    np.testing.assert_array_equal(data["sample"], right["sample"])
    for name in right.variables:
        np.testing.assert_array_equal(data[name], right[name])
    report = check(tmp_path / "d")
    assert report.ok and "5 samples could not be solved" in " ".join(f.detail for f in report.findings)


def test_shards_with_failures_are_the_same_bytes_whoever_solves_them(tmp_path, bound):
    generate_into(tmp_path / "alone", *breaking(bound))
    with ThreadPoolExecutor(2) as pool:
        generate_into(tmp_path / "threads", *breaking(bound), executor=pool)
    assert files(tmp_path / "alone") == files(tmp_path / "threads")
    records = [read_manifest(tmp_path / name).failed for name in ("alone", "threads")]
    assert records[0] == records[1]


def test_a_rerun_tries_failed_samples_again_and_touches_nothing_else(tmp_path, bound):
    out = tmp_path / "d"
    manifest = generate_into(out, *breaking(bound))
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.nc")}
    made = []
    generate_into(out, *breaking(bound), on_shard=lambda record: made.append(record.file))
    assert made == [record.file for record in manifest.shards.values() if record.failed]
    assert before == {path.name: path.stat().st_mtime_ns for path in out.glob("*.nc")}
    # The cause is gone: the folder becomes what it would have been without it.
    assert generate_into(out, *breaking(np.inf)).failed == []
    generate_into(tmp_path / "whole", *breaking(np.inf))
    assert files(out) == files(tmp_path / "whole")


def test_a_shard_without_any_solved_sample_has_no_file(tmp_path):
    speeds = whole()["c"].values
    bound = float(np.sort(speeds)[0])
    manifest = generate_into(tmp_path, *breaking(bound, shard_size=1))
    assert manifest.complete and len(manifest.failed) == 11 and len(list(tmp_path.glob("*.nc"))) == 1
    with pytest.warns(MissingSamples):
        assert lb.open(tmp_path)["sample"].values.tolist() == [int(speeds.argmin())]
    assert check(tmp_path).ok


def test_a_design_of_which_no_sample_can_be_solved_says_so_and_leaves_nothing(tmp_path):
    with pytest.raises(SolverError, match="12 of 12 samples could not be solved"):
        generate_into(tmp_path / "d", *breaking(0.0))
    assert not (tmp_path / "d").exists()


def test_the_command_lists_what_failed_and_its_exit_status_says_so(tmp_path, bound, monkeypatch, capsys):
    from lawbound.datasets import config

    monkeypatch.setattr(config, "find", lambda group, name: dataclasses.replace(WAVE, solver=Breaks(bound)))
    words = ["generate", "wave", "-n", "12", "--split", "train", "--nx", "17", "--nt", "5"]
    assert run([*words, "--shard-size", "4", "-o", str(tmp_path / "d")]) == 1
    said = capsys.readouterr()
    text = " ".join(said.err.split())
    assert "5 of 12 samples could not be solved" in text and "The same command tries them again" in text
    assert text.count("SolverError: the speed") == 5 and "complete but for 5 samples" in said.out
    listed = json.loads((tmp_path / "d" / "manifest.json").read_text())["shards"]
    assert sum(len(shard["failed"]) for shard in listed.values()) == 5
    assert run([*words, "--shard-size", "4", "-o", str(tmp_path / "d")]) == 1
    monkeypatch.undo()
    assert run([*words, "--shard-size", "4", "-o", str(tmp_path / "d")]) == 0


def test_in_memory_a_failing_sample_is_an_error_that_names_it(bound):
    family, _ = breaking(bound)
    with pytest.raises(SolverError, match=r"5 of 12 samples .*\n.*sample \d+ \(train, seed \d+, c="):
        lb.generate(family, 12, split="train", nx=17, nt=5)
