"""Retrained tables at toy size: made, gone on with, refused, and the published figures beside ours."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from lawbound import cli, workfolder
from lawbound import reproduce as tables
from lawbound.diverseno_recipes import concluded
from lawbound.evidence import Comparison, Row
from lawbound.known_values import beside, without_row
from lawbound.published import published
from lawbound.table import print_comparison

TABLE = "probconserv/diffusion"


def toy(recipe):
    """The same recipe with next to nothing to do."""

    def studies(quick):
        return tuple(
            replace(
                study,
                train=replace(study.train, samples=8 if quick else 9),
                valid=replace(study.valid, samples=3),
                test=tuple(replace(part, samples=4) for part in study.test),
                learners={
                    name: replace(learner, epochs=3, width=8, draws=4)
                    for name, learner in study.learners.items()
                },
                nx=24,
                nt=11,
                judged_times=2,
            )
            for study in recipe.studies(True)
        )

    return replace(recipe, studies=studies)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(tables, "RECIPES", {name: toy(recipe) for name, recipe in tables.RECIPES.items()})
    monkeypatch.setattr("lawbound.report._figures", lambda comparison, case: [])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder that somebody finished, which no test writes to."""
    folder = tmp_path_factory.mktemp("made") / "table"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "RECIPES", {TABLE: toy(tables.RECIPES[TABLE])})
        patch.setattr("lawbound.report._figures", lambda comparison, case: [])
        return folder, tables.reproduce(TABLE, quick=True, out=folder, device="cpu")


def weights(folder):
    return load_file(folder / "diffusion" / "runs" / "anp" / "model.safetensors")


def test_a_table_is_made_from_nothing_with_published_figures_beside_ours(made):
    folder, result = made
    ((name, comparison),) = result.parts
    assert (name, comparison.table) == ("diffusion", TABLE)
    assert comparison.methods[:4] == ("solver", "anp", "hardc", "probconserv")
    rows = {(row.method, row.case, row.metric): row for row in comparison.rows}
    row = rows["probconserv", "k=1", "mse"]
    assert row.published == 1.55e-4 and "Table 1" in row.source and row.value > 0.0
    assert rows["anp", "k=5", "mse"].published is None
    assert all(abs(rows[method, "k=1", "ce"].value) < 1e-12 for method in ("hardc", "probconserv", "auto"))
    assert "softc at k=1: ce 0.00347, ll 2.4, mse 0.000224 (Hansen" in comparison.notes[-2]
    assert "of other set-ups: figure, t=0: anp, softc;" in comparison.notes[-1]
    assert {path.name for path in folder.iterdir()} == {
        *("diffusion", "report.csv", "report.html", "report.json", "table.json"),
    }


def test_a_quick_table_says_so_wherever_it_is_read(made, capsys):
    folder, result = made
    said = json.loads((folder / "report.json").read_text())
    assert said["quick"] is True and "10 000" in said["reduced"]
    page = (folder / "report.html").read_text()
    assert f"<h1>lawbound: {TABLE} (quick)</h1>" in page and "Quick version, not the full table" in page
    print_comparison(Console(width=200), result.parts[0][1])
    assert f"{TABLE} · QUICK, not the full table" in capsys.readouterr().out
    full = replace(result.parts[0][1], reduced="")
    print_comparison(Console(width=200), full)
    assert "QUICK" not in capsys.readouterr().out and full.to_json()["quick"] is False


def test_a_second_call_solves_and_trains_nothing_and_says_the_same(made, monkeypatch):
    folder, first = made

    def never(*arguments, **options):
        raise AssertionError("done again")

    monkeypatch.setattr("lawbound.datasets.generate.solve_shard", never)
    monkeypatch.setattr("lawbound.surrogates.neural_process.AttentiveNeuralProcess.fit", never)
    second = tables.reproduce(TABLE, quick=True, out=folder, device="cpu")
    assert [row for row in second.parts[0][1].rows] == [row for row in first.parts[0][1].rows]


