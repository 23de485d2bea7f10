import json
import shutil

import numpy as np
import pytest

import lawbound as lb
from lawbound.cli import run
from lawbound.datasets import store


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A dataset and a Gaussian process trained on it, made by the commands themselves."""
    where = tmp_path_factory.mktemp("cli")
    assert (
        run(
            [
                "generate",
                "stefan",
                "-n",
                "40",
                "--nx",
                "40",
                "--nt",
                "21",
                "--seed",
                "3",
                "-o",
                str(where / "data"),
            ]
        )
        == 0
    )
    options = ["--option", "kernel=matern-3/2", "--option", "functions=4", "--option", "iterations=5"]
    assert run(["train", "gp", str(where / "data"), "-o", str(where / "gp"), *options]) == 0
    return where


def output(capsys, *arguments):
    capsys.readouterr()
    status = run([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def refused(capsys, status, message, *arguments):
    got, out, err = output(capsys, *arguments)
    text = " ".join(err.split())
    assert got == status, err
    assert message in text and "Traceback" not in err
    assert out == ""
    return err


@pytest.mark.parametrize("what", ["problems", "surrogates", "constraints", "tables", "pretrained"])
def test_lists_are_tables_for_people_and_json_for_programs(what, capsys):
    status, out, _ = output(capsys, "list", what, "--json")
    rows = json.loads(out)[what]
    assert status == 0 and rows
    status, out, _ = output(capsys, "list", what)
    assert status == 0 and all(row["name"].split("/")[-1][:6] in out for row in rows)


def test_a_generated_folder_passes_check_and_info_describes_it(folder, capsys):
    status, out, _ = output(capsys, "check", folder / "data", "--json")
    assert status == 0 and json.loads(out)["ok"]
    status, out, _ = output(capsys, "check", folder / "data")
    assert status == 0 and "all right" in out
    _, out, _ = output(capsys, "info", folder / "data", "--json")
    found = json.loads(out)
    assert found["problem"] == "stefan" and found["sizes"] == {"sample": 40, "t": 21, "x": 40}
    _, out, _ = output(capsys, "info", folder / "gp", "--json")
    assert json.loads(out)["surrogate"] == "gp"


def test_generate_again_keeps_what_is_there_and_jobs_do_not_change_it(folder, tmp_path, capsys):
    same = ["generate", "stefan", "-n", "40", "--nx", "40", "--nt", "21", "--seed", "3"]
    before = {p.name: p.stat().st_mtime_ns for p in (folder / "data").glob("*.nc")}
    assert output(capsys, *same, "-o", folder / "data")[0] == 0
    assert before == {p.name: p.stat().st_mtime_ns for p in (folder / "data").glob("*.nc")}
    assert output(capsys, *same, "-o", tmp_path / "two", "--jobs", "2")[0] == 0
    for name in before:
        assert (tmp_path / "two" / name).read_bytes() == (folder / "data" / name).read_bytes()


def test_export_says_what_was_written_and_what_the_layout_cannot_hold(folder, tmp_path, capsys):
    status, out, _ = output(capsys, "export", folder / "data", "--to", "npz", "-o", tmp_path / "d.npz")
    assert status == 0 and "40 samples" in out and "Nothing is lost" in out
    with np.load(tmp_path / "d.npz", allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["u"], lb.open(folder / "data").u)
    _, out, _ = output(capsys, "export", folder / "data", "--to", "npz", "-o", tmp_path / "e.npz", "--json")
    assert json.loads(out)["samples"] == 40 and json.loads(out)["notes"]
    refused(
        capsys,
        1,
        "exists; give a new name",
        "export",
        folder / "data",
        "--to",
        "npz",
        "-o",
        tmp_path / "d.npz",
    )
    refused(capsys, 2, "npz", "export", folder / "data", "--to", "matlab", "-o", tmp_path / "m")


def test_a_dry_run_writes_nothing(tmp_path, capsys):
    status, out, _ = output(capsys, "generate", "pme", "-n", "100", "-o", tmp_path / "d", "--dry-run")
    assert status == 0 and "100 samples" in out and not (tmp_path / "d").exists()


def test_spans_and_parameters_reach_the_data(tmp_path, capsys):
    arguments = [
        "--nx",
        "10",
        "--nt",
        "3",
        "--times",
        "0:0.02",
        "--param",
        "u_star=0.4:0.5",
        "--split",
        "train",
    ]
    assert output(capsys, "generate", "stefan", "-n", "4", "-o", tmp_path / "d", *arguments)[0] == 0
    data = lb.open(tmp_path / "d")
    assert float(data.t[-1]) == 0.02 and ((data.u_star >= 0.4) & (data.u_star <= 0.5)).all()


def test_job_array_shards_complete_a_dataset(tmp_path, capsys):
    same = ["generate", "stefan", "-n", "12", "--nx", "10", "--nt", "3", "-o", tmp_path / "d"]
    assert "of 3 shards" in output(capsys, *same, "--shard", "0/2")[1]
    assert "complete" in output(capsys, *same, "--shard", "1/2")[1]


def test_compare_writes_a_report_and_its_numbers_are_the_table_s(folder, tmp_path, capsys):
    report = tmp_path / "r" / "report.html"
    report.parent.mkdir()
    status, out, err = output(
        capsys, "compare", folder / "gp", "--data", folder / "data", "-o", report, "--times", "3", "--json"
    )
    assert status == 0, err
    printed, stored = json.loads(out), json.loads((tmp_path / "r" / "report.json").read_text())
    assert printed["rows"] == stored["rows"] and printed["rows"][0]["method"] == "solver"
    assert {row["method"] for row in printed["rows"]} == {"solver", "gp", "gp+hardc", "gp+probconserv"}
    lawful = [
        row
        for row in printed["rows"]
        if row["metric"] == "ce" and row["method"] in ("gp+hardc", "gp+probconserv")
    ]
    assert lawful and all(abs(row["value"]) <= 1e-12 for row in lawful)
    assert sorted(p.name for p in report.parent.iterdir()) == ["report.csv", "report.html", "report.json"]


def test_compare_prints_a_table_with_the_solver_first(folder, capsys):
    options = ["--data", folder / "data", "--times", "2", "--constraint", "conservation:condition"]
    status, out, _ = output(capsys, "compare", folder / "gp", *options)
    assert status == 0
    table = out[out.index("method") :]
    first = [line.split()[0] for line in table.splitlines() if line.strip().startswith(("solver", "gp"))]
    assert first[:3] == ["solver", "gp", "gp+probconserv"]


def test_predict_writes_means_and_spreads_that_pass_the_schema(folder, tmp_path, capsys):
    out = tmp_path / "pred.nc"
    assert output(capsys, "predict", folder / "gp", folder / "data", "-o", out, "--times", "3")[0] == 0
    data = lb.open(out)
    assert data.pred_u_mean.dims == ("sample", "t", "x") and (data.pred_u_std > 0).all()
    refused(capsys, 2, "exists; give a new file", "predict", folder / "gp", folder / "data", "-o", out)


def test_reproduce_prints_one_object_with_what_was_published(tmp_path, capsys):
    status, out, _ = output(capsys, "reproduce", "frozen/stefan", "--quick", "-o", tmp_path / "t", "--json")
    table = json.loads(out)
    assert status == 0 and table["table"] == "frozen/stefan"
    (row,) = [
        r
        for r in table["rows"]
        if (r["method"], r["case"], r["metric"]) == ("probconserv", "u_star=0.6", "mse")
    ]
    assert (
        row["value"] == pytest.approx(18.49e-4, rel=0.005) and row["published"] == 1.885e-3 and row["source"]
    )
    assert (tmp_path / "t" / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", "stefann", "-n", "3", "-o", "OUT"], "Did you mean stefan"),
        (["generate", "stefan", "-n", "-3", "-o", "OUT"], "at least 1"),
        (["generate", "stefan", "-n", "3", "-o", "OUT", "--jobs", "0"], "at least 1 process"),
        (["generate", "stefan", "-n", "3", "-o", "OUT", "--times", "0-1"], "--times 0-1 is not a span"),
        (["generate", "stefan", "-n", "3", "-o", "OUT", "--times", "0:2"], "front leave the domain"),
        (["generate", "stefan", "-n", "3", "-o", "OUT", "--param", "u_star"], "is not NAME=LOW:HIGH"),
        (["generate", "stefan", "-n", "3", "-o", "OUT", "--shard", "4/4"], "is not I/N"),
        (["generate", "stefan", "-n", "x", "-o", "OUT"], "Invalid value"),
        (["generate", "stefan", "-n", "3"], "parameter -o requires"),
        (["genrate", "stefan"], "generate"),
        (["list", "problem"], "problems"),
        (["reproduce", "frozen/stephan"], "frozen/stefan"),
        (["train", "anpp", "DATA", "-o", "OUT"], "Did you mean anp"),
        (["train", "gp", "DATA", "-o", "OUT", "--epochs", "3"], "`gp` has no option epochs"),
        (["train", "gp", "DATA", "-o", "OUT", "--option", "kernel"], "is not NAME=VALUE"),
        (
            ["train", "gp", "DATA", "-o", "OUT", "--option", "kernel=rbf + linear(x)"],
            "kernel='rbf + linear(x)': 'linear' is no kernel",
        ),
        (["compare", "GP", "--data", "DATA", "--constraint", "wish"], "is not among the constraints"),
        (["compare", "GP", "--data", "DATA", "--constraint", "conservation:wish"], "is not an enforcement"),
    ],
)
def test_wrong_arguments_exit_with_2_and_say_what_would_work(arguments, message, folder, tmp_path, capsys):
    where = {"OUT": tmp_path / "out", "DATA": folder / "data", "GP": folder / "gp"}
    refused(capsys, 2, message, *(where.get(argument, argument) for argument in arguments))
    assert not (tmp_path / "out").exists()


def test_failures_exit_with_1_in_one_paragraph_and_leave_nothing(folder, tmp_path, capsys):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("x")
    refused(capsys, 1, "not a dataset of ours", "generate", "stefan", "-n", 3, "-o", tmp_path / "thesis")
    refused(capsys, 1, "no run of ours", "train", "gp", folder / "data", "-o", tmp_path / "thesis")
    refused(capsys, 1, "not an earlier demo", "demo", "-o", tmp_path / "thesis")
    refused(capsys, 1, "already holds a run", "train", "gp", folder / "data", "-o", folder / "gp")
    refused(capsys, 1, "not a finished run", "compare", tmp_path / "thesis", "--data", folder / "data")
    refused(capsys, 1, "neither a dataset", "info", tmp_path / "thesis")
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]
    (tmp_path / "cut.nc").write_bytes(next((folder / "data").glob("*.nc")).read_bytes()[:5000])
    for command in (
        ["check"],
        ["info"],
        ["train", "gp", "-o", tmp_path / "no"],
        ["compare", folder / "gp", "--data"],
    ):
        refused(capsys, 1, "cannot be read as netCDF", *command, tmp_path / "cut.nc")
    assert not (tmp_path / "no").exists()


def test_a_checkpoint_of_another_problem_is_refused(folder, tmp_path, capsys):
    run(
        [
            "generate",
            "pme",
            "-n",
            "4",
            "--nx",
            "12",
            "--nt",
            "11",
            "--split",
            "test",
            "-o",
            str(tmp_path / "pme"),
        ]
    )
    refused(
        capsys,
        1,
        "trained on `stefan`, the data are of `pme`",
        "compare",
        folder / "gp",
        "--data",
        tmp_path / "pme",
    )


def test_a_truncated_checkpoint_is_refused(folder, tmp_path, capsys):
    shutil.copytree(folder / "gp", tmp_path / "gp")
    model = tmp_path / "gp" / "model.safetensors"
    model.write_bytes(model.read_bytes()[:50])
    refused(capsys, 1, "train it again", "compare", tmp_path / "gp", "--data", folder / "data")
    (tmp_path / "gp" / "config.json").write_text("{}")
    refused(capsys, 1, "damaged or of another version", "compare", tmp_path / "gp", "--data", folder / "data")


def spoiled(folder, tmp_path, change):
    data = change(lb.open(folder / "data").load().copy(deep=True))
    store.write(data, tmp_path / "spoiled.nc")
    return tmp_path / "spoiled.nc"


def test_nan_in_the_data_is_a_finding_and_stops_training(folder, tmp_path, capsys):
    def change(data):
        data["u"].values[0, 0, 0] = np.nan
        return data

    path = spoiled(folder, tmp_path, change)
    status, out, _ = output(capsys, "check", path, "--json")
    assert status == 1 and not json.loads(out)["ok"]
    refused(capsys, 1, "fails its checks", "train", "gp", path, "-o", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_data_without_the_law_s_right_hand_side_cannot_be_constrained(folder, tmp_path, capsys):
    path = spoiled(
        folder, tmp_path, lambda data: data.drop_vars([n for n in data.data_vars if n.startswith("law_")])
    )
    refused(capsys, 1, "needs the variable `law_conservation_rhs`", "compare", folder / "gp", "--data", path)


def test_resuming_never_touches_what_is_not_the_same_run(folder, tmp_path, capsys):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("x")
    refused(
        capsys, 1, "no run of ours", "train", "gp", folder / "data", "-o", tmp_path / "thesis", "--resume"
    )
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]
    shutil.copytree(folder / "gp", tmp_path / "gp")
    small = ["--option", "width=8", "--option", "heads=1", "--epochs", "1"]
    refused(
        capsys,
        1,
        "without a state",
        "train",
        "anp",
        folder / "data",
        "-o",
        tmp_path / "gp",
        "--resume",
        *small,
    )
    assert output(capsys, "train", "anp", folder / "data", "-o", tmp_path / "anp", *small)[0] == 0
    refused(capsys, 1, "a run of `anp`", "train", "gp", folder / "data", "-o", tmp_path / "anp", "--resume")
    assert output(capsys, "train", "anp", folder / "data", "-o", tmp_path / "anp", "--resume", *small)[0] == 0


@pytest.mark.parametrize("option", ['width="a"', "width=8.5", "normalise=1"])
def test_options_of_the_wrong_type_are_refused(option, folder, tmp_path, capsys):
    refused(
        capsys, 2, "is not right", "train", "anp", folder / "data", "-o", tmp_path / "run", "--option", option
    )
    assert not (tmp_path / "run").exists()


def test_a_training_that_cannot_start_leaves_no_folder(folder, tmp_path, capsys):
    refused(
        capsys, 1, "runs on the cpu", "train", "gp", folder / "data", "-o", tmp_path / "r", "--device", "cuda"
    )
    refused(capsys, 2, "integer ≥ 0", "train", "gp", folder / "data", "-o", tmp_path / "r", "--seed", "-1")
    refused(capsys, 2, "integer ≥ 0", "demo", "-o", tmp_path / "d", "--seed", "-1")
    refused(
        capsys, 2, "ill-posed", "generate", "diffusion", "-n", 2, "-o", tmp_path / "g", "--param", "k=-2:-1"
    )
    assert list(tmp_path.iterdir()) == []


def test_nan_in_held_out_data_is_refused_by_compare_and_predict(folder, tmp_path, capsys):
    def change(data):
        data["u"].values[-1, 10, 5] = np.nan
        return data

    path = spoiled(folder, tmp_path, change)
    refused(capsys, 1, "`u` is not finite for sample 39", "compare", folder / "gp", "--data", path)
    refused(
        capsys, 1, "`u` is not finite for sample 39", "predict", folder / "gp", path, "-o", tmp_path / "p.nc"
    )
    assert not (tmp_path / "p.nc").exists()


def test_report_names_are_looked_at_before_any_work(folder, tmp_path, capsys):
    (tmp_path / "mine.html").write_text("<p>my homepage")
    both = ["compare", folder / "gp", "--data", folder / "data", "-o"]
    refused(capsys, 2, "ends in .html", *both, tmp_path / "report.txt")
    refused(capsys, 2, "not a report of lawbound", *both, tmp_path / "mine.html")
    refused(capsys, 2, "is a file", "reproduce", "frozen/stefan", "-o", tmp_path / "mine.html")
    refused(capsys, 2, "Did you mean frozen/stefan", "reproduce", "frozen/stefn")
    assert (tmp_path / "mine.html").read_text() == "<p>my homepage"


def test_a_prediction_file_passes_check_though_it_starts_late(folder, tmp_path, capsys):
    assert (
        output(capsys, "predict", folder / "gp", folder / "data", "-o", tmp_path / "p.nc", "--times", "1")[0]
        == 0
    )
    assert output(capsys, "check", tmp_path / "p.nc")[0] == 0
