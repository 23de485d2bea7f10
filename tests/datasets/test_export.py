"""What holds for every exchange format."""

import json
import shutil

import numpy as np
import pytest

import lawbound as lb
from lawbound.datasets import exchange, export, extras, npz, pdebench, schema, store, well, zarr_format
from lawbound.datasets.exchange import Source
from lawbound.datasets.provenance import content_hash

READERS = {"well": well.read, "pdebench": pdebench.read, "zarr": zarr_format.read, "npz": npz.read}
NEEDS = {"well": "h5py", "pdebench": "h5py", "zarr": "zarr"}


@pytest.fixture(params=export.FORMATS)
def to(request):
    if request.param in NEEDS:
        pytest.importorskip(NEEDS[request.param])
    return request.param


@pytest.fixture(scope="module")
def datasets(stefan, flow):
    """Cells with a law and a front; two fields on points; a circle; a plane; vectors and values along a wall."""
    made = {name: lb.generate(name, 10, nx=12, nt=4) for name in ("wave", "advection", "wave-2d")}
    return {"stefan": stefan, "flow": flow, **made}


@pytest.mark.parametrize("name", ["stefan", "wave", "advection", "wave-2d", "flow"])
def test_reading_back_gives_what_was_written(name, to, datasets, tmp_path):
    data = datasets[name]
    report = export.export(data, to, tmp_path / "out")
    back = READERS[to](tmp_path / "out").drop_attrs(deep=False)
    assert back.identical(data.drop_attrs(deep=False))
    assert content_hash(back) == content_hash(data) and list(back.data_vars) == list(data.data_vars)
    whole = READERS[to](tmp_path / "out")
    assert {key: whole.attrs[key] for key in data.attrs} == data.attrs
    if "split" in data:  # CF wants the flags in the type of their variable
        assert whole.split.attrs["flag_values"].dtype == np.int8
    assert schema.faults(whole) == [] and lb.check(whole).ok
    assert report.samples == data.sizes["sample"] and report.notes


def test_a_folder_of_shards_gives_the_whole(shards, to, tmp_path):
    export.export(shards, to, tmp_path / "out")
    assert content_hash(READERS[to](tmp_path / "out")) == content_hash(lb.open(shards))


