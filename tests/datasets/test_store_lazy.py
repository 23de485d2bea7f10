"""A folder opened lazily is the same dataset: whatever is picked from it, in this process or another, with dask or without."""

import gc
import os
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lawbound as lb
from lawbound.datasets import netcdf, open_files, sharded, store
from lawbound.datasets.generate import configure, generate_into
from lawbound.datasets.provenance import content_hash


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("lazy") / "d"
    generate_into(where, *configure("wave", 20, nx=17, nt=9, shard_size=3))
    return where


@pytest.fixture(scope="module")
def eager(folder):
    return lb.open(folder, lazy=False)


@pytest.fixture(scope="module")
def lazy(folder):
    return lb.open(folder, lazy=True)


def test_a_lazily_opened_folder_is_what_generation_gives(folder, eager):
    data, memory = lb.open(folder, lazy=True), lb.generate("wave", 20, nx=17, nt=9)
    assert data.identical(eager)
    for name in memory.variables:
        np.testing.assert_array_equal(data[name], memory[name])
        assert data[name].attrs.keys() == memory[name].attrs.keys()


def keys(size):
    """Whatever may stand in brackets for an axis of that size."""
    place = st.integers(-size, size - 1)
    return st.one_of(
        place, st.slices(size), st.lists(place, max_size=8).map(lambda v: np.array(v, dtype=int))
    )


@given(keys(20), keys(9), keys(17))
def test_whatever_is_picked_is_the_same(folder, eager, sample, t, x):
    picked = {"sample": sample, "t": t, "x": x}
    fresh = lb.open(folder, lazy=True, verify=False)
    np.testing.assert_array_equal(fresh["u"].isel(picked), eager["u"].isel(picked))


def test_only_shards_that_are_asked_for_are_opened(folder, monkeypatch):
    opened = []
    real = sharded.Shards._opened
    monkeypatch.setattr(
        sharded.Shards, "_opened", lambda self, shard: opened.append(shard) or real(self, shard)
    )
    data = lb.open(folder, lazy=True)
    assert data["u"].shape == (20, 9, 17) and data["sample"].values.tolist() == list(range(20))
    assert opened == [0]
    data["u"].isel(sample=[4, 13, 5]).load()
    assert opened == [0, 1, 4]


def test_few_files_are_open_at_a_time_and_all_values_come(folder, eager, monkeypatch):
    monkeypatch.setattr(open_files, "OPEN_FILES", 2)
    assert lb.open(folder, lazy=True).load().identical(eager)


def dropped(folder, count):
    """Open files that only the garbage collector can find."""
    gc.disable()
    try:
        for _ in range(count):
            shards = store.shards_of(folder)
            shards.me = shards
            for shard in range(len(shards.records)):
                shards.rows(shard, "u", np.array([0]))
    finally:
        gc.enable()


def test_files_that_were_dropped_are_not_closed_while_another_thread_reads(folder, eager):
    dropped(folder, 30)
    mine = store.shards_of(folder)
    collector = threading.Thread(target=gc.collect)
    collector.start()
    reads = 0
    while collector.is_alive() or not reads:
        reads += 1
        for shard, start in enumerate(mine.starts[:-1]):
            np.testing.assert_array_equal(mine.rows(shard, "u", np.array([0]))[0], eager["u"][start])


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files as Linux lists them")
def test_files_that_were_dropped_are_closed_by_who_has_the_library(folder):
    store.shards_of(folder).rows(0, "u", np.array([0]))
    gc.collect()
    before = open_handles()
    dropped(folder, 3)
    assert open_handles() > before
    with netcdf.NETCDF:
        gc.collect()
    assert open_handles() == before


def open_handles():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_leaves_its_parents_files_alone(folder, eager):
    mine = store.shards_of(folder)
    mine.rows(0, "u", np.array([0]))
    child = os.fork()
    if not child:
        try:
            same = np.array_equal(mine.rows(0, "u", np.array([1]))[0], eager["u"][1])
            os._exit(0 if same and len(open_files._INHERITED) == 1 else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(mine.rows(0, "u", np.array([2]))[0], eager["u"][2])


def test_it_can_be_sent_to_another_process(lazy, eager):
    assert pickle.loads(pickle.dumps(lazy)).identical(eager)


def test_large_folders_are_lazy_and_small_ones_are_not(folder, monkeypatch):
    assert lb.open(folder).variables["u"]._in_memory
    monkeypatch.setattr(store, "LOAD_UP_TO", 0)
    assert not lb.open(folder).variables["u"]._in_memory


def test_dask_takes_it_in_chunks(folder, eager):
    pytest.importorskip("dask")
    data = lb.open(folder, chunks={})
    assert data["u"].chunks is not None and float(data["u"].sum()) == pytest.approx(float(eager["u"].sum()))
    assert data.load().identical(eager)


def test_shards_with_other_variables_have_the_common_ones(tmp_path, eager):
    """A front is stored in a shard only if all of its samples have one."""
    family, config = configure("stefan", 6, nx=16, nt=5, shard_size=3)
    generate_into(tmp_path, family, config)
    manifest = store.read_manifest(tmp_path)
    for lacking in (0, 1):
        record = manifest.shards[lacking]
        part, whole = store.read(tmp_path / record.file), (tmp_path / record.file).read_bytes()
        store.write(part.drop_vars("front_u", errors="ignore"), tmp_path / record.file)
        changed = record.model_copy(
            update={
                "sha256": store.file_hash(tmp_path / record.file),
                "size": (tmp_path / record.file).stat().st_size,
                "layout": "other",
            }
        )
        shards = {**manifest.shards, lacking: changed}
        store.write_manifest(tmp_path, manifest.model_copy(update={"shards": shards}))
        data = lb.open(tmp_path)
        assert "front_u" not in data and data["u"].sizes["sample"] == 6
        (tmp_path / record.file).write_bytes(whole)


@pytest.mark.parametrize("way", [{}, {"zlib": True, "complevel": 9, "shuffle": True}, {"fletcher32": True}])
def test_the_content_hash_knows_nothing_of_compression(eager, tmp_path, monkeypatch, way):
    monkeypatch.setattr(netcdf, "FIELDS", way)
    store.write(eager, tmp_path / "d.nc")
    back = store.read(tmp_path / "d.nc")
    assert back.attrs["lawbound_content_sha256"] == content_hash(eager) == content_hash(back)


def test_the_date_in_the_files_is_that_of_source_date_epoch_and_nothing_else(tmp_path, monkeypatch):
    design = configure("wave", 4, nx=17, nt=5, shard_size=2)

    def made(name):
        generate_into(tmp_path / name, *design)
        return {path.name: path.read_bytes() for path in (tmp_path / name).glob("*.nc")}

    plain = made("plain")
    assert made("again") == plain
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    dated = made("dated")
    assert dated == made("dated-again") != plain
    assert lb.open(tmp_path / "dated").attrs["history"].startswith("1970-01-02T00:00:00+00:00")
