"""PDEBench's layouts: read by their documentation, and files of others."""

import re

import numpy as np
import pytest

import lawbound as lb
from lawbound.datasets import pdebench, schema

h5py = pytest.importorskip("h5py")
yaml = pytest.importorskip("yaml")


def documented(folder, test_ratio=0.1):
    """What PDEBench's loaders make of a folder: fields (sample, x, [y], t, channel), training and test, and the grid.

    Written from their documented layout; where they cut, a fraction of a sample is no sample.
    """
    (path,) = (path for path in folder.iterdir() if path.name != "lawbound.hdf5")
    with h5py.File(path) as file:
        if path.name.endswith("h5"):  # the last two letters decide
            keys = sorted(file)
            fields = np.stack([np.moveaxis(file[key]["data"][...], 0, -2) for key in keys])
            grid = [
                file[keys[0]][f"grid/{axis}"][...]
                for axis in ("x", "y", "t")
                if axis in file[keys[0]]["grid"]
            ]
            cut = int(len(fields) * (1 - test_ratio))
            return fields[:cut], fields[cut:], grid
        fields = np.moveaxis(file["tensor"][...], 1, -1)[..., None]
        grid = [file["x-coordinate"][...], file["t-coordinate"][...]]
        cut = int(len(fields) * test_ratio)
        return fields[cut:], fields[:cut], grid


def test_one_scalar_on_an_interval_is_a_tensor_with_the_test_samples_in_front(stefan, tmp_path):
    report = pdebench.write(stefan, tmp_path / "out")
    assert report.files[0] == "1D_stefan.hdf5"
    train, test, (x, t) = documented(tmp_path / "out")
    assert train.dtype == np.float32 and len(test) == 3
    np.testing.assert_array_equal(test[..., 0], stefan.u[27:].transpose("sample", "x", "t"))
    np.testing.assert_array_equal(train[3:, ..., 0], stefan.u[:24].transpose("sample", "x", "t"))
    np.testing.assert_array_equal(x, stefan.x.values.astype(np.float32))
    assert t.size == stefan.sizes["t"] and "test_ratio=0.1" in " ".join(report.notes)
    with h5py.File(tmp_path / "out/1D_stefan.hdf5") as file:
        np.testing.assert_array_equal(file["lawbound_u_star"][:3], stefan.u_star[27:])


def test_several_fields_and_planes_are_groups_with_the_test_samples_at_the_back(flow, tmp_path):
    report = pdebench.write(flow, tmp_path / "out")
    assert report.files[0] == "2D_flow_NA_NA.h5"
    train, test, grid = documented(tmp_path / "out", test_ratio=told_ratio(report))
    assert len(test) == 1 and [one.size for one in grid] == [4, 5, 3]
    for channel, name in enumerate(schema.state_variables(flow)):
        np.testing.assert_array_equal(test[0, ..., channel], flow[name][0].transpose("x", "y", "t"))
        np.testing.assert_array_equal(train[0, ..., channel], flow[name][1].transpose("x", "y", "t"))
    with h5py.File(tmp_path / "out/2D_flow_NA_NA.h5") as file:
        assert list(file) == [f"{i:04d}" for i in range(6)]
        settings = yaml.safe_load(file["0005"].attrs["config"])
    assert settings["split"] == "test" and settings["sim"] == {"reynolds": 0.0}
    assert "not equally" not in " ".join(report.notes) and "along y, x they are not" in " ".join(report.notes)


def told_ratio(report):
    return float(re.search(r"test_ratio=([\d.e-]+)\)", " ".join(report.notes))[1])


def test_with_the_ratio_that_we_say_their_loaders_test_on_our_test_samples():
    for samples in (*range(1, 80), 1000, 99999):
        for tests in {0, 1, samples // 10, samples // 7, samples // 3, samples - 1, samples}:
            ratio = float(pdebench.ratio_of_tests(tests, samples, front=True))
            assert int(samples * ratio) == tests, (tests, samples)
            ratio = float(pdebench.ratio_of_tests(tests, samples, front=False))
            assert samples - int(samples * (1 - ratio)) == tests, (tests, samples)
    assert pdebench.ratio_of_tests(1, 10, front=True) == pdebench.ratio_of_tests(1, 10, front=False) == "0.1"


def test_an_awkward_number_of_test_samples_is_theirs_too(stefan, tmp_path):
    part = stefan.isel(sample=[*range(18), 27, 28])  # 2 of 20, and below 2 of 29
    for number, data in enumerate((part, stefan.isel(sample=[*range(27), 27, 28]))):
        report = pdebench.write(data, tmp_path / str(number))
        train, test, _ = documented(tmp_path / str(number), told_ratio(report))
        np.testing.assert_array_equal(test[..., 0], data.u[-2:].transpose("sample", "x", "t"))
        assert len(train) == data.sizes["sample"] - 2


def test_a_wave_and_its_rate_are_two_channels(tmp_path):
    data = lb.generate("wave", 2, split="train", nx=12, nt=4)
    report = pdebench.write(data, tmp_path / "out")
    train, _, _ = documented(tmp_path / "out", test_ratio=0)
    np.testing.assert_array_equal(train[..., 1], data.u_t.transpose("sample", "x", "t"))
    assert "FNODatasetMult" in " ".join(report.notes)


def tensor(path, **arrays):
    with h5py.File(path, "w") as file:
        file.attrs["beta"] = 0.4
        file["x-coordinate"] = np.linspace(0, 1, 8, endpoint=False, dtype=np.float32) + np.float32(1 / 16)
        file["t-coordinate"] = np.linspace(0, 1, 6, dtype=np.float32)
        for name, values in arrays.items():
            file[name.replace("_coordinate", "-coordinate")] = values


def test_a_tensor_of_others_with_one_time_too_many_is_read(tmp_path):
    u = np.random.default_rng(0).normal(size=(20, 5, 8)).astype(np.float32)
    tensor(tmp_path / "1D_Advection.hdf5", tensor=u)
    data = pdebench.read(tmp_path / "1D_Advection.hdf5", points="cells")
    assert schema.faults(data) == [] and lb.check(data).ok
    np.testing.assert_array_equal(data.u, u)
    assert data.t.values.tolist() == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8], abs=1e-12)
    np.testing.assert_allclose(data.x_bounds[[0, -1]], [[0, 0.125], [0.875, 1]], atol=1e-12)
    assert data.split.values.tolist() == [2, 2, 1, 1, *[0] * 16] and data.beta.values.tolist() == [0.4] * 20
    np.testing.assert_allclose(pdebench.read(tmp_path, points="periodic").x_weights, 0.125)
    assert float(pdebench.read(tmp_path).x_weights[0]) == pytest.approx(0.0625)


