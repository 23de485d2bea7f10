"""The Well's layout: what is in the files, what The Well's own reader makes of them, and files of others."""

import numpy as np
import pytest

import lawbound as lb
from lawbound.datasets import schema, store, well

h5py = pytest.importorskip("h5py")
yaml = pytest.importorskip("yaml")
WALL, OPEN, PERIODIC = 0, 1, 2


def foreign(path, change=lambda file: None):
    """A small file as the specification has it: a scalar, a velocity, and things that no dataset has a place for."""
    words = h5py.string_dtype()

    def names(*given):
        return np.array(given, dtype=words)

    def put(group, name, values, sample, time, **attributes):
        stored = group.create_dataset(name, data=values)
        stored.attrs.update(sample_varying=sample, time_varying=time, **attributes)

    random = np.random.default_rng(1)
    with h5py.File(path, "w") as file:
        file.attrs.update(dataset_name="theirs", grid_type="cartesian", n_spatial_dims=2, n_trajectories=3)
        file.attrs["simulation_parameters"] = names("Re")
        file.attrs["Re"] = 10.0
        group = file.create_group("dimensions")
        group.attrs["spatial_dims"] = names("x", "y")
        put(group, "time", np.float32([0.0, 0.1, 0.2, 0.3]), False, True)
        put(group, "x", np.linspace(0, 1, 5, endpoint=False, dtype=np.float32), False, False)
        put(group, "y", np.linspace(0, 2, 6, dtype=np.float32), False, False)
        for name, kind, size in (("x_periodic", "PERIODIC", 5), ("y_wall", "WALL", 6)):
            wall = file.create_group(f"boundary_conditions/{name}")
            wall.attrs.update(bc_type=kind, sample_varying=False, time_varying=False)
            wall.attrs["associated_dims"], wall.attrs["associated_fields"] = names(name[0]), names()
            wall["mask"] = np.isin(np.arange(size), (0, size - 1))
        group = file.create_group("scalars")
        group.attrs["field_names"] = names("Re", "forcing", "density")
        put(group, "Re", np.float32(10.0), False, False)
        put(group, "forcing", np.float32([1, 2, 3, 4]), False, True)
        put(group, "density", np.float32([1, 2, 3]), True, False)  # called like the field
        every = {"dim_varying": [True, True]}
        group = file.create_group("t0_fields")
        group.attrs["field_names"] = names("density", "porosity")
        put(group, "density", random.normal(size=(3, 4, 5, 6)).astype(np.float32), True, True, **every)
        put(group, "porosity", np.ones((5, 6), np.float32), False, False, **every)
        group = file.create_group("t1_fields")
        group.attrs["field_names"] = names("velocity")
        put(group, "velocity", random.normal(size=(3, 4, 5, 6, 2)).astype(np.float32), True, True, **every)
        file.create_group("t2_fields").attrs["field_names"] = names()
        change(file)


def test_files_hold_the_fields_bit_for_bit_with_x_before_y_and_vectors_last(flow, tmp_path):
    report = well.write(flow, tmp_path / "out")
    assert report.fields == ("p", "vorticity", "streamfunction", "velocity")
    with h5py.File(tmp_path / "out/data/train/flow.hdf5") as file:
        train = flow.isel(sample=[1, 2, 4])
        assert file.attrs["n_trajectories"] == 3 and list(file["dimensions"].attrs["spatial_dims"]) == [
            "x",
            "y",
        ]
        for name in ("p", "vorticity", "streamfunction"):
            np.testing.assert_array_equal(
                file["t0_fields"][name], train[name].transpose("sample", "t", "x", "y")
            )
        for i, name in enumerate("uv"):
            wanted = train[name].transpose("sample", "t", "x", "y")
            np.testing.assert_array_equal(file["t1_fields/velocity"][..., i], wanted)
        assert sorted(file["boundary_conditions"]) == ["x_wall", "y_wall"]
        assert file["boundary_conditions/y_wall/mask"][:].tolist() == [False] * 4 + [True]
    assert (tmp_path / "out/data/shift").is_dir()
    said = " ".join(report.notes)
    for part in (
        "u, v are the components of the vector `velocity`",
        "bc_u_y_hi",
        "no place",
        "shift",
        "WALL",
    ):
        assert part in said


