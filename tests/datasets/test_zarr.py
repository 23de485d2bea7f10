"""Folders of Zarr shards: the same dataset as the netCDF ones, made, resumed, damaged and read alike."""

import json
import os
import shutil
import threading

import numpy as np
import pytest
from torch.utils.data import DataLoader

import lawbound as lb
from lawbound.cli import run
from lawbound.datasets import disk, extras, formats, npz, schema, store, zarr_format
from lawbound.datasets.disk import file_hash, put, temporary
from lawbound.datasets.export import export
from lawbound.datasets.generate import configure, generate_into
from lawbound.datasets.provenance import content_hash
from lawbound.datasets.store import read_manifest
from lawbound.datasets.torch_view import TorchView

zarr = pytest.importorskip("zarr")


def small(samples=12, **changes):
    return configure("wave", samples, **{"nx": 17, "nt": 5, "shard_size": 4, **changes})


def files(folder):
    """Bytes of all that is in a folder, the manifest's times apart."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name != store.MANIFEST}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("zarr") / "d"
    generate_into(where, *small(), form="zarr")
    return where


@pytest.fixture(scope="module")
def netcdf(tmp_path_factory):
    where = tmp_path_factory.mktemp("netcdf") / "d"
    generate_into(where, *small())
    return where


def test_both_formats_hold_the_same_dataset(folder, netcdf):
    ours, theirs = lb.open(folder), lb.open(netcdf)
    assert ours.identical(theirs) and list(ours.variables) == list(theirs.variables)
    assert content_hash(ours) == content_hash(theirs) and schema.faults(ours) == []
    for shard in read_manifest(folder).shards.values():
        alone = store.read(folder / shard.file)
        other = store.read(netcdf / shard.file.replace(".zarr", ".nc"))
        assert alone.identical(other) and alone.drop_attrs(deep=False).identical(other.drop_attrs(deep=False))
        assert {name: v.dtype for name, v in alone.variables.items()} == {
            name: v.dtype for name, v in other.variables.items()
        }
    assert lb.check(folder).ok


def test_a_shard_is_one_file_for_each_field_with_a_checked_chunk_for_each_sample(folder):
    group = zarr.open_group(folder / "shard-0000-of-0003.zarr", mode="r")
    assert group.metadata.zarr_format == 3
    assert group["u"].chunks == (1, 5, 17) and group["u"].shards == (4, 5, 17)
    assert "Crc32c" in repr(group["u"].compressors)
    chunks = [p for p in (folder / "shard-0000-of-0003.zarr" / "u" / "c").rglob("*") if p.is_file()]
    assert len(chunks) == 1


def test_a_run_again_gives_the_same_bytes_in_whatever_pieces_and_threads(folder, tmp_path):
    whole = files(folder)
    generate_into(tmp_path / "again", *small(), form="zarr", only=lambda shard: shard == 1)
    generate_into(tmp_path / "again", *small(), form="zarr")
    thread = threading.Thread(
        target=generate_into, args=(tmp_path / "thread", *small()), kwargs={"form": "zarr"}
    )
    thread.start()
    thread.join()
    assert files(tmp_path / "again") == files(tmp_path / "thread") == whole


def test_fields_of_many_blocks_have_the_same_bytes_each_time(tmp_path):
    """Blosc's threads, if they were used, would write blocks in the order in which they get done."""
    data = lb.generate("diffusion", 4, nx=201, split="train")
    written = set()
    for number in range(4):
        formats.write(data, tmp_path / f"{number}.zarr", "zarr")
        written.add(file_hash(tmp_path / f"{number}.zarr"))
    assert len(written) == 1


