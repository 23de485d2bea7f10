"""Terms of the loss of a network that answers points: means on whole lines, at two neighbouring times."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import lawbound as lb
from lawbound import specs
from lawbound.cli import run
from lawbound.datasets.split import of_split
from lawbound.surrogates.attentive_network import Batch
from lawbound.surrogates.neural_process import AttentiveNeuralProcess
from lawbound.surrogates.pair_penalty import PairPenalty

ANP = AttentiveNeuralProcess(width=8, heads=2, epochs=2, batch=6, draws=2, normalise=True)
PDE = "pde:penalty(weight=2.0)"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def splits():
    data = lb.generate("diffusion", 20, nx=16, nt=11, seed=1)
    return of_split(data, "train"), of_split(data, "valid")


def test_pairs_are_neighbours_and_reach_every_step(splits):
    penalised = PairPenalty([], splits[0], CPU)
    batch = Batch(torch.zeros(200, 1, 3), torch.zeros(200, 1, 3))
    (paired,) = penalised.paired([batch], torch.arange(200), np.random.default_rng(0))
    assert set(paired.starts.tolist()) == set(range(10))


def test_a_training_with_a_term_is_not_gone_on_with_without_it(splits, tmp_path):
    replace(specs.constrained(ANP, [PDE]), epochs=1).fit(*splits, seed=3, folder=tmp_path)
    with pytest.raises(ValueError, match="constraints"):
        ANP.fit(*splits, seed=3, folder=tmp_path, resume=True)


def test_a_heavy_term_brings_the_mean_nearer_to_the_law(splits):
    """The total of the decaying sine is 0; few epochs leave it far from that."""
    train, _ = splits
    weights = np.gradient(train.x.values)

    def off(learner):
        mean = learner.fit(*splits, seed=0).predict(train).mean.numpy()[..., 1:, :]
        return np.abs(mean @ weights).mean()

    few = replace(ANP, epochs=30, learning_rate=3e-3)
    assert off(specs.constrained(few, ["conservation:penalty(weight=30)"])) < 0.5 * off(few)


def test_the_command_line_trains_with_a_term_and_the_run_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["generate", "diffusion", "-n", "20", "--nx", "16", "--nt", "11", "-o", "data"]) == 0
    options = [f"--option={name}" for name in ("width=8", "heads=2", "batch=6", "draws=2")]
    assert run(["train", "anp", "data", "-o", "run", "--epochs", "1", *options, "--constraint", PDE]) == 0
    capsys.readouterr()
    assert run(["info", "run", "--json"]) == 0
    assert "pde" in capsys.readouterr().out
    lb.load("run").predict(lb.open("data").isel(sample=[0]))
