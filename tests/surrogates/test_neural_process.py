"""The attentive neural process: its network, its loss, its training, its predictions."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from lawbound.datasets.points import context_points, target_points
from lawbound.datasets.split import of_split
from lawbound.surrogates import checkpoint, neural_process, training
from lawbound.surrogates.attentive_network import Attention, AttentiveNetwork, Batch, Decoder, loss
from lawbound.surrogates.neural_process import AttentiveNeuralProcess
from lawbound.surrogates.streams import stream

SMALL = AttentiveNeuralProcess(
    width=16, heads=2, epochs=4, batch=6, learning_rate=1e-2, validate_every=2, draws=4
)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    # Small products are slower on two threads, and far slower while something else is running.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def splits(stefan):
    return of_split(stefan, "train").isel(sample=slice(12)), of_split(stefan, "valid")


@pytest.fixture(scope="module")
def fitted(splits):
    return SMALL.fit(*splits, seed=3)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return AttentiveNetwork(16, 2, 0.1).eval()


def drawn(*shape, seed=1):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def equal_tensors(one, other):
    return one.tensors().keys() == other.tensors().keys() and all(
        torch.equal(tensor, other.tensors()[name]) for name, tensor in one.tensors().items()
    )


# The network.


def test_the_published_network_has_989826_parameters():
    network = AttentiveNeuralProcess()._network()
    assert sum(parameter.numel() for parameter in network.parameters()) == 989_826


def test_weights_start_xavier_uniform_with_the_gain_of_what_follows():
    torch.manual_seed(0)
    network = AttentiveNetwork(64, 4, 0.1)
    before_relu = {"latent_encoder.hidden", "decoder.first", "decoder.second", "decoder.third"}
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Linear):
            gain = torch.nn.init.calculate_gain("relu" if name in before_relu else "linear")
            bound = gain * (6.0 / (module.in_features + module.out_features)) ** 0.5
            assert 0.95 * bound < module.weight.abs().max() <= bound, name


def test_attention_is_the_formula_head_by_head():
    torch.manual_seed(0)
    block = Attention(6, 3, 0.1).eval()
    query, keys, values = drawn(4, 6), drawn(5, 6, seed=2), drawn(5, 6, seed=3)
    heads = []
    for head in range(3):
        part = slice(2 * head, 2 * head + 2)
        q, k, v = (
            query @ block.query.weight[part].T,
            keys @ block.key.weight[part].T,
            values @ block.value.weight[part].T,
        )
        heads.append(torch.softmax(q @ k.T / 2**0.5, dim=1) @ v)
    mixed = block.output(torch.cat([query, *heads], dim=1))
    close(block(query, keys, values), torch.nn.functional.layer_norm(query + mixed, (6,)))


def test_encoders_are_chains_of_attention(network):
    contexts, where = drawn(2, 7, 3), drawn(2, 5, 2, seed=2)
    latent, deterministic = network.latent_encoder, network.deterministic_encoder
    summed = latent.points(contexts)
    for block in latent.attention:
        summed = block(summed, summed, summed)
    hidden = torch.relu(latent.hidden(summed.sum(1) / 7))
    close(network.latent(contexts), (latent.mean(hidden), latent.log_variance(hidden)))

    values = deterministic.points(contexts)
    for block in deterministic.self_attention:
        values = block(values, values, values)
    # Keys and queries come from (t, x) alone; the answer of the first cross-attention asks the second.
    keys, asking = deterministic.keys(contexts[:, :, [0, 1]]), deterministic.queries(where)
    for block in deterministic.cross_attention:
        asking = block(asking, keys, values)
    close(network.attend(network.encode(contexts), where), asking)


def test_decoder_is_the_perceptron_of_the_concatenation():
    torch.manual_seed(0)
    decoder = Decoder(6)
    represented, z, where = drawn(3, 5, 6), drawn(4, 3, 6, seed=2), drawn(3, 5, 2, seed=3)
    joined = torch.cat(
        [
            represented.expand(4, -1, -1, -1),
            z.unsqueeze(2).expand(-1, -1, 5, -1),
            decoder.coordinates(where).expand(4, -1, -1, -1),
        ],
        dim=-1,
    )
    for layer in (decoder.first, decoder.second, decoder.third):
        joined = torch.relu(layer(joined))
    mean, raw = decoder.output(joined).unbind(-1)
    close(decoder(represented, z, where), (mean, torch.nn.functional.softplus(raw) + 1e-3))


def decoded(network, contexts, where):
    """Mean and std with z at the prior's mean."""
    return network.decode(
        network.attend(network.encode(contexts), where), network.latent(contexts).mean, where
    )


