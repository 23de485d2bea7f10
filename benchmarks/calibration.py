"""Coverage of the published networks' intervals, made lawful, before and after calibration.

    python benchmarks/calibration.py [--output FILE]

The frozen input's 50 layouts of context points for each parameter, conditioned on the exact total; the scale of the
standard deviations is found on half of them and used on the other half.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lawbound.constraints import Conservation, enforce
from lawbound.constraints.calibration import calibrated, conformal_scale, covered, likelihood_scale
from lawbound.reproduce import frozen_data
from lawbound.surrogates.prediction import from_moments

Row = dict[str, Any]


def calibration() -> Iterator[Row]:
    for problem, parameter in (("stefan", "u_star"), ("pme", "m")):
        data = frozen_data(problem)
        for value in np.unique(data[parameter].values):
            of = data.isel(sample=np.isclose(data[parameter].values, value))
            order = np.random.default_rng(0).permutation(of.sizes["sample"])
            halves = [of.isel(sample=np.sort(part)) for part in np.array_split(order, 2)]
            (first, truth), (second, other) = (
                (
                    enforce(from_moments(half), Conservation(tolerance="exact")).prediction,
                    half.u.values.astype(float),
                )
                for half in halves
            )
            row: Row = {"case": f"{problem}, {parameter} = {value:g}", "layouts": of.sizes["sample"]}
            row["before"] = float(covered(second, other).mean())
            for name, make in (("conformal", conformal_scale), ("likelihood", likelihood_scale)):
                scale = make(first, truth)
                after = calibrated(second, scale)
                total = after.sample(16) @ torch.from_numpy(second.inputs.x_weights.values)
                off = total - torch.from_numpy(second.inputs.law_conservation_rhs.values)
                row |= {f"{name} scale": float(scale.values[0]), name: float(covered(after, other).mean())}
                row["total off"] = max(row.get("total off", 0.0), float(off.abs().max()))
            yield row


def table(title: str, rows: list[Row]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names] + [[_shown(row.get(name)) for name in names] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    print(f"\n{title}")
    for line in cells:
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def _shown(value: Any) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("build/calibration.json"))
    given = parser.parse_args()
    rows = list(calibration())
    table("coverage of 95 % intervals", rows)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
