import numpy as np
import pytest

import lawbound as lb
from lawbound.datasets import store
from lawbound.datasets.generate import configure, generate_into


def wrong(report):
    return [finding for finding in report.findings if not finding.ok]


def spoiled(data, name, change):
    copy = data.copy(deep=True)
    change(copy[name].values)
    return copy


@pytest.mark.parametrize("name", ["diffusion", "pme", "stefan"])
def test_fresh_data_of_every_family_pass(name):
    report = lb.check(lb.generate(name, 10, nx=20, nt=11))
    assert wrong(report) == [] and report.ok
    report.raise_if_failed()


def test_nan_is_found_and_located(stefan):
    def change(u):
        u[2, 3, 4] = np.nan

    found = wrong(lb.check(spoiled(stefan, "u", change)))
    assert any("(2, 3, 4)" in finding.detail for finding in found)


def test_a_frozen_sample_is_found(stefan):
    def change(u):
        u[1] = u[1, 5]

    assert any("index [1]" in finding.detail for finding in wrong(lb.check(spoiled(stefan, "u", change))))


def test_a_frame_written_twice_in_the_middle_of_a_run_is_found(stefan):
    def change(u):
        u[3, 8] = u[3, 7]

    found = wrong(lb.check(spoiled(stefan, "u", change)))
    frames = [finding for finding in found if finding.subject == "dataset frames"]
    assert len(frames) == 1 and f"sample index 3 at t={float(stefan.t[8]):.4g}" in frames[0].detail


def test_a_run_that_rests_at_its_start_or_its_end_is_no_frozen_frame():
    u = np.zeros((2, 6, 5))
    u[0, 3:] = [[1.0], [2.0], [2.0]]  # rests, moves, rests
    u[1] = np.arange(6.0)[:, None]
    report = lb.check(lb.from_arrays(u, t=np.arange(6.0), x=np.arange(5.0)))
    assert report.ok


def test_outliers_are_reported_over_all_shards_and_are_nothing_wrong(tmp_path):
    u = np.random.default_rng(0).normal(size=(30, 4, 50))
    u[17] *= 100.0
    report = lb.check(lb.from_arrays(u, t=np.arange(4.0), x=np.arange(50.0)))
    told = {finding.subject: finding.detail for finding in report.findings}
    assert report.ok and "samples [17] with a range beyond" in told["outliers of u"]
    generate_into(tmp_path, *configure("wave", 12, nx=17, nt=5, shard_size=1))
    told = [finding.detail for finding in lb.check(tmp_path).findings if "outliers" in finding.subject]
    assert len(told) == 2 and all("no sample" in detail for detail in told)


def test_training_refuses_what_fails_its_check_unless_told_otherwise(stefan):
    def change(u):
        u[0, 10, :20] *= 0.9

    options = {"kernel": "matern-3/2", "functions": 4, "iterations": 2}
    data = spoiled(stefan, "u", change)
    with pytest.raises(ValueError, match=r"fails its checks(.|\n)*wall fluxes(.|\n)*--unchecked"):
        lb.fit("gp", data, options=options)
    assert lb.fit("gp", data, options=options, unchecked=True) is not None


def test_lost_mass_is_found_by_the_ledger_and_by_the_law(stefan):
    def change(u):
        u[0, 10, :20] *= 0.9

    subjects = " ".join(finding.subject for finding in wrong(lb.check(spoiled(stefan, "u", change))))
    assert "wall fluxes" in subjects and "law conservation" in subjects


def test_a_changed_value_is_found_by_the_hash_even_where_no_law_sees_it(stefan, tmp_path):
    store.write(stefan, tmp_path / "d.nc")
    data = store.read(tmp_path / "d.nc")
    assert lb.check(data).ok

    def change(seed):
        seed[0] += 1

    found = wrong(lb.check(spoiled(data, "seed", change)))
    assert [finding.subject for finding in found] == ["dataset content"]
    with pytest.raises(ValueError, match="stored hash"):
        lb.check(spoiled(data, "seed", change)).raise_if_failed()


def test_a_missing_and_a_damaged_shard_are_found(tmp_path):
    generate_into(tmp_path, *configure("stefan", 6, nx=10, nt=3, shard_size=2))
    assert lb.check(tmp_path).ok
    (tmp_path / "shard-0000-of-0003.nc").unlink()
    (tmp_path / "shard-0001-of-0003.nc").write_bytes(b"nothing")
    details = [finding.detail for finding in wrong(lb.check(tmp_path))]
    assert any("is gone" in detail for detail in details) and any(
        "SHA-256 differs" in detail for detail in details
    )


def test_truncated_and_foreign_files_are_refused_with_one_sentence(stefan, tmp_path):
    store.write(stefan, tmp_path / "d.nc")
    whole = (tmp_path / "d.nc").read_bytes()
    (tmp_path / "half.nc").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.nc").write_text("hello")
    stefan[["u_star"]].drop_attrs().to_netcdf(tmp_path / "foreign.nc")
    for name in ("half.nc", "text.nc"):
        with pytest.raises(ValueError, match="cannot be read as netCDF"):
            lb.open(tmp_path / name)
    with pytest.raises(ValueError, match=r"does not follow schema"):
        lb.open(tmp_path / "foreign.nc")
    with pytest.raises(ValueError, match="does not exist"):
        lb.open(tmp_path / "nothing.nc")
    with pytest.raises(ValueError, match="was not made by"):
        lb.open(tmp_path)


def test_nothing_half_written_survives_a_failed_write(stefan, tmp_path, monkeypatch):
    import xarray as xr

    real = xr.Dataset.to_netcdf

    def full_disk(self, path, *arguments, **options):
        real(self, path, *arguments, **options)
        raise OSError("No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", full_disk)
    with pytest.raises(OSError, match="No space left"):
        store.write(stefan, tmp_path / "d.nc")
    assert list(tmp_path.iterdir()) == []