def test_the_order_of_the_context_does_not_matter(network):
    contexts, where = drawn(2, 7, 3), drawn(2, 5, 2, seed=2)
    shuffled = contexts[:, torch.tensor([3, 1, 6, 0, 2, 5, 4])]
    close(decoded(network, shuffled, where), decoded(network, contexts, where))
    close(network.latent(shuffled), network.latent(contexts))
    # But which value stands where does.
    swapped = torch.cat([contexts[..., :2], contexts[..., 2:].flip(1)], dim=-1)
    assert not torch.allclose(network.latent(swapped).mean, network.latent(contexts).mean, atol=1e-3)


def test_targets_are_answered_each_by_itself(network):
    contexts, where = drawn(2, 7, 3), drawn(2, 5, 2, seed=2)
    together = torch.stack(decoded(network, contexts, where))
    order = torch.tensor([4, 2, 0, 1, 3])
    close(torch.stack(decoded(network, contexts, where[:, order])), together[..., order])
    for target in range(5):
        alone = torch.stack(decoded(network, contexts, where[:, target : target + 1]))
        close(alone[..., 0], together[..., target])


def test_dropout_acts_on_the_weights_and_on_the_output():
    torch.manual_seed(0)
    block = Attention(4, 1, 0.5).train()
    block.norm = torch.nn.Identity()
    torch.nn.init.zeros_(block.output.bias)
    block.output.weight.data = torch.cat([torch.zeros(4, 4), torch.eye(4)], dim=1)
    queries, key = drawn(200, 4), drawn(1, 4, seed=2)
    # With one key its weight is 1. Each mask drops or doubles: together 0 or 4, where one alone would give 0 or 2.
    factors = (block(queries, key, key) - queries) / block.value(key)
    assert set(factors.detach().round(decimals=2).abs().flatten().tolist()) == {0.0, 4.0}
    assert set(
        (block.eval()(queries, key, key) - queries - block.value(key))
        .detach()
        .round(decimals=4)
        .abs()
        .flatten()
        .tolist()
    ) == {0.0}


# The loss.


def test_loss_is_the_slow_obvious_formula(network):
    batch = Batch(drawn(3, 7, 3), drawn(3, 5, 3, seed=2))
    with torch.random.fork_rng():
        torch.manual_seed(4)
        fast = loss(network, batch)
        torch.manual_seed(4)
        noise = torch.randn(3, 16)
    for sample in range(3):
        contexts, targets = batch.contexts[sample], batch.targets[sample]
        prior, posterior = (
            Normal(gaussian.mean, torch.exp(gaussian.log_variance) ** 0.5)
            for gaussian in (network.latent(contexts), network.latent(targets))
        )
        slow = sum(kl_divergence(posterior, prior))
        z = posterior.mean + posterior.stddev * noise[sample]
        for point in targets:
            where = point[None, :2]
            mean, std = network.decode(network.attend(network.encode(contexts), where), z, where)
            slow = slow - Normal(mean[0], std[0]).log_prob(point[2])
        torch.testing.assert_close(fast[sample], slow, rtol=1e-4, atol=1e-3)


def test_loss_needs_no_divergence_when_targets_are_the_context(network):
    contexts = drawn(2, 7, 3)
    prior = network.latent(contexts)
    close(prior.divergence_from(prior), torch.zeros(2))


# Training.


@pytest.fixture
def given_to_training(monkeypatch, splits):
    """The arguments with which the learner calls the training loop."""
    seen = {}

    def record(network, loss, batches, validate, settings, **rest):
        seen.update(rest, network=network, batches=batches, validate=validate, settings=settings)

    monkeypatch.setattr(training, "train", record)
    SMALL.fit(*splits, seed=3)
    return seen


