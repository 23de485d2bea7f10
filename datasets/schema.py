"""The one place that knows how a dataset spells its dimensions, roles and attributes (schema 1.0, CF-1.11).

Fields, parameters, walls and laws are found by the attribute `lawbound_role`; coordinates, weights and the split have
fixed names. What is prescribed at a wall depends on sample and time, and on a plane, where it varies along the wall, on
the coordinate along it. What the schema does not capture:
grids that move or differ between samples, and laws that couple several times in one right-hand side. Data on a
plane have a dimension `y` before `x`, with weights of its own; the weights of a box are their product.
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr

SCHEMA = "1.0"
CONVENTIONS = "CF-1.11"

SAMPLE, TIME, Y, X, BOUNDS, REALIZATION = "sample", "t", "y", "x", "bnds", "realization"
FIELD_DIMS = (SAMPLE, TIME, X)
PLANE_DIMS = (SAMPLE, TIME, Y, X)

ROLE = "lawbound_role"
STATE, PARAMETER, WEIGHTS, WALL = "state", "parameter", "weights", "boundary_value"
LAW_RHS, LAW_RESIDUAL, LAW_TOLERANCE = "law_rhs", "law_residual", "law_tolerance"
LAW_QUADRATURE = "law_quadrature"
INFLOW, SEED, SPLIT, FRONT_LEVEL, PREDICTION = "inflow", "seed", "split", "front_level", "prediction"
FRONT = "front"
#: Attribute of the dataset: kind and parameter of k(u) in u_t = (k(u) u_x)_x, such as "power m" or "constant 0.3".
CONDUCTIVITY = "lawbound_conductivity"
#: Attribute of the dataset: kind and parameter of f(u) in u_t + f(u)_x = …: "linear beta" is beta u, "square" is u²/2.
FLUX = "lawbound_flux"
ROLES = frozenset(
    {
        STATE, PARAMETER, WEIGHTS, WALL, LAW_RHS, LAW_RESIDUAL, LAW_TOLERANCE, LAW_QUADRATURE, INFLOW, SEED, SPLIT,
        FRONT_LEVEL, FRONT, PREDICTION,
    }
)  # fmt: skip

# What the variables of a role depend on, where that is fixed.
_DIMENSIONS = {
    PARAMETER: (SAMPLE,), SEED: (SAMPLE,), SPLIT: (SAMPLE,), FRONT_LEVEL: (SAMPLE,),
    INFLOW: (SAMPLE, TIME), FRONT: (SAMPLE, TIME),
    LAW_RHS: (SAMPLE, TIME), LAW_RESIDUAL: (SAMPLE, TIME), LAW_TOLERANCE: (SAMPLE, TIME),
    LAW_QUADRATURE: (SAMPLE, TIME),
}  # fmt: skip

RHS_SOURCES = ("analytic", "boundary-data", "ledger")
REQUIRED_ATTRIBUTES = (
    "Conventions", "title", "institution", "source", "history", "references", "comment", "license",
    "lawbound_schema", "lawbound_problem", "lawbound_state_variables", "lawbound_config", "lawbound_config_sha256",
)  # fmt: skip


def by_role(data: xr.Dataset, role: str) -> list[str]:
    """Names of the data variables that play a role, in file order."""
    return [str(name) for name in data.data_vars if data[name].attrs.get(ROLE) == role]


def state_variables(data: xr.Dataset) -> list[str]:
    """Names of the state fields, in channel order."""
    return str(data.attrs.get("lawbound_state_variables", "")).split()


def field_dims(data: xr.Dataset) -> tuple[str, ...]:
    """Dimensions of a state field: (sample, t, x), on a plane (sample, t, y, x)."""
    return PLANE_DIMS if Y in data.dims else FIELD_DIMS


def axes(data: xr.Dataset) -> tuple[str, ...]:
    """The dimensions in space: (x,), on a plane (y, x)."""
    return field_dims(data)[2:]


def weights(data: xr.Dataset) -> np.ndarray:
    """Quadrature weights, (nx,) or (ny, nx), float64: ∫u dx = Σ weights · u."""
    along = [np.asarray(data[f"{axis}_weights"].values, dtype=np.float64) for axis in axes(data)]
    return along[0] if len(along) == 1 else np.multiply.outer(*along)


def integral(data: xr.Dataset, values: np.ndarray) -> np.ndarray:
    """∫u dx of values (sample, t, …) on the dataset's grid, (sample, t)."""
    w = weights(data)
    return np.asarray(values.reshape(*values.shape[:2], w.size) @ w.ravel())


def law_variable(law: str, what: str) -> str:
    """Name of a law's variable: `law_<id>_rhs`, `law_<id>_residual`, `law_<id>_tolerance`, perhaps `law_<id>_quadrature`."""
    return f"law_{law.replace('-', '_')}_{what}"


def wall_variable(field: str, side: str) -> str:
    """Name of a wall's values, such as `bc_u_x_lo`."""
    return f"bc_{field}_{side}"


def laws(data: xr.Dataset) -> list[str]:
    """Names of the laws whose right-hand side the dataset carries."""
    return [str(data[name].attrs["lawbound_law"]) for name in by_role(data, LAW_RHS)]


