"""The training loop: what it returns, what it keeps, and how it goes on."""

import json
from itertools import pairwise

import pytest
import torch
from torch import nn

from lawbound.surrogates import training
from lawbound.surrogates.checkpoint import LOG, TRAIN_STATE
from lawbound.surrogates.training import Diverged, Settings

CPU = torch.device("cpu")
PLENTY = {"learning_rate": 3e-2, "validate_every": 2}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def points(seed, count):
    inputs = torch.rand(count, 2, generator=torch.Generator().manual_seed(seed))
    return inputs, (3 * inputs[:, :1]).sin() + inputs[:, 1:] ** 2


TRAIN, VALID = points(0, 40), points(1, 20)


def network(width=8, seed=0):
    with training.seeded(seed, CPU):
        return nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Dropout(0.2), nn.Linear(width, 1))


def loss(net, batch):
    inputs, values = batch
    return ((net(inputs) - values) ** 2).squeeze(-1)


def batches(epoch):
    order = torch.randperm(len(TRAIN[0]), generator=torch.Generator().manual_seed(epoch))
    return [(TRAIN[0][chosen], TRAIN[1][chosen]) for chosen in order.split(10)]


def validate(net):
    return float(loss(net, VALID).mean())


def trained(
    epochs, folder=None, *, net=None, seed=5, identity=None, resume=False, on_progress=None, **changes
):
    """A network trained on the toy problem, or whatever of it is replaced."""
    parts = {"loss": loss, "batches": batches, "validate": validate}
    parts |= {name: changes.pop(name) for name in list(changes) if name in parts}
    net = net if net is not None else network()
    training.train(
        net, parts["loss"], parts["batches"], parts["validate"], Settings(epochs, **{**PLENTY, **changes}),
        seed=seed, identity=identity or {"data": "toy"}, folder=folder, resume=resume,
        on_progress=on_progress or (lambda progress: None),
    )  # fmt: skip
    return net


def weights(net):
    return torch.cat([tensor.flatten() for tensor in net.state_dict().values()])


def log(folder):
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


def untimed(lines):
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def interrupted_in(epoch, seen=batches):
    def stopping(number):
        if number == epoch:
            raise KeyboardInterrupt
        return seen(number)

    return stopping


def test_the_validation_loss_falls():
    reports = []
    trained(30, on_progress=reports.append)
    assert [report.epoch for report in reports] == list(range(2, 31, 2))
    assert {report.epochs for report in reports} == {30}
    assert all(earlier.seconds < later.seconds for earlier, later in pairwise(reports))
    # The values have a variance of 0.2 about their mean.
    assert reports[-1].valid < 0.15
    assert reports[-1].train < 0.2 * reports[0].train


def test_the_sum_over_samples_is_minimised_and_their_mean_is_logged():
    def constant(net, batch):
        return loss(net, batch) * 0 + torch.arange(float(len(batch[0])))

    reports = []
    trained(1, loss=constant, on_progress=reports.append)
    assert reports[0].train == 4.5
    # Adam does not see a factor, clipping does: the sum over 10 samples is clipped as 10 times the mean.
    mean = trained(4, loss=lambda net, batch: 10 * loss(net, batch).mean(), clip_norm=0.5)
    torch.testing.assert_close(weights(trained(4, clip_norm=0.5)), weights(mean))
    assert not torch.equal(weights(trained(4, clip_norm=0.5)), weights(trained(4)))


def test_same_seed_same_weights_bit_for_bit_and_another_seed_others():
    assert torch.equal(weights(trained(4)), weights(trained(4)))
    # The batches and the starting weights are the same: what differs are the dropout masks.
    assert not torch.equal(weights(trained(4)), weights(trained(4, seed=6)))