def by_first_number(points):
    """Functions in an order that does not depend on how they were shuffled."""
    return points[torch.argsort(points[:, :, 2].sum(1) + 10 * points[:, 0, 1])]


def test_an_epoch_is_every_function_once_with_its_own_context_and_new_targets(given_to_training, splits):
    data, _ = splits
    epochs = [given_to_training["batches"](epoch) for epoch in (1, 2)]
    assert [len(batch.contexts) for batch in epochs[0]] == [6, 6]
    first, second = (Batch(*(torch.cat(parts) for parts in zip(*epoch, strict=True))) for epoch in epochs)
    assert not torch.equal(first.contexts, second.contexts)
    assert torch.equal(by_first_number(first.contexts), by_first_number(second.contexts))
    picked = context_points(data, seed=0)
    stored = np.concatenate(
        [picked.coordinates(data.t.values, data.x.values), picked.values(data.u.values)[..., None]], axis=-1
    ).astype(np.float32)
    assert torch.equal(by_first_number(first.contexts), by_first_number(torch.from_numpy(stored)))
    assert not torch.equal(by_first_number(first.targets), by_first_number(second.targets))
    again = given_to_training["batches"](1)
    assert all(
        torch.equal(a, b)
        for one, other in zip(epochs[0], again, strict=True)
        for a, b in zip(one, other, strict=True)
    )


def test_context_and_targets_of_a_batch_are_stored_points_of_the_same_function(given_to_training, splits):
    data, _ = splits
    lookup = {
        number: {
            (np.float32(t), np.float32(x)): field[i, j]
            for i, t in enumerate(data.t.values)
            for j, x in enumerate(data.x.values)
        }
        for number, field in zip(data.sample.values, data.u.values, strict=True)
    }
    for batch in given_to_training["batches"](1):
        for contexts, targets in zip(batch.contexts.numpy(), batch.targets.numpy(), strict=True):
            assert contexts.shape == targets.shape == (100, 3)
            holders = [
                number
                for number, field in lookup.items()
                if all(field[t, x] == u for t, x, u in [*contexts, *targets])
            ]
            assert len(holders) == 1


def picked_once(data):
    """A batch of contexts and targets that only depends on the context seed."""
    functions = neural_process._Functions.of(data, "u")
    targets = target_points(data, stream(0, "validation", 0))
    return Batch(functions.context(0), functions.at(targets))


def test_validation_is_the_mean_loss_per_function_and_always_the_same(given_to_training, splits):
    network, validate = given_to_training["network"].eval(), given_to_training["validate"]
    answers = []
    for compute in (validate, validate, lambda network: loss(network, picked_once(splits[1])).mean()):
        with training.seeded(3, torch.device("cpu")), torch.no_grad():
            answers.append(float(compute(network)))
    assert answers[0] == answers[1] == pytest.approx(answers[2], rel=1e-6)


def test_training_lowers_the_validation_loss(splits):
    reports = []
    replace(SMALL, epochs=16, dropout=0.0).fit(*splits, on_progress=reports.append)
    assert reports[-1].valid < reports[0].valid - 30.0
    assert reports[-1].train < reports[0].train


def test_same_seed_same_network_bit_for_bit(fitted, splits):
    assert equal_tensors(SMALL.fit(*splits, seed=3), fitted)
    assert not equal_tensors(SMALL.fit(*splits, seed=4), fitted)


def test_fitting_leaves_the_global_random_state_alone(splits):
    before = torch.get_rng_state()
    replace(SMALL, epochs=1).fit(*splits)
    assert torch.equal(torch.get_rng_state(), before)


class Stopped(Exception):
    pass


def test_stopped_and_resumed_is_as_never_stopped(fitted, splits, tmp_path):
    def stop(progress):
        if progress.epoch == 2:
            raise Stopped

    with pytest.raises(Stopped):
        SMALL.fit(*splits, seed=3, folder=tmp_path, on_progress=stop)
    assert equal_tensors(SMALL.fit(*splits, seed=3, folder=tmp_path, resume=True), fitted)


def test_more_epochs_go_on_from_fewer(fitted, splits, tmp_path):
    replace(SMALL, epochs=3).fit(*splits, seed=3, folder=tmp_path)
    assert equal_tensors(SMALL.fit(*splits, seed=3, folder=tmp_path, resume=True), fitted)


