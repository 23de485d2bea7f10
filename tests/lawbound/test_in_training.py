"""Constraints that are part of training: exact in every prediction, kept with the run, and on any grid."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import lawbound as lb
from lawbound import specs
from lawbound.cli import run
from lawbound.constraints import (
    Bounds,
    Conservation,
    Dirichlet,
    Energy,
    Initial,
    Monotone,
    Neumann,
    Robin,
    TotalVariation,
    TwoPhase,
)
from lawbound.constraints.inside import Operator
from lawbound.constraints.penalty import Penalised, Penalty
from lawbound.datasets.split import of_split
from lawbound.runs import learner_of
from lawbound.surrogates import checkpoint
from lawbound.surrogates.deep_operator import DeepOperatorNetwork
from lawbound.surrogates.diverse import DiverseFourierOperator
from lawbound.surrogates.ensemble import FourierEnsemble
from lawbound.surrogates.fourier_surrogate import FourierNeuralOperator, FourierNeuralOperatorWithWalls
from lawbound.surrogates.module_surrogate import ModuleSurrogate

SMALL = {"epochs": 2, "batch": 6, "validate_every": 1}
TINY = {**SMALL, "modes": 3, "width": 4, "blocks": 2}
FNO = FourierNeuralOperator(**TINY)


def pointwise(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, outputs, 1))


LEARNERS = {
    "fno": FNO,
    "fno in steps": replace(FNO, mode="steps", unroll=2),
    "fno with variance": replace(FNO, uncertainty="variance", loss="crps"),
    "fno with dropout": replace(FNO, uncertainty="dropout", dropout=0.2, draws=5),
    "fno with laplace": replace(FNO, uncertainty="laplace"),
    "fno-bc": FourierNeuralOperatorWithWalls(**TINY),
    "deeponet": DeepOperatorNetwork(**SMALL, width=8, depth=1, basis=4),
    "ensemble": FourierEnsemble(**TINY, size=2),
    "ensemble in steps": FourierEnsemble(**TINY, size=2, walls=True, mode="steps"),
    "diverse-fno": DiverseFourierOperator(**TINY, heads=3, warm_up=1),
    "module": ModuleSurrogate(build=pointwise, **SMALL),
}
WALLS = Operator(Dirichlet())


@pytest.fixture(scope="module")
def line():
    return lb.generate("burgers-random", 20, nx=17, nt=5, seed=1)


def splits(data):
    return of_split(data, "train"), of_split(data, "valid")


def fitted_on(data, learner, **given):
    return replace(learner, **given).fit(*splits(data), seed=0)


def assert_obeys(prediction, constraint, close=1e-12):
    admissible = constraint.on(prediction.inputs)
    size = 1.0 if admissible.rows is None else np.abs(admissible.rows.weights).sum(-1).max()
    scale = size * max(1.0, float(prediction.mean.abs().max()))
    for states in (prediction.mean, *prediction.sample(3, seed=0)):
        assert np.abs(admissible.residual(states.numpy())).max() < close * scale


@pytest.mark.parametrize("name", LEARNERS)
def test_walls_hold_in_mean_and_samples_whatever_the_network(line, name):
    fitted, test = fitted_on(line, LEARNERS[name], inside=WALLS), of_split(line, "test")
    prediction = fitted.predict(test)
    assert_obeys(prediction, Dirichlet())
    assert prediction.variance[..., [0, -1]].max() == 0.0 < prediction.variance[..., 1:-1].min()
    assert not torch.equal(prediction.mean, LEARNERS[name].fit(*splits(line), seed=0).predict(test).mean)
    some = fitted.predict(test, times=np.array([1, 3]))
    assert torch.equal(some.mean, prediction.mean[:, [1, 3]]) and torch.equal(
        some.std, prediction.std[:, [1, 3]]
    )


@pytest.mark.parametrize(
    ("problem", "constraint", "kernel"),
    [
        ("burgers-dirichlet", Dirichlet() & Conservation(), "exponential"),
        ("heat-neumann", Neumann() & Conservation(), "matern-5/2"),
        ("heat-neumann", Neumann(initially=True, sides=("x_lo",)), "matern-5/2"),
        ("heat-robin", Robin(), "matern-5/2"),
        ("stefan", Dirichlet() & Conservation(), "exponential"),
        ("heat-neumann", Initial() & Neumann(), "matern-5/2"),
    ],
)
@pytest.mark.parametrize("mode", ["whole", "steps"])
def test_walls_and_laws_hold_together(problem, constraint, kernel, mode):
    data = lb.generate(problem, 20, nx=17, nt=4, seed=1)
    learner = replace(FNO, parameters=True, mode=mode)
    fitted = fitted_on(data, learner, inside=Operator(constraint, kernel=kernel))
    prediction = fitted.predict(of_split(data, "test"))
    assert_obeys(prediction, constraint)


def test_walls_of_a_plane_with_several_fields_share_their_corners():
    data = lb.generate("cavity", 10, nx=8, nt=3, seed=1)
    both = Dirichlet("u") & Dirichlet("v")
    fitted = fitted_on(data, replace(FNO, parameters=True), inside=Operator(both))
    prediction = fitted.predict(of_split(data, "test"))
    states = np.concatenate([prediction.of(name)[0].numpy().reshape(1, 3, -1) for name in "uv"], axis=-1)
    assert np.abs(both.on(prediction.inputs).residual(states)).max() < 1e-12


@pytest.mark.parametrize("name", ["fno", "fno in steps", "deeponet", "ensemble"])
def test_on_another_grid_its_rows_are_those_of_that_grid(name):
    coarse, fine = (lb.generate("burgers-dirichlet", 20, nx=nx, nt=4, seed=1) for nx in (17, 33))
    constraint = Dirichlet() & Conservation()
    fitted = fitted_on(coarse, LEARNERS[name], inside=Operator(constraint))
    assert_obeys(fitted.predict(of_split(fine, "test")), constraint)


def test_the_lengths_are_learned_with_the_network_and_each_member_has_its_own(line):
    for name in ("fno", "ensemble"):
        tensors = fitted_on(line, LEARNERS[name], inside=WALLS).tensors()
        (lengths,) = (tensor for key, tensor in tensors.items() if key.endswith("log_length"))
        assert (lengths != np.log(0.05)).all()
        if name == "ensemble":
            assert lengths.shape == (2, 1, 1) and lengths[0] != lengths[1]


def test_a_run_folder_says_its_constraints_and_gives_the_same_bits_back(line, tmp_path):
    given = [
        "dirichlet&conservation(tolerance=exact):operator(kernel=matern-5/2)",
        "conservation:penalty(weight=0.5)",
    ]
    for name in ("fno", "ensemble"):
        fitted = lb.fit(LEARNERS[name], line, folder=tmp_path / name, constraints=given, unchecked=True)
        config = json.loads((tmp_path / name / "config.json").read_text())
        assert [specs.in_training(spec) for spec in config["constraints"]] == [
            specs.in_training(spec) for spec in given
        ]
        loaded, test = lb.load(tmp_path / name), of_split(line, "test")
        one, other = fitted.predict(test), loaded.predict(test)
        assert torch.equal(one.mean, other.mean) and torch.equal(one.variance, other.variance)
    with pytest.raises(ValueError, match=r"trained with dirichlet.*`lawbound\.load`"):
        checkpoint.load(tmp_path / "fno")
    assert checkpoint.read_config(tmp_path / "fno").options == FNO.options()


@pytest.mark.parametrize("name", ["fno in steps", "ensemble"])
def test_stopped_and_resumed_is_as_never_stopped(line, tmp_path, name):
    learner = replace(LEARNERS[name], epochs=4, inside=WALLS, penalties=(Penalised(Conservation()),))
    straight = learner.fit(*splits(line), seed=0)

    def stop(progress):
        if progress.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learner.fit(*splits(line), seed=0, folder=tmp_path, on_progress=stop)
    with pytest.raises(ValueError, match="another training: constraints"):
        replace(learner, penalties=()).fit(*splits(line), seed=0, folder=tmp_path, resume=True)
    again = learner.fit(*splits(line), seed=0, folder=tmp_path, resume=True)
    assert all(torch.equal(tensor, again.tensors()[key]) for key, tensor in straight.tensors().items())


def test_it_knows_no_more_of_the_fields_than_the_first_state():
    data = lb.generate("stefan", 20, nx=17, nt=4, seed=1)
    fitted = fitted_on(data, replace(FNO, parameters=True), inside=Operator(Dirichlet() & Conservation()))
    test = of_split(data, "test")
    hidden = test.copy(deep=True)
    hidden.u[:, 1:] = np.nan
    assert torch.equal(fitted.predict(hidden).mean, fitted.predict(test).mean)


@pytest.mark.parametrize("name", LEARNERS)
def test_the_loss_has_the_penalty_of_all_states_as_a_term(name):
    data = lb.generate("burgers-dirichlet", 20, nx=17, nt=4, seed=1)
    train, valid = splits(data)
    law, losses = Conservation(), []
    for penalties in ((), (Penalised(law, 3.0),)):
        # So slow that the network stays what it was at first.
        learner = replace(LEARNERS[name], epochs=1, learning_rate=1e-12, penalties=penalties)
        fitted = learner.fit(train, valid, seed=0, on_progress=lambda progress: losses.append(progress.train))
    added = losses[1] - losses[0]
    if "steps" in name:  # trained on windows that start from true states
        assert added > 0.0
        return
    penalty = float(Penalty.of(law, train, weight=3.0)(fitted.predict(train).mean).mean())
    if name in (
        "ensemble",
        "diverse-fno",
    ):  # each of several means is weighed: no less than their average is (Jensen)
        assert added > penalty > 0.0
    elif "dropout" in name:
        assert added == pytest.approx(penalty, rel=0.5)
    else:
        assert added == pytest.approx(penalty, rel=1e-4)


def test_a_heavy_penalty_brings_predictions_nearer_to_the_law():
    data = lb.generate("burgers-dirichlet", 20, nx=17, nt=4, seed=1)
    law, longer = Conservation(), replace(FNO, epochs=30, validate_every=30, learning_rate=1e-2)

    def miss(**given):
        prediction = fitted_on(data, longer, **given).predict(of_split(data, "train"))
        return np.square(law.on(prediction.inputs).residual(prediction.mean.numpy())[:, 1:]).mean()

    assert miss(penalties=(Penalised(law, 30.0),)) < 0.5 * miss()


@pytest.mark.parametrize(
    ("problem", "constraint"),
    [
        ("stefan", Bounds(0.0, 1.0) & Monotone() & TotalVariation()),
        ("heat-neumann", Neumann() & Conservation()),
    ],
)
@pytest.mark.parametrize("name", ["fno", "fno in steps", "ensemble", "diverse-fno"])
def test_parts_of_any_kind_can_be_penalised(problem, constraint, name):
    data = lb.generate(problem, 20, nx=17, nt=4, seed=1)
    learner = replace(LEARNERS[name], parameters=True)
    fitted = fitted_on(data, learner, penalties=(Penalised(constraint, 1.0),))
    plain = fitted_on(data, learner)
    assert any(not torch.equal(tensor, plain.tensors()[key]) for key, tensor in fitted.tensors().items())


def test_compiled_training_takes_the_same_steps(line, monkeypatch):
    compiler = torch.compile
    backend = lambda graph, inputs: graph.forward  # noqa: E731
    monkeypatch.setattr(torch, "compile", lambda function, **mode: compiler(function, backend=backend))
    given = {"inside": WALLS, "penalties": (Penalised(Conservation(tolerance="exact")),)}
    for name in ("fno-bc", "fno in steps", "ensemble"):
        plain = fitted_on(line, LEARNERS[name], **given)
        compiled = fitted_on(line, LEARNERS[name], compile=True, **given)
        for key, tensor in plain.tensors().items():
            torch.testing.assert_close(compiled.tensors()[key], tensor, rtol=1e-3, atol=1e-4)


class Doubled(nn.Module):
    """Twice what the network says, and the first right-hand side."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, channels, series, tables):
        shape = (len(channels), 1, series[0].shape[1], *[1] * (channels.ndim - 3))
        return 2.0 * self.network(channels) + series[0][..., 0].float().reshape(shape)