@pytest.mark.parametrize("how", ["flipped", "cut", "gone", "added"])
def test_a_damaged_shard_is_refused_and_made_again(folder, tmp_path, how):
    out = shutil.copytree(folder, tmp_path / "d")
    shard = out / "shard-0001-of-0003.zarr"
    chunk = shard / "u" / "c" / "0" / "0" / "0"
    whole = chunk.read_bytes()
    if how == "flipped":
        chunk.write_bytes(whole[:50] + bytes([whole[50] ^ 1]) + whole[51:])
    elif how == "cut":
        chunk.write_bytes(whole[:-1])
    elif how == "gone":
        chunk.unlink()
    else:
        (shard / "u" / "c" / "note.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"shard-0001-of-0003\.zarr is not the file.*run the same"):
        lb.open(out)
    assert not lb.check(out).ok
    generate_into(out, *small(), form="zarr")
    assert files(out) == files(folder)


def test_a_flipped_bit_is_seen_without_a_manifest(folder, tmp_path):
    alone = shutil.copytree(folder / "shard-0001-of-0003.zarr", tmp_path / "alone.zarr")
    chunk = alone / "u" / "c" / "0" / "0" / "0"
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:50] + bytes([whole[50] ^ 1]) + whole[51:])
    with pytest.raises(ValueError, match=r"alone\.zarr cannot be read as a Zarr store.*checksum"):
        lb.open(alone)


def test_a_shard_that_is_gone_and_an_unfinished_run_are_said(folder, tmp_path):
    out = shutil.copytree(folder, tmp_path / "d")
    shutil.rmtree(out / "shard-0001-of-0003.zarr")
    with pytest.raises(ValueError, match=r"shard-0001-of-0003\.zarr is gone; run the same"):
        lb.open(out)
    generate_into(tmp_path / "part", *small(), form="zarr", only=lambda shard: shard < 2)
    with pytest.raises(ValueError, match="2 of 3 shards"):
        lb.open(tmp_path / "part")


def test_a_write_that_fails_leaves_nothing_and_says_what_to_do(tmp_path, monkeypatch):
    def full(self, *arguments, **options):
        raise OSError(28, "No space left on device")

    generate_into(tmp_path / "d", *small(), form="zarr", only=lambda shard: shard == 0)
    with monkeypatch.context() as changed:
        changed.setattr(zarr.storage.LocalStore, "set", full)
        with pytest.raises(OSError, match=r"shard-0001-of-0003\.zarr could not be written.*free space there"):
            generate_into(tmp_path / "d", *small(), form="zarr")
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == [
        "manifest.json",
        "shard-0000-of-0003.zarr",
    ]
    assert generate_into(tmp_path / "d", *small(), form="zarr").complete


def test_what_a_killed_writer_left_is_swept_away(folder, tmp_path, monkeypatch):
    out = shutil.copytree(folder, tmp_path / "d")
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    left = temporary(out / "shard-0001-of-0003.zarr")
    left = left.with_name(left.name.replace(f"-{os.getpid()}-", f"-{child}-"))
    shutil.copytree(out / "shard-0001-of-0003.zarr", left)
    generate_into(out, *small(), form="zarr")
    assert not left.exists() and files(out) == files(folder)


def test_two_writers_of_one_folder_leave_one_whole(tmp_path):
    def made(name, text):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text(text)
        return tmp_path / name

    put(made("new", "1"), tmp_path / "shard")
    put(made("same", "1"), tmp_path / "shard")
    assert (tmp_path / "shard" / "a").read_text() == "1"
    put(made("other", "2"), tmp_path / "shard")
    assert (tmp_path / "shard" / "a").read_text() == "2"
    assert [path.name for path in tmp_path.iterdir()] == ["shard"]
    threads = [
        threading.Thread(target=lambda n=n: [put(made(f"{n}-{i}", n), tmp_path / "shard") for i in range(30)])
        for n in "abc"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "shard" / "a").read_text() in "abc"
    assert [path.name for path in tmp_path.iterdir()] == ["shard"]
    assert disk.file_size(tmp_path / "shard") == 1


def test_a_folder_of_the_other_format_is_not_gone_on_with(folder, netcdf, tmp_path):
    part = tmp_path / "part"
    generate_into(part, *small(), only=lambda shard: shard == 0)
    with pytest.raises(ValueError, match=r"format netcdf, zarr was asked for; give --format netcdf"):
        generate_into(part, *small(), form="zarr")
    with pytest.raises(ValueError, match=r"format zarr, netcdf was asked for"):
        generate_into(folder, *small())


