"""What every surrogate on a grid has in common: fits, is kept, predicts any resolution, reads no more than it may."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import lawbound as lb
from lawbound.datasets.config import configure
from lawbound.datasets.generate import generate_into
from lawbound.datasets.split import of_split
from lawbound.surrogates import checkpoint, operator_surrogate, samples, training
from lawbound.surrogates.checkpoint import read_config
from lawbound.surrogates.deep_operator import DeepOperatorNetwork
from lawbound.surrogates.diverse import DiverseFourierOperator
from lawbound.surrogates.ensemble import FourierEnsemble
from lawbound.surrogates.fourier_surrogate import FourierNeuralOperator, FourierNeuralOperatorWithWalls
from lawbound.surrogates.module_surrogate import ModuleSurrogate

SMALL = {"epochs": 2, "batch": 6, "validate_every": 1}
TINY = {**SMALL, "modes": 3, "width": 4, "blocks": 2}
LEARNERS = {
    "fno": FourierNeuralOperator(**TINY),
    "fno in steps": FourierNeuralOperator(**TINY, mode="steps", unroll=2),
    "fno with variance": FourierNeuralOperator(**TINY, uncertainty="variance", loss="crps"),
    "fno with dropout": FourierNeuralOperator(**TINY, uncertainty="dropout", dropout=0.2, draws=5),
    "fno with laplace": FourierNeuralOperator(**TINY, uncertainty="laplace"),
    "fno-bc": FourierNeuralOperatorWithWalls(**TINY),
    "fno-bc in a mirror": FourierNeuralOperatorWithWalls(**TINY, extension="mirror", walls="every-block"),
    "fno-bc in steps": FourierNeuralOperatorWithWalls(**TINY, mode="steps"),
    "deeponet": DeepOperatorNetwork(**SMALL, width=8, depth=1, basis=4),
    "deeponet with walls": DeepOperatorNetwork(**SMALL, width=8, depth=1, basis=4, walls=True),
    "ensemble": FourierEnsemble(**TINY, size=2),
    "ensemble in steps": FourierEnsemble(**TINY, size=2, walls=True, mode="steps"),
    "diverse-fno": DiverseFourierOperator(**TINY, heads=3, warm_up=1),
}


@pytest.fixture(scope="module")
def line():
    return lb.generate("burgers-random", 20, nx=16, nt=7, seed=1)


@pytest.fixture(scope="module")
def plane():
    return lb.generate("cavity", 10, nx=10, nt=6, seed=1)


def splits(data):
    return of_split(data, "train"), of_split(data, "valid")


@pytest.mark.parametrize("name", LEARNERS)
def test_it_fits_is_kept_and_predicts_the_same_bits(line, tmp_path, name):
    learner, test = LEARNERS[name], of_split(line, "test")
    fitted = learner.fit(*splits(line), seed=3)
    checkpoint.save(tmp_path / "run", learner, fitted, seed=3)
    loaded = checkpoint.load(tmp_path / "run")
    assert loaded.origin == fitted.origin
    one, other = fitted.predict(test), loaded.predict(test)
    assert one.means.shape == (1, 2, 7, 16) and one.means.dtype == torch.float64
    assert torch.equal(one.means, other.means) and torch.equal(one.variance, other.variance)
    assert bool((one.variance > 0).all())
    some = fitted.predict(test, times=np.array([2, 5]))
    assert torch.equal(some.mean, one.mean[:, [2, 5]]) and torch.equal(some.std, one.std[:, [2, 5]])
    # Another seed, other weights; the same one, the same bits.
    assert not torch.equal(learner.fit(*splits(line), seed=4).predict(test).mean, one.mean)
    assert torch.equal(learner.fit(*splits(line), seed=3).predict(test).mean, one.mean)


@pytest.mark.parametrize("name", LEARNERS)
def test_it_fits_several_fields_on_a_plane(plane, name):
    learner = replace(LEARNERS[name], parameters=True, epochs=1)
    test = of_split(plane, "test")
    prediction = learner.fit(*splits(plane), seed=0).predict(test)
    assert prediction.fields == ("u", "v", "p", "vorticity", "streamfunction")
    assert prediction.means.shape == (1, 1, 6, 500)
    mean, std = prediction.of("p")
    assert mean.shape == std.shape == (1, 6, 10, 10)
    assert prediction.to_dataset().pred_vorticity_mean.dims == ("sample", "t", "y", "x")


@pytest.mark.parametrize("name", LEARNERS)
def test_of_the_fields_it_reads_the_first_state_alone(line, name):
    fitted, test = LEARNERS[name].fit(*splits(line), seed=0), of_split(line, "test")
    hidden = test.copy(deep=True)
    hidden.u[:, 1:] = np.nan
    assert torch.equal(fitted.predict(hidden).mean, fitted.predict(test).mean)
    hidden.u[1, 0, 3] = np.nan
    with pytest.raises(ValueError, match=f"first time of sample {int(test.sample[1])} is not finite"):
        fitted.predict(hidden)


@pytest.mark.parametrize("name", [name for name in LEARNERS if "steps" not in name])
def test_what_a_sample_gets_does_not_depend_on_the_others(line, name):
    fitted, test = LEARNERS[name].fit(*splits(line), seed=0), of_split(line, "test")
    whole, one = fitted.predict(test), fitted.predict(test.isel(sample=[1]))
    torch.testing.assert_close(one.mean[0], whole.mean[1])
    torch.testing.assert_close(one.variance[0], whole.variance[1])


@pytest.mark.parametrize(
    "name", ["fno", "fno-bc", "fno-bc in a mirror", "deeponet with walls", "ensemble", "diverse-fno"]
)
def test_trained_on_one_grid_it_predicts_the_same_function_on_another(name):
    coarse, fine = (lb.generate("heat-dirichlet", 20, nx=nx, nt=17, seed=1) for nx in (33, 65))
    learner = replace(LEARNERS[name], epochs=8, parameters=True)
    fitted = learner.fit(*splits(coarse), seed=0)
    here, there = fitted.predict(of_split(coarse, "test")), fitted.predict(of_split(fine, "test"))
    assert there.means.shape[-1] == 65
    gap = (there.mean[..., ::2] - here.mean).abs().max() / here.mean.abs().max()
    assert float(gap) < 0.05


def test_walls_are_read_by_those_that_are_told_to(line):
    test = of_split(line, "test")
    moved = test.assign(bc_u_x_lo=test.bc_u_x_lo + 1.0)
    for name, reads in (("fno", False), ("fno-bc", True), ("deeponet", False), ("deeponet with walls", True)):
        fitted = LEARNERS[name].fit(*splits(line), seed=0)
        assert ("bc_u_x_lo" in fitted.origin.inputs) == reads
        assert torch.equal(fitted.predict(moved).mean, fitted.predict(test).mean) == (not reads)
    with pytest.raises(ValueError, match="the data have no bc_u_x_hi"):
        fitted.predict(test.drop_vars("bc_u_x_hi"))


def test_a_rollout_starts_from_the_given_state_and_goes_on_from_its_own(line):
    fitted, test = LEARNERS["fno in steps"].fit(*splits(line), seed=0), of_split(line, "test")
    mean = fitted.predict(test).mean
    torch.testing.assert_close(mean[:, 0].float(), torch.from_numpy(test.u.values[:, 0]))
    # Begun from its own second state, it passes through its own third one: a network that is told the time apart.
    with pytest.raises(ValueError, match="goes from one stored time to the next, 7 in all; the data have 4"):
        fitted.predict(lb.generate("burgers-random", 20, nx=16, nt=4, seed=1))


def test_training_on_all_of_it_gets_better_than_the_mean():
    data = lb.generate("heat-neumann", 40, nx=24, nt=9, seed=2)
    test = of_split(data, "test")
    truth = torch.from_numpy(test.u.values).double()
    for learner in (
        FourierNeuralOperator(epochs=30, batch=8, modes=4, width=12, blocks=2, learning_rate=5e-3),
        DeepOperatorNetwork(epochs=60, batch=8, width=32, depth=2, basis=16, learning_rate=3e-3),
    ):
        mean = learner.fit(*splits(data), seed=0).predict(test).mean
        assert (mean - truth).norm() < 0.5 * (truth - truth.mean()).norm()


def test_stopped_and_resumed_is_as_never_stopped(line, tmp_path):
    for name in ("fno", "ensemble", "diverse-fno"):
        learner = replace(LEARNERS[name], epochs=4)
        straight = learner.fit(*splits(line), seed=0)

        def stop(progress):
            if progress.epoch == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            learner.fit(*splits(line), seed=0, folder=tmp_path / name, on_progress=stop)
        again = learner.fit(*splits(line), seed=0, folder=tmp_path / name, resume=True)
        assert all(torch.equal(tensor, again.tensors()[key]) for key, tensor in straight.tensors().items())


def test_data_that_do_not_fit_memory_are_learnt_from_all_the_same(line, monkeypatch, tmp_path):
    generate_into(tmp_path / "data", *configure("burgers-random", 20, nx=16, nt=7, seed=1, shard_size=3))
    lazy = lb.open(tmp_path / "data", lazy=True)
    for name in ("fno-bc", "ensemble in steps"):
        kept = LEARNERS[name].fit(*splits(line), seed=0)
        with monkeypatch.context() as patch:
            patch.setattr(samples, "KEEP_UP_TO", 0)
            read = LEARNERS[name].fit(*splits(lazy), seed=0)
        assert (
            read.predict(of_split(line, "test")).means.shape
            == kept.predict(of_split(line, "test")).means.shape
        )
        if name == "fno-bc":  # the same batches, in another order inside
            torch.testing.assert_close(
                read.predict(of_split(line, "test")).mean, kept.predict(of_split(line, "test")).mean,
                rtol=1e-3, atol=1e-3,
            )  # fmt: skip


def test_a_checkpoint_knows_channels_grid_data_and_version(line, tmp_path):
    lb.fit(LEARNERS["fno-bc"], line, folder=tmp_path / "run", unchecked=True)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    origin = config["origin"]
    assert origin["fields"] == ["u"]
    assert origin["inputs"] == ["u", "t", "x", "bc_u_x_lo", "bc_u_x_hi"]
    assert origin["grid"]["x"]["points"] == 16 and list(origin["grid"]) == ["t", "x"]
    assert origin["dataset_sha256"] == line.attrs["lawbound_config_sha256"]
    assert config["lawbound"] and read_config(tmp_path / "run").options["modes"] == 3


def test_truncated_and_foreign_checkpoints_are_refused(line, tmp_path):
    lb.fit(LEARNERS["fno"], line, folder=tmp_path / "run", unchecked=True)
    model, config = tmp_path / "run" / "model.safetensors", tmp_path / "run" / "config.json"
    whole, said = model.read_bytes(), config.read_text()
    for length in (0, 10, -8):
        model.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="does not fit a `fno` of this version"):
            lb.load(tmp_path / "run")
    model.write_bytes(whole)
    config.write_text(said.replace('"width": 4', '"width": 5').replace('"width":4', '"width":5'))
    with pytest.raises(ValueError, match="not the tensors of a network with these options"):
        lb.load(tmp_path / "run")


def test_compiled_training_takes_the_same_steps(line, monkeypatch):
    # A backend that runs what was traced: the compiler itself is PyTorch's affair, and slow.
    traced, compiler = [], torch.compile
    backend = lambda graph, inputs: traced.append(graph) or graph.forward  # noqa: E731
    monkeypatch.setattr(torch, "compile", lambda function, **mode: compiler(function, backend=backend))
    for name in ("fno-bc", "fno in steps", "ensemble", "diverse-fno"):
        plain = LEARNERS[name].fit(*splits(line), seed=0)
        traced.clear()
        compiled = replace(LEARNERS[name], compile=True).fit(*splits(line), seed=0)
        assert traced
        for key, tensor in plain.tensors().items():
            torch.testing.assert_close(compiled.tensors()[key], tensor, rtol=1e-3, atol=1e-4)


# Bad input.


def test_data_from_which_nothing_can_be_learnt_are_refused(line):
    train, valid = splits(line)
    alike = train.assign(u=train.u * 0 + 1.0)
    with pytest.raises(ValueError, match="The field `u` is 1 everywhere in the training data"):
        LEARNERS["fno"].fit(alike, valid)
    alike = train.copy(deep=True)
    alike.u[:, 0] = 0.5
    with pytest.raises(ValueError, match=r"start from the same state.*parameters=true.*fno-bc"):
        LEARNERS["fno"].fit(alike, valid)
    LEARNERS["fno-bc"].fit(alike, valid)
    with pytest.raises(ValueError, match="1 training sample; give 2 or more"):
        LEARNERS["fno"].fit(train.isel(sample=[0]), valid)
    with pytest.raises(ValueError, match="one time"):
        LEARNERS["fno"].fit(train.isel(t=[0]), valid.isel(t=[0]))
    spoilt = train.copy(deep=True)
    spoilt.u[3, 2, 1] = np.inf
    with pytest.raises(ValueError, match="`u` is not finite for sample 3"):
        LEARNERS["fno"].fit(spoilt, valid)
    ring = lb.generate("burgers-periodic", 10, nx=16, nt=4, seed=1)
    with pytest.raises(ValueError, match="No wall of these data prescribes anything"):
        LEARNERS["fno-bc"].fit(*splits(ring))


def test_another_grid_problem_or_span_is_refused(line, plane):
    fitted, test = LEARNERS["fno"].fit(*splits(line)), of_split(line, "test")
    with pytest.raises(ValueError, match="trained on `burgers-random`, the data are of `cavity`"):
        fitted.predict(plane)
    with pytest.raises(ValueError, match="over t in"):
        fitted.predict(test.isel(t=slice(4)))
    with pytest.raises(ValueError, match="over x in"):
        fitted.predict(test.isel(x=slice(8)))
    with pytest.raises(ValueError, match="frequencies need 6 points or more, axis 1 has"):
        fitted.predict(lb.generate("burgers-random", 3, nx=5, nt=7, seed=1))
    with pytest.raises(ValueError, match="give indices from 0 to 6"):
        fitted.predict(test, times=np.array([7]))


def test_a_device_that_is_absent_and_a_network_that_diverges_are_said(line):
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="no CUDA device"):
            LEARNERS["fno"].fit(*splits(line), device="cuda")
    with pytest.raises(training.Diverged, match="Lower the learning rate"):
        replace(LEARNERS["fno"], learning_rate=1e30, epochs=20).fit(*splits(line))


@pytest.mark.parametrize(
    ("learner", "wrong", "said"),
    [
        (FourierNeuralOperator, {"modes": 0}, "modes=0"),
        (FourierNeuralOperator, {"width": 0}, "width=0"),
        (FourierNeuralOperator, {"padding": 2.0}, "padding=2.0"),
        (FourierNeuralOperator, {"extension": "odd"}, "give zero or mirror"),
        (FourierNeuralOperatorWithWalls, {"walls": "all"}, "give input or every-block"),
        (FourierNeuralOperator, {"unroll": 2}, "belongs to mode=steps"),
        (FourierNeuralOperator, {"loss": "nll"}, "loss='nll' with uncertainty=residual"),
        (FourierNeuralOperator, {"uncertainty": "variance"}, "give nll or crps"),
        (FourierNeuralOperator, {"uncertainty": "dropout"}, "give a dropout above 0"),
        (FourierNeuralOperator, {"uncertainty": "laplace", "mode": "steps"}, "mode=whole"),
        (FourierNeuralOperator, {"batch": 0}, "batch=0"),
        (FourierNeuralOperator, {"mode": "leap"}, "give whole or steps"),
        (FourierEnsemble, {"size": 1}, "2 members or more"),
        (DiverseFourierOperator, {"heads": 1}, "2 heads or more"),
        (DiverseFourierOperator, {"mode": "steps"}, "train an ensemble"),
        (DeepOperatorNetwork, {"mode": "steps"}, "give mode=whole"),
    ],
)
def test_options_that_make_no_sense_are_refused(learner, wrong, said):
    with pytest.raises(ValueError, match=said):
        learner(**wrong)


# Anybody's module.


def pointwise(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, outputs, 1))


def test_any_module_of_channels_is_a_surrogate(line):
    learner = ModuleSurrogate(build=pointwise, **SMALL)
    fitted, test = learner.fit(*splits(line), seed=0), of_split(line, "test")
    again = learner.restore(fitted.tensors(), fitted.origin)
    assert torch.equal(again.predict(test).mean, fitted.predict(test).mean)
    assert "build" not in learner.options() and json.dumps(learner.options())
    wrong = ModuleSurrogate(build=lambda inputs, outputs: nn.Conv2d(inputs, outputs, 1), **SMALL)
    with pytest.raises(ValueError, match="not the tensors of a network"):
        wrong.restore(fitted.tensors(), fitted.origin)


def test_a_released_fourier_operator_is_a_surrogate(line):
    models = pytest.importorskip("neuralop.models")

    def build(inputs, outputs):
        return models.FNO(
            n_modes=(4, 4), in_channels=inputs, out_channels=outputs, hidden_channels=8, n_layers=2
        )

    fitted = ModuleSurrogate(build=build, walls=True, **SMALL).fit(*splits(line), seed=0)
    assert fitted.predict(of_split(line, "test")).means.shape == (1, 2, 7, 16)


def test_pieces_are_few_samples_at_a_time(line, monkeypatch):
    fitted, test = LEARNERS["fno"].fit(*splits(line)), of_split(line, "train")
    whole = fitted.predict(test)
    monkeypatch.setattr(operator_surrogate, "AT_ONCE", 3 * 7 * 16)
    torch.testing.assert_close(fitted.predict(test).mean, whole.mean)