def test_options_of_prediction_do_not_stand_in_the_way_of_resuming(fitted, splits, tmp_path):
    SMALL.fit(*splits, seed=3, folder=tmp_path)
    other = replace(SMALL, draws=7, prediction_seed=1, dropout_at_prediction=True)
    assert equal_tensors(other.fit(*splits, seed=3, folder=tmp_path, resume=True), fitted)


def test_compiled_training_minimises_the_same_loss_compiled(monkeypatch, splits):
    seen = {}
    monkeypatch.setattr(training, "train", lambda network, loss, *rest, **more: seen.update(more, loss=loss))
    # A backend that runs what was traced: the compiler itself is PyTorch's affair, and slow.
    traced = []
    compiler = torch.compile
    backend = lambda graph, inputs: traced.append(graph) or graph.forward  # noqa: E731
    monkeypatch.setattr(torch, "compile", lambda function: compiler(function, backend=backend))
    fitted = replace(SMALL, compiled=True).fit(*splits, seed=3)
    assert seen["identity"]["compiled"]
    points = torch.rand(2, 2, 5, 3, generator=torch.Generator().manual_seed(0))
    batch = Batch(points[0], points[1])
    with training.seeded(1, torch.device("cpu")):
        compiled = seen["loss"](fitted.network.eval(), batch)
    with training.seeded(1, torch.device("cpu")):
        assert torch.equal(compiled, loss(fitted.network.eval(), batch))
    assert traced


@pytest.mark.parametrize("change", [{"width": 8}, {"normalise": True}, {"batch": 4}, {"context_seed": 1}])
def test_a_training_with_other_options_is_not_resumed(splits, tmp_path, change):
    replace(SMALL, epochs=1).fit(*splits, folder=tmp_path)
    (name,) = change
    with pytest.raises(ValueError, match=f"{name}={change[name]} asked for"):
        replace(SMALL, **change).fit(*splits, folder=tmp_path, resume=True)


def test_a_training_on_other_data_is_not_resumed(splits, tmp_path):
    train, valid = splits
    replace(SMALL, epochs=1).fit(train, valid, folder=tmp_path)
    with pytest.raises(ValueError, match=r"train=\['.*', 10, 21, 40\] asked for"):
        SMALL.fit(train.isel(sample=slice(10)), valid, folder=tmp_path, resume=True)


def test_what_comes_back_is_the_best_on_validation(splits, tmp_path):
    # A rate so high that the loss goes down and up.
    learner = replace(SMALL, learning_rate=0.4, epochs=5, validate_every=1)
    reports = []
    best = learner.fit(*splits, folder=tmp_path, on_progress=reports.append)
    losses = [report.valid for report in reports]
    epoch = 1 + int(np.argmin(losses))
    assert epoch < 5
    assert equal_tensors(replace(learner, epochs=epoch).fit(*splits), best)


def test_a_loss_that_is_not_finite_stops_training_and_leaves_the_last_state(splits, tmp_path, monkeypatch):
    reports = []

    def spoilt(network, batch):
        values = loss(network, batch)
        return values * torch.nan if network.training and len(reports) == 1 else values

    monkeypatch.setattr(neural_process, "loss", spoilt)
    with pytest.raises(
        training.Diverged, match=r"loss is nan in epoch 3, batch 1 of 2\. Lower the learning rate"
    ):
        SMALL.fit(*splits, seed=3, folder=tmp_path, on_progress=reports.append)
    monkeypatch.undo()
    rescued = replace(SMALL, epochs=2).fit(*splits, seed=3, folder=tmp_path, resume=True)
    assert equal_tensors(rescued, replace(SMALL, epochs=2).fit(*splits, seed=3))