def test_statistics_are_those_of_all_training_values_and_steps(flow, tmp_path):
    well.write(flow, tmp_path / "out")
    stored = yaml.safe_load((tmp_path / "out/stats.yaml").read_text())
    train = flow.isel(sample=[1, 2, 4])
    values = {"p": train.p.values, "velocity": np.stack([train.u.values, train.v.values], axis=-1)}
    for name, field in values.items():
        rows = field.astype(float).reshape(3, 3, 20, *field.shape[4:])
        for suffix, one in (("", rows), ("_delta", np.diff(rows, axis=1))):
            over = (0, 1, 2)
            wanted = {"mean": one.mean(over), "std": one.std(over), "rms": np.sqrt((one**2).mean(over))}
            for what, value in wanted.items():
                np.testing.assert_allclose(stored[what + suffix][name], value, rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_their_reader_finds_fields_scalars_walls_and_grid(stefan, flow, tmp_path):
    reader = pytest.importorskip("the_well.data").WellDataset
    well.write(stefan, tmp_path / "stefan")
    known = {"path": str(tmp_path / "stefan"), "n_steps_input": 1, "n_steps_output": 3}
    theirs = reader(well_split_name="train", **known)
    assert len(theirs) == 24 * (21 - 3)
    for index in (0, 1, 18 * 5 + 2):  # cached values must not leak into later samples
        sample, time = divmod(index, 18)
        found = theirs[index]
        np.testing.assert_array_equal(found["input_fields"][0, :, 0], stefan.u[sample, time])
        np.testing.assert_array_equal(found["output_fields"][..., 0], stefan.u[sample, time + 1 : time + 4])
        assert float(found["constant_scalars"][0]) == np.float32(stefan.u_star[sample])
        assert found["input_scalars"].tolist() == [[1.0, 0.0]]  # values at the walls
    np.testing.assert_array_equal(found["space_grid"][:, 0], stefan.x.values.astype(np.float32))
    assert found["boundary_conditions"].tolist() == [[WALL, WALL]]
    assert len(reader(well_split_name="test", **known)) == 3 * (21 - 3)

    well.write(flow, tmp_path / "flow")
    theirs = reader(str(tmp_path / "flow"), well_split_name="valid")
    names = [name for rank in range(3) for name in theirs.metadata.field_names[rank]]
    assert names == ["p", "vorticity", "streamfunction", "velocity_x", "velocity_y"]
    fields = theirs[0]["input_fields"][0].numpy()
    for channel, name in enumerate(("p", "vorticity", "streamfunction", "u", "v")):
        np.testing.assert_array_equal(fields[..., channel], flow[name][3, 0].transpose("x", "y"))
    assert theirs[0]["boundary_conditions"].tolist() == [[WALL, OPEN], [OPEN, WALL]]


@pytest.mark.filterwarnings("ignore")
def test_their_reader_sees_open_and_periodic_walls_and_normalises_by_our_statistics(tmp_path):
    their = pytest.importorskip("the_well.data")
    score = pytest.importorskip("the_well.data.normalization").ZScoreNormalization
    data = lb.generate("advection", 4, split="train", nx=16, nt=5)
    well.write(data, tmp_path / "out")
    theirs = their.WellDataset(
        str(tmp_path / "out"), well_split_name="train", use_normalization=True, normalization_type=score,
        n_steps_output=4, full_trajectory_mode=True,
    )  # fmt: skip
    whole = np.concatenate(
        [np.r_[one["input_fields"].numpy().ravel(), one["output_fields"].numpy().ravel()] for one in theirs]
    )
    assert abs(whole.mean()) < 1e-5 and abs(whole.std() - 1.0) < 1e-5
    assert theirs[0]["boundary_conditions"].tolist() == [[WALL, OPEN]]
    for name in schema.by_role(data, schema.WALL):
        data[name].attrs["lawbound_bc_type"] = "periodic"
    well.write(data, tmp_path / "circle")
    theirs = their.WellDataset(str(tmp_path / "circle"), well_split_name="train")
    assert theirs[0]["boundary_conditions"].tolist() == [[PERIODIC, PERIODIC]]
    assert "input_scalars" not in theirs[0]  # nothing is prescribed


def test_files_of_others_become_a_valid_dataset_and_say_what_was_left(tmp_path, strict_cf_verdict):
    for split in ("test", "train"):
        (tmp_path / "data" / split).mkdir(parents=True)
        foreign(tmp_path / "data" / split / "a.hdf5")
    with pytest.warns(UserWarning) as said:
        data = well.read(tmp_path)
    text = " ".join(str(one.message) for one in said)
    assert all(name in text for name in ("`porosity`", "`forcing`", "`y_wall`"))
    assert schema.faults(data) == [] and lb.check(data).ok
    assert schema.state_variables(data) == ["density", "velocity_x", "velocity_y"]
    assert data.density.dims == ("sample", "t", "y", "x") and data.density.dtype == np.float32
    with h5py.File(tmp_path / "data/train/a.hdf5") as file:
        np.testing.assert_array_equal(
            data.velocity_y[1], file["t1_fields/velocity"][1, ..., 1].swapaxes(1, 2)
        )
    assert data.t.values.tolist() == [0.0, 0.1, 0.2, pytest.approx(0.3)]
    assert data.split.values.tolist() == [0, 0, 0, 2, 2, 2]
    assert data.Re.values.tolist() == [10.0] * 6 and data.density_parameter.values.tolist() == [1, 2, 3] * 2
    np.testing.assert_allclose(data.x_weights, 0.2)  # a period
    np.testing.assert_allclose(data.y_weights, [0.2, 0.4, 0.4, 0.4, 0.4, 0.2])  # nodes between walls
    assert data.bc_density_x_lo.attrs["lawbound_bc_type"] == "periodic"
    report = well.write(data, tmp_path / "again")
    assert report.fields == ("density", "velocity") and well.read(tmp_path / "again").identical(data)
    store.write(data, tmp_path / "data.nc")
    assert "All tests passed!" in strict_cf_verdict(tmp_path / "data.nc")


@pytest.mark.filterwarnings("ignore")
def test_a_file_that_they_made_themselves_is_read(tmp_path):
    dummy = pytest.importorskip("the_well.utils.dummy_data")
    dummy.write_dummy_data(str(tmp_path / "dummy.hdf5"))
    data = well.read(tmp_path / "dummy.hdf5")
    assert schema.faults(data) == [] and lb.check(data).ok
    assert schema.state_variables(data) == ["field_x", "field_y"] and data.sizes["sample"] == 2
    assert data.a.values.tolist() == [0.25, 0.25]


def _replace(group, name, value):
    del group[name]
    group[name] = value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.attrs.update(grid_type="spherical"), "needed are Cartesian"),
        (lambda file: file.__delitem__("t0_fields"), "`t0_fields` is missing"),
        (
            lambda file: _replace(file["dimensions"], "x", np.float32([0, 1, 2, 2, 3])),
            "along x do not increase",
        ),
        (lambda file: _replace(file["dimensions"], "x", np.float32([0, 1, 2, 4, 7])), "not equally spaced"),
        (
            lambda file: file["t0_fields/density"].__setitem__((1, 2, 0, 0), np.nan),
            "is not finite for sample 1",
        ),
        (
            lambda file: _replace(file["scalars"], "Re", h5py.ExternalLink("else.h5", "/Re")),
            "links are not followed",
        ),
        (lambda file: _replace(file["scalars"], "Re", "text"), "holds no numbers"),
        (lambda file: file.attrs.__delitem__("dataset_name"), "dataset_name"),
    ],
)
def test_wrong_files_are_refused(change, message, tmp_path):
    foreign(tmp_path / "a.hdf5", change)
    with pytest.raises(ValueError, match=message) as said:
        well.read(tmp_path / "a.hdf5")
    assert str(tmp_path) in str(said.value)