def test_darcy_and_compressible_flow_of_others_are_read(tmp_path):
    random = np.random.default_rng(0)
    u, nu = (random.normal(size=shape).astype(np.float32) for shape in ((4, 1, 8, 6), (4, 8, 6)))
    y = np.linspace(0, 1, 6, dtype=np.float32)
    tensor(tmp_path / "darcy.hdf5", tensor=u, nu=nu, y_coordinate=y)
    data = pdebench.read(tmp_path / "darcy.hdf5")
    assert schema.state_variables(data) == ["u", "nu"] and data.u.shape == (4, 1, 6, 8)
    np.testing.assert_array_equal(data.nu[:, 0].transpose("sample", "x", "y"), nu)
    flow = {
        name: random.normal(size=(3, 5, 8, 6)).astype(np.float32)
        for name in ("density", "pressure", "Vx", "Vy")
    }
    tensor(tmp_path / "cfd.hdf5", y_coordinate=y, **flow)
    data = pdebench.read(tmp_path / "cfd.hdf5")
    assert schema.faults(data) == [] and lb.check(data).ok
    np.testing.assert_array_equal(data.Vy.transpose("sample", "t", "x", "y"), flow["Vy"])
    assert data.Vy.attrs["lawbound_vector"] == "velocity" and data.Vy.attrs["lawbound_component"] == "y"


def groups(path, config="sim: {Du: 0.001, seed: 3}\nname: reaction"):
    with h5py.File(path, "w") as file:
        for i in range(10):
            data = np.random.default_rng(i).normal(size=(4, 5, 6, 2))
            file[f"{i:04d}/data"] = data.astype(np.float32)
            for axis, size in (("x", 5), ("y", 6), ("t", 4)):
                file[f"{i:04d}/grid/{axis}"] = np.linspace(-1, 1, size, dtype=np.float32)
            file[f"{i:04d}"].attrs["config"] = config


def test_groups_of_others_are_read_and_their_channels_named(tmp_path):
    groups(tmp_path / "2D_diff-react_NA_NA.h5")
    data = pdebench.read(tmp_path / "2D_diff-react_NA_NA.h5", fields=("activator", "inhibitor"))
    assert schema.faults(data) == [] and lb.check(data).ok
    wanted = np.random.default_rng(7).normal(size=(4, 5, 6, 2)).astype(np.float32)
    np.testing.assert_array_equal(data.inhibitor[7].transpose("t", "x", "y"), wanted[..., 1])
    assert data.Du.values.tolist() == [0.001] * 10 and data.seed_parameter.values.tolist() == [3] * 10
    assert data.split.values.tolist() == [*[0] * 8, 1, 2]
    assert schema.state_variables(pdebench.read(tmp_path / "2D_diff-react_NA_NA.h5")) == ["u1", "u2"]
    with pytest.raises(ValueError, match="has 2 channels"):
        pdebench.read(tmp_path / "2D_diff-react_NA_NA.h5", fields=("u",))


def test_settings_that_would_make_objects_are_refused_and_not_run(tmp_path):
    groups(tmp_path / "a.h5", f"!!python/object/apply:os.mkdir [{tmp_path / 'made'}]")
    with pytest.raises(ValueError, match="no YAML text"):
        pdebench.read(tmp_path / "a.h5")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"other": np.ones(3)}, "neither `tensor`, nor `density`"),
        ({"tensor": np.ones((3, 9, 8), np.float32)}, "6 times for 9"),
        ({"tensor": np.ones((3, 8), np.float32)}, "needed are 3 or 4 dimensions"),
        ({"tensor": np.full((3, 6, 8), np.nan, np.float32)}, "`u` is not finite"),
        ({"density": np.ones((3, 6, 8), np.float32)}, "a velocity is missing"),
        ({"tensor": np.ones((3, 6, 7), np.float32)}, "conflicting sizes"),
    ],
)
def test_wrong_files_are_refused(arrays, message, tmp_path):
    tensor(tmp_path / "a.hdf5", **arrays)
    with pytest.raises(ValueError, match=message) as said:
        pdebench.read(tmp_path / "a.hdf5")
    assert str(tmp_path) in str(said.value)


def test_a_folder_with_several_files_is_refused(stefan, tmp_path):
    pdebench.write(stefan, tmp_path / "out")
    groups(tmp_path / "out" / "more.h5")
    with pytest.raises(ValueError, match=r"holds 2 \.hdf5 or \.h5 files"):
        pdebench.read(tmp_path / "out")
