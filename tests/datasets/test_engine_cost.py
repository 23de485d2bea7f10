"""What a run says before it starts and while it goes on."""

import dataclasses

import pytest
from rich.progress import Progress

from lawbound.cli import run
from lawbound.datasets.config import LOOKED_AT, configure
from lawbound.datasets.estimate import estimate
from lawbound.datasets.family import Values
from lawbound.datasets.split import place
from lawbound.solvers import SolverError
from lawbound.terminal import _Rate, free_space


def test_a_dry_run_says_time_and_disk_and_writes_nothing(tmp_path, capsys):
    words = ["generate", "wave", "-n", "1000", "--nx", "33", "--nt", "9", "--jobs", "2", "--dry-run"]
    assert run([*words, "-o", str(tmp_path / "d")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for word in (
        "1000 samples of wave",
        "ms/sample",
        "with --jobs 2",
        "MB on disk",
        "MB free",
        "Nothing was written",
    ):
        assert word in said
    assert list(tmp_path.iterdir()) == []


def test_an_estimate_is_about_what_generation_writes(tmp_path):
    from lawbound.datasets.generate import generate_into

    family, config = configure("wave", 64, shard_size=16)
    cost = estimate(family, config)
    generate_into(tmp_path / "d", family, config)
    written = sum(path.stat().st_size for path in (tmp_path / "d").glob("*.nc"))
    assert 0.5 < cost.disk * 64 / written < 2.0 and cost.looked_at == 8
    assert cost.total(100, 1) == 100 * cost.seconds and cost.total(100, 4) == 25 * cost.core_seconds


def test_an_estimate_of_what_cannot_be_solved_says_so():
    class Never:
        name = "never"

        def solve_batch(self, problems):
            raise SolverError("too stiff")

    family, config = configure("wave", 8, nx=17, nt=5)
    with pytest.raises(SolverError, match="could not be solved"):
        estimate(dataclasses.replace(family, solver=Never()), config)


def test_arguments_that_contradict_each_other_are_refused(tmp_path, capsys):
    words = ["generate", "wave", "-n", "4", "-o", str(tmp_path / "d")]
    assert run([*words, "--jobs", "2", "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "give one of them" in " ".join(capsys.readouterr().err.split())
    assert run([*words, "--shard-size", "0"]) == 2
    assert not (tmp_path / "d").exists()


def test_the_bar_has_a_rate_once_it_is_known():
    with Progress(_Rate(), disable=True) as bar:
        task = bar.add_task("solving", total=10)
        assert _Rate().render(bar.tasks[0]).plain == ""
        bar.tasks[0].finished_speed = 12.345
        assert _Rate().render(bar.tasks[task]).plain == "12.3/s"


def test_free_space_is_known_of_a_folder_that_is_not_there_yet(tmp_path):
    assert free_space(tmp_path / "a" / "b") > 0


@pytest.mark.parametrize("samples", [1, 9, 10, 37, 1000])
def test_every_sample_has_one_place_in_a_split_however_many_there_are(samples):
    places = [place(i, samples, None) for i in range(samples)]
    for split in ("train", "valid", "test"):
        assert [i for name, i in places if name == split] == list(range(sum(n == split for n, _ in places)))
    with pytest.raises(IndexError):
        place(samples, samples, None)


def test_a_design_too_large_to_be_looked_at_whole_is_looked_at_from_end_to_end():
    family, _ = configure("wave", 8, nx=17, nt=5)
    built = []

    def build(draw, grid, times):
        built.append(draw["c"])
        return family.build(draw, grid, times)

    splits = {**family.splits, "train": {"c": Values(tuple(1.0 + i * 1e-6 for i in range(10_000)))}}
    configure(dataclasses.replace(family, build=build, splits=splits), 10_000, split="train")
    assert len(built) == LOOKED_AT and built[0] == 1.0 and built[-1] == 1.0 + 9_999e-6