def test_it_is_read_lazily_by_whoever_asks(folder, netcdf, monkeypatch):
    lazy, eager = lb.open(folder, lazy=True), lb.open(netcdf)
    assert lazy.identical(eager)
    picked = {"sample": [7, 0, 9, 9], "t": slice(1, 4), "x": -1}
    np.testing.assert_array_equal(lb.open(folder, lazy=True)["u"].isel(picked), eager["u"].isel(picked))
    view = TorchView(folder, window=2)
    seen = torch_batches(DataLoader(view, batch_size=5, num_workers=2))
    np.testing.assert_array_equal(seen, torch_batches(DataLoader(TorchView(netcdf, window=2), batch_size=5)))


def torch_batches(loader):
    return np.concatenate([batch["u"].numpy() for batch in loader])


def test_single_files_and_stores_keep_the_numbers_of_their_samples(netcdf, tmp_path):
    part = lb.open(netcdf).isel(sample=[3, 7, 11])
    store.write(part, tmp_path / "part.nc")
    zarr_format.write(part, tmp_path / "part.zarr")
    npz.write(part, tmp_path / "part.npz")
    for name in ("part.nc", "part.zarr", "part.npz"):
        for lazy in (None, True):
            data = lb.open(tmp_path / name, lazy=lazy)
            assert data["sample"].values.tolist() == [3, 7, 11] and content_hash(data) == content_hash(part)
        assert lb.check(tmp_path / name).ok
    for name in ("part.nc", "part.zarr"):
        assert [int(item["sample"]) for item in TorchView(tmp_path / name)] == [3, 7, 11]


def test_every_format_is_exported_from_every_other(folder, netcdf, tmp_path):
    whole = content_hash(lb.open(netcdf))
    first = {"nc": netcdf, "shards": folder}
    for to in ("npz", "zarr"):
        export(netcdf, to, tmp_path / f"d.{to}")
        first[to] = tmp_path / f"d.{to}"
    for source, path in first.items():
        for to in ("npz", "zarr"):
            told = []
            export(path, to, tmp_path / f"{source}.{to}", on_block=lambda *far, told=told: told.append(far))
            assert told == [(12, 12)]
            assert content_hash(lb.open(tmp_path / f"{source}.{to}")) == whole


def test_commands_take_all_formats(netcdf, tmp_path, capsys):
    same = ["generate", "wave", "-n", "12", "--nx", "17", "--nt", "5", "--shard-size", "4"]
    assert run([*same, "-o", str(tmp_path / "d"), "--format", "zarr"]) == 0
    assert run(["export", str(tmp_path / "d"), "--to", "zarr", "-o", str(tmp_path / "e.zarr")]) == 0
    assert run(["export", str(tmp_path / "e.zarr"), "--to", "npz", "-o", str(tmp_path / "e.npz")]) == 0
    capsys.readouterr()
    for name in ("d", "e.zarr", "e.npz"):
        assert run(["info", str(tmp_path / name), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["problem"] == "wave" and found["sizes"]["sample"] == 12
        assert run(["check", str(tmp_path / name), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["ok"]
    assert lb.open(tmp_path / "d").identical(lb.open(netcdf))
    assert run([*same, "-o", str(tmp_path / "dry"), "--format", "zarr", "--dry-run"]) == 0
    assert "MB on disk" in capsys.readouterr().out and not (tmp_path / "dry").exists()
    (tmp_path / "hollow.zarr").mkdir()
    assert run(["info", str(tmp_path / "hollow.zarr")]) == 1
    assert "no Zarr store of format 3" in capsys.readouterr().err.replace("\n", " ")


def test_without_the_extra_every_door_says_what_to_install(folder, tmp_path, monkeypatch, capsys):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(extras, "import_module", absent)
    alone = folder / "shard-0000-of-0003.zarr"
    for work in (
        lambda: generate_into(tmp_path / "d", *small(), form="zarr"),
        lambda: lb.open(folder),
        lambda: lb.open(alone),
        lambda: lb.check(alone),
        lambda: lb.check(folder),
        lambda: TorchView(folder),
    ):
        with pytest.raises(RuntimeError, match=r"pip install 'lawbound\[zarr\]'"):
            work()
    words = ["generate", "wave", "-n", "4", "--format", "zarr", "-o", str(tmp_path / "d")]
    assert run(words) == 1 and "lawbound[zarr]" in capsys.readouterr().err
    assert not (tmp_path / "d").exists()
