import json
from pathlib import Path

import numpy as np
import pytest

import lawbound as lb
from lawbound import pretrained
from lawbound.cli import run
from lawbound.datasets.plugins import UnknownName, find

DATA = Path(pretrained.__file__).parent / "data"


@pytest.mark.parametrize("name", pretrained.names())
def test_each_is_small_loads_by_name_and_beats_the_mean_field_on_its_problems_own_grid(name):
    assert (pretrained.folder(f"pretrained:{name}") / "model.safetensors").stat().st_size <= 4_000_000
    fitted = lb.load(f"pretrained:{name}")
    data = lb.generate(fitted.origin.problem, 6, split="in-range", seed=5)
    family = find("problems", fitted.origin.problem)
    assert (data.sizes["x"], data.sizes["t"]) == (family.nx, family.nt)
    times = np.linspace(20, family.nt - 1, 5).astype(int)
    truth = data.u.values[:, times].astype(float)
    error = np.linalg.norm(fitted.predict(data, times=times).mean.numpy() - truth)
    assert error < 0.35 * np.linalg.norm(truth - truth.mean())


def test_demo_problems_have_one_and_all_together_fit_a_wheel():
    assert {"diffusion", "pme", "stefan"} <= set(pretrained.names())
    assert sum(file.stat().st_size for file in DATA.rglob("*") if file.is_file()) < 15_000_000


def test_names_that_there_are_not_are_refused_with_what_there_is():
    with pytest.raises(UnknownName, match="Did you mean stefan"):
        lb.load("pretrained:stephan")
    assert pretrained.folder("some/run") == Path("some/run")


def test_the_list_says_what_made_each(capsys):
    assert run(["list", "pretrained", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["pretrained"]
    assert [row["name"] for row in rows] == [f"pretrained:{name}" for name in pretrained.names()]
    assert all(row["commands"] and row["seed"] >= 0 and row["data"] for row in rows)


def test_compare_and_rollout_take_it_like_a_run(tmp_path, capsys):
    data = tmp_path / "data"
    assert run(["generate", "diffusion", "-n", "10", "--nx", "48", "--nt", "26", "-o", str(data)]) == 0
    capsys.readouterr()
    assert run(["compare", "pretrained:diffusion", "--data", str(data), "--times", "2", "--json"]) == 0
    methods = {row["method"] for row in json.loads(capsys.readouterr().out)["rows"]}
    assert {"solver", "fno", "fno+probconserv"} <= methods
    assert run(["rollout", "pretrained:diffusion", "--data", str(data), "--nx", "48", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["nx"] for row in found["resolutions"]] == [48] and found["stability"]


def test_info_takes_it_like_a_run(capsys):
    assert run(["info", "pretrained:stefan", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["run"], found["surrogate"], found["trained on"]) == ("pretrained:stefan", "anp", "stefan")