def time_of_interest(data: xr.Dataset) -> float:
    """The stored time at which tables are taken: the family's choice, else the middle of the run."""
    times = data[TIME].values
    wanted = float(data.attrs.get("lawbound_time_of_interest", 0.5 * (times[0] + times[-1])))
    return float(times[np.abs(times - wanted).argmin()])


def faults(data: xr.Dataset) -> list[str]:
    """Everything in which a dataset departs from the schema, one sentence each; empty if nothing."""
    return list(_faults(data))


def require(data: xr.Dataset, what: str) -> None:
    """Raise `ValueError` naming all faults at once."""
    found = faults(data)
    if found:
        listed = "\n  - ".join(found)
        raise ValueError(
            f"{what} does not follow schema {SCHEMA}:\n  - {listed}\n"
            "Make it with `lawbound generate`, or build it from your own arrays with `lawbound.from_arrays`."
        )


def require_finite(data: xr.Dataset) -> None:
    """Raise `ValueError`, naming sample and time, if a state field has a value that is not finite."""
    for name in state_variables(data):
        finite = np.isfinite(data[name].values)
        if not finite.all():
            sample, time = (int(i) for i in np.argwhere(~finite)[0][:2])
            raise ValueError(
                f"`{name}` is not finite for sample {int(data[SAMPLE].values[sample])} at "
                f"t={float(data[TIME].values[time]):.4g}; look at the data with `lawbound check`, and leave such samples out."
            )


def _wall_dims(data: xr.Dataset, wall: xr.DataArray) -> list[tuple[str, ...]]:
    """What the values at a wall may depend on."""
    found: list[tuple[str, ...]] = [(SAMPLE, TIME)]
    if Y in data.dims:
        side = str(wall.attrs.get("lawbound_bc_side", ""))
        found.append((SAMPLE, TIME, Y if side.startswith(X) else X))
    return found


def _faults(data: xr.Dataset) -> Iterator[str]:
    missing = [name for name in REQUIRED_ATTRIBUTES if not isinstance(data.attrs.get(name), str)]
    if missing:
        yield f"global attributes are missing or not strings: {', '.join(missing)}"
    if data.attrs.get("lawbound_schema", SCHEMA) != SCHEMA:
        yield f"it declares schema {data.attrs['lawbound_schema']}, this version reads {SCHEMA}"
    dims = field_dims(data)
    for dim in dims:
        if dim not in data.dims:
            yield f"dimension `{dim}` is missing"
        elif dim not in data.coords:
            yield f"coordinate `{dim}` is missing"
        elif data[dim].dtype.kind not in "iuf" or not np.isfinite(data[dim].values).all():
            yield f"coordinate `{dim}` is not made of finite numbers"
        elif data.sizes[dim] > 1 and (np.diff(data[dim].values) <= 0).any():
            yield f"coordinate `{dim}` does not increase"
    for axis in axes(data):
        if f"{axis}_weights" not in data:
            yield f"quadrature weights `{axis}_weights` are missing"
    if not state_variables(data):
        yield "`lawbound_state_variables` names no field"
    for name in state_variables(data):
        if name not in data:
            yield f"state field `{name}` is missing"
        elif data[name].dims != dims:
            yield f"`{name}` has dimensions {data[name].dims}, needed are {dims}"
    for name in map(str, data.data_vars):
        variable = data[name]
        if name in {f"{axis}_bounds" for axis in axes(data)}:
            continue
        role = variable.attrs.get(ROLE)
        if role not in ROLES:
            yield f"`{name}` has {ROLE}={role!r}, needed is one of {', '.join(sorted(ROLES))}"
        wanted = (name.removesuffix("_weights"),) if role == WEIGHTS else _DIMENSIONS.get(str(role))
        if wanted is not None and variable.dims != wanted:
            yield f"`{name}` has dimensions {variable.dims}, its role `{role}` needs {wanted}"
        if role == WALL and variable.dims not in _wall_dims(data, variable):
            yield f"`{name}` has dimensions {variable.dims}, a wall's values need one of {_wall_dims(data, variable)}"
        if variable.dtype.kind not in "iuf":
            yield f"`{name}` has type {variable.dtype}; the schema stores numbers"
        if "long_name" not in variable.attrs:
            yield f"`{name}` has no long_name"
        if "_FillValue" in variable.attrs or variable.encoding.get("_FillValue") is not None:
            yield f"`{name}` has a _FillValue; the schema stores complete arrays"
    for name in by_role(data, LAW_RHS):
        source = data[name].attrs.get("lawbound_rhs_source")
        if source not in RHS_SOURCES:
            yield f"`{name}` has lawbound_rhs_source={source!r}, needed is one of {', '.join(RHS_SOURCES)}"
        law = data[name].attrs.get("lawbound_law")
        if law is None:
            yield f"`{name}` has no lawbound_law"
        for what in ("residual", "tolerance"):
            if law is not None and law_variable(law, what) not in data:
                yield f"`{law_variable(law, what)}` is missing beside `{name}`"
    if "split" in data and len(str(data["split"].attrs.get("flag_meanings", "")).split()) <= int(
        data["split"].max()
    ):
        yield "`split` has codes without a name in flag_meanings"
    folded: dict[str, str] = {}
    for name in map(str, data.variables):
        clash = folded.setdefault(name.lower(), name)
        if clash != name:
            yield f"`{clash}` and `{name}` differ only in case"