def test_data_that_cannot_be_learnt_from_are_refused(splits):
    train, valid = splits
    with pytest.raises(ValueError, match="trained on `stefan`, the data are of `pme`"):
        SMALL.fit(train, valid.assign_attrs(lawbound_problem="pme"))
    hole = train.copy(deep=True)
    hole.u[2, 3, 4] = np.nan
    with pytest.raises(ValueError, match="training data are not finite in sample 2"):
        SMALL.fit(hole, valid)
    with pytest.raises(ValueError, match="validation data are not finite"):
        SMALL.fit(train, hole)
    with pytest.raises(ValueError, match="stores 9 times and 40 positions"):
        SMALL.fit(train.isel(t=slice(9)), valid)


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 0}, {"heads": 0}, {"batch": 0}, {"draws": 0}, {"epochs": 0}, {"validate_every": 0},
        {"learning_rate": -1e-3}, {"clip_norm": 0.0}, {"dropout": 1.0}, {"dropout": -0.1},
        {"context_seed": -1}, {"prediction_seed": -1},
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name}={wrong[name]}; give"):
        AttentiveNeuralProcess(**wrong)


def test_options_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="multiple of the heads"):
        AttentiveNeuralProcess(width=10, heads=4)
    with pytest.raises(ValueError, match="needs a dropout above 0"):
        AttentiveNeuralProcess(dropout=0.0, dropout_at_prediction=True)


# Prediction.


def with_options(fitted, **changes):
    return replace(fitted, learner=replace(fitted.learner, **changes))


def means_of(prediction):
    return prediction.means, prediction.covariance.variance()


def test_prediction_is_a_mixture_over_latent_draws(fitted, stefan_test):
    prediction = fitted.predict(stefan_test)
    assert prediction.means.shape == prediction.covariance.shape == (4, 4, 21, 40)
    assert prediction.means.dtype == prediction.covariance.variance().dtype == torch.float64
    assert not prediction.means.is_inference()
    assert (prediction.means.std(0) > 0).all()
    assert (prediction.covariance.variance() > 1e-6).all()
    assert prediction.inputs.identical(stefan_test)


def test_prediction_is_the_network_drawn_from_the_prior(fitted, stefan_test):
    means, variances = means_of(fitted.predict(stefan_test))
    functions = neural_process._Functions.of(stefan_test, "u")
    network, contexts = fitted.network, functions.context(0)
    where = torch.tensor([(t, x) for t in stefan_test.t.values for x in stefan_test.x.values]).float()
    for sample, number in enumerate(functions.numbers):
        prior = network.latent(contexts[sample])
        for draw in range(4):
            z = prior.mean + torch.exp(0.5 * prior.log_variance) * fitted._noise([number])[draw, 0]
            mean, std = network.decode(network.attend(network.encode(contexts[sample]), where), z, where)
            close(means[draw, sample].flatten(), mean.detach().double())
            close(variances[draw, sample].flatten(), std.detach().double() ** 2)


def test_latent_draws_are_standard_normal_and_differ_between_samples(fitted):
    noise = with_options(fitted, draws=2000)._noise([0, 1])
    assert noise.shape == (2000, 2, 16)
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1.0) < 0.02
    assert abs((noise[:, 0] * noise[:, 1]).mean()) < 0.02


@pytest.mark.parametrize("masks", [False, True])
def test_prediction_depends_on_its_seed_alone(fitted, stefan_test, masks):
    surrogate = with_options(fitted, dropout_at_prediction=masks)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = surrogate.predict(stefan_test)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(surrogate.predict(stefan_test).means, first.means)
    other = with_options(surrogate, prediction_seed=1).predict(stefan_test)
    assert not torch.allclose(other.means, first.means, atol=1e-3)


@pytest.mark.parametrize("masks", [False, True])
def test_a_sample_gets_the_same_prediction_in_any_company(fitted, stefan_test, masks):
    surrogate = with_options(fitted, dropout_at_prediction=masks)
    together = surrogate.predict(stefan_test)
    alone = surrogate.predict(stefan_test.isel(sample=[2]))
    close(alone.means[:, 0], together.means[:, 2])


def test_chosen_times_are_those_of_the_full_prediction(fitted, stefan_test):
    times = np.array([3, 10, 20])
    few, all_times = fitted.predict(stefan_test, times=times), fitted.predict(stefan_test)
    close(few.means, all_times.means[:, :, times])
    close(few.covariance.variance(), all_times.covariance.variance()[:, :, times])
    assert few.inputs.identical(stefan_test.isel(t=times))


def test_fewer_draws_are_the_first_of_more(fitted, stefan_test):
    two = with_options(fitted, draws=2).predict(stefan_test)
    close(two.means, fitted.predict(stefan_test).means[:2])