def test_global_random_state_is_neither_used_nor_moved():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = trained(3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(weights(trained(3)), weights(first))


def test_validation_has_the_same_random_numbers_each_time_and_takes_none_from_training():
    drawn = []

    def random_validate(net):
        drawn.append(float(torch.rand(())))
        return validate(net)

    assert torch.equal(weights(trained(6, validate=random_validate)), weights(trained(6)))
    assert len(drawn) == 3
    assert len(set(drawn)) == 1


def test_validation_sees_the_network_in_evaluation_mode_without_gradients():
    modes = []

    def looking(net):
        modes.append((net.training, torch.is_grad_enabled()))
        return validate(net)

    assert not trained(2, validate=looking).training
    assert modes == [(False, False)]


@pytest.mark.parametrize(
    ("values", "best"), [([3.0, 1.0, 2.0], 1), ([3.0, 2.0, 1.0], 2), ([1.0, 1.0, 1.0], 0)]
)
def test_what_comes_back_is_the_best_on_validation(values, best):
    seen = []

    def prescribed(net):
        seen.append(weights(net).clone())
        return values[len(seen) - 1]

    # Five epochs: the third validation is not a regular one, it comes because the training ends.
    assert torch.equal(weights(trained(5, validate=prescribed)), seen[best])
    assert not torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("stop", [1, 2, 5, 7, 8])
def test_stopped_and_resumed_is_as_never_stopped(tmp_path, stop):
    straight = trained(8, tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        trained(8, tmp_path / "stopped", batches=interrupted_in(stop))
    assert torch.equal(weights(trained(8, tmp_path / "stopped", resume=True)), weights(straight))
    assert untimed(log(tmp_path / "stopped")) == untimed(log(tmp_path / "straight"))


@pytest.mark.parametrize("first", [4, 5])
def test_asked_for_more_epochs_it_goes_on_as_if_asked_at_once(tmp_path, first):
    straight = trained(9, tmp_path / "straight")
    trained(first, tmp_path / "longer")
    assert torch.equal(weights(trained(9, tmp_path / "longer", resume=True)), weights(straight))
    assert untimed(log(tmp_path / "longer")) == untimed(log(tmp_path / "straight"))
    assert [line["epoch"] for line in log(tmp_path / "longer")] == [2, 4, 6, 8, 9]


def test_a_last_validation_out_of_turn_is_forgotten_when_training_goes_on(tmp_path):
    seen = {}

    def prescribed(net):
        # The best of all, but only a run of 3 epochs would look here.
        seen[len(seen)] = weights(net).clone()
        return [2.0, 1.0, 3.0, 4.0][len(seen) - 1]

    assert torch.equal(weights(trained(3, tmp_path, validate=prescribed)), seen[1])
    longer = trained(6, tmp_path, validate=prescribed, resume=True)
    assert torch.equal(weights(longer), seen[0])


@pytest.mark.parametrize("epochs", [4, 5])
def test_resuming_a_finished_training_gives_it_back(tmp_path, epochs):
    finished = trained(epochs, tmp_path)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = trained(epochs, tmp_path, net=network(seed=3), resume=True)
    assert torch.equal(weights(again), weights(finished))
    assert not again.training
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_resuming_where_nothing_was_kept_starts(tmp_path):
    assert torch.equal(weights(trained(3, tmp_path / "new", resume=True)), weights(trained(3)))


def test_seconds_go_on_counting(tmp_path):
    trained(2, tmp_path)
    state = torch.load(tmp_path / TRAIN_STATE, weights_only=True)
    torch.save({**state, "seconds": 1000.0}, tmp_path / TRAIN_STATE)
    trained(4, tmp_path, resume=True)
    assert log(tmp_path)[1]["seconds"] > 1000.0


def test_the_folder_holds_log_and_state_and_nothing_half_written(tmp_path):
    trained(4, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOG, TRAIN_STATE]
    assert [sorted(line) for line in log(tmp_path)] == 2 * [["epoch", "seconds", "train", "valid"]]


def nan_in(epoch, number):
    """Batches of which one has a NaN among its values."""

    def spoilt(current):
        pairs = batches(current)
        if current == epoch:
            pairs[number - 1] = (pairs[number - 1][0], pairs[number - 1][1] * torch.nan)
        return pairs

    return spoilt


def test_nan_loss_stops_and_keeps_the_last_good_state(tmp_path):
    net = network()
    with pytest.raises(
        Diverged, match=r"loss is nan in epoch 3, batch 2 of 4\. Lower the learning rate .*epochs=2"
    ):
        trained(8, tmp_path, net=net, batches=nan_in(3, 2))
    good = trained(2)
    assert torch.equal(weights(net), weights(good))
    assert torch.equal(weights(trained(2, tmp_path, resume=True)), weights(good))
    assert [line["epoch"] for line in log(tmp_path)] == [2]
    # With the fault gone, it goes on as if it had never been there.
    assert torch.equal(weights(trained(8, tmp_path, resume=True)), weights(trained(8)))


def test_nan_before_the_first_validation_leaves_the_starting_weights(tmp_path):
    net = network()
    with pytest.raises(Diverged, match="epoch 1, batch 1 of 4"):
        trained(8, tmp_path, net=net, batches=nan_in(1, 1))
    assert torch.equal(weights(net), weights(network()))
    assert not (tmp_path / TRAIN_STATE).exists()


def test_a_gradient_that_is_not_finite_is_caught_by_validation(tmp_path):
    def rooted(net, batch):
        # At 0 the root's value is finite and its slope is not.
        return loss(net, batch) + (net(batch[0]) * 0).abs().sum().sqrt()

    with pytest.raises(Diverged, match=r"(nan in epoch 1, batch 2|validation loss is nan after epoch 1)"):
        trained(1, tmp_path, loss=rooted)
    with pytest.raises(Diverged, match="validation loss is nan after epoch 1"):
        trained(1, tmp_path, loss=rooted, batches=lambda epoch: batches(epoch)[:1])
    assert not (tmp_path / TRAIN_STATE).exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 6}, "seed=5 there, seed=6 asked for"),
        ({"learning_rate": 1e-3}, "learning_rate=0.03 there, learning_rate=0.001 asked for"),
        ({"validate_every": 1}, "validate_every=2 there"),
        ({"clip_norm": 1.0}, "clip_norm=None there"),
        ({"identity": {"data": "other"}}, "data=toy there, data=other asked for"),
        ({"identity": {"more": 1, "data": "toy"}}, "more=None there, more=1 asked for"),
        ({"net": network(width=9)}, "another network"),
    ],
)  # fmt: skip
def test_the_state_of_another_training_is_refused(tmp_path, changes, said):
    trained(2, tmp_path)
    before = (tmp_path / TRAIN_STATE).read_bytes()
    with pytest.raises(ValueError, match=said):
        trained(4, tmp_path, resume=True, **changes)
    assert (tmp_path / TRAIN_STATE).read_bytes() == before