class Wrapping:
    """An operator that opens the network, too."""

    spec, inputs = "dirichlet:wrapping", ()

    def __init__(self):
        self.read, self.outputs, self.left = WALLS.read, WALLS.outputs, WALLS.left

    def wrap(self, network, origin):
        assert network.network is not None and origin.fields == ("u",)
        return Doubled(network)


@pytest.mark.parametrize("name", ["fno", "ensemble", "diverse-fno"])
def test_an_enforcement_may_put_itself_in_the_networks_place_and_reads_the_boundary_series(line, name):
    fitted, test = fitted_on(line, LEARNERS[name], inside=Wrapping()), of_split(line, "test")
    assert_obeys(fitted.predict(test), Dirichlet())
    assert not torch.equal(
        fitted.predict(test).mean, fitted_on(line, LEARNERS[name], inside=WALLS).predict(test).mean
    )


# The command line.


def test_the_command_line_trains_predicts_and_compares(tmp_path, capsys):
    data, folder = str(tmp_path / "data"), str(tmp_path / "run")
    assert run(["generate", "burgers-dirichlet", "-n", "20", "--nx", "17", "--nt", "4", "-o", data]) == 0
    options = [
        word for name, value in TINY.items() if name != "epochs" for word in ("--option", f"{name}={value}")
    ]
    train = ["train", "fno", data, "-o", folder, "--epochs", "2", *options]
    spec = "dirichlet&conservation:operator(kernel=exponential, length=0.1)"
    assert run([*train, "--constraint", spec, "--constraint", "conservation:penalty(weight=0.1)"]) == 0
    capsys.readouterr()
    assert run(["info", folder, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["constraints"]) == 2
    assert run(["predict", folder, data, "-o", str(tmp_path / "p.nc")]) == 0
    capsys.readouterr()
    assert run(["compare", folder, "--data", data, "--constraint", "conservation:condition", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    rows = {(row["method"], row["metric"]): row["value"] for row in told["rows"]}
    name = "fno+operator(dirichlet&conservation)+penalty(conservation)"
    assert abs(rows[name, "ce"]) < 1e-12 and abs(rows[f"{name}+probconserv", "ce"]) < 1e-12
    assert "bc_u_*" in told["inputs"][name]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("dirichlet", "does not say how"),
        ("dirichlet:condition", "no part of training.*lawbound compare"),
        ("dirichlet:lift", "no part of training"),
        ("dirichlt:operator", "Did you mean dirichlet"),
        ("dirichlet:operator(lenth=1)", "takes method, kernel, length"),
        ("dirichlet:operator(length=0)", "length=0"),
        ("dirichlet:operator(kernel=gauss)", "not a kernel"),
        ("conservation:penalty(weight=-1)", "weight=-1"),
    ],
)
def test_specs_that_make_no_sense_are_wrong_arguments(tmp_path, capsys, spec, said):
    with pytest.raises(ValueError, match=said):
        specs.in_training(spec)
    assert run(["train", "fno", "data", "-o", str(tmp_path / "run"), "--constraint", spec]) == 2


def test_what_cannot_be_part_of_a_network_is_refused(line):
    with pytest.raises(ValueError, match=r"`gp` has no network on a grid.*`condition`"):
        specs.constrained(learner_of("gp", {}), ["dirichlet:operator"])
    with pytest.raises(ValueError, match="`anp` has no network"):
        specs.constrained(learner_of("anp", {}), ["conservation:penalty", "dirichlet:operator"])
    with pytest.raises(ValueError, match="write them as one"):
        specs.constrained(FNO, ["dirichlet:operator", "conservation:operator"])
    data = lb.generate("stefan", 20, nx=17, nt=4, seed=1)
    learner = replace(FNO, parameters=True)
    for constraint in (Bounds(0.0, 1.0), Monotone(), Dirichlet() & TotalVariation()):
        with pytest.raises(ValueError, match=r"linear equalities, which .* are not; train with `penalty`"):
            fitted_on(data, learner, inside=Operator(constraint))
    with pytest.raises(ValueError, match="reads u, all of it"):
        fitted_on(data, learner, inside=Operator(Conservation(mass="quadrature")))
    with pytest.raises(ValueError, match="two phases"):
        fitted_on(data, learner, penalties=(Penalised(TwoPhase()),))
    wave = lb.generate("wave", 20, nx=17, nt=4, seed=1)
    with pytest.raises(ValueError, match=r"`energy` is nonlinear.*condition"):
        fitted_on(wave, learner, penalties=(Penalised(Energy()),))
    with pytest.raises(ValueError, match="no neumann wall"):
        fitted_on(line, FNO, inside=Operator(Neumann()))