@pytest.mark.parametrize("rows", [1, 50, 4 * 21 * 40 * 3])
def test_predicting_in_pieces_does_not_change_the_answer(fitted, stefan_test, monkeypatch, rows):
    times = np.array([5, 20])
    whole = fitted.predict(stefan_test, times=times)
    monkeypatch.setattr(neural_process, "ROWS", rows)
    pieces = fitted.predict(stefan_test, times=times)
    close(pieces.means, whole.means)
    close(pieces.covariance.variance(), whole.covariance.variance())


def test_no_more_rows_than_allowed_pass_the_decoder_at_once(fitted, stefan_test, monkeypatch):
    sizes = []

    def counting(represented, z, where):
        mean, std = Decoder.forward(fitted.network.decoder, represented, z, where)
        sizes.append(mean.numel())
        return mean, std

    monkeypatch.setattr(fitted.network.decoder, "forward", counting)
    monkeypatch.setattr(neural_process, "ROWS", 1000)
    fitted.predict(stefan_test)
    assert max(sizes) <= 1000
    assert sum(sizes) == 4 * 4 * 21 * 40


def test_of_the_field_only_the_context_is_read(fitted, stefan_test):
    picked = context_points(stefan_test, seed=0)
    hidden = stefan_test.copy(deep=True)
    hidden["u"][:] = np.nan
    for sample in range(4):
        cross = np.ix_(picked.times[sample], picked.positions[sample])
        hidden.u.values[sample][cross] = stefan_test.u.values[sample][cross]
    assert torch.equal(fitted.predict(hidden).means, fitted.predict(stefan_test).means)


def test_another_context_seed_reads_other_points(fitted, stefan_test):
    other = with_options(fitted, context_seed=1).predict(stefan_test)
    assert not torch.allclose(other.means, fitted.predict(stefan_test).means, atol=1e-3)


def test_dropout_at_prediction_spreads_what_the_latent_does_not(fitted, stefan_test):
    narrow = {name: tensor.clone() for name, tensor in fitted.tensors().items()}
    narrow["latent_encoder.log_variance.weight"].zero_()
    narrow["latent_encoder.log_variance.bias"].fill_(-60.0)
    certain = fitted.learner.restore(narrow, fitted.origin)
    assert certain.predict(stefan_test).means.std(0).max() < 1e-5
    masked = with_options(certain, dropout_at_prediction=True)
    assert masked.predict(stefan_test).means.std(0).median() > 1e-3
    assert not certain.network.training


def test_each_draw_is_one_coherent_pass(fitted, stefan_test, monkeypatch):
    """With masks, the context is encoded once for each draw, however the targets are cut."""
    lengths = []
    original = AttentiveNetwork.encode

    def counting(self, contexts):
        lengths.append(tuple(contexts.shape))
        return original(self, contexts)

    monkeypatch.setattr(AttentiveNetwork, "encode", counting)
    monkeypatch.setattr(neural_process, "ROWS", 100)
    with_options(fitted, dropout_at_prediction=True).predict(stefan_test, times=np.array([1, 2]))
    assert lengths == 4 * [(4, 1, 100, 3)]


def test_inputs_that_cannot_be_predicted_from_are_refused(fitted, stefan_test):
    with pytest.raises(ValueError, match="trained on `stefan`, the data are of `pme`"):
        fitted.predict(stefan_test.assign_attrs(lawbound_problem="pme"))
    with pytest.raises(ValueError, match="no field `u`"):
        fitted.predict(stefan_test.drop_vars("u"))
    with pytest.raises(ValueError, match="stores 21 times and 9 positions"):
        fitted.predict(stefan_test.isel(x=slice(9)))
    for times in ([21], [-1], []):
        with pytest.raises(ValueError, match="give indices from 0 to 20"):
            fitted.predict(stefan_test, times=np.array(times, dtype=np.int64))
    hole = stefan_test.copy(deep=True)
    picked = context_points(stefan_test, seed=0)
    time, position = int(picked.times[1, 4]), int(picked.positions[1, 7])
    hole.u[1, time, position] = np.nan
    where = rf"sample 1 is not finite at \(t, x\) = \({hole.t.values[time]:g}, {hole.x.values[position]:g}\)"
    with pytest.raises(ValueError, match=where):
        fitted.predict(hole)