def test_a_damaged_description_is_refused(stefan, tmp_path):
    well.write(stefan, tmp_path / "out")
    with h5py.File(tmp_path / "out/data/test/stefan.hdf5", "r+") as file:
        file["lawbound"].attrs["description"] = '{"attributes": {}}'
    with pytest.raises(ValueError, match="description in its group `lawbound` is damaged"):
        well.read(tmp_path / "out")
    assert well.read(tmp_path / "out/data/train/stefan.hdf5").sizes["sample"] == 24


def test_a_changed_value_of_what_rides_along_is_found(stefan, tmp_path):
    well.write(stefan, tmp_path / "out")
    path = tmp_path / "out/data/test/stefan.hdf5"
    raw, value = path.read_bytes(), stefan.law_conservation_rhs.values[27, 5].tobytes()
    assert value in raw
    path.write_bytes(raw.replace(value, (stefan.law_conservation_rhs.values[27, 5] * 2).tobytes()))
    with pytest.raises(ValueError, match=r"stefan\.hdf5 cannot be read"):
        well.read(tmp_path / "out")


def test_groups_that_are_links_to_other_files_are_not_followed(stefan, tmp_path):
    well.write(stefan, tmp_path / "out")
    path = tmp_path / "out/data/test/stefan.hdf5"
    with h5py.File(path, "r+") as file:
        _replace(
            file, "lawbound", h5py.ExternalLink(str(tmp_path / "out/data/train/stefan.hdf5"), "/lawbound")
        )
    with pytest.raises(ValueError, match="`lawbound` is a link"):
        well.read(path)