def test_fewer_epochs_than_were_trained_are_refused(tmp_path):
    trained(4, tmp_path)
    with pytest.raises(ValueError, match="holds 4 epochs of training, 3 were asked for"):
        trained(3, tmp_path, resume=True)


def test_a_state_is_not_overwritten_unasked(tmp_path):
    trained(2, tmp_path)
    with pytest.raises(ValueError, match="resume it, or give a new folder"):
        trained(2, tmp_path)


@pytest.mark.parametrize("length", [0, 100, -100])
def test_a_damaged_state_is_refused(tmp_path, length):
    trained(2, tmp_path)
    content = (tmp_path / TRAIN_STATE).read_bytes()
    (tmp_path / TRAIN_STATE).write_bytes(content[:length])
    with pytest.raises(ValueError, match="damaged or of another version"):
        trained(4, tmp_path, resume=True)


class Trap:
    """Something that a careless loader would run."""

    def __reduce__(self):
        return print, ("the trap was sprung",)


def test_a_state_that_would_run_code_is_refused(tmp_path, capsys):
    torch.save({"asked": Trap()}, tmp_path / TRAIN_STATE)
    with pytest.raises(ValueError, match="damaged or of another version"):
        trained(2, tmp_path, resume=True)
    assert capsys.readouterr().out == ""


def test_resuming_needs_a_folder():
    with pytest.raises(ValueError, match="needs the folder"):
        trained(2, resume=True)


def test_an_epoch_without_batches_is_refused():
    with pytest.raises(ValueError, match="Epoch 1 has no batches"):
        trained(2, batches=lambda epoch: [])


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"validate_every": 0}, {"learning_rate": 0.0}, {"learning_rate": float("nan")}, {"clip_norm": -1.0}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name}={wrong[name]}; give"):
        Settings(**{"epochs": 1, **wrong})


def test_devices_are_cpu_or_a_cuda_that_is_there():
    assert training.chosen_device("cpu") == CPU
    with pytest.raises(ValueError, match="give cpu or cuda"):
        training.chosen_device("tpu")
    if torch.cuda.is_available():
        assert training.chosen_device("cuda").type == "cuda"
    else:
        with pytest.raises(ValueError, match="no CUDA device here; give cpu"):
            training.chosen_device("cuda")


# Schedules, decay, patience, precision, members.


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "step", "step_every": 2, "step_factor": 0.3},
        {"schedule": "cosine"},
        {"schedule": "one-cycle"},
        {"weight_decay": 0.1, "fused": True},
        {"precision": "bfloat16"},
        {"deterministic": True},
    ],
)
@pytest.mark.parametrize("stop", [3, 6])
def test_whatever_the_settings_resumed_is_as_never_stopped(tmp_path, stop, changes):
    straight = trained(8, tmp_path / "straight", **changes)
    with pytest.raises(KeyboardInterrupt):
        trained(8, tmp_path / "stopped", batches=interrupted_in(stop), **changes)
    assert torch.equal(weights(trained(8, tmp_path / "stopped", resume=True, **changes)), weights(straight))
    assert not torch.are_deterministic_algorithms_enabled()
    if "deterministic" not in changes:
        assert not torch.equal(weights(straight), weights(trained(8)))