def test_an_interrupted_training_goes_on_to_the_same_weights(made, tmp_path, monkeypatch, capsys):
    out = tmp_path / "table"
    words = ["reproduce", TABLE, "--quick", "-o", str(out), "--device", "cpu"]

    def stopping(title):
        def advance(done, total):
            if "training" in title and done == 2:
                raise KeyboardInterrupt

        return advance

    class Steps:
        def __enter__(self):
            return stopping

        def __exit__(self, *error):
            return None

    with monkeypatch.context() as patch:
        patch.setattr("lawbound.model_commands.steps", Steps)
        assert cli.run(words) == 130
    told = " ".join(capsys.readouterr().err.split())
    assert (
        f"the same command goes on: lawbound reproduce {TABLE} --quick -o" in told and "--device cpu" in told
    )
    run = out / "diffusion" / "runs" / "anp"
    assert (run / "train_state.pt").exists() and not (run / "config.json").exists()
    assert cli.run(words) == 0
    lines = [json.loads(line)["epoch"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert lines == [1, 2, 3]
    once, twice = weights(made[0]), weights(out)
    assert all(torch.equal(once[name], twice[name]) for name in once)


@pytest.mark.parametrize("wrong", ["table", "lawbound", "quick", "foreign", "damaged", "file"])
def test_a_folder_with_anything_else_is_refused_before_any_work(wrong, made, tmp_path, capsys):
    out = tmp_path / "table"
    mark = json.loads((made[0] / "table.json").read_text())
    words = ["reproduce", TABLE, "--quick", "-o", str(out)]
    if wrong == "file":
        out.write_text("mine")
    else:
        out.mkdir()
        text = {
            "table": json.dumps(mark | {"table": "probconserv/pme"}),
            "lawbound": json.dumps(mark | {"lawbound": "0.0.1"}),
            "damaged": "{",
        }.get(wrong, json.dumps(mark))
        (out / ("notes.txt" if wrong == "foreign" else "table.json")).write_text(text)
        words = [word for word in words if wrong != "quick" or word != "--quick"]
    before = sorted(tmp_path.rglob("*"))
    assert cli.run(words) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "(-o)" in told
    needed = {
        "table": "holds work on `probconserv/pme`", "lawbound": "begun by lawbound 0.0.1", "quick": "quick=True there, False asked for",
        "foreign": "holds files and no table.json", "damaged": "is damaged", "file": "is a file",
    }  # fmt: skip
    assert needed[wrong] in told
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_absent_is_refused_at_the_door(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.run(["reproduce", TABLE, "--quick", "--device", "cuda"]) == 2
    assert "finds no CUDA device here; give cpu" in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


def test_a_claimed_folder_is_ours_and_of_nobody_else(tmp_path):
    workfolder.claim(tmp_path / "a", "one", {"epochs": 3})
    workfolder.claim(tmp_path / "a", "one", {"epochs": 3})
    with pytest.raises(ValueError, match="epochs=3 there, 4 asked for"):
        workfolder.claim(tmp_path / "a", "one", {"epochs": 4})


def test_full_recipes_are_the_papers_and_quick_ones_smaller():
    from lawbound.probconserv_recipes import RECIPES as recipes

    for recipe in recipes:
        for full, quick in zip(recipe.studies(False), recipe.studies(True), strict=True):
            assert (full.train.samples, full.valid.samples, full.learners["anp"].epochs) == (10_000, 100, 500)
            assert full.test[0].samples in (100, 150) and full.learners["anp"].dropout_at_prediction
            assert quick.train.samples < full.train.samples and quick.described() != full.described()
            json.dumps([full.described(), quick.described()])
        assert published(recipe.table) is not None and recipe.reduced


def test_published_figures_stand_beside_the_rows_that_they_are_of_and_the_others_are_told():
    rows = (Row("anp", "k=1", "mse", 2.0, None), Row("anp", "k=1", "ll", 1.0, None))
    bare = Comparison("t", rows, (), (), {}, np.zeros(1), np.zeros(1), 0.0, "")
    figures = {("anp", "k=1", "mse"): (1.5, "a paper"), ("softc", "k=1", "mse"): (3.0, "another")}
    shown = beside(bare, figures)
    assert [row.published for row in shown.rows] == [1.5, None] and shown.rows[0].source == "a paper"
    (told,) = without_row([shown], figures)
    assert told.endswith("without a row here: softc at k=1: mse 3 (another)")
    assert without_row([shown], {("anp", "k=1", "mse"): (1.5, "a paper")}) == ()
    many = {(f"m{i}", "all", "mse"): (1.0, "p") for i in range(9)}
    assert without_row([shown], many)[0].endswith("set-ups: all: " + ", ".join(f"m{i}" for i in range(9)))
    few = {("m0", "all", "mse"): (1.0, "p")}
    assert without_row([shown], few) == ("published, of other set-ups: m0 at all: mse 1 (p)",)


def test_diverse_heads_are_set_against_each_cheap_way_on_each_shifted_range():
    def row(method, shift, metric, value):
        return Row(method, shift, metric, value, None)

    rows = [row("diverse-fno", "shift-small", "n_merci", 0.1), row("fno-nll", "shift-small", "n_merci", 0.4)]
    rows += [
        row("fno-dropout", "shift-small", "n_merci", 0.05),
        row("diverse-fno", "shift-small", "mse", 2.0),
    ]
    rows += [row("diverse-fno+probconserv", "shift-small", "mse", 1.5)]
    bare = Comparison("t", tuple(rows), (), (), {}, np.zeros(1), np.zeros(1), 0.0, "")
    (told,) = concluded([("pme", bare)])
    assert "0.5 to 4, median 2.2, above 1 in 1 of 2" in told and "-25 % to -25 %" in told