# Normalisation.


def test_normalised_training_commutes_with_a_change_of_units(splits, stefan_test):
    """Doubling u (which is exact in binary) doubles every prediction; a shift shifts it, up to rounding."""
    learner = replace(SMALL, normalise=True, epochs=2)
    means, variances = means_of(learner.fit(*splits).predict(stefan_test))

    def changed(factor, shift):
        train, valid, test = (data.assign(u=factor * data.u + shift) for data in (*splits, stefan_test))
        return means_of(learner.fit(train, valid).predict(test))

    doubled, quadrupled = changed(2.0, 0.0)
    torch.testing.assert_close(doubled, 2.0 * means, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(quadrupled, 4.0 * variances, rtol=1e-6, atol=1e-6)
    shifted, same = changed(1.0, 2.0)
    torch.testing.assert_close(shifted, means + 2.0, rtol=0.0, atol=0.02)
    torch.testing.assert_close(same, variances, rtol=0.1, atol=1e-3)


def test_without_normalising_the_network_sees_the_numbers_as_they_are(fitted):
    assert torch.equal(fitted.tensors()["shift"], torch.zeros(3))
    assert torch.equal(fitted.tensors()["scale"], torch.ones(3))


def test_normalising_maps_the_domain_to_a_square_and_u_to_unit_variance(splits):
    train, valid = splits
    fitted = replace(SMALL, normalise=True, epochs=1).fit(train, valid)
    contexts = neural_process._Functions.of(train, "u").context(0)
    scaled = (contexts - fitted.network.shift) / fitted.network.scale
    assert scaled[..., :2].abs().max() <= 1.0 + 1e-6
    assert scaled[..., :2].abs().amax((0, 1)).min() > 0.9
    assert abs(scaled[..., 2].mean()) < 1e-5
    assert abs(scaled[..., 2].std() - 1.0) < 1e-5


# Run folders.


@pytest.mark.parametrize("change", [{}, {"normalise": True, "dropout_at_prediction": True}])
def test_a_saved_surrogate_predicts_the_same_bit_for_bit(splits, stefan_test, tmp_path, change):
    learner = replace(SMALL, epochs=1, **change)
    fitted = learner.fit(*splits)
    checkpoint.save(tmp_path, learner, fitted, seed=0)
    loaded = checkpoint.load(tmp_path)
    assert loaded.learner == learner
    assert loaded.origin == fitted.origin
    for saved, found in zip(
        means_of(fitted.predict(stefan_test)), means_of(loaded.predict(stefan_test)), strict=True
    ):
        assert torch.equal(saved, found)


def test_options_make_an_equal_learner_after_a_trip_through_json():
    learner = AttentiveNeuralProcess(width=32, clip_norm=0.5, dropout_at_prediction=True)
    assert AttentiveNeuralProcess(**json.loads(json.dumps(dict(learner.options())))) == learner


@pytest.fixture
def run(fitted, tmp_path):
    checkpoint.save(tmp_path, SMALL, fitted, seed=3)
    return tmp_path


def test_a_truncated_model_is_refused(run):
    content = (run / checkpoint.MODEL).read_bytes()
    (run / checkpoint.MODEL).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="does not fit a `anp`"):
        checkpoint.load(run)


@pytest.mark.parametrize(
    "change",
    [
        {"surrogate": "gp"},
        {"surrogate": "gp", "options": {}},
        {"options": dict(replace(SMALL, width=8).options())},
        {"options": {"wide": 8}},
    ],
)
def test_a_model_under_the_configuration_of_another_is_refused(run, change):
    config = json.loads((run / checkpoint.CONFIG).read_text())
    (run / checkpoint.CONFIG).write_text(json.dumps(config | change))
    with pytest.raises(ValueError, match="does not fit a"):
        checkpoint.load(run)


def test_restoring_leaves_the_global_random_state_alone(fitted):
    before = torch.get_rng_state()
    SMALL.restore(fitted.tensors(), fitted.origin)
    assert torch.equal(torch.get_rng_state(), before)