def rates(epochs, **changes):
    """The learning rate of every step, as the optimiser has it."""
    seen = []

    class Spy(torch.optim.Adam):
        def step(self, *arguments):
            seen.append(self.param_groups[0]["lr"])
            return super().step(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "Adam", Spy)
        trained(epochs, learning_rate=1.0, **changes)
    return seen


def test_schedules_are_their_formulas_step_by_step():
    assert rates(3) == 12 * [1.0]
    assert rates(4, schedule="step", step_every=2) == 8 * [1.0] + 8 * [0.5]
    shares = torch.arange(12) / 12
    torch.testing.assert_close(torch.tensor(rates(3, schedule="cosine")), (1 + (torch.pi * shares).cos()) / 2)
    cycle = rates(5, schedule="one-cycle")
    assert cycle[0] == pytest.approx(1 / 25) and max(cycle) == cycle[6] == pytest.approx(1.0)
    assert cycle[:7] == sorted(cycle[:7]) and cycle[6:] == sorted(cycle[6:], reverse=True)


def test_a_schedule_that_knows_its_end_is_another_training_if_it_is_longer(tmp_path):
    trained(4, tmp_path, schedule="cosine")
    with pytest.raises(ValueError, match="epochs=4 there, epochs=6 asked for"):
        trained(6, tmp_path, schedule="cosine", resume=True)


def test_weight_decay_is_that_of_adamw():
    one, other = network(), network()
    trained(1, net=one, weight_decay=0.3, validate_every=1)
    optimiser = torch.optim.AdamW(other.parameters(), lr=3e-2, weight_decay=0.3)
    with training.seeded(5, CPU):
        for batch in batches(1):
            optimiser.zero_grad()
            loss(other.train(), batch).sum().backward()
            optimiser.step()
    assert torch.equal(weights(one), weights(other))


def test_patience_ends_the_training_and_a_resumed_one_stays_ended(tmp_path):
    values = iter([3.0, 2.0, 2.5, 2.5, 1.0])
    reports = []
    trained(
        12,
        tmp_path,
        patience=2,
        validate=lambda net: next(values),
        validate_every=1,
        on_progress=reports.append,
    )
    assert [report.epoch for report in reports] == [1, 2, 3, 4]
    again = []
    trained(12, tmp_path, patience=2, validate_every=1, resume=True, on_progress=again.append)
    assert again == []


def test_members_each_keep_their_own_best():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.values = nn.Parameter(torch.zeros(2, 3))

    seen = []

    def two(net):
        seen.append(net.values.detach().clone())
        return torch.tensor([[3.0, 3.0], [1.0, 2.0], [2.0, 1.0], [0.5, 5.0]][len(seen) - 1])

    settings = {
        "validate": two,
        "validate_every": 1,
        "loss": lambda net, batch: ((net.values - 1) ** 2).sum(1),
    }
    best = trained(3, net=Pair(), **settings).values
    assert torch.equal(best[0], seen[1][0]) and torch.equal(best[1], seen[2][1])
    # With a patience of 1, the first member is given up after its third validation, whatever comes.
    seen.clear()
    best = trained(4, net=Pair(), patience=1, **settings).values
    assert torch.equal(best[0], seen[1][0]) and torch.equal(best[1], seen[2][1])


def test_a_step_that_does_not_fit_names_the_batch():
    def too_much(net, batch):
        return net(batch[0]).sum() + torch.empty(2**46).sum()

    with pytest.raises(training.OutOfMemory, match="batch=10 ran out of memory; give a smaller batch"):
        training.train(
            network(), too_much, batches, validate, Settings(1), seed=0, identity={}, batch_size=10
        )


def test_losses_are_computed_in_bfloat16_if_asked():
    seen = []

    def looking(net, batch):
        seen.append(net(batch[0]).dtype)
        return loss(net, batch)

    trained(1, loss=looking, precision="bfloat16")
    assert set(seen) == {torch.bfloat16}


@pytest.mark.parametrize(
    "wrong", [{"schedule": "steep"}, {"precision": "half"}, {"patience": 0}, {"weight_decay": -1.0}]
)
def test_new_settings_that_make_no_sense_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name}="):
        Settings(**{"epochs": 1, **wrong})
