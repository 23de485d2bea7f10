"""What a sample costs, measured by `python benchmarks/family_costs.py`.

Seconds of one core (x86-64, a server with two) to draw, solve and label a sample at the family's defaults, in a batch.
"""

CORE_SECONDS: dict[str, float] = {
    "advection": 0.0016,
    "burgers-dirichlet": 0.019,
    "burgers-inviscid": 0.0018,
    "burgers-periodic": 0.0054,
    "burgers-random": 0.015,
    "cavity": 0.07,
    "diffusion": 0.0018,
    "heat-dirichlet": 0.0078,
    "heat-neumann": 0.033,
    "heat-robin": 0.0097,
    "pme": 0.0094,
    "pme-2d": 0.085,
    "stefan": 0.0052,
    "stokes": 0.0058,
    "wave": 0.0011,
    "wave-2d": 0.0064,
}
