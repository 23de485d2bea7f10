"""Convert the original ProbConserv networks' outputs into lawbound's schema, once.

    python tools/convert_frozen.py FOLDER

FOLDER holds `pme.nc` and `stefan.nc`: predictive means and standard deviations of the networks that
amazon-science/probconserv released (commit bfd388c8, Apache-2.0), on its released test sets, with groups as
described there. Kept is the time of interest, which is what the paper's tables are taken at, and the single
latent draws behind some of the moments. Exact masses are computed here, in double precision.
Writes lawbound/data/frozen-<problem>.nc and frozen-<problem>-draws.nc.
"""

import sys
from pathlib import Path

import numpy as np
import xarray as xr

from lawbound.datasets import schema, store
from lawbound.datasets.arrays import from_arrays
from lawbound.datasets.families import PME, STEFAN
from lawbound.datasets.family import Family
from lawbound.solvers import Nodes

OUT = Path(__file__).resolve().parents[1] / "lawbound" / "data"
ATTRIBUTES = {
    "license": "Apache-2.0; derived from amazon-science/probconserv, Copyright Amazon.com, Inc. or its affiliates",
    "references": "Hansen et al., ICML 2023, arXiv:2302.11002; amazon-science/probconserv commit bfd388c8",
    "institution": "not stated",
}
COMMENT = (
    "Outputs of the released attentive neural process on the released test set, before any constraint, at the "
    "time of interest; 100 forward passes with dropout active, as the original evaluates. Samples of one "
    "parameter value share one exact solution and differ in their context points."
)


def main() -> None:
    folder = Path(sys.argv[1])
    for family in (STEFAN, PME):
        file = folder / f"{family.name}.nc"
        root, draws = xr.open_dataset(file), xr.open_dataset(file, group="draws")
        whole = moments(family, root)
        store.write(whole, OUT / f"frozen-{family.name}.nc")
        store.write(single_draws(family, whole, draws), OUT / f"frozen-{family.name}-draws.nc")


def moments(family: Family, root: xr.Dataset) -> xr.Dataset:
    now = root.isel(time=root.sizes["time"] // 2)
    # Parameters were stored in single precision; the test values have at most two digits.
    (parameter,) = family.parameters
    parameters = np.round(root[parameter].values.astype(np.float64), 6)
    grid, t = Nodes(*family.domain, root.sizes["x"]), family.time_of_interest
    assert np.allclose(grid.points, root.x.values, atol=1e-7) and np.isclose(t, now.time, atol=1e-7)
    mass = np.array([[family.exact(family.of(value)).integral(t, family.domain[1])] for value in parameters])
    assert np.allclose(mass[:, 0], now.mass.values, rtol=1e-6)
    data = from_arrays(
        now.true_solution.values[:, None],
        t=[t],
        x=grid.points,
        weights=grid.weights,
        mass=mass,
        mass_source="analytic",
        parameters={parameter: parameters},
        split=["test"] * len(parameters),
        problem=family.name,
        title=f"{family.name}: outputs of the original ProbConserv network",
    ).assign_attrs(
        ATTRIBUTES
        | {"comment": COMMENT, "source": "amazon-science/probconserv, through tools/convert_frozen.py"}
    )
    if family.front_level is not None:
        level = np.array([family.front_level(family.of(value)) for value in parameters])
        described = {
            "long_name": "value of u that marks the front: half the jump",
            "units": "1",
            schema.ROLE: schema.FRONT_LEVEL,
        }
        data["front_level"] = ((schema.SAMPLE,), level, described)
    return predictions(
        data, now.blackbox_mean.values[:, None], now.blackbox_std.values[:, None], schema.FIELD_DIMS
    )


def single_draws(family: Family, whole: xr.Dataset, draws: xr.Dataset) -> xr.Dataset:
    kept = whole.isel({schema.SAMPLE: draws.sample.values}).drop_vars(["pred_u_mean", "pred_u_std"])
    realization = np.arange(draws.sizes["draw"], dtype=np.int32)
    described = {"long_name": "latent draw", "units": "1", "standard_name": "realization"}
    kept = kept.assign_coords({schema.REALIZATION: (schema.REALIZATION, realization, described)})
    mean, std = (
        draws[name].transpose("draw", "sample", "x").values[:, :, None] for name in ("draw_mean", "draw_std")
    )
    return predictions(kept, mean, std, (schema.REALIZATION, *schema.FIELD_DIMS))


def predictions(data: xr.Dataset, mean: np.ndarray, std: np.ndarray, dims: tuple[str, ...]) -> xr.Dataset:
    common = {"units": "1", schema.ROLE: schema.PREDICTION, "lawbound_predicts": "u"}
    return data.assign(
        pred_u_mean=(
            dims,
            mean,
            {**common, "long_name": "predictive mean of u", "ancillary_variables": "pred_u_std"},
        ),
        pred_u_std=(dims, std, {**common, "long_name": "predictive standard deviation of u"}),
    )


if __name__ == "__main__":
    main()
