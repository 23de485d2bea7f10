"""What a training loop reads: the same values as `lawbound.open`, from any worker, in windows, normalised."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import lawbound as lb
from lawbound.datasets import store
from lawbound.datasets.generate import configure, generate_into
from lawbound.datasets.scaling import scaling_of, scalings
from lawbound.datasets.split import of_split
from lawbound.datasets.torch_view import TorchView
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
