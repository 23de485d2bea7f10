"""What a sample costs, measured by `python benchmarks/family_costs.py`.

Seconds of one core (x86-64, a server with two) to draw, solve and label a sample at the family's defaults, in a batch.
"""

CORE_SECONDS: dict[str, float] = {
    "advection": 0.0018,
    "burgers-dirichlet": 0.021,
    "burgers-inviscid": 0.002,
    "burgers-periodic": 0.0058,
    "burgers-random": 0.015,
    "cavity": 0.072,
    "diffusion": 0.0018,
    "heat-dirichlet": 0.0085,
    "heat-neumann": 0.034,
    "heat-robin": 0.012,
    "pme": 0.01,
    "pme-2d": 0.085,
    "stefan": 0.0056,
    "stokes": 0.0068,
    "wave": 0.0013,
    "wave-2d": 0.0071,
}
