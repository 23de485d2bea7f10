"""The weight of a term is the one whose short run did best on validation; what was tried is kept, and gone on with."""

import json

import pytest
import torch

import lawbound as lb
from lawbound import runs, weights
from lawbound.constraints import Conservation, Equation
from lawbound.constraints.penalty import Penalised
from lawbound.datasets.split import of_split
from lawbound.runs import learner_of
from lawbound.specs import constrained, in_training
from lawbound.surrogates import checkpoint

TINY = {"epochs": 8, "validate_every": 1, "modes": 2, "width": 4, "blocks": 1, "parameters": True}
SPEC = "pde:penalty(weight=auto)"


@pytest.fixture(scope="module")
def data():
    return lb.generate("diffusion", 20, nx=16, nt=9, seed=1)


def fitted(data, folder=None, **more):
    return lb.fit("fno", data, options=TINY, constraints=[SPEC], folder=folder, **more)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("auto") / "run"
    return folder, fitted(data, folder).tensors()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_what_was_tried_is_kept_and_the_best_is_what_a_run_with_that_weight_is(data, run):
    folder, tensors = run
    kept = json.loads((folder / weights.FILE).read_text())
    assert kept["ladder"] == list(weights.LADDER) and len(kept["valid"]) == len(weights.LADDER)
    assert kept["epochs"] == 2 and not (folder / weights.TRIALS).exists()
    chosen = kept["ladder"][kept["valid"].index(min(kept["valid"]))]
    assert kept["chosen"] == chosen
    given = [f"pde:penalty(weight={chosen})"] if chosen else []
    assert checkpoint.read_config(folder).constraints == given
    plain = lb.fit("fno", data, options=TINY, constraints=given)
    assert same(plain.tensors(), tensors)
    # Each of the errors is that of a run of its own.
    seen = []
    lb.fit(
        "fno", data, options=TINY | {"epochs": 2}, constraints=["pde:penalty(weight=0.1)"],
        on_progress=lambda progress: seen.append(progress.valid),
    )  # fmt: skip
    assert kept["valid"][-1] == min(seen)
    assert same(fitted(data).tensors(), tensors)  # without a folder, too


@pytest.mark.parametrize("trial", [0, 3])
def test_stopped_in_a_short_run_and_resumed_it_is_as_never_stopped(data, run, tmp_path, monkeypatch, trial):
    folder, tensors = tmp_path / "run", run[1]
    original, begun = weights._error, []

    def interrupt(progress):
        raise KeyboardInterrupt

    def stopped(short, weight, fit, where):
        begun.append(weight)
        if len(begun) == trial + 1:
            original(short, weight, lambda learner, trial, note: fit(learner, trial, interrupt), where)
        return original(short, weight, fit, where)

    monkeypatch.setattr(weights, "_error", stopped)
    with pytest.raises(KeyboardInterrupt):
        fitted(data, folder)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="already holds a run"):
        fitted(data, folder)
    with pytest.raises(ValueError, match=r"another training \(seed differ\)"):
        fitted(data, folder, seed=1, resume=True)
    seen = []
    monkeypatch.setattr(weights, "_error", lambda *given: seen.append(given[1]) or original(*given))
    assert same(fitted(data, folder, resume=True).tensors(), tensors)
    assert seen == list(weights.LADDER[trial:])
    once, again = (json.loads((each / weights.FILE).read_text())["valid"] for each in (run[0], folder))
    assert once == again


def test_a_finished_choice_is_not_made_again(data, tmp_path, monkeypatch):
    fitted(data, tmp_path / "run")
    monkeypatch.setattr(weights, "_error", lambda *given: pytest.fail("tried again"))
    fitted(data, tmp_path / "run", resume=True)


def test_the_choice_for_another_network_is_not_taken(data, run):
    with pytest.raises(ValueError, match=r"another training \(options differ\)"):
        lb.fit("fno", data, options=TINY | {"width": 6}, constraints=[SPEC], folder=run[0], resume=True)


def test_a_weight_that_diverges_is_infinitely_bad_and_of_equal_ones_the_smallest_is_taken():
    def choice(*tried):
        return weights._Choice({}, 1, tried).chosen

    assert choice(2.0, None, 1.0, 1.0, 3.0) == weights.LADDER[2]
    assert choice(1.0, 1.0, None, None, None) == 0.0
    with pytest.raises(ValueError, match="lower the learning rate"):
        choice(*[None] * 5)


def test_open_weights_are_of_terms_alone_and_go_with_ones_that_are_set(data):
    learner = constrained(learner_of("fno", {}), [SPEC, "conservation:penalty(weight=2)"])
    assert weights.open_weights(learner) and not weights.open_weights(learner_of("gp", {}))
    for weight, left in ((0.0, 1), (0.5, 2)):
        known = weights._weighed(learner, weight)
        assert not weights.open_weights(known) and len(known.penalties) == left
        assert known.penalties[-1] == Penalised(Conservation(), 2)
    assert in_training(Penalised(Equation(), "auto").spec) == Penalised(Equation(), "auto")
    with pytest.raises(ValueError, match=r"chosen by `lawbound\.fit`"):
        learner.fit(of_split(data, "train"), of_split(data, "valid"))
    with pytest.raises(ValueError, match="weight=often"):
        Penalised(Equation(), "often")


def test_neither_short_nor_long_runs_see_anything_but_train_and_valid(data, monkeypatch):
    seen, kind = [], type(learner_of("fno", {}))
    original = kind.fit

    def spy(self, train, valid, **given):
        seen.append((set(train.split.values.tolist()), set(valid.split.values.tolist())))
        return original(self, train, valid, **given)

    monkeypatch.setattr(kind, "fit", spy)
    runs.fit("fno", data, options=TINY | {"epochs": 1}, constraints=[SPEC])
    assert len(seen) == len(weights.LADDER) + 1
    train, valid = (set(of_split(data, name).split.values.tolist()) for name in ("train", "valid"))
    assert all(each == (train, valid) for each in seen) and not train & valid