def test_nothing_is_overwritten_and_nothing_half_written_survives(stefan, to, tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "thesis.tex").write_text("x")
    with pytest.raises(ValueError, match="exists; give a new name"):
        export.export(stefan, to, tmp_path / "there")
    pieces = Source.pieces

    def cut(self):
        yield next(pieces(self))
        raise OSError("No space left on device")

    monkeypatch.setattr(Source, "pieces", cut)
    with pytest.raises(OSError, match="No space left"):
        export.export(stefan, to, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_fields_in_double_precision_are_rounded_by_formats_of_single_precision_and_lose_their_laws(
    to, tmp_path
):
    x, t = np.linspace(0, 1, 11), np.array([0.0, 1.0])
    u = np.stack([np.outer([1.0, 2.0], x), np.outer([2.0, 1.0], x)]) / 3
    data = lb.from_arrays(
        u, t=t, x=x, mass=np.trapezoid(u, x), parameters={"a": [1, 2]}, split=["train", "test"]
    )
    report = export.export(data, to, tmp_path / "out")
    back = READERS[to](tmp_path / "out")
    assert lb.check(back).ok
    if to in ("well", "pdebench"):
        assert "rounded to float32" in " ".join(report.notes) and schema.laws(back) == []
        np.testing.assert_array_equal(back.u, u.astype(np.float32))
    else:
        assert content_hash(back) == content_hash(data)


def test_predictions_stay_behind_where_only_solutions_are_exchanged(stefan, to, tmp_path):
    spread = stefan.u.assign_attrs(lawbound_role="prediction", long_name="spread")
    report = export.export(stefan.assign(pred_u_std=spread), to, tmp_path / "out")
    kept = "pred_u_std" in READERS[to](tmp_path / "out")
    assert kept is (to in ("zarr", "npz")) and kept is ("pred_u_std" not in " ".join(report.notes))


def test_data_that_are_not_finite_or_not_whole_are_refused(stefan, shards, to, tmp_path):
    spoiled = stefan.copy(deep=True)
    spoiled["u"].values[7, 1, 1] = np.nan
    with pytest.raises(ValueError, match="`u` is not finite for sample 7"):
        export.export(spoiled, to, tmp_path / "out")
    part = shutil.copytree(shards, tmp_path / "part")
    next(part.glob("*.nc")).unlink()
    with pytest.raises(ValueError, match="is gone"):
        export.export(part, to, tmp_path / "out")
    manifest = json.loads((part / store.MANIFEST).read_text())
    manifest["shards"].popitem()
    (part / store.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="4 of 5 shards"):
        export.export(part, to, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_of_other_kinds_are_refused_with_one_sentence(stefan, to, tmp_path):
    (tmp_path / "text").write_text("hello")
    (tmp_path / "folder").mkdir()
    for path in ("nothing", "text", "folder"):
        with pytest.raises(ValueError, match=path):
            READERS[to](tmp_path / path)


def test_a_format_whose_extra_is_missing_says_how_to_install_it(stefan, tmp_path, monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(extras, "import_module", absent)
    for to, extra in (("well", "interop"), ("pdebench", "interop"), ("zarr", "zarr")):
        with pytest.raises(RuntimeError, match=rf"pip install 'lawbound\[{extra}\]'"):
            export.export(stefan, to, tmp_path / "out")
    with pytest.raises(ValueError, match="Did you mean zarr"):
        export.export(stefan, "zar", tmp_path / "out")


def test_large_data_in_memory_pass_in_blocks_of_neighbours_of_one_split(stefan):
    many = stefan.isel(sample=np.arange(200) % 30).assign_coords(
        sample=("sample", np.arange(200, dtype=np.int32))
    )
    source = Source.of(many)
    blocks = list(source.blocks())
    assert max(block.data.sizes["sample"] for block in blocks) <= exchange.BLOCK
    for split, count in source.splits.items():
        of_split = [block for block in blocks if block.split == split]
        sizes = [block.data.sizes["sample"] for block in of_split]
        assert [block.first for block in of_split] == [sum(sizes[:i]) for i in range(len(sizes))] and sum(
            sizes
        ) == count


def test_an_npz_file_is_plain_arrays_and_one_text(stefan, tmp_path):
    npz.write(stefan, tmp_path / "a.npz")
    npz.write(stefan, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["u"], stefan.u)
        assert json.loads(str(stored[npz.LABELS]))["attributes"]["lawbound_problem"] == "stefan"
    np.savez(tmp_path / "foreign.npz", u=np.ones(3))
    with pytest.raises(ValueError, match="it has no `lawbound_description`"):
        npz.read(tmp_path / "foreign.npz")
    np.savez(tmp_path / "pickled.npz", **{npz.LABELS: np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match="allow_pickle"):
        npz.read(tmp_path / "pickled.npz")


def test_a_zarr_store_has_a_chunk_for_each_sample_and_the_hash_of_netcdf(stefan, tmp_path):
    zarr = pytest.importorskip("zarr")
    zarr_format.write(stefan, tmp_path / "store")
    store.write(stefan, tmp_path / "data.nc")
    group = zarr.open_group(tmp_path / "store", mode="r")
    assert group["u"].chunks == (1, *stefan.u.shape[1:]) and group.metadata.zarr_format == 3
    hashes = {one.attrs["lawbound_content_sha256"] for one in (zarr_format.read(tmp_path / "store"), group)}
    assert hashes == {store.read(tmp_path / "data.nc").attrs["lawbound_content_sha256"]}


def test_a_chunk_that_is_gone_is_no_data(stefan, tmp_path):
    pytest.importorskip("zarr")
    zarr_format.write(stefan, tmp_path / "store")
    (tmp_path / "store" / "u" / "c" / "3" / "0" / "0").unlink()
    report = lb.check(zarr_format.read(tmp_path / "store"))
    assert any("not finite at" in finding.detail for finding in report.findings if not finding.ok)
