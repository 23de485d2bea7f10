"""What a training loop reads: the same values as `lawbound.open`, from any worker, in windows, normalised."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import lawbound as lb
from lawbound.datasets import store
from lawbound.datasets.generate import configure, generate_into
from lawbound.datasets.points import context_points, epoch_stream, target_points
from lawbound.datasets.scaling import scaling_of, scalings
from lawbound.datasets.split import of_split
from lawbound.datasets.torch_loader import AHEAD, AT_HAND, Loader
from lawbound.datasets.torch_view import DrawnPoints, TorchView
from lawbound.datasets.windows import Windows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("view") / "d"
    generate_into(where, *configure("wave", 20, nx=17, nt=9, shard_size=3))
    return where


@pytest.fixture(scope="module")
def data(folder):
    return lb.open(folder)


def test_items_are_the_samples_of_a_split_as_stored(folder, data):
    for split in ("train", "valid", "test", None):
        part = data if split is None else of_split(data, split)
        view = TorchView(folder, split=split)
        assert len(view) == part.sizes["sample"]
        for number in range(len(view)):
            item = view[number]
            assert item["u"].dtype == torch.float32 and item["start"] == 0
            np.testing.assert_array_equal(item["u"], part["u"][number])
            np.testing.assert_array_equal(item["u_t"], part["u_t"][number])
            assert item["sample"] == part["sample"][number]
            assert item["parameters"].tolist() == [part["c"][number]]


@pytest.mark.parametrize("workers", [0, 2])
def test_loaders_give_every_window_once_whatever_their_workers(folder, data, workers):
    view = TorchView(folder, fields=["u"], window=4, stride=2)
    random = torch.Generator().manual_seed(3)
    loader = DataLoader(view, batch_size=7, shuffle=True, num_workers=workers, generator=random)
    seen = set()
    for batch in loader:
        for u, sample, start in zip(
            batch["u"], batch["sample"].tolist(), batch["start"].tolist(), strict=True
        ):
            np.testing.assert_array_equal(u, data["u"].sel(sample=sample)[start : start + 4])
            seen.add((sample, start))
    assert seen == {(sample, start) for sample in range(20) for start in (0, 2, 4)}


def test_a_file_alone_will_do(data, tmp_path):
    store.write(data, tmp_path / "all.nc")
    np.testing.assert_array_equal(TorchView(tmp_path / "all.nc")[19]["u"], data["u"][19])


def test_normalised_training_data_have_mean_zero_and_spread_one(folder, data, monkeypatch):
    from lawbound.datasets import scaling

    train = of_split(data, "train")
    at_once = scalings(train)
    monkeypatch.setattr(scaling, "BLOCK", 3 * train["u"][0].nbytes)
    streamed = scalings(of_split(lb.open(folder, lazy=True), "train"))
    for name, one in streamed.items():
        assert (
            one.count == train[name].size and one.low == train[name].min() and one.high == train[name].max()
        )
        np.testing.assert_allclose([one.mean, one.std], [at_once[name].mean, at_once[name].std], rtol=1e-12)
    view = TorchView(folder, split="train", scaling=streamed)
    values = torch.stack([view[i]["u"] for i in range(len(view))]).double()
    assert abs(values.mean()) < 1e-6 and abs(values.std(correction=0) - 1) < 1e-6
    np.testing.assert_allclose(streamed["u"].undo(view[2]["u"]), train["u"][2], atol=1e-6)


def test_statistics_are_those_of_all_values_however_they_are_cut():
    values = np.random.default_rng(0).normal(1e6, 1e-3, size=1000)
    whole = scaling_of(values)
    joined = scaling_of(values[:7]).joined(scaling_of(values[7:500])).joined(scaling_of(values[500:]))
    assert joined.count == 1000 and (joined.low, joined.high) == (whole.low, whole.high)
    np.testing.assert_allclose([joined.mean, joined.std], [whole.mean, whole.std], rtol=1e-9)
    assert scaling_of([2.0, 2.0]).apply([2.0, 3.0]).tolist() == [0.0, 1.0]
    with pytest.raises(ValueError, match="must be finite"):
        scaling_of([1.0, np.nan])


@pytest.mark.parametrize(("length", "stride"), [(1, 1), (3, 1), (3, 3), (4, 2), (9, 5)])
def test_windows_lie_inside_their_sample(length, stride):
    windows = Windows(samples=3, times=9, length=length, stride=stride)
    found = [windows[i] for i in range(len(windows))]
    assert len(set((sample, times.start) for sample, times in found)) == len(found)
    assert all(
        times.start >= 0 and times.stop <= 9 and times.stop - times.start == length for _, times in found
    )
    assert windows[-1] == found[-1]
    with pytest.raises(IndexError):
        windows[len(windows)]


def test_what_is_not_there_is_said(folder):
    with pytest.raises(ValueError, match="has no field v; it has u, u_t"):
        TorchView(folder, fields=["v"])
    with pytest.raises(ValueError, match="window of 10 times does not fit the 9"):
        TorchView(folder, window=10)
    with pytest.raises(ValueError, match="no samples of split `in-range`"):
        TorchView(folder, split="in-range")


def test_a_damaged_shard_is_not_believed(folder, tmp_path, monkeypatch):
    import shutil

    shutil.copytree(folder, tmp_path / "d")
    monkeypatch.setattr(store, "VERIFY_UP_TO", 0)
    path = tmp_path / "d" / "shard-0003-of-0007.nc"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ValueError, match="is not the file that was written"):
        TorchView(tmp_path / "d")[10]


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    "options", [{}, {"window": 4, "stride": 2}, {"points": DrawnPoints(2, 1, (3, 4), (5, 2))}]
)
def test_our_loader_gives_what_that_of_pytorch_gives(folder, workers, options):
    view = TorchView(folder, split="train", scaling=scalings(lb.open(folder)), **options)
    theirs = list(DataLoader(view, batch_size=6))
    # Batches that are kept stay what they were, whatever is read afterwards: more of them than there are places.
    loader = Loader(view, 6, workers=workers)
    kept = [batch for _ in range(4) for batch in loader]
    assert len(kept) == 4 * len(theirs) == 4 * len(loader)
    assert len(kept) > AHEAD * workers + AT_HAND
    for number, batch in enumerate(kept):
        assert same(batch, theirs[number % len(theirs)])


def test_a_piece_of_a_batch_keeps_its_values_and_given_up_places_are_used_again(folder):
    view = TorchView(folder, fields=["u"])
    whole = [item["u"] for item in view]
    loader = Loader(view, 2, workers=2)
    pieces, places = [], set()
    for epoch in range(4):
        for number, batch in enumerate(loader):
            places.add(batch["u"].data_ptr())
            if (epoch, number) == (0, 3):
                pieces.append(batch["u"][1:, 2].numpy().T)
    assert len(places) <= AHEAD * 2 + AT_HAND
    for piece in pieces:
        np.testing.assert_array_equal(piece, whole[7][None, 2].numpy().T)


def test_a_pass_that_was_left_costs_no_places(folder):
    loader = Loader(TorchView(folder, fields=["u"]), 2, workers=2)
    for _ in range(10):
        next(iter(loader))
    places = {batch["u"].data_ptr() for _ in range(3) for batch in loader}
    assert len(places) <= AHEAD * 2 + AT_HAND


def test_a_shuffled_pass_has_every_item_once_and_another_order_each_time(folder):
    view = TorchView(folder, fields=["u"])
    loader = Loader(view, 6, shuffle=True, drop_last=True, generator=torch.Generator().manual_seed(1))
    orders = [torch.cat([batch["sample"] for batch in loader]).tolist() for _ in range(2)]
    assert orders[0] != orders[1] and all(len(set(order)) == len(order) == 18 for order in orders)
    again = Loader(
        view, 6, workers=0, shuffle=True, drop_last=True, generator=torch.Generator().manual_seed(1)
    )
    assert torch.cat([batch["sample"] for batch in again]).tolist() == orders[0]
    with pytest.raises(ValueError, match="batch_size=0, workers=2"):
        Loader(view, 0)


def test_points_are_those_that_are_drawn_from_the_whole_dataset(folder, data):
    drawn = DrawnPoints(seed=7, context_seed=3, context=(3, 4), target=(5, 6))
    view = TorchView(folder, split="train", fields=["u_t", "u"], points=drawn)
    train = of_split(data, "train")
    for epoch in (0, 1):
        view.set_epoch(epoch)
        targets = target_points(train, epoch_stream(7, epoch), n_times=5, n_positions=6)
        contexts = context_points(train, seed=3, n_times=3, n_positions=4)
        batch = {
            name: torch.stack([view[i][name] for i in range(len(view))]) for name in ("context", "target")
        }
        for what, points in (("context", contexts), ("target", targets)):
            coordinates = points.coordinates(train.t.values, train.x.values)
            np.testing.assert_array_equal(batch[what][..., :2], coordinates.astype(np.float32))
            for channel, field in ((2, "u_t"), (3, "u")):
                np.testing.assert_array_equal(batch[what][..., channel], points.values(train[field].values))


@pytest.mark.parametrize("loader", [Loader, DataLoader])
def test_an_epoch_reaches_workers_that_stay(folder, loader):
    view = TorchView(folder, points=DrawnPoints(context=(2, 2), target=(2, 2)))
    batches = (
        Loader(view, 5)
        if loader is Loader
        else DataLoader(view, batch_size=5, num_workers=2, persistent_workers=True)
    )
    for epoch in (0, 1, 2, 0):
        view.set_epoch(epoch)
        seen = torch.cat([batch["target"] for batch in batches])
        torch.testing.assert_close(seen, torch.stack([item["target"] for item in view]), rtol=0, atol=0)


def test_points_that_cannot_be_drawn_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="stores 9 times and 17 positions"):
        TorchView(folder, points=DrawnPoints(context=(10, 10)))
    with pytest.raises(ValueError, match="not both"):
        TorchView(folder, window=3, points=DrawnPoints(context=(2, 2), target=(2, 2)))
    with pytest.raises(ValueError, match="no points to draw"):
        TorchView(folder).set_epoch(1)
    generate_into(tmp_path / "plane", *configure("wave-2d", 4, nx=8, nt=3))
    with pytest.raises(ValueError, match="give data on an interval"):
        TorchView(tmp_path / "plane", points=DrawnPoints(context=(2, 2), target=(2, 2)))
